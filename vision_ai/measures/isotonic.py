"""Isotonic regression: the closest values that never fall."""

import numpy as np

from vision_ai.domain import Floats


def rising(values: Floats, weight: Floats) -> Floats:
    """The closest values that never fall (pool adjacent violators, weighted least squares).

    >>> rising(np.array([1.0, 3.0, 2.0]), np.ones(3)).tolist()
    [1.0, 2.5, 2.5]
    """
    pools: list[tuple[float, float, int]] = []
    for value, mass in zip(values.tolist(), weight.tolist(), strict=True):
        pools.append((value, mass, 1))
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (b, mass_b, n_b), (a, mass_a, n_a) = pools.pop(), pools.pop()
            mass_ab = mass_a + mass_b
            pools.append(((a * mass_a + b * mass_b) / mass_ab, mass_ab, n_a + n_b))
    return np.repeat([value for value, _, _ in pools], [n for _, _, n in pools])
