"""From evidence to probabilities, and when to stay silent: the numbers are a stored record."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from vision_ai.calibration import annotations, bands, votes
from vision_ai.calibration.annotations import Trust, Witnesses
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

Fitted = TypeVar("Fitted")

ENOUGH = 5
"""With fewer look-alikes than this nothing is claimed."""
REPAIR = "Run `vision-ai train` to fit it anew."
_AHEAD = 1e-9
"""Keeps the likeliest reading in front of the next one, beyond what rounding can turn."""


class Facet(Record):
    """How votes and prompts about one facet become logits.

    `alpha * log(share) + text * cosine + bias`, where the share of the vote is that of
    `weight * exp(-beta * (1 - similarity))`, drawn to `prior` by `smoothing` votes.
    """

    alpha: Finite = Field(ge=0)
    beta: Finite = Field(ge=0)
    smoothing: Finite = Field(gt=0)
    text: Finite = Field(ge=0)
    prior: list[Probability]
    bias: list[Finite] = Field(description="also corrects for how exemplars were chosen")


class Sharpness(Record):
    """How sure to be at all: logits are scaled by `exp(log_scale + slope * z)`.

    `z` is the mean similarity of the look-alikes in units of its spread: a chart that is unlike
    its look-alikes is read more humbly.
    """

    log_scale: Finite = 0.0
    slope: Finite = 0.0
    center: Finite = 0.0
    spread: Finite = Field(default=1.0, gt=0)


class Curve(Record):
    """How often the likeliest reading was right, by how likely it was said to be.

    Rising knots with straight lines between; no knots leave probabilities as they are.
    """

    said: list[Probability] = Field(default_factory=list)
    right: list[Probability] = Field(default_factory=list)


class Familiarity(Record):
    """Below these a chart is unlike what was ever seen, and nothing is claimed."""

    similarity: Finite = Field(default=-1.0, description="mean cosine of the look-alikes")
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
    sharpness: dict[Interval, Sharpness]
    curve: dict[Interval, Curve]
    familiarity: dict[Interval, Familiarity]
    bands: dict[Interval, dict[Horizon, BandRule]]
    trust: dict[Interval, Trust] = Field(
        default_factory=dict, description="how far people's words carry; empty if never fitted"
    )
    human_error: Probability = Field(
        default=annotations.ERROR, lt=1, description="how often a person's label is wrong; stated"
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        for name, facet, classes in (
            ("reading", self.reading, len(READINGS)),
            ("phase", self.phase, len(PHASES)),
        ):
            if not len(facet.prior) == len(facet.bias) == classes:
                raise ValueError(f"{name} needs {classes} priors and biases")
        if any(len(curve.said) != len(curve.right) for curve in self.curve.values()):
            raise ValueError("a curve needs as many knots said as right")
        if any(set(rules) != set(HORIZONS) for rules in self.bands.values()):
            raise ValueError("bands need every horizon")
        return self


@dataclass(frozen=True, eq=False)
class Beliefs:
    """What the evidence says of q charts.

    Attributes:
        reading: float (q, readings), probabilities.
        phase: float (q, phases), probabilities.
        silent: int64 (q,), index into `SILENCES` of why nothing is claimed; 0 where it is.
        bands: what may follow.
    """

    reading: Floats
    phase: Floats
    silent: Ints
    bands: Bands

    def take(self, rows: Ints | Bools) -> Self:
        """Only the given charts."""
        return type(self)(
            self.reading[rows], self.phase[rows], self.silent[rows], self.bands.take(rows)
        )


SILENCES = (
    "",
    "fewer than {enough} look-alikes may speak about this chart",
    "its look-alikes are farther away than those of {known:.1%} of known charts "
    "(mean similarity {similarity:.3f}, expected at least {floor:.3f})",
    "no description of a chart fits it as well as it fits {known:.1%} of known charts",
)


def plain(exemplars: Embeddings, *, level: float) -> Calibration:
    """A calibration that was never fitted: votes as they are, bands of all charts, no silence.

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
        sharpness={interval: Sharpness() for interval in CHART_INTERVALS},
        curve={interval: Curve() for interval in CHART_INTERVALS},
        familiarity={interval: Familiarity() for interval in CHART_INTERVALS},
        bands=rules,
    )


def plain_facet(codes: Ints, classes: int) -> Facet:
    """Votes as they are, drawn a little to how often each class occurs among `codes`."""
    counts = np.bincount(codes, minlength=classes) + 1.0
    prior = (counts / counts.sum()).tolist()
    return Facet(alpha=1, beta=20, smoothing=0.1, text=0, prior=prior, bias=[0.0] * classes)


def believe(evidence: Evidence, calibration: Calibration) -> Beliefs:
    """Turn evidence into probabilities, bands and silences.

    Raises:
        StaleIndexError: the calibration was fitted without charts of that interval.
    """
    return Beliefs(
        reading=_reading(evidence, calibration),
        phase=softmax(
            facet_logits(calibration.phase, evidence, evidence.phase, evidence.text_phase)
        ),
        silent=_silent(evidence, calibration),
        bands=_bands(evidence, calibration),
    )


def heed(
    beliefs: Beliefs, interval: NDArray[np.str_], said: Witnesses, calibration: Calibration
) -> Beliefs:
    """The same beliefs with what people said; bit for bit the same where no word carries.

    A chart that was never seen is answered all the same where a word more likely holds than not.
    """
    reading, phase = annotations.trusts(said, interval, calibration.trust, calibration.human_error)
    return Beliefs(
        reading=annotations.pooled(beliefs.reading, reading, said.reading),
        phase=annotations.pooled(beliefs.phase, phase, said.phase),
        silent=np.where(reading.max(axis=1, initial=0) > 0.5, 0, beliefs.silent),
        bands=beliefs.bands,
    )


def reading_logits(evidence: Evidence, calibration: Calibration) -> Floats:
    """Logits (q, readings) before `sharpen`."""
    return facet_logits(calibration.reading, evidence, evidence.reading, evidence.text_reading)


def facet_logits(facet: Facet, evidence: Evidence, codes: Ints, text: Floats) -> Floats:
    """Logits (q, classes) of one facet."""
    strength = votes.strengths(evidence, facet.beta)
    share = votes.shares(strength, codes, np.asarray(facet.prior), facet.smoothing)
    logits: Floats = facet.alpha * np.log(share) + facet.text * text + np.asarray(facet.bias)
    return logits


def straighten(probabilities: Floats, curve: Curve) -> Floats:
    """Probabilities (q, classes) whose highest is as high as it deserves, and stays the highest.

    The others share the rest in proportion.
    """
    if not curve.said:
        return probabilities
    top = probabilities.max(axis=1)
    rest = 1 - top
    second = np.partition(probabilities, -2, axis=1)[:, -2]
    deserved = np.interp(top, curve.said, curve.right)
    least = second / np.maximum(rest + second, 1e-12)  # where the second would catch up
    deserved = np.clip(np.maximum(deserved, least + _AHEAD), 0, 1 - _AHEAD)
    others = (1 - deserved) / np.maximum(rest, 1e-12)
    straight = probabilities * others[:, None]
    straight[np.arange(len(top)), probabilities.argmax(axis=1)] = deserved
    result: Floats = straight / straight.sum(axis=1, keepdims=True)
    return result


def sharpen(evidence: Evidence, calibration: Calibration, logits: Floats) -> Floats:
    """Logits scaled by how sure each interval and similarity allows to be."""
    scaled = np.empty_like(logits)
    for interval, rows in of_interval(evidence):
        how = _known(calibration.sharpness, interval)
        factor = sharpness_factor(how, evidence.mean_similarity[rows])
        scaled[rows] = logits[rows] * factor[:, None]
    return scaled


def sharpness_factor(how: Sharpness, similarity: Floats) -> Floats:
    """What logits are multiplied by, (q,): always positive, so the first class stays first."""
    z = np.clip((similarity - how.center) / how.spread, -3, 3)
    factor: Floats = np.exp(how.log_scale + how.slope * z)
    return factor


def of_interval(evidence: Evidence) -> list[tuple[Interval, Ints]]:
    """The intervals that occur, each with the numbers of its charts."""
    names = np.unique(evidence.interval)
    return [(Interval(str(name)), np.flatnonzero(evidence.interval == name)) for name in names]


def silence(reason: int, familiarity: Familiarity, similarity: float) -> str | None:
    """Why nothing is claimed, in words; None where something is."""
    if reason == 0:
        return None
    return SILENCES[reason].format(
        enough=ENOUGH,
        known=1 - familiarity.tail,
        similarity=similarity,
        floor=familiarity.similarity,
    )


def _reading(evidence: Evidence, calibration: Calibration) -> Floats:
    said = softmax(sharpen(evidence, calibration, reading_logits(evidence, calibration)))
    for interval, rows in of_interval(evidence):
        said[rows] = straighten(said[rows], _known(calibration.curve, interval))
    return said


def _silent(evidence: Evidence, calibration: Calibration) -> Ints:
    reason = np.zeros(len(evidence), np.int64)
    best_text = evidence.text_reading.max(axis=1)
    for interval, rows in of_interval(evidence):
        floor = _known(calibration.familiarity, interval)
        reason[rows[best_text[rows] < floor.text]] = 3
        reason[rows[evidence.mean_similarity[rows] < floor.similarity]] = 2
    reason[evidence.voters < ENOUGH] = 1
    return reason


def _bands(evidence: Evidence, calibration: Calibration) -> Bands:
    drawn = np.empty((len(evidence), len(HORIZONS), 4))
    level = np.empty((len(evidence), len(HORIZONS)))
    strength = votes.strengths(evidence, calibration.reading.beta)
    for interval, rows in of_interval(evidence):
        rules = _known(calibration.bands, interval)
        for column, horizon in enumerate(HORIZONS):
            moves, growth = evidence.moves[rows, :, column], bands.units(interval)[column]
            rule = rules[horizon]
            scale = evidence.scale[rows]
            drawn[rows, column] = bands.apply(rule, moves, strength[rows], scale, growth)
            level[rows, column] = rule.level
    samples = np.isfinite(evidence.moves).sum(axis=1)
    low, median, high, up = np.moveaxis(drawn, 2, 0)
    return Bands(low, median, high, up, samples, level)


def _known(per_interval: Mapping[Interval, Fitted], interval: Interval) -> Fitted:
    if interval not in per_interval:
        raise StaleIndexError(f"The calibration was fitted without {interval} charts.", hint=REPAIR)
    return per_interval[interval]
