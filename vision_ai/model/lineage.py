"""Versions made from versions: derived, promoted, taken back and compared."""

import hashlib
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from vision_ai import storage
from vision_ai.config import Paths
from vision_ai.errors import MissingModelError, StateError
from vision_ai.model import history, registry
from vision_ai.model.registry import Manifest, ModelFolder

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
    before = history.line_of_descent(history.read(paths), current)[:-1]
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
    registry.activate(paths, before[-1], kind="rollback")
    return registry.resolve(paths)


def was_cut_short(paths: Paths, version: str) -> bool:
    """Whether a version that was to be promoted never came into use.

    True if the history does not name it, or if its last word is a switch to it that did not come;
    not if somebody has deleted it since.
    """
    if not (paths.models / version / "manifest.json").is_file():
        return False
    lines = history.read(paths)
    if all(line.to != version for line in lines):
        return True
    return lines[-1].to == version != registry.resolve(paths).version
