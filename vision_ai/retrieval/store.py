"""Versioned folders of files that no kill can tear.

`<root>/<version>/` holds the files and a `manifest.json` with their hashes; `<root>/current`
names the active version. A version is written beside the others and renamed into place, then the
pointer is replaced: at every instant `current` names a whole version.
"""

import contextlib
import hashlib
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field

from vision_ai import storage
from vision_ai.errors import CorruptFileError, EmptyIndexError
from vision_ai.records import IsoTime, Record

REPAIR = "Run `vision-ai index build`."
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")


class IndexManifest(Record):
    """What made an index and what lies in its folder: `manifest.json`."""

    schema_version: Literal[1] = 1
    version: str = Field(description="hash of the rows: the same rows give the same version")
    model: str
    style: str
    rules: str
    data: str
    count: int = Field(ge=0)
    dim: int = Field(ge=0)
    files: dict[str, str] = Field(description="SHA-256 of each file")
    created_at: IsoTime


def publish(
    root: Path, manifest: IndexManifest, files: Mapping[str, bytes], *, activate: bool = True
) -> None:
    """Write a version and make it current. Killed at any instant, the earlier one stays whole.

    A version that is already there, whole, is only pointed at; a damaged one is replaced.
    With `activate` off it is written beside the current one and waits.

    Raises:
        StorageError: the disk is full or the folder may not be written.
    """
    hashes = {name: hashlib.sha256(payload).hexdigest() for name, payload in files.items()}
    manifest = manifest.model_copy(update={"files": hashes})
    with storage.writing(root), _locked(root):
        if not _is_whole(root, manifest.version):
            _write_version(root, manifest, files)
        if activate:
            storage.write_text(root / "current", manifest.version + "\n")


def current_version(root: Path) -> str:
    """The active version.

    Raises:
        EmptyIndexError: none was built yet.
        CorruptFileError: the pointer is damaged.
    """
    pointer = root / "current"
    try:
        version = pointer.read_text(encoding="utf-8").strip()
    except FileNotFoundError as error:
        raise EmptyIndexError(f"No index has been built in {root}.", hint=REPAIR) from error
    except UnicodeDecodeError as error:
        raise CorruptFileError(f"{pointer} is damaged: {error}.", hint=REPAIR) from error
    if not _VERSION.match(version):
        raise CorruptFileError(
            f"{pointer} is damaged: expected the name of a version, was {version[:40]!r}.",
            hint=REPAIR,
        )
    return version


def read(root: Path, version: str) -> tuple[IndexManifest, dict[str, bytes]]:
    """The manifest and files of a version, each checked against its hash.

    Raises:
        CorruptFileError: a file is missing, truncated or altered.
    """
    folder = root / version
    manifest = storage.read_document(folder / "manifest.json", IndexManifest, repair=REPAIR)
    return manifest, {
        name: _read_checked(folder / name, sha) for name, sha in manifest.files.items()
    }


def list_versions(root: Path) -> list[str]:
    """Every version that lies in `root`, by name."""
    return sorted(path.parent.name for path in root.glob("[!.]*/manifest.json"))


def version_for(root: Path, model: str) -> str:
    """The version that serves a model: the current one, or its own newest if another made that.

    So a model that is promoted or rolled back finds its own index again.

    Raises:
        EmptyIndexError: none was built yet.
        CorruptFileError: the pointer is damaged.
    """
    now = current_version(root)
    made = {
        version: manifest
        for version in list_versions(root)
        if (manifest := _read_manifest(root, version))
    }
    if now in made and made[now].model == model:
        return now
    own = [manifest for manifest in made.values() if manifest.model == model]
    return max(own, key=lambda m: (m.created_at, m.version)).version if own else now


def _read_manifest(root: Path, version: str) -> IndexManifest | None:
    try:
        return storage.read_document(root / version / "manifest.json", IndexManifest, repair=REPAIR)
    except CorruptFileError:
        return None  # the error is raised when this version is read


def _read_checked(path: Path, sha256: str) -> bytes:
    try:
        payload = path.read_bytes()
    except FileNotFoundError as error:
        raise CorruptFileError(f"{path} is missing.", hint=REPAIR) from error
    actual = hashlib.sha256(payload).hexdigest()
    if actual != sha256:
        raise CorruptFileError(
            f"{path} is damaged: expected SHA-256 {sha256[:12]}, was {actual[:12]} "
            f"({len(payload)} bytes).",
            hint=REPAIR,
        )
    return payload


def _is_whole(root: Path, version: str) -> bool:
    if not (root / version).exists():
        return False
    try:
        read(root, version)
    except CorruptFileError:
        return False
    return True


@contextlib.contextmanager
def _locked(root: Path) -> Iterator[None]:
    """One builder at a time; the lock dies with its process, so leftovers are surely orphans."""
    with storage.locked(root / ".lock"):
        for orphan in root.glob(".building-*"):
            shutil.rmtree(orphan)
        yield


def _write_version(root: Path, manifest: IndexManifest, files: Mapping[str, bytes]) -> None:
    building = Path(tempfile.mkdtemp(prefix=".building-", dir=root))
    try:
        for name, payload in files.items():
            storage.write_bytes(building / name, payload)
        storage.write_document(building / "manifest.json", manifest)
        building.chmod(0o755)
        target = root / manifest.version
        if target.exists():  # damaged: nothing of it can be read any more
            target.replace(Path(tempfile.mkdtemp(prefix=".building-", dir=root)) / "damaged")
        building.replace(target)
        storage.sync_folder(root)
    finally:
        for leftover in root.glob(".building-*"):
            shutil.rmtree(leftover, ignore_errors=True)
