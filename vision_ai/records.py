"""The forms of what is written to disk for people and other programs: documents and log lines.

Every document carries `schema_version`, every log line its place and its checksum.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from vision_ai.domain import Direction, Horizon, Interval, Phase, Setup

Probability = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
IsoTime = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$")]
SymbolText = Annotated[str, StringConstraints(pattern=r"^[A-Z0-9]{2,30}$")]


class Record(BaseModel):
    """A frozen document that refuses unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


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


Verdict = Literal["target", "stop", "neither", "ambiguous"]


class LogLine(Record):
    """A line that knows its place and its checksum: an edited or moved line shows."""

    line: int = Field(default=0, ge=0, description="its place in the file, from 1")
    check: str = Field(default="", description="SHA-256 of all other fields, 16 hex digits")


class BadLine(Record):
    """A line of a log that is kept but not counted, and why."""

    path: str
    number: int
    reason: str

    def __str__(self) -> str:
        return f"{self.path} line {self.number}: {self.reason}"


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
