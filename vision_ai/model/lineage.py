"""Which version was active when, and which was made from which: promote, roll back, derive.

Every switch is a line of `history.jsonl` beside the versions, which is only ever appended to. The
line is written before the switch, so there is no switch without a line; a line whose switch never
came (the process was killed in between) is void, as the next line or the file `current` shows.
"""

import hashlib
import re
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from vision_ai import checksummed_log, storage
from vision_ai.config import Paths
from vision_ai.domain import iso
from vision_ai.errors import ConfigError, CorruptFileError, MissingModelError, StateError
from vision_ai.model import registry
from vision_ai.model.registry import Manifest, ModelFolder
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
    lines = read_history(paths)
    if lines and lines[-1].model_copy(update={"line": 0, "check": ""}) == line:
        return
    checksummed_log.append_once(_path(paths), [line], _place)


def read_history(paths: Paths) -> list[History]:
    """Every intact line, oldest first; damaged ones do not count."""
    return checksummed_log.read(_path(paths), History, _place)[0]


def damaged_history(paths: Paths) -> list[BadLine]:
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


def activate(
    paths: Paths, version: str, *, kind: Kind = "promote", now_ms: int | None = None
) -> None:
    """Make a version the current one: noted in the history first, then switched in one step.

    Killed in between, the earlier version stays current and the note is known to be void. The
    note says `now_ms`, or the time on this machine where it is left out.

    Raises:
        ConfigError: `current` names no version.
        MissingModelError: no such version.
        CorruptFileError: the version is damaged; the current one stays.
    """
    if version == registry.CURRENT:
        raise ConfigError(
            "A version is needed, 'current' is not one.", hint="List them with vision-ai models."
        )
    registry.resolve(paths, version)
    was = _active_or_empty(paths)
    if was != version:
        at = iso(time.time_ns() // 1_000_000 if now_ms is None else now_ms)
        note(paths, History(at=at, kind=kind, was=was, to=version))
    storage.write_text(paths.models / registry.CURRENT, version + "\n")


_DERIVED = re.compile(r"-[rf]\d+-[0-9a-f]{6}\Z")


def child(parent: str, kind: str, content: str) -> str:
    """A name for a version made of `parent`: its stem, which try of which kind, and a hash.

    The same content gives the same name.

    >>> child("chart-clip-d69415e16b-r1-0a1b2c", "f2", "anything")
    'chart-clip-d69415e16b-f2-f73325'
    """
    digest = hashlib.sha256(f"{parent} {content}".encode()).hexdigest()[:6]
    return f"{_DERIVED.sub('', parent)[:48]}-{kind}-{digest}"


def derive(
    paths: Paths, parent: ModelFolder, manifest: Manifest, files: Mapping[str, bytes]
) -> ModelFolder:
    """Make a version of a parent's files, some of them replaced; it is not yet in use.

    Killed at any instant, either the whole version stands or none.

    Args:
        paths: where versions are kept.
        parent: whose files are copied.
        manifest: all but the files' hashes.
        files: name and content of those that differ.

    Raises:
        StateError: a version of that name stands already.
        StorageError: the disk is full or read-only.
    """
    with storage.writing(paths.models):
        paths.models.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(dir=paths.models, prefix=".derived-"))
    try:
        with storage.writing(staging):
            for path in sorted(parent.path.iterdir()):
                if path.name != "manifest.json" and path.name not in files:
                    shutil.copyfile(path, staging / path.name)
        for name, payload in files.items():
            storage.write_bytes(staging / name, payload)
        staging.chmod(0o755)
        return registry.publish(paths, staging, manifest)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def rollback(paths: Paths) -> ModelFolder:
    """Bring back the version that the current one replaced.

    Raises:
        StateError: the current version replaced none.
        MissingModelError: the earlier version is no longer here.
        CorruptFileError: it is damaged; the current one stays.
    """
    current = registry.resolve(paths).version
    before = line_of_descent(read_history(paths), current)[:-1]
    if not before:
        raise StateError(
            f"Model {current} replaced no other: there is nothing to go back to.",
            hint="Pick one with vision-ai models promote.",
        )
    if not before[-1]:
        raise MissingModelError(
            f"Model {current} was the first one here.",
            hint="Pick one with vision-ai models promote.",
        )
    activate(paths, before[-1], kind="rollback")
    return registry.resolve(paths)


def was_cut_short(paths: Paths, version: str) -> bool:
    """Whether a version that was to be promoted never came into use.

    True if the history does not name it, or if its last word is a switch to it that did not come;
    not if somebody has deleted it since.
    """
    if not (paths.models / version / "manifest.json").is_file():
        return False
    lines = read_history(paths)
    if all(line.to != version for line in lines):
        return True
    return lines[-1].to == version != registry.resolve(paths).version


def _active_or_empty(paths: Paths) -> str:
    """The current version's name, whole or not; empty if there is none."""
    try:
        return registry.active_name(paths)
    except (MissingModelError, CorruptFileError):
        return ""


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
