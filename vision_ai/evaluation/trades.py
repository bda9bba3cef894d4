"""What following a decision would have earned: entry, exit and costs of each trade.

A trade enters at the open of the first candle after the decision and exits at its target, its
stop, or after `HOLD`, as feedback counts them. Where candles do not decide, the worse is taken: a
candle that touches both levels is a loss, one that opens beyond the stop fills at its open, one
that opens beyond the target at the target.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from vision_ai.domain import CLOSE, OPEN, Floats, Horizon, Klines
from vision_ai.measures.targets import Barriers, first_touch

HOLD = Horizon.H6
"""The longest a trade is held."""

TradeEnd = Literal["target", "stop", "ambiguous", "time"]


@dataclass(frozen=True)
class TradeCall:
    """A decision to join, as the order that it places.

    Attributes:
        symbol: what is traded.
        at_ms: when it was decided.
        sign: +1 to buy, -1 to sell short.
        target: gain that ends it, a fraction of the entry.
        stop: loss that ends it, positive.
    """

    symbol: str
    at_ms: int
    sign: int
    target: float
    stop: float


@dataclass(frozen=True)
class Trade:
    """A decision that was followed; prices before any cost."""

    call: TradeCall
    entry: float
    exit: float
    exit_ms: int
    ended: TradeEnd

    @property
    def held_ms(self) -> int:
        """How long it was open."""
        return self.exit_ms - self.call.at_ms


def follow(klines: Klines, call: TradeCall) -> Trade | None:
    """Enter at the next candle's open and exit at the first level that is touched.

    None where no candle opens at the time of the call, or the candles end before the trade does.

    >>> import numpy as np
    >>> from vision_ai.domain import Interval
    >>> bars = np.array([[100, 101, 99, 100, 1.0], [100, 103, 100, 102, 1.0]])
    >>> klines = Klines("BTCUSDT", Interval.H1, np.array([0, 3_600_000]), bars)
    >>> follow(klines, TradeCall("BTCUSDT", 0, 1, 0.02, 0.02)).ended
    'target'
    """
    if not _has_entry(klines, call):
        return None
    first, end = np.searchsorted(klines.open_ms, [call.at_ms, call.at_ms + HOLD.ms])
    open_ms, bars = klines.open_ms[first:end], klines.bars[first:end]
    barriers = Barriers(float(bars[0, OPEN]), call.sign, call.target, call.stop)
    verdict, row = first_touch(bars, barriers)
    if verdict == "neither":  # held to the end, if the candles reach it
        if klines.close_ms[-1] < call.at_ms + HOLD.ms:
            return None
        exit_ms = int(open_ms[-1]) + klines.interval.ms
        return Trade(call, barriers.entry, float(bars[-1, CLOSE]), exit_ms, "time")
    # a level was touched: the price there, or the open of a candle that began beyond the stop
    gain = _gain(bars[row : row + 1], barriers, won=verdict == "target")
    price = barriers.entry * (1 + call.sign * gain)
    exit_ms = int(open_ms[row]) + klines.interval.ms
    return Trade(call, barriers.entry, price, exit_ms, verdict)


def _has_entry(klines: Klines, call: TradeCall) -> bool:
    row = int(np.searchsorted(klines.open_ms, call.at_ms))
    return row < len(klines) and int(klines.open_ms[row]) == call.at_ms


def _gain(candle: Floats, barriers: Barriers, *, won: bool) -> float:
    if won:
        return barriers.target
    opened = float(barriers.gains(candle)[0][0])
    return min(-barriers.stop, opened)


def follow_all(markets: Iterable[Klines], calls: Sequence[TradeCall]) -> list[Trade]:
    """Follow calls of several symbols, one position a symbol at a time, in order of exit.

    A call while its symbol's position is open is ignored. A position that is still open when the
    candles end is not counted, and nothing is entered after it.

    Args:
        markets: candles of each symbol, the finer the better.
        calls: in any order.
    """
    trades: list[Trade] = []
    for klines in markets:
        free_ms = 0
        own = (call for call in calls if call.symbol == klines.symbol)
        for call in sorted(own, key=lambda call: call.at_ms):
            if call.at_ms < free_ms or not _has_entry(klines, call):
                continue
            trade = follow(klines, call)
            if trade is None:
                break
            trades.append(trade)
            free_ms = trade.exit_ms
    return sorted(trades, key=lambda trade: (trade.exit_ms, trade.call.symbol))


@dataclass(frozen=True, eq=False)
class TradeReturns:
    """What n trades earned, as fractions of the capital put in.

    Attributes:
        gross: float (n,), before costs.
        cost: float (n,), fees and slippage, positive.
    """

    gross: Floats
    cost: Floats

    @property
    def net(self) -> Floats:
        """Float (n,): what is left."""
        return self.gross - self.cost


def returns(trades: Sequence[Trade], *, fee: float, slippage: float) -> TradeReturns:
    """Gross returns and costs.

    Args:
        trades: entries and exits before costs.
        fee: of each fill, a fraction of what changes hands.
        slippage: how much worse than the price each fill is, a fraction of it.

    >>> trade = Trade(TradeCall("BTCUSDT", 0, 1, 0.02, 0.02), 100.0, 102.0, 1, "target")
    >>> round(float(returns([trade], fee=0.001, slippage=0.0).net[0]), 5)
    0.01798
    """
    sign = np.array([trade.call.sign for trade in trades], float)
    entry = np.array([trade.entry for trade in trades], float)
    exit_ = np.array([trade.exit for trade in trades], float)
    gross = sign * (exit_ / entry - 1)
    # slippage makes both fills worse; the fee is taken of what changes hands at each
    paid, got = entry * (1 + sign * slippage), exit_ * (1 - sign * slippage)
    net = sign * (got / paid - 1) - fee * (1 + got / paid)
    return TradeReturns(gross, gross - net)
