"""Returns against empyrical 0.5.12: the values that it publishes, and its definitions by hand."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vision_ai.measures.returns import max_drawdown, sharpe_ratio, sortino_ratio

YEAR = 252

# The series and expected values of empyrical's own tests (empyrical/tests/test_stats.py)
MIXED = np.array([1.0, 10.0, -4.0, 2.0, 3.0, 2.0, 1.0, -10.0]) / 100
POSITIVE = np.array([1.0, 2.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]) / 100
NEGATIVE = np.array([0.0, -6.0, -7.0, -1.0, -9.0, -2.0, -6.0, -8.0, -5.0]) / 100
ALL_NEGATIVE = np.array([-2.0, -6.0, -7.0, -1.0, -9.0, -2.0, -6.0, -8.0, -5.0]) / 100

series = st.lists(st.floats(-0.5, 0.5), min_size=2, max_size=60).map(np.array)

quick = settings(max_examples=50, deadline=None)


@pytest.mark.parametrize(
    ("returns", "expected"),
    [
        (MIXED, 1.7238613961706866),
        (POSITIVE, 52.915026221291804),
        (NEGATIVE, -24.406808633910085),
        (np.array([1.0]), math.nan),
        (np.full(5, 0.01), math.nan),
    ],
)
def test_sharpe_ratio_equals_the_published_values(returns, expected):
    assert sharpe_ratio(returns, YEAR) == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize(
    ("returns", "expected"),
    [
        (MIXED, 2.605531251673693),
        (NEGATIVE, -13.532743075043401),
        (POSITIVE, math.nan),
        (np.array([-0.1]), math.nan),
    ],
)
def test_sortino_ratio_equals_the_published_values(returns, expected):
    assert sortino_ratio(returns, YEAR) == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize(
    ("returns", "expected"),
    [
        (MIXED, -0.1),
        (POSITIVE, 0.0),
        (ALL_NEGATIVE, -0.3785891574287616),
        (np.array([-0.1]), -0.1),
        (np.empty(0), math.nan),
    ],
)
def test_max_drawdown_equals_the_published_values(returns, expected):
    assert max_drawdown(returns) == pytest.approx(expected, nan_ok=True)


@quick
@given(series)
def test_drawdown_equals_a_search_over_all_pairs_of_days(returns):
    capital = [math.prod(1 + value for value in returns[:day]) for day in range(len(returns) + 1)]
    falls = [
        capital[later] / capital[earlier] - 1
        for earlier in range(len(capital))
        for later in range(earlier, len(capital))
    ]
    assert max_drawdown(returns) == pytest.approx(min(falls), abs=1e-12)


@quick
@given(series, st.floats(0.1, 10))
def test_ratios_do_not_depend_on_the_size_of_the_stake(returns, stake):
    for ratio in (sharpe_ratio, sortino_ratio):
        whole, part = ratio(returns, YEAR), ratio(returns * stake, YEAR)
        if math.isfinite(whole) and abs(whole) < 1e6 and np.abs(returns).max() > 1e-6:
            assert part == pytest.approx(whole, rel=1e-6, abs=1e-9)


@quick
@given(series)
def test_a_longer_year_scales_by_its_root(returns):
    for ratio in (sharpe_ratio, sortino_ratio):
        one, four = ratio(returns, 100), ratio(returns, 400)
        assert four == pytest.approx(2 * one, nan_ok=True)


def test_it_equals_the_library_where_that_is_installed():
    empyrical = pytest.importorskip("empyrical")
    rng = np.random.default_rng(4)
    for _ in range(200):
        returns = rng.normal(0.001, 0.02, rng.integers(2, 90))
        assert sharpe_ratio(returns, 365) == pytest.approx(
            empyrical.sharpe_ratio(returns, annualization=365), rel=1e-12
        )
        assert max_drawdown(returns) == pytest.approx(empyrical.max_drawdown(returns), rel=1e-12)
        if (returns < 0).any():
            theirs = empyrical.sortino_ratio(returns, annualization=365)
            assert sortino_ratio(returns, 365) == pytest.approx(theirs, rel=1e-12)
