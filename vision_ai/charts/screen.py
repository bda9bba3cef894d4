"""Pictures of charts back to candles, so that a chart can be read without its data.

A PNG of ours says where its panels lie; candles are then measured on the pixels, never taken from
elsewhere. Any other picture goes through `foreign`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vision_ai.charts.foreign import read_foreign
from vision_ai.charts.meta import ChartMeta, Panel
from vision_ai.charts.png import ChartImage
from vision_ai.charts.theme import THEMES, Rgb
from vision_ai.domain import WINDOW, Bytes
from vision_ai.errors import ImageError

_NOTHING, _UP, _DOWN, _STILL = -1, 0, 1, 2
_ROWS_AT_ONCE = 64
"""Rows compared with all colours at once: a picture of 24 million pixels is not held tenfold."""
_LEAN = 0.05
"""Pixels between open and close of a body that rounded to none: keeps its colour."""


def read_bars(image: ChartImage) -> NDArray[np.float64]:
    """Measure the last 96 candles of a chart: bars float64 (1, 96, 5).

    Prices are in the axis' own unit where the picture is ours, and otherwise on a scale of their
    own that draws the same chart. Volume is relative; all zero where there is no volume panel.

    Raises:
        ImageError: no chart, fewer than 96 candles, or candles that cannot be made out.
    """
    if image.meta is None:
        return read_foreign(image.pixels)
    return _read_own(image.pixels, image.meta)


@dataclass(frozen=True, eq=False)
class _Slots:
    """Where candles stand in x, in pixels."""

    centre: NDArray[np.float64]
    pitch: float

    def columns(self, row: int, half: float) -> NDArray[np.int64]:
        """Pixel columns within `half` pixels of a candle's centre."""
        middle = self.centre[row]
        return np.arange(int(np.ceil(middle - half - 0.5)), int(np.floor(middle + half - 0.5)) + 1)


def _read_own(pixels: Bytes, meta: ChartMeta) -> NDArray[np.float64]:
    if meta.candles < WINDOW:
        raise ImageError(
            f"The picture says it holds {meta.candles} candles: expected at least {WINDOW}.",
            hint="Draw the chart again with vision-ai snapshot.",
        )
    theme = THEMES[meta.style]
    slots = _slots(meta)
    grounds = (theme.ground, theme.grid, theme.faint)
    candles = _classify(pixels, meta.price, (theme.up, theme.down, theme.still), grounds)
    volumes = _classify(
        pixels, meta.volume, (theme.volume_up, theme.volume_down, theme.volume_still), grounds
    )
    rows = range(meta.candles - WINDOW, meta.candles)
    bars = np.empty((1, WINDOW, 5))
    for i, row in enumerate(rows):
        bars[0, i, :4] = _prices(candles, slots, row, meta)
        bars[0, i, 4] = _volume(volumes, slots, row)
    return bars


def _slots(meta: ChartMeta) -> _Slots:
    panel = meta.price
    pitch = (panel.right - panel.left) / (meta.x_right - meta.x_left)
    numbers = np.arange(meta.candles, dtype=np.float64)
    return _Slots(panel.left + (numbers - meta.x_left) * pitch, pitch)


def _classify(
    pixels: Bytes, panel: Panel, inks: tuple[Rgb, ...], grounds: tuple[Rgb, ...]
) -> NDArray[np.int8]:
    """The nearest ink of every pixel of the panel's rows, full width; `_NOTHING` for ground."""
    top, bottom = round(panel.top), round(panel.bottom)
    nearest = np.empty((max(bottom - top, 0), pixels.shape[1]), np.int8)
    for start in range(0, len(nearest), _ROWS_AT_ONCE):
        block = pixels[top + start : min(top + start + _ROWS_AT_ONCE, bottom)].astype(np.int32)
        distance = np.stack([((block - colour) ** 2).sum(axis=2) for colour in inks + grounds])
        nearest[start : start + len(block)] = distance.argmin(axis=0)
    return np.where(nearest < len(inks), nearest, np.int8(_NOTHING))


def _prices(
    candles: NDArray[np.int8], slots: _Slots, row: int, meta: ChartMeta
) -> tuple[float, float, float, float]:
    """Open, high, low, close of one candle."""
    body = candles[:, slots.columns(row, 0.3 * slots.pitch)]
    marked = body[body != _NOTHING]
    if not len(marked):
        raise ImageError(
            f"The picture holds no candle at place {row + 1} of {meta.candles}.",
            hint="It was changed after it was drawn; draw it again with vision-ai snapshot.",
        )
    ink = int(np.bincount(marked).argmax())
    wide = np.flatnonzero((body == ink).mean(axis=1) > 0.5)
    wick = np.flatnonzero((body == ink).any(axis=1))
    if not len(wide):
        wide = wick
    # ink starts a row below a body's upper edge and ends a row below its lower one: the
    # canvas rounds down; a wick's ends fall on half-covered pixels that count as ground
    body_top, body_bottom = float(wide[0]), float(wide[-1])
    if body_top == body_bottom and ink != _STILL:
        body_top, body_bottom = body_top - _LEAN, body_bottom + _LEAN
    if ink == _STILL:
        body_top = body_bottom = (body_top + body_bottom) / 2
    high = min(float(wick[0]) - 1, body_top)
    low = max(float(wick[-1]) + 1, body_bottom)
    first, last = (body_bottom, body_top) if ink == _UP else (body_top, body_bottom)
    values = [_value(meta.price, y) for y in (first, high, low, last)]
    return values[0], values[1], values[2], values[3]


def _value(panel: Panel, row: float) -> float:
    """Price at a height in pixels below the panel's top; never zero or below."""
    share = 1 - row / (panel.bottom - panel.top)
    value = panel.low + share * (panel.high - panel.low)
    if panel.high <= 0:
        raise ImageError(
            f"The picture's price axis ends at {panel.high:g}: expected a positive price.",
            hint="It was changed after it was drawn; draw it again with vision-ai snapshot.",
        )
    return max(value, panel.high * 1e-6)


def _volume(volumes: NDArray[np.int8], slots: _Slots, row: int) -> float:
    bar = volumes[:, slots.columns(row, 0.25 * slots.pitch)] != _NOTHING
    return float(bar.mean(axis=1).round().sum())
