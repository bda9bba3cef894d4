"""How often bands hold, cell by cell: interval and volatility tercile, at each horizon.

A chart's outcome is 1 where its band held it, 0 where not and NaN where it is not known. Cells of
few charts miss their level by chance alone; `noise` says by how much.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from vision_ai.domain import Floats, Ints
from vision_ai.measures.significance import Estimate

LEAST = 30
"""Fewer known outcomes than this say nothing about a band's coverage."""

DRAWS = 300
"""Resamples of blocks behind each interval."""


@dataclass(frozen=True)
class Cell:
    """Coverage of one cell at one horizon.

    Attributes:
        column: which horizon.
        cell: its code.
        count: known outcomes.
        share: how many of them the bands held.
    """

    column: int
    cell: int
    count: int
    share: float


def held(low: Floats, high: Floats, move: Floats) -> Floats:
    """Whether bands held what happened, any shape: 1, 0, or NaN where it is not known."""
    known = np.isfinite(move) & np.isfinite(low)
    return np.where(known, (low <= move) & (move <= high), np.nan)


def cells(hits: Floats, cell: Ints) -> Iterator[Cell]:
    """The cells that occur, by horizon; hits (n, horizons), codes of cells (n,)."""
    for column in range(hits.shape[1]):
        known = np.isfinite(hits[:, column])
        count = np.bincount(cell[known], minlength=1)
        inside = np.bincount(cell[known], hits[known, column], minlength=len(count))
        for code in np.flatnonzero(count):
            yield Cell(column, int(code), int(count[code]), float(inside[code] / count[code]))


def error(hits: Floats, cell: Ints, level: Floats) -> float:
    """Greatest distance of a cell's coverage from the level of its horizon; NaN without cells.

    Cells of fewer than `LEAST` known outcomes are left out.
    """
    gaps = [
        abs(found.share - float(level[found.column]))
        for found in cells(hits, cell)
        if found.count >= LEAST
    ]
    return max(gaps, default=float("nan"))


def intervals(hits: Floats, cell: Ints, block: Ints, *, seed: int = 0) -> list[Estimate]:
    """Coverage of every cell, in the order of `cells`, with its 95 % interval."""
    drawn, every = _drawn(hits, cell, block, seed), list(cells(hits, cell))
    ends = np.nanquantile(drawn, [0.025, 0.975], axis=0) if every else np.empty((2, 0))
    return [
        Estimate(found.share, float(low), float(high))
        for found, low, high in zip(every, *ends, strict=True)
    ]


def noise(hits: Floats, cell: Ints, block: Ints, *, seed: int = 0) -> Estimate:
    """What `error` would be, in the mean, of bands that are right: how far chance moves the worst.

    Blocks of charts are drawn anew, and the greatest distance of any cell from its own coverage
    is looked at. Outcomes of one block move together; those of different blocks are taken to be
    apart, so this is rather too little.
    """
    every = list(cells(hits, cell))
    enough = [number for number, found in enumerate(every) if found.count >= LEAST]
    if not enough:
        return Estimate(float("nan"), float("nan"), float("nan"))
    share = np.array([every[number].share for number in enough])
    worst = np.nanmax(np.abs(_drawn(hits, cell, block, seed)[:, enough] - share), axis=1)
    low, high = np.quantile(worst, [0.025, 0.975])
    return Estimate(float(worst.mean()), float(low), float(high))


def _drawn(hits: Floats, cell: Ints, block: Ints, seed: int) -> Floats:
    """Coverage (draws, cells) of every cell in resamples of whole blocks."""
    names, of_block = np.unique(block, return_inverse=True)
    codes = [(found.column, found.cell) for found in cells(hits, cell)]
    known, inside = np.zeros((2, len(names), len(codes)))
    for place, (column, code) in enumerate(codes):
        rows = (cell == code) & np.isfinite(hits[:, column])
        known[:, place] = np.bincount(of_block[rows], minlength=len(names))
        inside[:, place] = np.bincount(of_block[rows], hits[rows, column], minlength=len(names))
    rng = np.random.default_rng(seed)
    often = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=DRAWS)
    with np.errstate(invalid="ignore", divide="ignore"):
        share: Floats = (often @ inside) / (often @ known)
    return share
