"""Bands that follow drift: they hold where still ones do not, and they never look ahead."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vision_ai.calibration.bands import Bands
from vision_ai.evaluation import adaptive
from vision_ai.evaluation.adaptive import ChartSeries

HOUR = 3_600_000
LEVEL = 0.8


def drifting(n=6000, seed=0, factor=2.0):
    """Charts an hour apart whose moves grow by `factor` half way, and bands that do not."""
    rng = np.random.default_rng(seed)
    scale = rng.lognormal(-5, 0.4, n)
    growth = np.where(np.arange(n) < n // 2, 1.0, factor)
    move = scale[:, None] * growth[:, None] * rng.normal(size=(n, 2))
    half = 1.2816 * np.repeat(scale[:, None], 2, axis=1)
    as_of = np.arange(n, dtype=np.int64) * HOUR
    series = ChartSeries(
        as_of, as_of[:, None] + [2 * HOUR, 6 * HOUR], move, scale, np.zeros(n, int)
    )
    still = np.zeros((n, 2))
    bands = Bands(-half, still, half, still + 0.5, still.astype(int), still + LEVEL)
    return bands, series


def covered(bands, series, rows=slice(None)):
    held = (bands.low <= series.move) & (series.move <= bands.high)
    return held[rows].mean()


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_bands_that_follow_drift_cover_within_two_points_in_every_regime(factor):
    bands, series = drifting(factor=factor)
    late = slice(3000, None)
    assert abs(covered(bands, series, late) - LEVEL) > 0.12  # law broken: bands that stand still
    found = adaptive.adapt_bands(bands, series)
    for regime in np.unique(series.regime):
        assert abs(covered(found, series, series.regime == regime) - LEVEL) < 0.02


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 200), cut=st.integers(100, 290))
def test_later_outcomes_change_no_earlier_band(seed, cut):
    bands, series = drifting(300, seed)
    moved = series.move.copy()
    unknown = series.complete_ms > series.as_of_ms[cut]
    moved[unknown] *= 7.0
    scale = series.scale.copy()
    scale[cut + 1 :] *= 3.0
    other = ChartSeries(series.as_of_ms, series.complete_ms, moved, scale, series.market)
    was, now = adaptive.adapt_bands(bands, series), adaptive.adapt_bands(bands, other)
    np.testing.assert_array_equal(was.low[: cut + 1], now.low[: cut + 1])
    np.testing.assert_array_equal(was.high[: cut + 1], now.high[: cut + 1])


def test_an_outcome_counts_from_when_it_is_complete():
    bands, series = drifting(300, 1)
    later = series.complete_ms + 1000 * HOUR
    blind = ChartSeries(series.as_of_ms, later, series.move, series.scale, series.market)
    found = adaptive.adapt_bands(bands, blind)
    np.testing.assert_array_equal(found.low, bands.low)
    assert (adaptive.adapt_bands(bands, series).low != bands.low).any()


def test_unknown_outcomes_and_scales_teach_nothing():
    bands, series = drifting(300, 2)
    move = np.full_like(series.move, np.nan)
    found = adaptive.adapt_bands(
        bands, ChartSeries(series.as_of_ms, series.complete_ms, move, series.scale, series.market)
    )
    np.testing.assert_array_equal(found.high, bands.high)
