"""Baselines: what a model must beat, on the same charts under the same purge.

Those that need a library (a linear probe, boosted trees, dynamic time warping) import it where it
is used: the extra `evaluate` brings scikit-learn, LightGBM and dtaidistance. A missing one is
named, so that the others can still be measured.
"""

import warnings
from collections.abc import Callable
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
from vision_ai.errors import ImageError, InputError, install
from vision_ai.index import Eligibility, Index, Spans, Vectors
from vision_ai.measures.fitting import softmax

_CELL_ROWS, _CELL_COLUMNS = 8, 4
_AT_ONCE = 1 << 17
"""Features of queries searched at once: pixels have thousands, and candidates are gathered."""


BAND = 8
"""Candles by which dynamic time warping may shift one chart against the other."""

PROBE_STEPS = 60
"""Steps of the probe's solver: more change its figures by less than their intervals."""

Fit = Callable[[Floats, Ints, Floats], Callable[[Floats], Floats]]
"""Features (n, d), codes (n,) and weights (n,) to a function that gives probabilities of codes."""


@dataclass(frozen=True, eq=False)
class BaselineAnswers:
    """Codes that a baseline answers with, (q,) each, and how sure it is of its reading."""

    reading: Ints
    phase: Ints
    confidence: Floats


def majority(exemplars: Embeddings, n: int) -> BaselineAnswers:
    """Always the commonest label of the exemplars."""
    counts = np.bincount(exemplars.reading, minlength=len(READINGS))
    phases = np.bincount(exemplars.phase, minlength=len(PHASES))
    share = counts.max() / max(counts.sum(), 1)
    return BaselineAnswers(
        np.full(n, counts.argmax()), np.full(n, phases.argmax()), np.full(n, float(share))
    )


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
) -> BaselineAnswers:
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
    return BaselineAnswers(reading.argmax(axis=1), phase.argmax(axis=1), reading.max(axis=1))


def zero_shot(text_reading: Floats, text_phase: Floats, scale: float) -> BaselineAnswers:
    """The nearest prompt alone, no look-alikes and no calibration.

    Args:
        text_reading: (q, readings), cosine with each reading's prompts.
        text_phase: (q, phases), likewise.
        scale: inverse temperature that the model was trained with.
    """
    sure = softmax(scale * text_reading).max(axis=1)
    return BaselineAnswers(text_reading.argmax(axis=1), text_phase.argmax(axis=1), sure)


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


def probe(known: Floats, exemplars: Embeddings, asked: Floats, weight: Floats) -> BaselineAnswers:
    """Multinomial logistic regression on features, here the frozen tower's vectors.

    Args:
        known: (n, d), features of the exemplars.
        exemplars: their labels.
        asked: (q, d), features of the charts.
        weight: (n,), how much each exemplar counts; undoes how they were chosen.

    Raises:
        InputError: scikit-learn is not installed.
    """
    try:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression
        from threadpoolctl import threadpool_limits
    except ModuleNotFoundError as error:
        raise _missing(error) from error

    def fit(features: Floats, codes: Ints, weights: Floats) -> Callable[[Floats], Floats]:
        model = LogisticRegression(C=30.0, max_iter=PROBE_STEPS)
        # sums in another order stop the solver elsewhere
        with threadpool_limits(1), warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # stopped early on purpose
            model.fit(features, codes, sample_weight=weights)
        return lambda rows: _spread(model.predict_proba(rows), model.classes_)

    return _guess(fit, known, exemplars, asked, weight)


def trees(known: Floats, exemplars: Embeddings, asked: Floats, weight: Floats) -> BaselineAnswers:
    """LightGBM on features, here the rule book's own facts: the ceiling. Arguments as in `probe`.

    Raises:
        InputError: LightGBM is not installed.
    """
    try:
        import lightgbm
    except ModuleNotFoundError as error:
        raise _missing(error) from error

    def fit(features: Floats, codes: Ints, weights: Floats) -> Callable[[Floats], Floats]:
        labels, own = np.unique(codes, return_inverse=True)
        settings = {
            "objective": "multiclass", "num_class": len(labels), "num_leaves": 15,
            "learning_rate": 0.15, "min_data_in_leaf": 10, "num_threads": 1, "verbosity": -1,
            "deterministic": True, "force_row_wise": True, "seed": 0,
        }  # fmt: skip
        data = lightgbm.Dataset(features, own, weight=weights, params={"verbosity": -1})
        model = lightgbm.train(settings, data, num_boost_round=60)
        return lambda rows: _spread(np.asarray(model.predict(rows)), labels)

    return _guess(fit, known, exemplars, asked, weight)


def warped(
    known: Floats,
    exemplars: Embeddings,
    asked: Floats,
    queries: Spans,
    *,
    eligibility: Eligibility,
    k: int = 24,
) -> BaselineAnswers:
    """Votes of the k exemplars nearest by dynamic time warping of z-scored log closes.

    Args:
        known: bars of the exemplars, (n, 96, 5).
        exemplars: their labels.
        asked: bars of the charts, (q, 96, 5).
        queries: whose charts they are and when they were seen.
        eligibility: the law, the same as the model's.
        k: how many vote.

    Raises:
        InputError: dtaidistance is not installed.
    """
    try:
        from dtaidistance import dtw
    except ModuleNotFoundError as error:
        raise _missing(error) from error
    q, n = len(asked), len(known)
    series = _standard(np.log(np.concatenate([asked, known])[:, :, CLOSE]))
    block = ((0, q), (q, q + n))
    distance = dtw.distance_matrix_fast(series, block=block, window=BAND, parallel=False)[:q, q:]
    admitted = eligibility.eligible(Spans.of(exemplars), queries)
    admitted &= exemplars.interval == queries.interval[:, None]
    distance = np.where(admitted, distance, np.inf)
    near = np.argsort(distance, axis=1, kind="stable")[:, :k]
    voice = np.isfinite(np.take_along_axis(distance, near, 1)).astype(np.float64)
    reading = _share(voice, exemplars.reading[near], exemplars.reading, len(READINGS))
    phase = _share(voice, exemplars.phase[near], exemplars.phase, len(PHASES))
    return BaselineAnswers(reading.argmax(axis=1), phase.argmax(axis=1), reading.max(axis=1))


def _guess(
    fit: Fit, known: Floats, exemplars: Embeddings, asked: Floats, weight: Floats
) -> BaselineAnswers:
    reading = fit(known, exemplars.reading.astype(np.int64), weight)(asked)
    phase = fit(known, exemplars.phase.astype(np.int64), weight)(asked)
    return BaselineAnswers(reading.argmax(axis=1), phase.argmax(axis=1), reading.max(axis=1))


def _spread(probabilities: Floats, codes: Ints) -> Floats:
    """Columns of the codes that were learned, at the places of all codes."""
    wide = np.zeros((len(probabilities), len(READINGS)))
    wide[:, codes] = probabilities
    return wide


def _standard(closes: Floats) -> Floats:
    centred = closes - closes.mean(axis=1, keepdims=True)
    spread = np.maximum(centred.std(axis=1, keepdims=True), 1e-12)
    standard: Floats = np.ascontiguousarray(centred / spread, np.float64)
    return standard


def _missing(error: ModuleNotFoundError) -> InputError:
    return InputError(f"{error.name} is not installed.", hint=install("evaluate"))
