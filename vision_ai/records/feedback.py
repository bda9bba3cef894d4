"""What followed a prediction, what that would change in the model, and the gate's verdicts."""

from typing import Literal, get_args

from pydantic import Field

from vision_ai.domain import Direction, Horizon, Interval, Phase, Setup, Verdict
from vision_ai.records.fields import (
    Finite,
    IsoTime,
    LogLine,
    Probability,
    Record,
    SymbolText,
    renamed,
)

BOUNDS = (0.5, 2.0)
"""No exemplar's vote is changed by more than this, whatever its record."""

PartName = Literal["exemplars", "bands 2h", "bands 6h", "readings"]

UpdateMode = Literal["log-only", "reweight", "finetune"]
"""How far an update goes: written down only, or made into a version if the gate says better."""

UPDATE_MODES: tuple[UpdateMode, ...] = get_args(UpdateMode)


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
    resolved_on: str | None = Field(description="interval of the candles that decided the order")
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
    width_factor: Finite | None = Field(
        default=None,
        validation_alias=renamed("width_factor", "stretch"),
        description="factor for the band's halves at which it just holds the price",
    )
    chart: str | None = Field(default=None, description="PNG, relative to the data root")


class PartVerdict(Record):
    """The gate's verdict on one part of a challenger. Blocks are days."""

    name: PartName
    cases: int = Field(ge=0, description="what was judged: pairs of a hit and a miss, or bands")
    wins: int
    losses: int
    ties: int
    p_value: Probability
    level: Probability = Field(description="what this part may spend of the error rate")
    better: bool
    figures: dict[str, Finite] = Field(description="of the later fold, champion and challenger")


class GateAttempt(LogLine):
    """One challenge: learned until one time, judged on what came later."""

    v: Literal[1] = 1
    number: int = Field(ge=1, description="over all champions: each spends less")
    mode: UpdateMode = Field(default="reweight", validation_alias=renamed("mode", "rung"))
    made_at: IsoTime
    champion: str
    horizon: Horizon
    alpha: Probability
    learned_until: IsoTime
    judged_from: IsoTime
    judged_until: IsoTime
    learned: int = Field(description="lines")
    judged: int = Field(description="lines")
    days: int
    parts: list[PartVerdict]
    promote: bool
    version: str | None = Field(default=None, description="what was made of it, if it passed")


class ExemplarFactor(Record):
    """How much one exemplar's vote should count, relative to now."""

    symbol: SymbolText
    interval: Interval
    as_of: IsoTime
    factor: float = Field(ge=BOUNDS[0], le=BOUNDS[1])
    samples: float = Field(ge=0, description="outcomes it had a share in, overlaps counted once")
    hits: float = Field(ge=0)


class ConfidenceShift(Record):
    """How far the confidence of one bin lies from the share of targets reached."""

    low: Probability
    high: Probability
    samples: float
    delta: Finite = Field(description="to be added to confidence, shrunk towards 0")


class UpdateProposal(Record):
    """What the feedback would change: `data/vision_ai/proposals/{YYYYMMDD_HHMM}.json`."""

    schema_version: Literal[1] = 1
    made_at: IsoTime
    mode: UpdateMode = Field(default="log-only", validation_alias=renamed("mode", "rung"))
    horizon: Horizon
    lines: int = Field(description="judged lines that it rests on")
    samples: float = Field(description="the same, overlapping ones of a symbol counted once")
    base_rate: Probability | None
    exemplars: list[ExemplarFactor]
    recalibration: list[ConfidenceShift]
    width_factor: dict[Horizon, Finite] = Field(
        validation_alias=renamed("width_factor", "stretch"),
        description="factor for the halves of the bands",
    )
    attempt: GateAttempt | None = Field(
        default=None, description="the gate's verdict, if it was asked"
    )
    outcome: str = Field(default="", description="what became of it, in a sentence")
