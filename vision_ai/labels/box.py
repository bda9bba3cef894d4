"""Boxes: sideways stretches whose two edges were each tested at least twice, well apart.

A box is looked for at every length of `LENGTHS` and at every age up to `REACH` bars, so that
the same box is found again when the chart moves on by a bar. It is cut into quarters. Its top
is the second highest of the four quarter highs, so one freak wick cannot draw it; the bottom
is the mirror.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from vision_ai.domain import WINDOW
from vision_ai.labels.measure import Array, Charts, Mask, rolling_max
from vision_ai.labels.thresholds import Thresholds

LENGTHS = (64, 56, 48, 40, 32, 28, 24)
REACH = 24
"""A box ended at most this many bars ago."""

STRETCHES = tuple((bars, ended) for bars in LENGTHS for ended in range(REACH + 1))
"""Candidates, best first: the longest, and of one length the freshest."""

FLOORS = tuple((bars, ended) for bars in (80, 64, 48) for ended in range(3, 11))
"""Stretches (bars, ended) in which a floor is looked for: it ends before the present touch."""


@dataclass(frozen=True)
class Boxes:
    """All boxes of n charts as m flat rows, ordered by chart, then by `STRETCHES`.

    Attributes:
        row: which chart each box lies in (m,).
        bars: length of each box (m,).
        ended: bars after each box (m,).
        highs: highest high of each quarter (m, 4).
        lows: lowest low of each quarter (m, 4).
        lean: distance of the mean close from the middle of the box (m,).
        drift: distance between the mean closes of the two halves (m,).
        volume: mean volume inside, in parts of the chart's mean (m,).
        unit: one ATR of the chart (m,).
    """

    row: NDArray[np.int64]
    bars: NDArray[np.int64]
    ended: NDArray[np.int64]
    highs: Array
    lows: Array
    lean: Array
    drift: Array
    volume: Array
    unit: Array

    @classmethod
    def of(cls, charts: Charts, loosest: Thresholds) -> "Boxes":
        """Find every stretch that is a box for the loosest thresholds in use."""
        highs = quarters(charts.h, STRETCHES)
        lows = -quarters(-charts.l, STRETCHES)
        height = second(highs) + second(-lows)
        bars, ended = np.array(STRETCHES).T
        limit = loosest.box_height_atr * np.sqrt(bars) * charts.unit[:, None]
        row, pick = np.nonzero(height <= limit)
        start = WINDOW - ended[pick] - bars[pick]
        half = bars[pick] // 2
        closes, volumes = _sums(charts.c), _sums(charts.v)
        first = closes[row, start + half] - closes[row, start]
        later = closes[row, start + 2 * half] - closes[row, start + half]
        mean = (first + later) / (2 * half)
        middle = (second(highs[row, pick]) - second(-lows[row, pick])) / 2
        volume = (volumes[row, start + 2 * half] - volumes[row, start]) / (2 * half)
        found = cls(
            row,
            bars[pick],
            ended[pick],
            highs[row, pick],
            lows[row, pick],
            np.abs(mean - middle),
            np.abs(later - first) / half,
            volume,
            charts.unit[row],
        )
        return found._take(found.valid(loosest))

    def _take(self, keep: Mask) -> "Boxes":
        return Boxes(
            self.row[keep],
            self.bars[keep],
            self.ended[keep],
            self.highs[keep],
            self.lows[keep],
            self.lean[keep],
            self.drift[keep],
            self.volume[keep],
            self.unit[keep],
        )

    @cached_property
    def mirrored(self) -> "Boxes":
        """The boxes of the mirrored charts."""
        return Boxes(
            self.row,
            self.bars,
            self.ended,
            -self.lows,
            -self.highs,
            self.lean,
            self.drift,
            self.volume,
            self.unit,
        )

    @cached_property
    def top(self) -> Array:
        """Second highest quarter high (m,)."""
        return second(self.highs)

    @cached_property
    def bottom(self) -> Array:
        """Second lowest quarter low (m,)."""
        return -second(-self.lows)

    @cached_property
    def height(self) -> Array:
        """Top less bottom (m,)."""
        return self.top - self.bottom

    def valid(self, t: Thresholds) -> Mask:
        """Which rows are boxes (m,)."""
        height, near = self.height, t.touch_part * self.height
        spike = np.maximum(self.highs.max(1) - self.top, self.bottom - self.lows.min(1))
        return np.asarray(
            (height <= t.box_height_atr * np.sqrt(self.bars) * self.unit)
            & (height >= t.box_min_atr * self.unit)
            & (spike <= t.spike_part * height)
            & (self.lean <= t.lean_part * height)
            & (self.drift <= t.drift_part * height)
            & apart(self.highs >= (self.top - near)[:, None])
            & apart(self.lows <= (self.bottom + near)[:, None])
        )


def quarters(x: Array, stretches: tuple[tuple[int, int], ...]) -> Array:
    """Maxima of the four quarters of each stretch (bars, ended): (n, WINDOW) -> (n, k, 4)."""
    rolled = {bars: rolling_max(x, bars // 4) for bars in {bars for bars, _ in stretches}}
    parts = [
        rolled[bars][:, WINDOW - ended - bars + bars // 4 * np.arange(4)]
        for bars, ended in stretches
    ]
    return np.stack(parts, axis=1)


def second(x: Array) -> Array:
    """Second highest of the four values of the last axis.

    >>> second(np.array([3.0, 1.0, 4.0, 2.0])).item()
    3.0
    """
    a, b, c, d = np.moveaxis(x, -1, 0)
    best = np.minimum(np.maximum(a, b), np.maximum(c, d))
    return np.asarray(np.maximum(best, np.maximum(np.minimum(a, b), np.minimum(c, d))))


def apart(touched: Mask) -> Mask:
    """Whether two quarters that do not adjoin are touched: (..., 4) -> (...)."""
    a, b, c, d = np.moveaxis(touched, -1, 0)
    return np.asarray((a & (c | d)) | (b & d))


def _sums(x: Array) -> Array:
    return np.concatenate([np.zeros((len(x), 1)), np.cumsum(x, axis=1)], axis=1)
