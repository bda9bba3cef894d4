"""The foreground of a screenshot: background, grid lines and frames taken away."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vision_ai.domain import Bools, Bytes

_SAME = 12
"""Difference from the ground that compression may cause."""
_LINE_TINT = 48
"""Difference from a line's colour within which a pixel belongs to the line."""
_LINE_SHARE = 0.25
"""Share of a row or column that a line covers beyond what its neighbours hold."""

_SAME_END = 3
"""Pixels within which lines begin or end on one row or column."""
_LINE_BARE, _LINE_REACH = 0.15, 0.4
"""Share of a row or column that a line covers bare, and from its first to its last bare pixel.

A long wick, with a body, an average and volume in the same columns, has less.
"""


@dataclass(frozen=True, eq=False)
class ForegroundMask:
    """A screenshot split into ground and foreground.

    Attributes:
        pixels: int16 (h, w, 3).
        ground: int16 (3,), colour behind the candles.
        foreground: bool (h, w), what stands out from the ground, lines removed.
        uprights: columns of the upright lines removed; beside a candle something is left of them.
    """

    pixels: NDArray[np.int16]
    ground: NDArray[np.int16]
    foreground: Bools
    uprights: frozenset[int]


def find_foreground(picture: Bytes, contrast: int) -> ForegroundMask:
    """Split a picture uint8 (h, w, 3) into ground and foreground.

    `contrast` is the difference from the ground, in the channel that differs most, that makes a
    pixel foreground: small finds faint candles, large sees past the noise of compression.
    """
    pixels = picture.astype(np.int16)
    # what differs from the commonest colour stands out, within the area where that colour shows
    ground = _ground(pixels)
    foreground = np.abs(pixels - ground).max(axis=2) > contrast
    rows, columns = _plot_area(pixels, ground)
    pixels, foreground = pixels[rows, columns], foreground[rows, columns]
    # take away level lines, then, on the picture laid on its side, upright ones
    thickness = 3 + picture.shape[1] // 800
    foreground, _ = _without_lines(foreground, pixels, ground, thickness)
    flipped, uprights = _without_lines(
        foreground.T, pixels.transpose(1, 0, 2), ground, thickness, wicks=True
    )
    return ForegroundMask(pixels, ground, np.ascontiguousarray(flipped.T), frozenset(uprights))


def _ground(pixels: NDArray[np.int16]) -> NDArray[np.int16]:
    """The commonest colour in the middle of the picture, where the plot is."""
    height, width = pixels.shape[:2]
    middle = pixels[height // 6 : height * 5 // 6, width // 5 : width * 4 // 5].reshape(-1, 3)
    codes = (middle >> 3).astype(np.int32) @ np.array([1, 32, 1024], np.int32)
    commonest = int(np.bincount(codes).argmax())
    median: NDArray[np.int16] = np.median(middle[codes == commonest], axis=0).astype(np.int16)
    return median


def _without_lines(
    foreground: Bools,
    pixels: NDArray[np.int16],
    ground: NDArray[np.int16],
    thickness: int,
    *,
    wicks: bool = False,
) -> tuple[Bools, list[int]]:
    """Erase horizontal lines and give their rows; foreground that continues or differs stays.

    With `wicks`, in a picture on its side, long wicks stay as well: those that end alone.
    """
    # a line covers far more of its row than the rows a line's thickness above and below hold
    share = foreground.mean(axis=1)
    size = len(share)
    above = np.pad(share, (thickness, 0))[:size]
    below = np.pad(share, (0, thickness))[thickness:]
    lines = np.flatnonzero(share - np.maximum(above, below) > _LINE_SHARE)
    thin = foreground & ~_thick(foreground, thickness)
    lines_found: dict[int, Bools] = {}
    for row in lines.tolist():
        row_above = (
            foreground[max(row - thickness, 0)]
            if row >= thickness
            else np.zeros_like(foreground[row])
        )
        row_below = (
            foreground[row + thickness]
            if row + thickness < size
            else np.zeros_like(foreground[row])
        )
        # its bare pixels have nothing above and below; they must cover and reach enough of the row
        bare = thin[row] & ~row_above & ~row_below
        columns = np.flatnonzero(bare)
        if len(columns) < _LINE_BARE * len(bare):
            continue
        if columns[-1] - columns[0] >= _LINE_REACH * len(bare):
            lines_found[row] = bare
    erased = _ending_at_edges(lines_found, thickness) if wicks else list(lines_found)
    # erase bare pixels of the line's own colour, dashes' soft ends included
    clean = foreground.copy()
    for row in erased:
        bare = lines_found[row]
        tint = np.median(pixels[row][bare], axis=0)
        clean[row] &= ~(bare & _blends(pixels[row], tint, ground))
    return clean, erased


def _ending_at_edges(lines: dict[int, Bools], thickness: int) -> list[int]:
    """Rows of lines that begin or end where the picture or another line does; a wick ends alone."""
    if not lines:
        return []
    rows = np.array(list(lines))
    ends = np.array([np.flatnonzero(bare)[[0, -1]] for bare in lines.values()])
    size = len(lines[int(rows[0])])
    is_line = (ends[:, 0] <= _SAME_END) | (ends[:, 1] >= size - 1 - _SAME_END)
    for number, (row, own) in enumerate(zip(rows, ends, strict=True)):
        others = ends[np.abs(rows - row) > 2 * thickness]
        is_line[number] |= bool((np.abs(others - own) <= _SAME_END).any())
    return [int(row) for row in rows[is_line]]


def _thick(foreground: Bools, rows: int) -> Bools:
    """Foreground that continues for so many rows, up and down together: a line has fewer."""
    height = len(foreground) - rows + 1
    thick = np.zeros_like(foreground)
    if height < 1:
        return thick
    whole = np.logical_and.reduce([foreground[start : start + height] for start in range(rows)])
    for start in range(rows):
        thick[start : start + height] |= whole
    return thick


def _blends(
    pixels: NDArray[np.int16], tint: NDArray[np.float64], ground: NDArray[np.int16]
) -> Bools:
    """Pixels whose colour lies between ground and tint, as the soft ends of dashes do."""
    return np.asarray(off_ray(pixels - ground, tint - ground) < _LINE_TINT)


def off_ray(colours: NDArray[Any], tint: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far colours (n, 3) less the ground's lie from the way between the ground and a tint."""
    along = np.clip(colours @ tint / max(float(tint @ tint), 1.0), 0, 1)
    return np.asarray(np.abs(colours - along[:, None] * tint).max(axis=1))


def _plot_area(pixels: NDArray[np.int16], ground: NDArray[np.int16]) -> tuple[slice, slice]:
    """Rows and columns where the ground shows; margins of another colour lie outside."""
    is_ground = np.abs(pixels - ground).max(axis=2) < _SAME
    return _extent(np.mean(is_ground, axis=1)), _extent(np.mean(is_ground, axis=0))


def _extent(share: NDArray[np.float64]) -> slice:
    covered = np.flatnonzero(share > share.max() / 4)
    return slice(int(covered[0]), int(covered[-1]) + 1)
