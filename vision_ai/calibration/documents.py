"""What charts show, written down: the records of a prediction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from vision_ai.calibration import annotations, votes
from vision_ai.calibration import fusion as calibrations
from vision_ai.calibration.annotations import Witnesses
from vision_ai.calibration.answers import Answers, claims
from vision_ai.calibration.bands import Bands
from vision_ai.domain import (
    CLOSE,
    HORIZONS,
    PHASES,
    READINGS,
    Embeddings,
    Floats,
    Horizon,
    Interval,
    Klines,
    iso,
)
from vision_ai.records import Band, Heard, IntervalReading, NeighborRecord, WordRecord

_DIGITS = 6


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


def reading(
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
        abstained_because=calibrations.silence(
            int(answers.beliefs.silent[row]), familiarity, similarity
        ),
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
