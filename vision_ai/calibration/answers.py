"""Many charts read at once, column by column, and the record of what each of them shows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from vision_ai.calibration import annotations, fusion, votes
from vision_ai.calibration.annotations import Witnesses
from vision_ai.calibration.bands import Bands
from vision_ai.calibration.fusion import Beliefs, Calibration
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
from vision_ai.records import Band, Heard, IntervalReading, NeighborRecord, WordRecord

_NONE = next(code for code, reading in enumerate(READINGS) if reading.setup is Setup.NONE)
_DIGITS = 6


@dataclass(frozen=True, eq=False)
class Answers:
    """What q charts show, column by column: the market scan before any record is written.

    Attributes:
        evidence: what spoke.
        beliefs: what it says.
        calibration: how it was weighed.
        code: int64 (q,), reading shown; that of `none` where nothing is claimed.
        confidence: float (q,), its probability; 0 where nothing is claimed.
        said: what people said of look-alikes; None where nobody said anything.
        unheard: beliefs without people's words; None where nobody said anything.
    """

    evidence: Evidence
    beliefs: Beliefs
    calibration: Calibration
    code: Ints
    confidence: Floats
    said: Witnesses | None = None
    unheard: Beliefs | None = None

    def __len__(self) -> int:
        return len(self.code)

    @property
    def abstained(self) -> Bools:
        """Bool (q,): nothing is claimed."""
        return self.beliefs.silent > 0

    @property
    def phase(self) -> Ints:
        """Likeliest phase of each chart, codes of `PHASES`."""
        phase: Ints = self.beliefs.phase.argmax(axis=1)
        return phase

    @property
    def bands(self) -> Bands:
        """What may follow each chart."""
        return self.beliefs.bands

    def take(self, rows: Ints | Bools) -> Self:
        """Only the given charts, in the given order."""
        return type(self)(
            self.evidence.take(rows),
            self.beliefs.take(rows),
            self.calibration,
            self.code[rows],
            self.confidence[rows],
            self.said and self.said.take(rows),
            self.unheard and self.unheard.take(rows),
        )


def read(evidence: Evidence, calibration: Calibration, said: Witnesses | None = None) -> Answers:
    """Read charts: from evidence to calibrated answers, all at once.

    Args:
        evidence: what speaks about each chart.
        calibration: how it is weighed.
        said: what people said of charts like them, see `Witnesses.of`.

    Raises:
        StaleIndexError: the calibration was fitted without charts of that interval.
    """
    unheard = fusion.believe(evidence, calibration)
    beliefs = unheard
    if said is not None:
        beliefs = fusion.heed(unheard, evidence.interval, said, calibration)
    code, confidence = claims(beliefs)
    return Answers(
        evidence,
        beliefs,
        calibration,
        code,
        confidence,
        said,
        unheard if said is not None else None,
    )


def claims(beliefs: Beliefs) -> tuple[Ints, Floats]:
    """The reading shown and its probability, (q,) each; `none` and 0 where nothing is claimed."""
    silent = beliefs.silent > 0
    code = np.where(silent, _NONE, beliefs.reading.argmax(axis=1))
    return code, np.where(silent, 0.0, beliefs.reading.max(axis=1))


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
    chart: Chart, answers: Answers, row: int, exemplars: Embeddings, shown: int
) -> IntervalReading:
    """What one chart of a prediction shows, from its row of the answers."""
    shows = READINGS[int(answers.code[row])]
    similarity = float(answers.evidence.mean_similarity[row])
    familiarity = answers.calibration.familiarity[chart.interval]
    return IntervalReading(
        interval=chart.interval,
        first_candle=iso(chart.first_ms),
        last_candle=iso(chart.last_ms),
        last_close=chart.last_close,
        klines_hash=chart.klines_hash,
        chart=chart.path,
        setup=shows.setup,
        direction=shows.direction,
        phase=PHASES[int(answers.phase[row])],
        confidence=_rounded(answers.confidence[row]),
        abstained=bool(answers.abstained[row]),
        abstained_because=fusion.silence(int(answers.beliefs.silent[row]), familiarity, similarity),
        probabilities=_named([r.name for r in READINGS], answers.beliefs.reading[row]),
        phase_probabilities=_named(list(PHASES), answers.beliefs.phase[row]),
        similarity=_rounded(similarity),
        neighbors=_neighbors(answers, row, exemplars, shown),
        outcome=_outcome(answers.bands, row),
        heard=_heard(answers.take(np.array([row]))),
    )


def _neighbors(
    answers: Answers, row: int, exemplars: Embeddings, shown: int
) -> list[NeighborRecord]:
    one = answers.evidence.take(np.array([row]))
    strength = votes.strengths(one, answers.calibration.reading.beta)[0]
    share = strength / (strength.sum() or 1.0)
    listed = [place for place in range(min(shown, len(share))) if one.rows[0, place] >= 0]
    by = _labellers(answers.said)
    return [
        _neighbor(exemplars, int(one.rows[0, p]), one.similarity[0, p], share[p], by)
        for p in listed
    ]


def _labellers(said: Witnesses | None) -> dict[int, str]:
    """Who labelled which rows of the index."""
    if said is None:
        return {}
    return dict(zip(said.labelled.at.tolist(), said.labelled.who.tolist(), strict=True))


def _neighbor(
    exemplars: Embeddings, at: int, similarity: float, share: float, by: Mapping[int, str]
) -> NeighborRecord:
    reading = READINGS[int(exemplars.reading[at])]
    interval = Interval(str(exemplars.interval[at]))
    moves: dict[Horizon, float | None] = {
        horizon: _rounded(np.expm1(move)) if np.isfinite(move) else None
        for horizon, move in zip(HORIZONS, exemplars.outcomes.move[at], strict=True)
    }
    return NeighborRecord(
        symbol=str(exemplars.symbol[at]),
        interval=interval,
        as_of=iso(int(exemplars.last_ms[at]) + interval.ms),
        similarity=_rounded(similarity),
        weight=_rounded(share),
        setup=reading.setup,
        direction=reading.direction,
        phase=PHASES[int(exemplars.phase[at])],
        moves=moves,
        by=by.get(at),
    )


def _heard(one: Answers) -> Heard | None:
    """What people said that bears on a single answer, the weightiest first; None if nothing."""
    if one.said is None or one.unheard is None:
        return None
    trust = annotations.trusts(
        one.said, one.evidence.interval, one.calibration.trust, one.calibration.human_error
    )
    strongest = np.maximum(*trust)[0]
    places = [p for p in np.argsort(-strongest, kind="stable").tolist() if strongest[p] > 0]
    if not places:
        return None
    code, confidence = claims(one.unheard)
    shows = READINGS[int(code[0])]
    return Heard(
        words=[_word(one.said, place, trust[0][0, place]) for place in places],
        setup=shows.setup,
        direction=shows.direction,
        phase=PHASES[int(one.unheard.phase[0].argmax())],
        confidence=_rounded(confidence[0]),
        abstained=bool(one.unheard.silent[0] > 0),
    )


def _word(said: Witnesses, place: int, trust: float) -> WordRecord:
    at = int(said.rows[0, place])
    rows, label = said.labelled.rows, READINGS[int(said.reading[0, place])]
    interval = Interval(str(rows.interval[at]))
    return WordRecord(
        who=str(said.labelled.who[at]),
        at=iso(int(said.labelled.said_ms[at])),
        symbol=str(rows.symbol[at]),
        interval=interval,
        as_of=iso(int(rows.close_ms[at])),
        similarity=_rounded(said.similarity[0, place]),
        setup=label.setup,
        direction=label.direction,
        phase=PHASES[int(said.phase[0, place])],
        trust=_rounded(trust),
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
