"""How well a model reads charts it has never seen, beside two baselines.

All figures are macro-F1 and accuracy at the natural class shares of held-out windows: by prompts
alone, by the votes of the nearest exemplars, by a linear probe on the vectors, and by two
baselines on the same windows.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vision_ai.domain import PHASES, READINGS, SETUPS, Bytes, Floats, Ints
from vision_ai.measures import scores

NEIGHBORS = 24
"""Exemplars that vote on a chart."""


SETUP_OF_READING = np.array([SETUPS.index(reading.setup) for reading in READINGS])
"""Code of `SETUPS` for each code of `READINGS`."""


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


ImageEncoder = Callable[[Bytes], NDArray[np.float32]]
"""Pictures to unit vectors."""


def read_by_prompts(vectors: Floats, prototypes: Floats, charts: Charts) -> dict[str, float]:
    """Read charts by the nearest prompt.

    Args:
        vectors: (n, d) of the charts.
        prototypes: (23, d), one for each reading, then one for each phase.
        charts: the truth.
    """
    cosines = vectors @ prototypes.T
    first = len(READINGS)
    return _measure(charts, cosines[:, :first].argmax(1), cosines[:, first:].argmax(1))


def read_by_votes(
    vectors: Floats, charts: Charts, known: Floats, exemplars: Charts
) -> dict[str, float]:
    """Read charts by the votes of their nearest exemplars."""
    rows, cosines = nearest_rows(vectors, known, NEIGHBORS)
    reading = weighted_vote(exemplars.reading[rows], cosines, len(READINGS))
    phase = weighted_vote(exemplars.phase[rows], cosines, len(PHASES))
    return _measure(charts, reading, phase)


def read_by_probe(
    vectors: Floats, charts: Charts, known: Floats, exemplars: Charts
) -> dict[str, float]:
    """Read charts by ridge regression from vectors to labels: the linear probe."""
    guesses = []
    design = np.c_[known, np.ones(len(known))].astype(np.float64)
    gram = design.T @ design + 1e-2 * np.eye(design.shape[1])
    for codes, classes in ((exemplars.reading, len(READINGS)), (exemplars.phase, len(PHASES))):
        weights = np.linalg.solve(gram, design.T @ np.eye(classes)[codes])
        guesses.append((np.c_[vectors, np.ones(len(vectors))] @ weights).argmax(1))
    return _measure(charts, guesses[0], guesses[1])


def read_by_majority(charts: Charts, exemplars: Charts) -> dict[str, float]:
    """Give every chart the commonest label of the exemplars."""
    n = len(charts.reading)
    reading = np.bincount(exemplars.reading).argmax()
    phase = np.bincount(exemplars.phase).argmax()
    return _measure(charts, np.full(n, reading), np.full(n, phase))


def measure_readers(
    encode: ImageEncoder, prototypes: Floats, charts: Charts, exemplars: Charts
) -> dict[str, float]:
    """Every reader's figures on `charts`, named `reader/figure`."""
    vectors, known = encode(charts.pictures), encode(exemplars.pictures)
    pixels = pixel_vectors(charts.pictures)
    known_pixels = pixel_vectors(exemplars.pictures)
    readers = {
        "prompts": read_by_prompts(vectors, prototypes, charts),
        "votes": read_by_votes(vectors, charts, known, exemplars),
        "probe": read_by_probe(vectors, charts, known, exemplars),
        "pixel_votes": read_by_votes(pixels, charts, known_pixels, exemplars),
        "majority": read_by_majority(charts, exemplars),
    }
    return {
        f"{reader}/{name}": round(value, 4)
        for reader, values in readers.items()
        for name, value in values.items()
    }


def nearest_rows(queries: Floats, known: Floats, k: int) -> tuple[NDArray[np.int64], Floats]:
    """Rows and cosines of the k most similar known vectors of each query, best first.

    Args:
        queries: (q, d), unit length.
        known: (n, d), unit length.
        k: neighbors; at most n.
    """
    k = min(k, len(known))
    rows = np.empty((len(queries), k), np.int64)
    cosines = np.empty((len(queries), k), np.float32)
    for start in range(0, len(queries), 512):
        similar = queries[start : start + 512] @ known.T
        # the best k in any order, then sorted: (512, k)
        best = np.argpartition(-similar, k - 1, axis=1)[:, :k]
        best_cosines = np.take_along_axis(similar, best, axis=1)
        order = np.argsort(-best_cosines, axis=1, kind="stable")
        rows[start : start + 512] = np.take_along_axis(best, order, axis=1)
        cosines[start : start + 512] = np.take_along_axis(best_cosines, order, axis=1)
    return rows, cosines


def weighted_vote(codes: Ints, cosines: Floats, classes: int, beta: float = 20.0) -> Ints:
    """The class with the most neighbors, each counting `exp(-beta * (1 - cosine))`.

    Args:
        codes: (q, k), class of each neighbor.
        cosines: (q, k), similarity of each neighbor.
        classes: how many classes there are.
        beta: how fast a vote fades with distance, as in Tip-Adapter.
    """
    weight = np.exp(-beta * (1 - cosines))  # (q, k)
    count = np.zeros((len(codes), classes))
    rows = np.repeat(np.arange(len(codes)), codes.shape[1])
    np.add.at(count, (rows, codes.ravel()), weight.ravel())
    best: Ints = count.argmax(axis=1)
    return best


def pixel_vectors(pictures: Bytes) -> Floats:
    """Pictures as unit vectors of their shrunk pixels: what plain pixel comparison sees.

    Each 8 x 4 cell of the model view is averaged over its pixels and colours, then the mean
    picture of the set is taken away. float32 (n, 576).
    """
    n, height, width, channels = pictures.shape
    cells = pictures.reshape(n, height // 8, 8, width // 4, 4, channels)
    small = cells.mean(axis=(2, 4, 5), dtype=np.float32).reshape(n, -1)
    small -= small.mean(axis=1, keepdims=True)
    length = np.linalg.norm(small, axis=1, keepdims=True)
    vectors: Floats = small / np.maximum(length, 1e-6)
    return vectors


def _measure(charts: Charts, reading: Ints, phase: Ints) -> dict[str, float]:
    """Macro-F1 and accuracy of predicted codes; a setup is right whatever its direction."""
    truth, phases = charts.reading.astype(np.int64), charts.phase.astype(np.int64)
    setups, predicted_setups = SETUP_OF_READING[truth], SETUP_OF_READING[reading]
    return {
        "reading_macro_f1": scores.macro_f1(truth, reading, len(READINGS)),
        "setup_macro_f1": scores.macro_f1(setups, predicted_setups, len(SETUPS)),
        "setup_accuracy": float((setups == predicted_setups).mean()),
        "phase_macro_f1": scores.macro_f1(phases, phase, len(PHASES)),
        "phase_accuracy": float((phases == phase).mean()),
    }
