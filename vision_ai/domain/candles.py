"""Candles of one symbol: checked once when made, immutable, gaps left as gaps."""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from vision_ai.domain.time import END_MS, iso
from vision_ai.domain.vocabulary import CLOSE, HIGH, LOW, OPEN, VOLUME, WINDOW, Interval, Ints
from vision_ai.errors import IntervalError, KlinesError


@dataclass(frozen=True, eq=False)
class Klines:
    """Closed candles of one symbol, oldest first, gaps left as gaps.

    Attributes:
        symbol: checked symbol, such as `BTCUSDT`.
        interval: candle length.
        open_ms: int64 (n,), open time of each candle, on the interval's grid, increasing.
        bars: float64 (n, 5), columns open, high, low, close, volume.

    Raises:
        KlinesError: a value breaks the rules of candles; the text says which and where.
    """

    symbol: str
    interval: Interval
    open_ms: NDArray[np.int64]
    bars: NDArray[np.float64]

    def __post_init__(self) -> None:
        object.__setattr__(self, "open_ms", np.ascontiguousarray(self.open_ms, dtype=np.int64))
        object.__setattr__(self, "bars", np.ascontiguousarray(self.bars, dtype=np.float64))
        if self.bars.shape != (len(self.open_ms), 5):
            raise KlinesError(
                f"Candles of {self.symbol}: expected bars of shape ({len(self.open_ms)}, 5), "
                f"was {self.bars.shape}."
            )
        self.open_ms.setflags(write=False)
        self.bars.setflags(write=False)
        _check_times(self)
        _check_prices(self)

    def __len__(self) -> int:
        return len(self.open_ms)

    def __getitem__(self, rows: slice) -> "Klines":
        return Klines(self.symbol, self.interval, self.open_ms[rows], self.bars[rows])

    @classmethod
    def empty(cls, symbol: str, interval: Interval) -> Self:
        """No candles yet."""
        return cls(symbol, interval, np.empty(0, np.int64), np.empty((0, 5)))

    @classmethod
    def concatenate(cls, parts: Sequence["Klines"]) -> "Klines":
        """Candles of one symbol and interval in the order of time; at least one part.

        Raises:
            KlinesError: the parts overlap, or are not in order.
        """
        return cls(
            parts[0].symbol,
            parts[0].interval,
            np.concatenate([part.open_ms for part in parts]),
            np.concatenate([part.bars for part in parts]),
        )

    @property
    def close_ms(self) -> NDArray[np.int64]:
        """When each candle closes: its open time plus the interval."""
        return self.open_ms + self.interval.ms

    @property
    def digest(self) -> str:
        """SHA-256 over symbol, interval, times and values: the identity of these candles."""
        h = hashlib.sha256(f"{self.symbol}|{self.interval}|{len(self)}|".encode())
        h.update(self.open_ms.astype("<i8").tobytes())
        h.update(self.bars.astype("<f8").tobytes())
        return h.hexdigest()

    def until(self, as_of_ms: int) -> "Klines":
        """The candles that were closed at `as_of_ms`."""
        return self[: int(np.searchsorted(self.close_ms, as_of_ms, side="right"))]

    def gaps(self) -> list[tuple[int, int]]:
        """Missing spans as (first missing open_ms, first open_ms after the gap)."""
        steps = np.flatnonzero(np.diff(self.open_ms) > self.interval.ms)
        return [(int(self.open_ms[i]) + self.interval.ms, int(self.open_ms[i + 1])) for i in steps]

    def window_ends(self, size: int = WINDOW) -> NDArray[np.int64]:
        """Rows at which a window of `size` candles without a gap ends."""
        if len(self) < size:
            return np.empty(0, np.int64)
        span = self.open_ms[size - 1 :] - self.open_ms[: len(self) - size + 1]
        return np.flatnonzero(span == (size - 1) * self.interval.ms) + size - 1

    def windows(self, ends: Ints, size: int = WINDOW) -> NDArray[np.float64]:
        """Bars of the windows that end at the given rows: float64 (len(ends), size, 5)."""
        rows = np.asarray(ends, np.int64)[:, None] + np.arange(1 - size, 1)
        return np.asarray(self.bars[rows])

    def last_window(self, as_of_ms: int, size: int = WINDOW) -> "Klines":
        """The newest `size` candles closed at `as_of_ms`.

        Raises:
            KlinesError: too few candles, a gap inside the window, or a price that did not move.
        """
        closed = self.until(as_of_ms)
        if len(closed) < size:
            raise KlinesError(
                f"{self.symbol} {self.interval} has {len(closed)} closed candles at "
                f"{iso(as_of_ms)}: expected at least {size}.",
                hint="Fetch more history, or pick a symbol that has traded longer.",
            )
        window = closed[len(closed) - size :]
        if gaps := window.gaps():
            first, after = gaps[0]
            raise KlinesError(
                f"{self.symbol} {self.interval} lacks candles from {iso(first)} to {iso(after)}: "
                f"expected {size} candles without a gap.",
                hint="Fetch again; after a halt, wait until the gap has left the chart.",
            )
        _check_traded(window)
        return window

    def resample(self, interval: Interval) -> "Klines":
        """Coarser candles made of these; a candle with a missing part is left out.

        Raises:
            IntervalError: the target is not a whole multiple of the source.
        """
        if interval is self.interval:
            return self
        if interval.ms % self.interval.ms:
            raise IntervalError(f"Candles of {self.interval} cannot be resampled to {interval}.")
        parts = interval.ms // self.interval.ms
        bucket = self.open_ms // interval.ms
        starts = np.flatnonzero(np.r_[True, np.diff(bucket) > 0]) if len(self) else np.empty(0, int)
        counts = np.diff(np.r_[starts, len(self)])
        starts = starts[counts == parts]
        rows = starts[:, None] + np.arange(parts)
        part = self.bars[rows]
        bars = np.stack(
            [
                part[:, 0, OPEN] if len(rows) else np.empty(0),
                part[:, :, HIGH].max(1, initial=-math.inf),
                part[:, :, LOW].min(1, initial=math.inf),
                part[:, -1, CLOSE] if len(rows) else np.empty(0),
                part[:, :, VOLUME].sum(1),
            ],
            axis=1,
        )
        return Klines(self.symbol, interval, bucket[starts] * interval.ms, bars)


def _check_times(klines: Klines) -> None:
    name = f"{klines.symbol} {klines.interval}"
    outside = np.flatnonzero((klines.open_ms < 0) | (klines.open_ms >= END_MS))
    if len(outside):
        row = int(outside[0])
        raise KlinesError(
            f"{name}: candle {row} opens at {klines.open_ms[row]} ms, expected a time from "
            f"{iso(0)} to {iso(END_MS)}.",
            hint="Check that the file holds UTC open times as ISO text or epoch numbers.",
        )
    off_grid = np.flatnonzero(klines.open_ms % klines.interval.ms)
    if len(off_grid):
        row = int(off_grid[0])
        raise KlinesError(
            f"{name}: candle {row} opens at {klines.open_ms[row]} ms, expected a multiple of "
            f"{klines.interval.ms} ms.",
            hint="Check that the file holds UTC open times of that interval.",
        )
    unsorted = np.flatnonzero(np.diff(klines.open_ms) <= 0)
    if len(unsorted):
        row = int(unsorted[0]) + 1
        raise KlinesError(
            f"{name}: candle {row} at {iso(int(klines.open_ms[row]))} does not follow the one "
            "before it: expected increasing, unique open times.",
            hint="Sort the candles by time and drop duplicates.",
        )


LARGEST = 1e30
"""Prices above it, or below its inverse, are refused: no market has them."""


def _check_prices(klines: Klines) -> None:
    name = f"{klines.symbol} {klines.interval}"
    o, h, low, c, v = klines.bars.T
    prices = klines.bars[:, :VOLUME]
    problems = (
        (~np.isfinite(klines.bars).all(axis=1), "a value that is not a finite number"),
        ((prices <= 0).any(axis=1), "a price of zero or below"),
        (v < 0, "a negative volume"),
        ((prices > LARGEST).any(axis=1), f"a price above {LARGEST:g}"),
        ((prices < 1 / LARGEST).any(axis=1), f"a price below {1 / LARGEST:g}"),
        ((h < np.maximum(o, c)) | (low > np.minimum(o, c)), "a body outside its high and low"),
    )
    for bad, what in problems:
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            raise KlinesError(
                f"{name}: the candle at {iso(int(klines.open_ms[row]))} has {what}: "
                f"{klines.bars[row].tolist()}.",
                hint="Correct or drop that candle and import the file again.",
            )


def _check_traded(window: Klines) -> None:
    name, span = f"{window.symbol} {window.interval}", f"the {len(window)} candles"
    if window.bars[:, HIGH].max() == window.bars[:, LOW].min():
        raise KlinesError(
            f"{name}: {span} until {iso(int(window.close_ms[-1]))} all have the price "
            f"{window.bars[-1, CLOSE]:g}: expected a price that moves.",
            hint="The market is halted or delisted; pick another symbol or time.",
        )
    if not window.bars[:, VOLUME].any():
        raise KlinesError(
            f"{name}: {span} until {iso(int(window.close_ms[-1]))} have zero volume: expected "
            "at least one trade.",
            hint="The market is halted, or the file lacks volume; pick another source.",
        )
