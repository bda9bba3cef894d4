import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vision_ai.domain import CLOSE, HIGH, LOW
from vision_ai.measures.indicators import average_true_range, true_ranges, volatility

quick = settings(max_examples=50, deadline=None)


@st.composite
def candles(draw, least: int = 1, most: int = 40) -> np.ndarray:
    """Candles (n, 5) whose lows and highs enclose their opens and closes."""
    n = draw(st.integers(least, most))
    seed = draw(st.integers(0, 2**31))
    rng = np.random.default_rng(seed)
    opened, closed = rng.uniform(50, 150, (2, n))
    high = np.maximum(opened, closed) + rng.exponential(3, n)
    low = np.minimum(opened, closed) - rng.exponential(3, n)
    return np.column_stack([opened, high, low, closed, rng.uniform(0, 9, n)])


def by_definition(bars: np.ndarray) -> list[float]:
    """Wilder's greatest of three, candle by candle."""
    ranges = [bars[0, HIGH] - bars[0, LOW]]
    for before, bar in itertools.pairwise(bars):
        ranges.append(
            max(
                bar[HIGH] - bar[LOW],
                abs(bar[HIGH] - before[CLOSE]),
                abs(bar[LOW] - before[CLOSE]),
            )
        )
    return ranges


@quick
@given(candles())
def test_true_range_is_the_greatest_of_wilders_three(bars):
    found = true_ranges(bars[:, HIGH], bars[:, LOW], bars[:, CLOSE])
    np.testing.assert_allclose(found, by_definition(bars))


@quick
@given(candles(least=2), candles(least=2))
def test_many_charts_at_once_are_each_by_itself(one, other):
    n = min(len(one), len(other))
    both = np.stack([one[:n], other[:n]])
    found = true_ranges(both[:, :, HIGH], both[:, :, LOW], both[:, :, CLOSE])
    for row, bars in enumerate((one[:n], other[:n])):
        alone = true_ranges(bars[:, HIGH], bars[:, LOW], bars[:, CLOSE])
        assert found[row].tolist() == alone.tolist()


def test_the_candles_that_are_given_stay_as_they_are():
    bars = np.array([[1.0, 2, 1, 1, 0], [5, 6, 5, 5, 0]])
    before = bars.copy()
    true_ranges(bars[:, HIGH], bars[:, LOW], bars[:, CLOSE])
    assert (bars == before).all()


@quick
@given(candles(), st.integers(1, 20))
def test_atr_is_the_plain_mean_of_the_newest_and_needs_the_close_before(bars, count):
    found = average_true_range(bars, count)
    if len(bars) <= count:
        assert found is None
    else:
        assert found == pytest.approx(np.mean(by_definition(bars)[-count:]))


@quick
@given(candles(least=20), st.floats(0.01, 100))
def test_atr_is_in_the_unit_of_the_prices(bars, scale):
    scaled = bars.copy()
    scaled[:, :4] *= scale
    assert average_true_range(scaled) == pytest.approx(scale * average_true_range(bars))


@quick
@given(candles(least=20))
def test_older_candles_do_not_change_atr(bars):
    assert average_true_range(bars[-15:]) == average_true_range(bars)


def test_volatility_is_the_deviation_of_normal_returns():
    rng = np.random.default_rng(0)
    closes = np.exp(np.cumsum(rng.normal(0, 0.02, (400, 96)), axis=1))
    bars = np.repeat(closes[:, :, None], 5, axis=2)
    assert volatility(bars).mean() == pytest.approx(0.02, rel=0.01)
    one = np.diff(np.log(closes[0]))
    expected = sum(abs(step) for step in one) / len(one) * math.sqrt(math.pi / 2)
    assert volatility(bars)[0] == pytest.approx(expected)


def test_a_price_that_stands_still_has_no_volatility():
    assert volatility(np.full((2, 96, 5), 7.0)).tolist() == [0.0, 0.0]
