"""What a chart shows, how sure that is, and what its look-alikes did next: a `Prediction`.

Everything here is pure: look-alikes, prompts and a calibration come in, records come out, and the
same inputs give the same prediction at any later time.

* The reading shown is the likeliest of `READINGS`; `confidence` is its calibrated probability,
  setup *and* direction together.
* A chart unlike anything seen is not guessed at: `setup` is `none`, `abstained` is true,
  `confidence` is 0 and the reason is written down. Phase and probabilities still say what the
  evidence leaned to.
* The lead is the more confident interval that did not abstain and shows a setup; failing that the
  more confident one that did not abstain; failing that, and on a tie, 1h.
* A bare picture has no price scale: it gets no bands, and `outcome` is empty.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np

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
from vision_ai.errors import KlinesError, StaleIndexError
from vision_ai.forecast import calibration as calibrations
from vision_ai.forecast import votes
from vision_ai.forecast.bands import Bands
from vision_ai.forecast.calibration import Beliefs, Calibration
from vision_ai.forecast.fitting import fit
from vision_ai.forecast.schema import prediction_schema
from vision_ai.forecast.votes import Evidence, Prototypes, gather, prototypes
from vision_ai.records import Band, IntervalReading, NeighborRecord, Prediction

UNNAMED = "UNKNOWN"
"""The symbol of a picture that does not say whose chart it is."""

_DIGITS = 6
_NONE = next(code for code, reading in enumerate(READINGS) if reading.setup is Setup.NONE)


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


@dataclass(frozen=True)
class Provenance:
    """What made a prediction, and when."""

    model_version: str
    index_version: str
    style_hash: str
    rules_version: str
    created_ms: int
    venue: str = "bybit-linear"
    source: Literal["klines", "image"] = "klines"


@dataclass(frozen=True, eq=False)
class Answers:
    """What q charts show, column by column: the market scan before any record is written.

    Attributes:
        evidence: what spoke.
        beliefs: what it says.
        calibration: how it was weighed.
        code: int64 (q,), reading shown; that of `none` where nothing is claimed.
        confidence: float (q,), its probability; 0 where nothing is claimed.
    """

    evidence: Evidence
    beliefs: Beliefs
    calibration: Calibration
    code: Ints
    confidence: Floats

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
        beliefs = Beliefs(
            self.beliefs.reading[rows],
            self.beliefs.phase[rows],
            self.beliefs.silent[rows],
            self.beliefs.bands.take(rows),
        )
        evidence = self.evidence.take(rows)
        return type(self)(
            evidence, beliefs, self.calibration, self.code[rows], self.confidence[rows]
        )


def read(evidence: Evidence, calibration: Calibration) -> Answers:
    """Read charts: from evidence to calibrated answers, all at once.

    Raises:
        StaleIndexError: the calibration was fitted without charts of that interval.
    """
    beliefs = calibrations.believe(evidence, calibration)
    silent = beliefs.silent > 0
    best = beliefs.reading.argmax(axis=1)
    return Answers(
        evidence,
        beliefs,
        calibration,
        code=np.where(silent, _NONE, best),
        confidence=np.where(silent, 0.0, beliefs.reading.max(axis=1)),
    )


def check_maker(calibration: Calibration, exemplars: Embeddings) -> None:
    """Refuse a calibration that was fitted for another model or style.

    Raises:
        StaleIndexError: they disagree.
    """
    for facet in ("model", "style"):
        was, expected = getattr(calibration, facet), getattr(exemplars, facet)
        if was != expected:
            raise StaleIndexError(
                f"The calibration was fitted for {facet} {was!r}: expected {expected!r}.",
                hint=calibrations.REPAIR,
            )


def assemble(
    symbol: str,
    charts: Sequence[Chart],
    answers: Answers,
    exemplars: Embeddings,
    provenance: Provenance,
    *,
    shown: int = 5,
) -> Prediction:
    """Write what the charts of one symbol show as the record that is stored.

    Args:
        symbol: checked symbol, or `UNNAMED`.
        charts: one per interval.
        answers: of those charts, in their order (`Answers.take`).
        exemplars: the rows that the look-alikes are of.
        provenance: what made it.
        shown: how many look-alikes are listed.

    Raises:
        KlinesError: no chart, or not as many answers as charts.
    """
    if not charts or len(charts) != len(answers):
        raise KlinesError(
            f"A prediction of {symbol}: expected as many answers as charts and at least one, "
            f"was {len(answers)} for {len(charts)}."
        )
    readings = {
        chart.interval: _reading(chart, answers, row, exemplars, shown)
        for row, chart in enumerate(charts)
    }
    lead = lead_of(list(readings.values()))
    return Prediction(
        symbol=symbol,
        as_of=iso(max(chart.as_of_ms for chart in charts)),
        source=provenance.source,
        venue=provenance.venue,
        lead_interval=lead.interval,
        setup=lead.setup,
        phase=lead.phase,
        direction=lead.direction,
        confidence=lead.confidence,
        abstained=lead.abstained,
        probabilities=lead.probabilities,
        neighbors=lead.neighbors,
        outcome=lead.outcome,
        intervals=readings,
        model_version=provenance.model_version,
        index_version=provenance.index_version,
        style_hash=provenance.style_hash,
        rules_version=provenance.rules_version,
        created_at=iso(provenance.created_ms),
    )


def lead_of(readings: Sequence[IntervalReading]) -> IntervalReading:
    """The interval that speaks for the symbol; see the top of this file."""
    return max(readings, key=_standing)


def _standing(reading: IntervalReading) -> tuple[bool, bool, float, int]:
    shows_setup = not reading.abstained and reading.setup is not Setup.NONE
    return not reading.abstained, shows_setup, reading.confidence, reading.interval.ms


def _reading(
    chart: Chart, answers: Answers, row: int, exemplars: Embeddings, shown: int
) -> IntervalReading:
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
    )


def _neighbors(
    answers: Answers, row: int, exemplars: Embeddings, shown: int
) -> list[NeighborRecord]:
    one = answers.evidence.take(np.array([row]))
    strength = votes.strengths(one, answers.calibration.reading.beta)[0]
    share = strength / (strength.sum() or 1.0)
    listed = [place for place in range(min(shown, len(share))) if one.rows[0, place] >= 0]
    return [
        _neighbor(exemplars, int(one.rows[0, p]), one.similarity[0, p], share[p]) for p in listed
    ]


def _neighbor(exemplars: Embeddings, at: int, similarity: float, share: float) -> NeighborRecord:
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


__all__ = [
    "UNNAMED",
    "Answers",
    "Calibration",
    "Chart",
    "Evidence",
    "Prototypes",
    "Provenance",
    "assemble",
    "check_maker",
    "fit",
    "gather",
    "lead_of",
    "prediction_schema",
    "prototypes",
    "read",
]
