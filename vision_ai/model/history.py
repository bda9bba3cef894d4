"""Which version was in use when: `history.jsonl` beside the versions, only ever appended to.

A line is written before the switch that it speaks of, so a switch without a line cannot be; a
line whose switch never came is void, which the next line or the pointer itself shows.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from vision_ai import checksummed_log
from vision_ai.config import Paths
from vision_ai.records import BadLine, IsoTime, LogLine

Kind = Literal["promote", "rollback"]


class History(LogLine):
    """One switch: from which version to which."""

    v: Literal[1] = 1
    at: IsoTime
    kind: Kind
    was: str
    to: str


def note(paths: Paths, line: History) -> None:
    """Append a line, under a lock, synced; not if the last one says the same of the same time.

    Then its switch never came, and this is the same one, done again.

    Raises:
        StorageError: nothing was written.
    """
    lines = read(paths)
    if lines and lines[-1].model_copy(update={"line": 0, "check": ""}) == line:
        return
    checksummed_log.append_once(_path(paths), [line], _place)


def read(paths: Paths) -> list[History]:
    """Every intact line, oldest first; damaged ones do not count."""
    return checksummed_log.read(_path(paths), History, _place)[0]


def damaged(paths: Paths) -> list[BadLine]:
    """The lines that do not count, and why."""
    return checksummed_log.read(_path(paths), History, _place)[1]


def line_of_descent(lines: Sequence[History], current: str) -> list[str]:
    """Versions in use, each with the one that it replaced before it; the last one is `current`.

    A rollback takes the last one away; void lines leave nothing.

    >>> def line(was, to, kind="promote"):
    ...     return History(at="2025-06-15T12:00:00Z", kind=kind, was=was, to=to)
    >>> line_of_descent([line("a", "b"), line("b", "c"), line("c", "b", "rollback")], "b")
    ['a', 'b']
    >>> line_of_descent([line("a", "b"), line("b", "c")], "b")  # killed before the switch to c
    ['a', 'b']
    """
    stack: list[str] = []
    for line in lines:
        _settle(stack, line.was)
        if line.kind == "promote":
            stack.append(line.to)
        else:
            _settle(stack, line.to)
    _settle(stack, current)
    return stack


def _settle(stack: list[str], current: str) -> None:
    """Make `current` the last of the stack: the entry above it is void or taken back."""
    if stack and stack[-1] == current:
        return
    if len(stack) > 1 and stack[-2] == current:
        stack.pop()
    else:
        stack.append(current)


def _path(paths: Paths) -> Path:
    return paths.models / "history.jsonl"


def _place(line: History) -> int:
    return line.line
