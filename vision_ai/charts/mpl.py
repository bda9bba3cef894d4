"""The human view: a PNG of 96 candles drawn by mplfinance, with axes, UTC time and volume.

Drawn on a figure of its own that pyplot never sees: nothing leaks, no screen is needed and no
setting of the caller's matplotlib changes. Equal candles give equal bytes.
"""

import datetime as dt
import math
from typing import Any

import matplotlib as mpl
import mplfinance as mpf
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Affine2D
from numpy.typing import NDArray

from vision_ai.charts import png, ticks
from vision_ai.charts.meta import ChartMeta, Panel
from vision_ai.charts.slots import RIM, Slots
from vision_ai.charts.theme import THEMES, Rgb, Theme
from vision_ai.config import ChartConfig
from vision_ai.domain import CLOSE, HIGH, LOW, OPEN, VOLUME, WINDOW, Bytes, Klines
from vision_ai.errors import KlinesError

_DPI = 100
_VOLUME_SHARE = 0.2
_X_LIMITS = (-1.0, WINDOW + 0.5)
_LEAST_PITCH = 3.0
"""Pixels from candle to candle below which bodies would touch."""
_PIXEL = 72 / _DPI
"""A pixel in points, which widths of lines are given in."""
_CHARACTER = 8.0
"""Pixels that a digit of an axis label takes."""
_TIME_LABEL = 48
"""Pixels from one label of the time axis to the next, at least."""
_TAG_HEIGHT = 17
"""Pixels about the last price in which its tag hides the label of a tick."""
_TITLE_SIZES = (14, 12, 10, 8)
"""Points of the symbol above the chart: the largest that the width has room for."""


def draw(klines: Klines, config: ChartConfig) -> bytes:
    """Draw a window of 96 candles as a PNG with a text chunk that holds what it shows.

    Raises:
        KlinesError: not exactly 96 candles, or a gap between them.
    """
    if len(klines) != WINDOW or klines.gaps():
        raise KlinesError(
            f"{klines.symbol} {klines.interval}: a chart needs {WINDOW} candles without a gap, "
            f"was given {len(klines)}.",
            hint="Cut the window with Klines.last_window.",
        )
    theme = THEMES[config.theme]
    with mpl.rc_context(_RC):
        figure = Figure(figsize=(config.width / _DPI, config.height / _DPI), dpi=_DPI)
        canvas: Any = FigureCanvasAgg(figure)
        price, volume = _axes(figure, klines, theme)
        _draw_candles(price, klines, theme)
        _draw_volume(volume, klines, theme)
        _label_axes(price, volume, klines, theme)
        _write_title(figure, klines, theme)
        canvas.draw()
        pixels: Bytes = np.asarray(canvas.buffer_rgba())[..., :3]
    return png.encode(pixels, _meta(klines, price, volume, theme))


_RC: Any = {"font.family": "DejaVu Sans", "font.size": 9, "axes.unicode_minus": False}


def _axes(figure: Figure, klines: Klines, theme: Theme) -> tuple[Axes, Axes]:
    """Price panel above volume panel, on whole pixels, with room for the labels at the right."""
    width, height = figure.get_size_inches() * _DPI
    high = float(klines.bars[:, HIGH].max())
    longest = len(ticks.price_text(high, ticks.price_decimals(klines.bars)))
    left, right = 14, width - max(64, round(longest * _CHARACTER) + 20)
    right = max(right, left + math.ceil(_LEAST_PITCH * (_X_LIMITS[1] - _X_LIMITS[0])))
    bottom, top = 30, height - 58
    split = bottom + round((top - bottom) * _VOLUME_SHARE)
    figure.set_facecolor(_unit(theme.ground))
    rectangles = ((split + 8, top), (bottom, split))
    price, volume = (
        figure.add_axes(
            (left / width, low_edge / height, (right - left) / width, (edge - low_edge) / height)
        )
        for low_edge, edge in rectangles
    )
    for axes in (price, volume):
        axes.set_facecolor(_unit(theme.ground))
        axes.set_axisbelow(True)
        axes.grid(visible=True, color=_unit(theme.grid), linewidth=0.8)
        axes.tick_params(length=0, pad=6, labelcolor=_unit(theme.text), labelsize=9)
        for spine in axes.spines.values():
            spine.set_color(_unit(theme.grid))
    return price, volume


def _draw_candles(axes: Axes, klines: Klines, theme: Theme) -> None:
    frame = pd.DataFrame(
        klines.bars[:, :VOLUME],
        columns=["Open", "High", "Low", "Close"],
        index=pd.to_datetime(klines.open_ms, unit="ms"),
    )
    still = klines.bars[:, OPEN] == klines.bars[:, CLOSE]
    overrides = [_hex(theme.still) if flat else None for flat in still]
    mpf.plot(
        frame,
        type="candle",
        ax=axes,
        style=_market_style(theme),
        axisoff=False,
        xlim=_X_LIMITS,
        ylim=_price_limits(klines),
        marketcolor_overrides=overrides,
    )
    axes.set_ylabel("")
    _put_on_pixels(axes, klines)


def _put_on_pixels(axes: Axes, klines: Klines) -> None:
    """Move the sides of candles to whole pixels and leave their ends where prices are."""
    bodies = np.sort(klines.bars[:, [OPEN, CLOSE]], axis=1)
    bottom, top = axes.get_ylim()
    rim = RIM * (top - bottom) / axes.bbox.height
    left, wick_left, wick_right, right = _across(axes)
    low, high = bodies[:, 0] - rim, bodies[:, 1] + rim
    # the wick's column has no rim: it shows where the shortest wick ends
    boxes = _boxes((left, wick_left), low, high) + _boxes((wick_right, right), low, high)
    flat = rim * (klines.bars[:, HIGH] == klines.bars[:, LOW])
    ends = klines.bars[:, LOW] - flat, klines.bars[:, HIGH] + flat
    middle = (left + right) / 2
    wicks = np.stack([np.c_[middle, end] for end in ends], axis=1)
    for collection in axes.collections:
        collection.set_snap(False)
        if isinstance(collection, PolyCollection):
            collection.set_verts(boxes)
            collection.set_linewidth(0)
        elif isinstance(collection, LineCollection):
            collection.set_segments(list(wicks))
            collection.set_linewidth(_PIXEL)


def _across(axes: Axes) -> NDArray[np.float64]:
    """Left and right edges of candles and, between them, of wicks, (4, 96): whole pixels."""
    box = axes.bbox
    slots = Slots.across((box.x0, box.x1), _X_LIMITS, WINDOW)
    half = slots.half + 0.5
    edges = slots.centre + np.array([[-half], [-0.5], [0.5], [half]])
    numbers: NDArray[np.float64] = (edges - box.x0) / slots.pitch + _X_LIMITS[0]
    return numbers


def _boxes(
    edges: tuple[NDArray[np.float64], NDArray[np.float64]],
    low: NDArray[np.float64],
    high: NDArray[np.float64],
) -> list[NDArray[np.float64]]:
    """Corners of a bar a candle, between two edges and two heights."""
    left, right = edges
    corners = [np.c_[left, low], np.c_[left, high], np.c_[right, high], np.c_[right, low]]
    return list(np.stack(corners, axis=1))


def _draw_volume(axes: Axes, klines: Klines, theme: Theme) -> None:
    heights = klines.bars[:, VOLUME]
    rise = np.sign(klines.bars[:, CLOSE] - klines.bars[:, OPEN]).astype(int)
    colours = {1: theme.volume_up, -1: theme.volume_down, 0: theme.volume_still}
    axes.set_xlim(_X_LIMITS)
    axes.set_ylim(0, max(float(heights.max()), np.finfo(float).tiny) * 1.08)
    left, _, _, right = _across(axes)
    bars = PolyCollection(
        _boxes((left, right), np.zeros(WINDOW), heights),
        facecolors=[_unit(colours[r]) for r in rise],
        linewidths=0,
        snap=False,
    )
    axes.add_collection(bars, autolim=False)


def _label_axes(price: Axes, volume: Axes, klines: Klines, theme: Theme) -> None:
    room = int(price.bbox.width / _TIME_LABEL)
    rows, texts = ticks.time_ticks(klines.open_ms, min(room, 12))
    price.set_xticks(rows, [""] * len(rows))
    volume.set_xticks(rows, texts)
    short = _TIME_LABEL / 2 - price.transData.transform((rows[0], 0))[0] if len(rows) else 0.0
    if short > 0:  # the edge would cut it off
        label = volume.get_xticklabels()[0]
        aside = Affine2D().translate(short, 0)
        label.set_transform(label.get_transform() + aside)
    marks, decimals = ticks.price_ticks(*price.get_ylim(), 8)
    price.yaxis.tick_right()
    last = float(klines.bars[-1, CLOSE])
    bottom, top = price.get_ylim()
    covered = _TAG_HEIGHT / price.bbox.height * (top - bottom)  # by the last price's tag
    price.set_yticks(
        marks,
        ["" if abs(m - last) < covered else ticks.price_text(m, decimals) for m in marks],
    )
    largest = volume.get_ylim()[1] / 1.08
    volume.yaxis.tick_right()
    volume.set_yticks([largest / 2, largest], [ticks.short_text(largest * f) for f in (0.5, 1)])
    colour = theme.up if last >= klines.bars[-1, OPEN] else theme.down
    left, _, _, right = _across(price)
    gap = left[1:] - right[:-1]
    gaps = np.r_[left[0] - gap[0], right], np.r_[left, right[-1] + gap[-1]]  # no wick is touched
    price.hlines(
        [last] * len(gaps[0]), *gaps, color=_unit(theme.faint), lw=_PIXEL, snap=False, zorder=0.6
    )
    price.annotate(
        ticks.price_text(last, ticks.price_decimals(klines.bars)),
        xy=(1, last),
        xycoords=("axes fraction", "data"),
        xytext=(6, 0),
        textcoords="offset points",
        va="center",
        color="white",
        fontsize=9,
        bbox={"boxstyle": "square,pad=0.25", "facecolor": _unit(colour), "edgecolor": "none"},
    )


def _write_title(figure: Figure, klines: Klines, theme: Theme) -> None:
    width, height = figure.get_size_inches() * _DPI
    decimals = ticks.price_decimals(klines.bars)
    last = float(klines.bars[-1, CLOSE])
    change = last / float(klines.bars[0, OPEN]) - 1
    colour = theme.up if change >= 0 else theme.down

    def write(x: float, y: float, text: str, color: Rgb, **style: Any) -> Text:
        placed: Any = None  # no transform: pixels, which the stubs do not know
        return figure.text(
            x, height - y, text, color=_unit(color), va="baseline", transform=placed, **style
        )

    def end(text: Text) -> float:
        return float(text.get_window_extent().x1)

    name = f"{klines.symbol}  {klines.interval}"
    hours = (int(klines.close_ms[-1]) - int(klines.open_ms[0])) / 3_600_000
    lasting = f"{hours:.0f} h" if hours <= 48 else f"{hours / 24:.0f} d"
    price = f"{ticks.price_text(last, decimals)}   {change:+.2%} in {lasting}"
    for size in _TITLE_SIZES:
        title = write(14, 28, name, theme.text, size=size, weight="bold")
        beside = write(end(title) + 16, 28, price, colour, size=size - 2)
        if end(beside) <= width - 14 or size == _TITLE_SIZES[-1]:
            break
        title.remove()
        beside.remove()
    span = f"{_minute(int(klines.open_ms[0]))}  to  {_minute(int(klines.close_ms[-1]))} UTC"
    dated = end(beside) + len(span) * _CHARACTER < width
    if dated:
        write(width - 14, 28, span, theme.faint, size=9, ha="right")
    candle = _candle_text(klines, decimals)
    if not dated:  # a chart needs its date: it comes before the last candle's prices
        write(14, 47, span, theme.faint, size=9)
    elif len(candle) * _CHARACTER < width:
        write(14, 47, candle, theme.faint, size=9)


def _candle_text(klines: Klines, decimals: int) -> str:
    values = klines.bars[-1]
    named = zip("OHLC", values[:VOLUME], strict=True)
    prices = "   ".join(f"{name} {ticks.price_text(value, decimals)}" for name, value in named)
    return f"{prices}   Vol {ticks.short_text(float(values[VOLUME]))}"


def _minute(ms: int) -> str:
    return dt.datetime.fromtimestamp(ms / 1000, dt.UTC).strftime("%Y-%m-%d %H:%M")


def _price_limits(klines: Klines) -> tuple[float, float]:
    low, high = float(klines.bars[:, LOW].min()), float(klines.bars[:, HIGH].max())
    pad = 0.04 * (high - low) or 0.01 * high
    return low - pad, high + pad


def _market_style(theme: Theme) -> dict[str, Any]:
    up, down = _hex(theme.up), _hex(theme.down)
    colors = mpf.make_marketcolors(up=up, down=down, edge="inherit", wick="inherit", alpha=1.0)
    style: dict[str, Any] = mpf.make_mpf_style(base_mpf_style="default", marketcolors=colors)
    return style


def _meta(klines: Klines, price: Axes, volume: Axes, theme: Theme) -> ChartMeta:
    return ChartMeta(
        symbol=klines.symbol,
        interval=klines.interval,
        first_open_ms=int(klines.open_ms[0]),
        last_open_ms=int(klines.open_ms[-1]),
        x_left=_X_LIMITS[0],
        x_right=_X_LIMITS[1],
        price=_panel(price),
        volume=_panel(volume),
        style=theme.name,
        klines=klines.digest,
    )


def _panel(axes: Axes) -> Panel:
    box = axes.get_window_extent()
    height = axes.figure.bbox.height
    low, high = axes.get_ylim()
    return Panel(
        left=round(box.x0, 3),
        top=round(height - box.y1, 3),
        right=round(box.x1, 3),
        bottom=round(height - box.y0, 3),
        low=low,
        high=high,
    )


def _unit(colour: Rgb) -> tuple[float, float, float]:
    return (colour[0] / 255, colour[1] / 255, colour[2] / 255)


def _hex(colour: Rgb) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)
