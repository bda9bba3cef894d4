"""Human annotations of labels, and which charts a person should look at next.

A person's label takes precedence over the rule book's. Corrections are lines of a log that is only
appended; the newest one of a chart counts, and a chart that was skipped keeps the label it had.
"""

import csv
import hashlib
import io
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, StringConstraints, ValidationError

from vision_ai import checksummed_log
from vision_ai.domain import (
    PHASES,
    READINGS,
    Direction,
    Embeddings,
    Interval,
    Label,
    Phase,
    Reading,
    Setup,
    parse_time,
)
from vision_ai.errors import InputError
from vision_ai.labels.gpt.replies import Digest, LabelledChart
from vision_ai.records import BadLine, IsoTime, LogLine, SymbolText

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=64)]


class Action(StrEnum):
    """What a person did with a chart."""

    ACCEPT = "accept"
    CORRECT = "correct"
    SKIP = "skip"


class Correction(LogLine):
    """One annotation: what one person decided about one chart."""

    v: Literal[1] = 1
    id: str = Field(description="the same correction is written once")
    digest: Digest
    symbol: SymbolText
    interval: Interval
    as_of: IsoTime
    look: str = Field(default="", description="hash of the bare prices, as training sees them")
    action: Action
    setup: Setup
    direction: Direction
    phase: Phase
    was: str = Field(default="", description="the label before: setup:direction phase")
    words: str | None = Field(default=None, max_length=400, description="a note of their own")
    who: Name
    at: IsoTime

    @property
    def reading(self) -> Reading:
        """Setup and direction."""
        return Reading(self.setup, self.direction)

    @property
    def index_key(self) -> tuple[str, str, int]:
        """Key of the chart in an index: symbol, interval, open of its last candle."""
        last_ms = parse_time(self.as_of) - self.interval.ms
        return self.symbol, self.interval.value, last_ms


@dataclass(frozen=True)
class CorrectionLog:
    """The log of corrections.

    Attributes:
        path: `data/vision_ai/reviews/corrections.jsonl`.
    """

    path: Path

    def write(self, corrections: Sequence[Correction]) -> int:
        """Append corrections that are not there yet; how many were new.

        Raises:
            StorageError: nothing was written.
        """
        return (
            len(checksummed_log.append_once(self.path, corrections, key=_id)) if corrections else 0
        )

    def read(self) -> tuple[list[Correction], list[BadLine]]:
        """Every correction, oldest first; damaged lines are named and not counted."""
        return checksummed_log.read(self.path, Correction, key=_id)


def newest_corrections(corrections: Iterable[Correction]) -> dict[str, Correction]:
    """The newest correction of each chart, by digest; a skip takes nothing back."""
    return {c.digest: c for c in corrections if c.action is not Action.SKIP}


def earliest_agreeing(corrections: Iterable[Correction]) -> list[Correction]:
    """The correction that first gave each chart its present label: agreeing later adds nothing."""
    first: dict[str, Correction] = {}
    for correction in corrections:
        if correction.action is Action.SKIP:
            continue
        known = first.get(correction.digest)
        if known is None or (known.reading, known.phase) != (correction.reading, correction.phase):
            first[correction.digest] = correction
    return list(first.values())


def label_in_force(subject: LabelledChart, corrections: Mapping[str, Correction]) -> Label:
    """The label of a chart: a person's where there is one, else the rule book's."""
    correction = corrections.get(subject.digest)
    if correction is None:
        return Label(subject.reading, subject.phase, clear=subject.clear, rules=subject.rules)
    return Label(correction.reading, correction.phase, clear=True, source="human")


def make_correction(
    subject: LabelledChart,
    action: Action,
    label: Label,
    *,
    who: str,
    at: str,
    words: str | None = None,
) -> Correction:
    """Record one person's decision about a chart.

    Raises:
        InputError: a setup with a direction that it cannot have, or no name.
    """
    require_valid_reading(label.reading)
    identity = (subject.digest, action.value, label.reading.name, label.phase.value, who, at)
    try:
        return Correction(
            id=hashlib.sha256("|".join(identity).encode()).hexdigest()[:32],
            digest=subject.digest,
            symbol=subject.symbol,
            interval=subject.interval,
            as_of=subject.as_of,
            look=subject.look,
            action=action,
            setup=label.setup,
            direction=label.direction,
            phase=label.phase,
            was=f"{subject.reading.name} {subject.phase}",
            words=words,
            who=who,
            at=at,
        )
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(
            f"The correction is not valid: {first['loc'][0]}: {first['msg']}."
        ) from error


def require_valid_reading(reading: Reading) -> None:
    """Refuse a direction that the setup cannot have.

    Raises:
        InputError: names the directions that it can have.
    """
    if reading not in READINGS:
        possible = " or ".join(r.direction for r in READINGS if r.setup is reading.setup)
        raise InputError(
            f"A {reading.setup} cannot argue {reading.direction}: expected {possible}.",
            hint="Give another --setup or --direction.",
        )


@dataclass(frozen=True)
class SecondOpinion:
    """How somebody other than the rule book reads a chart."""

    reading: Reading
    phase: Phase
    confidence: float


@dataclass(frozen=True)
class ReviewCase:
    """A chart with every opinion about it."""

    subject: LabelledChart
    gpt: SecondOpinion | None = None
    model: SecondOpinion | None = None
    words: str = ""

    @property
    def disagreements(self) -> int:
        """In how many of setup and phase GPT and the model differ from the rule book, 0 to 4."""
        opinions = [opinion for opinion in (self.gpt, self.model) if opinion is not None]
        readings = sum(opinion.reading != self.subject.reading for opinion in opinions)
        return readings + sum(opinion.phase is not self.subject.phase for opinion in opinions)

    @property
    def uncertainty(self) -> float:
        """One less the confidence of the model; a half where it has not read the chart."""
        return 0.5 if self.model is None else 1.0 - self.model.confidence

    @property
    def urgency(self) -> tuple[float, bool, int]:
        """Greater is sooner: disagreement and uncertainty, then unclear labels, then newer."""
        doubt = self.disagreements + self.uncertainty
        return doubt, not self.subject.clear, parse_time(self.subject.as_of)


def review_queue(
    cases: Iterable[ReviewCase], corrections: Iterable[Correction]
) -> list[ReviewCase]:
    """Charts that nobody has reviewed, the most urgent first."""
    reviewed = {correction.digest for correction in corrections}
    waiting = [case for case in cases if case.subject.digest not in reviewed]
    ordered = sorted(waiting, key=lambda case: case.subject.digest)
    return sorted(ordered, key=lambda case: case.urgency, reverse=True)


def apply_corrections(
    rows: Embeddings, corrections: Collection[Correction], weight: float | None
) -> tuple[Embeddings, list[Correction]]:
    """Exemplars with human labels; and the corrections of charts that are no exemplars.

    `weight` is that of a corrected exemplar; None leaves it as it is.
    """
    row_of = {key: row for row, key in enumerate(rows.keys)}
    reading, phase, weights = rows.reading.copy(), rows.phase.copy(), rows.weight.copy()
    absent = []
    for correction in corrections:
        row = row_of.get(correction.index_key)
        if row is None:
            absent.append(correction)
            continue
        reading[row] = READINGS.index(correction.reading)
        phase[row] = PHASES.index(correction.phase)
        if weight is not None:
            weights[row] = np.float32(weight)
    return replace(rows, reading=reading, phase=phase, weight=weights), absent


COLUMNS = (
    "digest", "symbol", "interval", "as_of", "setup", "direction", "phase", "action", "words",
    "who", "at", "id", "look", "was",
)  # fmt: skip
"""Exported fields of a correction, in this order."""


def export_text(corrections: Iterable[Correction], *, as_csv: bool) -> str:
    """Corrections as CSV with a header, or as JSONL."""
    rows = [{name: c.model_dump(mode="json")[name] for name in COLUMNS} for c in corrections]
    if not as_csv:
        return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    sink = io.StringIO()
    writer = csv.DictWriter(sink, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return sink.getvalue()


def parse_corrections(
    text: str, *, as_csv: bool, who: str, at: str
) -> tuple[list[Correction], dict[str, str]]:
    """Parse exported corrections, each line on its own; errors are given by line.

    A line needs digest, symbol, interval, as_of, setup, direction and phase; the others are
    filled in.
    """
    good: list[Correction] = []
    bad: dict[str, str] = {}
    for number, row in _rows(text, as_csv=as_csv):
        try:
            good.append(_correction(row, who, at))
        except (InputError, ValidationError, TypeError) as error:
            bad[f"line {number}"] = _first_error(error)
    return good, bad


def _rows(text: str, *, as_csv: bool) -> Iterable[tuple[int, Any]]:
    if as_csv:
        yield from enumerate(csv.DictReader(io.StringIO(text)), start=2)
        return
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            try:
                yield number, json.loads(line)
            except ValueError:
                yield number, None


def _correction(row: Any, who: str, at: str) -> Correction:
    if not isinstance(row, Mapping):
        raise InputError("it is no JSON object.")
    given = {name: row[name] for name in COLUMNS if row.get(name) not in (None, "")}
    fields = {"who": who, "at": at, "action": Action.CORRECT.value, **given}
    identity = "|".join(str(fields.get(name)) for name in COLUMNS[:7])
    draft = Correction.model_validate(
        {"id": hashlib.sha256(f"{identity}|{fields['who']}".encode()).hexdigest()[:32], **fields}
    )
    require_valid_reading(draft.reading)
    return draft


def _first_error(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
    return str(error)


def _id(correction: Correction) -> str:
    return correction.id
