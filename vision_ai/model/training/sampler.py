"""Which charts a batch is made of: a prioritized sampler draws those misread more often.

Most charts are read right after a few thousand steps and teach little more. The rule book's
labels carry no noise, so what is still misread can be learned, and is drawn more often
(Loshchilov and Hutter, Online Batch Selection, 2015; Schaul et al., Prioritized Experience
Replay, 2015).
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vision_ai.domain import Floats, Ints

UNSEEN_ERROR = 0.3
"""Error that a chart is taken to have before any batch held it."""


def class_weights(codes: NDArray[np.signedinteger[Any]], power: float) -> Floats:
    """Weight of each row: a class of share p is drawn as if it had p^(1-power).

    Args:
        codes: (n,), class of each row.
        power: 0 keeps the natural shares, 1 makes all classes equal.
    """
    counts = np.bincount(codes, minlength=1).astype(np.float64)
    weight: Floats = (np.maximum(counts, 1) ** -power)[codes]
    return weight


class PrioritizedSampler:
    """Rows of each step's batch: a pure function of the seed, the step and the errors so far.

    Attributes:
        errors: float32 (n,), 1 less the probability that each chart's own label got when a step
            last held it.
    """

    def __init__(
        self, codes: NDArray[np.signedinteger[Any]], *, size: int, seed: int,
        balance: float = 0.0, hard: float = 0.0,
    ) -> None:  # fmt: skip
        """Prepare to draw.

        Args:
            codes: (n,), class of each chart.
            size: charts a batch.
            seed: of all draws.
            balance: as `power` of `class_weights`.
            hard: part of a chart's probability that depends on its error; 0 draws all alike.
        """
        self.size = size
        self.seed = seed
        self.hard = hard
        self.errors = np.full(len(codes), UNSEEN_ERROR, np.float32)
        self._weight = class_weights(codes, balance)
        self._next: tuple[int, NDArray[np.int64]] | None = None

    def rows(self, step: int) -> NDArray[np.int64]:
        """Rows of a step's batch, int64 (size,); the same when the same step is asked again."""
        if self._next is None or self._next[0] != step:
            rng = np.random.default_rng([self.seed, step, 2])
            # inverse of the cumulative distribution: one uniform number a row
            cumulative = np.cumsum(self._weight * (1 - self.hard + self.hard * self.errors))
            rows = np.searchsorted(cumulative, rng.random(self.size) * cumulative[-1], side="right")
            self._next = step, np.minimum(rows, len(cumulative) - 1)
        return self._next[1]

    def update_errors(self, rows: Ints, errors: NDArray[np.float32]) -> None:
        """Remember how wrong the charts of a batch were: both (size,)."""
        self.errors[rows] = errors

    def state(self) -> dict[str, NDArray[Any]]:
        """What the next batches depend on, by name; the next batch's rows are followed by its step.

        The names are those of the checkpoints of version 0.1.0.
        """
        arrays: dict[str, NDArray[Any]] = {"missed": self.errors.copy()}
        if self._next is not None:
            step, rows = self._next
            arrays["coming"] = np.append(rows, step)
        return arrays

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take up a state that `state` returned."""
        self.errors = arrays["missed"].copy()
        chosen = arrays.get("coming")
        if chosen is not None:
            *rows, step = chosen.tolist()
            self._next = step, np.array(rows, np.int64)
