"""Reviews of labels: which charts a person should look at, and what their annotations change."""

import getpass
import logging
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from vision_ai import storage
from vision_ai.domain import (
    PHASES,
    READINGS,
    WINDOW,
    Direction,
    Label,
    Phase,
    Reading,
    Setup,
    iso,
    parse_time,
)
from vision_ai.errors import InputError, MissingModelError, VisionError
from vision_ai.feedback.review import Rate
from vision_ai.feedback_loop_cv import wilson
from vision_ai.labels import review, rules
from vision_ai.labels.gpt.ledger import Ledger
from vision_ai.labels.gpt.replies import Attempt, LabelledChart
from vision_ai.labels.review import Action, Correction, CorrectionLog, ReviewCase, SecondOpinion
from vision_ai.pipeline import index
from vision_ai.pipeline.labelling import select
from vision_ai.pipeline.lookup import Finder
from vision_ai.pipeline.reader import spans_of
from vision_ai.pipeline.workspace import Result, Workspace
from vision_ai.records import BadLine, IntervalReading, Prediction, Record

logger = logging.getLogger(__name__)

RECENT = 300
"""Newest predictions that are looked through for doubtful charts."""

SHORTEST = 6
"""Digits of a chart's hash that name it."""


class OpinionRecord(Record):
    """How GPT or the model reads a chart."""

    reading: str
    phase: Phase
    confidence: float

    @classmethod
    def of(cls, opinion: SecondOpinion | None) -> "OpinionRecord | None":
        """The opinion with its confidence rounded; None stays None."""
        if opinion is None:
            return None
        return cls(
            reading=opinion.reading.name,
            phase=opinion.phase,
            confidence=round(opinion.confidence, 4),
        )


class CaseRecord(LabelledChart):
    """A chart that a person should look at, with the opinion of each reader."""

    gpt: OpinionRecord | None
    model: OpinionRecord | None
    words: str
    disagreements: int
    uncertainty: float


class ReviewQueueResult(Result):
    """The charts that most need a person."""

    waiting: int
    cases: list[CaseRecord]
    damaged_lines: list[BadLine]


class ReviewDecisionResult(Result):
    """A person's annotation of a chart, and what was done with it."""

    correction: Correction
    index: str | None = Field(
        default=None, exclude=True, description="what was done to the index; null: nothing"
    )


class ReviewStatsResult(Result):
    """How much was reviewed, by whom, and how often the rule book was right."""

    waiting: int
    disagreements: int
    words: int
    actions: dict[str, int]
    reviewers: dict[str, int]
    rule_book_right: Rate
    by_setup: dict[str, Rate]
    damaged_lines: list[BadLine]


class LabelsExportResult(Result):
    """Corrections that were written to a file."""

    exported: int
    path: str


class LabelsImportResult(Result):
    """Corrections of a file, new ones and known ones."""

    added: int
    known: int
    index: str | None = Field(
        default=None, exclude=True, description="what was done to the index; null: nothing"
    )


def upcoming(workspace: Workspace, limit: int) -> ReviewQueueResult:
    """The charts that most need a person, the most urgent first.

    Disagreement of GPT or the model with the rule book comes first, then the model's doubt.
    """
    corrections, bad = CorrectionLog(workspace.paths.corrections).read()
    waiting = review.review_queue(cases(workspace), corrections)
    return ReviewQueueResult(
        waiting=len(waiting),
        cases=[
            CaseRecord(
                **case.subject.model_dump(),
                gpt=OpinionRecord.of(case.gpt),
                model=OpinionRecord.of(case.model),
                words=case.words,
                disagreements=case.disagreements,
                uncertainty=round(case.uncertainty, 4),
            )
            for case in waiting[:limit]
        ],
        damaged_lines=bad,
    )


def decide(
    workspace: Workspace,
    chart: str,
    action: Action,
    changes: Mapping[str, str | None],
    *,
    who: str | None = None,
    words: str | None = None,
) -> ReviewDecisionResult:
    """Write down a person's annotation of a chart and let it count at once.

    Args:
        workspace: settings and data root.
        chart: the first digits of the chart's hash, as `review next` shows them.
        action: accept the rule book's label, correct it, or skip the chart.
        changes: `setup`, `direction` and `phase` that replace the label's.
        who: who annotates; None takes `VISION_AI_REVIEWER` or the user of this machine.
        words: a description of the chart of their own.

    Raises:
        InputError: no such chart, more than one, or a label that cannot be.
        StorageError: the annotation could not be written.
    """
    subject = _find(workspace, chart)
    label = _changed(Label(subject.reading, subject.phase), changes)
    correction = review.make_correction(
        subject, action, label, who=who or reviewer(), at=_now(workspace), words=words
    )
    CorrectionLog(workspace.paths.corrections).write([correction])
    index_text = None if action is Action.SKIP else index.refresh(workspace)
    return ReviewDecisionResult(correction=correction, index=index_text)


def stats(workspace: Workspace) -> ReviewStatsResult:
    """How much was reviewed, by whom, and how often the rule book was right."""
    corrections, bad = CorrectionLog(workspace.paths.corrections).read()
    all_cases = cases(workspace)
    newest = review.newest_corrections(corrections)
    unchanged = [c for c in newest.values() if c.was == f"{c.reading.name} {c.phase}"]
    right = wilson(len(unchanged), len(newest))
    by_setup = Counter(c.was.split(":")[0] for c in newest.values())
    kept_by_setup = Counter(c.was.split(":")[0] for c in unchanged)
    return ReviewStatsResult(
        waiting=len(review.review_queue(all_cases, corrections)),
        disagreements=sum(case.disagreements > 0 for case in all_cases),
        words=len(corrections),
        actions=dict(Counter(c.action.value for c in corrections)),
        reviewers=dict(Counter(c.who for c in corrections)),
        rule_book_right=right,
        by_setup={setup: wilson(kept_by_setup[setup], n) for setup, n in sorted(by_setup.items())},
        damaged_lines=bad,
    )


def export(workspace: Workspace, out: Path) -> LabelsExportResult:
    """Write every correction to a file, CSV or JSONL by its suffix.

    Raises:
        InputError: another suffix.
        StorageError: the file could not be written.
    """
    corrections, bad = CorrectionLog(workspace.paths.corrections).read()
    storage.write_text(out, review.export_text(corrections, as_csv=_is_csv(out)))
    missing = {f"{line.path} line {line.number}": line.reason for line in bad}
    return LabelsExportResult(exported=len(corrections), path=str(out), missing=missing)


def import_(workspace: Workspace, source: Path, *, who: str | None = None) -> LabelsImportResult:
    """Add the corrections of a file; those that are there already are not added again.

    Raises:
        InputError: no such file, or another suffix.
        StorageError: nothing was added.
    """
    try:
        text = source.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{source} cannot be read: {error}.") from error
    corrections, bad = review.parse_corrections(
        text, as_csv=_is_csv(source), who=who or reviewer(), at=_now(workspace)
    )
    added = CorrectionLog(workspace.paths.corrections).write(corrections)
    return LabelsImportResult(
        added=added,
        known=len(corrections) - added,
        index=index.refresh(workspace) if added else None,
        missing=bad,
    )


def reviewer() -> str:
    """Who annotates where no name is given."""
    return os.environ.get("VISION_AI_REVIEWER") or getpass.getuser()


def cases(workspace: Workspace) -> list[ReviewCase]:
    """Every chart that GPT described or the model predicted, with the opinion of each."""
    by_digest: dict[str, ReviewCase] = {}
    for attempt in Ledger(workspace.paths.descriptions).read()[0]:
        digest = attempt.subject.digest
        if attempt.said is not None or digest not in by_digest:
            by_digest[digest] = ReviewCase(attempt.subject, _gpt(attempt), None, _caption(attempt))
    finder = Finder(workspace)
    for subject, model in _predicted(workspace, finder):
        known = by_digest.get(subject.digest, ReviewCase(subject))
        by_digest[subject.digest] = replace(known, model=model)
    return _add_model_opinions(workspace, finder, list(by_digest.values()))


def _gpt(attempt: Attempt) -> SecondOpinion | None:
    reply = attempt.said
    if reply is None:
        return None
    return SecondOpinion(Reading(reply.setup, reply.direction), reply.phase, reply.confidence)


def _caption(attempt: Attempt) -> str:
    return attempt.said.description if attempt.said else f"({attempt.kind})"


def _predicted(
    workspace: Workspace, finder: Finder
) -> Iterator[tuple[LabelledChart, SecondOpinion]]:
    """Charts of the newest predictions, labelled by the rule book, with the model's reading."""
    for path in storage.listed(workspace.paths.predictions, "*.json")[: -RECENT - 1 : -1]:
        try:
            prediction = storage.read_document(path, Prediction, repair=f"Move {path} away.")
        except VisionError as error:
            logger.warning("left out: %s", error)
            continue
        for reading in prediction.intervals.values():
            end_ms = parse_time(reading.last_candle) + reading.interval.ms
            at = finder.window(prediction.symbol, reading.interval, end_ms, reading.klines_hash)
            if at is not None:
                klines, end = at
                window = klines[end + 1 - WINDOW : end + 1]
                label = rules.label(window.bars[None])[0]
                yield select.subject_of(window, label, chart=reading.chart), _model(reading)


def _model(reading: IntervalReading) -> SecondOpinion:
    """The model's likeliest reading, even where it would not stand by it."""
    name, probability = max(reading.probabilities.items(), key=lambda item: item[1])
    setup, direction = name.split(":")
    sure = probability if reading.abstained else reading.confidence
    return SecondOpinion(Reading(Setup(setup), Direction(direction)), reading.phase, sure)


def _add_model_opinions(
    workspace: Workspace, finder: Finder, known: list[ReviewCase]
) -> list[ReviewCase]:
    """Ask the model, where there is one, about charts that it has not predicted."""
    unread = [case for case in known if case.model is None]
    readable = [(case, chart[0]) for case in unread if (chart := finder.chart(case.subject))]
    if not readable:
        return known
    try:
        reader = workspace.reader
    except MissingModelError:
        return known
    subjects = [case.subject for case, _ in readable]
    spans = spans_of(
        [subject.symbol for subject in subjects],
        [subject.interval for subject in subjects],
        [parse_time(subject.as_of) for subject in subjects],
    )
    answers = reader.answers(np.stack([chart for _, chart in readable]), spans)
    best = answers.probabilities.reading.argmax(axis=1)
    sure = answers.probabilities.reading.max(axis=1)
    opinions = {
        subject.digest: SecondOpinion(
            READINGS[int(best[row])], PHASES[int(answers.phase[row])], float(sure[row])
        )
        for row, subject in enumerate(subjects)
    }
    return [replace(case, model=case.model or opinions.get(case.subject.digest)) for case in known]


def _find(workspace: Workspace, chart: str) -> LabelledChart:
    digits = chart.strip().lower()
    if len(digits) < SHORTEST:
        raise InputError(
            f"Chart {chart[:70]!r} is not named: expected at least {SHORTEST} digits of its hash.",
            hint="Run vision-ai review next.",
        )
    attempts = Ledger(workspace.paths.descriptions).read()[0]
    known = {attempt.subject.digest: attempt.subject for attempt in attempts}
    if not any(digest.startswith(digits) for digest in known):
        known |= {s.digest: s for s, _ in _predicted(workspace, Finder(workspace))}
    matches = [subject for digest, subject in known.items() if digest.startswith(digits)]
    if len(matches) != 1:
        what = "is not known" if not matches else f"could be {len(matches)} charts"
        raise InputError(f"Chart {chart[:70]!r} {what}.", hint="Run vision-ai review next.")
    return matches[0]


def _changed(label: Label, changes: Mapping[str, str | None]) -> Label:
    setup = _named(Setup, changes.get("setup"), label.setup)
    phase = _named(Phase, changes.get("phase"), label.phase)
    directions = [reading.direction for reading in READINGS if reading.setup is setup]
    own_direction = label.direction if len(directions) > 1 else directions[0]
    direction = _named(Direction, changes.get("direction"), own_direction)
    return Label(Reading(setup, direction), phase, source="human")


def _named(kind: Any, text: str | None, otherwise: Any) -> Any:
    if text is None:
        return otherwise
    try:
        return kind(text.strip().lower())
    except ValueError as error:
        raise InputError(
            f"{kind.__name__} {text[:40]!r} is not known: expected one of {', '.join(kind)}."
        ) from error


def _is_csv(path: Path) -> bool:
    if path.suffix not in {".csv", ".jsonl"}:
        raise InputError(f"{path} is neither .csv nor .jsonl.", hint="Name it labels.csv.")
    return path.suffix == ".csv"


def _now(workspace: Workspace) -> str:
    return iso(workspace.clock())
