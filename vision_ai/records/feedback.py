"""What followed a prediction: a line of `data/cv_feedback_logs/{SYMBOL}_{YYYYMMDD_HHMM}.jsonl`."""

from typing import Literal

from pydantic import Field

from vision_ai.domain import Direction, Horizon, Interval, Phase, Setup, Verdict
from vision_ai.records.fields import Finite, IsoTime, LogLine, Probability, SymbolText


class Feedback(LogLine):
    """One line of `data/cv_feedback_logs/{SYMBOL}_{YYYYMMDD_HHMM}.jsonl`: one horizon.

    Moves are simple returns from `entry`. `move` is price's own; `best` and `worst` are the
    largest gain and the largest loss in the setup's direction (of price, where it is neutral).
    """

    v: Literal[1] = 1
    symbol: SymbolText
    as_of: IsoTime
    horizon: Horizon
    interval: Interval
    setup: Setup
    direction: Direction
    phase: Phase
    confidence: Probability
    abstained: bool
    model_version: str
    index_version: str
    move: Finite | None
    best: Finite | None
    worst: Finite | None
    first: Verdict | None
    resolved_on: str | None = Field(description="interval of the candles that settled the order")
    success: bool | None
    covered: bool | None
    reason: str
    checked_at: IsoTime
    venue: str = "bybit-linear"
    entry: Finite | None = Field(default=None, description="price at `as_of`")
    target: Finite | None = Field(default=None, description="gain to be reached, from `entry`")
    stop: Finite | None = Field(default=None, description="loss that ends it, from `entry`")
    first_at: IsoTime | None = Field(default=None, description="open of the deciding candle")
    level: Probability | None = Field(default=None, description="coverage the band was meant for")
    stretch: Finite | None = Field(
        default=None, description="widening of the band's halves that just holds the price"
    )
    chart: str | None = Field(default=None, description="PNG, relative to the data root")
