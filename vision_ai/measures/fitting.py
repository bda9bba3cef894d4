"""Small fits in plain numpy that take the same course every time: isotonic, logistic, quantiles.

The logistic model is `softmax(sum_f slope_f * features[..., f] + bias)`: a slope for each kind of
evidence, the same for all classes, and a bias for each class; Newton's method fits it.
"""

import numpy as np

from vision_ai.domain import Floats, Ints

_MAX_STEPS = 30
SLOPE_RIDGE = 0.01
BIAS_RIDGE = 1.0
"""Pulls of the fit to zero, in charts: a class that the fold hardly holds keeps its bias small."""


def softmax(logits: Floats) -> Floats:
    """Probabilities along the last axis.

    >>> softmax(np.array([0.0, 0.0])).tolist()
    [0.5, 0.5]
    """
    raised = np.exp(logits - logits.max(axis=-1, keepdims=True))
    probabilities: Floats = raised / raised.sum(axis=-1, keepdims=True)
    return probabilities


def log_loss(logits: Floats, truth: Ints) -> float:
    """Mean negative log-probability of the true classes, in nats."""
    raised = logits - logits.max(axis=1, keepdims=True)
    chosen = raised[np.arange(len(truth)), truth]
    return float((np.log(np.exp(raised).sum(axis=1)) - chosen).mean())


def fit_logistic(features: Floats, truth: Ints) -> tuple[Floats, Floats]:
    """Slopes (f,) and biases (c,) that minimise the log loss; no slope is negative.

    Args:
        features: (n, c, f), evidence for each class; more must mean likelier.
        truth: (n,), codes of the classes.
    """
    slopes, bias = _newton(features, truth)
    if (slopes < 0).any():  # evidence that argues against itself is noise: fit without it
        useful = np.flatnonzero(slopes >= 0)
        slopes = np.zeros(features.shape[2])
        slopes[useful], bias = fit_logistic(features[:, :, useful], truth)
    return slopes, bias


def _newton(features: Floats, truth: Ints) -> tuple[Floats, Floats]:
    """The minimum of the penalized loss: Newton's steps, halved until each lowers it."""
    _, classes, kinds = features.shape
    ridge = np.r_[np.full(kinds, SLOPE_RIDGE), np.full(classes, BIAS_RIDGE)]
    hit = np.eye(classes)[truth]
    theta = np.zeros(kinds + classes)
    loss = _penalized(theta, features, truth, ridge)
    for _ in range(_MAX_STEPS):
        # the loss is convex, so the full step leads towards its minimum
        gradient, hessian = _derivatives(theta, features, hit)
        step = np.linalg.solve(hessian + np.diag(ridge), gradient + ridge * theta)
        # far from the minimum the full step may overshoot: halve it until the loss falls
        shorter = 1.0
        while (new := _penalized(theta - shorter * step, features, truth, ridge)) > loss:
            shorter /= 2
            if shorter < 1e-6:
                return theta[:kinds], theta[kinds:]
        theta = theta - shorter * step
        # stop where a chart gains less than a billionth of a nat
        if loss - new < 1e-9 * len(truth):
            break
        loss = new
    return theta[:kinds], theta[kinds:]


def _penalized(theta: Floats, features: Floats, truth: Ints, ridge: Floats) -> float:
    """Summed log loss of all charts with the ridge penalty."""
    kinds = features.shape[2]
    logits = features @ theta[:kinds] + theta[kinds:]
    return log_loss(logits, truth) * len(truth) + float((ridge * theta**2).sum()) / 2


def _derivatives(theta: Floats, features: Floats, hit: Floats) -> tuple[Floats, Floats]:
    """Gradient (f + c,) and Hessian of the summed log loss, slopes first, then biases."""
    kinds = features.shape[2]
    p = softmax(features @ theta[:kinds] + theta[kinds:])
    # each class's evidence less its mean under the predicted probabilities
    centred = features - np.einsum("nc,ncf->nf", p, features)[:, None, :]
    gradient = np.r_[np.einsum("nc,ncf->f", p - hit, features), (p - hit).sum(axis=0)]
    # blocks of the Hessian: covariances of evidence, of evidence with classes, and of classes
    slopes = np.einsum("nc,ncf,ncg->fg", p, centred, centred, optimize=True)
    cross = np.einsum("nc,ncf->fc", p, centred)
    biases = np.diag(p.sum(axis=0)) - p.T @ p
    return gradient, np.block([[slopes, cross], [cross.T, biases]])


def isotonic_regression(values: Floats, weight: Floats) -> Floats:
    """The closest values that never fall (pool adjacent violators, weighted least squares).

    >>> isotonic_regression(np.array([1.0, 3.0, 2.0]), np.ones(3)).tolist()
    [1.0, 2.5, 2.5]
    """
    pools: list[tuple[float, float, int]] = []  # value, weight and number of the merged values
    for value, mass in zip(values.tolist(), weight.tolist(), strict=True):
        pools.append((value, mass, 1))
        # a pool above its successor violates the order: the two become their weighted mean
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (b, mass_b, n_b), (a, mass_a, n_a) = pools.pop(), pools.pop()
            mass_ab = mass_a + mass_b
            pools.append(((a * mass_a + b * mass_b) / mass_ab, mass_ab, n_a + n_b))
    return np.repeat([value for value, _, _ in pools], [n for _, _, n in pools])


def weighted_quantiles(values: Floats, weight: Floats, at: Floats) -> Floats:
    """Weighted quantiles of each row, (q, len(at)); NaN values do not count, no values give NaN.

    Each value counts at the middle of its own weight, and between two linearly (Hazen's rule where
    weights are equal); equal values keep their order, which matters where their weights differ.

    >>> values = np.array([[1.0, 3.0, np.nan]])
    >>> weighted_quantiles(values, np.ones((1, 3)), np.array([0.5])).tolist()
    [[2.0]]
    """
    # sort each row; values that do not count go last, with no mass
    mass = np.where(np.isnan(values), 0, weight)
    order = np.argsort(np.where(mass > 0, values, np.inf), axis=1, kind="stable")
    values = np.take_along_axis(values, order, 1)
    mass = np.take_along_axis(mass, order, 1)
    # share of the row's mass that lies below the middle of each value
    total = mass.sum(axis=1, keepdims=True)
    with np.errstate(invalid="ignore"):
        middle = (np.cumsum(mass, axis=1) - mass / 2) / total
    last = np.maximum((mass > 0).sum(axis=1, keepdims=True) - 1, 0)
    columns = [_between(values, middle, last, float(p)) for p in at]
    return np.where(total > 0, np.stack(columns, axis=1), np.nan)


def _between(values: Floats, middle: Floats, last: Ints, p: float) -> Floats:
    """The values at share `p`, between the two neighbours whose middles enclose it."""
    below = (middle < p) & (np.arange(values.shape[1]) <= last)
    right = np.minimum(below.sum(axis=1, keepdims=True), last)
    left = np.maximum(right - below.any(axis=1, keepdims=True), 0)
    here, there = np.take_along_axis(middle, left, 1), np.take_along_axis(middle, right, 1)
    step = np.clip((p - here) / np.where(there > here, there - here, 1), 0, 1)
    low, high = np.take_along_axis(values, left, 1), np.take_along_axis(values, right, 1)
    result: Floats = (low + step * (high - low))[:, 0]
    return result


def conformal_quantile(scores: Floats, level: float) -> float:
    """The score that a new chart stays below with probability `level`, for any distribution.

    The smallest score of rank `(n + 1) * level` or more (Vovk et al. 2005), at most the largest.

    >>> conformal_quantile(np.array([3.0, 1.0, 2.0, 4.0]), 0.5)
    3.0
    """
    rank = min(int(np.ceil((len(scores) + 1) * level)), len(scores))
    return float(np.sort(scores)[rank - 1])
