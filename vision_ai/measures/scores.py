"""Figures that training reports, and the plain readers they are held against.

Pure numpy. Codes outside the truth's classes count as wrong answers.
"""

import numpy as np
from numpy.typing import NDArray

from vision_ai.domain import READINGS, SETUPS, Bytes, Floats, Ints

SETUP_OF_READING = np.array([SETUPS.index(reading.setup) for reading in READINGS])
"""Code of `SETUPS` for each code of `READINGS`."""


def macro_f1(truth: Ints, guess: Ints) -> float:
    """Mean F1 over the classes that occur in `truth`; every class counts the same.

    >>> macro_f1(np.array([0, 0, 1, 1]), np.array([0, 0, 1, 0]))
    0.7333333333333334
    """
    size = int(max(truth.max(initial=0), guess.max(initial=0))) + 1
    table = np.zeros((size, size))
    np.add.at(table, (truth, guess), 1)
    hit, asked, given = np.diag(table), table.sum(1), table.sum(0)
    f1 = 2 * hit / np.maximum(asked + given, 1)
    return float(f1[asked > 0].mean()) if asked.any() else 0.0


def nearest(queries: Floats, known: Floats, k: int) -> tuple[NDArray[np.int64], Floats]:
    """Rows and cosines of the k most similar known vectors of each query, best first.

    Args:
        queries: (q, d), unit length.
        known: (n, d), unit length.
        k: neighbours; at most n.
    """
    k = min(k, len(known))
    rows = np.empty((len(queries), k), np.int64)
    cosines = np.empty((len(queries), k), np.float32)
    for start in range(0, len(queries), 512):
        similar = queries[start : start + 512] @ known.T
        best = np.argpartition(-similar, k - 1, axis=1)[:, :k]
        found = np.take_along_axis(similar, best, axis=1)
        order = np.argsort(-found, axis=1, kind="stable")
        rows[start : start + 512] = np.take_along_axis(best, order, axis=1)
        cosines[start : start + 512] = np.take_along_axis(found, order, axis=1)
    return rows, cosines


def vote(codes: Ints, cosines: Floats, classes: int, beta: float = 20.0) -> Ints:
    """The class with the most neighbours, each counting `exp(-beta * (1 - cosine))`.

    Args:
        codes: (q, k), class of each neighbour.
        cosines: (q, k), similarity of each neighbour.
        classes: how many classes there are.
        beta: how fast a vote fades with distance, as in Tip-Adapter.
    """
    weight = np.exp(-beta * (1 - cosines))
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


def reading_scores(truth: Ints, guess: Ints) -> dict[str, float]:
    """Macro-F1 over the 18 readings and over the 11 setups, and accuracy over the setups."""
    setups, guessed = SETUP_OF_READING[truth], SETUP_OF_READING[guess]
    return {
        "reading_macro_f1": macro_f1(truth, guess),
        "setup_macro_f1": macro_f1(setups, guessed),
        "setup_accuracy": float((setups == guessed).mean()),
    }
