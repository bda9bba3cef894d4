"""What a chart shows, how sure that is, and what similar charts did next: a `Prediction`.

Everything here is pure: neighbors, prompts and a calibration come in, records come out, and the
same inputs give the same prediction at any later time.

* The reading shown is the likeliest of `READINGS`; `confidence` is its calibrated probability,
  setup *and* direction together.
* A chart unlike all known ones is abstained from: `setup` is `none`, `abstained` is true,
  `confidence` is 0 and the reason is written down. Phase and probabilities still show what the
  evidence leaned to.
* The lead is the more confident interval that did not abstain and shows a setup; failing that the
  more confident one that did not abstain; failing that, and on a tie, 1h.
* A bare picture has no price scale: it gets no bands, and `outcome` is empty.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from vision_ai.calibration import fusion
from vision_ai.calibration.annotations import NearbyAnnotations
from vision_ai.calibration.answers import Answers, Chart, interval_reading, read
from vision_ai.calibration.fitting import fit
from vision_ai.calibration.fusion import Calibration
from vision_ai.calibration.votes import Evidence, Prototypes, gather, prototypes
from vision_ai.domain import Embeddings, Setup, iso
from vision_ai.errors import KlinesError, StaleIndexError
from vision_ai.records import IntervalReading, Prediction, prediction_schema

UNNAMED = "UNKNOWN"
"""The symbol of a picture that does not say whose chart it is."""


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


def check_maker(calibration: Calibration, exemplars: Embeddings) -> None:
    """Refuse a calibration that was fitted for another model or style.

    Raises:
        StaleIndexError: they disagree.
    """
    for name in ("model", "style"):
        was, expected = getattr(calibration, name), getattr(exemplars, name)
        if was != expected:
            raise StaleIndexError(
                f"The calibration was fitted for {name} {was!r}: expected {expected!r}.",
                hint=fusion.REPAIR,
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
        exemplars: the rows that the neighbors are of.
        provenance: what made it.
        shown: how many neighbors are listed.

    Raises:
        KlinesError: no chart, or not as many answers as charts.
    """
    if not charts or len(charts) != len(answers):
        raise KlinesError(
            f"A prediction of {symbol}: expected as many answers as charts and at least one, "
            f"was {len(answers)} for {len(charts)}."
        )
    readings = {
        chart.interval: interval_reading(chart, answers, row, exemplars, shown)
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
    """The reading that the top of a prediction repeats; see the top of this file."""
    return max(readings, key=_rank)


def _rank(reading: IntervalReading) -> tuple[bool, bool, float, int]:
    shows_setup = not reading.abstained and reading.setup is not Setup.NONE
    return not reading.abstained, shows_setup, reading.confidence, reading.interval.ms


__all__ = [
    "UNNAMED",
    "Answers",
    "Calibration",
    "Chart",
    "Evidence",
    "NearbyAnnotations",
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

if __name__ == "__main__":
    from vision_ai.cli import main

    main("predict")
