"""From evidence to probabilities, and when to abstain: the fitted numbers are a stored record."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from vision_ai.calibration import annotations, bands, votes
from vision_ai.calibration.annotations import AnnotationTransfer, NearbyAnnotations
from vision_ai.calibration.bands import BandRule, Bands
from vision_ai.calibration.votes import Evidence
from vision_ai.domain import (
    CHART_INTERVALS,
    HORIZONS,
    PHASES,
    READINGS,
    Bools,
    Embeddings,
    Floats,
    Horizon,
    Interval,
    Ints,
)
from vision_ai.errors import StaleIndexError
from vision_ai.measures.fitting import softmax
from vision_ai.records import Finite, Probability, Record
from vision_ai.records.fields import renamed

Fitted = TypeVar("Fitted")

LEAST_NEIGHBORS = 5
"""With fewer neighbors than this the chart is abstained from."""
REPAIR = "Run `vision-ai train` to fit it anew."
_MARGIN = 1e-9
"""Least lead of the likeliest reading over the next one, more than rounding can undo."""


class Facet(Record):
    """How votes and prompts about one facet become logits.

    `alpha * log(share) + text * cosine + bias`, where the share of the vote is that of
    `weight * exp(-beta * (1 - similarity))`, shrunk to `prior` by `smoothing` votes.
    """

    alpha: Finite = Field(ge=0)
    beta: Finite = Field(ge=0)
    smoothing: Finite = Field(gt=0)
    text: Finite = Field(ge=0)
    prior: list[Probability]
    bias: list[Finite] = Field(description="also corrects for how exemplars were chosen")


class TemperatureScaling(Record):
    """Temperature scaling: logits are multiplied by `exp(log_scale + slope * z)`.

    That is one over the temperature. `z` is the mean similarity of the neighbors, standardized:
    a chart that is unlike its neighbors gets a higher temperature, so less confident answers.
    """

    log_scale: Finite = 0.0
    slope: Finite = 0.0
    center: Finite = 0.0
    spread: Finite = Field(default=1.0, gt=0)


class ReliabilityMap(Record):
    """How often the likeliest reading was right, by the probability predicted for it.

    An isotonic fit: rising knots, interpolated linearly; no knots leave probabilities unchanged.
    """

    predicted: list[Probability] = Field(
        default_factory=list,
        validation_alias=renamed("predicted", "said"),
        serialization_alias="said",
    )
    observed: list[Probability] = Field(
        default_factory=list,
        validation_alias=renamed("observed", "right"),
        serialization_alias="right",
    )


class OutOfDistribution(Record):
    """Thresholds below which a chart is unlike all known ones, and is abstained from."""

    similarity: Finite = Field(default=-1.0, description="mean cosine of the neighbors")
    text: Finite = Field(default=-1.0, description="cosine with the best matching prompts")
    tail: Probability = Field(default=0.0, description="share of known charts below either")


class Calibration(Record):
    """Everything that turns evidence into a prediction, as fitted on a purged fold."""

    v: Literal[1] = 1
    model: str
    style: str
    fitted_on: str = Field(description="hash of the fold's candles; empty if never fitted")
    n: int = Field(ge=0, description="charts of the fold")
    reading: Facet
    phase: Facet
    temperature: dict[Interval, TemperatureScaling] = Field(
        validation_alias=renamed("temperature", "sharpness"), serialization_alias="sharpness"
    )
    reliability: dict[Interval, ReliabilityMap] = Field(
        validation_alias=renamed("reliability", "curve"), serialization_alias="curve"
    )
    out_of_distribution: dict[Interval, OutOfDistribution] = Field(
        validation_alias=renamed("out_of_distribution", "familiarity"),
        serialization_alias="familiarity",
    )
    bands: dict[Interval, dict[Horizon, BandRule]]
    transfer: dict[Interval, AnnotationTransfer] = Field(
        default_factory=dict,
        validation_alias=renamed("transfer", "trust"),
        serialization_alias="trust",
        description="how likely a person's annotation holds for another chart; empty if not fitted",
    )
    human_error: Probability = Field(
        default=annotations.HUMAN_ERROR_RATE,
        lt=1,
        description="how often a person's label is wrong; stated",
    )

    @property
    def digest(self) -> str:
        """SHA-256 of its content under the names of version 0.1.0: renaming changes no digest."""
        return hashlib.sha256(self.model_dump_json(by_alias=True).encode()).hexdigest()

    @model_validator(mode="after")
    def _fits(self) -> Self:
        for name, facet, classes in (
            ("reading", self.reading, len(READINGS)),
            ("phase", self.phase, len(PHASES)),
        ):
            if not len(facet.prior) == len(facet.bias) == classes:
                raise ValueError(f"{name} needs {classes} priors and biases")
        if any(len(m.predicted) != len(m.observed) for m in self.reliability.values()):
            raise ValueError("a reliability map needs as many predicted as observed knots")
        if any(set(rules) != set(HORIZONS) for rules in self.bands.values()):
            raise ValueError("bands need every horizon")
        return self


@dataclass(frozen=True, eq=False)
class Probabilities:
    """Probabilities, abstentions and bands of q charts.

    Attributes:
        reading: float (q, readings), probabilities.
        phase: float (q, phases), probabilities.
        abstain_code: int64 (q,), index into `ABSTAIN_REASONS`; 0 where there is an answer.
        bands: what may follow.
    """

    reading: Floats
    phase: Floats
    abstain_code: Ints
    bands: Bands

    def take(self, rows: Ints | Bools) -> Self:
        """Only the given charts."""
        return type(self)(
            self.reading[rows], self.phase[rows], self.abstain_code[rows], self.bands.take(rows)
        )


ABSTAIN_REASONS = (
    "",
    "fewer than {least} similar charts are eligible as evidence",
    "its similar charts are farther away than those of {known:.1%} of known charts "
    "(mean similarity {similarity:.3f}, expected at least {floor:.3f})",
    "no description of a chart fits it as well as it fits {known:.1%} of known charts",
)
"""What a person reads about each abstain code; code 0 is an answer."""


def plain(exemplars: Embeddings, *, level: float) -> Calibration:
    """A calibration that was never fitted: plain votes, bands of all charts, no abstention.

    `level` is the nominal coverage of the bands.
    """
    moves = bands.normalized(exemplars.outcomes, exemplars.interval)
    rules = {
        interval: {
            horizon: bands.plain_rule(moves[exemplars.interval == interval, column], level)
            for column, horizon in enumerate(HORIZONS)
        }
        for interval in CHART_INTERVALS
    }
    return Calibration(
        model=exemplars.model,
        style=exemplars.style,
        fitted_on="",
        n=0,
        reading=plain_facet(exemplars.reading, len(READINGS)),
        phase=plain_facet(exemplars.phase, len(PHASES)),
        temperature={interval: TemperatureScaling() for interval in CHART_INTERVALS},
        reliability={interval: ReliabilityMap() for interval in CHART_INTERVALS},
        out_of_distribution={interval: OutOfDistribution() for interval in CHART_INTERVALS},
        bands=rules,
    )


def plain_facet(codes: Ints, classes: int) -> Facet:
    """Votes as they are, shrunk a little towards the class frequencies of `codes`."""
    counts = np.bincount(codes, minlength=classes) + 1.0
    prior = (counts / counts.sum()).tolist()
    return Facet(alpha=1, beta=20, smoothing=0.1, text=0, prior=prior, bias=[0.0] * classes)


def fuse(evidence: Evidence, calibration: Calibration) -> Probabilities:
    """Turn evidence into probabilities, bands and abstentions.

    Raises:
        StaleIndexError: the calibration was fitted without charts of that interval.
    """
    return Probabilities(
        reading=_reading(evidence, calibration),
        phase=softmax(
            facet_logits(calibration.phase, evidence, evidence.phase, evidence.text_phase)
        ),
        abstain_code=_abstain_codes(evidence, calibration),
        bands=_bands(evidence, calibration),
    )


def apply_annotations(
    unadjusted: Probabilities,
    interval: NDArray[np.str_],
    nearby: NearbyAnnotations,
    calibration: Calibration,
) -> Probabilities:
    """The probabilities after people's annotations; bit for bit the same where none transfers.

    A chart that would be abstained from is answered all the same where an annotation more likely
    holds than not.
    """
    reading, phase = annotations.transfer_probabilities(
        nearby, interval, calibration.transfer, calibration.human_error
    )
    return Probabilities(
        reading=annotations.linear_pool(unadjusted.reading, reading, nearby.reading),
        phase=annotations.linear_pool(unadjusted.phase, phase, nearby.phase),
        abstain_code=np.where(reading.max(axis=1, initial=0) > 0.5, 0, unadjusted.abstain_code),
        bands=unadjusted.bands,
    )


def reading_logits(evidence: Evidence, calibration: Calibration) -> Floats:
    """Logits (q, readings) before temperature scaling."""
    return facet_logits(calibration.reading, evidence, evidence.reading, evidence.text_reading)


def facet_logits(facet: Facet, evidence: Evidence, codes: Ints, text: Floats) -> Floats:
    """Logits (q, classes) of one facet."""
    strength = votes.strengths(evidence, facet.beta)
    share = votes.shares(strength, codes, np.asarray(facet.prior), facet.smoothing)
    logits: Floats = facet.alpha * np.log(share) + facet.text * text + np.asarray(facet.bias)
    return logits


def apply_reliability(probabilities: Floats, reliability: ReliabilityMap) -> Floats:
    """Replace the highest of each row (q, classes) by how often such answers were right.

    The others share the rest in proportion, and the highest stays the highest.
    """
    if not reliability.predicted:
        return probabilities
    top = probabilities.max(axis=1)
    rest = 1 - top
    second = np.partition(probabilities, -2, axis=1)[:, -2]
    # The observed share of right answers at this probability.
    calibrated = np.interp(top, reliability.predicted, reliability.observed)
    # Lowering the first raises the others: this is where the second would catch up with it.
    crossing = second / np.maximum(rest + second, 1e-12)
    calibrated = np.clip(np.maximum(calibrated, crossing + _MARGIN), 0, 1 - _MARGIN)
    # Scale the others so that the row sums to one again.
    scale = (1 - calibrated) / np.maximum(rest, 1e-12)
    adjusted = probabilities * scale[:, None]
    adjusted[np.arange(len(top)), probabilities.argmax(axis=1)] = calibrated
    result: Floats = adjusted / adjusted.sum(axis=1, keepdims=True)
    return result


def scale_logits(evidence: Evidence, calibration: Calibration, logits: Floats) -> Floats:
    """Logits times the factor of each chart's interval and similarity (temperature scaling)."""
    scaled = np.empty_like(logits)
    for interval, rows in of_interval(evidence):
        scaling = _fitted_for(calibration.temperature, interval)
        factor = logit_factor(scaling, evidence.mean_similarity[rows])
        scaled[rows] = logits[rows] * factor[:, None]
    return scaled


def logit_factor(scaling: TemperatureScaling, similarity: Floats) -> Floats:
    """One over the temperature, (q,): always positive, so the first class stays first."""
    z = np.clip((similarity - scaling.center) / scaling.spread, -3, 3)
    factor: Floats = np.exp(scaling.log_scale + scaling.slope * z)
    return factor


def of_interval(evidence: Evidence) -> list[tuple[Interval, Ints]]:
    """The intervals that occur, each with the numbers of its charts."""
    names = np.unique(evidence.interval)
    return [(Interval(str(name)), np.flatnonzero(evidence.interval == name)) for name in names]


def abstain_reason(code: int, threshold: OutOfDistribution, similarity: float) -> str | None:
    """Why a chart is abstained from, as a sentence; None where there is an answer."""
    if code == 0:
        return None
    return ABSTAIN_REASONS[code].format(
        least=LEAST_NEIGHBORS,
        known=1 - threshold.tail,
        similarity=similarity,
        floor=threshold.similarity,
    )


def _reading(evidence: Evidence, calibration: Calibration) -> Floats:
    logits = scale_logits(evidence, calibration, reading_logits(evidence, calibration))
    probabilities = softmax(logits)
    for interval, rows in of_interval(evidence):
        reliability = _fitted_for(calibration.reliability, interval)
        probabilities[rows] = apply_reliability(probabilities[rows], reliability)
    return probabilities


def _abstain_codes(evidence: Evidence, calibration: Calibration) -> Ints:
    """Indices into `ABSTAIN_REASONS`, (q,); the lowest reason that holds is named."""
    code = np.zeros(len(evidence), np.int64)
    best_text = evidence.text_reading.max(axis=1)
    for interval, rows in of_interval(evidence):
        threshold = _fitted_for(calibration.out_of_distribution, interval)
        code[rows[best_text[rows] < threshold.text]] = 3
        code[rows[evidence.mean_similarity[rows] < threshold.similarity]] = 2
    code[evidence.voters < LEAST_NEIGHBORS] = 1
    return code


def _bands(evidence: Evidence, calibration: Calibration) -> Bands:
    # Low, median, high and the chance of a rise, of each chart at each horizon.
    columns = np.empty((len(evidence), len(HORIZONS), 4))
    level = np.empty((len(evidence), len(HORIZONS)))
    strength = votes.strengths(evidence, calibration.reading.beta)
    for interval, rows in of_interval(evidence):
        rules = _fitted_for(calibration.bands, interval)
        for column, horizon in enumerate(HORIZONS):
            moves, growth = evidence.moves[rows, :, column], bands.units(interval)[column]
            rule = rules[horizon]
            scale = evidence.scale[rows]
            columns[rows, column] = bands.apply(rule, moves, strength[rows], scale, growth)
            level[rows, column] = rule.level
    samples = np.isfinite(evidence.moves).sum(axis=1)
    low, median, high, up = np.moveaxis(columns, 2, 0)
    return Bands(low, median, high, up, samples, level)


def _fitted_for(per_interval: Mapping[Interval, Fitted], interval: Interval) -> Fitted:
    if interval not in per_interval:
        raise StaleIndexError(f"The calibration was fitted without {interval} charts.", hint=REPAIR)
    return per_interval[interval]
