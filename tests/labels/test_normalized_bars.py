"""Normalized bars against plain loops, and their scale and mirror laws."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.labels.walks import walks
from vision_ai.domain import CLOSE, HIGH, LOW, VOLUME, WINDOW
from vision_ai.labels.examples import mirrored
from vision_ai.labels.normalized_bars import (
    AGES,
    MIN_UNIT_OF_CHART,
    NormalizedBars,
    accumulate_back,
    fitted_rise,
    rolling_max,
    take_columns,
)

SEEDS = st.integers(0, 2**32 - 1)
FIELDS = ("h", "l", "c", "v", "true_range", "soft_h", "soft_l", "atr", "height", "unit")
SINCE = {
    "high_since": ("h", max),
    "low_since": ("l", min),
    "soft_low_since": ("soft_l", min),
    "close_high_since": ("c", max),
    "close_low_since": ("c", min),
    "volume_since": ("v", max),
    "range_since": ("true_range", max),
}


def test_prices_are_log_distances_from_the_last_close_and_volumes_parts_of_the_mean():
    bars = walks(3, 1)
    charts = NormalizedBars.of(bars)
    last = bars[:, -1:, CLOSE]
    np.testing.assert_allclose(charts.h, np.log(bars[:, :, HIGH] / last), atol=1e-9)
    np.testing.assert_allclose(charts.l, np.log(bars[:, :, LOW] / last), atol=1e-9)
    np.testing.assert_array_equal(charts.c[:, -1], 0)
    np.testing.assert_allclose(charts.v.mean(axis=1), 1)
    np.testing.assert_allclose(charts.v[1, 5], bars[1, 5, VOLUME] / bars[1, :, VOLUME].mean())


@settings(max_examples=20, deadline=None)
@given(SEEDS, st.floats(1e-6, 1e6), st.floats(1e-3, 1e3))
def test_another_currency_and_unit_of_volume_change_nothing(seed, price, volume):
    bars = walks(2, seed)
    scaled = bars * np.array([price, price, price, price, volume])
    before, after = NormalizedBars.of(bars), NormalizedBars.of(scaled)
    for name in ("h", "l", "c"):
        # to the last decimal that is kept; a rounding tie may fall either way
        assert np.abs(getattr(before, name) - getattr(after, name)).max() <= 1.01e-9
    np.testing.assert_allclose(before.v, after.v)


@settings(max_examples=20, deadline=None)
@given(SEEDS)
def test_mirroring_negates_prices_and_keeps_sizes(seed):
    bars = walks(2, seed)
    charts, turned = NormalizedBars.of(bars).mirrored, NormalizedBars.of(mirrored(bars))
    for name in FIELDS:
        np.testing.assert_allclose(getattr(charts, name), getattr(turned, name), atol=2e-9)
    for name in FIELDS:
        original = getattr(NormalizedBars.of(bars), name)
        np.testing.assert_array_equal(getattr(charts.mirrored, name), original)


@settings(max_examples=10, deadline=None)
@given(SEEDS)
def test_running_extremes_equal_plain_loops(seed):
    charts = NormalizedBars.of(walks(1, seed))
    for name, (values, extreme) in SINCE.items():
        column = getattr(charts, values)[0]
        for age in (0, 1, 7, 24, WINDOW - 1):
            assert getattr(charts, name)[0, age] == extreme(column[WINDOW - 1 - age :]), name


def test_path_length_is_the_way_that_closes_travelled():
    charts = NormalizedBars.of(walks(1, 4))
    closes = charts.c[0]
    travelled = sum(abs(b - a) for a, b in pairwise(closes[10:61]))
    assert charts.path_length[0, 0] == 0
    assert charts.path_length[0, 60] - charts.path_length[0, 10] == pytest.approx(travelled)


def test_the_unit_is_the_atr_unless_the_chart_is_so_tall_that_it_cannot_be_seen():
    calm = NormalizedBars.of(walks(1, 2))
    assert calm.unit[0] >= calm.atr[0]
    bars = np.full((1, WINDOW, 5), 100.0)
    bars[:, 0, LOW] = 1.0  # one crash wick makes everything else small
    crash = NormalizedBars.of(bars)
    assert crash.atr[0] < crash.height[0] * MIN_UNIT_OF_CHART
    assert crash.unit[0] == crash.height[0] * MIN_UNIT_OF_CHART


def test_a_flat_chart_without_volume_has_finite_values():
    bars = np.ones((1, WINDOW, 5))
    bars[..., VOLUME] = 0
    charts = NormalizedBars.of(bars)
    assert charts.unit[0] > 0
    assert all(np.isfinite(getattr(charts, name)).all() for name in FIELDS)
    np.testing.assert_array_equal(charts.v, 0)


@settings(max_examples=30, deadline=None)
@given(SEEDS, st.integers(1, 30))
def test_rolling_max_equals_plain_loops(seed, width):
    values = np.random.default_rng(seed).normal(size=(2, 40))
    rolled = rolling_max(values, width)
    expected = [values[:, at : at + width].max(axis=1) for at in range(40 - width + 1)]
    np.testing.assert_array_equal(rolled, np.stack(expected, axis=1))


@settings(max_examples=20, deadline=None)
@given(SEEDS, st.sampled_from([12, 48, 96]))
def test_the_fitted_rise_equals_least_squares(seed, bars):
    values = np.random.default_rng(seed).normal(size=(3, bars)).cumsum(axis=1)
    slopes = np.polyfit(np.arange(bars), values.T, 1)[0]
    np.testing.assert_allclose(fitted_rise(values), slopes * (bars - 1), atol=1e-9)


def test_columns_outside_are_moved_to_the_edge():
    values = np.arange(12.0).reshape(3, 4)
    assert take_columns(values, np.array([0, 3, 2])).tolist() == [0, 7, 10]
    assert take_columns(values, np.array([-5, 9, 4])).tolist() == [0, 7, 11]


def test_ages_count_back_from_the_last_bar():
    assert (AGES[0], AGES[-1]) == (WINDOW - 1, 0)
    newest_first = accumulate_back(np.array([[3.0, 1.0, 2.0]]), np.maximum)
    assert newest_first.tolist() == [[2.0, 2.0, 3.0]]
