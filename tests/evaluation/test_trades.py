"""Trades: where they end when candles leave it open, what they cost, and no look ahead."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vision_ai.domain import Interval, Klines
from vision_ai.evaluation import trades
from vision_ai.evaluation.trades import TradeCall
from vision_ai.market.simulate import simulate

M15 = Interval.M15.ms
HOLD = trades.HOLD.ms // M15


def market(*candles: tuple[float, float, float, float], first_ms: int = 0) -> Klines:
    """Candles that follow each other, then quiet ones until nothing can be held any longer."""
    last = candles[-1][3]
    rows = [*candles, *[(last, last, last, last)] * (HOLD + 1 - len(candles))]
    bars = np.array([[*row, 1.0] for row in rows])
    return Klines("AAAUSDT", Interval.M15, first_ms + np.arange(len(rows)) * M15, bars)


def call(sign: int = 1, at_ms: int = 0, symbol: str = "AAAUSDT") -> TradeCall:
    return TradeCall(symbol, at_ms, sign, 0.02, 0.02)


@pytest.mark.parametrize(
    ("candles", "sign", "ended", "price"),
    [
        (((100, 103, 99, 100),), 1, "target", 102),
        (((100, 101, 97, 100),), 1, "stop", 98),
        (((100, 103, 97, 100),), 1, "ambiguous", 98),
        (((100, 101, 99, 100), (95, 96, 94, 95)), 1, "stop", 95),  # opens beyond the stop
        (((100, 101, 99, 100), (105, 106, 104, 105)), 1, "target", 102),  # no better than it
        (((100, 101, 99, 100.5),), 1, "time", 100.5),
        (((100, 101, 97, 100),), -1, "target", 98),
        (((100, 103, 99, 100),), -1, "stop", 102),
        (((100, 101, 99, 100), (106, 107, 105, 106)), -1, "stop", 106),
    ],
)
def test_where_a_trade_ends(candles, sign: int, ended: str, price: float) -> None:
    trade = trades.follow(market(*candles), call(sign))
    assert trade is not None
    assert (trade.ended, trade.entry) == (ended, 100)
    assert trade.exit == pytest.approx(price)


def test_a_trade_needs_a_candle_to_enter_at_and_an_end() -> None:
    klines = market((100, 101, 99, 100))
    assert trades.follow(klines, call(at_ms=-M15)) is None
    assert trades.follow(klines, call(at_ms=1)) is None
    assert trades.follow(klines, call(at_ms=2 * M15)) is None  # the candles end before it does
    assert trades.follow(klines[:HOLD], call()) is not None
    assert trades.follow(klines[: HOLD - 1], call()) is None


def test_one_position_a_symbol_at_a_time() -> None:
    klines = simulate("AAAUSDT", Interval.M15, 400, seed=3, end_ms=400 * M15)
    every = [call(at_ms=number * M15) for number in range(360)]
    made = trades.follow_all([klines], every)
    assert made
    for before, after in itertools.pairwise(made):
        assert after.call.at_ms >= before.exit_ms


@given(seed=st.integers(0, 200), cut=st.integers(1, 300), step=st.integers(1, 9))
@settings(max_examples=40, deadline=None)
def test_later_candles_change_no_trade_that_has_ended(seed: int, cut: int, step: int) -> None:
    klines = simulate("AAAUSDT", Interval.M15, 300, seed=seed, end_ms=300 * M15)
    calls = [call(1 - 2 * (n % 2), n * M15) for n in range(0, 300, step)]
    now_ms = cut * M15
    full = [trade for trade in trades.follow_all([klines], calls) if trade.exit_ms <= now_ms]
    known = [made for made in calls if made.at_ms <= now_ms]
    assert trades.follow_all([klines.until(now_ms)], known) == full


@given(
    seed=st.integers(0, 200),
    fee=st.floats(0, 0.01),
    slippage=st.floats(0, 0.01),
    more=st.floats(0.0001, 0.01),
)
@settings(max_examples=40, deadline=None)
def test_costs_only_ever_cost(seed: int, fee: float, slippage: float, more: float) -> None:
    klines = simulate("AAAUSDT", Interval.M15, 200, seed=seed, end_ms=200 * M15)
    made = trades.follow_all([klines], [call(1 - 2 * (n % 2), n * M15) for n in range(100)])
    free = trades.returns(made, fee=0, slippage=0)
    assert np.allclose(free.cost, 0)
    cheap = trades.returns(made, fee=fee, slippage=slippage)
    assert np.array_equal(cheap.gross, free.gross)
    assert (trades.returns(made, fee=fee + more, slippage=slippage).net < cheap.net).all()
    assert (trades.returns(made, fee=fee, slippage=slippage + more).net < cheap.net).all()


def test_a_buyer_and_a_seller_mirror_each_other_before_costs() -> None:
    up = trades.follow(market((100, 101, 99, 101)), call(1))
    down = trades.follow(market((100, 101, 99, 101)), call(-1))
    assert up is not None
    assert down is not None
    both = trades.returns([up, down], fee=0, slippage=0).gross
    assert both.sum() == pytest.approx(0)


def walked(klines: Klines, made: TradeCall) -> tuple[str, float, int] | None:
    """How a trade ends, price and time, by a walk from candle to candle in prices."""
    rows = [row for row, at in enumerate(klines.open_ms.tolist()) if at >= made.at_ms]
    if not rows or klines.open_ms[rows[0]] != made.at_ms:
        return None
    entry = float(klines.bars[rows[0], 0])
    goal, loss = entry * (1 + made.sign * made.target), entry * (1 - made.sign * made.stop)
    for row in rows[:HOLD]:
        opened, high, low, close = klines.bars[row, :4].tolist()
        best, worst = (high, low) if made.sign > 0 else (low, high)
        until = int(klines.open_ms[row]) + M15
        if made.sign * (opened - goal) >= 0:
            return "target", goal, until
        if made.sign * (opened - loss) <= 0:
            return "stop", opened, until
        met_goal, met_loss = made.sign * (best - goal) >= 0, made.sign * (worst - loss) <= 0
        if met_loss:
            return ("ambiguous" if met_goal else "stop"), loss, until
        if met_goal:
            return "target", goal, until
    if len(rows) < HOLD:
        return None
    return "time", close, until


@given(
    seed=st.integers(0, 500),
    sign=st.sampled_from([1, -1]),
    at=st.integers(0, 60),
    target=st.floats(0.002, 0.03),
    stop=st.floats(0.002, 0.03),
)
@settings(max_examples=100, deadline=None)
def test_a_trade_ends_where_a_walk_by_hand_ends_it(seed, sign, at, target, stop) -> None:
    klines = simulate("AAAUSDT", Interval.M15, 70, seed=seed, end_ms=70 * M15)
    made = TradeCall("AAAUSDT", at * M15, sign, target, stop)
    trade, expected = trades.follow(klines, made), walked(klines, made)
    if expected is None:
        assert trade is None
        return
    assert trade is not None
    assert (trade.ended, trade.exit_ms) == (expected[0], expected[2])
    assert trade.exit == pytest.approx(expected[1])
    assert trade.held_ms == expected[2] - at * M15


@given(
    sign=st.sampled_from([1, -1]),
    entry=st.floats(1, 1000),
    gain=st.floats(-0.2, 0.2),
    fee=st.floats(0, 0.01),
    slippage=st.floats(0, 0.01),
)
def test_costs_are_those_of_buying_and_selling_one_unit(sign, entry, gain, fee, slippage) -> None:
    leave = entry * (1 + gain)
    trade = trades.Trade(call(sign), entry, leave, M15, "time")
    found = trades.returns([trade], fee=fee, slippage=slippage)
    worse_entry = entry * (1 + slippage) if sign > 0 else entry * (1 - slippage)
    worse_exit = leave * (1 - slippage) if sign > 0 else leave * (1 + slippage)
    earned = sign * (worse_exit - worse_entry) - fee * (worse_entry + worse_exit)
    assert found.net[0] == pytest.approx(earned / worse_entry, abs=1e-12)
    assert found.gross[0] == pytest.approx(sign * gain, abs=1e-12)


def test_symbols_are_followed_each_by_itself_and_told_in_order_of_exit() -> None:
    markets = [
        Klines(name, k.interval, k.open_ms, k.bars)
        for name, k in (
            ("AAAUSDT", market((100, 101, 99, 100), (100, 103, 100, 102))),
            ("BBBUSDT", market((100, 103, 99, 102))),
        )
    ]
    made = trades.follow_all(markets, [call(symbol="BBBUSDT"), call(), call(symbol="CCCUSDT")])
    assert [(one.call.symbol, one.exit_ms // M15) for one in made] == [
        ("BBBUSDT", 1),
        ("AAAUSDT", 2),
    ]


def test_nothing_is_entered_after_a_position_that_the_candles_leave_open() -> None:
    klines = market((100, 101, 99, 100))[: HOLD + 1]
    late = [call(at_ms=M15 * row) for row in (1, 2, 3)]
    assert [one.call.at_ms // M15 for one in trades.follow_all([klines], late)] == [1]
