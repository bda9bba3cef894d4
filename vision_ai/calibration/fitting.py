"""Fit a calibration on a fold of labelled charts that share no time with any exemplar.

Each step is a small convex fit or a short grid search in numpy, and deterministic.
"""

import itertools
from collections.abc import Sequence

import numpy as np

from vision_ai.calibration import annotations, bands, fusion, votes
from vision_ai.calibration.fusion import (
    Calibration,
    Facet,
    OutOfDistribution,
    ReliabilityMap,
    TemperatureScaling,
)
from vision_ai.calibration.votes import Evidence
from vision_ai.domain import HORIZONS, Embeddings, Floats, Interval, Ints
from vision_ai.errors import KlinesError
from vision_ai.measures import fitting
from vision_ai.measures.fitting import isotonic_regression

LEAST_CHARTS = 50
"""Charts of a fold below which nothing is fitted."""
TAIL = 0.01
"""Share of known charts that may be called "never seen", for each kind of evidence."""
_BETAS = (5.0, 10.0, 20.0, 40.0, 80.0, 160.0)
_SMOOTHINGS = (0.03, 0.3, 3.0)
_RELIABILITY_BINS, _BIN_CHARTS = 20, 100
_PRIOR_CHARTS = 10.0
"""Charts at the predicted probability that are added to each bin, to shrink it towards that."""
_GRID_CHARTS = 3000
"""Charts that the grid search uses; the last fit uses all."""


def fit(
    evidence: Evidence,
    charts: Embeddings,
    exemplars: Embeddings,
    *,
    level: float,
    tail: float = TAIL,
    earlier: Evidence | None = None,
) -> Calibration:
    """Fit on a purged fold.

    Args:
        evidence: neighbors of the fold's charts, gathered under an evaluation purge.
        charts: the fold's charts with their labels and outcomes, in the same order.
        exemplars: the rows of the index that the neighbors are of.
        level: nominal coverage of the bands.
        tail: share of known charts that may be called "never seen".
        earlier: neighbors of the exemplars themselves, under the same purge. With it the bands are
            fitted on the exemplars' outcomes too: the model learned labels and no outcomes, and
            the month of a fold may be more volatile than the exemplars' half year.

    Raises:
        KlinesError: the fold is too small, or charts and evidence are not the same ones.
    """
    if len(evidence) != len(charts) or len(charts) < LEAST_CHARTS:
        raise KlinesError(
            f"A calibration fold: expected at least {LEAST_CHARTS} charts with their evidence, "
            f"was {len(charts)} charts with evidence of {len(evidence)}.",
            hint="Give it more candles.",
        )
    start = fusion.plain(exemplars, level=level)
    fitted = start.model_copy(
        update={
            "fitted_on": charts.data,
            "n": len(charts),
            "reading": _facet(
                start.reading, evidence, (evidence.reading, evidence.text_reading), charts.reading
            ),
            "phase": _facet(
                start.phase, evidence, (evidence.phase, evidence.text_phase), charts.phase
            ),
        }
    )
    temperature, reliability, out_of_distribution, rules = {}, {}, {}, {}
    logits = fusion.reading_logits(evidence, fitted)
    for interval, rows in fusion.of_interval(evidence):
        part = evidence.take(rows)
        truth = charts.reading[rows].astype(np.int64)
        temperature[interval] = _fit_temperature(part, logits[rows], truth)
        factor = fusion.logit_factor(temperature[interval], part.mean_similarity)
        reliability[interval] = _fit_reliability(
            fitting.softmax(logits[rows] * factor[:, None]), truth
        )
        out_of_distribution[interval] = _fit_out_of_distribution(part, tail)
        known = [(part, charts.take(rows))]
        if earlier is not None:
            own = np.flatnonzero(exemplars.interval == interval)
            known.append((earlier.take(own), exemplars.take(own)))
        rules[interval] = _rules(fitted, known, interval)
    fitted = fitted.model_copy(
        update={
            "temperature": {**start.temperature, **temperature},
            "reliability": {**start.reliability, **reliability},
            "out_of_distribution": {**start.out_of_distribution, **out_of_distribution},
            "bands": {**start.bands, **rules},
        }
    )
    probabilities = fusion.fuse(evidence, fitted)
    transfer = annotations.fit(charts, probabilities.reading, probabilities.phase)
    return fitted.model_copy(update={"transfer": transfer})


def _facet(start: Facet, evidence: Evidence, kinds: tuple[Ints, Floats], truth: Ints) -> Facet:
    truth = truth.astype(np.int64)
    # Search bandwidth and smoothing on a thinned fold, then fit the convex part on all of it.
    thinned = np.arange(0, len(truth), max(1, len(truth) // _GRID_CHARTS))
    sample = evidence.take(thinned)
    best, least = start, np.inf
    for beta, smoothing in itertools.product(_BETAS, _SMOOTHINGS):
        candidate = start.model_copy(update={"beta": beta, "smoothing": smoothing})
        candidate, loss = _slopes(
            candidate, sample, (kinds[0][thinned], kinds[1][thinned]), truth[thinned]
        )
        if loss < least:
            best, least = candidate, loss
    return _slopes(best, evidence, kinds, truth)[0]


def _slopes(
    facet: Facet, evidence: Evidence, kinds: tuple[Ints, Floats], truth: Ints
) -> tuple[Facet, float]:
    """Weights of votes and prompts and a bias per class by multinomial regression; its loss."""
    codes, text = kinds
    strength = votes.strengths(evidence, facet.beta)
    share = votes.shares(strength, codes, np.asarray(facet.prior), facet.smoothing)
    features = np.stack([np.log(share), text], axis=2)
    slopes, bias = fitting.fit_logistic(features, truth)
    loss = fitting.log_loss(features @ slopes + bias, truth)
    fitted = {"alpha": float(slopes[0]), "text": float(slopes[1]), "bias": bias.tolist()}
    return facet.model_copy(update=fitted), loss


def _fit_temperature(evidence: Evidence, logits: Floats, truth: Ints) -> TemperatureScaling:
    similarity = evidence.mean_similarity
    spread = max(float(similarity.std()), 1e-6)
    scaling = TemperatureScaling(center=float(similarity.mean()), spread=spread)
    reach = 1.0
    for _ in range(5):  # zoom into the best cell of a 7 x 7 grid
        steps = np.linspace(-reach, reach, 7)
        candidates = [
            scaling.model_copy(
                update={"log_scale": scaling.log_scale + a, "slope": scaling.slope + b / 4}
            )
            for a, b in itertools.product(steps.tolist(), steps.tolist())
        ]
        losses = [
            fitting.log_loss(logits * fusion.logit_factor(one, similarity)[:, None], truth)
            for one in candidates
        ]
        scaling = candidates[int(np.argmin(losses))]
        reach /= 3
    return scaling


def _fit_reliability(probabilities: Floats, truth: Ints) -> ReliabilityMap:
    predicted = probabilities.max(axis=1)
    is_right = probabilities.argmax(axis=1) == truth
    # Bins of equal mass, from unsure to sure.
    order = np.argsort(predicted, kind="stable")
    bins = np.array_split(order, min(_RELIABILITY_BINS, max(1, len(order) // _BIN_CHARTS)))
    x = np.array([predicted[rows].mean() for rows in bins])
    sizes = np.array([len(rows) for rows in bins], np.float64)
    hits = np.array([is_right[rows].sum() for rows in bins])
    # The share that was right, shrunk towards the prediction, and made to increase.
    y = isotonic_regression((hits + _PRIOR_CHARTS * x) / (sizes + _PRIOR_CHARTS), sizes)
    return ReliabilityMap(predicted=x.tolist(), observed=y.tolist())


def _fit_out_of_distribution(evidence: Evidence, tail: float) -> OutOfDistribution:
    text = evidence.text_reading.max(axis=1)
    return OutOfDistribution(
        similarity=float(np.quantile(evidence.mean_similarity, tail)),
        text=float(np.quantile(text, tail)) if evidence.text_reading.any() else -1.0,
        tail=tail,
    )


def _rules(
    fitted: Calibration, known: Sequence[tuple[Evidence, Embeddings]], interval: Interval
) -> dict[object, bands.BandRule]:
    """Bands of one interval from charts with known outcomes and the evidence about each."""
    truth = np.concatenate([bands.normalized(c.outcomes, c.interval) for _, c in known])
    moves = np.concatenate([evidence.moves for evidence, _ in known])
    scale = np.concatenate([evidence.scale for evidence, _ in known])
    beta = fitted.reading.beta
    strength = np.concatenate([votes.strengths(evidence, beta) for evidence, _ in known])
    return {
        horizon: bands.fit_rule(
            fitted.bands[interval][horizon],
            moves[:, :, column],
            strength,
            truth[:, column],
            scale,
        )
        for column, horizon in enumerate(HORIZONS)
    }
