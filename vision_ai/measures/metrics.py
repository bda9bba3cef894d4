"""Figures of the report card. Each is one pure function of columns, each has an interval.

Intervals come from resampling whole blocks (a symbol's week), because charts an hour apart are
nearly the same chart and would make any figure look surer than it is.
"""

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass

import numpy as np

from vision_ai.domain import Bools, Floats, Ints

WEEK_MS = 7 * 86_400_000


@dataclass(frozen=True)
class Estimate:
    """A figure with the interval that block resampling gives it."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class ClassTable:
    """Per class: precision, recall, F1 (0 where undefined) and how often it is true."""

    precision: Floats
    recall: Floats
    f1: Floats
    support: Ints


@dataclass(frozen=True, eq=False)
class Reliability:
    """Bins of equal mass, from unsure to sure: what was said, how often it was right, how many."""

    said: Floats
    right: Floats
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
    """Mean F1 of the classes that occur in the truth or among the answers; NaN without charts."""
    if not len(truth):
        return float("nan")
    table = per_class(truth, predicted, classes)
    occurs = (table.support > 0) | (np.bincount(predicted, minlength=classes) > 0)
    return float(table.f1[occurs].mean())


def reliability(confidence: Floats, correct: Bools, bins: int = 15) -> Reliability:
    """What was said against what was right, in bins of equally many charts."""
    order = np.argsort(confidence, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    return Reliability(
        said=np.array([confidence[part].mean() for part in parts]),
        right=np.array([correct[part].mean() for part in parts]),
        count=np.array([len(part) for part in parts], np.int64),
    )


def ece(confidence: Floats, correct: Bools, bins: int = 15) -> float:
    """Expected calibration error: mean gap between said and right, bins of equal mass."""
    table = reliability(confidence, correct, bins)
    gaps = np.abs(table.said - table.right)
    return float(np.average(gaps, weights=table.count)) if len(gaps) else float("nan")


def ece_noise(
    confidence: Floats, bins: int = 15, *, draws: int = 200, level: float = 0.95, seed: int = 0
) -> Estimate:
    """The ECE that pure honesty would show on as many charts: its mean and its spread.

    The ECE of few charts is above zero however well calibrated they are, as bins of few are right
    more or less often than they should. Answers are drawn that are right exactly as often as said,
    each by itself: charts that are alike make a little more noise than this.

    Args:
        confidence: (n,), as said.
        bins: as in `ece`.
        draws: how many times all answers are drawn.
        level: share of the draws between `low` and `high`.
        seed: of the draws.
    """
    if not len(confidence):
        return Estimate(float("nan"), float("nan"), float("nan"))
    said = np.sort(confidence)
    parts = [part for part in np.array_split(np.arange(len(said)), bins) if len(part)]
    starts = np.array([part[0] for part in parts])
    rng = np.random.default_rng(seed)
    found = np.array(
        [
            np.abs(np.add.reduceat((rng.random(len(said)) < said) - said, starts)).sum() / len(said)
            for _ in range(draws)
        ]
    )
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(float(found.mean()), float(low), float(high))


def risk_coverage(confidence: Floats, correct: Bools) -> tuple[Floats, Floats]:
    """Coverage and accuracy (n,) as ever less sure answers are let in.

    Answers of equal confidence cannot be told apart: each counts with the mean of them.
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
    """1 minus the Brier score over that of always saying `base`.

    0 is no skill, below 0 is worse than knowing nothing. Unknown outcomes (NaN) do not count.
    """
    known = np.isfinite(happened) & np.isfinite(probability)
    score = float(((probability - happened)[known] ** 2).sum())
    reference = float(((base - happened)[known] ** 2).sum())
    return 1 - score / reference if reference > 0 else float("nan")


def retrieval_precision(found: Ints, truth: Ints, k: int) -> float:
    """Share of the first k look-alikes that carry the query's own label; -1 marks padding."""
    first = found[:, :k]
    real = first >= 0
    hits = (first == truth[:, None]) & real
    return float(hits.sum() / real.sum()) if real.any() else float("nan")


def blocks(symbol: "np.typing.NDArray[np.str_]", as_of_ms: Ints, block_ms: int = WEEK_MS) -> Ints:
    """Number of the block (a symbol's week) that each chart belongs to."""
    _, code = np.unique(symbol, return_inverse=True)
    week = as_of_ms // block_ms
    pairs = code * (int(week.max(initial=0)) + 1) + week
    number: Ints = np.unique(pairs, return_inverse=True)[1]
    return number


def bootstrap(
    figure: Callable[[Ints], float],
    block: Ints,
    *,
    draws: int = 400,
    level: float = 0.95,
    seed: int = 0,
) -> Estimate:
    """A figure with its interval, by drawing blocks with replacement.

    Args:
        figure: from row numbers (with repeats) to the figure.
        block: number of the block of each row.
        draws: how many resamples.
        level: how much of their spread the interval holds.
        seed: equal seeds draw equal blocks, so figures can be compared pairwise.
    """
    return bootstrap_all(lambda rows: [figure(rows)], block, draws=draws, level=level, seed=seed)[0]


def bootstrap_all(
    figures: Callable[[Ints], Sequence[float]],
    block: Ints,
    *,
    draws: int = 400,
    level: float = 0.95,
    seed: int = 0,
    distances: Container[int] = (),
) -> list[Estimate]:
    """Several figures of the same draws; see `bootstrap`.

    A figure that is undefined (NaN) in a draw leaves that draw out of its interval. A figure that
    is a distance from zero grows when rows are drawn twice: the intervals of those numbered in
    `distances` are shifted until the middle draw is the figure itself, and end at zero.
    """
    order = np.argsort(block, kind="stable")
    _, starts = np.unique(block[order], return_index=True)
    members = np.split(order, starts[1:])
    rng = np.random.default_rng(seed)
    drawn = np.array(
        [
            figures(
                np.concatenate([members[i] for i in rng.integers(0, len(members), len(members))])
            )
            for _ in range(draws)
        ]
    )
    values = figures(np.arange(len(block)))
    ends = [(1 - level) / 2, (1 + level) / 2]
    return [
        _interval(float(value), column, ends, is_distance=number in distances)
        for number, (value, column) in enumerate(zip(values, drawn.T, strict=True))
    ]


def _interval(value: float, drawn: Floats, ends: list[float], *, is_distance: bool) -> Estimate:
    known = drawn[np.isfinite(drawn)]
    if not len(known):
        return Estimate(value, float("nan"), float("nan"))
    low, high = np.quantile(known, ends)
    if is_distance and np.isfinite(value):
        shift = value - float(np.median(known))
        low, high = max(low + shift, 0.0), high + shift
    return Estimate(value, float(low), float(high))
