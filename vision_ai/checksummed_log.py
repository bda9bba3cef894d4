"""Append-only JSONL logs whose lines carry their line number and a checksum.

So a line that was truncated, edited or moved is noticed, and no other line is lost with it.
"""

import hashlib
import json
import os
from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, TypeVar

from pydantic import ValidationError

from vision_ai import storage
from vision_ai.records import BadLine, LogLine, Record

Line = TypeVar("Line", bound=LogLine)


def append_once(path: Path, lines: Sequence[Line], key: Callable[[Line], Hashable]) -> list[Line]:
    """Append lines, except those whose key an intact line of the file has already.

    Reading and writing happen under one lock, so of two processes that append the same key only
    one writes. Meant for short logs: the file is read each time.

    Returns:
        The lines that were written, with line number and checksum.

    Raises:
        StorageError: nothing was written.
    """
    with storage.writing(path), storage.locked(path) as file:
        file.seek(0)
        content = file.read()
        good, _ = _check_lines(path, content, type(lines[0]), key) if content else ([], [])
        known = {key(line) for line in good}
        fresh = [line for line in lines if key(line) not in known]
        whole = content.endswith(b"\n") or not content
        first = content.count(b"\n") + (1 if whole else 2)
        numbered = [_add_checksum(line, number) for number, line in enumerate(fresh, start=first)]
        if numbered:
            _append(file, *numbered)
        return numbered


def _append(file: IO[bytes], *lines: Record) -> None:
    size = file.seek(0, os.SEEK_END)
    torn = False
    if size:
        file.seek(size - 1)
        torn = file.read(1) != b"\n"
    payload = b"".join(line.model_dump_json().encode() + b"\n" for line in lines)
    # Written past the file's buffer: what a full disk refused would be written again on closing.
    unwritten = memoryview((b"\n" if torn else b"") + payload)
    try:
        while unwritten:
            unwritten = unwritten[os.write(file.fileno(), unwritten) :]
        os.fsync(file.fileno())
    except OSError:
        os.ftruncate(file.fileno(), size)
        raise


def _add_checksum(line: Line, number: int) -> Line:
    numbered_line = line.model_copy(update={"line": number})
    return numbered_line.model_copy(
        update={"check": _checksum(numbered_line.model_dump(mode="json"))}
    )


def _checksum(content: Mapping[str, Any]) -> str:
    """The checksum shows accidents and hand edits; it is no signature."""
    fields = {name: value for name, value in content.items() if name != "check"}
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def read(
    path: Path,
    kind: type[Line],
    key: Callable[[Line], Hashable],
    misfiled: Callable[[Line], str | None] = lambda _: None,
) -> tuple[list[Line], list[BadLine]]:
    """Read a log; truncated, edited, moved, repeated and misfiled lines are listed apart.

    They stay in the file and are never counted. A missing file holds no lines. `misfiled` names
    the log that an intact line belongs to, where it is not this one.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return [], []
    lines, bad = _check_lines(path, content, kind, key)
    own = []
    for line in lines:
        if (home := misfiled(line)) is None:
            own.append(line)
        else:
            bad.append(BadLine(path=str(path), number=line.line, reason=f"belongs to {home}"))
    return own, bad


def _check_lines(
    path: Path, content: bytes, kind: type[Line], key: Callable[[Line], Hashable]
) -> tuple[list[Line], list[BadLine]]:
    good: dict[Hashable, Line] = {}
    bad: list[BadLine] = []
    for number, raw in enumerate(content.split(b"\n"), start=1):
        if not raw.strip():
            continue
        line = _check_line(raw, number, kind)
        if not isinstance(line, str):
            known = good.setdefault(key(line), line)
            if known is line:
                continue
            line = f"repeats line {known.line}"
        bad.append(BadLine(path=str(path), number=number, reason=line))
    return list(good.values()), bad


def _check_line(raw: bytes, number: int, kind: type[Line]) -> Line | str:
    try:
        content = json.loads(raw)
        line = kind.model_validate_json(raw)
    except ValidationError as error:
        return f"breaks the form: {error.errors()[0]['msg']}"
    except (ValueError, RecursionError):
        return "truncated or damaged: no JSON"
    if line.check != _checksum(content):
        return "edited by hand or damaged: its check does not match"
    if line.line != number:
        return f"out of place: written as line {line.line}, is now line {number}"
    return line
