"""Candles and the newest prediction to a decision."""

from typing import Any

from vision_ai.domain import Interval, Klines, parse_symbol
from vision_ai.errors import VisionError
from vision_ai.market.bybit import Bybit
from vision_ai.pipeline import candles
from vision_ai.pipeline.workspace import Report, Workspace
from vision_ai.trader_decision import INVERTED, CvReading, simulate_trader_decision_advanced


def decide(workspace: Workspace, symbol: str) -> Report:
    """Score a trade in a symbol from its candles and its newest prediction.

    Raises:
        SymbolError: the symbol is not valid.
        TransientError: the exchange cannot be asked.
    """
    checked = parse_symbol(symbol)
    with Bybit(workspace.config.market) as exchange:
        now_ms = exchange.server_time()
        fetched = candles.sync(workspace, exchange, [checked], now_ms)[checked]
    if isinstance(fetched, VisionError):
        raise fetched
    ctx = weigh(workspace, fetched, now_ms)
    lines = [
        f"{checked}: {ctx['decision']}, score {ctx['final_score']:.2f}, grade {ctx['grade']}",
        *(_part(name, part) for name, part in ctx["score_breakdown"].items()),
        "Because:",
        *(f"  {reason}" for reason in ctx["decision_reasons"]),
    ]
    return Report(ctx, lines)


def _part(name: str, part: float) -> str:
    note = "  (pressure against the trend: the less, the more it adds)" if name in INVERTED else ""
    return f"  {name:<28}{part:+.3f}{note}"


def weigh(
    workspace: Workspace, klines: Klines, now_ms: int, *, cv: CvReading | None = None
) -> dict[str, Any]:
    """The decision engine's dict for one symbol's 15m candles at a time.

    Args:
        workspace: settings, and where predictions are.
        klines: the newest candles; later than `now_ms` are not looked at.
        now_ms: the clock, UTC milliseconds.
        cv: the model's reading; looked up in the data root where left out.

    Raises:
        InputError: the candles cannot be used.
    """

    def load(_: str, interval: Interval) -> Klines:
        return klines.resample(interval)

    return simulate_trader_decision_advanced(
        {"symbol": klines.symbol},
        cv=cv,
        root=workspace.paths.root,
        config=workspace.config.decision,
        loader=load,
        now_ms=now_ms,
    )
