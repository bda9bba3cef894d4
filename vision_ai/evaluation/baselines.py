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
_FEATURES_AT_ONCE = 1 << 17
"""Features of queries searched at once: pixels have thousands, and candidates are gathered."""

WARPING_BAND = 8
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


def answer_majority(exemplars: Embeddings, n: int) -> BaselineAnswers:
    """The commonest label of the exemplars, for every chart."""
    counts = np.bincount(exemplars.reading, minlength=len(READINGS))
    phases = np.bincount(exemplars.phase, minlength=len(PHASES))
    share = counts.max() / max(counts.sum(), 1)
    return BaselineAnswers(
        np.full(n, counts.argmax()), np.full(n, phases.argmax()), np.full(n, float(share))
    )


def pixel_features(pictures: Bytes) -> Vectors:
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


def return_features(bars: Floats) -> Vectors:
    """Bars (n, w, 5) as z-scored log returns of their closes: float32 (n, w - 1), unit length.

    Cosine between two of them is the correlation of their returns.
    """
    return _unit(np.diff(np.log(bars[:, :, CLOSE]), axis=1))


def answer_by_neighbors(
    exemplars: Embeddings,
    features: Vectors,
    query_features: Vectors,
    queries: Spans,
    *,
    eligibility: Eligibility,
    k: int = 24,
) -> BaselineAnswers:
    """Vote of the k nearest exemplars in a feature space, found by the same search and purge.

    Args:
        exemplars: labels and times.
        features: float32 (n, d), unit length: the exemplars in that space.
        query_features: float32 (q, d): the queries in it.
        queries: whose charts they are and when they were seen.
        eligibility: the same purge as the model's.
        k: how many vote.
    """
    index = Index(replace(exemplars, vectors=features))
    step = max(_FEATURES_AT_ONCE // features.shape[1], 1)
    parts = [
        index.search(query_features[part], queries.take(part), eligibility=eligibility, k=k).rows
        for part in (slice(at, at + step) for at in range(0, len(query_features), step))
    ]
    rows = np.concatenate([np.empty((0, k), np.int64), *parts])
    strength = np.where(rows >= 0, 1.0, 0.0)
    at = np.maximum(rows, 0)
    reading = _share(strength, exemplars.reading[at], exemplars.reading, len(READINGS))
    phase = _share(strength, exemplars.phase[at], exemplars.phase, len(PHASES))
    return BaselineAnswers(reading.argmax(axis=1), phase.argmax(axis=1), reading.max(axis=1))


def answer_by_prompts(text_reading: Floats, text_phase: Floats, scale: float) -> BaselineAnswers:
    """The nearest prompt alone, no neighbors and no calibration.

    Args:
        text_reading: (q, readings), cosine with each reading's prompts.
        text_phase: (q, phases), likewise.
        scale: inverse temperature that the model was trained with.
    """
    sure = softmax(scale * text_reading).max(axis=1)
    return BaselineAnswers(text_reading.argmax(axis=1), text_phase.argmax(axis=1), sure)


def draw_same_regime(
    exemplars: Embeddings,
    queries: Spans,
    scale: Floats,
    *,
    eligibility: Eligibility,
    k: int = 24,
    seed: int = 0,
) -> Neighbors:
    """Random exemplars of the same interval and volatility tercile, under the same purge.

    What bands and chances owe to neighbors shows against these. Random vectors go through the
    same search, so that overlapping charts of one market count once here too.

    Args:
        exemplars: labels, times and outcomes.
        queries: whose charts they are and when they were seen.
        scale: (q,), their volatility.
        eligibility: the same purge as the model's.
        k: how many.
        seed: of the random vectors.
    """
    rng = np.random.default_rng(seed)
    random_rows = _unit(rng.normal(size=(len(exemplars), 16)))
    random_queries = _unit(rng.normal(size=(len(queries), 16)))
    rows = np.full((len(queries), k), -1, np.int64)
    similarity = np.full((len(queries), k), -np.inf, np.float32)
    for interval in np.unique(queries.interval):
        # terciles are of the exemplars; queries are sorted into the same ones
        own = np.flatnonzero(exemplars.interval == interval)
        here = np.flatnonzero(queries.interval == interval)
        if not len(own):
            continue
        edges = np.nanquantile(exemplars.outcomes.scale[own], [1 / 3, 2 / 3])
        exemplar_regime = np.searchsorted(edges, exemplars.outcomes.scale[own])
        query_regime = np.searchsorted(edges, scale[here])
        for regime in np.unique(query_regime):
            members, query = own[exemplar_regime == regime], here[query_regime == regime]
            if not len(members):
                continue
            index = Index(replace(exemplars.take(members), vectors=random_rows[members]))
            neighbors = index.search(
                random_queries[query], queries.take(query), eligibility=eligibility, k=k
            )
            rows[query] = np.where(neighbors.rows >= 0, members[neighbors.rows], -1)
            similarity[query] = neighbors.similarity
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


def answer_by_probe(
    features: Floats, exemplars: Embeddings, query_features: Floats, weight: Floats
) -> BaselineAnswers:
    """Multinomial logistic regression on features, here the frozen tower's vectors.

    Args:
        features: (n, d), of the exemplars.
        exemplars: their labels.
        query_features: (q, d), of the charts.
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
        return lambda rows: _at_all_codes(model.predict_proba(rows), model.classes_)

    return _answer(fit, features, exemplars, query_features, weight)


def answer_by_trees(
    features: Floats, exemplars: Embeddings, query_features: Floats, weight: Floats
) -> BaselineAnswers:
    """LightGBM on features, here the rule book's own facts: the ceiling.

    Arguments as in `answer_by_probe`.

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
        return lambda rows: _at_all_codes(np.asarray(model.predict(rows)), labels)

    return _answer(fit, features, exemplars, query_features, weight)


def answer_by_warping(
    exemplar_bars: Floats,
    exemplars: Embeddings,
    query_bars: Floats,
    queries: Spans,
    *,
    eligibility: Eligibility,
    k: int = 24,
) -> BaselineAnswers:
    """Votes of the k exemplars nearest by dynamic time warping of z-scored log closes.

    Args:
        exemplar_bars: (n, 96, 5).
        exemplars: their labels.
        query_bars: (q, 96, 5).
        queries: whose charts they are and when they were seen.
        eligibility: the same purge as the model's.
        k: how many vote.

    Raises:
        InputError: dtaidistance is not installed.
    """
    try:
        from dtaidistance import dtw
    except ModuleNotFoundError as error:
        raise _missing(error) from error
    q, n = len(query_bars), len(exemplar_bars)
    series = _standardize(np.log(np.concatenate([query_bars, exemplar_bars])[:, :, CLOSE]))
    block = ((0, q), (q, q + n))
    distance = dtw.distance_matrix_fast(series, block=block, window=WARPING_BAND, parallel=False)[
        :q, q:
    ]
    eligible = eligibility.eligible(Spans.of(exemplars), queries)
    eligible &= exemplars.interval == queries.interval[:, None]
    distance = np.where(eligible, distance, np.inf)
    near = np.argsort(distance, axis=1, kind="stable")[:, :k]
    vote = np.isfinite(np.take_along_axis(distance, near, 1)).astype(np.float64)
    reading = _share(vote, exemplars.reading[near], exemplars.reading, len(READINGS))
    phase = _share(vote, exemplars.phase[near], exemplars.phase, len(PHASES))
    return BaselineAnswers(reading.argmax(axis=1), phase.argmax(axis=1), reading.max(axis=1))


def _answer(
    fit: Fit, features: Floats, exemplars: Embeddings, query_features: Floats, weight: Floats
) -> BaselineAnswers:
    reading = fit(features, exemplars.reading.astype(np.int64), weight)(query_features)
    phase = fit(features, exemplars.phase.astype(np.int64), weight)(query_features)
    return BaselineAnswers(reading.argmax(axis=1), phase.argmax(axis=1), reading.max(axis=1))


def _at_all_codes(probabilities: Floats, codes: Ints) -> Floats:
    """Probabilities of the codes that were learned, in columns of all codes."""
    wide = np.zeros((len(probabilities), len(READINGS)))
    wide[:, codes] = probabilities
    return wide


def _standardize(closes: Floats) -> Floats:
    centred = closes - closes.mean(axis=1, keepdims=True)
    spread = np.maximum(centred.std(axis=1, keepdims=True), 1e-12)
    standard: Floats = np.ascontiguousarray(centred / spread, np.float64)
    return standard


def _missing(error: ModuleNotFoundError) -> InputError:
    return InputError(f"{error.name} is not installed.", hint=install("evaluate"))
