"""Screenshots of other people's charts to candles.

Nothing is known of such a picture but that candles are evenly spaced, each one a vertical stroke
with a wider body, and that each opens near where the one before closed. That is enough: the
foreground is separated, the spacing is found, strokes are followed from candle to candle, and the
two body colours are named up and down as fits the path of price best.
"""

import logging
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vision_ai.charts.screenshots.chain import (
    LINE_ROWS,
    Span,
    longest_chain,
    runs,
    without_line,
    without_tag,
)
from vision_ai.charts.screenshots.direction import directions, leanings
from vision_ai.charts.screenshots.foreground import ForegroundMask, find_foreground
from vision_ai.charts.screenshots.overlays import without_overlays
from vision_ai.charts.screenshots.pitch import PitchGrid, find_pitch_grid
from vision_ai.domain import CLOSE, HIGH, LOW, OPEN, VOLUME, WINDOW, Bools, Bytes
from vision_ai.errors import ImageError

logger = logging.getLogger(__name__)

_LEAST_SIDE = 120
_CONTRASTS = (32, 64)
_SMALL_MISFIT, _LARGEST_MISFIT = 0.2, 0.6
"""Mean leap between candles, in mean bodies: most for one reading, and for two that agree.

Where every open is the close before there are none; a spot market of few trades shows 0.5.
"""
_AGREE = 0.9
"""Correlation of steps below which two readings of one picture are different charts."""
_SAME = 0.97
"""Correlation of steps above which two readings are of the same candles."""
_RANGE = 0.05
"""Log range given to a chart whose axis cannot be read: pictures do not depend on it."""
_ON_BASE = 0.35
"""Share of slots with a stroke that ends on one row, above which that row carries volume."""
_LETTERS = 1.5
"""Times the height of low volume bars that high ones have at least: letters have one height."""
_HINT = (
    "Crop the screenshot to the chart, with at least 96 whole candles and little drawn over them."
)


def read_foreign(pixels: Bytes) -> NDArray[np.float64]:
    """Measure the last 96 candles of a chart that nobody described: bars float64 (1, 96, 5).

    Prices are relative: the price axis is taken as even in log price. Volume is all zero where no
    bars rise from a common base line.

    Raises:
        ImageError: no candles, fewer than 96, or bodies that cannot be distinguished.
    """
    if min(pixels.shape[:2]) < _LEAST_SIDE:
        raise ImageError(
            f"The picture is {pixels.shape[1]}x{pixels.shape[0]} pixels: expected at least "
            f"{_LEAST_SIDE} a side.",
            hint=_HINT,
        )
    # read twice: a low contrast finds faint candles, a high one sees past compression noise
    readings, failures = [], []
    for contrast in _CONTRASTS:
        try:
            readings.append(_read(find_foreground(pixels, contrast)))
        except ImageError as error:
            failures.append(error)
    if not readings:
        raise failures[-1]
    if len(readings) > 1 and _ends_at_a_frame(*readings):
        readings[0] = readings[1]
    # a reading whose candles do not follow one another was made of something else than candles
    best = min(readings, key=lambda reading: reading.misfit)
    rivals = [reading for reading in readings if reading.misfit <= _LARGEST_MISFIT]
    sure = best.misfit <= _SMALL_MISFIT or len(rivals) > 1
    if best.misfit > _LARGEST_MISFIT or not sure:
        raise ImageError(
            f"The picture's strokes, {best.pitch:.1f} pixels apart, do not follow one another as "
            "candles do.",
            hint=_HINT,
        )
    if min(_step_correlation(best.bars, rival.bars) for rival in rivals) < _AGREE:
        raise ImageError(
            "The picture can be read as two charts, depending on how faint a mark still counts.",
            hint=_HINT,
        )
    return best.bars


def _ends_at_a_frame(faint: "_RecoveredBars", strong: "_RecoveredBars") -> bool:
    """Whether the fainter foreground shows the same candles and one stroke more at the right end.

    Candles have full colours: what is seen only where faint marks count is the frame, which
    compression has frayed so that it looks like no line.
    """
    return _step_correlation(faint.bars[:, :-1], strong.bars[:, 1:]) >= _SAME


def _step_correlation(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Correlation of the steps from candle to candle of two readings (1, n, 5).

    One chart shifted by a candle against the other is no more alike than two charts are.
    """
    steps, other_steps = (np.diff(np.log(b[0, :, HIGH] * b[0, :, LOW])) for b in (one, other))
    if not min(steps.std(), other_steps.std()) > 0:
        return 0.0
    return float(np.corrcoef(steps, other_steps)[0, 1])


@dataclass(frozen=True, eq=False)
class _RecoveredBars:
    """Bars (1, 96, 5), pixels between candles, and the mean leap in heights of a mean body."""

    bars: NDArray[np.float64]
    pitch: float
    misfit: float


def _read(mask: ForegroundMask) -> _RecoveredBars:
    """Read the picture on the spacing that shows best.

    Grids, axis marks and legends repeat as well: where that spacing leaves no room for 96 candles,
    the best of those that do is tried first.
    """
    grid = find_pitch_grid(mask.foreground)
    if grid is None:
        raise ImageError("The picture shows no evenly spaced candles.", hint=_HINT)
    room = mask.foreground.shape[1] / WINDOW
    finer = find_pitch_grid(mask.foreground, room) if grid.pitch > room else None
    if finer is not None:
        try:
            return _read_at(mask, finer)
        except ImageError:
            logger.debug("no candles at pitch=%.2f", finer.pitch)
    return _read_at(mask, grid)


def _read_at(mask: ForegroundMask, grid: PitchGrid) -> _RecoveredBars:
    """Read the picture twice: where candles are must be known to tell lines drawn over them."""
    rough = _find_candles(mask, grid)
    foreground = _without_overlays(mask, grid, rough)
    if foreground is None:
        return _measure(mask, grid, rough)
    clean = replace(mask, foreground=foreground)
    try:
        return _measure(clean, grid, _find_candles(clean, grid, rough))
    except ImageError:
        logger.debug("no candles without the lines at pitch=%.2f", grid.pitch)
        return _measure(mask, grid, rough)


@dataclass(frozen=True, eq=False)
class _CandleChain:
    """Slots, their places in a chain of candles with the candles' strokes, and the base line."""

    slots: list["_Slot"]
    chain: list[tuple[int, Span]]
    base: int | None


def _find_candles(
    mask: ForegroundMask, grid: PitchGrid, rough: _CandleChain | None = None
) -> _CandleChain:
    """Follow the candles; where lines were taken off, what `rough` saw tells bodies at the ends.

    A body may be as thin as a line and be taken off with it.
    """
    height = mask.foreground.shape[0]
    slots = _slots(mask.foreground, grid)
    base = _base_line(slots, height)
    strokes = without_line([_above(slot, base) for slot in slots])
    chain = longest_chain(strokes, height)

    def joined(slot: int, span: Span) -> float:
        edge = min(round(grid.column(slot + 0.5)), mask.foreground.shape[1])
        return float(mask.foreground[span[0] : span[1], edge - 2 : edge + 1].mean(axis=0).min())

    chain = without_tag(chain, joined)
    if rough is None:
        chain = _trim(chain, slots, base, mask.uprights)
    else:
        chain = _trim(chain, rough.slots, base, mask.uprights, beside=LINE_ROWS)
    if len(chain) < WINDOW:
        raise ImageError(
            f"The picture shows {len(chain)} candles in a row: expected at least {WINDOW}.",
            hint=_HINT,
        )
    return _CandleChain(slots, chain[-WINDOW:], base)


def _without_overlays(mask: ForegroundMask, grid: PitchGrid, candles: _CandleChain) -> Bools | None:
    """The foreground less the lines drawn over the candles; None where there is no line."""
    height, width = mask.foreground.shape
    bottom = height if candles.base is None else candles.base - 1
    slots = [number for number, _ in candles.chain]
    edges = [int(grid.column(slot + 0.5)) for slot in range(slots[0] - 1, slots[-1] + 1)]
    candidates = np.clip(np.array(edges)[:, None] + np.array([-1, 0, 1]), 0, width - 1)
    bare = mask.foreground[:bottom].sum(axis=0)[candidates].argmin(axis=1)
    gaps = candidates[np.arange(len(candidates)), bare]
    strokes = [(grid.column(number), span) for number, span in candles.chain]
    return without_overlays(mask, gaps, strokes, bottom)


def _measure(mask: ForegroundMask, grid: PitchGrid, candles: _CandleChain) -> _RecoveredBars:
    last = [(candles.slots[i], span) for i, span in candles.chain]
    bars = np.zeros((1, WINDOW, 5))
    bars[0, :, :VOLUME] = _prices(mask, last)
    if candles.base is not None:
        volume = np.array([_volume(slot, candles.base) for slot, _ in last])
        bars[0, :, VOLUME] = 0 if _are_letters(volume) else volume
    # on most venues a candle opens where the one before closed: leaps tell a wrong reading
    logs = np.log(bars[0, :, :VOLUME])
    leaps = np.abs(logs[1:, OPEN] - logs[:-1, CLOSE]).mean()
    misfit = leaps / np.abs(logs[:, OPEN] - logs[:, CLOSE]).mean()
    return _RecoveredBars(bars, grid.pitch, float(misfit))


@dataclass(frozen=True, eq=False)
class _Slot:
    """The columns of one candle.

    Attributes:
        left: first column.
        foreground: bool (h, columns).
        spans: rows [top, bottom) of unbroken foreground about the middle, from the top.
    """

    left: int
    foreground: Bools
    spans: list[Span]


def _slots(foreground: Bools, grid: PitchGrid) -> list[_Slot]:
    half = grid.pitch * 0.44  # neighbours may reach over the edge
    core = max(0.5, grid.pitch * 0.12)
    slots = []
    # a slot holds the columns of one candle; its strokes are unbroken runs of rows about the middle
    for centre in grid.centres(foreground.shape[1]):
        left, right = max(round(centre - half), 0), min(round(centre + half), foreground.shape[1])
        columns = foreground[:, left:right]
        if not columns.size:
            continue
        first, last = max(int(centre - core), left), min(int(centre + core) + 1, right)
        # rows with foreground in the middle columns, or on both sides of them (a hollow body)
        marked = columns[:, first - left : last - left].any(axis=1)
        begins = np.where(columns.any(axis=1), columns.argmax(axis=1) + left, right)
        ends = right - columns[:, ::-1].argmax(axis=1)
        hollow = (begins <= first) & (ends >= last)
        slots.append(_Slot(left, columns, runs(np.asarray(marked | hollow))))
    return slots


def _base_line(slots: list[_Slot], height: int) -> int | None:
    """The row from which volume bars rise; None where too few strokes end on one row.

    Most foreground lies above it: letters of a title end on one row as well.
    """
    # count strokes by the row they end on, and foreground by row
    used = [slot for slot in slots if slot.spans]
    ends, foreground = np.zeros((2, height + 3), np.int64)
    for slot in used:
        for top, bottom in slot.spans:
            ends[bottom] += 1
            foreground[top:bottom] += 1
    # ends may lie a row off; half of all foreground must lie above the base line
    ends_nearby = ends[:-2] + ends[1:-1] + ends[2:]
    ends_nearby[2 * foreground.cumsum()[1:-1] < foreground.sum()] = 0
    row = int(ends_nearby.argmax()) + 1
    if ends_nearby[row - 1] < max(_ON_BASE * len(used), WINDOW / 3):
        return None
    return row


def _above(slot: _Slot, base: int | None) -> list[Span]:
    """Strokes that may be candles: not volume, and not the text below it."""
    if base is None:
        return slot.spans
    return [(top, bottom) for top, bottom in slot.spans if bottom < base - 1]


def _trim(
    chain: list[tuple[int, Span]],
    slots: list[_Slot],
    base: int | None,
    uprights: frozenset[int],
    *,
    beside: int = 0,
) -> list[tuple[int, Span]]:
    """Drop what is no candle from both ends: grid lines and axis marks beside the candles.

    A stroke without a body is a candle that closed where it opened if there is volume under it or,
    in a picture without volume, if it is taller than a line. Rows so far `beside` a stroke count.
    """
    if not chain:
        return chain
    widths = [
        _widths(slots[i].foreground[max(top - beside, 0) : bottom + beside])
        for i, (top, bottom) in chain
    ]
    wide = _body_width(np.concatenate(widths))

    def is_candle(position: int) -> bool:
        slot, (top, bottom) = chain[position]
        if widths[position].max() > wide:
            return True
        columns = slots[slot].left + np.flatnonzero(slots[slot].foreground[top:bottom].any(axis=0))
        if not uprights.isdisjoint(columns.tolist()):
            return False
        return bottom - top > LINE_ROWS if base is None else _volume(slots[slot], base) > 0

    candle_positions = [position for position in range(len(chain)) if is_candle(position)]
    return chain[candle_positions[0] : candle_positions[-1] + 1] if candle_positions else []


def _volume(slot: _Slot, base: int) -> float:
    """Height of the bar on the base line; a tick mark may hang below it."""
    heights = [base - top for top, bottom in slot.spans if top < base <= bottom + 1]
    return float(max(heights, default=0))


def _are_letters(volume: NDArray[np.float64]) -> bool:
    """Whether what is on the base line is the text of a time axis: all of one height."""
    tall = volume[volume > 0]
    return not len(tall) or bool(np.quantile(tall, 0.95) < _LETTERS * np.quantile(tall, 0.25))


def _prices(mask: ForegroundMask, candles: list[tuple[_Slot, Span]]) -> NDArray[np.float64]:
    """Open, high, low, close (n, 4), relative."""
    bodies = _bodies(candles)
    fills = np.array(
        [_fill(mask, slot, body) for (slot, _), body in zip(candles, bodies, strict=True)]
    )
    # rows count downwards: negate them, so that larger is higher
    ends = -np.array(bodies)
    leaning = leanings(fills, ends[:, 0] - ends[:, 1])
    up = min((directions(ends, sign * leaning) for sign in (1, -1)), key=lambda result: result[1])[
        0
    ]
    # of the two ways to name the colours, the one whose closes meet the next opens
    wicks = -np.array([(top + 0.5, bottom - 0.5) for _, (top, bottom) in candles])
    levels = _ohlc(wicks, ends, up)
    span = max(float(levels[:, HIGH].max() - levels[:, LOW].min()), 1.0)
    return np.asarray(100 * np.exp((levels - levels[-1, CLOSE]) * (_RANGE / span)))


def _bodies(candles: list[tuple[_Slot, Span]]) -> list[tuple[float, float]]:
    """Upper and lower edge of each body, in rows: where a stroke is wide.

    A moving average that crosses a wick widens it too: the body is the tallest of the wide parts,
    less rows of full width at its ends. A body of few columns may fall on the pixels just as wide
    as the limit: it counts where its wick is narrower.
    """
    widths = [_widths(slot.foreground[top:bottom]) for slot, (top, bottom) in candles]
    wide = _body_width(np.concatenate(widths))
    bodies = []
    usual = np.median([width.max() for width in widths])
    for width, (slot, (top, bottom)) in zip(widths, candles, strict=True):
        columns = slot.foreground.shape[1]
        crossed = (width == columns) & (usual < columns - 1)  # a moving average runs through
        limit = wide if width.max() > wide or width.min() == width.max() else wide - 0.5
        parts = [_uncrossed(part, crossed) for part in runs(np.asarray(width > limit))]
        if parts:
            first, last = max(parts, key=lambda part: part[1] - part[0])
            bodies.append((top + first + 0.5, top + last - 0.5))
        else:
            bodies.append(((top + bottom) / 2, (top + bottom) / 2))
    return bodies


def _uncrossed(part: Span, crossed: Bools) -> Span:
    """A part of a stroke less crossed rows at its ends; as it is where all are crossed."""
    rows = part[0] + np.flatnonzero(~crossed[part[0] : part[1]])
    return (int(rows[0]), int(rows[-1]) + 1) if len(rows) else part


def _body_width(widths: NDArray[np.int64]) -> float:
    """The width of foreground, in columns, above which a row of a stroke is body and not wick."""
    narrow, wide = np.percentile(widths, (5, 90))
    if wide - narrow < 1:
        raise ImageError("The picture's candles are too narrow to show bodies.", hint=_HINT)
    return float((narrow + wide) / 2)


def _widths(foreground: Bools) -> NDArray[np.int64]:
    """Columns from the first to the last foreground pixel of each row."""
    columns = foreground.shape[1]
    first = np.where(foreground.any(axis=1), foreground.argmax(axis=1), columns)
    last = columns - foreground[:, ::-1].argmax(axis=1)
    return np.asarray(np.maximum(last - first, 0))


def _fill(mask: ForegroundMask, slot: _Slot, body: tuple[float, float]) -> NDArray[np.float64]:
    """Median colour inside a body, its outline left out where it is large enough."""
    top, bottom = int(body[0]), int(body[1]) + 1
    if bottom - top > 4:
        top, bottom = top + 2, bottom - 2
    columns = slot.foreground.shape[1]
    middle, reach = slot.left + columns // 2, columns // 9
    patch = mask.pixels[top:bottom, middle - reach : middle + reach + 1]
    return np.asarray(np.median(patch.reshape(-1, 3), axis=0))


def _ohlc(
    wicks: NDArray[np.float64], ends: NDArray[np.float64], up: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Open, high, low, close from upper and lower ends (n, 2) of wicks and bodies."""
    flat = 0.05 * (ends[:, 0] == ends[:, 1])  # keeps the colour of a body without height
    top, bottom = ends[:, 0] + flat, ends[:, 1] - flat
    opens, closes = np.where(up, bottom, top), np.where(up, top, bottom)
    highs, lows = np.maximum(wicks[:, 0], top), np.minimum(wicks[:, 1], bottom)
    return np.stack([opens, highs, lows, closes], axis=1)
