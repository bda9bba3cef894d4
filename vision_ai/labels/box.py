"""Boxes: sideways stretches whose two edges were each tested at least twice, well apart.

A box is looked for at every length of `LENGTHS` and every age of `AGES_ENDED`. It is cut into
quarters. Its top is the second highest of the four quarter highs, so one freak wick cannot
draw it; the bottom is the mirror. All arrays are (n, k): n charts, k candidate boxes, the
longest first and the freshest of one length first.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from vision_ai.domain import WINDOW
from vision_ai.labels.measure import Array, Charts, Mask, rolling_max
from vision_ai.labels.thresholds import Thresholds

LENGTHS = (64, 48, 32, 24)
AGES_ENDED = (0, 2, 4, 6, 9, 12, 16, 20, 24)
"""Bars since a box ended: bars younger than this lie after it."""

REACH = max(AGES_ENDED)
CANDIDATES = tuple((bars, ended) for bars in LENGTHS for ended in AGES_ENDED)
BARS = np.array([bars for bars, _ in CANDIDATES])
ENDED = np.array([ended for _, ended in CANDIDATES])


@dataclass(frozen=True)
class Boxes:
    """All candidate boxes of n charts, measured; `valid` says which of them are boxes.

    Attributes:
        highs: highest high of each quarter (n, k, 4).
        lows: lowest low of each quarter (n, k, 4).
        drift: distance between the mean closes of the two halves (n, k).
        volume: mean volume inside, in parts of the chart's mean (n, k).
        unit: what one ATR is (n, 1).
    """

    highs: Array
    lows: Array
    drift: Array
    volume: Array
    unit: Array

    @classmethod
    def of(cls, charts: Charts) -> "Boxes":
        """Measure every candidate."""
        highs = quarters(charts.h, CANDIDATES)
        lows = -quarters(-charts.l, CANDIDATES)
        start, stop = WINDOW - ENDED - BARS, WINDOW - ENDED
        closes, volumes = _sums(charts.c), _sums(charts.v)
        middle = start + BARS // 2
        first = closes[:, middle] - closes[:, start]
        second = closes[:, stop] - closes[:, middle]
        drift = np.abs(second - first) / (BARS // 2)
        volume = (volumes[:, stop] - volumes[:, start]) / BARS
        return cls(highs, lows, drift, volume, charts.unit[:, None])

    @cached_property
    def mirrored(self) -> "Boxes":
        """The boxes of the mirrored charts."""
        return Boxes(-self.lows, -self.highs, self.drift, self.volume, self.unit)

    @cached_property
    def top(self) -> Array:
        """Second highest quarter high."""
        return np.sort(self.highs, axis=2)[:, :, -2]

    @cached_property
    def bottom(self) -> Array:
        """Second lowest quarter low."""
        return np.sort(self.lows, axis=2)[:, :, 1]

    @cached_property
    def height(self) -> Array:
        """Top less bottom."""
        return self.top - self.bottom

    def valid(self, t: Thresholds) -> Mask:
        """Which candidates are boxes."""
        height, near = self.height, t.touch_part * self.height
        spike = np.maximum(self.highs.max(2) - self.top, self.bottom - self.lows.min(2))
        return np.asarray(
            (height <= t.box_height_atr * np.sqrt(BARS) * self.unit)
            & (height >= t.box_min_atr * self.unit)
            & (spike <= t.spike_part * height)
            & (self.drift <= t.drift_part * height)
            & apart(self.highs >= (self.top - near)[:, :, None])
            & apart(self.lows <= (self.bottom + near)[:, :, None])
        )


def quarters(x: Array, candidates: tuple[tuple[int, int], ...]) -> Array:
    """Maxima of the four quarters of each stretch (bars, ended): (n, WINDOW) -> (n, k, 4)."""
    parts = []
    rolled = {bars: rolling_max(x, bars // 4) for bars, _ in candidates}
    for bars, ended in candidates:
        starts = WINDOW - ended - bars + bars // 4 * np.arange(4)
        parts.append(rolled[bars][:, starts])
    return np.stack(parts, axis=1)


def apart(touched: Mask) -> Mask:
    """Whether two quarters that do not adjoin are touched: (..., 4) -> (...)."""
    a, b, c, d = np.moveaxis(touched, -1, 0)
    return np.asarray((a & (c | d)) | (b & d))


def _sums(x: Array) -> Array:
    return np.concatenate([np.zeros((len(x), 1)), np.cumsum(x, axis=1)], axis=1)
