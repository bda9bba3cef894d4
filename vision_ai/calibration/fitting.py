"""A calibration from a fold of charts whose truth is known and which no exemplar shares time with.

Each step is a small convex fit or a short grid, in numpy, and takes the same course every time.
"""

import itertools
from collections.abc import Sequence

import numpy as np

from vision_ai.calibration import annotations, bands, fusion, votes
from vision_ai.calibration.fusion import Calibration, Curve, Facet, Familiarity, Sharpness
from vision_ai.calibration.votes import Evidence
from vision_ai.domain import HORIZONS, Embeddings, Floats, Interval, Ints
from vision_ai.errors import KlinesError
from vision_ai.measures import fitting
from vision_ai.measures.fitting import isotonic_regression

LEAST = 50
"""Charts of a fold below which no fit is worth its name."""
TAIL = 0.01
"""Share of known charts that may be called "never seen", for each kind of evidence."""
_BETAS = (5.0, 10.0, 20.0, 40.0, 80.0, 160.0)
_SMOOTHINGS = (0.03, 0.3, 3.0)
_CURVE_BINS, _BIN_CHARTS = 20, 100
_CURVE_PULL = 10.0
"""Charts' worth of belief that a bin of the curve is right as it stands."""
_GRID_CHARTS = 3000
"""Charts that the grid looks at; the last fit sees all."""


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
        evidence: what speaks about the fold's charts, gathered under an evaluation purge.
        charts: the fold's charts with their labels and outcomes, in the same order.
        exemplars: the rows of the index that spoke.
        level: nominal coverage of the bands.
        tail: share of known charts that may be called "never seen".
        earlier: what speaks about the exemplars themselves, under the same purge. Given, the bands
            are fitted on their outcomes too: a model learns labels and no outcomes, and the one
            month of a fold may be wild where the exemplars' half year was not.

    Raises:
        KlinesError: the fold is too small, or charts and evidence are not the same ones.
    """
    if len(evidence) != len(charts) or len(charts) < LEAST:
        raise KlinesError(
            f"A calibration fold: expected at least {LEAST} charts with their evidence, "
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
    sharpness, curve, familiarity, rules = {}, {}, {}, {}
    logits = fusion.reading_logits(evidence, fitted)
    for interval, rows in fusion.of_interval(evidence):
        part = evidence.take(rows)
        truth = charts.reading[rows].astype(np.int64)
        sharpness[interval] = _sharpness(part, logits[rows], truth)
        factor = fusion.sharpness_factor(sharpness[interval], part.mean_similarity)
        curve[interval] = _curve(fitting.softmax(logits[rows] * factor[:, None]), truth)
        familiarity[interval] = _familiarity(part, tail)
        known = [(part, charts.take(rows))]
        if earlier is not None:
            own = np.flatnonzero(exemplars.interval == interval)
            known.append((earlier.take(own), exemplars.take(own)))
        rules[interval] = _rules(fitted, known, interval)
    fitted = fitted.model_copy(
        update={
            "sharpness": {**start.sharpness, **sharpness},
            "curve": {**start.curve, **curve},
            "familiarity": {**start.familiarity, **familiarity},
            "bands": {**start.bands, **rules},
        }
    )
    beliefs = fusion.believe(evidence, fitted)
    carried = annotations.fit(charts, beliefs.reading, beliefs.phase)
    return fitted.model_copy(update={"trust": carried})


def _facet(start: Facet, evidence: Evidence, kinds: tuple[Ints, Floats], truth: Ints) -> Facet:
    truth = truth.astype(np.int64)
    some = np.arange(0, len(truth), max(1, len(truth) // _GRID_CHARTS))
    sample = evidence.take(some)
    best, least = start, np.inf
    for beta, smoothing in itertools.product(_BETAS, _SMOOTHINGS):
        tried = start.model_copy(update={"beta": beta, "smoothing": smoothing})
        tried, loss = _slopes(tried, sample, (kinds[0][some], kinds[1][some]), truth[some])
        if loss < least:
            best, least = tried, loss
    return _slopes(best, evidence, kinds, truth)[0]


def _slopes(
    facet: Facet, evidence: Evidence, kinds: tuple[Ints, Floats], truth: Ints
) -> tuple[Facet, float]:
    codes, text = kinds
    strength = votes.strengths(evidence, facet.beta)
    share = votes.shares(strength, codes, np.asarray(facet.prior), facet.smoothing)
    features = np.stack([np.log(share), text], axis=2)
    slopes, bias = fitting.fit_logistic(features, truth)
    loss = fitting.log_loss(features @ slopes + bias, truth)
    fitted = {"alpha": float(slopes[0]), "text": float(slopes[1]), "bias": bias.tolist()}
    return facet.model_copy(update=fitted), loss


def _sharpness(evidence: Evidence, logits: Floats, truth: Ints) -> Sharpness:
    similarity = evidence.mean_similarity
    spread = max(float(similarity.std()), 1e-6)
    how = Sharpness(center=float(similarity.mean()), spread=spread)
    reach = 1.0
    for _ in range(5):  # zoom into the best cell of a 7 x 7 grid
        steps = np.linspace(-reach, reach, 7)
        tried = [
            how.model_copy(update={"log_scale": how.log_scale + a, "slope": how.slope + b / 4})
            for a, b in itertools.product(steps.tolist(), steps.tolist())
        ]
        losses = [
            fitting.log_loss(logits * fusion.sharpness_factor(t, similarity)[:, None], truth)
            for t in tried
        ]
        how = tried[int(np.argmin(losses))]
        reach /= 3
    return how


def _curve(probabilities: Floats, truth: Ints) -> Curve:
    said, hit = probabilities.max(axis=1), probabilities.argmax(axis=1) == truth
    order = np.argsort(said, kind="stable")
    bins = np.array_split(order, min(_CURVE_BINS, max(1, len(order) // _BIN_CHARTS)))
    x = np.array([said[rows].mean() for rows in bins])
    sizes = np.array([len(rows) for rows in bins], np.float64)
    hits = np.array([hit[rows].sum() for rows in bins])
    y = isotonic_regression((hits + _CURVE_PULL * x) / (sizes + _CURVE_PULL), sizes)
    return Curve(said=x.tolist(), right=y.tolist())


def _familiarity(evidence: Evidence, tail: float) -> Familiarity:
    text = evidence.text_reading.max(axis=1)
    return Familiarity(
        similarity=float(np.quantile(evidence.mean_similarity, tail)),
        text=float(np.quantile(text, tail)) if evidence.text_reading.any() else -1.0,
        tail=tail,
    )


def _rules(
    fitted: Calibration, known: Sequence[tuple[Evidence, Embeddings]], interval: Interval
) -> dict[object, bands.BandRule]:
    """Bands of one interval from charts whose outcomes are known, with what speaks about each."""
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
