"""Baselines that need a library: a linear probe, boosted trees and dynamic time warping.

The extra `evaluate` brings scikit-learn, LightGBM and dtaidistance. Each library is
imported where it is used, and a missing one is named, so that the others can still be measured.
"""

import warnings
from collections.abc import Callable

import numpy as np

from vision_ai.calibration import votes
from vision_ai.domain import CLOSE, PHASES, READINGS, Embeddings, Floats, Ints
from vision_ai.errors import InputError, install
from vision_ai.evaluation.baselines import Guess
from vision_ai.measures.purge import Eligibility, Spans

BAND = 8
"""Candles by which dynamic time warping may shift one chart against the other."""

PROBE_STEPS = 60
"""Steps of the probe's solver: more change its figures by less than their intervals."""

Fit = Callable[[Floats, Ints, Floats], Callable[[Floats], Floats]]
"""Features (n, d), codes (n,) and weights (n,) to a function that gives probabilities of codes."""


def probe(known: Floats, exemplars: Embeddings, asked: Floats, weight: Floats) -> Guess:
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


def trees(known: Floats, exemplars: Embeddings, asked: Floats, weight: Floats) -> Guess:
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
) -> Guess:
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
    reading = _votes(voice, exemplars.reading[near], exemplars.reading, len(READINGS))
    phase = _votes(voice, exemplars.phase[near], exemplars.phase, len(PHASES))
    return Guess(reading.argmax(axis=1), phase.argmax(axis=1), reading.max(axis=1))


def _guess(fit: Fit, known: Floats, exemplars: Embeddings, asked: Floats, weight: Floats) -> Guess:
    reading = fit(known, exemplars.reading.astype(np.int64), weight)(asked)
    phase = fit(known, exemplars.phase.astype(np.int64), weight)(asked)
    return Guess(reading.argmax(axis=1), phase.argmax(axis=1), reading.max(axis=1))


def _spread(probabilities: Floats, codes: Ints) -> Floats:
    """Columns of the codes that were learned, at the places of all codes."""
    wide = np.zeros((len(probabilities), len(READINGS)))
    wide[:, codes] = probabilities
    return wide


def _votes(voice: Floats, codes: Ints, every: Ints, classes: int) -> Floats:
    prior = np.bincount(every, minlength=classes) / len(every)
    return votes.shares(voice, codes.astype(np.int64), prior, 0.5)


def _standard(closes: Floats) -> Floats:
    centred = closes - closes.mean(axis=1, keepdims=True)
    spread = np.maximum(centred.std(axis=1, keepdims=True), 1e-12)
    standard: Floats = np.ascontiguousarray(centred / spread, np.float64)
    return standard


def _missing(error: ModuleNotFoundError) -> InputError:
    return InputError(f"{error.name} is not installed.", hint=install("evaluate"))
