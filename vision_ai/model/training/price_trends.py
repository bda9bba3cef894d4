"""Charts as Jiang, Kelly and Xiu draw them: "(Re-)Imag(in)ing Price Trends", J. Finance 2023.

Black ground, white ink, three columns a candle: a dot for the open, a bar from low to high, a dot
for the close; a moving average; volume bars in the lowest fifth. Their 60-day picture is 96 x 180,
ours of 96 candles is 96 x 288 by the same rule. Two things differ. Their average reaches back as
many days as the picture holds and so is computed from candles before it; ours is that of the
candles drawn so far, so that this reader sees what every other one sees. And their days are days:
our candles of 15m and 1h look alike to it, as they do to the model.
"""

import numpy as np
from numpy.typing import NDArray

from vision_ai.domain import CLOSE, HIGH, LOW, OPEN, VOLUME, WINDOW, Bytes, Floats, Ints

ROWS = 96
COLUMNS = 3 * WINDOW
_VOLUME_ROWS = ROWS // 5
_PRICE_ROWS = ROWS - _VOLUME_ROWS - 1
"""One empty row keeps price and volume apart."""
_INK = 255


def draw(bars: NDArray[np.float64]) -> Bytes:
    """Pictures uint8 (n, 96, 288) of candles (n, 96, 5): 255 where there is ink, else 0.

    The highest and the lowest of prices and average touch the ends of the price rows, linear in
    price; the greatest volume fills the volume rows.
    """
    mean = np.cumsum(bars[:, :, CLOSE], axis=1) / np.arange(1, WINDOW + 1)
    top = np.maximum(bars[:, :, HIGH], mean).max(axis=1, keepdims=True)
    bottom = np.minimum(bars[:, :, LOW], mean).min(axis=1, keepdims=True)
    per_row = np.maximum(top - bottom, 1e-12 * top) / (_PRICE_ROWS - 1)

    def row(prices: Floats) -> Ints:
        rows: Ints = np.rint((top - prices) / per_row).astype(np.int64)
        return rows

    picture = np.zeros((len(bars), ROWS, COLUMNS), np.uint8)
    rows = np.arange(ROWS)[None, :, None]
    middle = np.arange(1, COLUMNS, 3)
    high, low = row(bars[:, :, HIGH])[:, None], row(bars[:, :, LOW])[:, None]
    stroke = (high <= rows) & (rows <= low)
    tallest = np.maximum(bars[:, :, VOLUME].max(axis=1, keepdims=True), 1e-12)
    heights = np.rint(bars[:, :, VOLUME] / tallest * _VOLUME_ROWS)[:, None]
    picture[:, :, middle] = _INK * (stroke | (ROWS - rows <= heights))
    chart = np.arange(len(bars))[:, None]
    picture[chart, row(bars[:, :, OPEN]), middle - 1] = _INK
    picture[chart, row(bars[:, :, CLOSE]), middle + 1] = _INK
    picture[chart, row(_between(mean)), np.arange(1, COLUMNS - 1)] = _INK
    return picture


def _between(mean: Floats) -> Floats:
    """The line through the averages at every column from the first candle's middle to the last's.

    (n, 96) to (n, 286).
    """
    at = np.arange(COLUMNS - 2) / 3
    left = np.minimum(at.astype(np.int64), WINDOW - 2)
    line: Floats = mean[:, left] + (at - left) * (mean[:, left + 1] - mean[:, left])
    return line
