"""A chart in the rule book's units: log prices from the last close, volumes of their mean."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vision_ai.domain import CLOSE, HIGH, LOW, VOLUME, WINDOW
from vision_ai.measures.indicators import true_ranges

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

DIGITS = 9
"""Log prices are rounded to this many digits, so that a change of scale changes nothing."""

VISIBLE = 1 / 40
"""The unit is at least this part of the chart's height: what cannot be seen does not count."""


@dataclass(frozen=True)
class Charts:
    """n charts, seen upright or mirrored. Arrays are (n, WINDOW) unless said otherwise.

    Attributes:
        h: log high against the last close.
        l: log low against the last close.
        c: log close against the last close, so the last column is 0.
        v: volume in parts of the chart's mean volume.
    """

    h: Array
    l: Array  # noqa: E741
    c: Array
    v: Array

    @classmethod
    def of(cls, bars: Array) -> "Charts":
        """Bring raw candles (n, WINDOW, 5) into canonical form."""
        last = bars[:, -1:, CLOSE]
        prices = np.round(np.log(bars[:, :, [HIGH, LOW, CLOSE]] / last[:, :, None]), DIGITS)
        h, low, c = np.ascontiguousarray(np.moveaxis(prices, 2, 0))
        mean = bars[:, :, VOLUME].mean(axis=1, keepdims=True)
        return cls(h, low, c, bars[:, :, VOLUME] / np.where(mean > 0, mean, 1.0))

    @cached_property
    def mirrored(self) -> "Charts":
        """The same charts upside down: highs become lows."""
        return Charts(-self.l, -self.h, -self.c, self.v)

    @cached_property
    def true_range(self) -> Array:
        """Span of each candle, with the gap from the close before it."""
        return np.asarray(true_ranges(self.h, self.l, self.c))

    @cached_property
    def soft_h(self) -> Array:
        """Middle between high and close: a lone wick counts half."""
        return (self.h + self.c) / 2

    @cached_property
    def soft_l(self) -> Array:
        """Middle between low and close: a lone wick counts half."""
        return (self.l + self.c) / 2

    @cached_property
    def atr(self) -> Array:
        """Mean true range of the chart (n,)."""
        return np.asarray(self.true_range.mean(axis=1))

    @cached_property
    def height(self) -> Array:
        """Log distance from the lowest low to the highest high (n,)."""
        return np.asarray(self.h.max(axis=1) - self.l.min(axis=1))

    @cached_property
    def unit(self) -> Array:
        """The ATR, or the smallest step that the eye can see if that is more (n,)."""
        least = np.maximum(self.height * VISIBLE, 10.0**-DIGITS)
        return np.asarray(np.maximum(self.atr, least))


def rolling_max(x: Array, width: int) -> Array:
    """Maximum over each run of `width` columns: (n, m) -> (n, m - width + 1).

    >>> rolling_max(np.array([[1.0, 3.0, 2.0, 0.0]]), 2)
    array([[3., 3., 2.]])
    """
    done = 1
    while done < width:
        step = min(done, width - done)
        x = np.maximum(x[:, :-step], x[:, step:])
        done += step
    return x


def since(values: Array, pick: Any) -> Array:
    """Running `pick` (np.maximum or np.minimum) from each bar to the last: column a = age a."""
    return np.asarray(pick.accumulate(values[:, ::-1], axis=1))


def rise(c: Array) -> Array:
    """Rise of the line fitted through the columns of `c`, first to last (n,)."""
    bars = c.shape[1]
    t = np.arange(bars) - (bars - 1) / 2
    return np.asarray((c * (t / (t * t).sum())).sum(axis=1) * (bars - 1))


def at(columns: Array, rows: NDArray[np.int64]) -> Array:
    """Pick one column per row: (n, m), (n, k) -> (n, k)."""
    return np.take_along_axis(columns, np.clip(rows, 0, columns.shape[1] - 1), axis=1)


AGES = np.arange(WINDOW)[::-1]
"""Bars since each column: the last column is 0 bars ago."""
