"""Multinomial logistic regression with shared slopes: a convex fit, by Newton's method.

The model is `softmax(sum_f slope_f * features[..., f] + bias)`: a slope for each kind of evidence,
the same for all classes, and a bias for each class.
"""

import numpy as np

from vision_ai.domain import Floats, Ints

_STEPS = 30
_SLOPE_RIDGE = 0.01
_BIAS_RIDGE = 1.0
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


def fit(features: Floats, truth: Ints) -> tuple[Floats, Floats]:
    """Slopes (f,) and biases (c,) that minimise the log loss; no slope is negative.

    Args:
        features: (n, c, f), evidence for each class; more must mean likelier.
        truth: (n,), codes of the classes.
    """
    slopes, bias = _newton(features, truth)
    wrong = np.flatnonzero(slopes < 0)
    if len(wrong):  # evidence that argues against itself is noise: leave it out
        kept = np.flatnonzero(slopes >= 0)
        slopes = np.zeros(features.shape[2])
        slopes[kept], bias = fit(features[:, :, kept], truth)
    return slopes, bias


def _newton(features: Floats, truth: Ints) -> tuple[Floats, Floats]:
    _, classes, kinds = features.shape
    ridge = np.r_[np.full(kinds, _SLOPE_RIDGE), np.full(classes, _BIAS_RIDGE)]
    hit = np.eye(classes)[truth]
    theta = np.zeros(kinds + classes)
    loss = _penalized(theta, features, truth, ridge)
    for _ in range(_STEPS):
        gradient, hessian = _derivatives(theta, features, hit)
        step = np.linalg.solve(hessian + np.diag(ridge), gradient + ridge * theta)
        shorter = 1.0
        while (new := _penalized(theta - shorter * step, features, truth, ridge)) > loss:
            shorter /= 2
            if shorter < 1e-6:
                return theta[:kinds], theta[kinds:]
        theta = theta - shorter * step
        if loss - new < 1e-9 * len(truth):
            break
        loss = new
    return theta[:kinds], theta[kinds:]


def _penalized(theta: Floats, features: Floats, truth: Ints, ridge: Floats) -> float:
    kinds = features.shape[2]
    logits = features @ theta[:kinds] + theta[kinds:]
    return log_loss(logits, truth) * len(truth) + float((ridge * theta**2).sum()) / 2


def _derivatives(theta: Floats, features: Floats, hit: Floats) -> tuple[Floats, Floats]:
    kinds = features.shape[2]
    p = softmax(features @ theta[:kinds] + theta[kinds:])
    centred = features - np.einsum("nc,ncf->nf", p, features)[:, None, :]
    gradient = np.r_[np.einsum("nc,ncf->f", p - hit, features), (p - hit).sum(axis=0)]
    slopes = np.einsum("nc,ncf,ncg->fg", p, centred, centred, optimize=True)
    cross = np.einsum("nc,ncf->fc", p, centred)
    biases = np.diag(p.sum(axis=0)) - p.T @ p
    return gradient, np.block([[slopes, cross], [cross.T, biases]])
