"""Whether a challenger may replace the champion: paired tests with a stated error rate.

Both are judged on the same later cases, kept apart from everything either has learned from.
Cases that overlap in time are summed into one block, so that a run of like hours is one piece
of evidence. Scores that are even about nought if nothing is better go to the sign test
(`compare`); scores that win a little often and lose much seldom go to a betting test (`wager`).
"""

import math
from dataclasses import dataclass

import numpy as np

from vision_ai.domain import Floats, Ints
from vision_ai.errors import InputError

_STAKE = 0.75
"""No more of the capital is ever put on one block, so that no single loss ruins it."""


@dataclass(frozen=True)
class Trial:
    """The verdict of one comparison.

    Attributes:
        wins: blocks in which the challenger scored higher.
        losses: blocks in which the champion did.
        ties: blocks in which they were equal; they do not count.
        p_value: bound on the chance of such a result if the challenger is no better.
        level: the error rate that this attempt may spend.
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
) -> Trial:
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
    level = spend(alpha, attempt)
    return Trial(wins, losses, len(sums) - wins - losses, p_value, level, p_value <= level)


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
    """Chance of at least `wins` heads in `wins + losses` throws of a fair coin, exact.

    >>> sign_test(0, 0), sign_test(3, 1)
    (1.0, 0.3125)
    """
    throws = wins + losses
    ways = favourable = math.comb(throws, wins)
    for heads in range(wins, throws):
        ways = ways * (throws - heads) // (heads + 1)
        favourable += ways
    return float(favourable / (1 << throws))


def wager(gains: Floats, *, level: float) -> Trial:
    """Test whether the mean gain of blocks is above nought, by betting on each in turn.

    The capital starts at 1 and a share of it, chosen from earlier blocks alone, is put on each.
    If no block's expected gain is above nought given the earlier ones, the capital is never worth
    more than it began with on average, and ever reaches `1 / level` with probability at most
    `level` (Ville 1939; Waudby-Smith and Ramdas 2023). Skew and changing variance do no harm.

    Args:
        gains: float (n,), of each block in order of time, each at least -1.
        level: the error rate that may be spent.

    Raises:
        InputError: a gain is not finite or below -1.

    >>> import numpy as np
    >>> wager(np.full(12, 0.5), level=0.05).promote
    True
    """
    if not (np.isfinite(gains).all() and (gains >= -1).all()):
        raise InputError("Gains of blocks must be finite and at least -1.")
    capital = highest = 1.0
    total, squares = 0.0, 1.0  # as if one block without gain had been seen
    for seen, gain in enumerate(gains.tolist(), start=1):
        mean = total / seen
        capital *= 1 + min(_STAKE, max(0.0, mean / (squares / seen))) * gain
        highest = max(highest, capital)
        total, squares = total + gain, squares + gain * gain
    wins, losses = int((gains > 0).sum()), int((gains < 0).sum())
    p_value = 1 / highest
    return Trial(wins, losses, len(gains) - wins - losses, p_value, level, p_value <= level)


def spend(alpha: float, attempt: int) -> float:
    """Share of the error rate for one attempt; the shares of all attempts sum to `alpha`.

    >>> round(sum(spend(0.05, k) for k in range(1, 100_000)), 5)
    0.05

    Raises:
        InputError: attempts count from 1.
    """
    if attempt < 1:
        raise InputError(f"Attempts count from 1, was {attempt}.")
    return alpha * 6 / (math.pi * attempt) ** 2
