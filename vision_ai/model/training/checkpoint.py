"""Checkpoints of a training run: safetensors and JSON, replaced in one step, never unpickled.

A checkpoint is one safetensors file; `checkpoints.json` lists the newest ones with their
SHA-256. A kill between the two writes leaves the list as it was. A damaged file is passed over
for the one before it.
"""

import contextlib
import hashlib
import json
import logging
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import safetensors.torch
from pydantic import Field
from safetensors import SafetensorError
from torch import Tensor

from vision_ai import storage
from vision_ai.errors import CorruptFileError
from vision_ai.records import Record

logger = logging.getLogger(__name__)

KEPT = 2
"""Checkpoints kept: the newest, and the one to fall back to."""


class Entry(Record):
    """One checkpoint of the list."""

    name: str = Field(pattern=r"^step-\d{8}\.safetensors$")
    step: int = Field(ge=0)
    sha256: str
    notes: dict[str, Any]


class CheckpointList(Record):
    """`checkpoints.json`: newest first."""

    schema_version: Literal[1] = 1
    entries: list[Entry]


@dataclass(frozen=True)
class Checkpoint:
    """A run as it was after `step` steps.

    Attributes:
        step: steps done.
        tensors: weights, averages and optimizer state by name.
        notes: whatever else the run must remember, as JSON.
    """

    step: int
    tensors: Mapping[str, Tensor]
    notes: Mapping[str, Any]


def part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin so, by the rest of their names."""
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


@contextlib.contextmanager
def alone(folder: Path, name: str) -> Iterator[None]:
    """Keep a second process out of the run in `folder`, which is made if it is not there.

    Raises:
        StateError: the run is under way already.
        StorageError: the folder cannot be made.
    """
    with storage.locked(folder / "lock", busy=f"{name} is under way in another process."):
        yield


def clear(folder: Path) -> None:
    """Remove what only an unfinished run needs, its list of checkpoints first."""
    (folder / "checkpoints.json").unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


def save(folder: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint; on any failure the earlier ones stand.

    Raises:
        StorageError: the disk is full or read-only.
    """
    payload = safetensors.torch.save(dict(checkpoint.tensors))
    entry = Entry(
        name=f"step-{checkpoint.step:08d}.safetensors",
        step=checkpoint.step,
        sha256=hashlib.sha256(payload).hexdigest(),
        notes=json.loads(json.dumps(checkpoint.notes)),
    )
    listed = folder / "checkpoints.json"
    earlier = _listing(folder).entries if listed.exists() else []
    storage.write_bytes(folder / entry.name, payload)
    kept = [entry, *(old for old in earlier if old.name != entry.name)][:KEPT]
    storage.write_document(listed, CheckpointList(entries=kept))
    names = {old.name for old in kept}
    for path in [*folder.glob("step-*.safetensors"), *folder.glob(".*.tmp")]:
        if path.name not in names:
            with contextlib.suppress(FileNotFoundError):
                path.unlink()


def load(folder: Path) -> Checkpoint | None:
    """The newest checkpoint that is whole; None where the run has not saved any yet.

    Raises:
        CorruptFileError: there are checkpoints, but none can be read.
    """
    if not (folder / "checkpoints.json").exists():
        return None
    for entry in _listing(folder).entries:
        path = folder / entry.name
        try:
            payload = path.read_bytes()
            if hashlib.sha256(payload).hexdigest() == entry.sha256:
                return Checkpoint(entry.step, safetensors.torch.load(payload), entry.notes)
        except (FileNotFoundError, SafetensorError) as error:
            logger.warning("checkpoint unreadable path=%s error=%s", path, error)
        else:
            logger.warning("checkpoint damaged path=%s", path)
    raise CorruptFileError(
        f"No checkpoint in {folder} can be read: all are missing or damaged.", hint=_repair(folder)
    )


def _listing(folder: Path) -> CheckpointList:
    return storage.read_document(
        folder / "checkpoints.json", CheckpointList, repair=_repair(folder)
    )


def _repair(folder: Path) -> str:
    return f"Delete the folder {folder} and run vision-ai train again from the start."
