"""Boxes: sideways segments whose two edges were each tested at least twice, well apart.

A box is searched for at every length of `BOX_LENGTHS_BARS` and at every age up to
`MAX_BOX_AGE_BARS`, so that the same box is found again when the chart moves on by a bar. It is cut
into quarters. Its top is the second highest of the four quarter highs, so one freak wick cannot
draw it; the bottom is the mirror.
"""

from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from vision_ai.domain import WINDOW
from vision_ai.labels.normalized_bars import Array, Mask, NormalizedBars, rolling_max
from vision_ai.labels.thresholds import Thresholds

BOX_LENGTHS_BARS = (64, 56, 48, 40, 32, 28, 24)

MAX_BOX_AGE_BARS = 24
"""A box ended at most this many bars ago."""

BOX_SEGMENTS = tuple(
    (bars, ended) for bars in BOX_LENGTHS_BARS for ended in range(MAX_BOX_AGE_BARS + 1)
)
"""Candidates (bars, bars since the end), best first: the longest, and of one length the newest."""

FLOOR_SEGMENTS = tuple((bars, ended) for bars in (80, 64, 48) for ended in range(3, 11))
"""Segments in which a floor is searched for: each ends before the present touch."""


@dataclass(frozen=True)
class Boxes:
    """All boxes of n charts as m flat rows, ordered by chart, then by `BOX_SEGMENTS`.

    Attributes:
        row: which chart each box lies in (m,).
        bars: length of each box (m,).
        ended: bars after each box (m,).
        highs: highest high of each quarter (m, 4).
        lows: lowest low of each quarter (m, 4).
        center_offset: distance of the mean close from the middle of the box (m,).
        drift: distance between the mean closes of the two halves (m,).
        volume: mean volume inside, in parts of the chart's mean (m,).
        unit: one ATR of the chart (m,).
    """

    row: NDArray[np.int64]
    bars: NDArray[np.int64]
    ended: NDArray[np.int64]
    highs: Array
    lows: Array
    center_offset: Array
    drift: Array
    volume: Array
    unit: Array

    @classmethod
    def find(cls, charts: NormalizedBars, loosest: Thresholds) -> "Boxes":
        """Find every segment that is a box for the loosest thresholds in use."""
        # height of every candidate segment of every chart: (n, segments)
        highs = quarter_maxima(charts.h, BOX_SEGMENTS)
        lows = -quarter_maxima(-charts.l, BOX_SEGMENTS)
        height = second_highest(highs) + second_highest(-lows)
        # most candidates are far too tall: drop them before the dearer measures, and go on with
        # one flat row per candidate that is left
        bars, ended = np.array(BOX_SEGMENTS).T
        limit = loosest.box_height_atr * np.sqrt(bars) * charts.unit[:, None]
        row, segment = np.nonzero(height <= limit)
        start = WINDOW - ended[segment] - bars[segment]
        half = bars[segment] // 2
        # mean closes of the two halves, and the mean volume, as differences of running sums
        closes, volumes = _running_sums(charts.c), _running_sums(charts.v)
        first = closes[row, start + half] - closes[row, start]
        later = closes[row, start + 2 * half] - closes[row, start + half]
        mean = (first + later) / (2 * half)
        middle = (second_highest(highs[row, segment]) - second_highest(-lows[row, segment])) / 2
        volume = (volumes[row, start + 2 * half] - volumes[row, start]) / (2 * half)
        candidates = cls(
            row,
            bars[segment],
            ended[segment],
            highs[row, segment],
            lows[row, segment],
            np.abs(mean - middle),
            np.abs(later - first) / half,
            volume,
            charts.unit[row],
        )
        return candidates._take(candidates.are_valid(loosest))

    def _take(self, mask: Mask) -> "Boxes":
        return Boxes(*(getattr(self, field.name)[mask] for field in fields(self)))

    @cached_property
    def mirrored(self) -> "Boxes":
        """The boxes of the mirrored charts."""
        return Boxes(
            self.row,
            self.bars,
            self.ended,
            -self.lows,
            -self.highs,
            self.center_offset,
            self.drift,
            self.volume,
            self.unit,
        )

    @cached_property
    def top(self) -> Array:
        """Second highest quarter high (m,)."""
        return second_highest(self.highs)

    @cached_property
    def bottom(self) -> Array:
        """Second lowest quarter low (m,)."""
        return -second_highest(-self.lows)

    @cached_property
    def height(self) -> Array:
        """Top less bottom (m,)."""
        return self.top - self.bottom

    def are_valid(self, t: Thresholds) -> Mask:
        """Which rows are boxes (m,)."""
        height, near = self.height, t.touch_part * self.height
        spike = np.maximum(self.highs.max(1) - self.top, self.bottom - self.lows.min(1))
        return np.asarray(
            # sideways: no taller than a random walk of that length would be, and no flat line
            (height <= t.box_height_atr * np.sqrt(self.bars) * self.unit)
            & (height >= t.box_min_atr * self.unit)
            # nothing sticks out far
            & (spike <= t.spike_part * height)
            # no U and no channel
            & (self.center_offset <= t.center_offset_part * height)
            & (self.drift <= t.drift_part * height)
            # both edges were tested twice
            & touched_apart(self.highs >= (self.top - near)[:, None])
            & touched_apart(self.lows <= (self.bottom + near)[:, None])
        )


def quarter_maxima(x: Array, segments: tuple[tuple[int, int], ...]) -> Array:
    """Maxima of the four quarters of each segment (bars, ended): (n, WINDOW) -> (n, k, 4)."""
    rolled = {bars: rolling_max(x, bars // 4) for bars in {bars for bars, _ in segments}}
    parts = [
        rolled[bars][:, WINDOW - ended - bars + bars // 4 * np.arange(4)]
        for bars, ended in segments
    ]
    return np.stack(parts, axis=1)


def second_highest(x: Array) -> Array:
    """Second highest of the four values of the last axis.

    Four comparisons instead of a sort, which is several times slower on millions of rows.

    >>> second_highest(np.array([3.0, 1.0, 4.0, 2.0])).item()
    3.0
    """
    a, b, c, d = np.moveaxis(x, -1, 0)
    # the second is either the lower of the two pair winners, or the loser of the winning pair
    lower_winner = np.minimum(np.maximum(a, b), np.maximum(c, d))
    return np.asarray(np.maximum(lower_winner, np.maximum(np.minimum(a, b), np.minimum(c, d))))


def touched_apart(touched: Mask) -> Mask:
    """Whether two quarters that do not adjoin are touched: (..., 4) -> (...)."""
    a, b, c, d = np.moveaxis(touched, -1, 0)
    return np.asarray((a & (c | d)) | (b & d))


def _running_sums(x: Array) -> Array:
    return np.concatenate([np.zeros((len(x), 1)), np.cumsum(x, axis=1)], axis=1)
