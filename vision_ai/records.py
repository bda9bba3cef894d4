"""What is written to disk for people and other programs: JSON documents and JSONL logs.

Documents are replaced atomically, logs are only appended, so a process that is killed at any
instant leaves every earlier record readable. Every document carries `schema_version`.
"""

import contextlib
import errno
import fcntl
import fnmatch
import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from vision_ai.domain import Direction, Horizon, Interval, Phase, Setup
from vision_ai.errors import CorruptFileError, StorageError

Document = TypeVar("Document", bound=BaseModel)

Probability = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
IsoTime = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$")]
SymbolText = Annotated[str, StringConstraints(pattern=r"^[A-Z0-9]{2,30}$")]


class Record(BaseModel):
    """A frozen document that refuses unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Band(Record):
    """Where price may be at a horizon, as simple returns from the last close.

    `low` and `high` bound a band meant to hold with probability `level`.
    """

    low: Finite
    median: Finite
    high: Finite
    level: Probability
    up_probability: Probability
    samples: int = Field(ge=0, description="look-alikes whose outcome is known")


class NeighborRecord(Record):
    """One look-alike: where it stands, how alike it is, what it was and what followed."""

    symbol: SymbolText
    interval: Interval
    as_of: IsoTime
    similarity: Finite
    weight: Finite
    setup: Setup
    direction: Direction
    phase: Phase
    moves: dict[Horizon, Finite | None] = Field(
        description="simple return from the look-alike's last close to each horizon"
    )
    by: str | None = Field(default=None, description="who labelled it; null: the rule book")


class WordRecord(Record):
    """What a person said of another chart, and how likely it holds for this one."""

    who: str
    at: IsoTime = Field(description="when they said it")
    symbol: SymbolText
    interval: Interval
    as_of: IsoTime = Field(description="close of the last candle of the chart they looked at")
    similarity: Finite
    setup: Setup
    direction: Direction
    phase: Phase
    trust: Probability = Field(description="how likely the setup holds for this chart too")


class Heard(Record):
    """People's words that bear on a reading, and what would have been shown without them."""

    words: list[WordRecord] = Field(description="the weightiest first")
    setup: Setup
    direction: Direction
    phase: Phase
    confidence: Probability
    abstained: bool


class IntervalReading(Record):
    """What the chart of one interval shows."""

    interval: Interval
    first_candle: IsoTime
    last_candle: IsoTime
    last_close: Finite | None = Field(description="null where it was read off a bare picture")
    klines_hash: str
    chart: str | None = Field(description="PNG, relative to the data root; null if none was drawn")
    setup: Setup
    direction: Direction
    phase: Phase
    confidence: Probability
    abstained: bool
    abstained_because: str | None = None
    probabilities: dict[str, Probability] = Field(description="keys `setup:direction`, sum 1")
    phase_probabilities: dict[Phase, Probability]
    similarity: Finite = Field(description="mean cosine of the look-alikes that voted")
    neighbors: list[NeighborRecord]
    outcome: dict[Horizon, Band] = Field(
        description="empty where closes have no scale: a bare picture, or all of them equal"
    )
    heard: Heard | None = Field(
        default=None, description="what people said of charts like it; null: nothing that bears"
    )


class Prediction(Record):
    """One symbol at one time: `data/vision_ai/predictions/{SYMBOL}_{YYYYMMDD_HHMM}.json`.

    The top level repeats the interval that leads: the more confident one that did not abstain
    and shows a setup. `as_of` is the close of the newest candle that was seen.
    """

    schema_version: Literal[1] = 1
    symbol: SymbolText
    as_of: IsoTime
    source: Literal["klines", "image"] = "klines"
    venue: str = Field(default="bybit-linear", description="`simulated` marks made-up candles")
    lead_interval: Interval
    setup: Setup
    phase: Phase
    direction: Direction
    confidence: Probability
    abstained: bool
    probabilities: dict[str, Probability]
    neighbors: list[NeighborRecord]
    outcome: dict[Horizon, Band]
    intervals: dict[Interval, IntervalReading]
    model_version: str
    index_version: str
    style_hash: str
    rules_version: str
    created_at: IsoTime


Verdict = Literal["target", "stop", "neither", "ambiguous"]


class LogLine(Record):
    """A line that knows its place and its checksum: an edited or moved line shows."""

    line: int = Field(default=0, ge=0, description="its place in the file, from 1")
    check: str = Field(default="", description="SHA-256 of all other fields, 16 hex digits")


class Feedback(LogLine):
    """One line of `data/cv_feedback_logs/{SYMBOL}_{YYYYMMDD_HHMM}.jsonl`: one horizon.

    Moves are simple returns from `entry`. `move` is price's own; `best` and `worst` are the
    largest gain and the largest loss in the setup's direction (of price, where it is neutral).
    """

    v: Literal[1] = 1
    symbol: SymbolText
    as_of: IsoTime
    horizon: Horizon
    interval: Interval
    setup: Setup
    direction: Direction
    phase: Phase
    confidence: Probability
    abstained: bool
    model_version: str
    index_version: str
    move: Finite | None
    best: Finite | None
    worst: Finite | None
    first: Verdict | None
    resolved_on: str | None = Field(description="interval of the candles that settled the order")
    success: bool | None
    covered: bool | None
    reason: str
    checked_at: IsoTime
    venue: str = "bybit-linear"
    entry: Finite | None = Field(default=None, description="price at `as_of`")
    target: Finite | None = Field(default=None, description="gain to be reached, from `entry`")
    stop: Finite | None = Field(default=None, description="loss that ends it, from `entry`")
    first_at: IsoTime | None = Field(default=None, description="open of the deciding candle")
    level: Probability | None = Field(default=None, description="coverage the band was meant for")
    stretch: Finite | None = Field(
        default=None, description="widening of the band's halves that just holds the price"
    )
    chart: str | None = Field(default=None, description="PNG, relative to the data root")


ELSEWHERE = "Choose another --out where you gave one, or set VISION_AI_DATA to a writable folder."


@contextlib.contextmanager
def storage(path: Path) -> Iterator[None]:
    """Turn the operating system's refusals to write into one clear sentence.

    Raises:
        StorageError: the disk is full, or the folder may not be written.
    """
    reasons = {
        errno.ENOSPC: ("the disk is full", "Free some space and run the same command again."),
        errno.EDQUOT: ("the disk quota is used up", "Free some space and run it again."),
        errno.EROFS: ("the file system is read-only", ELSEWHERE),
        errno.EACCES: ("permission is denied", ELSEWHERE),
        errno.EPERM: ("permission is denied", ELSEWHERE),
        errno.ENOTDIR: ("a parent of it is a file", "Move that file away or set VISION_AI_DATA."),
        errno.EEXIST: ("a file is in its place", "Move that file away or set VISION_AI_DATA."),
        errno.ENOENT: ("the folder cannot be made", ELSEWHERE),
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


def write_bytes(path: Path, payload: bytes) -> None:
    """Replace a file in one step: readers see the old content or the new, never a part.

    Raises:
        StorageError: the file could not be written; the old one stands.
    """
    with storage(path):
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
    content = read_json(path, repair=repair)
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "top level"
        raise CorruptFileError(
            f"{path} is no valid {kind.__name__}: {where}: {first['msg']}.", hint=repair
        ) from error


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


Line = TypeVar("Line", bound=LogLine)


def append_once(path: Path, lines: Sequence[Line], key: Callable[[Line], Hashable]) -> list[Line]:
    """Append sealed lines, without those whose key an intact line of the file has already.

    Reading and writing happen under one lock, so of two processes that append the same key only
    one writes. Meant for short logs: the file is read each time.

    Returns:
        The lines that were written, sealed.

    Raises:
        StorageError: nothing was written.
    """
    with _locked(path) as file:
        file.seek(0)
        content = file.read()
        good, _ = _check_lines(path, content, type(lines[0]), key) if content else ([], [])
        known = {key(line) for line in good}
        fresh = [line for line in lines if key(line) not in known]
        whole = content.endswith(b"\n") or not content
        first = content.count(b"\n") + (1 if whole else 2)
        sealed = [_seal(line, number) for number, line in enumerate(fresh, start=first)]
        if sealed:
            _append(file, *sealed)
        return sealed


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[IO[bytes]]:
    with storage(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file


def _append(file: IO[bytes], *lines: Record) -> None:
    size = file.seek(0, os.SEEK_END)
    torn = False
    if size:
        file.seek(size - 1)
        torn = file.read(1) != b"\n"
    payload = b"".join(line.model_dump_json().encode() + b"\n" for line in lines)
    try:
        file.write((b"\n" if torn else b"") + payload)
        file.flush()
        os.fsync(file.fileno())
    except OSError:
        os.ftruncate(file.fileno(), size)
        raise


def _seal(line: Line, number: int) -> Line:
    placed = line.model_copy(update={"line": number})
    return placed.model_copy(update={"check": _checksum(placed.model_dump(mode="json"))})


def _checksum(content: Mapping[str, Any]) -> str:
    """The seal shows accidents and hand edits; it is no signature."""
    fields = {name: value for name, value in content.items() if name != "check"}
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class BadLine(Record):
    """A line of a log that is kept but not counted, and why."""

    path: str
    number: int
    reason: str

    def __str__(self) -> str:
        return f"{self.path} line {self.number}: {self.reason}"


def read_sealed(
    path: Path,
    kind: type[Line],
    key: Callable[[Line], Hashable],
    stray: Callable[[Line], str | None] = lambda _: None,
) -> tuple[list[Line], list[BadLine]]:
    """Read a log of sealed lines: truncated, edited, moved, repeated and stray ones are named.

    They stay in the file and are never counted. A missing file holds no lines. `stray` says of a
    whole line which other log it is of, if it is.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return [], []
    lines, bad = _check_lines(path, content, kind, key)
    own = []
    for line in lines:
        if (home := stray(line)) is None:
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
        return f"out of place: written as line {line.line}, stands at {number}"
    return line
