"""Charts read all at once, column by column, before any record is written."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from vision_ai.calibration import fusion as calibrations
from vision_ai.calibration.annotations import Witnesses
from vision_ai.calibration.bands import Bands
from vision_ai.calibration.fusion import Beliefs, Calibration
from vision_ai.calibration.votes import Evidence
from vision_ai.domain import READINGS, Bools, Floats, Ints, Setup

_NONE = next(code for code, reading in enumerate(READINGS) if reading.setup is Setup.NONE)


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
    unheard = calibrations.believe(evidence, calibration)
    beliefs = unheard
    if said is not None:
        beliefs = calibrations.heed(unheard, evidence.interval, said, calibration)
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
