from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.feedback.examples import (
    AS_OF,
    H_MS,
    KLINES,
    M15,
    flat,
    prediction,
    walk,
    with_candle,
)
from vision_ai.config import FeedbackConfig
from vision_ai.domain import CLOSE, HIGH, LOW, OPEN, Direction, Horizon, Interval, Klines, Setup
from vision_ai.feedback_loop_cv import WaitingOutcome, resolve
from vision_ai.measures.indicators import average_true_range
from vision_ai.measures.targets import Barriers, first_touch
from vision_ai.records import Feedback

CONFIG = FeedbackConfig()
NOW = AS_OF + 7 * H_MS


def resolved(
    klines: Klines, *, fine: Klines | None = None, now: int = NOW, **said: Any
) -> Feedback:
    config = said.pop("config", CONFIG)
    horizon = said.pop("horizon", Horizon.H2)
    result = resolve(prediction(**said), horizon, klines, fine, config, now)
    assert isinstance(result, Feedback)
    return result


def after(count: int = 24) -> Klines:
    """The candle before `as_of` and the ones that follow it."""
    return flat(count + 1, AS_OF - M15)


@pytest.mark.parametrize(
    ("candle", "direction", "first", "success"),
    [
        ((100, 102, 99, 101), Direction.LONG, "target", True),
        ((100, 101, 98, 99), Direction.LONG, "stop", False),
        ((100, 101, 98, 99), Direction.SHORT, "target", True),
        ((100, 102, 99, 101), Direction.SHORT, "stop", False),
        ((100, 101.9, 98.1, 100), Direction.LONG, "neither", False),
        ((100, 103, 97, 100), Direction.LONG, "ambiguous", False),
        ((102.5, 103, 97, 100), Direction.LONG, "target", True),  # opened beyond the target
        ((97.5, 103, 97, 100), Direction.LONG, "stop", False),  # opened beyond the stop
    ],
)
def test_what_came_first_decides(candle, direction, first, success) -> None:
    line = resolved(with_candle(after(), 3, candle), direction=direction)
    assert (line.first, line.success) == (first, success)
    assert line.first_at is None if first == "neither" else line.first_at


def test_a_candle_that_touches_both_counts_as_a_loss_and_says_so() -> None:
    line = resolved(with_candle(after(), 3, (100, 103, 97, 100)))
    assert line.success is False
    assert line.reason.startswith("ambiguous")
    assert line.resolved_on == "15m"


@pytest.mark.parametrize(("up_first", "first"), [(True, "target"), (False, "stop")])
def test_finer_candles_decide_the_order(up_first: bool, first: str) -> None:
    coarse = with_candle(after(), 3, (100, 103, 97, 100))
    fine = flat(15, AS_OF + 2 * M15, interval=Interval.M1)
    rows = (4, 9) if up_first else (9, 4)
    fine = with_candle(fine, rows[0], (100, 103, 100, 100))
    fine = with_candle(fine, rows[1], (100, 100, 97, 100))
    line = resolved(coarse, fine=fine)
    assert (line.first, line.resolved_on) == (first, "1m")


def test_finer_candles_with_a_hole_decide_nothing() -> None:
    coarse = with_candle(after(), 3, (100, 103, 97, 100))
    fine = with_candle(flat(15, AS_OF + 2 * M15, interval=Interval.M1), 4, (100, 103, 100, 100))
    assert resolved(coarse, fine=fine[:14]).first == "ambiguous"


def test_finer_candles_that_disagree_decide_nothing() -> None:
    coarse = with_candle(after(), 3, (100, 103, 97, 100))
    fine = flat(15, AS_OF + 2 * M15, interval=Interval.M1)
    assert resolved(coarse, fine=fine).first == "ambiguous"


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"abstained": True}, "abstained"),
        ({"setup": Setup.NONE, "direction": Direction.NEUTRAL}, "no direction"),
        ({"setup": Setup.RANGE, "direction": Direction.NEUTRAL}, "no direction"),
    ],
)
def test_a_call_that_argues_for_nothing_is_measured_but_not_judged(said, reason) -> None:
    line = resolved(with_candle(after(), 3, (100, 103, 97, 100)), **said)
    assert line.success is None
    assert line.first is None
    assert reason in line.reason
    assert line.move is not None
    assert line.covered is True


def test_a_bare_picture_is_not_judged() -> None:
    line = resolved(after(), close=None)
    assert (line.success, line.move) == (None, None)
    assert "picture" in line.reason


def test_moves_are_in_the_direction_of_the_setup() -> None:
    klines = with_candle(after(), 3, (100, 101, 99.5, 100.5))
    line = resolved(klines, direction=Direction.SHORT)
    assert line.best == pytest.approx(0.005)
    assert line.worst == pytest.approx(-0.01)


def test_the_band_is_judged_from_the_close_of_the_leading_chart() -> None:
    as_of = AS_OF // H_MS * H_MS + 3 * M15  # the 1h chart ended 45 minutes earlier
    klines = flat(24, as_of - 4 * M15)
    at_lead_end = with_candle(klines, 8, (100, 101.5, 100, 101.5))  # closes 2 h after 1h's end
    line = resolved(at_lead_end, as_of_ms=as_of, lead=Interval.H1, now=as_of + H_MS * 7)
    assert line.covered is False
    assert line.width_factor == pytest.approx(1.5)
    assert line.move == pytest.approx(0.0)


def test_a_multiple_of_the_true_range_replaces_the_fixed_target() -> None:
    klines = flat(40, AS_OF - 20 * M15)
    line = resolved(klines, config=FeedbackConfig(atr_multiple=3.0, stop=0.01))
    assert line.target == pytest.approx(0.006, rel=0.01)
    assert line.stop == pytest.approx(0.003, rel=0.01)


def waits(klines: Klines, reason: str, *, config: FeedbackConfig = CONFIG, **said: Any) -> None:
    """It waits with that reason, and is given up with the same one later."""
    call = prediction(**said)
    result = resolve(call, Horizon.H2, klines, None, config, NOW)
    assert isinstance(result, WaitingOutcome)
    assert reason in result.reason
    late = AS_OF + Horizon.H2.ms + round(config.give_up_h * H_MS)
    final = resolve(call, Horizon.H2, klines, None, config, late)
    assert isinstance(final, Feedback)
    assert (final.success, final.move) == (None, None)
    assert final.reason.startswith("gave up")
    assert reason in final.reason


def test_missing_candles_wait_and_expire() -> None:
    klines = after()
    rows = np.arange(len(klines)) != 4
    holed = Klines(klines.symbol, klines.interval, klines.open_ms[rows], klines.bars[rows])
    waits(holed, "1 of 8 candles")


def test_no_candles_wait() -> None:
    waits(Klines.empty("BTCUSDT", Interval.M15), "8 of 8")


def test_a_halted_market_waits() -> None:
    klines = after()
    bars = klines.bars.copy()
    bars[:, 4] = 0
    waits(Klines(klines.symbol, klines.interval, klines.open_ms, bars), "halted")


def test_candles_of_another_market_wait() -> None:
    waits(after(), "the prediction saw 90", close=90.0)


def test_missing_history_of_the_true_range_waits() -> None:
    waits(after(), "true range", config=FeedbackConfig(atr_multiple=2.0))


def test_candles_that_do_not_start_at_as_of_wait() -> None:
    hourly = flat(9, AS_OF // H_MS * H_MS - H_MS, interval=Interval.H1)
    waits(hourly, "do not start at")


def test_an_unfinished_horizon_waits_whatever_candles_say() -> None:
    result = resolve(prediction(), Horizon.H2, after(), None, CONFIG, AS_OF + Horizon.H2.ms - 1)
    assert isinstance(result, WaitingOutcome)
    assert "are over at" in result.reason


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000), horizon=st.sampled_from(list(Horizon)), extra=st.integers(0, 60)
)
def test_later_candles_change_no_line(seed: int, horizon: Horizon, extra: int) -> None:
    klines = walk(90, AS_OF - 20 * M15, seed)
    close = float(klines.bars[19, CLOSE])
    end = 20 + horizon.bars(Interval.M15)
    config = FeedbackConfig(atr_multiple=4.0)
    lines = [
        resolve(prediction(close=close), horizon, part, None, config, AS_OF + 30 * H_MS)
        for part in (klines[:end], klines[: end + extra])
    ]
    assert lines[0] == lines[1]


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), factor=st.sampled_from([1e-8, 0.37, 1e8]))
def test_the_unit_of_price_changes_no_verdict(seed: int, factor: float) -> None:
    klines = walk(40, AS_OF - M15, seed)
    bars = klines.bars.copy()
    bars[:, :4] *= factor
    scaled = Klines(klines.symbol, klines.interval, klines.open_ms, bars)
    close = float(klines.bars[0, CLOSE])
    line = resolved(klines, close=close)
    other = resolved(scaled, close=close * factor)
    assert (line.first, line.first_at, line.success) == (other.first, other.first_at, other.success)
    assert line.move == pytest.approx(other.move)


def brute_force(bars: np.ndarray, entry: float, sign: int, size: float) -> str:
    """Walk candle by candle and price by price, levels as prices."""
    up, down = entry * (1 + size), entry * (1 - size)
    for candle in bars:
        reached = {"up": candle[HIGH] >= up, "down": candle[LOW] <= down}
        if candle[OPEN] >= up:
            reached["down"] = False
        elif candle[OPEN] <= down:
            reached["up"] = False
        if all(reached.values()):
            return "ambiguous"
        for name, level in reached.items():
            if level:
                return "target" if (name == "up") == (sign > 0) else "stop"
    return "neither"


@settings(max_examples=50, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    sign=st.sampled_from([1, -1]),
    size=st.sampled_from([0.003, 0.01, 0.02]),
)
def test_quarter_hours_with_minutes_say_what_minutes_say(seed: int, sign: int, size: float) -> None:
    minutes = walk(375, AS_OF - M15, seed, interval=Interval.M1, step=0.0015)
    check_against_minutes(minutes, AS_OF, sign, size)


def check_against_minutes(minutes: Klines, as_of_ms: int, sign: int, size: float) -> str:
    start = int(np.searchsorted(minutes.open_ms, as_of_ms))
    entry = float(minutes.bars[start - 1, CLOSE])
    path = minutes.bars[start : start + 360]
    direction = Direction.LONG if sign > 0 else Direction.SHORT
    line = resolve(
        prediction(close=entry, direction=direction, as_of_ms=as_of_ms, symbol=minutes.symbol),
        Horizon.H6,
        minutes.resample(Interval.M15),
        minutes,
        FeedbackConfig(target=size, stop=size),
        as_of_ms + 6 * H_MS,
    )
    assert isinstance(line, Feedback)
    assert line.first == brute_force(path, entry, sign, size)
    return str(line.first)


@pytest.mark.klines
@pytest.mark.parametrize("symbol", ["BTCUSDT", "LAYERUSDT", "ENAUSDT"])
def test_real_quarter_hours_with_minutes_say_what_minutes_say(symbol: str) -> None:
    path = KLINES / "fine" / f"binance-linear_{symbol}_1m.parquet"
    if not path.exists():
        pytest.skip(f"no real candles at {path}; set VISION_AI_KLINES")
    pandas = pytest.importorskip("pandas")
    frame = pandas.read_parquet(path)
    columns = ["open", "high", "low", "close", "volume"]
    minutes = Klines(
        symbol, Interval.M1, frame["open_ms"].to_numpy(), frame[columns].to_numpy(float)
    )
    rng = np.random.default_rng(0)
    seen = set()
    for row in rng.integers(1000, len(minutes) - 1000, 60):
        as_of_ms = int(minutes.open_ms[row]) // M15 * M15
        start = int(np.searchsorted(minutes.open_ms, as_of_ms))
        part = minutes[start - 15 : start + 400]
        if part.gaps() or part.open_ms[15] != as_of_ms:
            continue
        for size in (0.001, 0.004, 0.02):
            seen.add(check_against_minutes(part, as_of_ms, int(rng.choice([1, -1])), size))
    assert {"target", "stop"} <= seen


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_a_mirrored_market_mirrors_the_touch(seed: int) -> None:
    """In the space of simple returns: a bar's gains change sign and swap."""
    bars = walk(24, AS_OF, seed).bars
    mirrored = 200 - bars[:, [OPEN, LOW, HIGH, CLOSE]]
    mirrored = np.c_[mirrored, bars[:, 4]]
    long, short = Barriers(100, 1, 0.02, 0.015), Barriers(100, -1, 0.02, 0.015)
    assert first_touch(bars, long) == first_touch(mirrored, short)


def test_the_true_range_needs_a_candle_before() -> None:
    bars = flat(15, AS_OF).bars
    assert average_true_range(bars) == pytest.approx(0.2)
    assert average_true_range(bars[:14]) is None
