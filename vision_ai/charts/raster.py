"""The model view: charts straight from candles, one pixel column a candle.

Black ground. Rows 0 to 149 are the price panel on a log scale that the window fills from its
lowest low to its highest high; green ink is a candle that closed up, red one that closed down,
both one that closed where it opened; bodies are bright, wicks dim. Rows 152 to 191 are volume in
blue, the window's largest bar at full height. Ends are anti-aliased, so the picture holds prices
to a fifteenth of a row.
"""

import hashlib

import numpy as np
from numpy.typing import NDArray

from vision_ai.charts import geometry, styled
from vision_ai.charts.geometry import HEIGHT, PRICE_ROWS, VOLUME_ROWS, VOLUME_TOP, WIDTH
from vision_ai.charts.style import Styles
from vision_ai.domain import Bytes
from vision_ai.errors import KlinesError

CHANNELS = 3
RASTER_VERSION = 1
WICK_INK = 105
BODY_INK = 255
VOLUME_INK = 255
RED, GREEN, BLUE = range(CHANNELS)
_CHUNK = 32
"""Charts drawn at once: their scratch stays in the processor's cache."""


def _style_hash() -> str:
    rules = (
        f"v{RASTER_VERSION}|{HEIGHT}x{WIDTH}x{CHANNELS}|price {PRICE_ROWS}|volume {VOLUME_TOP}"
        f"|sub {geometry.SUB}|unit {geometry.LOG_UNIT}|ink {WICK_INK} {BODY_INK} {VOLUME_INK}"
    )
    return hashlib.sha256(rules.encode()).hexdigest()


STYLE_HASH = _style_hash()
"""Identity of the canonical drawing rules, stored with everything made from these pictures."""


def render(bars: NDArray[np.float64], styles: Styles | None = None) -> Bytes:
    """Draw charts of bars (n, 96, 5) as uint8 (n, HEIGHT, WIDTH, 3), RGB.

    The array is a view of memory ordered (n, WIDTH, 3, HEIGHT), as columns are what is drawn;
    call `np.ascontiguousarray` where row order matters. `styles` draws one random style a chart,
    for training; without it the picture is canonical and equal to the byte on every machine.

    >>> flat = np.ones((1, 96, 5))
    >>> render(flat).shape
    (1, 192, 96, 3)

    Raises:
        KlinesError: the array is no batch of windows of finite, positive prices.
    """
    bars = _checked(bars)
    if styles is not None:
        return styled.paint(bars, styles)
    columns = np.zeros((len(bars), WIDTH, CHANNELS, HEIGHT), np.uint8)
    for start in range(0, len(bars), _CHUNK):
        rows = slice(start, start + _CHUNK)
        _draw(geometry.strokes(bars[rows]), columns[rows])
    return columns.transpose(0, 3, 1, 2)


def to_png(picture: Bytes, side: int | None = None) -> bytes:
    """Encode one model view, or any uint8 (h, w, 3) picture, as a small PNG.

    `side` scales it to a square of so many pixels, as image models elsewhere expect.
    """
    from vision_ai.charts import png

    return png.encode(picture, side=side)


def _draw(strokes: geometry.Strokes, columns: Bytes) -> None:
    wick = geometry.fills(PRICE_ROWS, WICK_INK)
    body = geometry.fills(PRICE_ROWS, BODY_INK - WICK_INK)  # laid over the wick inside it
    price = np.take(wick, strokes.wick_hi, axis=0)
    price -= np.take(wick, strokes.wick_lo, axis=0)
    price += np.take(body, strokes.body_hi, axis=0)
    price -= np.take(body, strokes.body_lo, axis=0)
    panel = columns[..., :PRICE_ROWS]
    np.multiply(price, strokes.down[..., None], out=panel[:, :, RED], casting="unsafe")
    np.multiply(price, strokes.up[..., None], out=panel[:, :, GREEN], casting="unsafe")
    volume = geometry.fills(VOLUME_ROWS, VOLUME_INK)
    columns[:, :, BLUE, VOLUME_TOP:] = np.take(volume, strokes.volume, axis=0)


def _checked(bars: NDArray[np.float64]) -> NDArray[np.float64]:
    bars = np.asarray(bars, np.float64)
    if bars.ndim != 3 or bars.shape[1:] != (WIDTH, 5):
        raise KlinesError(
            f"Bars to draw have shape {bars.shape}: expected (n, {WIDTH}, 5).",
            hint="Cut windows with Klines.windows or Klines.last_window.",
        )
    # a sum is finite only if every part is, and costs a tenth of looking at each
    if not np.isfinite(bars.sum()) and not np.isfinite(bars).all():
        raise KlinesError("Bars to draw hold a value that is not a number.")
    if bars.size and bars[..., :4].min() <= 0:
        raise KlinesError("Bars to draw hold a price that is not positive.")
    return bars


__all__ = ["CHANNELS", "HEIGHT", "RASTER_VERSION", "STYLE_HASH", "WIDTH", "render", "to_png"]
