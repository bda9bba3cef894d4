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


class Switch(LogLine):
    """One change of the active version: from which to which."""

    v: Literal[1] = 1
    at: IsoTime
    kind: Kind
    was: str
    to: str


def record_switch(paths: Paths, line: Switch) -> None:
    """Append a line, under a lock, synced; not if the last line is equal, time included.

    Then its switch never came, and this is the same one, repeated.

    Raises:
        StorageError: nothing was written.
    """
    lines = read_history(paths)
    if lines and lines[-1].model_copy(update={"line": 0, "check": ""}) == line:
        return
    checksummed_log.append_once(_path(paths), [line], _line_number)


def read_history(paths: Paths) -> list[Switch]:
    """Every intact line, oldest first; damaged ones do not count."""
    return checksummed_log.read(_path(paths), Switch, _line_number)[0]


def damaged_history(paths: Paths) -> list[BadLine]:
    """The lines that do not count, and why."""
    return checksummed_log.read(_path(paths), Switch, _line_number)[1]


def active_versions(lines: Sequence[Switch], current: str) -> list[str]:
    """Names of active versions, each after the one it replaced; the last one is `current`.

    A rollback removes the last one; void lines leave nothing.

    >>> def line(was, to, kind="promote"):
    ...     return Switch(at="2025-06-15T12:00:00Z", kind=kind, was=was, to=to)
    >>> active_versions([line("a", "b"), line("b", "c"), line("c", "b", "rollback")], "b")
    ['a', 'b']
    >>> active_versions([line("a", "b"), line("b", "c")], "b")  # killed before the switch to c
    ['a', 'b']
    """
    stack: list[str] = []
    for line in lines:
        _make_last(stack, line.was)
        if line.kind == "promote":
            stack.append(line.to)
        else:
            _make_last(stack, line.to)
    _make_last(stack, current)
    return stack


def activate(
    paths: Paths, version: str, *, kind: Kind = "promote", now_ms: int | None = None
) -> None:
    """Make a version the current one: recorded in the history first, then switched in one step.

    Killed in between, the earlier version stays current and the line is known to be void. Its
    time is `now_ms`, or that of this machine where it is left out.

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
        record_switch(paths, Switch(at=at, kind=kind, was=was, to=version))
    storage.write_text(paths.models / registry.CURRENT, version + "\n")


_DERIVED = re.compile(r"-[rf]\d+-[0-9a-f]{6}\Z")


def child_name(parent: str, kind: str, content: str) -> str:
    """A name for a version made of `parent`: its stem, which try of which kind, and a hash.

    The same content gives the same name.

    >>> child_name("chart-clip-d69415e16b-r1-0a1b2c", "f2", "anything")
    'chart-clip-d69415e16b-f2-f73325'
    """
    digest = hashlib.sha256(f"{parent} {content}".encode()).hexdigest()[:6]
    return f"{_DERIVED.sub('', parent)[:48]}-{kind}-{digest}"


def derive(
    paths: Paths, parent: ModelFolder, manifest: Manifest, files: Mapping[str, bytes]
) -> ModelFolder:
    """Make a version of a parent's files, some of them replaced; it is not active yet.

    Killed at any instant, either the whole version exists or none.

    Args:
        paths: where versions are kept.
        parent: whose files are copied.
        manifest: all but the files' hashes.
        files: name and content of those that differ.

    Raises:
        StateError: a version of that name exists already.
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
    """Activate the version that the current one replaced.

    Raises:
        StateError: the current version replaced none.
        MissingModelError: the earlier version is no longer here.
        CorruptFileError: it is damaged; the current one stays.
    """
    current = registry.resolve(paths).version
    before = active_versions(read_history(paths), current)[:-1]
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


def is_promotion_unfinished(paths: Paths, version: str) -> bool:
    """Whether a version that was to be promoted never became the active one.

    True if the history does not name it, or if its last line is a switch to it that never came;
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


def _make_last(stack: list[str], current: str) -> None:
    """Make `current` the last of the stack: the entry above it is void or was rolled back."""
    if stack and stack[-1] == current:
        return
    if len(stack) > 1 and stack[-2] == current:
        stack.pop()
    else:
        stack.append(current)


def _path(paths: Paths) -> Path:
    return paths.models / "history.jsonl"


def _line_number(line: Switch) -> int:
    return line.line
