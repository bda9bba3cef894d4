"""How sure a figure is: bootstrap and Wilson intervals, and paired tests with a stated error rate.

Charts an hour apart are nearly the same chart and would make any figure look surer than it is,
so whole blocks are resampled (`bootstrap_all`) or count as one piece of evidence (`compare`).

Whether a challenger may replace the champion is decided on later cases, kept apart from
everything either has learned from. Scores that are as often above as below zero if nothing is
better go to the sign test (`compare`); scores that win a little often and lose much seldom go to
a betting test (`betting_test`).
"""

import math
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from vision_ai.domain import Floats, Ints
from vision_ai.errors import InputError

WEEK_MS = 7 * 86_400_000

Z_95 = NormalDist().inv_cdf(0.975)
"""Normal quantile of a two-sided interval of 95 %."""

_MAX_STAKE = 0.75
"""Largest share of the capital on one block, so that no single loss ruins it."""


@dataclass(frozen=True)
class Estimate:
    """A figure with the interval that block resampling gives it."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Comparison:
    """The verdict of one comparison.

    Attributes:
        wins: blocks in which the challenger scored higher.
        losses: blocks in which the champion did.
        ties: blocks in which they were equal; they do not count.
        p_value: bound on the chance of such a result if the challenger is no better.
        level: the error rate of this attempt.
        promote: whether the p-value is within it.
    """

    wins: int
    losses: int
    ties: int
    p_value: float
    level: float
    promote: bool


def compare(
    champion: Floats, challenger: Floats, block: Ints, *, alpha: float = 0.05, attempt: int = 1
) -> Comparison:
    """Compare two models case by case.

    The null hypothesis is that the challenger wins a block with probability at most one half.
    Over all attempts ever made, the chance of one false promotion stays at or under `alpha`
    if blocks are independent and each attempt uses a fold that was not looked at before.

    Args:
        champion: float (n,), score of each case, higher is better (such as a log-likelihood).
        challenger: float (n,), the same cases in the same order.
        block: int (n,), cases with the same number are one piece of evidence.
        alpha: error rate over all attempts.
        attempt: how many comparisons were made so far, this one included.

    Raises:
        InputError: lengths differ, a score is not finite, or a number is out of range.

    >>> import numpy as np
    >>> trial = compare(np.zeros(8), np.ones(8), np.arange(8))
    >>> trial.wins, trial.p_value, trial.promote
    (8, 0.00390625, True)
    """
    _check(champion, challenger, block, alpha)
    _, inverse = np.unique(block, return_inverse=True)
    sums = np.bincount(inverse, weights=challenger - champion)
    wins, losses = int((sums > 0).sum()), int((sums < 0).sum())
    p_value = sign_test(wins, losses)
    level = spend_alpha(alpha, attempt)
    return Comparison(wins, losses, len(sums) - wins - losses, p_value, level, p_value <= level)


def _check(champion: Floats, challenger: Floats, block: Ints, alpha: float) -> None:
    if not len(champion) == len(challenger) == len(block):
        raise InputError(
            f"Scores do not pair: expected equal lengths, were {len(champion)}, "
            f"{len(challenger)} and {len(block)}."
        )
    if not (np.isfinite(champion).all() and np.isfinite(challenger).all()):
        raise InputError("Scores must be finite numbers.")
    if not 0 < alpha < 1:
        raise InputError(f"The error rate must lie between 0 and 1, was {alpha}.")


def sign_test(wins: int, losses: int) -> float:
    """Sign test: chance of at least `wins` heads in `wins + losses` tosses of a fair coin, exact.

    >>> sign_test(0, 0), sign_test(3, 1)
    (1.0, 0.3125)
    """
    tosses = wins + losses
    # C(tosses, heads) for each number of heads from `wins` on, each from the one before
    ways = at_least = math.comb(tosses, wins)
    for heads in range(wins, tosses):
        ways = ways * (tosses - heads) // (heads + 1)
        at_least += ways
    return float(at_least / (1 << tosses))


def betting_test(gains: Floats, *, level: float) -> Comparison:
    """Test whether the mean gain of blocks is above zero, by betting on each in turn.

    The capital starts at 1; a share of it, chosen from earlier blocks alone, is staked on each.
    If no block's expected gain is above zero given the earlier ones, the capital is never worth
    more than it began with on average, and ever reaches `1 / level` with probability at most
    `level` (Ville 1939; Waudby-Smith and Ramdas 2023). Skew and changing variance do no harm.

    Args:
        gains: float (n,), of each block in order of time, each at least -1.
        level: the error rate.

    Raises:
        InputError: a gain is not finite or below -1.

    >>> import numpy as np
    >>> betting_test(np.full(12, 0.5), level=0.05).promote
    True
    """
    if not (np.isfinite(gains).all() and (gains >= -1).all()):
        raise InputError("Gains of blocks must be finite and at least -1.")
    capital = highest = 1.0
    total, squares = 0.0, 1.0  # as if one block without gain had been seen
    for seen, gain in enumerate(gains.tolist(), start=1):
        # the stake that grew the capital fastest on earlier blocks, to second order: m / E[g^2]
        mean = total / seen
        capital *= 1 + min(_MAX_STAKE, max(0.0, mean / (squares / seen))) * gain
        highest = max(highest, capital)
        total, squares = total + gain, squares + gain * gain
    wins, losses = int((gains > 0).sum()), int((gains < 0).sum())
    p_value = 1 / highest
    return Comparison(wins, losses, len(gains) - wins - losses, p_value, level, p_value <= level)


def spend_alpha(alpha: float, attempt: int) -> float:
    """Share of the error rate for one attempt; the shares of all attempts sum to `alpha`.

    >>> round(sum(spend_alpha(0.05, k) for k in range(1, 100_000)), 5)
    0.05

    Raises:
        InputError: attempts count from 1.
    """
    if attempt < 1:
        raise InputError(f"Attempts count from 1, was {attempt}.")
    return alpha * 6 / (math.pi * attempt) ** 2


def wilson_interval(hits: int, n: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927), which stays inside [0, 1]; `n` is at least 1.

    >>> [round(end, 4) for end in wilson_interval(8, 10)]
    [0.4902, 0.9433]
    """
    share, z2 = hits / n, Z_95 * Z_95
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = Z_95 / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)


def blocks(symbol: NDArray[np.str_], as_of_ms: Ints, block_ms: int = WEEK_MS) -> Ints:
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
    # row numbers of each block
    order = np.argsort(block, kind="stable")
    _, starts = np.unique(block[order], return_index=True)
    members = np.split(order, starts[1:])
    # as many blocks as there are, with replacement; all figures of the same draw
    rng = np.random.default_rng(seed)
    resampled = np.array(
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
        for number, (value, column) in enumerate(zip(values, resampled.T, strict=True))
    ]


def _interval(value: float, resampled: Floats, ends: list[float], *, is_distance: bool) -> Estimate:
    known = resampled[np.isfinite(resampled)]
    if not len(known):
        return Estimate(value, float("nan"), float("nan"))
    low, high = np.quantile(known, ends)
    if is_distance and np.isfinite(value):
        shift = value - float(np.median(known))
        low, high = max(low + shift, 0.0), high + shift
    return Estimate(value, float(low), float(high))
