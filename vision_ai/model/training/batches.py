"""Labelled windows to training batches, drawn on the fly and replayable.

A batch is a pure function of the seed, the step and its rows, so that a run that was killed
continues with the very batch it lost. Drawing, labelling and describing are handed in as
functions: this package imports neither charts nor labels.
"""

import hashlib
import io
import logging
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vision_ai import storage
from vision_ai.domain import (
    CLOSE,
    HIGH,
    LOW,
    OPEN,
    PHASES,
    READINGS,
    VOLUME,
    WINDOW,
    Bools,
    Bytes,
    Ints,
    Klines,
    Labels,
)
from vision_ai.model.training.sampler import PrioritizedSampler

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Corpus:
    """Labelled windows, each a row number in one of several tables of candles.

    Attributes:
        tables: candles, one table a symbol and interval.
        table: int32 (n,), which table.
        end: int32 (n,), row of the window's last candle.
        reading: int8 (n,), codes of `READINGS`.
        phase: int8 (n,), codes of `PHASES`.
    """

    tables: tuple[Klines, ...]
    table: NDArray[np.int32]
    end: NDArray[np.int32]
    reading: NDArray[np.int8]
    phase: NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.end)

    def take(self, rows: Ints | Bools) -> "Corpus":
        """Only the given rows (indices or mask)."""
        return Corpus(
            self.tables, self.table[rows], self.end[rows], self.reading[rows], self.phase[rows]
        )

    def bars(self, rows: Ints) -> NDArray[np.float64]:
        """Candles of the given rows: float64 (len(rows), 96, 5)."""
        out = np.empty((len(rows), WINDOW, 5))
        tables = self.table[rows]
        for table in np.unique(tables):
            here = np.flatnonzero(tables == table)
            out[here] = self.tables[table].windows(self.end[rows[here]])
        return out

    @property
    def symbol(self) -> NDArray[np.str_]:
        """Symbol of each row."""
        return np.array([table.symbol for table in self.tables], np.str_)[self.table]

    @property
    def interval(self) -> NDArray[np.str_]:
        """Interval of each row."""
        return np.array([table.interval.value for table in self.tables], np.str_)[self.table]

    @property
    def last_ms(self) -> NDArray[np.int64]:
        """Open time of each window's last candle."""
        out = np.empty(len(self), np.int64)
        for code, table in enumerate(self.tables):
            here = self.table == code
            out[here] = table.open_ms[self.end[here]]
        return out

    @property
    def interval_ms(self) -> NDArray[np.int64]:
        """Candle length of each row."""
        return np.array([table.interval.ms for table in self.tables], np.int64)[self.table]

    @property
    def first_ms(self) -> NDArray[np.int64]:
        """Open time of each window's first candle."""
        return self.last_ms - (WINDOW - 1) * self.interval_ms

    @property
    def close_ms(self) -> NDArray[np.int64]:
        """When each window was complete."""
        return self.last_ms + self.interval_ms


def mirror(bars: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same candles with log price negated: highs become lows.

    >>> bars = np.array([[[2.0, 4.0, 1.0, 2.0, 7.0]]])
    >>> mirror(bars).tolist()
    [[[0.5, 1.0, 0.25, 0.5, 7.0]]]
    """
    out = bars.copy()
    out[..., [OPEN, HIGH, LOW, CLOSE]] = 1 / bars[..., [OPEN, LOW, HIGH, CLOSE]]
    return out


def scale_ohlcv(bars: NDArray[np.float64]) -> NDArray[np.float32]:
    """OHLCV of each candle within its window, 0 to 1: float32 (n, 96, 5).

    Prices on the log scale between the window's lowest low and highest high, volume against the
    window's largest.
    """
    logs = np.log(bars[..., :VOLUME])
    low = logs[..., LOW].min(axis=1)[:, None, None]
    high = logs[..., HIGH].max(axis=1)[:, None, None]
    prices = (logs - low) / np.maximum(high - low, 1e-12)
    largest = np.maximum(bars[..., VOLUME].max(axis=1, keepdims=True), 1e-12)
    volume = bars[..., VOLUME] / largest
    return np.concatenate([prices, volume[..., None]], axis=-1).astype(np.float32)


NOISE_EVERY = 32
"""Every so many pictures one is added with its pixels scrambled, as what is no chart."""


def scramble(pictures: Bytes, rng: np.random.Generator) -> Bytes:
    """The same pixels elsewhere: anywhere, in other rows, or column by column in other rows."""
    out = np.array(pictures, order="C")
    for picture, kind in zip(out, rng.integers(0, 3, len(out)), strict=True):
        if kind == 0:
            rng.shuffle(picture.reshape(-1, picture.shape[-1]), axis=0)
        elif kind == 1:
            rng.shuffle(picture, axis=0)
        else:
            picture[:] = rng.permuted(picture, axis=0)
    return out


@dataclass(frozen=True, eq=False)
class Batch:
    """What one step learns from: n charts; the first n - m come as OHLCV, the last m as pictures.

    Attributes:
        rows: int64 (n,), row of each chart in the corpus.
        pictures: uint8 (m, 192, 96, 3).
        reading, phase: int64 (n,), codes.
        captions: a description of each chart that has a picture.
        ohlcv: float32 (n, 96, 5), of all charts, each 0 to 1 of its window.
        facts: float32 (n, f), what the rule book measured, of order 1; NaN where nothing.
        segments, swings: bool (n, 2, k, classes), the anchors and bars at which rules hold,
            upright and mirrored.
        noise: uint8 (q, 192, 96, 3), what is no chart.
    """

    rows: NDArray[np.int64]
    pictures: Bytes
    reading: NDArray[np.int64]
    phase: NDArray[np.int64]
    captions: list[str]
    ohlcv: NDArray[np.float32]
    facts: NDArray[np.float32]
    segments: Bools
    swings: Bools
    noise: Bytes

    def __len__(self) -> int:
        return len(self.reading)

    @property
    def given(self) -> int:
        """How many charts come as OHLCV alone; they are the first."""
        return len(self) - len(self.pictures)


@dataclass(frozen=True)
class ExampleFactory:
    """The functions that turn candles into training examples.

    Attributes:
        draw: bars and randomness to pictures in random styles.
        label: bars to labels.
        describe: bars, their labels and randomness to a sentence each.
        measure: labels to facts (n, f) of order 1, NaN where one does not apply.
        locate: bars to the segments and swings at which rules hold, (n, 2, k, classes) each.
    """

    draw: Callable[[NDArray[np.float64], np.random.Generator], Bytes]
    label: Callable[[NDArray[np.float64]], Labels]
    describe: Callable[[NDArray[np.float64], Labels, np.random.Generator], list[str]]
    measure: Callable[[Labels], NDArray[np.float32]]
    locate: Callable[[NDArray[np.float64]], tuple[Bools, Bools]]


class Batches:
    """Batches of a corpus: number `step`, of the same rows, is always the same.

    `shown` is the share of charts that are drawn; a tower that reads candles is given the OHLCV of
    the others, which costs a fraction of drawing and reading. `sampler` chooses the rows.
    """

    def __init__(
        self,
        corpus: Corpus,
        factory: ExampleFactory,
        sampler: PrioritizedSampler,
        *,
        shown: float = 1.0,
    ) -> None:
        self.corpus = corpus
        self.factory = factory
        self.sampler = sampler
        self.given = sampler.size - max(round(shown * sampler.size), 1)

    def at(self, step: int) -> Batch:
        """The batch that `sampler` chooses for a step."""
        return self.draw(step, self.sampler.rows(step))

    def draw(self, step: int, rows: NDArray[np.int64]) -> Batch:
        """Draw the batch of one step: half of the windows are mirrored, with their labels."""
        rng = np.random.default_rng([self.sampler.seed, step])
        bars = self.corpus.bars(rows)  # (n, 96, 5)
        flip = rng.random(len(rows)) < 0.5
        bars[flip] = mirror(bars[flip])
        labels = self.factory.label(bars)
        segments, swings = self.factory.locate(bars)
        pictures = self.factory.draw(bars[self.given :], rng)
        return Batch(
            rows=rows,
            pictures=pictures,
            reading=labels.reading.astype(np.int64),
            phase=labels.phase.astype(np.int64),
            captions=self.factory.describe(bars, labels, rng)[self.given :],
            ohlcv=scale_ohlcv(bars),
            facts=self.factory.measure(labels),
            segments=segments,
            swings=swings,
            noise=scramble(pictures[::NOISE_EVERY], rng),
        )


def class_shares(corpus: Corpus) -> dict[str, float]:
    """How often each reading and phase occurs."""
    n = max(len(corpus), 1)
    reading = np.bincount(corpus.reading, minlength=len(READINGS)) / n
    phase = np.bincount(corpus.phase, minlength=len(PHASES)) / n
    named = {r.name: float(s) for r, s in zip(READINGS, reading, strict=True)}
    return named | {f"phase:{p}": float(s) for p, s in zip(PHASES, phase, strict=True)}


_DAMAGE = (
    OSError, ValueError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip
"""What numpy and zipfile raise over damaged bytes; NotImplementedError is a RuntimeError."""

Codes = tuple[NDArray[np.int8], NDArray[np.int8]]


@dataclass(frozen=True)
class LabelCache:
    """Labels of windows, kept in one file per table of candles so that rules run once.

    The key is the candles' digest, the rule book's version and the windows' rows. A damaged file
    is made again.

    Attributes:
        folder: one npz file a table.
        rule_book: bars to labels.
        version: names the rule book; another version has other files.
    """

    folder: Path
    rule_book: Callable[[NDArray[np.float64]], Labels]
    version: str

    def label(self, corpus: Corpus) -> Corpus:
        """The same windows with reading and phase filled in.

        Raises:
            StorageError: the disk is full or read-only.
        """
        reading, phase = corpus.reading.copy(), corpus.phase.copy()
        for code in np.unique(corpus.table):
            here = np.flatnonzero(corpus.table == code)
            reading[here], phase[here] = self._codes(corpus.tables[code], corpus.end[here])
        return replace(corpus, reading=reading, phase=phase)

    def _codes(self, table: Klines, ends: NDArray[np.int32]) -> Codes:
        key = hashlib.sha256(f"{table.digest}|{self.version}|".encode())
        key.update(ends.astype("<i8").tobytes())
        path = self.folder / f"{table.symbol}_{table.interval}_{key.hexdigest()[:24]}.npz"
        if path.is_file() and (codes := _read_codes(path, len(ends))) is not None:
            return codes
        labels = self.rule_book(table.windows(ends))
        payload = io.BytesIO()
        np.savez_compressed(payload, reading=labels.reading, phase=labels.phase)
        storage.write_bytes(path, payload.getvalue())
        return labels.reading, labels.phase


def _read_codes(path: Path, count: int) -> Codes | None:
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as arrays:
            reading, phase = arrays["reading"], arrays["phase"]
    except _DAMAGE as error:
        logger.warning("labels unreadable path=%s error=%s", path, error)
        return None
    if not (_fits(reading, count, len(READINGS)) and _fits(phase, count, len(PHASES))):
        logger.warning("labels damaged path=%s", path)
        return None
    return reading, phase


def _fits(codes: NDArray[np.int8], count: int, classes: int) -> bool:
    is_whole = codes.shape == (count,) and codes.dtype == np.int8
    return is_whole and bool(((codes >= 0) & (codes < classes)).all())
