"""What a model must beat to be worth its name, measured on the same charts under the same purge."""

from dataclasses import dataclass, replace

import numpy as np

from vision_ai.calibration import votes
from vision_ai.domain import (
    CLOSE,
    PHASES,
    READINGS,
    Bytes,
    Embeddings,
    Floats,
    Ints,
    Neighbors,
)
from vision_ai.errors import ImageError
from vision_ai.index import Eligibility, Index, Spans, Vectors
from vision_ai.measures.fitting import softmax

_CELL_ROWS, _CELL_COLUMNS = 8, 4
_AT_ONCE = 1 << 17
"""Features of queries searched at once: pixels have thousands, and candidates are gathered."""


@dataclass(frozen=True, eq=False)
class Guess:
    """Codes that a baseline answers with, (q,) each, and how sure it is of its reading."""

    reading: Ints
    phase: Ints
    confidence: Floats


def majority(exemplars: Embeddings, n: int) -> Guess:
    """Always the commonest label of the exemplars."""
    counts = np.bincount(exemplars.reading, minlength=len(READINGS))
    phases = np.bincount(exemplars.phase, minlength=len(PHASES))
    share = counts.max() / max(counts.sum(), 1)
    return Guess(np.full(n, counts.argmax()), np.full(n, phases.argmax()), np.full(n, float(share)))


def pixels(pictures: Bytes) -> Vectors:
    """Model views (n, rows, columns, 3) as small pictures: float32 (n, d), centred, unit length.

    Raises:
        ImageError: the pictures do not divide into cells of 8 rows and 4 columns.
    """
    n, rows, columns, channels = pictures.shape
    if rows % _CELL_ROWS or columns % _CELL_COLUMNS:
        raise ImageError(
            f"Pictures of {rows} x {columns}: expected multiples of {_CELL_ROWS} x {_CELL_COLUMNS}."
        )
    cells = pictures.reshape(
        n, rows // _CELL_ROWS, _CELL_ROWS, columns // _CELL_COLUMNS, _CELL_COLUMNS, channels
    )
    return _unit(cells.mean(axis=(2, 4), dtype=np.float32).reshape(n, -1))


def returns(bars: Floats) -> Vectors:
    """Bars (n, w, 5) as z-scored log returns of their closes: float32 (n, w - 1), unit length.

    Cosine between two of them is the correlation of their returns.
    """
    return _unit(np.diff(np.log(bars[:, :, CLOSE]), axis=1))


def nearest(
    exemplars: Embeddings,
    features: Vectors,
    asked: Vectors,
    queries: Spans,
    *,
    eligibility: Eligibility,
    k: int = 24,
) -> Guess:
    """Vote of the k nearest exemplars in a feature space, found by the same search and purge.

    Args:
        exemplars: labels and times.
        features: float32 (n, d), unit length: the exemplars in that space.
        asked: float32 (q, d): the queries in it.
        queries: whose charts they are and when they were seen.
        eligibility: the law, the same as the model's.
        k: how many vote.
    """
    index = Index(replace(exemplars, vectors=features))
    few = max(_AT_ONCE // features.shape[1], 1)
    parts = [
        index.search(asked[part], queries.take(part), eligibility=eligibility, k=k).rows
        for part in (slice(at, at + few) for at in range(0, len(asked), few))
    ]
    rows = np.concatenate([np.empty((0, k), np.int64), *parts])
    strength = np.where(rows >= 0, 1.0, 0.0)
    at = np.maximum(rows, 0)
    reading = _share(strength, exemplars.reading[at], exemplars.reading, len(READINGS))
    phase = _share(strength, exemplars.phase[at], exemplars.phase, len(PHASES))
    return Guess(reading.argmax(axis=1), phase.argmax(axis=1), reading.max(axis=1))


def zero_shot(text_reading: Floats, text_phase: Floats, scale: float) -> Guess:
    """The nearest prompt alone, no look-alikes and no calibration.

    Args:
        text_reading: (q, readings), cosine with each reading's prompts.
        text_phase: (q, phases), likewise.
        scale: inverse temperature that the model was trained with.
    """
    sure = softmax(scale * text_reading).max(axis=1)
    return Guess(text_reading.argmax(axis=1), text_phase.argmax(axis=1), sure)


def same_regime(
    exemplars: Embeddings,
    queries: Spans,
    scale: Floats,
    *,
    eligibility: Eligibility,
    k: int = 24,
    seed: int = 0,
) -> Neighbors:
    """Random exemplars of the same interval and volatility tercile, under the same purge.

    What bands and chances owe to look-alikes shows against these. Vectors of pure chance go
    through the same search, so that overlapping charts of one market count once here too.

    Args:
        exemplars: labels, times and outcomes.
        queries: whose charts they are and when they were seen.
        scale: (q,), their volatility.
        eligibility: the law, the same as the model's.
        k: how many.
        seed: which.
    """
    rng = np.random.default_rng(seed)
    blind = _unit(rng.normal(size=(len(exemplars), 16)))
    asked = _unit(rng.normal(size=(len(queries), 16)))
    rows = np.full((len(queries), k), -1, np.int64)
    similarity = np.full((len(queries), k), -np.inf, np.float32)
    for interval in np.unique(queries.interval):
        own = np.flatnonzero(exemplars.interval == interval)
        here = np.flatnonzero(queries.interval == interval)
        if not len(own):
            continue
        edges = np.nanquantile(exemplars.outcomes.scale[own], [1 / 3, 2 / 3])
        theirs = np.searchsorted(edges, exemplars.outcomes.scale[own])
        mine = np.searchsorted(edges, scale[here])
        for regime in np.unique(mine):
            some, ask = own[theirs == regime], here[mine == regime]
            if not len(some):
                continue
            index = Index(replace(exemplars.take(some), vectors=blind[some]))
            found = index.search(asked[ask], queries.take(ask), eligibility=eligibility, k=k)
            rows[ask] = np.where(found.rows >= 0, some[found.rows], -1)
            similarity[ask] = found.similarity
    return Neighbors(rows, similarity)


def _share(strength: Floats, codes: Ints, every: Ints, classes: int) -> Floats:
    """Vote shares; half a vote of the overall shares breaks ties towards the commoner class."""
    prior = np.bincount(every, minlength=classes) / len(every)
    return votes.shares(strength, codes.astype(np.int64), prior, 0.5)


def _unit(features: Floats) -> Vectors:
    centred = features - features.mean(axis=1, keepdims=True)
    length = np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12)
    unit: Vectors = np.ascontiguousarray(centred / length, np.float32)
    return unit
