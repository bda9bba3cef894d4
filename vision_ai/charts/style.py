"""Random drawing styles: what is left of other people's charts once they are normalised.

A trainer samples a style a chart, so that the model learns to look through ink: margins, faint or
missing wicks, foreign palettes, grid lines, moving averages, blur, noise, misread ends of candles.
"""

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Column = NDArray[np.float32]

AVERAGES = 2
"""Moving averages that a chart may carry."""
CANONICAL_WICK = np.float32(105 / 255)
_UP = (0.0, 255.0, 0.0)
_DOWN = (255.0, 0.0, 0.0)
_VOLUME = (0.0, 0.0, 255.0)
_SPANS = (5, 7, 9, 10, 12, 20, 21, 25, 26, 30, 50)
_COLUMN_STEPS = (4, 6, 8, 12, 16, 24)


@dataclass(frozen=True, eq=False)
class Styles:
    """One drawing style a chart, an array an attribute, all of length n. Ink is 0 to 255.

    Attributes:
        seed: int64 (n,), where in the pool of noise the chart starts.
        margins: (n, 2), share of the price panel left empty below and above.
        up, down: (n, 3), ink of bodies that closed up and down.
        wick: (n,), brightness of wicks as a share of the body's; 0 hides them.
        hollow: bool (n,), up bodies are outlines.
        volume_up, volume_down: (n, 3), ink of volume bars.
        volume_scale: (n,), 1 fills the panel, above 1 is cut off, 0 draws none.
        ground: (n, 3), ink of the background.
        grid: (n,), ink of grid lines; 0 draws none.
        grid_step, grid_start: int64 (n, 2), distance and first of grid rows and grid columns.
        average_span: int64 (n, 2), candles in each moving average; 0 draws none.
        average_ink: (n, 2, 3).
        blur: (n, 2), share of ink that leaks to each neighbour in time and in price, below 0.3.
        gain: (n,), factor on all ink.
        noise: (n,), standard deviation of noise on every pixel.
        jitter: (n,), standard deviation, in rows, of errors on every end of body and wick.
    """

    seed: NDArray[np.int64]
    margins: Column
    up: Column
    down: Column
    wick: Column
    hollow: NDArray[np.bool_]
    volume_up: Column
    volume_down: Column
    volume_scale: Column
    ground: Column
    grid: Column
    grid_step: NDArray[np.int64]
    grid_start: NDArray[np.int64]
    average_span: NDArray[np.int64]
    average_ink: Column
    blur: Column
    gain: Column
    noise: Column
    jitter: Column

    def __len__(self) -> int:
        return len(self.seed)

    def __getitem__(self, rows: slice | NDArray[Any]) -> "Styles":
        return Styles(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})


def plain(n: int) -> Styles:
    """The canonical style n times: draws the same pictures as no style at all."""
    return Styles(
        seed=np.zeros(n, np.int64),
        margins=np.zeros((n, 2), np.float32),
        up=_same(n, _UP),
        down=_same(n, _DOWN),
        wick=np.full(n, CANONICAL_WICK),
        hollow=np.zeros(n, np.bool_),
        volume_up=_same(n, _VOLUME),
        volume_down=_same(n, _VOLUME),
        volume_scale=np.ones(n, np.float32),
        ground=np.zeros((n, 3), np.float32),
        grid=np.zeros(n, np.float32),
        grid_step=np.ones((n, 2), np.int64),
        grid_start=np.zeros((n, 2), np.int64),
        average_span=np.zeros((n, AVERAGES), np.int64),
        average_ink=np.zeros((n, AVERAGES, 3), np.float32),
        blur=np.zeros((n, 2), np.float32),
        gain=np.ones(n, np.float32),
        noise=np.zeros(n, np.float32),
        jitter=np.zeros(n, np.float32),
    )


def sample(n: int, rng: np.random.Generator, strength: float = 1.0) -> Styles:
    """Draw n random styles.

    Args:
        n: how many.
        rng: source of randomness; equal generators give equal styles.
        strength: 0 is canonical, 1 the full range; both the share of charts that an effect
            touches and its size grow with it.
    """
    s = float(np.clip(strength, 0, 1))
    styles = plain(n)
    styles = _geometry(styles, rng, s)
    styles = _palette(styles, rng, s)
    styles = _volume(styles, rng, s)
    styles = _overlays(styles, rng, s)
    return _wear(styles, rng, s)


def _geometry(styles: Styles, rng: np.random.Generator, s: float) -> Styles:
    n = len(styles)
    margins = rng.uniform(0, 0.12 * s, (n, 2)) * _some(rng, n, 0.6 * s)[:, None]
    jitter = rng.exponential(0.35 * s, n) * _some(rng, n, 0.5 * s)
    return replace(
        styles,
        seed=rng.integers(0, 1 << 62, n),
        margins=margins.astype(np.float32),
        jitter=np.minimum(jitter, 1.5).astype(np.float32),
    )


def _palette(styles: Styles, rng: np.random.Generator, s: float) -> Styles:
    n = len(styles)
    up, down = styles.up.copy(), styles.down.copy()
    foreign = _some(rng, n, 0.15 * s)
    dim = rng.uniform(0, 90, (n, 3))
    up[foreign] = np.where(rng.random((n, 3)) < 0.5, dim, 255 - dim)[foreign]
    down[foreign] = 255 - up[foreign]  # the opposite hue, so that the two stay apart
    swapped = _some(rng, n, 0.05 * s)
    up[swapped], down[swapped] = down[swapped], up[swapped]
    up += rng.uniform(0, 70 * s, (n, 3)) * _some(rng, n, 0.5 * s)[:, None]
    down += rng.uniform(0, 70 * s, (n, 3)) * _some(rng, n, 0.5 * s)[:, None]
    bright = 1 - s * rng.uniform(0, 0.5, (n, 1)) * _some(rng, n, 0.5)[:, None]
    wick = np.where(_some(rng, n, 0.6 * s), rng.uniform(0.15, 1, n), CANONICAL_WICK)
    wick[_some(rng, n, 0.05 * s)] = 0
    return replace(
        styles,
        up=(np.minimum(up, 255) * bright).astype(np.float32),
        down=(np.minimum(down, 255) * bright).astype(np.float32),
        wick=wick.astype(np.float32),
        hollow=_some(rng, n, 0.08 * s),
    )


def _volume(styles: Styles, rng: np.random.Generator, s: float) -> Styles:
    n = len(styles)
    volume_up, volume_down = styles.volume_up.copy(), styles.volume_down.copy()
    in_candle_ink = _some(rng, n, 0.25 * s)
    volume_up[in_candle_ink] = styles.up[in_candle_ink] * 0.7
    volume_down[in_candle_ink] = styles.down[in_candle_ink] * 0.7
    scale = np.exp(s * rng.uniform(-0.7, 0.5, n) * _some(rng, n, 0.5))
    scale[_some(rng, n, 0.15 * s)] = 0
    bright = (1 - s * rng.uniform(0, 0.5, (n, 1))).astype(np.float32)
    return replace(
        styles,
        volume_up=volume_up * bright,
        volume_down=volume_down * bright,
        volume_scale=scale.astype(np.float32),
    )


def _overlays(styles: Styles, rng: np.random.Generator, s: float) -> Styles:
    n = len(styles)
    step = np.stack([rng.integers(12, 50, n), rng.choice(_COLUMN_STEPS, n)], axis=1)
    spans = rng.choice(_SPANS, (n, AVERAGES)) * _some(rng, (n, AVERAGES), 0.2 * s)
    tint = rng.uniform(0.6, 1, (n, AVERAGES, 3))
    return replace(
        styles,
        grid=(rng.uniform(8, 60, n) * _some(rng, n, 0.3 * s)).astype(np.float32),
        grid_step=step,
        grid_start=rng.integers(0, step),
        average_span=spans,
        average_ink=(rng.uniform(60, 220, (n, AVERAGES, 1)) * tint).astype(np.float32),
    )


def _wear(styles: Styles, rng: np.random.Generator, s: float) -> Styles:
    n = len(styles)
    ground = rng.uniform(0, 40 * s, (n, 1)) + rng.uniform(0, 12 * s, (n, 3))
    return replace(
        styles,
        ground=(ground * _some(rng, n, 0.3 * s)[:, None]).astype(np.float32),
        blur=(rng.uniform(0, 0.2, (n, 2)) * _some(rng, (n, 2), 0.3 * s)).astype(np.float32),
        gain=(1 - rng.uniform(0, 0.3 * s, n)).astype(np.float32),
        noise=(rng.uniform(0, 14 * s, n) * _some(rng, n, 0.4 * s)).astype(np.float32),
    )


def _some(rng: np.random.Generator, n: int | tuple[int, int], share: float) -> NDArray[np.bool_]:
    return rng.random(n) < share


def _same(n: int, ink: tuple[float, float, float]) -> Column:
    return np.tile(np.array(ink, np.float32), (n, 1))
