"""Many charts read at once, column by column, and the record of what each of them shows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from vision_ai.calibration import annotations, fusion, votes
from vision_ai.calibration.annotations import NearbyAnnotations
from vision_ai.calibration.bands import Bands
from vision_ai.calibration.fusion import Calibration, Probabilities
from vision_ai.calibration.votes import Evidence
from vision_ai.domain import (
    CLOSE,
    HORIZONS,
    PHASES,
    READINGS,
    Bools,
    Embeddings,
    Floats,
    Horizon,
    Interval,
    Ints,
    Klines,
    Setup,
    iso,
)
from vision_ai.records import AnnotationRecord, Band, IntervalReading, NeighborRecord, Unadjusted

_NONE = next(code for code, reading in enumerate(READINGS) if reading.setup is Setup.NONE)
_DIGITS = 6


@dataclass(frozen=True, eq=False)
class Answers:
    """What q charts show, column by column: the market scan before any record is written.

    Attributes:
        evidence: neighbors and prompt similarities.
        probabilities: what follows from it, people's annotations included.
        calibration: how it was weighed.
        code: int64 (q,), predicted reading; that of `none` where the chart is abstained from.
        confidence: float (q,), its probability; 0 where the chart is abstained from.
        nearby: annotations of similar charts; None where there are none in the index.
        unadjusted: probabilities without annotations; None where `nearby` is.
    """

    evidence: Evidence
    probabilities: Probabilities
    calibration: Calibration
    code: Ints
    confidence: Floats
    nearby: NearbyAnnotations | None = None
    unadjusted: Probabilities | None = None

    def __len__(self) -> int:
        return len(self.code)

    @property
    def abstained(self) -> Bools:
        """Bool (q,): no reading is given."""
        return self.probabilities.abstain_code > 0

    @property
    def phase(self) -> Ints:
        """Likeliest phase of each chart, codes of `PHASES`."""
        phase: Ints = self.probabilities.phase.argmax(axis=1)
        return phase

    @property
    def bands(self) -> Bands:
        """What may follow each chart."""
        return self.probabilities.bands

    def take(self, rows: Ints | Bools) -> Self:
        """Only the given charts, in the given order."""
        return type(self)(
            self.evidence.take(rows),
            self.probabilities.take(rows),
            self.calibration,
            self.code[rows],
            self.confidence[rows],
            self.nearby and self.nearby.take(rows),
            self.unadjusted and self.unadjusted.take(rows),
        )


def read(
    evidence: Evidence, calibration: Calibration, nearby: NearbyAnnotations | None = None
) -> Answers:
    """Read charts: from evidence to calibrated answers, all at once.

    Args:
        evidence: neighbors and prompt similarities of each chart.
        calibration: how it is weighed.
        nearby: annotations of charts like them, see `NearbyAnnotations.of`.

    Raises:
        StaleIndexError: the calibration was fitted without charts of that interval.
    """
    unadjusted = fusion.fuse(evidence, calibration)
    probabilities = unadjusted
    if nearby is not None:
        probabilities = fusion.apply_annotations(unadjusted, evidence.interval, nearby, calibration)
    code, confidence = predicted(probabilities)
    return Answers(
        evidence,
        probabilities,
        calibration,
        code,
        confidence,
        nearby,
        unadjusted if nearby is not None else None,
    )


def predicted(probabilities: Probabilities) -> tuple[Ints, Floats]:
    """The likeliest reading and its probability, (q,) each; `none` and 0 where abstained."""
    abstained = probabilities.abstain_code > 0
    code = np.where(abstained, _NONE, probabilities.reading.argmax(axis=1))
    return code, np.where(abstained, 0.0, probabilities.reading.max(axis=1))


@dataclass(frozen=True)
class Chart:
    """One chart of one symbol, as the prediction names it.

    Attributes:
        interval: candle length.
        first_ms: open of the first candle.
        last_ms: open of the last candle.
        last_close: its close; None where it was read off a bare picture.
        klines_hash: hash of the candles, or of the picture.
        path: PNG, relative to the data root; None if none was drawn.
    """

    interval: Interval
    first_ms: int
    last_ms: int
    last_close: float | None
    klines_hash: str
    path: str | None = None

    @classmethod
    def of(cls, window: Klines, path: str | None = None) -> Self:
        """The chart of a window of candles."""
        return cls(
            interval=window.interval,
            first_ms=int(window.open_ms[0]),
            last_ms=int(window.open_ms[-1]),
            last_close=float(window.bars[-1, CLOSE]),
            klines_hash=window.digest,
            path=path,
        )

    @property
    def as_of_ms(self) -> int:
        """When the last candle closed."""
        return self.last_ms + self.interval.ms


def interval_reading(
    chart: Chart, answers: Answers, row: int, exemplars: Embeddings, listed: int
) -> IntervalReading:
    """What one chart of a prediction shows, from its row of the answers."""
    reading = READINGS[int(answers.code[row])]
    similarity = float(answers.evidence.mean_similarity[row])
    return IntervalReading(
        interval=chart.interval,
        first_candle=iso(chart.first_ms),
        last_candle=iso(chart.last_ms),
        last_close=chart.last_close,
        klines_hash=chart.klines_hash,
        chart=chart.path,
        setup=reading.setup,
        direction=reading.direction,
        phase=PHASES[int(answers.phase[row])],
        confidence=_rounded(answers.confidence[row]),
        abstained=bool(answers.abstained[row]),
        abstained_because=fusion.abstain_reason(
            int(answers.probabilities.abstain_code[row]),
            answers.calibration.out_of_distribution[chart.interval],
            similarity,
        ),
        probabilities=_named([r.name for r in READINGS], answers.probabilities.reading[row]),
        phase_probabilities=_named(list(PHASES), answers.probabilities.phase[row]),
        similarity=_rounded(similarity),
        neighbors=_neighbors(answers, row, exemplars, listed),
        outcome=_outcome(answers.bands, row),
        unadjusted=_unadjusted(answers.take(np.array([row]))),
    )


def _neighbors(
    answers: Answers, row: int, exemplars: Embeddings, listed: int
) -> list[NeighborRecord]:
    one = answers.evidence.take(np.array([row]))
    strength = votes.strengths(one, answers.calibration.reading.beta)[0]
    share = strength / (strength.sum() or 1.0)
    columns = [column for column in range(min(listed, len(share))) if one.rows[0, column] >= 0]
    annotators = _annotators(answers.nearby)
    return [
        _neighbor(exemplars, int(one.rows[0, c]), one.similarity[0, c], share[c], annotators)
        for c in columns
    ]


def _annotators(nearby: NearbyAnnotations | None) -> dict[int, str]:
    """Who labelled which rows of the index."""
    if nearby is None:
        return {}
    return dict(zip(nearby.labelled.at.tolist(), nearby.labelled.who.tolist(), strict=True))


def _neighbor(
    exemplars: Embeddings, row: int, similarity: float, share: float, annotators: Mapping[int, str]
) -> NeighborRecord:
    reading = READINGS[int(exemplars.reading[row])]
    interval = Interval(str(exemplars.interval[row]))
    moves: dict[Horizon, float | None] = {
        horizon: _rounded(np.expm1(move)) if np.isfinite(move) else None
        for horizon, move in zip(HORIZONS, exemplars.outcomes.move[row], strict=True)
    }
    return NeighborRecord(
        symbol=str(exemplars.symbol[row]),
        interval=interval,
        as_of=iso(int(exemplars.last_ms[row]) + interval.ms),
        similarity=_rounded(similarity),
        weight=_rounded(share),
        setup=reading.setup,
        direction=reading.direction,
        phase=PHASES[int(exemplars.phase[row])],
        moves=moves,
        by=annotators.get(row),
    )


def _unadjusted(one: Answers) -> Unadjusted | None:
    """A single answer without annotations, and those that changed it; None if none did."""
    if one.nearby is None or one.unadjusted is None:
        return None
    transfer = annotations.transfer_probabilities(
        one.nearby, one.evidence.interval, one.calibration.transfer, one.calibration.human_error
    )
    strongest = np.maximum(*transfer)[0]
    order = np.argsort(-strongest, kind="stable").tolist()
    columns = [column for column in order if strongest[column] > 0]
    if not columns:
        return None
    code, confidence = predicted(one.unadjusted)
    reading = READINGS[int(code[0])]
    return Unadjusted(
        annotations=[_annotation(one.nearby, column, transfer[0][0, column]) for column in columns],
        setup=reading.setup,
        direction=reading.direction,
        phase=PHASES[int(one.unadjusted.phase[0].argmax())],
        confidence=_rounded(confidence[0]),
        abstained=bool(one.unadjusted.abstain_code[0] > 0),
    )


def _annotation(nearby: NearbyAnnotations, column: int, probability: float) -> AnnotationRecord:
    row = int(nearby.rows[0, column])
    charts, label = nearby.labelled.rows, READINGS[int(nearby.reading[0, column])]
    return AnnotationRecord(
        who=str(nearby.labelled.who[row]),
        at=iso(int(nearby.labelled.labelled_ms[row])),
        symbol=str(charts.symbol[row]),
        interval=Interval(str(charts.interval[row])),
        as_of=iso(int(charts.close_ms[row])),
        similarity=_rounded(nearby.similarity[0, column]),
        setup=label.setup,
        direction=label.direction,
        phase=PHASES[int(nearby.phase[0, column])],
        transfer_probability=_rounded(probability),
    )


def _outcome(bands: Bands, row: int) -> dict[Horizon, Band]:
    if not np.isfinite(bands.low[row]).all():
        return {}
    return {
        horizon: Band(
            low=_rounded(bands.low[row, column]),
            median=_rounded(bands.median[row, column]),
            high=_rounded(bands.high[row, column]),
            level=float(bands.level[row, column]),
            up_probability=_rounded(bands.up[row, column]),
            samples=int(bands.samples[row, column]),
        )
        for column, horizon in enumerate(HORIZONS)
    }


def _named(names: Sequence[Any], probabilities: Floats) -> dict[Any, float]:
    return {name: _rounded(p) for name, p in zip(names, probabilities, strict=True)}


def _rounded(value: Any) -> float:
    return round(float(value), _DIGITS)
