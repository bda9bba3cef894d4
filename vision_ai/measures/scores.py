"""How good answers are, each score one pure function of columns with its definition beside it."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from vision_ai.domain import Bools, Floats, Ints
from vision_ai.measures.significance import Estimate

MIN_CELL_OUTCOMES = 30
"""Fewer known outcomes than this say nothing about a band's coverage."""

COVERAGE_DRAWS = 300
"""Resamples of blocks behind each interval of a coverage."""


@dataclass(frozen=True, eq=False)
class ClassTable:
    """Per class: precision, recall, F1 (0 where undefined) and how often it is true."""

    precision: Floats
    recall: Floats
    f1: Floats
    support: Ints


@dataclass(frozen=True, eq=False)
class Reliability:
    """Bins of equally many charts, from unsure to sure.

    Attributes:
        confidence: float (bins,), mean confidence of the charts of each bin.
        accuracy: float (bins,), share of them that were right.
        count: int (bins,), how many they are.
    """

    confidence: Floats
    accuracy: Floats
    count: Ints


def per_class(truth: Ints, predicted: Ints, classes: int) -> ClassTable:
    """Precision, recall and F1 of every class.

    >>> per_class(np.array([0, 0, 1]), np.array([0, 1, 1]), 2).recall.tolist()
    [0.5, 1.0]
    """
    flat = truth.astype(np.int64) * classes + predicted
    table = np.bincount(flat, minlength=classes * classes).reshape(classes, classes)
    hit, true, claimed = np.diag(table), table.sum(axis=1), table.sum(axis=0)
    return ClassTable(
        precision=hit / np.maximum(claimed, 1),
        recall=hit / np.maximum(true, 1),
        f1=2 * hit / np.maximum(true + claimed, 1),
        support=true,
    )


def macro_f1(truth: Ints, predicted: Ints, classes: int) -> float:
    """Macro-F1: the plain mean of the F1 of every class that is either true or predicted.

    A class that is predicted and never true counts with 0, so that inventing a class costs; one
    that is neither does not count. This is `sklearn.metrics.f1_score(average="macro")`, and the
    only macro-F1 here. NaN without charts.

    >>> macro_f1(np.array([0, 0, 1]), np.array([0, 0, 2]), 4)
    0.3333333333333333
    """
    if not len(truth):
        return float("nan")
    table = per_class(truth, predicted, classes)
    occurs = (table.support > 0) | (np.bincount(predicted, minlength=classes) > 0)
    return float(table.f1[occurs].mean())


def reliability(confidence: Floats, correct: Bools, bins: int = 15) -> Reliability:
    """Mean confidence against accuracy, in bins of equally many charts."""
    order = np.argsort(confidence, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    return Reliability(
        confidence=np.array([confidence[part].mean() for part in parts]),
        accuracy=np.array([correct[part].mean() for part in parts]),
        count=np.array([len(part) for part in parts], np.int64),
    )


def ece(confidence: Floats, correct: Bools, bins: int = 15) -> float:
    """Expected calibration error: mean gap of confidence and accuracy, in bins of equal mass."""
    table = reliability(confidence, correct, bins)
    gaps = np.abs(table.confidence - table.accuracy)
    return float(np.average(gaps, weights=table.count)) if len(gaps) else float("nan")


def ece_noise(
    confidence: Floats, bins: int = 15, *, draws: int = 200, level: float = 0.95, seed: int = 0
) -> Estimate:
    """The ECE that perfect calibration would show on as many charts: its mean and its spread.

    The ECE of few charts is above zero however well calibrated they are, as bins of few are right
    more or less often than they should. Answers are drawn that are right exactly as often as their
    confidence says, each by itself: charts that are alike make a little more noise than this.

    Args:
        confidence: (n,), of the answers.
        bins: as in `ece`.
        draws: how many times all answers are drawn.
        level: share of the draws between `low` and `high`.
        seed: of the draws.
    """
    if not len(confidence):
        return Estimate(float("nan"), float("nan"), float("nan"))
    ranked = np.sort(confidence)
    parts = [part for part in np.array_split(np.arange(len(ranked)), bins) if len(part)]
    starts = np.array([part[0] for part in parts])
    rng = np.random.default_rng(seed)
    # right or wrong by its own confidence; the gaps of all bins are sums between `starts`
    n = len(ranked)
    errors = np.array(
        [
            np.abs(np.add.reduceat((rng.random(n) < ranked) - ranked, starts)).sum() / n
            for _ in range(draws)
        ]
    )
    low, high = np.quantile(errors, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(float(errors.mean()), float(low), float(high))


def risk_coverage(confidence: Floats, correct: Bools) -> tuple[Floats, Floats]:
    """Coverage and accuracy (n,) of the surest answers, as ever less sure ones are added.

    Answers of equal confidence cannot be ordered: each counts with the mean of them.
    """
    _, tie = np.unique(-confidence, return_inverse=True)
    mean = np.bincount(tie, correct) / np.maximum(np.bincount(tie), 1)
    expected = np.sort(tie)
    count = np.arange(1, len(confidence) + 1)
    accuracy: Floats = np.cumsum(mean[expected]) / count
    return count / max(len(confidence), 1), accuracy


def accuracy_at(confidence: Floats, correct: Bools, coverage: float = 0.5) -> float:
    """Accuracy of the surest share of answers.

    >>> accuracy_at(np.array([0.9, 0.8, 0.2, 0.1]), np.array([True, True, False, False]))
    1.0
    """
    if not len(confidence):
        return float("nan")
    taken = max(1, int(np.ceil(coverage * len(confidence) - 1e-9)))
    return float(risk_coverage(confidence, correct)[1][taken - 1])


def brier_skill(probability: Floats, happened: Floats, base: float) -> float:
    """1 minus the Brier score over that of always forecasting `base`.

    0 is no skill, below 0 is worse than knowing nothing. Unknown outcomes (NaN) do not count.
    """
    known = np.isfinite(happened) & np.isfinite(probability)
    score = float(((probability - happened)[known] ** 2).sum())
    reference = float(((base - happened)[known] ** 2).sum())
    return 1 - score / reference if reference > 0 else float("nan")


def quadratic_score(probabilities: Floats, truth: Ints) -> Floats:
    """Quadratic score of each row of probabilities (n, classes), from -2 to 0 (Brier 1950).

    It is proper, so that only honest probabilities score best, and no single chart decides.

    >>> quadratic_score(np.array([[1.0, 0.0], [0.5, 0.5]]), np.array([0, 0])).tolist()
    [0.0, -0.5]
    """
    miss = probabilities - np.eye(probabilities.shape[1])[truth]
    score: Floats = 0.0 - (miss**2).sum(axis=1)
    return score


def retrieval_precision(neighbors: Ints, truth: Ints, k: int) -> float:
    """Share of the first k neighbors that carry the query's own label; -1 marks padding."""
    first = neighbors[:, :k]
    real = first >= 0
    hits = (first == truth[:, None]) & real
    return float(hits.sum() / real.sum()) if real.any() else float("nan")


@dataclass(frozen=True)
class CoverageCell:
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


def band_hits(low: Floats, high: Floats, move: Floats) -> Floats:
    """Whether bands held what happened, any shape: 1, 0, or NaN where it is not known."""
    known = np.isfinite(move) & np.isfinite(low)
    return np.where(known, (low <= move) & (move <= high), np.nan)


def coverage_by_cell(hits: Floats, cell: Ints) -> Iterator[CoverageCell]:
    """The cells that occur, by horizon; hits (n, horizons), codes of cells (n,)."""
    for column in range(hits.shape[1]):
        known = np.isfinite(hits[:, column])
        count = np.bincount(cell[known], minlength=1)
        inside = np.bincount(cell[known], hits[known, column], minlength=len(count))
        for code in np.flatnonzero(count):
            yield CoverageCell(
                column, int(code), int(count[code]), float(inside[code] / count[code])
            )


def coverage_error(hits: Floats, cell: Ints, level: Floats) -> float:
    """Greatest distance of a cell's coverage from the level of its horizon; NaN without cells.

    Cells of fewer than `MIN_CELL_OUTCOMES` known outcomes are left out.
    """
    gaps = [
        abs(covered.share - float(level[covered.column]))
        for covered in coverage_by_cell(hits, cell)
        if covered.count >= MIN_CELL_OUTCOMES
    ]
    return max(gaps, default=float("nan"))


def coverage_intervals(hits: Floats, cell: Ints, block: Ints, *, seed: int = 0) -> list[Estimate]:
    """Coverage of every cell, in the order of `coverage_by_cell`, with its 95 % interval."""
    resampled, every = (
        _resampled_coverage(hits, cell, block, seed),
        list(coverage_by_cell(hits, cell)),
    )
    ends = np.nanquantile(resampled, [0.025, 0.975], axis=0) if every else np.empty((2, 0))
    return [
        Estimate(covered.share, float(low), float(high))
        for covered, low, high in zip(every, *ends, strict=True)
    ]


def coverage_noise(hits: Floats, cell: Ints, block: Ints, *, seed: int = 0) -> Estimate:
    """What `coverage_error` would be, in the mean, of bands that are right.

    So far does chance alone move the worst cell.

    Blocks of charts are drawn anew, and the greatest distance of any cell from its own coverage
    is looked at. Outcomes of one block move together; those of different blocks are taken to be
    apart, so this is rather too little.
    """
    every = list(coverage_by_cell(hits, cell))
    enough = [number for number, covered in enumerate(every) if covered.count >= MIN_CELL_OUTCOMES]
    if not enough:
        return Estimate(float("nan"), float("nan"), float("nan"))
    share = np.array([every[number].share for number in enough])
    worst = np.nanmax(
        np.abs(_resampled_coverage(hits, cell, block, seed)[:, enough] - share), axis=1
    )
    low, high = np.quantile(worst, [0.025, 0.975])
    return Estimate(float(worst.mean()), float(low), float(high))


def _resampled_coverage(hits: Floats, cell: Ints, block: Ints, seed: int) -> Floats:
    """Coverage (draws, cells) of every cell in resamples of whole blocks."""
    names, of_block = np.unique(block, return_inverse=True)
    codes = [(covered.column, covered.cell) for covered in coverage_by_cell(hits, cell)]
    known, inside = np.zeros((2, len(names), len(codes)))
    # known and held outcomes of each cell, summed by block
    for number, (column, code) in enumerate(codes):
        rows = (cell == code) & np.isfinite(hits[:, column])
        known[:, number] = np.bincount(of_block[rows], minlength=len(names))
        inside[:, number] = np.bincount(of_block[rows], hits[rows, column], minlength=len(names))
    # how often each block is drawn, as many blocks a draw as there are
    rng = np.random.default_rng(seed)
    often = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=COVERAGE_DRAWS)
    with np.errstate(invalid="ignore", divide="ignore"):
        share: Floats = (often @ inside) / (often @ known)
    return share
