import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.labels.walks import klines_of
from vision_ai.domain import CLOSE, HIGH, HORIZONS, LOW, WINDOW, Interval, Klines
from vision_ai.measures.targets import Barriers, first_touch, forward_outcomes

quick = settings(max_examples=50, deadline=None)


def with_gap(klines: Klines, start: int, stop: int) -> Klines:
    keep = np.r_[0:start, stop : len(klines)]
    return Klines(klines.symbol, klines.interval, klines.open_ms[keep], klines.bars[keep])


def by_hand(klines: Klines, end: int, horizon_ms: int) -> tuple[float, float, float]:
    """Move, best and worst by walking candle by candle; NaN where one is missing."""
    at = {int(t): row for t, row in zip(klines.open_ms, klines.bars, strict=True)}
    start = klines.bars[end, CLOSE]
    first = int(klines.open_ms[end]) + klines.interval.ms
    times = range(first, first + horizon_ms, klines.interval.ms)
    if any(t not in at for t in times):
        return math.nan, math.nan, math.nan
    best = max(math.log(at[t][HIGH] / start) for t in times)
    worst = min(math.log(at[t][LOW] / start) for t in times)
    return math.log(at[times[-1]][CLOSE] / start), best, worst


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([Interval.M15, Interval.H1]),
    st.integers(97, 150),
    st.integers(0, 6),
)
def test_outcomes_equal_a_walk_by_hand(seed: int, interval: Interval, gap: int, missing: int):
    klines = with_gap(klines_of(170, seed, interval), gap, gap + missing)
    ends = klines.window_ends()
    measured = forward_outcomes(klines, ends)
    for row, end in enumerate(ends):
        for column, horizon in enumerate(HORIZONS):
            told = (
                measured.move[row, column],
                measured.best[row, column],
                measured.worst[row, column],
            )
            np.testing.assert_allclose(told, by_hand(klines, end, horizon.ms), atol=1e-12)
            known = int(klines.open_ms[end]) + interval.ms + horizon.ms
            assert measured.complete_ms[row, column] == known


def test_best_and_worst_enclose_the_move():
    klines = klines_of(300, 4)
    measured = forward_outcomes(klines, klines.window_ends()[:-30])
    assert (measured.worst <= measured.move).all()
    assert (measured.move <= measured.best).all()


def test_the_newest_charts_have_no_outcome_yet():
    klines = klines_of(WINDOW, 1)
    measured = forward_outcomes(klines, klines.window_ends())
    assert np.isnan(measured.move).all()
    assert (measured.complete_ms > klines.close_ms[-1]).all()


def test_scale_is_the_volatility_inside_the_window():
    klines = klines_of(400, 9)
    ends = klines.window_ends()
    measured = forward_outcomes(klines, ends)
    for row in (0, 100, 304):
        closes = np.log(klines.bars[ends[row] - WINDOW + 1 : ends[row] + 1, CLOSE])
        expected = np.abs(np.diff(closes)).mean() * math.sqrt(math.pi / 2)
        assert measured.scale[row] == pytest.approx(expected)


def test_later_candles_change_no_known_outcome():
    klines = klines_of(300, 2)
    ends = klines.window_ends()[:100]
    then, now = forward_outcomes(klines[:230], ends), forward_outcomes(klines, ends)
    np.testing.assert_array_equal(then.move, now.move)
    np.testing.assert_array_equal(then.scale, now.scale)


def test_no_charts_have_no_outcomes():
    measured = forward_outcomes(klines_of(50, 0), np.empty(0, np.int64))
    assert measured.move.shape == (0, len(HORIZONS))


@st.composite
def paths(draw) -> np.ndarray:
    """Candles (n, 5) around 100 whose highs and lows enclose their opens and closes."""
    n, seed = draw(st.integers(0, 30)), draw(st.integers(0, 2**31))
    rng = np.random.default_rng(seed)
    size = draw(st.sampled_from([0.7, 4.0]))  # the latter opens beyond levels and meets both
    opened, closed = 100 + np.cumsum(rng.normal(0, size, (2, n)), axis=1)
    high = np.maximum(opened, closed) + rng.exponential(size / 2, n)
    low = np.minimum(opened, closed) - rng.exponential(size / 2, n)
    return np.column_stack([opened, high, low, closed, np.ones(n)])


def touched_first(bars: np.ndarray, sign: int, target: float, stop: float) -> tuple[str, int]:
    """Walk from candle to candle: what price met first, by the levels as prices."""
    goal, loss = 100 * (1 + sign * target), 100 * (1 - sign * stop)
    for row, (opened, high, low, *_) in enumerate(bars.tolist()):
        best, worst = (high, low) if sign > 0 else (low, high)
        met_goal, met_loss = sign * best >= sign * goal, sign * worst <= sign * loss
        if met_goal and sign * opened >= sign * goal:
            return "target", row
        if met_loss and sign * opened <= sign * loss:
            return "stop", row
        if met_goal and met_loss:
            return "ambiguous", row
        if met_goal or met_loss:
            return ("target" if met_goal else "stop"), row
    return "neither", -1


@quick
@given(paths(), st.sampled_from([1, -1]), st.floats(0.003, 0.05), st.floats(0.003, 0.05))
def test_the_first_touch_equals_a_walk_by_hand(bars, sign, target, stop):
    found = first_touch(bars, Barriers(100.0, sign, target, stop))
    assert found == touched_first(bars, sign, target, stop)


@quick
@given(paths(), st.floats(0.003, 0.05), st.floats(0.003, 0.05))
def test_later_candles_change_no_verdict(bars, target, stop):
    levels = Barriers(100.0, 1, target, stop)
    verdict, row = first_touch(bars, levels)
    assert first_touch(bars[: row + 1] if row >= 0 else bars, levels) == (verdict, row)


def test_a_level_that_is_reached_to_the_last_digit_is_touched():
    assert 3.3 / 3 - 1 < 0.1  # what floats make of a rise of a tenth
    bars = np.array([[3.0, 3.3, 3.0, 3.0, 1.0]])
    assert first_touch(bars, Barriers(3.0, 1, 0.1, 0.1)) == ("target", 0)
    assert first_touch(bars, Barriers(3.0, -1, 0.1, 0.1)) == ("stop", 0)


@quick
@given(paths(), st.sampled_from([1, -1]))
def test_gains_of_the_two_sides_are_each_others_losses(bars, sign):
    opened, best, worst = Barriers(100.0, sign, 0.02, 0.02).gains(bars)
    other_opened, other_best, other_worst = Barriers(100.0, -sign, 0.02, 0.02).gains(bars)
    np.testing.assert_allclose(opened, -other_opened)
    np.testing.assert_allclose(best, -other_worst)
    np.testing.assert_allclose(worst, -other_best)
    assert (worst <= opened).all()
    assert (opened <= best).all()
