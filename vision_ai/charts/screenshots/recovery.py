"""Pictures of charts back to candles, so that a chart can be read without its data.

A PNG of ours stores where its panels lie; candles are then measured on the pixels, never taken from
elsewhere. Any other picture goes through `foreign`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vision_ai.charts.meta import ChartMeta, Panel
from vision_ai.charts.png import ChartImage
from vision_ai.charts.screenshots.foreign import read_foreign
from vision_ai.charts.slots import RIM, Slots
from vision_ai.charts.theme import THEMES, Rgb, Theme
from vision_ai.domain import WINDOW, Bytes
from vision_ai.errors import ImageError

Colours = tuple[Rgb, Rgb, Rgb]
_UP, _DOWN, _STILL = 0, 1, 2
_CHANGED = (
    "It was changed, or drawn small by an earlier version: move it away and draw it again with "
    "vision-ai snapshot."
)
_ROWS_AT_ONCE = 64
"""Rows compared with the ground at once: a picture of 24 million pixels is not held tenfold."""
_LEAST_SHARE = 0.06
"""Share of a pixel below which foreground is taken for a fault of the ground's colour."""
_BARE_FROM = 0.75
"""Distances of candles from the last one's middle to where nothing but the grid is drawn."""
_LEAST_COVER = 0.25
"""Share of a pixel that the fullest row of a candle covers at the least; a half is drawn."""
_MOST_END_ERROR = 0.15
"""Pixels by which an end may be misread."""
_FLAT_BODY = 0.05
"""Pixels that open and close each move apart where a body has no height: keeps its colour."""


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


def _read_own(pixels: Bytes, meta: ChartMeta) -> NDArray[np.float64]:
    if meta.candles < WINDOW:
        raise ImageError(
            f"The picture was saved with {meta.candles} candles: expected at least {WINDOW}.",
            hint=_CHANGED,
        )
    theme = THEMES[meta.style]
    edges, limits = (meta.price.left, meta.price.right), (meta.x_left, meta.x_right)
    slots = Slots.across(edges, limits, meta.candles)
    bare = slice(int(slots.centre[-1] + _BARE_FROM * slots.pitch), round(meta.price.right) - 1)
    prices, amounts = (
        (theme.up, theme.down, theme.still),
        (theme.volume_up, theme.volume_down, theme.volume_still),
    )
    candles = _PanelPixels.of(pixels, meta.price, bare, theme, prices)
    volumes = _PanelPixels.of(pixels, meta.volume, bare, theme, amounts)
    rows = range(meta.candles - WINDOW, meta.candles)
    bars = np.empty((1, WINDOW, 5))
    for i, row in enumerate(rows):
        bars[0, i, :4] = _prices(candles, slots, row, meta)
        bars[0, i, 4] = _volume(volumes, slots, row)
    if not (np.isfinite(bars).all() and bars[..., :4].min() > 0):
        raise ImageError(
            f"The picture's price axis runs from {meta.price.low:g} to {meta.price.high:g}: "
            "expected positive prices.",
            hint=_CHANGED,
        )
    return bars


@dataclass(frozen=True, eq=False)
class _PanelPixels:
    """A panel's rows over the picture's whole width.

    Attributes:
        pixels: uint8 (h, w, 3).
        free: bool (h, w), nothing but the ground and its grid is seen.
        rows: colour of the lines of the grid that lie in the panel, by row.
        ground: what lies behind everything.
        colours: what candles or bars that closed up, down or where they opened are drawn with.
    """

    pixels: Bytes
    free: NDArray[np.bool_]
    rows: dict[int, NDArray[np.float64]]
    ground: Rgb
    colours: Colours

    @classmethod
    def of(
        cls, picture: Bytes, panel: Panel, bare: slice, theme: Theme, colours: Colours
    ) -> "_PanelPixels":
        """Sort every pixel of a panel's rows; in the columns `bare` only the grid is drawn."""
        pixels = picture[round(panel.top) : round(panel.bottom)]
        distance = np.empty(pixels.shape[:2], np.int16)
        ground = np.array(theme.ground, np.int16)
        grid = np.abs(np.array(theme.grid, np.int16) - ground).sum()
        for start in range(0, len(pixels), _ROWS_AT_ONCE):
            block = pixels[start : start + _ROWS_AT_ONCE].astype(np.int16)
            distance[start : start + len(block)] = np.abs(block - ground).sum(axis=2)
        free = distance <= 2 * grid
        line = free[:, bare] & (distance[:, bare] > grid / 2)
        lines = np.flatnonzero(2 * line.sum(axis=1) > free[:, bare].sum(axis=1))
        rows = {int(row): np.median(pixels[row, bare][line[row]], axis=0) for row in lines}
        return cls(pixels, free, rows, theme.ground, colours)

    def strip(self, columns: NDArray[np.int64]) -> "_CandleColumns":
        """Some columns and what lies behind them.

        That is what most of a column's ground looks like, and the grid's lines across it.
        """
        columns = np.clip(columns, 0, self.pixels.shape[1] - 1)  # a false text chunk may lie
        behind = np.empty((len(self.pixels), len(columns), 3))
        for k, column in enumerate(columns):
            bare = self.pixels[self.free[:, column], column]
            behind[:, k] = np.median(bare, axis=0) if len(bare) else self.ground
        for row, colour in self.rows.items():
            behind[row] = colour
        return _CandleColumns(self.pixels[:, columns] - behind, behind, self.colours)


@dataclass(frozen=True, eq=False)
class _CandleColumns:
    """The columns of one candle: how they differ from what lies `behind` them, (h, c, 3) each."""

    change: NDArray[np.float64]
    behind: NDArray[np.float64]
    colours: Colours

    def cover(self, kind: int) -> NDArray[np.float64]:
        """Share of every pixel that the colour of a kind of candle covers: (h, c), 0 to 1."""
        way = np.array(self.colours[kind], np.float64) - self.behind
        length = np.maximum((way**2).sum(axis=2), 1)
        share: NDArray[np.float64] = np.clip((self.change * way).sum(axis=2) / length, 0, 1)
        return share

    def kind(self) -> int | None:
        """Whether its fullest rows have the colour of up, down or unchanged; None where none is."""
        if not self.change.size:
            return None
        strength = np.median(np.linalg.norm(self.change, axis=2), axis=1)
        full = strength >= 0.5 * strength.max()
        faults, shares = [], []
        for kind, colour in enumerate(self.colours):
            cover = self.cover(kind)[full]
            painted = cover[..., None] * (np.array(colour) - self.behind[full])
            faults.append(((self.change[full] - painted) ** 2).sum())
            shares.append(np.median(cover, axis=1).max())
        best = int(np.argmin(faults))
        return best if shares[best] >= _LEAST_COVER else None


def _prices(
    candles: _PanelPixels, slots: Slots, row: int, meta: ChartMeta
) -> tuple[float, float, float, float]:
    """Open, high, low, close of one candle."""
    strip = candles.strip(slots.columns(row))
    kind = strip.kind()
    if kind is None:
        raise ImageError(
            f"Candle {row + 1} of {meta.candles} cannot be seen in the picture: expected a body in "
            "one of the three colours of its theme.",
            hint=_CHANGED,
        )
    cover = strip.cover(kind)
    wick_column = _wick(cover)
    wick, body = cover[:, wick_column], np.delete(cover, wick_column, axis=1).min(axis=1)
    body_top, high = _upper_ends(wick, body)
    body_bottom, low = (len(body) - y for y in _upper_ends(wick[::-1], body[::-1]))
    if (
        kind == _STILL
        and max(abs(body_top - high - RIM), abs(low - body_bottom - RIM)) < _MOST_END_ERROR
    ):
        high, low = body_top, body_bottom  # a candle without any height
    if kind == _STILL or body_bottom - body_top < 2 * _FLAT_BODY:
        centre, lean = (body_top + body_bottom) / 2, _FLAT_BODY * (kind != _STILL)
        body_top, body_bottom = centre - lean, centre + lean
    high, low = min(high, body_top), max(low, body_bottom)
    first, last = (body_bottom, body_top) if kind == _UP else (body_top, body_bottom)
    values = [_value(meta.price, y) for y in (first, high, low, last)]
    return values[0], values[1], values[2], values[3]


def _wick(cover: NDArray[np.float64]) -> int:
    """Which column of (h, c) is the wick's: the middle, in older pictures one that reaches on."""
    row = int(np.median(cover, axis=1).argmax())
    reach = [_upper_edge(c, row) + _upper_edge(c[::-1], len(c) - 1 - row) for c in cover.T]
    longest = int(np.argmin(reach))
    return longest if reach[longest] < np.median(reach) - 3 * RIM else cover.shape[1] // 2


def _upper_ends(wick: NDArray[np.float64], body: NDArray[np.float64]) -> tuple[float, float]:
    """Where body and wick end above, in pixels from the top, by what they cover: (h,) each."""
    row = int(body.argmax())
    top = _upper_edge(body, row) + RIM
    return top, min(_upper_edge(wick, row), top)


def _upper_edge(cover: NDArray[np.float64], row: int) -> float:
    """Upper edge of the candle around a row, in parts of a pixel."""
    bare = np.flatnonzero(cover[:row] <= _LEAST_SHARE)
    first = int(bare[-1]) + 1 if len(bare) else 0
    return float(first + 1 - cover[first])


def _value(panel: Panel, row: float) -> float:
    """Price at a height in pixels below the panel's top; above zero where the axis ends above."""
    share = 1 - row / (panel.bottom - panel.top)
    value = panel.low + share * (panel.high - panel.low)
    return max(value, panel.high * 1e-6)


def _volume(volumes: _PanelPixels, slots: Slots, row: int) -> float:
    strip = volumes.strip(slots.columns(row))
    kind = strip.kind()
    if kind is None:
        return 0.0
    cover = strip.cover(kind).mean(axis=1)
    return len(cover) - _upper_edge(cover, int(cover.argmax()))
