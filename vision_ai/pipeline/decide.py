"""Candles and the newest prediction to a decision."""

from typing import Any, Literal

from pydantic import Field

from vision_ai.domain import Interval, Klines, iso, parse_symbol
from vision_ai.errors import VisionError
from vision_ai.pipeline import candles
from vision_ai.pipeline.workspace import Result, Workspace
from vision_ai.records import IsoTime
from vision_ai.trader_decision import CvReading, simulate_trader_decision_advanced


class DecideResult(Result):
    """A decision with everything that it was made of, as the decision engine returns it."""

    symbol: str
    final_score: float
    score_breakdown: dict[str, float] = Field(description="contributions, which sum to the score")
    decision: Literal["join", "consider", "avoid"]
    grade: str
    confidence: float
    decision_reasons: list[str]
    decided_at: IsoTime = Field(exclude=True)


def decide(workspace: Workspace, symbol: str) -> DecideResult:
    """Score a trade in a symbol from its candles and its newest prediction.

    Raises:
        SymbolError: the symbol is not valid.
        TransientError: the exchange cannot be asked.
    """
    checked = parse_symbol(symbol)
    now_ms = workspace.exchange.server_time()
    klines = candles.sync(workspace, [checked], now_ms)[checked]
    if isinstance(klines, VisionError):
        raise klines
    return DecideResult(**weigh(workspace, klines, now_ms), decided_at=iso(now_ms))


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
