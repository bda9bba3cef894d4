"""How far a person's word about one chart carries to another, and what it changes there.

A person corrects the machine where the machine is wrong, so their word does not vote among the
look-alikes: it stands beside the machine's whole answer. With probability `t` it holds for the
chart that is read, and else it says nothing:

    p = t * (the person's label) + (1 - t) * (the machine's probabilities)

`t` is fitted on the purged fold from pairs of its charts. The later chart is read by the machine,
the true label of the earlier one plays the person's word, and `t` is the mixture weight that makes
the later one's truth likeliest: what the label of a look-alike says that the machine did not know.
It rises with similarity (pool adjacent violators), is pulled to zero where pairs are few, and is
one for a chart with the very same vector, which is the same picture. Charts that share candles
have a curve of their own: the setup of the next candle is mostly still the same setup.

Several words: the surest one for each label counts, as `t / (1 - t)` answers against the machine's
single one. Words that agree never lower their label; equally sure ones that contradict each other
leave the choice between their labels to the machine.
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

ERROR = 0.05
"""How often a person's label is wrong. Stated, not measured: no desk has run long enough."""
LEAST = 50
"""Charts of a fold below which no curve is fitted."""
_NEAREST = 16
"""Earlier charts of each kind that a chart of the fold is paired with."""
_SMALLEST, _GROWTH = 50, 1.6
"""Pairs of the bin of highest similarity, and by how much each lower bin is larger."""
_PULL = 5.0
"""Pairs' worth of belief that a word carries nothing."""
_QUIET = 0.05
"""What carries less than this is not heard: it would be fitted noise in every answer."""
_STEPS = np.linspace(0.0, 0.99, 199)
_CHUNK = 512


class Carry(Record):
    """How likely a word holds for a chart, by similarity: rising knots, straight lines between.

    Nothing is heard below the first knot; no knots: nothing is heard at all.
    """

    similarity: list[Finite] = Field(default_factory=list)
    reading: list[Probability] = Field(default_factory=list)
    phase: list[Probability] = Field(default_factory=list)

    @property
    def floor(self) -> float:
        """Below this similarity a word changes nothing; infinite where none ever does."""
        loud = (np.asarray(self.reading) > 0) | (np.asarray(self.phase) > 0)
        if not loud.any():
            return float("inf")
        return self.similarity[max(int(loud.argmax()) - 1, 0)]


class Trust(Record):
    """How far people's words carry among charts."""

    pairs: int = Field(ge=0, description="pairs of charts that the curves were fitted on")
    shared: Carry = Field(description="to a chart of the same market that shares candles")
    other: Carry = Field(description="to any other chart")


@dataclass(frozen=True, eq=False)
class Witnesses:
    """What people said of charts like q others, most alike first; padded with row -1.

    Attributes:
        labelled: the charts that people labelled.
        rows: int64 (q, k), numbers of those charts; -1 where padded.
        similarity: float (q, k), cosine of the chart that the word is about.
        shared: bool (q, k), that chart is of the same market and shares candles.
        reading: int64 (q, k), reading code that the person gave.
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
        """What people said, from the labelled charts nearest to each of q charts.

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
        """Only what concerns the given charts."""
        return type(self)(
            self.labelled,
            self.rows[rows],
            self.similarity[rows],
            self.shared[rows],
            self.reading[rows],
            self.phase[rows],
        )


def trusts(
    said: Witnesses, interval: NDArray[np.str_], trust: Mapping[Interval, Trust], error: float
) -> tuple[Floats, Floats]:
    """How likely each word holds, (q, k), for the reading and for the phase; 0 where unheard."""
    reading, phase = np.zeros(said.rows.shape), np.zeros(said.rows.shape)
    for name, curves in trust.items():
        for kind, carry in ((True, curves.shared), (False, curves.other)):
            here = (interval == name.value)[:, None] & (said.shared == kind) & (said.rows >= 0)
            if not carry.similarity or not here.any():
                continue
            at = said.similarity[here]
            reading[here] = np.interp(at, carry.similarity, carry.reading, left=0.0)
            phase[here] = np.interp(at, carry.similarity, carry.phase, left=0.0)
    return (1 - error) * reading, (1 - error) * phase


def pooled(machine: Floats, trust: Floats, codes: Ints) -> Floats:
    """The machine's probabilities (q, classes) with people's words (q, k) of those classes.

    >>> pooled(np.array([[0.9, 0.1]]), np.array([[0.5, 0.2]]), np.array([[1, 1]])).tolist()
    [[0.45, 0.55]]
    """
    surest = np.zeros_like(machine)
    query = np.broadcast_to(np.arange(len(machine))[:, None], codes.shape)
    np.maximum.at(surest, (query, codes), trust)
    odds = surest / (1 - surest)
    heard: Floats = (machine + odds) / (1 + odds.sum(axis=1, keepdims=True))
    return np.where(surest.any(axis=1, keepdims=True), heard, machine)


def fit(charts: Embeddings, reading: Floats, phase: Floats) -> dict[Interval, Trust]:
    """Fit how far a word carries, on charts whose truth is known.

    Pairs are of one interval, but all intervals share one fit: close pairs are few.

    Args:
        charts: the fold's charts with their true labels.
        reading: float (n, readings), what the machine says of them.
        phase: float (n, phases), likewise.
    """
    if len(charts) < LEAST:
        return {}
    names = np.unique(charts.interval)
    parts = [_pairs(charts, np.flatnonzero(charts.interval == name)) for name in names]
    pairs = [_joined([part[kind] for part in parts]) for kind in (True, False)]
    shared, other = (_carry(charts, some, reading, phase) for some in pairs)
    count = sum(len(similarity) for _, _, similarity in pairs)
    trust = Trust(pairs=count, shared=shared, other=other)
    return {Interval(str(name)): trust for name in names}


_Pairs = tuple[Ints, Ints, Floats]
"""Rows of the later and of the earlier charts, and how alike they are."""


def _pairs(charts: Embeddings, rows: Ints) -> dict[bool, _Pairs]:
    """Each of the rows with the earlier ones most like it: on some of its candles, and others."""
    some = charts.take(rows)
    vectors, close, first = some.vectors.astype(np.float64), some.close_ms, some.first_ms
    found: dict[bool, list[_Pairs]] = {True: [], False: []}
    for start in range(0, len(rows), _CHUNK):
        later = np.arange(start, min(start + _CHUNK, len(rows)))
        similarity = vectors[later] @ vectors.T
        able = close[None, :] <= close[later, None]
        able[np.arange(len(later)), later] = False
        shared = (some.symbol[later, None] == some.symbol[None, :]) & (
            close[None, :] > first[later, None]
        )
        for kind, parts in found.items():
            allowed = np.where(able & (shared == kind), similarity, -np.inf)
            count = min(_NEAREST, allowed.shape[1])
            near = np.argpartition(-allowed, count - 1, axis=1)[:, :count]
            row, place = np.nonzero(np.isfinite(np.take_along_axis(allowed, near, 1)))
            earlier = near[row, place]
            parts.append((rows[later[row]], rows[earlier], similarity[row, earlier]))
    return {kind: _joined(parts) for kind, parts in found.items()}


def _joined(parts: list[_Pairs]) -> _Pairs:
    later, earlier, similarity = (np.concatenate(column) for column in zip(*parts, strict=True))
    return later, earlier, similarity


def _carry(charts: Embeddings, pairs: _Pairs, reading: Floats, phase: Floats) -> Carry:
    later, earlier, similarity = pairs
    order = np.argsort(similarity, kind="stable")
    bins = _bins(order)
    if not bins:
        return Carry()
    knots = [float(np.clip(similarity[rows].mean(), -1, 1)) for rows in bins]
    curves = []
    for codes, machine in ((charts.reading, reading), (charts.phase, phase)):
        code = codes.astype(np.int64)
        known = machine[later, code[earlier]]
        hit = code[later] == code[earlier]
        weights = np.array([_mixture(known[rows], hit[rows]) for rows in bins])
        sizes = np.array([len(rows) for rows in bins], np.float64)
        risen = isotonic_regression(weights, sizes)
        curves.append([*np.where(risen < _QUIET, 0.0, risen).tolist(), 1.0])
    return Carry(similarity=[*knots, 1.0], reading=curves[0], phase=curves[1])


def _bins(order: Ints) -> list[Ints]:
    """Pairs in bins that grow towards low similarity; `order` is ascending. Lowest bin first."""
    bins: list[Ints] = []
    size, end = float(_SMALLEST), len(order)
    while end >= size:
        bins.append(order[end - int(size) : end])
        end -= int(size)
        size *= _GROWTH
    return bins[::-1]


def _mixture(known: Floats, hit: Bools) -> float:
    """The likeliest mixture weight of a word, given what the machine knew; a grid is enough."""
    told = np.maximum(known[hit], 1e-9)[:, None]
    gain = np.log(told + _STEPS * (1 - told)).sum(axis=0)
    loss = ((~hit).sum() + _PULL) * np.log1p(-_STEPS)
    return float(_STEPS[int(np.argmax(gain + loss))])
