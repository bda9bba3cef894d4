"""The prediction, `data/vision_ai/predictions/{SYMBOL}_{YYYYMMDD_HHMM}.json`, and its schema."""

from typing import Any, Literal

from pydantic import ConfigDict, Field

from vision_ai.domain import HORIZONS, PHASES, READINGS, Direction, Horizon, Interval, Phase, Setup
from vision_ai.records.fields import (
    Finite,
    IsoTime,
    Probability,
    Record,
    SymbolText,
    renamed,
)


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
        description="similar charts whose outcome is known; the band itself is fitted on many "
        "more charts, and follows these only as far as that fit found them informative",
    )


class NeighborRecord(Record):
    """One similar chart: which one, how similar, what it showed and what followed."""

    symbol: SymbolText
    interval: Interval
    as_of: IsoTime
    similarity: Finite
    weight: Finite
    setup: Setup
    direction: Direction
    phase: Phase
    moves: dict[Horizon, Finite | None] = Field(
        description="simple return from that chart's last close to each horizon"
    )
    by: str | None = Field(default=None, description="who labelled it; null: the rule book")


class AnnotationRecord(Record):
    """A person's label of another chart, and how likely it holds for this one."""

    who: str
    at: IsoTime = Field(description="when they gave it")
    symbol: SymbolText
    interval: Interval
    as_of: IsoTime = Field(description="close of the last candle of the chart they looked at")
    similarity: Finite
    setup: Setup
    direction: Direction
    phase: Phase
    transfer_probability: Probability = Field(
        validation_alias=renamed("transfer_probability", "trust"),
        description="how likely the setup holds for this chart too",
    )


class Unadjusted(Record):
    """The annotations that changed a reading, and what it would have been without them."""

    annotations: list[AnnotationRecord] = Field(
        validation_alias=renamed("annotations", "words"), description="the most probable first"
    )
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
    similarity: Finite = Field(description="mean cosine of the similar charts that voted")
    neighbors: list[NeighborRecord]
    outcome: dict[Horizon, Band] = Field(
        description="empty where closes have no scale: a bare picture, or all of them equal"
    )
    unadjusted: Unadjusted | None = Field(
        default=None,
        validation_alias=renamed("unadjusted", "heard"),
        description="the reading without people's annotations; null: none of them changed it",
    )


class KeyedRecord(Record):
    """A record whose fields can be asked for by name, as those of a dict.

    >>> class Sample(KeyedRecord):
    ...     setup: str
    >>> sample = Sample(setup="trap")
    >>> sample["setup"], sample.get("setup"), sample.get("weather", 0), "weather" in sample
    ('trap', 'trap', 0, False)
    """

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a field; `default` where there is no such field."""
        return getattr(self, key) if key in type(self).model_fields else default

    def __getitem__(self, key: str) -> Any:
        if key not in type(self).model_fields:
            raise KeyError(key)
        return getattr(self, key)

    def __contains__(self, key: object) -> bool:
        return key in type(self).model_fields


class ExternalPrediction(KeyedRecord):
    """What the decision needs of a prediction: `data/cv_predictions/{SYMBOL}_{YYYYMMDD_HHMM}.json`.

    Another program may write such a file with no more than `setup`, `phase` and `confidence` in
    it. Symbol and time are those of the file's name; further keys are ignored.
    """

    model_config = ConfigDict(extra="ignore")

    symbol: SymbolText
    as_of: IsoTime
    setup: Setup
    phase: Phase
    confidence: Probability
    direction: Direction | None = None
    abstained: bool = False
    venue: str = "unknown"


class Prediction(KeyedRecord):
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


def prediction_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of `Prediction`, with one complete example under `examples`."""
    schema = Prediction.model_json_schema()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "examples": [example().model_dump(mode="json")],
    }


def example() -> Prediction:
    """A prediction with every field filled: 15m shows a breakout, 1h was never seen before."""
    breakout, unseen = _breakout(), _unseen()
    return Prediction(
        symbol="BTCUSDT",
        as_of="2025-06-15T12:00:00Z",
        lead_interval=breakout.interval,
        setup=breakout.setup,
        phase=breakout.phase,
        direction=breakout.direction,
        confidence=breakout.confidence,
        abstained=breakout.abstained,
        probabilities=breakout.probabilities,
        neighbors=breakout.neighbors,
        outcome=breakout.outcome,
        intervals={breakout.interval: breakout, unseen.interval: unseen},
        model_version="chart-clip-1",
        index_version="4f1c2a9be07d3358",
        style_hash="9d2f6c1e",
        rules_version="1",
        created_at="2025-06-15T12:00:07Z",
    )


def _breakout() -> IntervalReading:
    return IntervalReading(
        interval=Interval.M15,
        first_candle="2025-06-14T12:00:00Z",
        last_candle="2025-06-15T11:45:00Z",
        last_close=105_230.5,
        klines_hash="b7c1",
        chart="charts/BTCUSDT/15m/BTCUSDT_15m_20250615_1200.png",
        setup=Setup.BREAKOUT,
        direction=Direction.LONG,
        phase=Phase.MARKUP,
        confidence=0.83,
        abstained=False,
        probabilities=_mostly("breakout:long", 0.83),
        phase_probabilities={phase: 0.6 if phase is Phase.MARKUP else 0.1 for phase in PHASES},
        similarity=0.91,
        neighbors=[
            NeighborRecord(
                symbol="ETHUSDT",
                interval=Interval.M15,
                as_of="2024-05-20T19:15:00Z",
                similarity=0.94,
                weight=0.061,
                setup=Setup.BREAKOUT,
                direction=Direction.LONG,
                phase=Phase.MARKUP,
                moves={Horizon.H2: 0.0123, Horizon.H6: None},
            )
        ],
        outcome=_bands(low=-0.006, high=0.009),
        unadjusted=Unadjusted(
            annotations=[
                AnnotationRecord(
                    who="desk-1",
                    at="2025-06-15T11:50:00Z",
                    symbol="BTCUSDT",
                    interval=Interval.M15,
                    as_of="2025-06-15T11:45:00Z",
                    similarity=0.985,
                    setup=Setup.BREAKOUT,
                    direction=Direction.LONG,
                    phase=Phase.MARKUP,
                    transfer_probability=0.31,
                )
            ],
            setup=Setup.BREAKOUT,
            direction=Direction.LONG,
            phase=Phase.MARKUP,
            confidence=0.75,
            abstained=False,
        ),
    )


def _unseen() -> IntervalReading:
    return IntervalReading(
        interval=Interval.H1,
        first_candle="2025-06-11T12:00:00Z",
        last_candle="2025-06-15T11:00:00Z",
        last_close=105_230.5,
        klines_hash="e310",
        chart=None,
        setup=Setup.NONE,
        direction=Direction.NEUTRAL,
        phase=Phase.RANGE,
        confidence=0.0,
        abstained=True,
        abstained_because="fewer than 5 similar charts are eligible as evidence",
        probabilities=_mostly("none:neutral", 0.83),
        phase_probabilities={phase: 0.6 if phase is Phase.RANGE else 0.1 for phase in PHASES},
        similarity=0.0,
        neighbors=[],
        outcome=_bands(low=-0.011, high=0.012),
    )


def _mostly(name: str, share: float) -> dict[str, float]:
    rest = round((1 - share) / (len(READINGS) - 1), 6)
    return {reading.name: share if reading.name == name else rest for reading in READINGS}


def _bands(*, low: float, high: float) -> dict[Horizon, Band]:
    return {
        horizon: Band(
            low=low * growth,
            median=0.0004 * growth,
            high=high * growth,
            level=0.8,
            up_probability=0.53,
            samples=24,
        )
        for horizon, growth in zip(HORIZONS, (1.0, 1.7), strict=True)
    }
