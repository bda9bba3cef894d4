"""How likely a person's annotation of one chart holds for another, and what it changes there.

People annotate charts that the machine misread, so an annotation does not vote among the neighbors:
it is mixed with the machine's whole answer. With probability `t` it holds for the chart that is
read, and otherwise it says nothing about it (a linear pool):

    p = t * (the person's label) + (1 - t) * (the machine's probabilities)

`t` is fitted on the purged fold from pairs of its charts. The machine reads the later chart of a
pair, the true label of the earlier one stands in for the annotation, and `t` is the mixture weight
of highest likelihood for the later chart's truth: what a neighbor's label adds to what the machine
knew. It increases with similarity (isotonic regression), is shrunk to zero where pairs are few, and
is one for a chart with the very same vector, which is the same picture. Charts that share candles
have a curve of their own: the setup of the next candle is mostly still the same setup.

Several annotations: for each label the most probable one counts, with odds `t / (1 - t)` against
the machine's single vote. Annotations that agree never lower their label; equally probable ones
that contradict each other leave the choice between their labels to the machine.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from vision_ai.domain import Bools, Embeddings, Floats, Interval, Ints, Labelled, Neighbors
from vision_ai.measures.fitting import isotonic_regression
from vision_ai.records import Finite, Probability, Record

HUMAN_ERROR_RATE = 0.05
"""How often a person's label is wrong. Assumed: there are too few annotations to measure it."""
LEAST_CHARTS = 50
"""Charts of a fold below which no curve is fitted."""
_PAIRS_PER_CHART = 16
"""Earlier charts of each kind that a chart of the fold is paired with."""
_TOP_BIN_PAIRS, _BIN_GROWTH = 50, 1.6
"""Pairs of the bin of highest similarity, and by how much each lower bin is larger."""
_PRIOR_PAIRS = 5.0
"""Pairs in which the annotation did not hold that are added to each bin, to shrink towards 0."""
_LEAST_TRANSFER = 0.05
"""Lower probabilities are set to 0: they would add fitted noise to every answer."""
_WEIGHT_GRID = np.linspace(0.0, 0.99, 199)
"""Mixture weights that are tried."""
_CHUNK_ROWS = 512
"""Rows of the similarity matrix that are held in memory at once."""


class TransferCurve(Record):
    """How likely an annotation holds, by similarity: rising knots, interpolated linearly.

    It is 0 below the first knot, and everywhere where there are no knots.
    """

    similarity: list[Finite] = Field(default_factory=list)
    reading: list[Probability] = Field(default_factory=list)
    phase: list[Probability] = Field(default_factory=list)

    @property
    def floor(self) -> float:
        """Below this similarity an annotation changes nothing; infinite where none ever does."""
        is_positive = (np.asarray(self.reading) > 0) | (np.asarray(self.phase) > 0)
        if not is_positive.any():
            return float("inf")
        return self.similarity[max(int(is_positive.argmax()) - 1, 0)]


class AnnotationTransfer(Record):
    """How likely annotations hold for other charts."""

    pairs: int = Field(ge=0, description="pairs of charts that the curves were fitted on")
    shared: TransferCurve = Field(description="for a chart of the same market that shares candles")
    other: TransferCurve = Field(description="for any other chart")


@dataclass(frozen=True, eq=False)
class NearbyAnnotations:
    """Annotations of the charts most similar to each of q charts, best first; padded with row -1.

    Attributes:
        labelled: the charts that people annotated.
        rows: int64 (q, k), numbers of those charts; -1 where padded.
        similarity: float (q, k), cosine with the annotated chart.
        shared: bool (q, k), that chart is of the same market and shares candles.
        reading: int64 (q, k), reading code of the annotation.
        phase: int64 (q, k), phase code.
    """

    labelled: Labelled
    rows: Ints
    similarity: Floats
    shared: Bools
    reading: Ints
    phase: Ints

    @classmethod
    def of(cls, labelled: Labelled, near: Neighbors, shared: Bools) -> Self:
        """The annotations of the labelled charts nearest to each of q charts.

        `shared` (q, k) says which of them are of the same market, on some of the same candles.
        """
        rows = np.maximum(near.rows, 0)
        return cls(
            labelled,
            rows=near.rows,
            similarity=near.similarity.astype(np.float64),
            shared=shared,
            reading=labelled.rows.reading[rows].astype(np.int64),
            phase=labelled.rows.phase[rows].astype(np.int64),
        )

    def take(self, rows: Ints | Bools) -> Self:
        """Only the given charts."""
        return type(self)(
            self.labelled,
            self.rows[rows],
            self.similarity[rows],
            self.shared[rows],
            self.reading[rows],
            self.phase[rows],
        )


def transfer_probabilities(
    nearby: NearbyAnnotations,
    interval: NDArray[np.str_],
    transfer: Mapping[Interval, AnnotationTransfer],
    error: float,
) -> tuple[Floats, Floats]:
    """How likely each annotation holds, (q, k), for the reading and for the phase."""
    reading, phase = np.zeros(nearby.rows.shape), np.zeros(nearby.rows.shape)
    for name, curves in transfer.items():
        for is_shared, curve in ((True, curves.shared), (False, curves.other)):
            here = (interval == name.value)[:, None]
            here = here & (nearby.shared == is_shared) & (nearby.rows >= 0)
            if not curve.similarity or not here.any():
                continue
            similarity = nearby.similarity[here]
            reading[here] = np.interp(similarity, curve.similarity, curve.reading, left=0.0)
            phase[here] = np.interp(similarity, curve.similarity, curve.phase, left=0.0)
    # Even about the very same picture a person may be wrong.
    return (1 - error) * reading, (1 - error) * phase


def linear_pool(machine: Floats, transfer: Floats, codes: Ints) -> Floats:
    """Mix the machine's probabilities (q, classes) with annotations (q, k) of those classes.

    >>> linear_pool(np.array([[0.9, 0.1]]), np.array([[0.5, 0.2]]), np.array([[1, 1]])).tolist()
    [[0.45, 0.55]]
    """
    # The most probable annotation of each class; the others of that class add nothing.
    best = np.zeros_like(machine)
    query = np.broadcast_to(np.arange(len(machine))[:, None], codes.shape)
    np.maximum.at(best, (query, codes), transfer)
    # One annotation alone gives t * label + (1 - t) * machine; several share by their odds.
    odds = best / (1 - best)
    mixed: Floats = (machine + odds) / (1 + odds.sum(axis=1, keepdims=True))
    return np.where(best.any(axis=1, keepdims=True), mixed, machine)


def fit(charts: Embeddings, reading: Floats, phase: Floats) -> dict[Interval, AnnotationTransfer]:
    """Fit how likely an annotation holds for another chart, on charts whose truth is known.

    Pairs are of one interval, but all intervals share one fit: close pairs are few.

    Args:
        charts: the fold's charts with their true labels.
        reading: float (n, readings), the machine's probabilities.
        phase: float (n, phases), likewise.
    """
    if len(charts) < LEAST_CHARTS:
        return {}
    names = np.unique(charts.interval)
    per_interval = [_pairs(charts, np.flatnonzero(charts.interval == name)) for name in names]
    pairs = [_joined([one[is_shared] for one in per_interval]) for is_shared in (True, False)]
    shared, other = (_transfer_curve(charts, kind, reading, phase) for kind in pairs)
    count = sum(len(similarity) for _, _, similarity in pairs)
    transfer = AnnotationTransfer(pairs=count, shared=shared, other=other)
    return {Interval(str(name)): transfer for name in names}


_Pairs = tuple[Ints, Ints, Floats]
"""Rows of the later and of the earlier chart of each pair, and their similarity."""


def _pairs(charts: Embeddings, rows: Ints) -> dict[bool, _Pairs]:
    """Each row with the earlier charts most similar to it; those that share candles under True."""
    part = charts.take(rows)
    vectors, close, first = part.vectors.astype(np.float64), part.close_ms, part.first_ms
    chunks: dict[bool, list[_Pairs]] = {True: [], False: []}
    for start in range(0, len(rows), _CHUNK_ROWS):
        later = np.arange(start, min(start + _CHUNK_ROWS, len(rows)))
        similarity = vectors[later] @ vectors.T
        # An annotation can only be of a chart that closed no later, and not of the chart itself.
        is_earlier = close[None, :] <= close[later, None]
        is_earlier[np.arange(len(later)), later] = False
        shared = (part.symbol[later, None] == part.symbol[None, :]) & (
            close[None, :] > first[later, None]
        )
        for is_shared, pairs in chunks.items():
            allowed = np.where(is_earlier & (shared == is_shared), similarity, -np.inf)
            count = min(_PAIRS_PER_CHART, allowed.shape[1])
            nearest = np.argpartition(-allowed, count - 1, axis=1)[:, :count]
            # Where fewer charts than that are allowed, the rest of the row is -inf.
            row, column = np.nonzero(np.isfinite(np.take_along_axis(allowed, nearest, 1)))
            earlier = nearest[row, column]
            pairs.append((rows[later[row]], rows[earlier], similarity[row, earlier]))
    return {is_shared: _joined(pairs) for is_shared, pairs in chunks.items()}


def _joined(parts: list[_Pairs]) -> _Pairs:
    later, earlier, similarity = (np.concatenate(column) for column in zip(*parts, strict=True))
    return later, earlier, similarity


def _transfer_curve(
    charts: Embeddings, pairs: _Pairs, reading: Floats, phase: Floats
) -> TransferCurve:
    later, earlier, similarity = pairs
    order = np.argsort(similarity, kind="stable")
    bins = _bins(order)
    if not bins:
        return TransferCurve()
    knots = [float(np.clip(similarity[rows].mean(), -1, 1)) for rows in bins]
    curves = []
    for codes, machine in ((charts.reading, reading), (charts.phase, phase)):
        code = codes.astype(np.int64)
        # What the machine gave the earlier chart's label, and whether the later one has it too.
        probability = machine[later, code[earlier]]
        holds = code[later] == code[earlier]
        weights = np.array([_mixture_weight(probability[rows], holds[rows]) for rows in bins])
        sizes = np.array([len(rows) for rows in bins], np.float64)
        fitted = isotonic_regression(weights, sizes)
        # The last knot, similarity 1, is the same picture: there the annotation holds.
        curves.append([*np.where(fitted < _LEAST_TRANSFER, 0.0, fitted).tolist(), 1.0])
    return TransferCurve(similarity=[*knots, 1.0], reading=curves[0], phase=curves[1])


def _bins(order: Ints) -> list[Ints]:
    """Pairs in bins that grow towards low similarity; `order` is ascending. Lowest bin first."""
    bins: list[Ints] = []
    size, end = float(_TOP_BIN_PAIRS), len(order)
    while end >= size:
        bins.append(order[end - int(size) : end])
        end -= int(size)
        size *= _BIN_GROWTH
    return bins[::-1]


def _mixture_weight(probability: Floats, holds: Bools) -> float:
    """The weight of highest likelihood for annotations that held or not; a grid is enough."""
    # Where it holds the mixture gives p + w * (1 - p), elsewhere at best (1 - w) of what was.
    held = np.maximum(probability[holds], 1e-9)[:, None]
    gain = np.log(held + _WEIGHT_GRID * (1 - held)).sum(axis=0)
    loss = ((~holds).sum() + _PRIOR_PAIRS) * np.log1p(-_WEIGHT_GRID)
    return float(_WEIGHT_GRID[int(np.argmax(gain + loss))])
