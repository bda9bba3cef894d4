"""Predictions, feedback logs and gate attempts on disk: intact, damaged, and still pending."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vision_ai import checksummed_log, storage
from vision_ai.config import Paths
from vision_ai.domain import HORIZONS, parse_time, stamp
from vision_ai.errors import CorruptFileError
from vision_ai.feedback.pending import PendingOutcome, find_pending, key
from vision_ai.records import BadLine, Feedback, GateAttempt, Prediction

_NAME = re.compile(r"(?P<symbol>[A-Z0-9]{2,30})_(?P<stamp>\d{8}_\d{4})\Z")

_REPAIR = "Move the file away, or predict again for that symbol and time."


@dataclass
class Journal:
    """What is on disk.

    Attributes:
        lines: intact lines of all logs, by file name and line number.
        bad: lines that are kept in their file and not counted, and why.
        pending: horizons that are complete and have no line.
        damaged: names of prediction files that cannot be read, and why.
    """

    lines: list[Feedback] = field(default_factory=list)
    bad: list[BadLine] = field(default_factory=list)
    pending: list[PendingOutcome] = field(default_factory=list)
    damaged: dict[str, str] = field(default_factory=dict)


def append(paths: Paths, lines: Sequence[Feedback]) -> list[Feedback]:
    """Write lines of one prediction to its log; returns those that were not there yet.

    Raises:
        StorageError: nothing was written.
    """
    path = paths.feedback(lines[0].symbol, parse_time(lines[0].as_of))
    return checksummed_log.append_once(path, lines, key)


def read_log(path: Path) -> tuple[list[Feedback], list[BadLine]]:
    """Intact lines of one log, and the lines that are not counted."""

    def other_log(line: Feedback) -> str | None:
        is_here = _stem(line.symbol, line.as_of) == path.stem
        return None if is_here else f"{line.symbol} {line.as_of}"

    return checksummed_log.read(path, Feedback, key, other_log)


def read_logs(paths: Paths) -> tuple[list[Feedback], list[BadLine]]:
    """Intact lines of all logs by file name, and the lines that are not counted."""
    lines: list[Feedback] = []
    bad: list[BadLine] = []
    for path in storage.listed(paths.feedback_logs, "*.jsonl"):
        intact, damaged = read_log(path)
        lines += intact
        bad += damaged
    return lines, bad


def read_prediction(path: Path) -> Prediction:
    """Read a prediction whose symbol and time are those of its file name.

    Raises:
        CorruptFileError: damaged, of another form, or of another symbol or time.
    """
    prediction = storage.read_document(path, Prediction, repair=_REPAIR)
    if _stem(prediction.symbol, prediction.as_of) != path.stem:
        raise CorruptFileError(
            f"{path} is of {prediction.symbol} at {prediction.as_of}: expected what its name says.",
            hint=_REPAIR,
        )
    return prediction


def read_predictions(paths: Paths) -> tuple[list[Prediction], dict[str, str]]:
    """All predictions by file name, and what is wrong with those that cannot be read."""
    return _read_all(prediction_files(paths))


def _read_all(files: Iterable[Path]) -> tuple[list[Prediction], dict[str, str]]:
    predictions: list[Prediction] = []
    damaged: dict[str, str] = {}
    for path in files:
        try:
            predictions.append(read_prediction(path))
        except CorruptFileError as error:
            damaged[path.name] = str(error)
    return predictions, damaged


def prediction_files(paths: Paths) -> list[Path]:
    """Files that are named as predictions are, by name.

    Raises:
        StorageError: the folder cannot be read.
    """
    return [path for path in storage.listed(paths.predictions, "*.json") if _NAME.match(path.stem)]


def open_journal(paths: Paths, now_ms: int) -> Journal:
    """Read the logs, and those predictions that may still lack a line.

    Files of predictions whose horizons are all logged, or all not over yet, are not opened.
    """
    lines, bad = read_logs(paths)
    counts: dict[str, int] = {}
    for line in lines:
        stem = _stem(line.symbol, line.as_of)
        counts[stem] = counts.get(stem, 0) + 1
    latest = stamp(now_ms - min(horizon.ms for horizon in HORIZONS))
    may_lack = (
        path
        for path in prediction_files(paths)
        if counts.get(path.stem, 0) < len(HORIZONS) and path.stem.split("_", 1)[1] <= latest
    )
    predictions, damaged = _read_all(may_lack)
    return Journal(lines, bad, find_pending(predictions, lines, now_ms), damaged)


def read_attempts(paths: Paths) -> tuple[list[GateAttempt], list[BadLine]]:
    """Every intact attempt, in order, and the lines that are damaged: each of them spent too."""
    return checksummed_log.read(_attempts(paths), GateAttempt, _number)


def append_attempt(paths: Paths, attempt: GateAttempt) -> bool:
    """Write an attempt down; False if another run made one of that number meanwhile.

    The error rate holds over all attempts ever made, so each is written down, passed or not.

    Raises:
        StorageError: nothing was written.
    """
    return bool(checksummed_log.append_once(_attempts(paths), [attempt], _number))


def _attempts(paths: Paths) -> Path:
    return paths.models / "attempts.jsonl"


def _number(attempt: GateAttempt) -> int:
    return attempt.number


def _stem(symbol: str, as_of: str) -> str:
    return f"{symbol}_{stamp(parse_time(as_of))}"
