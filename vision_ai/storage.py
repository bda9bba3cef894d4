"""Files that are replaced in one step, whatever happens, and read with one clear refusal.

A process that is killed at any instant leaves the old file or the new one, never a part.
"""

import contextlib
import errno
import fcntl
import fnmatch
import io
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

from vision_ai.errors import CorruptFileError, StateError, StorageError

if TYPE_CHECKING:
    import pyarrow as pa

Document = TypeVar("Document", bound=BaseModel)

_ELSEWHERE = "Choose another --out where you gave one, or set VISION_AI_DATA to a writable folder."


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn the operating system's refusals to write into one clear sentence.

    Raises:
        StorageError: the disk is full, or the folder may not be written.
    """
    reasons = {
        errno.ENOSPC: ("the disk is full", "Free some space and run the same command again."),
        errno.EDQUOT: ("the disk quota is used up", "Free some space and run it again."),
        errno.EROFS: ("the file system is read-only", _ELSEWHERE),
        errno.EACCES: ("permission is denied", _ELSEWHERE),
        errno.EPERM: ("permission is denied", _ELSEWHERE),
        errno.ENOTDIR: ("a parent of it is a file", "Move that file away or set VISION_AI_DATA."),
        errno.EEXIST: ("a file is in its place", "Move that file away or set VISION_AI_DATA."),
        errno.ENOENT: ("the folder cannot be made", _ELSEWHERE),
        errno.EISDIR: ("a folder is in its place", "Move that folder away or name a file."),
        errno.EBUSY: ("a folder is in its place", "Move that folder away or name a file."),
        errno.ENAMETOOLONG: ("its name is too long", "Set VISION_AI_DATA to a shorter path."),
        errno.EIO: ("the disk reports an error", "Check the disk, or set VISION_AI_DATA."),
        errno.EFBIG: ("the file would be too large", "Free some space and run it again."),
    }
    try:
        yield
    except OSError as error:
        if error.errno not in reasons:
            raise
        what, hint = reasons[error.errno]
        raise StorageError(
            f"Cannot write {path}: {what}. Earlier files are untouched.", hint=hint
        ) from error


@contextlib.contextmanager
def locked(path: Path, *, busy: str | None = None) -> Iterator[IO[bytes]]:
    """Hold the lock of a file, which is made if it is not there; the lock dies with its process.

    A holder may remove the file: whoever waited for it then locks the one that is there.

    Args:
        path: the file; it may hold content, and is opened for reading and appending.
        busy: what to say where another process holds the lock; None waits for it.

    Raises:
        StateError: another process holds the lock, and `busy` says what it is doing.
        StorageError: the file cannot be made.
    """
    how = fcntl.LOCK_EX | (fcntl.LOCK_NB if busy is not None else 0)
    while True:
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            file = path.open("ab+")
        with file:
            try:
                fcntl.flock(file, how)
            except BlockingIOError as error:
                raise StateError(busy or "", hint="Wait for it, or stop it.") from error
            if _is_at(path, file.fileno()):
                yield file
                return


def _is_at(path: Path, descriptor: int) -> bool:
    """Whether the open file is the one that the path names."""
    try:
        return path.stat().st_ino == os.fstat(descriptor).st_ino
    except FileNotFoundError:
        return False


def write_bytes(path: Path, payload: bytes) -> None:
    """Replace a file in one step: readers see the old content or the new, never a part.

    Raises:
        StorageError: the file could not be written; the old one is kept.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(payload)
                file.flush()
                os.fsync(file.fileno())
            Path(name).chmod(0o644)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make a rename in `folder` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text(path: Path, text: str) -> None:
    """Replace a UTF-8 text file in one step."""
    write_bytes(path, text.encode())


def write_document(path: Path, document: BaseModel) -> None:
    """Replace a JSON document in one step."""
    write_text(path, document.model_dump_json(indent=2) + "\n")


def read_json(path: Path, *, repair: str) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        CorruptFileError: the file is missing, truncated or no JSON object; `repair` is the hint.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise CorruptFileError(f"{path} is missing.", hint=repair) from error
    except (ValueError, RecursionError) as error:  # no UTF-8, no JSON, or endless digits
        raise CorruptFileError(
            f"{path} is damaged: expected a JSON object, {error}.", hint=repair
        ) from error
    except IsADirectoryError as error:
        raise CorruptFileError(
            f"{path} is damaged: a folder is in its place.", hint=repair
        ) from error
    if not isinstance(content, dict):
        raise CorruptFileError(
            f"{path} is damaged: expected a JSON object, was {type(content).__name__}.", hint=repair
        )
    return content


def read_document(path: Path, kind: type[Document], *, repair: str) -> Document:
    """Read and check a JSON document.

    Raises:
        CorruptFileError: damaged, or its fields are not those of `kind`.
    """
    return check_document(path, read_json(path, repair=repair), kind, repair=repair)


def check_document(
    path: Path, content: Mapping[str, Any], kind: type[Document], *, repair: str
) -> Document:
    """Check the content of a JSON document that was read from `path`.

    Raises:
        CorruptFileError: its fields are not those of `kind`.
    """
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "top level"
        raise CorruptFileError(
            f"{path} is no valid {kind.__name__}: {where}: {first['msg']}.", hint=repair
        ) from error


def dump_table(table: "pa.Table", marks: Mapping[str, str]) -> bytes:
    """The bytes of a Parquet file with `marks` for its metadata; equal tables, equal bytes."""
    import pyarrow.parquet as pq

    sink = io.BytesIO()
    pq.write_table(table.replace_schema_metadata(dict(marks)), sink, compression="zstd")
    return sink.getvalue()


def load_table(payload: bytes) -> "pa.Table":
    """Read the bytes of a Parquet file, in this thread alone.

    `pyarrow.parquet.read_table` scans a Python file in threads of its own. They may drop it only
    when the interpreter is on its way out, and then the process aborts ("terminate called without
    an active exception", met after Ctrl-C).

    Raises:
        pyarrow.ArrowException, OSError: no such file, or a damaged one.
    """
    import pyarrow.parquet as pq

    with pq.ParquetFile(io.BytesIO(payload), pre_buffer=False) as file:
        return file.read(use_threads=False)


def listed(folder: Path, pattern: str) -> list[Path]:
    """Files of a folder whose names match, by name; a folder that is not there holds none.

    Raises:
        StorageError: the folder cannot be read, which is not the same as an empty one.
    """
    try:
        names = [entry.name for entry in os.scandir(folder)]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StorageError(
            f"{folder} cannot be read: {error.strerror}.",
            hint="Check who may read it, or set VISION_AI_DATA to another folder.",
        ) from error
    return [folder / name for name in sorted(fnmatch.filter(names, pattern))]
