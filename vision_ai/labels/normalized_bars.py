"""Candles in the rule book's units: log prices from the last close, volumes of their mean.

With the running extremes that several rules read.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vision_ai.domain import CLOSE, HIGH, LOW, VOLUME, WINDOW
from vision_ai.measures.indicators import true_ranges

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

LOG_PRICE_DECIMALS = 9
"""Log prices are rounded to this many decimals, so that a change of scale changes nothing."""

MIN_UNIT_OF_CHART = 1 / 40
"""The unit is at least this part of the chart's height: what cannot be seen does not count."""

AGES = np.arange(WINDOW)[::-1]
"""Bars since each column: the last column is 0 bars ago."""


@dataclass(frozen=True)
class NormalizedBars:
    """The candles of n charts, upright or mirrored. Arrays are (n, WINDOW) unless stated otherwise.

    In `*_since`, column a covers the last a + 1 bars.

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
    def of(cls, bars: Array) -> "NormalizedBars":
        """Normalize raw candles (n, WINDOW, 5)."""
        last_close = bars[:, -1:, CLOSE]
        ratios = bars[:, :, [HIGH, LOW, CLOSE]] / last_close[:, :, None]
        # rounded: a chart in another currency is the same chart to the last bit
        prices = np.round(np.log(ratios), LOG_PRICE_DECIMALS)
        h, low, c = np.ascontiguousarray(np.moveaxis(prices, 2, 0))
        # a market without any volume keeps zeros instead of dividing by zero
        mean = bars[:, :, VOLUME].mean(axis=1, keepdims=True)
        return cls(h, low, c, bars[:, :, VOLUME] / np.where(mean > 0, mean, 1.0))

    @cached_property
    def mirrored(self) -> "NormalizedBars":
        """The same charts upside down: highs become lows."""
        return NormalizedBars(-self.l, -self.h, -self.c, self.v)

    @cached_property
    def true_range(self) -> Array:
        """Range of each candle, widened to the close before it."""
        return np.asarray(true_ranges(self.h, self.l, self.c))

    @cached_property
    def soft_h(self) -> Array:
        """Midpoint of high and close: a lone wick counts half."""
        return (self.h + self.c) / 2

    @cached_property
    def soft_l(self) -> Array:
        """Midpoint of low and close: a lone wick counts half."""
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
        least = np.maximum(self.height * MIN_UNIT_OF_CHART, 10.0**-LOG_PRICE_DECIMALS)
        return np.asarray(np.maximum(self.atr, least))

    @cached_property
    def high_since(self) -> Array:
        """Highest high."""
        return accumulate_back(self.h, np.maximum)

    @cached_property
    def low_since(self) -> Array:
        """Lowest low."""
        return accumulate_back(self.l, np.minimum)

    @cached_property
    def soft_low_since(self) -> Array:
        """Lowest midpoint of low and close."""
        return accumulate_back(self.soft_l, np.minimum)

    @cached_property
    def close_high_since(self) -> Array:
        """Highest close."""
        return accumulate_back(self.c, np.maximum)

    @cached_property
    def close_low_since(self) -> Array:
        """Lowest close."""
        return accumulate_back(self.c, np.minimum)

    @cached_property
    def volume_since(self) -> Array:
        """Highest volume, in parts of the chart's mean."""
        return accumulate_back(self.v, np.maximum)

    @cached_property
    def range_since(self) -> Array:
        """Widest true range."""
        return accumulate_back(self.true_range, np.maximum)

    @cached_property
    def path_length(self) -> Array:
        """Distance that closes travelled, summed from the first bar."""
        steps = np.abs(np.diff(self.c, axis=1, prepend=self.c[:, :1]))
        return np.cumsum(steps, axis=1)


def rolling_max(x: Array, width: int) -> Array:
    """Maximum over each run of `width` columns: (n, m) -> (n, m - width + 1).

    >>> rolling_max(np.array([[1.0, 3.0, 2.0, 0.0]]), 2)
    array([[3., 3., 2.]])
    """
    covered = 1  # columns that each maximum spans so far; doubling takes log2(width) passes
    while covered < width:
        step = min(covered, width - covered)
        x = np.maximum(x[:, :-step], x[:, step:])
        covered += step
    return x


def accumulate_back(values: Array, extreme: Any) -> Array:
    """Running np.maximum or np.minimum from the last bar backwards: column a = age a."""
    return np.asarray(extreme.accumulate(values[:, ::-1], axis=1))


def fitted_rise(c: Array) -> Array:
    """Rise of the least-squares line through the columns of `c`, first to last (n,)."""
    bars = c.shape[1]
    t = np.arange(bars) - (bars - 1) / 2
    return np.asarray((c * (t / (t * t).sum())).sum(axis=1) * (bars - 1))


def take_columns(values: Array, columns: NDArray[np.int64]) -> Array:
    """Take one column per row: (n, m), (n,) -> (n,). Columns outside are moved to the edge."""
    inside = np.clip(columns[:, None], 0, values.shape[1] - 1)
    return np.take_along_axis(values, inside, axis=1)[:, 0]
