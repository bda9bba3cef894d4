"""Decisions on disk, appended: `data/vision_ai/decisions/{SYMBOL}_{YYYYMMDD}.jsonl`."""

from pathlib import Path

from vision_ai import checksummed_log, storage
from vision_ai.config import Paths
from vision_ai.domain import parse_time
from vision_ai.records import BadLine, Decision


def append(paths: Paths, decision: Decision) -> bool:
    """Write a decision down; False if one of that symbol and time is there already.

    Raises:
        StorageError: nothing was written.
    """
    return bool(checksummed_log.append_once(_log_of(paths, decision), [decision], _key))


def read(paths: Paths) -> tuple[list[Decision], list[BadLine]]:
    """Intact decisions of all logs by file name, and the lines that are not counted."""
    decisions: list[Decision] = []
    bad: list[BadLine] = []
    for path in storage.listed(paths.decisions, "*.jsonl"):
        intact, damaged = read_log(paths, path)
        decisions += intact
        bad += damaged
    return decisions, bad


def read_log(paths: Paths, path: Path) -> tuple[list[Decision], list[BadLine]]:
    """Intact decisions of one log, and the lines that are not counted."""

    def other_log(line: Decision) -> str | None:
        own = _log_of(paths, line).name
        return None if own == path.name else own

    return checksummed_log.read(path, Decision, _key, other_log)


def _log_of(paths: Paths, decision: Decision) -> Path:
    return paths.decisions_of(decision.symbol, parse_time(decision.decided_at))


def _key(decision: Decision) -> tuple[str, str]:
    return decision.symbol, decision.decided_at
