"""Where candles are drawn on the model view: whole sub-rows of a fixed canvas.

Everything is quantised to integers before anything is drawn, so that pictures are equal to the
byte on every machine, mirror exactly and do not depend on the unit of price.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from vision_ai.domain import CLOSE, HIGH, LOW, OPEN, VOLUME, WINDOW

HEIGHT = 192
"""Rows of the model view."""
WIDTH = WINDOW
"""Columns of the model view: one a candle."""
PRICE_ROWS = 150
"""Rows of the price panel, which starts at the top."""
VOLUME_TOP = 152
"""First row of the volume panel, which ends at the bottom."""
VOLUME_ROWS = HEIGHT - VOLUME_TOP
SUB = 15
"""Sub-rows a row: ends of bodies and wicks are placed to a fifteenth of a row."""
PRICE_SUBS = PRICE_ROWS * SUB
VOLUME_SUBS = VOLUME_ROWS * SUB
LOG_UNIT = 1e-9
"""Log prices are rounded to this, which absorbs the last bits that libraries disagree on."""

Rows = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Strokes:
    """A batch of charts as spans of sub-rows, counted from the bottom of each panel.

    Attributes:
        body_lo, body_hi, wick_lo, wick_hi: int64 (n, WIDTH), within 0..PRICE_SUBS; the body lies
            inside the wick and is at least one row tall.
        volume: int64 (n, WIDTH), bar heights within 0..VOLUME_SUBS.
        up, down: bool (n, WIDTH); both are true where close equals open.
    """

    body_lo: Rows
    body_hi: Rows
    wick_lo: Rows
    wick_hi: Rows
    volume: Rows
    up: NDArray[np.bool_]
    down: NDArray[np.bool_]


def log_units(bars: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log prices relative to the last close, as whole multiples of `LOG_UNIT`: (n, WIDTH, 4)."""
    logs = np.log(bars[..., :VOLUME])
    logs -= logs[:, -1:, CLOSE : CLOSE + 1].copy()
    logs *= 1 / LOG_UNIT
    return np.rint(logs, out=logs)


def price_subs(units: NDArray[np.float64]) -> Rows:
    """Sub-rows of log prices: the window's lowest low is 0, its highest high `PRICE_SUBS`.

    Measured from the middle of the window, where rounding is symmetric: that makes a mirrored
    window a mirrored picture. A flat window lies in the middle.
    """
    top = units[..., HIGH].max(axis=1)[:, None, None]
    bottom = units[..., LOW].min(axis=1)[:, None, None]
    offset = units * 2
    offset -= top + bottom
    offset *= PRICE_SUBS // 2
    offset /= np.maximum(top - bottom, 1)
    np.rint(offset, out=offset)
    offset += PRICE_SUBS // 2
    return offset.astype(np.int64)


def volume_subs(volume: NDArray[np.float64]) -> Rows:
    """Heights of volume bars: the window's largest fills the panel, no volume draws nothing."""
    largest = volume.max(axis=1, keepdims=True)
    share = volume / np.where(largest > 0, largest, 1)
    return np.rint(share * VOLUME_SUBS).astype(np.int64)


def strokes(bars: NDArray[np.float64]) -> Strokes:
    """Lay out charts of bars (n, WIDTH, 5)."""
    units = log_units(bars)
    return lay_out(price_subs(units), units, bars[..., VOLUME])


def lay_out(subs: Rows, units: NDArray[np.float64], volume: NDArray[np.float64]) -> Strokes:
    """Turn prices in sub-rows (n, WIDTH, 4) into spans; `units` tell up from down."""
    rise = units[..., CLOSE] - units[..., OPEN]
    body_lo, body_hi = thicken(
        np.minimum(subs[..., OPEN], subs[..., CLOSE]),
        np.maximum(subs[..., OPEN], subs[..., CLOSE]),
    )
    return Strokes(
        body_lo=body_lo,
        body_hi=body_hi,
        wick_lo=np.minimum(subs[..., LOW], body_lo),
        wick_hi=np.maximum(subs[..., HIGH], body_hi),
        volume=volume_subs(volume),
        up=rise >= 0,
        down=rise <= 0,
    )


def thicken(lo: Rows, hi: Rows, least: int = SUB) -> tuple[Rows, Rows]:
    """Widen spans to `least` sub-rows about their middles, moved inside the panel."""
    pad = np.maximum((least + 1 - (hi - lo)) // 2, 0)
    lo = lo - pad
    hi = hi + pad
    shift = np.maximum(-lo, 0) - np.maximum(hi - PRICE_SUBS, 0)
    return lo + shift, hi + shift


@lru_cache(maxsize=16)
def fills(rows: int, ink: int) -> NDArray[np.uint8]:
    """Columns filled from the bottom up to each sub-row: uint8 (rows * SUB + 1, rows).

    The difference of two of them is a span with its ends anti-aliased. `ink` is a multiple of
    `SUB`, so no rounding tells top from bottom.
    """
    heights = np.arange(rows * SUB + 1)[:, None]
    floors = np.arange(rows - 1, -1, -1)[None, :] * SUB
    table: NDArray[np.uint8] = (np.clip(heights - floors, 0, SUB) * (ink // SUB)).astype(np.uint8)
    table.setflags(write=False)
    return table
