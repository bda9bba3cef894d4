"""Candles as whole sub-rows: exact, mirrored, free of units."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.charts.candles import windows
from vision_ai.charts import geometry
from vision_ai.charts.geometry import PRICE_SUBS, SUB, VOLUME_SUBS
from vision_ai.domain import CLOSE, HIGH, LOW, OPEN, VOLUME

MIRRORED = [OPEN, LOW, HIGH, CLOSE]


def laid_out(seed: int, count: int = 3) -> geometry.Strokes:
    return geometry.strokes(windows(count, seed=seed))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 9999))
def test_strokes_stay_inside_their_panels_and_bodies_inside_wicks(seed: int) -> None:
    s = laid_out(seed)
    assert (s.wick_lo >= 0).all()
    assert (s.wick_hi <= PRICE_SUBS).all()
    assert (s.wick_lo <= s.body_lo).all()
    assert (s.body_hi <= s.wick_hi).all()
    assert (s.body_hi - s.body_lo >= SUB).all()
    assert ((s.volume >= 0) & (s.volume <= VOLUME_SUBS)).all()
    assert (s.up | s.down).all()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 9999), st.floats(1e-6, 1e6))
def test_the_unit_of_price_and_of_volume_changes_nothing(seed: int, factor: float) -> None:
    bars = windows(2, seed=seed)
    scaled = bars.copy()
    scaled[..., :VOLUME] *= factor
    scaled[..., VOLUME] *= 7.0
    one, other = geometry.strokes(bars), geometry.strokes(scaled)
    for name in ("body_lo", "body_hi", "wick_lo", "wick_hi", "volume"):
        assert (getattr(one, name) == getattr(other, name)).all(), name


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 9999))
def test_negated_log_prices_mirror_every_stroke(seed: int) -> None:
    bars = windows(2, seed=seed)
    turned = bars.copy()
    turned[..., :VOLUME] = 1 / bars[..., MIRRORED]
    one, other = geometry.strokes(bars), geometry.strokes(turned)
    assert (other.wick_lo == PRICE_SUBS - one.wick_hi).all()
    assert (other.wick_hi == PRICE_SUBS - one.wick_lo).all()
    assert (other.body_lo == PRICE_SUBS - one.body_hi).all()
    assert (other.up == one.down).all()


def test_the_lowest_low_is_the_floor_and_the_highest_high_the_ceiling() -> None:
    s = laid_out(5)
    assert (s.wick_lo.min(axis=1) == 0).all()
    assert (s.wick_hi.max(axis=1) == PRICE_SUBS).all()
    assert (s.volume.max(axis=1) == VOLUME_SUBS).all()


def test_a_flat_window_lies_in_the_middle_and_without_volume_nothing_is_drawn() -> None:
    bars = np.ones((1, 96, 5))
    bars[..., VOLUME] = 0
    s = geometry.strokes(bars)
    assert ((s.body_lo + s.body_hi) // 2 == PRICE_SUBS // 2).all()
    assert not s.volume.any()
    assert s.up.all()
    assert s.down.all()


@given(st.integers(0, PRICE_SUBS), st.integers(0, PRICE_SUBS), st.integers(1, 60))
def test_a_thickened_span_covers_the_old_one_or_is_moved_inside(a: int, b: int, least: int) -> None:
    lo, hi = np.array([min(a, b)]), np.array([max(a, b)])
    new_lo, new_hi = geometry.thicken(lo, hi, least)
    assert new_hi - new_lo >= least
    assert new_lo[0] >= 0
    assert new_hi[0] <= PRICE_SUBS
    if hi - lo >= least:
        assert (new_lo, new_hi) == (lo, hi)


@pytest.mark.parametrize("ink", [255 - 255 % SUB, SUB * 4])
def test_a_filled_column_has_the_area_of_its_height(ink: int) -> None:
    table = geometry.fills(10, ink)
    area = table.sum(axis=1, dtype=int)
    assert (np.diff(area) == ink // SUB).all()
    assert not table[0].any()
    assert (table[-1] == ink).all()
    assert not table.flags.writeable
