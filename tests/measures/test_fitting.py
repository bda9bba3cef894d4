import numpy as np
import pytest

from vision_ai.measures import fitting


def sample(n=4000, slopes=(1.5, 4.0), seed=0):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n, 4, 2)) * [1.0, 0.3]
    bias = np.array([0.8, 0.1, -0.3, -0.6])
    p = fitting.softmax(features @ np.array(slopes) + bias)
    truth = (p.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    return features, truth, bias


def test_fit_finds_the_slopes_that_made_the_data():
    features, truth, bias = sample()
    slopes, found = fitting.fit_logistic(features, truth)
    np.testing.assert_allclose(slopes, [1.5, 4.0], rtol=0.1)
    np.testing.assert_allclose(found - found.mean(), bias - bias.mean(), atol=0.15)


def test_fit_is_the_best_of_its_neighbourhood():
    features, truth, _ = sample(500, seed=3)
    slopes, bias = fitting.fit_logistic(features, truth)
    best = fitting.log_loss(features @ slopes + bias, truth)
    rng = np.random.default_rng(0)
    for _ in range(50):
        other = features @ (slopes + rng.normal(0, 0.1, 2)) + bias + rng.normal(0, 0.1, 4)
        assert fitting.log_loss(other, truth) > best - 1e-3


def test_evidence_that_argues_against_itself_is_left_out():
    features, truth, _ = sample(slopes=(1.5, -2.0))
    slopes, _ = fitting.fit_logistic(features, truth)
    assert slopes[1] == 0
    assert slopes[0] == pytest.approx(1.4, abs=0.25)


def test_a_class_that_never_occurs_stays_finite():
    features, truth, _ = sample(300)
    slopes, bias = fitting.fit_logistic(features, np.minimum(truth, 2))
    assert np.isfinite(slopes).all()
    assert np.isfinite(bias).all()
