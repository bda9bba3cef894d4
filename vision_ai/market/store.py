"""The Parquet cache: one file a venue, symbol and interval, which only ever grows.

A file is replaced in one step and under a lock, so a process that is killed at any instant leaves
the old file or the new one, and two processes never lose each other's candles. Beside the candles
it remembers which time was asked for, so that a gap of the exchange is not asked for again for
ever. A candle that is once stored is never changed.
"""

import contextlib
import io
import json
import logging
import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from vision_ai import storage
from vision_ai.config import Paths
from vision_ai.domain import Interval, Klines, iso, parse_symbol, stamp
from vision_ai.errors import CorruptFileError, InputError, KlinesError, VisionError
from vision_ai.market import files, spans, wire
from vision_ai.market.bybit import KlineRequest, Page
from vision_ai.market.gather import gather

logger = logging.getLogger(__name__)

KEY = b"vision_ai"
"""Where our own facts stand in the metadata of a Parquet file."""

SETTLED_MS = 24 * 3_600_000
"""A gap younger than this is asked for again: exchanges fill in candles after an outage."""


_VENUE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,59}\Z")


class Exchange(Protocol):
    """What the store needs of an exchange."""

    def pages(self, symbol: str, interval: Interval, start_ms: int, end_ms: int) -> Iterator[Page]:
        """Closed candles, the newest page first."""
        ...


@dataclass(frozen=True)
class Cached:
    """Stored candles, and the spans for which the exchange is known to have no others."""

    klines: Klines
    asked: tuple[spans.Span, ...] = ()

    def missing(self, start_ms: int, as_of_ms: int) -> list[spans.Span]:
        """What to ask for so that every candle in [start_ms, as_of_ms) is held that exists."""
        return spans.subtract([(start_ms, as_of_ms)], [*spans.covered(self.klines), *self.asked])

    def merge(self, klines: Klines, requested: Iterable[spans.Span] = ()) -> "Cached":
        """These candles and the given ones; where both have one, the stored one is kept."""
        old, new = self.klines, klines
        known = tuple(spans.union([*self.asked, *requested]))
        fresh = ~np.isin(new.open_ms, old.open_ms, assume_unique=True)
        if not fresh.any():
            return self if known == self.asked else Cached(old, known)
        open_ms = np.concatenate([old.open_ms, new.open_ms[fresh]])
        order = np.argsort(open_ms)
        bars = np.concatenate([old.bars, new.bars[fresh]])[order]
        return Cached(Klines(old.symbol, old.interval, open_ms[order], bars), known)


class Store:
    """The cached candles of one venue, such as `bybit-linear`.

    Candles of different origin have different venues, so they never share a file.
    """

    def __init__(self, paths: Paths, venue: str, *, clock: Callable[[], float] = time.time) -> None:
        if not _VENUE.match(venue):
            raise InputError(
                f"Venue {venue[:40]!r} is not valid: expected letters, digits, dots and hyphens.",
                hint="Name it like bybit-linear.",
            )
        self.paths = paths
        self.venue = venue
        self._clock = clock

    def path(self, symbol: str, interval: Interval) -> Path:
        """The file of one market.

        Raises:
            SymbolError: the symbol is not valid; it never becomes a path.
        """
        return self.paths.klines(self.venue, parse_symbol(symbol), interval)

    def load(self, symbol: str, interval: Interval) -> Klines:
        """The candles that are stored; none where nothing is.

        Raises:
            CorruptFileError: the file is damaged.
        """
        return self._read(symbol, interval).klines

    def add(self, klines: Klines) -> Klines:
        """Store candles of any origin, such as an import; returns all that is stored now.

        Raises:
            CorruptFileError: the stored file is damaged; it is left as it is.
            StorageError: the file could not be written; the old one is kept.
        """
        with self._locked(klines.symbol, klines.interval):
            cached = self._read(klines.symbol, klines.interval)
            merged = cached.merge(klines)
            if merged is not cached:
                self._write(merged)
            return merged.klines

    def sync(
        self, exchange: Exchange, symbol: str, interval: Interval, start_ms: int, as_of_ms: int
    ) -> Klines:
        """The candles from `start_ms` that are closed at `as_of_ms`, asking only for missing ones.

        Progress is saved as pages arrive. A damaged file is moved aside and fetched again.

        Raises:
            SymbolError: the exchange does not list the symbol.
            TransientError: the exchange gave up; what was fetched is kept.
            StorageError: the file could not be written; the old one is kept.
        """
        symbol = parse_symbol(symbol)
        start_ms = max(-(-start_ms // interval.ms) * interval.ms, 0)
        end_ms = as_of_ms // interval.ms * interval.ms
        with self._locked(symbol, interval):
            cached = self._read_or_set_aside(symbol, interval)
            missing = spans.join_near(cached.missing(start_ms, end_ms), wire.PAGE * interval.ms)
            for span in reversed(missing):
                cached = self._fill(exchange, cached, span)
        closed = cached.klines.until(as_of_ms)
        return closed[int(np.searchsorted(closed.open_ms, start_ms)) :]

    def sync_many(
        self, exchange: Exchange, requests: Iterable[KlineRequest], *, workers: int
    ) -> dict[KlineRequest, Klines | VisionError]:
        """`sync` for several markets at once: the candles of each, or the error of each."""

        def one(r: KlineRequest) -> Klines:
            return self.sync(exchange, r.symbol, r.interval, r.start_ms, r.end_ms)

        return gather(requests, one, workers=workers)

    def _fill(self, exchange: Exchange, cached: Cached, span: spans.Span) -> Cached:
        saved = cached
        try:
            for page in exchange.pages(saved.klines.symbol, saved.klines.interval, *span):
                settled_ms = min(page.end_ms, page.answered_ms - SETTLED_MS)
                cached = cached.merge(page.klines, [(page.start_ms, settled_ms)])
                # Saving less often as the file grows keeps a long fetch linear in its length.
                unsaved = len(cached.klines) - len(saved.klines)
                if unsaved >= max(wire.PAGE, len(saved.klines) // 4):
                    saved = self._write(cached)
        finally:
            if cached is not saved:
                self._write(cached)
        return cached

    def _read(self, symbol: str, interval: Interval) -> Cached:
        symbol = parse_symbol(symbol)
        path = self.path(symbol, interval)
        if not path.exists():
            return Cached(Klines.empty(symbol, interval))
        try:
            klines = files.read_file(path)
            requested = self._asked(path, klines)
        except (InputError, CorruptFileError) as error:
            raise CorruptFileError(
                f"Cached candles {path} are damaged: {error.message}",
                hint=f"Run: vision-ai fetch {symbol} (it moves the file aside and fetches again).",
            ) from error
        return Cached(klines, requested)

    def _asked(self, path: Path, klines: Klines) -> tuple[spans.Span, ...]:
        metadata = pq.read_schema(path).metadata or {}
        if KEY not in metadata:
            return ()
        try:
            facts = json.loads(metadata[KEY])
            named = (facts["venue"], facts["symbol"], facts["interval"])
            requested = tuple((int(start), int(end)) for start, end in facts["asked"])
        except (ValueError, KeyError, TypeError) as error:
            raise KlinesError(f"its metadata cannot be read ({type(error).__name__}).") from error
        if named != (self.venue, klines.symbol, klines.interval.value):
            raise KlinesError(f"it holds {' '.join(map(str, named))}, so it was renamed.")
        return requested

    def _read_or_set_aside(self, symbol: str, interval: Interval) -> Cached:
        try:
            return self._read(symbol, interval)
        except CorruptFileError as error:
            path = self.path(symbol, interval)
            aside = path.with_name(f"{path.name}.corrupt-{stamp(round(self._clock() * 1000))}")
            with storage.writing(aside):
                path.rename(_unused_name(aside))
            logger.warning("event=set-aside path=%s reason=%s", aside, error.message)
            return Cached(Klines.empty(symbol, interval))

    def _write(self, cached: Cached) -> Cached:
        klines = cached.klines
        facts = {
            "v": 1,
            "venue": self.venue,
            "symbol": klines.symbol,
            "interval": klines.interval.value,
            "asked": [list(span) for span in cached.asked],
        }
        columns = {"open_ms": klines.open_ms}
        columns |= dict(zip(files.VALUE_COLUMNS, klines.bars.T, strict=True))
        table = pa.table(columns).replace_schema_metadata({KEY: json.dumps(facts)})
        buffer = io.BytesIO()
        pq.write_table(table, buffer, write_page_checksum=True)
        storage.write_bytes(self.path(klines.symbol, klines.interval), buffer.getvalue())
        last = iso(int(klines.close_ms[-1])) if len(klines) else "-"
        logger.info(
            "event=stored venue=%s symbol=%s interval=%s candles=%d until=%s",
            self.venue, klines.symbol, klines.interval, len(klines), last,
        )  # fmt: skip
        return cached

    @contextlib.contextmanager
    def _locked(self, symbol: str, interval: Interval) -> Iterator[None]:
        path = self.path(symbol, interval)
        lock = path.with_name(f".{path.name}.lock")
        with storage.locked(lock):
            # Only the holder of the lock writes, so a part that is lying about is a dead writer's.
            for leftovers in path.parent.glob(f".{path.name}.*.tmp"):
                leftovers.unlink(missing_ok=True)
            try:
                yield
            finally:
                if not path.exists():  # a market that has no candles leaves nothing behind
                    lock.unlink(missing_ok=True)


def import_candles(
    paths: Paths,
    source: Path,
    *,
    venue: str = "",
    symbol: str = "",
    interval: Interval | None = None,
) -> dict[Path, Klines | VisionError]:
    """Store the candles of one file, or of every file of a folder; importing twice adds nothing.

    Args:
        paths: where the cache is.
        source: a Parquet or CSV file, or a folder of files named `venue_SYMBOL_interval`.
        venue: overrides the venue in the file names; `imported` where neither says one.
        symbol: overrides the file name's; for one file only.
        interval: overrides the file name's; for one file only.

    Returns:
        All that is stored now of each market, or the error of each file, those of a folder whose
        names say no market among them; good files are kept.

    Raises:
        KlinesError: no such file or folder, or a folder without candles.
    """

    def one(path: Path) -> Klines:
        store = Store(paths, venue or files.parse_name(path).venue or files.IMPORTED)
        klines = files.read_file(path, symbol, interval)
        files.refuse_coarser(klines, path)
        return store.add(klines)

    if source.is_dir() and (symbol or interval):
        raise InputError(
            f"{source} is a folder: its file names say symbol and interval.",
            hint="Leave out --symbol and --interval, or name one file.",
        )
    if not source.is_dir():
        return gather([source], one, workers=1)
    files.candle_files(source)  # refuses a folder without any
    return gather(files.table_files(source), one, workers=1)


def _unused_name(path: Path) -> Path:
    names = [path, *(path.with_name(f"{path.name}-{i}") for i in range(1, 1000))]
    return next(name for name in names if not name.exists())
