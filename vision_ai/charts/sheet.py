"""Contact sheets: many small charts on one page, each with a caption, for judging by eye."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from vision_ai.domain import CLOSE, HIGH, LOW, OPEN, VOLUME, Floats
from vision_ai.errors import InputError

CELL = (400, 300)
CANDLE = 4
CAPTION, PRICE, VOLUME_TOP = 42, 240, 296
UP, DOWN, INK, PAPER, LEVEL = "#1a9850", "#d73027", "#222222", "#ffffff", "#2b6cb0"

Level = tuple[float, float, float]
"""A price, and the first and last candle that it is drawn over."""


def refuse_other_names(path: Path) -> None:
    """Refuse a file name for a sheet that does not end in .png, such as that of notes.

    Raises:
        InputError: the name ends otherwise.
    """
    if path.suffix.lower() != ".png":
        raise InputError(
            f"{path} is no name for a sheet: expected one that ends in .png.",
            hint="Name it like sheet.png.",
        )


def contact_sheet(
    bars: Floats | Sequence[Floats],
    captions: Sequence[str],
    levels: Sequence[Sequence[Level]] | None = None,
    *,
    columns: int = 4,
    known: int | None = None,
) -> bytes:
    """Draw charts in a grid as one PNG.

    Args:
        bars: raw candles of n charts, (n, candles, 5), or one array (candles, 5) a chart; cells
            are as wide as the longest needs.
        captions: text above each chart, up to three lines.
        levels: prices to mark on each chart, if any, with the candles they span; one that lies
            outside the picture is left out.
        columns: charts to a row.
        known: a dotted line separates the first so many candles from what followed.

    Returns:
        PNG bytes.
    """
    rows = -(-len(bars) // columns)
    width = max([CELL[0], *(16 + CANDLE * len(chart) for chart in bars)])
    page = Image.new("RGB", (columns * width, max(rows, 1) * CELL[1]), PAPER)
    pen = ImageDraw.Draw(page)
    for i, chart in enumerate(np.asarray(chart, np.float64) for chart in bars):
        corner = (i % columns * width, i // columns * CELL[1])
        pen.multiline_text((corner[0] + 6, corner[1] + 2), captions[i], fill=INK, spacing=1)
        _draw(pen, corner, chart, levels[i] if levels else ())
        if known is not None and known < len(chart):
            _draw_known_limit(pen, corner, known)
    file = io.BytesIO()
    page.quantize(32).save(file, "PNG", optimize=True)
    return file.getvalue()


def _draw(
    pen: ImageDraw.ImageDraw, corner: tuple[int, int], chart: Floats, levels: Sequence[Level]
) -> None:
    left, top = corner[0] + 8, corner[1]
    prices = np.log(chart[:, :VOLUME])
    low, high = float(prices.min()), float(prices.max())
    scale = (PRICE - CAPTION) / max(high - low, 1e-12)

    def row(price: float) -> float:
        return top + PRICE - (price - low) * scale

    tallest = max(float(chart[:, VOLUME].max()), 1e-300)
    for i, (candle, volume) in enumerate(zip(prices, chart[:, VOLUME], strict=True)):
        x = left + i * CANDLE
        colour = UP if candle[CLOSE] >= candle[OPEN] else DOWN
        pen.line((x + 1, row(candle[HIGH]), x + 1, row(candle[LOW])), fill=colour)
        body = sorted((row(candle[OPEN]), row(candle[CLOSE])))
        pen.rectangle((x, body[0], x + 2, body[1]), fill=colour)
        bar = float(volume) / tallest * (VOLUME_TOP - PRICE - 8)
        pen.rectangle((x, top + VOLUME_TOP - bar, x + 2, top + VOLUME_TOP), fill=colour)
    for price, start, stop in levels:
        y = row(float(np.log(price)))
        if not top + CAPTION <= y <= top + PRICE:
            continue
        pen.line((left + start * CANDLE, y, left + min(stop, len(chart)) * CANDLE, y), fill=LEVEL)


def _draw_known_limit(pen: ImageDraw.ImageDraw, corner: tuple[int, int], known: int) -> None:
    """A dotted line after the first so many candles."""
    x = corner[0] + 8 + known * CANDLE - 1
    for y in range(corner[1] + CAPTION, corner[1] + VOLUME_TOP, 6):
        pen.line((x, y, x, y + 2), fill=INK)
