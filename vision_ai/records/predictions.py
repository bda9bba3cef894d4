"""The prediction: `data/vision_ai/predictions/{SYMBOL}_{YYYYMMDD_HHMM}.json`."""

from typing import Literal

from pydantic import Field

from vision_ai.domain import Direction, Horizon, Interval, Phase, Setup
from vision_ai.records.fields import Finite, IsoTime, Probability, Record, SymbolText


class Band(Record):
    """Where price may be at a horizon, as simple returns from the last close.

    `low` and `high` bound a band meant to hold with probability `level`.
    """

    low: Finite
    median: Finite
    high: Finite
    level: Probability
    up_probability: Probability
    samples: int = Field(
        ge=0,
        description="look-alikes whose outcome is known; the band itself is fitted on many more "
        "charts, and follows them only as far as that fit found them to tell anything",
    )


class NeighborRecord(Record):
    """One look-alike: where it stands, how alike it is, what it was and what followed."""

    symbol: SymbolText
    interval: Interval
    as_of: IsoTime
    similarity: Finite
    weight: Finite
    setup: Setup
    direction: Direction
    phase: Phase
    moves: dict[Horizon, Finite | None] = Field(
        description="simple return from the look-alike's last close to each horizon"
    )
    by: str | None = Field(default=None, description="who labelled it; null: the rule book")


class WordRecord(Record):
    """What a person said of another chart, and how likely it holds for this one."""

    who: str
    at: IsoTime = Field(description="when they said it")
    symbol: SymbolText
    interval: Interval
    as_of: IsoTime = Field(description="close of the last candle of the chart they looked at")
    similarity: Finite
    setup: Setup
    direction: Direction
    phase: Phase
    trust: Probability = Field(description="how likely the setup holds for this chart too")


class Heard(Record):
    """People's words that bear on a reading, and what would have been shown without them."""

    words: list[WordRecord] = Field(description="the weightiest first")
    setup: Setup
    direction: Direction
    phase: Phase
    confidence: Probability
    abstained: bool


class IntervalReading(Record):
    """What the chart of one interval shows."""

    interval: Interval
    first_candle: IsoTime
    last_candle: IsoTime
    last_close: Finite | None = Field(description="null where it was read off a bare picture")
    klines_hash: str
    chart: str | None = Field(description="PNG, relative to the data root; null if none was drawn")
    setup: Setup
    direction: Direction
    phase: Phase
    confidence: Probability
    abstained: bool
    abstained_because: str | None = None
    probabilities: dict[str, Probability] = Field(description="keys `setup:direction`, sum 1")
    phase_probabilities: dict[Phase, Probability]
    similarity: Finite = Field(description="mean cosine of the look-alikes that voted")
    neighbors: list[NeighborRecord]
    outcome: dict[Horizon, Band] = Field(
        description="empty where closes have no scale: a bare picture, or all of them equal"
    )
    heard: Heard | None = Field(
        default=None, description="what people said of charts like it; null: nothing that bears"
    )


class Prediction(Record):
    """One symbol at one time: `data/vision_ai/predictions/{SYMBOL}_{YYYYMMDD_HHMM}.json`.

    The top level repeats the interval that leads: the more confident one that did not abstain
    and shows a setup. `as_of` is the close of the newest candle that was seen.
    """

    schema_version: Literal[1] = 1
    symbol: SymbolText
    as_of: IsoTime
    source: Literal["klines", "image"] = "klines"
    venue: str = Field(default="bybit-linear", description="`simulated` marks made-up candles")
    lead_interval: Interval
    setup: Setup
    phase: Phase
    direction: Direction
    confidence: Probability
    abstained: bool
    probabilities: dict[str, Probability]
    neighbors: list[NeighborRecord]
    outcome: dict[Horizon, Band]
    intervals: dict[Interval, IntervalReading]
    model_version: str
    index_version: str
    style_hash: str
    rules_version: str
    created_at: IsoTime
