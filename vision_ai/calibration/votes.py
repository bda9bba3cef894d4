"""Evidence about charts before calibration: their neighbors, and how well prompts match them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from vision_ai.calibration import bands
from vision_ai.domain import PHASES, READINGS, Bools, Embeddings, Floats, Ints, Neighbors
from vision_ai.errors import StaleIndexError

Vectors = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Prototypes:
    """Mean direction of the prompts of each class: unit vectors in the order of the codes.

    Attributes:
        reading: float32 (len(READINGS), d).
        phase: float32 (len(PHASES), d).
    """

    reading: Vectors
    phase: Vectors


def prototypes(readings: Sequence[Vectors], phases: Sequence[Vectors]) -> Prototypes:
    """Average the embedded prompts (n_i, d) of every class into one direction each."""
    return Prototypes(_directions(readings), _directions(phases))


@dataclass(frozen=True, eq=False)
class Evidence:
    """Neighbors and prompt similarities of q charts, uncalibrated. Padding has weight 0.

    Attributes:
        interval: str (q,).
        scale: float (q,), expected log move of one candle; NaN where the picture has no scale.
        rows: int64 (q, k), rows of the exemplars, -1 where padded.
        similarity: float (q, k), cosine of each neighbor, -1 where padded.
        weight: float (q, k), exemplar weight of each neighbor.
        reading: int64 (q, k), its reading code.
        phase: int64 (q, k), its phase code.
        moves: float (q, k, horizons), its moves in units of its own volatility, NaN if unknown.
        text_reading: float (q, readings), cosine with each reading's prompts; 0 without prompts.
        text_phase: float (q, phases), likewise.
    """

    interval: NDArray[np.str_]
    scale: Floats
    rows: Ints
    similarity: Floats
    weight: Floats
    reading: Ints
    phase: Ints
    moves: Floats
    text_reading: Floats
    text_phase: Floats

    def __len__(self) -> int:
        return len(self.interval)

    def take(self, rows: Ints | Bools) -> Self:
        """Only the given charts (indices or mask)."""
        return type(self)(**{name: column[rows] for name, column in vars(self).items()})

    @property
    def voters(self) -> Ints:
        """How many neighbors each chart has: int64 (q,)."""
        voters: Ints = (self.rows >= 0).sum(axis=1)
        return voters

    @property
    def mean_similarity(self) -> Floats:
        """Mean cosine of the neighbors, (q,); 0 where there are none."""
        total = np.where(self.rows >= 0, self.similarity, 0).sum(axis=1)
        mean: Floats = total / np.maximum(self.voters, 1)
        return mean


def gather(
    vectors: Vectors,
    neighbors: Neighbors,
    exemplars: Embeddings,
    prompts: Prototypes | None,
    *,
    interval: NDArray[np.str_],
    scale: Floats,
) -> Evidence:
    """Collect what is known of each chart's neighbors and how well prompts match it.

    Args:
        vectors: float32 (q, d), the charts.
        neighbors: their purged neighbors, rows of `exemplars`.
        exemplars: the rows of the index.
        prompts: mean directions of the classes' prompts; None uses the votes only.
        interval: str (q,).
        scale: float (q,), as in `Outcomes.scale`; NaN where unknown. Closes that never moved
            (0) give no scale either.

    Raises:
        StaleIndexError: the prompts are of another dimension than the charts.
    """
    is_real = neighbors.rows >= 0  # the others are padding
    rows = np.where(is_real, neighbors.rows, 0)
    moves = bands.normalized(exemplars.outcomes, exemplars.interval)
    return Evidence(
        interval=interval,
        scale=np.where(np.asarray(scale) > 0, scale, np.nan),
        rows=neighbors.rows,
        similarity=np.where(is_real, neighbors.similarity, -1).astype(np.float64),
        weight=np.where(is_real, exemplars.weight[rows], 0).astype(np.float64),
        reading=exemplars.reading[rows].astype(np.int64),
        phase=exemplars.phase[rows].astype(np.int64),
        moves=np.where(is_real[..., None], moves[rows], np.nan),
        text_reading=_match(vectors, prompts.reading if prompts else None, len(READINGS)),
        text_phase=_match(vectors, prompts.phase if prompts else None, len(PHASES)),
    )


def strengths(evidence: Evidence, beta: float) -> Floats:
    """How strongly each neighbor votes, (q, k): `weight * exp(-beta * (1 - similarity))`."""
    strength: Floats = evidence.weight * np.exp(-beta * (1 - evidence.similarity))
    return strength


def shares(strength: Floats, codes: Ints, prior: Floats, smoothing: float) -> Floats:
    """Share of the vote of each class, (q, classes), shrunk to `prior` by `smoothing` votes.

    Distant neighbors vote weakly, so a chart that is unlike all others falls back to the prior.

    >>> shares(np.array([[3.0, 1.0]]), np.array([[0, 1]]), np.array([0.5, 0.5]), 4.0).tolist()
    [[0.625, 0.375]]
    """
    q, classes = len(codes), len(prior)
    flat = (codes + classes * np.arange(q)[:, None]).ravel()
    votes = np.bincount(flat, strength.ravel(), minlength=q * classes).reshape(q, classes)
    total = votes.sum(axis=1, keepdims=True)
    share: Floats = (votes + smoothing * prior) / (total + smoothing)
    return share


def _directions(classes: Sequence[Vectors]) -> Vectors:
    mean = np.stack([np.asarray(prompts, np.float64).mean(axis=0) for prompts in classes])
    norm = np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-12)
    directions: Vectors = (mean / norm).astype(np.float32)
    return directions


def _match(vectors: Vectors, directions: Vectors | None, classes: int) -> Floats:
    if directions is None:
        return np.zeros((len(vectors), classes))
    if directions.shape != (classes, vectors.shape[1]):
        raise StaleIndexError(
            f"Prompts: expected shape {(classes, vectors.shape[1])}, was {directions.shape}.",
            hint="Run `vision-ai index build` with the model that embeds the charts.",
        )
    cosine: Floats = vectors.astype(np.float64) @ directions.T.astype(np.float64)
    return cosine
