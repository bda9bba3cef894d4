"""How well a model reads charts it has never seen, and how well plain readers do.

All figures are macro-F1 on the natural mix of held-out windows: by prompts alone, by the votes of
look-alike exemplars, by a linear probe on the vectors, and by two baselines on the same windows.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vision_ai.domain import PHASES, READINGS, Bytes, Floats, Ints
from vision_ai.measures import scores

NEIGHBORS = 24
"""Look-alikes that vote."""


@dataclass(frozen=True, eq=False)
class Charts:
    """Pictures in the canonical style with their labels.

    Attributes:
        pictures: uint8 (n, 192, 96, 3).
        reading, phase: int8 (n,), codes.
    """

    pictures: Bytes
    reading: NDArray[np.int8]
    phase: NDArray[np.int8]


Seer = Callable[[Bytes], NDArray[np.float32]]
"""Pictures to unit vectors."""


def by_prompts(vectors: Floats, prototypes: Floats, charts: Charts) -> dict[str, float]:
    """Read charts by the nearest prompt.

    Args:
        vectors: (n, d) of the charts.
        prototypes: (23, d), one for each reading, then one for each phase.
        charts: the truth.
    """
    cosines = vectors @ prototypes.T
    first = len(READINGS)
    return _scored(charts, cosines[:, :first].argmax(1), cosines[:, first:].argmax(1))


def by_votes(vectors: Floats, charts: Charts, known: Floats, exemplars: Charts) -> dict[str, float]:
    """Read charts by the votes of their nearest exemplars."""
    rows, cosines = scores.nearest(vectors, known, NEIGHBORS)
    reading = scores.vote(exemplars.reading[rows], cosines, len(READINGS))
    phase = scores.vote(exemplars.phase[rows], cosines, len(PHASES))
    return _scored(charts, reading, phase)


def by_probe(vectors: Floats, charts: Charts, known: Floats, exemplars: Charts) -> dict[str, float]:
    """Read charts by ridge regression from vectors to labels: the linear probe."""
    guesses = []
    design = np.c_[known, np.ones(len(known))].astype(np.float64)
    gram = design.T @ design + 1e-2 * np.eye(design.shape[1])
    for codes, classes in ((exemplars.reading, len(READINGS)), (exemplars.phase, len(PHASES))):
        weights = np.linalg.solve(gram, design.T @ np.eye(classes)[codes])
        guesses.append((np.c_[vectors, np.ones(len(vectors))] @ weights).argmax(1))
    return _scored(charts, guesses[0], guesses[1])


def by_majority(charts: Charts, exemplars: Charts) -> dict[str, float]:
    """Say the commonest label of the exemplars of every chart."""
    n = len(charts.reading)
    reading = np.bincount(exemplars.reading).argmax()
    phase = np.bincount(exemplars.phase).argmax()
    return _scored(charts, np.full(n, reading), np.full(n, phase))


def figures(seer: Seer, prototypes: Floats, charts: Charts, exemplars: Charts) -> dict[str, float]:
    """Every reader's figures on `charts`, named `reader/figure`."""
    vectors, known = seer(charts.pictures), seer(exemplars.pictures)
    pixels = scores.pixel_vectors(charts.pictures)
    known_pixels = scores.pixel_vectors(exemplars.pictures)
    readers = {
        "prompts": by_prompts(vectors, prototypes, charts),
        "votes": by_votes(vectors, charts, known, exemplars),
        "probe": by_probe(vectors, charts, known, exemplars),
        "pixel_votes": by_votes(pixels, charts, known_pixels, exemplars),
        "majority": by_majority(charts, exemplars),
    }
    return {
        f"{reader}/{name}": round(value, 4)
        for reader, values in readers.items()
        for name, value in values.items()
    }


def _scored(charts: Charts, reading: Ints, phase: Ints) -> dict[str, float]:
    truth = charts.reading.astype(np.int64)
    found = scores.reading_scores(truth, reading.astype(np.int64))
    phases = charts.phase.astype(np.int64)
    return found | {
        "phase_macro_f1": scores.macro_f1(phases, phase.astype(np.int64)),
        "phase_accuracy": float((phases == phase).mean()),
    }
