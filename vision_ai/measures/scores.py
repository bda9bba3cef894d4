"""How good answers are, each score one pure function of columns with its definition beside it."""

from dataclasses import dataclass

import numpy as np

from vision_ai.domain import Bools, Floats, Ints
from vision_ai.measures.significance import Estimate


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


def quadratic_score(probabilities: Floats, truth: Ints) -> Floats:
    """Quadratic score of each row of probabilities (n, classes), from -2 to 0 (Brier 1950).

    It is proper, so that only honest probabilities score best, and no single chart decides.

    >>> quadratic_score(np.array([[1.0, 0.0], [0.5, 0.5]]), np.array([0, 0])).tolist()
    [0.0, -0.5]
    """
    miss = probabilities - np.eye(probabilities.shape[1])[truth]
    score: Floats = 0.0 - (miss**2).sum(axis=1)
    return score


def retrieval_precision(found: Ints, truth: Ints, k: int) -> float:
    """Share of the first k look-alikes that carry the query's own label; -1 marks padding."""
    first = found[:, :k]
    real = first >= 0
    hits = (first == truth[:, None]) & real
    return float(hits.sum() / real.sum()) if real.any() else float("nan")
