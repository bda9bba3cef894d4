"""Where candles of our own pictures lie: drawn and read back by the same numbers."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RIM = 0.5
"""Pixels that a body is drawn beyond its open and its close, so that one without height is seen.

Beside the wick only: a wick shorter than that is seen too.
"""
_BODY = 0.7
"""Width of a body, as a share of the distance of two candles."""


@dataclass(frozen=True, eq=False)
class Slots:
    """Candles across a panel, in whole pixels, so that only ends of prices are soft.

    Attributes:
        centre: float64 (n,), middle of each wick, which is one pixel wide.
        pitch: pixels from candle to candle.
        half: columns of a body on each side of the wick's.
    """

    centre: NDArray[np.float64]
    pitch: float
    half: int

    @classmethod
    def across(cls, edges: tuple[float, float], limits: tuple[float, float], count: int) -> "Slots":
        """Slots of `count` candles.

        Args:
            edges: the panel's left and right edge in pixels.
            limits: numbers of the candles that would lie on these edges; the first is 0.
            count: how many candles.
        """
        pitch = (edges[1] - edges[0]) / (limits[1] - limits[0])
        exact = edges[0] + (np.arange(count, dtype=np.float64) - limits[0]) * pitch
        # a candle on the border of two pixels takes the same one on every machine
        return cls(np.floor(exact + 1e-6) + 0.5, pitch, max(int(_BODY * pitch / 2), 1))

    def columns(self, row: int) -> NDArray[np.int64]:
        """Pixel columns inside a candle's body, three at least.

        Of wide bodies one less on each side: earlier versions drew some so much narrower.
        """
        inside = self.half - 1 if self.half > 2 else self.half
        return int(self.centre[row]) + np.arange(-inside, inside + 1)
