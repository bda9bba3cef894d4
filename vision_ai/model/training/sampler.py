"""Which charts a batch is made of: those that were read wrong come back sooner.

Most charts are read right after a few thousand steps and teach little more. The rule book's
labels carry no noise, so what is still read wrong can be learned, and is drawn more often
(Loshchilov and Hutter, Online Batch Selection, 2015; Schaul et al., Prioritized Experience
Replay, 2015).
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vision_ai.domain import Floats, Ints

UNSEEN = 0.3
"""How wrong a chart is taken to be that no batch held yet."""


def balanced(codes: NDArray[np.signedinteger[Any]], power: float) -> Floats:
    """Weight of each row: a class of share p is drawn as if it had p^(1-power).

    Args:
        codes: (n,), class of each row.
        power: 0 keeps the natural shares, 1 makes all classes equal.
    """
    counts = np.bincount(codes, minlength=1).astype(np.float64)
    weight: Floats = (np.maximum(counts, 1) ** -power)[codes]
    return weight


class Practice:
    """Rows of each step's batch: a pure function of the seed, the step and what was heeded.

    Attributes:
        missed: float32 (n,), 1 less the chance that each chart's own label got when it was last
            learned from.
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
            balance: as in `balanced`.
            hard: part of a chart's chance that hangs on how wrong it was; 0 draws all alike.
        """
        self.size = size
        self.seed = seed
        self.hard = hard
        self.missed = np.full(len(codes), UNSEEN, np.float32)
        self._weight = balanced(codes, balance)
        self._coming: tuple[int, NDArray[np.int64]] | None = None

    def rows(self, step: int) -> NDArray[np.int64]:
        """Rows of a step's batch, int64 (size,); asked again at once, it says the same."""
        if self._coming is None or self._coming[0] != step:
            rng = np.random.default_rng([self.seed, step, 2])
            chance = np.cumsum(self._weight * (1 - self.hard + self.hard * self.missed))
            found = np.searchsorted(chance, rng.random(self.size) * chance[-1], side="right")
            self._coming = step, np.minimum(found, len(chance) - 1)
        return self._coming[1]

    def heed(self, rows: Ints, missed: NDArray[np.float32]) -> None:
        """Remember how wrong the charts of a batch were: both (size,)."""
        self.missed[rows] = missed

    def state(self) -> dict[str, NDArray[Any]]:
        """What the coming batches depend on, by name."""
        arrays: dict[str, NDArray[Any]] = {"missed": self.missed.copy()}
        if self._coming is not None:
            step, rows = self._coming
            arrays["coming"] = np.append(rows, step)
        return arrays

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take up a state that `state` returned."""
        self.missed = arrays["missed"].copy()
        coming = arrays.get("coming")
        if coming is not None:
            *rows, step = coming.tolist()
            self._coming = step, np.array(rows, np.int64)
