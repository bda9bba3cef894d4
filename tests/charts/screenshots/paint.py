"""A small painter of candle charts whose every pixel is known, for laws of the reader."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tests.charts.candles import walk

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Painter:
    """How a chart is painted.

    Attributes:
        pitch: whole pixels from candle to candle.
        half: columns of a body on each side of its wick.
        height: rows of the price panel.
        volume: rows of the volume panel; 0 paints none.
        margin: empty pixels on every side.
        ground, up, down: colours.
        seed: the walk of prices.
    """

    pitch: int = 8
    half: int = 2
    height: int = 300
    volume: int = 0
    margin: int = 20
    ground: Colour = (255, 255, 255)
    up: Colour = (30, 160, 140)
    down: Colour = (225, 70, 60)
    seed: int = 1

    def paint(self, bars: NDArray[np.float64]) -> NDArray[np.uint8]:
        """Paint bars (n, 5): uint8 (h, w, 3)."""
        width = len(bars) * self.pitch + 2 * self.margin
        tall = self.height + self.volume + 2 * self.margin
        picture = np.full((tall, width, 3), self.ground, np.uint8)
        logs = np.log(bars[:, :4])
        low, high = logs.min(), logs.max()
        rows = self.margin + np.rint((self.height - 1) * (high - logs) / (high - low)).astype(int)
        busy = bars[:, 4] / bars[:, 4].max()
        for number, (opened, top, bottom, closed) in enumerate(rows.tolist()):
            x = self.margin + number * self.pitch + self.pitch // 2
            colour = self.up if bars[number, 3] >= bars[number, 0] else self.down
            picture[top : bottom + 1, x] = colour
            body = slice(min(opened, closed), max(opened, closed) + 1)
            picture[body, x - self.half : x + self.half + 1] = colour
            if self.volume:
                floor = tall - self.margin
                bar = max(round(busy[number] * (self.volume - 10)), 1)
                picture[floor - bar : floor, x - self.half : x + self.half + 1] = colour
        return picture


def candles(count: int = 104, seed: int = 1) -> NDArray[np.float64]:
    """Bars (count, 5) whose opens are the closes before."""
    return walk(count, seed, step=0.003)
