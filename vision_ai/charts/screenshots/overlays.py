"""Moving averages that a screenshot draws over its candles, and how to take them off.

Between two candles there is nothing of a candle: what shows there, in one colour and nearly level
from gap to gap, is a line. Its path is followed through the candles, and foreground on that path
that has more of the line's colour than of the candles' is taken away, unless a candle continues
above and below it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vision_ai.charts.screenshots.chain import Span, runs
from vision_ai.charts.screenshots.foreground import ForegroundMask, off_ray
from vision_ai.domain import Bools

_ON_RAY = 30.0
"""Difference from the colours between the ground and a tint, up to which a colour is that tint."""
_SHOWN = 0.2
"""Share of the gaps between candles in which a line's colour shows."""
_TINTS = 4
"""Colours looked for, at most, among lines and among candles."""
_MOST_RUNS = 24
"""Runs of foreground a gap, above which a picture is noise: comparing them all would take hours."""
_LEAST_GAPS = 5
"""Gaps that a line crosses, at least."""
_HIDDEN = 3
"""Gaps in which a line may be hidden before it counts as ended."""
_SPREAD = 0.75
"""Rows by which foreground may lie off a line's own thickness: soft edges, and bends not seen."""
_SAMPLES = 8
"""Pixels of each candle that show its colours."""


def without_overlays(
    mask: ForegroundMask, gaps: NDArray[np.int64], strokes: list[tuple[float, Span]], bottom: int
) -> Bools | None:
    """The foreground (h, w) less the lines that run through candles; None where no line does.

    Args:
        mask: the picture.
        gaps: a column between each two candles, from left to right.
        strokes: the middle column and the rows of each candle, as far as they are known.
        bottom: the row above which candles lie.
    """
    candidates = [run for gap in range(len(gaps)) for run in _runs(mask, gap, gaps, bottom)]
    if not 0 < len(candidates) <= _MOST_RUNS * len(gaps):
        return None
    # what shows between candles: keep runs no thicker than lines, group them by colour
    usual = float(np.median([run.thickness for run in candidates]))
    candidates = [run for run in candidates if run.thickness <= 2 * usual + 3]
    lines = []
    for tint, members in _tints([run.tint for run in candidates], [run.gap for run in candidates]):
        members_of_tint = [candidates[i] for i in members]
        if len({run.gap for run in members_of_tint}) >= _SHOWN * len(gaps):
            lines += [_line(tint, path, gaps) for path in _paths(members_of_tint, gaps)]
    if not lines:
        return None
    # foreground on a line's way is the line's if its colour is nearer to it than to the candles'
    corridors = [_corridor(line, mask.foreground.shape, bottom) for line in lines]
    candles = _candle_tints(mask, strokes, np.logical_or.reduce(corridors))
    on_line = np.zeros_like(mask.foreground)
    for line, corridor in zip(lines, corridors, strict=True):
        rows, columns = np.nonzero(corridor & mask.foreground)
        colours = (mask.pixels[rows, columns] - mask.ground).astype(np.float64)
        own = off_ray(colours, line.tint)
        other = np.min([off_ray(colours, tint) for tint in candles], axis=0)
        is_line = (own <= other) & (own < 2 * _ON_RAY)
        on_line[rows[is_line], columns[is_line]] = True
    # a candle that continues above and below the line continues through it
    return (mask.foreground & ~on_line) | _between(on_line, mask.foreground & ~on_line)


@dataclass(frozen=True, eq=False)
class _Run:
    """A run of foreground in a gap: its number among the gaps, middle row, thickness and colour."""

    gap: int
    row: float
    thickness: int
    tint: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class _Line:
    """Colour less the ground's, thickness in rows, and the points it goes through."""

    tint: NDArray[np.float64]
    thickness: float
    columns: NDArray[np.float64]
    rows: NDArray[np.float64]


def _runs(mask: ForegroundMask, gap: int, gaps: NDArray[np.int64], bottom: int) -> list[_Run]:
    column = int(gaps[gap])
    pixels = mask.pixels[:bottom, column] - mask.ground
    strength = np.abs(pixels).max(axis=1)
    runs_of_gap = []
    for top, end in runs(mask.foreground[:bottom, column]):
        strongest = top + int(strength[top:end].argmax())
        weight = strength[top:end].astype(np.float64)
        row = float(weight @ (np.arange(top, end) + 0.5) / weight.sum())
        runs_of_gap.append(_Run(gap, row, end - top, pixels[strongest].astype(np.float64)))
    return runs_of_gap


def _tints(
    colours: list[NDArray[np.float64]], owners: list[int]
) -> list[tuple[NDArray[np.float64], NDArray[np.int64]]]:
    """The commonest colours, by how many owners (gaps or candles) show them, with their members."""
    colour, owner = np.array(colours), np.array(owners)
    remaining = np.arange(len(colour))
    tints: list[tuple[NDArray[np.float64], NDArray[np.int64]]] = []
    while len(remaining) and len(tints) < _TINTS:
        # for each remaining colour, which others lie on its ray; take the one most owners show
        on = np.array([off_ray(colour[remaining], colour[i]) < _ON_RAY for i in remaining])
        owner_counts = [len(np.unique(owner[remaining[row]])) for row in on]
        members = remaining[on[int(np.argmax(owner_counts))]]
        strength = np.abs(colour[members]).max(axis=1)
        strong = members[strength >= np.median(strength)]
        tints.append((np.median(colour[strong], axis=0), members))
        remaining = np.setdiff1d(remaining, members)
    return tints


def _paths(candidates: list[_Run], gaps: NDArray[np.int64]) -> list[list[_Run]]:
    """Segments of one colour that continue from gap to gap."""
    pitch = float(np.diff(gaps).mean())
    open_paths: list[list[_Run]] = []
    closed_paths: list[list[_Run]] = []
    for gap in range(len(gaps)):
        runs_here = [run for run in candidates if run.gap == gap]
        closed_paths += [path for path in open_paths if gap - path[-1].gap > _HIDDEN]
        open_paths = [path for path in open_paths if gap - path[-1].gap <= _HIDDEN]
        # nearest first, join each run to the path that is expected there; others begin paths
        pairs = sorted(
            (abs(_ahead(path, gap) - run.row), i, j)
            for i, path in enumerate(open_paths)
            for j, run in enumerate(runs_here)
        )
        used: tuple[set[int], set[int]] = (set(), set())
        for far, i, j in pairs:
            if i in used[0] or j in used[1] or far > 2 * pitch:
                continue
            used[0].add(i)
            used[1].add(j)
            open_paths[i].append(runs_here[j])
        open_paths += [[run] for j, run in enumerate(runs_here) if j not in used[1]]
    return [path for path in closed_paths + open_paths if len(path) >= _LEAST_GAPS]


def _ahead(path: list[_Run], gap: int) -> float:
    """The row at which a path is expected in a gap: it keeps its slope."""
    if len(path) < 2:
        return path[-1].row
    before, last = path[-2:]
    return last.row + (last.row - before.row) / (last.gap - before.gap) * (gap - last.gap)


def _line(tint: NDArray[np.float64], path: list[_Run], gaps: NDArray[np.int64]) -> _Line:
    """Where a line runs: seen between candles, worked out at their middles, where it bends."""
    # rows at every gap, hidden ones interpolated, and one more at each end in the same direction
    at = np.arange(path[0].gap, path[-1].gap + 1)
    rows = np.interp(at, [run.gap for run in path], [run.row for run in path])
    rows = np.concatenate([[2 * rows[0] - rows[1]], rows, [2 * rows[-1] - rows[-2]]])
    columns = gaps[at] + 0.5
    pitch = float(np.diff(gaps).mean())
    columns = np.concatenate([[columns[0] - pitch], columns, [columns[-1] + pitch]])
    # rows half way between gaps by a cubic through four neighbours (weights -1, 9, 9, -1)
    smooth = np.pad(rows, 1, mode="edge")
    bends = (9 * (smooth[1:-2] + smooth[2:-1]) - smooth[:-3] - smooth[3:]) / 16
    middles = (columns[1:] + columns[:-1]) / 2
    order = np.argsort(np.concatenate([columns, middles]))
    flat = np.percentile([run.thickness for run in path], 25)
    return _Line(
        tint,
        float(flat),
        np.concatenate([columns, middles])[order][1:-1],
        np.concatenate([rows, bends])[order][1:-1],
    )


def _corridor(line: _Line, shape: tuple[int, ...], bottom: int) -> Bools:
    """Where a line may have left foreground, bool (h, w)."""
    columns = np.arange(shape[1]) + 0.5
    inside = (columns >= line.columns[0]) & (columns <= line.columns[-1])
    row = np.interp(columns, line.columns, line.rows)
    slope = np.abs(np.gradient(row))
    reach = line.thickness / 2 + slope / 2 + _SPREAD
    rows = np.arange(shape[0])[:, None] + 0.5
    return np.asarray((np.abs(rows - row) <= reach) & inside & (rows < bottom))


def _candle_tints(
    mask: ForegroundMask, strokes: list[tuple[float, Span]], lines: Bools
) -> list[NDArray[np.float64]]:
    colours, candles = [], []
    for candle, (middle, (top, bottom)) in enumerate(strokes):
        column = min(int(middle), mask.foreground.shape[1] - 1)
        rows = top + np.flatnonzero(
            mask.foreground[top:bottom, column] & ~lines[top:bottom, column]
        )
        for row in rows[np.linspace(0, len(rows) - 1, min(_SAMPLES, len(rows))).astype(int)]:
            colours.append((mask.pixels[row, column] - mask.ground).astype(np.float64))
            candles.append(candle)
    if not colours:
        return [np.zeros(3)]
    least = 0.1 * len(strokes)
    tints = _tints(colours, candles)
    return [tint for tint, members in tints if len(members) >= least] or [tints[0][0]]


def _between(on_line: Bools, foreground: Bools) -> Bools:
    """Parts of the lines, by column, that have a candle's foreground directly above and below."""
    height = len(on_line)
    rows = np.arange(height)[:, None]
    # nearest row above and below that is not of a line, by column
    last = np.maximum.accumulate(np.where(~on_line, rows, -1), axis=0)
    following = np.minimum.accumulate(np.where(~on_line, rows, height)[::-1], axis=0)[::-1]
    above = np.take_along_axis(foreground, np.maximum(last, 0), axis=0) & (last >= 0)
    below = np.take_along_axis(foreground, np.minimum(following, height - 1), axis=0)
    below &= following < height
    return np.asarray(on_line & above & below)
