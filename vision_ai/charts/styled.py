"""Styled drawing: the model view as other people's charts would leave it.

Slower than the canonical view, as every pixel passes through floating point; a plain style draws
the canonical picture to the byte.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from vision_ai.charts import geometry
from vision_ai.charts.geometry import (
    HEIGHT,
    PRICE_ROWS,
    PRICE_SUBS,
    SUB,
    VOLUME_ROWS,
    VOLUME_SUBS,
    VOLUME_TOP,
    WIDTH,
    Rows,
    Strokes,
)
from vision_ai.charts.style import AVERAGES, Styles
from vision_ai.domain import CLOSE, VOLUME, Bytes
from vision_ai.errors import InputError

Canvas = NDArray[np.float32]

_PIXELS = WIDTH * 3 * HEIGHT
_POOL = 1 << 18
_POOL_SEED = 20_250_615
_CHUNK = 8
"""Charts drawn at once: their scratch stays in the processor's cache."""


def paint(bars: NDArray[np.float64], styles: Styles) -> Bytes:
    """Draw charts of bars (n, 96, 5), one style a chart: uint8 (n, HEIGHT, WIDTH, 3).

    Raises:
        InputError: there are not as many styles as charts.
    """
    if len(styles) != len(bars):
        raise InputError(f"Styles to draw with: expected {len(bars)}, was {len(styles)}.")
    columns = np.empty((len(bars), WIDTH, 3, HEIGHT), np.uint8)
    for start in range(0, len(bars), _CHUNK):
        rows = slice(start, start + _CHUNK)
        canvas = _chart(bars[rows], styles[rows])
        np.rint(canvas, out=canvas)
        np.clip(canvas, 0, 255, out=canvas)
        columns[rows] = canvas
    return columns.transpose(0, 3, 1, 2)


def _chart(bars: NDArray[np.float64], styles: Styles) -> Canvas:
    units = geometry.log_units(bars)
    subs = _add_margins(geometry.price_subs(units), styles)
    strokes = geometry.lay_out(
        np.clip(subs + _jitter(styles), 0, PRICE_SUBS), units, bars[..., VOLUME]
    )
    canvas = np.empty((len(bars), WIDTH, 3, HEIGHT), np.float32)
    canvas[:] = styles.ground[:, None, :, None]
    _grid(canvas, styles)
    panel = canvas[..., :PRICE_ROWS]
    np.maximum(panel, _candles(strokes, styles), out=panel)
    panel = canvas[..., VOLUME_TOP:]
    np.maximum(panel, _volume(strokes, styles), out=panel)
    for slot in range(AVERAGES):
        _average(canvas, subs[..., CLOSE], styles, slot)
    canvas *= styles.gain[:, None, None, None]
    _blur(canvas, styles)
    _noise(canvas, styles)
    return canvas


def _add_margins(subs: Rows, styles: Styles) -> Rows:
    below, above = styles.margins[:, 0], styles.margins[:, 1]
    scaled = subs * (1 - below - above)[:, None, None] + PRICE_SUBS * below[:, None, None]
    return np.rint(scaled).astype(np.int64)


def _jitter(styles: Styles) -> Rows:
    errors = np.zeros((len(styles), WIDTH, 4), np.float32)
    for i in np.flatnonzero(styles.jitter):
        errors[i] = _noise_at(styles.seed[i] >> 20, WIDTH * 4).reshape(WIDTH, 4)
    errors *= (styles.jitter * SUB)[:, None, None]
    return np.rint(errors).astype(np.int64)


def _candles(strokes: Strokes, styles: Styles) -> Canvas:
    level: Canvas = (
        _span(strokes.wick_lo, strokes.wick_hi) * (styles.wick / np.float32(SUB))[:, None, None]
    )
    level += (
        _span(strokes.body_lo, strokes.body_hi)
        * ((1 - styles.wick) / np.float32(SUB))[:, None, None]
    )
    if styles.hollow.any():
        hollow = styles.hollow[:, None] & strokes.up
        inner_lo = strokes.body_lo + SUB
        inner_hi = np.where(hollow, np.maximum(strokes.body_hi - SUB, inner_lo), inner_lo)
        level -= _span(inner_lo, inner_hi) * np.float32(1 / SUB)
    painted: Canvas = level[:, :, None, :] * _by_direction(strokes, styles.up, styles.down)
    return painted


def _volume(strokes: Strokes, styles: Styles) -> Canvas:
    heights = np.rint(strokes.volume * styles.volume_scale[:, None]).astype(np.int64)
    table = geometry.fills(VOLUME_ROWS, SUB)
    level = np.take(table, np.minimum(heights, VOLUME_SUBS), axis=0) * np.float32(1 / SUB)
    colour = _by_direction(strokes, styles.volume_up, styles.volume_down)
    painted: Canvas = level[:, :, None, :] * colour
    return painted


def _by_direction(strokes: Strokes, up: Canvas, down: Canvas) -> Canvas:
    """Ink of each candle, (n, WIDTH, 3, 1); one that closed where it opened has both."""
    of_up = np.where(strokes.up[..., None], up[:, None], 0)
    of_down = np.where(strokes.down[..., None], down[:, None], 0)
    either: Canvas = np.maximum(of_up, of_down)[..., None]
    return either


def _grid(canvas: Canvas, styles: Styles) -> None:
    for i in np.flatnonzero(styles.grid):
        (row_step, column_step), (row, column) = styles.grid_step[i], styles.grid_start[i]
        canvas[i, :, :, row:PRICE_ROWS:row_step] += styles.grid[i]
        canvas[i, column::column_step] += styles.grid[i]


def _average(canvas: Canvas, closes: Rows, styles: Styles, slot: int) -> None:
    """Lay a moving average over the candles; where the window is younger, of what there is."""
    spans = styles.average_span[:, slot]
    for i in np.flatnonzero(spans):
        sums = np.concatenate([[0], np.cumsum(closes[i])])
        first = np.maximum(np.arange(1, WIDTH + 1) - spans[i], 0)
        counts = np.arange(1, WIDTH + 1) - first
        line = (sums[1:] - sums[first]) // counts
        before = np.concatenate([line[:1], line[:-1]])
        lo, hi = geometry.thicken(np.minimum(line, before), np.maximum(line, before))
        cover = _span(lo, hi)[:, None, :] * np.float32(1 / SUB)
        panel = canvas[i, :, :, :PRICE_ROWS]
        panel += cover * (styles.average_ink[i, slot][None, :, None] - panel)


def _blur(canvas: Canvas, styles: Styles) -> None:
    for i, (in_time, in_price) in enumerate(styles.blur):
        if in_time:
            _leak(canvas[i], in_time)
        if in_price:
            _leak(canvas[i].transpose(2, 0, 1), in_price)


def _leak(pixels: Canvas, share: np.float32) -> None:
    """Spread colour to both neighbours along the first axis; edges keep what would fall off."""
    flow = np.diff(pixels, axis=0)
    flow *= share
    pixels[:-1] += flow
    pixels[1:] -= flow


def _noise(canvas: Canvas, styles: Styles) -> None:
    for i in np.flatnonzero(styles.noise):
        canvas[i] += (_noise_at(styles.seed[i], _PIXELS) * styles.noise[i]).reshape(WIDTH, 3, -1)


def _noise_at(seed: np.int64, size: int) -> Canvas:
    start = int(seed) % (_POOL - size)
    return _noise_pool()[start : start + size]


@lru_cache(maxsize=1)
def _noise_pool() -> Canvas:
    """Standard normal noise, drawn once: charts differ by where in it their noise starts."""
    return np.random.default_rng(_POOL_SEED).standard_normal(_POOL, dtype=np.float32)


def _span(lo: Rows, hi: Rows) -> Bytes:
    """Coverage of price rows between sub-rows, 0 to SUB: uint8 (..., PRICE_ROWS)."""
    table = geometry.fills(PRICE_ROWS, SUB)
    cover: Bytes = np.take(table, hi, axis=0)
    cover -= np.take(table, lo, axis=0)
    return cover
