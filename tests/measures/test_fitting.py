"""Fits against scikit-learn and scipy, and laws that hold for any data."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vision_ai.measures import fitting
from vision_ai.measures.fitting import (
    conformal_quantile,
    fit_logistic,
    isotonic_regression,
    log_loss,
    softmax,
    weighted_quantiles,
)

optimize = pytest.importorskip("scipy.optimize")
special = pytest.importorskip("scipy.special")
isotonic = pytest.importorskip("sklearn.isotonic")

weighted = st.lists(
    st.tuples(st.floats(-100, 100), st.floats(0.1, 10)), min_size=1, max_size=40
).map(lambda pairs: tuple(np.array(pairs).T))

quick = settings(max_examples=50, deadline=None)


# ---- isotonic regression


@quick
@given(weighted)
def test_isotonic_regression_equals_scikit_learn(pairs):
    values, weight = pairs
    expected = isotonic.isotonic_regression(values, sample_weight=weight)
    np.testing.assert_allclose(isotonic_regression(values, weight), expected, atol=1e-9)


@quick
@given(weighted)
def test_a_fit_never_falls_keeps_the_mean_and_is_its_own_fit(pairs):
    values, weight = pairs
    fitted = isotonic_regression(values, weight)
    assert (np.diff(fitted) >= -1e-9).all()
    assert np.average(fitted, weights=weight) == pytest.approx(
        np.average(values, weights=weight), abs=1e-9
    )
    np.testing.assert_allclose(isotonic_regression(fitted, weight), fitted, atol=1e-9)


def test_values_and_weights_come_in_pairs():
    with pytest.raises(ValueError, match="zip"):
        isotonic_regression(np.ones(3), np.ones(2))


# ---- logistic regression


def sample(n=4000, slopes=(1.5, 4.0), seed=0):
    """Charts (n, 4 classes, 2 kinds of evidence) whose classes are drawn from the model."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n, 4, 2)) * [1.0, 0.3]
    bias = np.array([0.8, 0.1, -0.3, -0.6])
    p = softmax(features @ np.array(slopes) + bias)
    truth = (p.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    return features, truth, bias


@quick
@given(st.lists(st.lists(st.floats(-700, 700), min_size=3, max_size=3), min_size=1, max_size=9))
def test_softmax_and_log_loss_equal_scipy(rows):
    logits = np.array(rows)
    np.testing.assert_allclose(softmax(logits), special.softmax(logits, axis=1), atol=1e-12)
    truth = np.arange(len(logits)) % 3
    expected = -special.log_softmax(logits, axis=1)[np.arange(len(logits)), truth].mean()
    assert log_loss(logits, truth) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_the_fit_is_the_minimum_that_scipy_finds(seed):
    features, truth, _ = sample(300, seed=seed)

    def penalized(theta):
        logits = features @ theta[:2] + theta[2:]
        ridge = np.r_[[fitting.SLOPE_RIDGE] * 2, [fitting.BIAS_RIDGE] * 4]
        return log_loss(logits, truth) * len(truth) + (ridge * theta**2).sum() / 2

    best = optimize.minimize(penalized, np.zeros(6), method="BFGS", options={"gtol": 1e-6})
    slopes, bias = fit_logistic(features, truth)
    np.testing.assert_allclose(slopes, best.x[:2], atol=1e-4)
    np.testing.assert_allclose(bias, best.x[2:], atol=1e-4)


def test_fit_finds_the_slopes_that_made_the_data():
    features, truth, bias = sample()
    slopes, found = fit_logistic(features, truth)
    np.testing.assert_allclose(slopes, [1.5, 4.0], rtol=0.1)
    np.testing.assert_allclose(found - found.mean(), bias - bias.mean(), atol=0.15)


def test_evidence_that_argues_against_itself_is_left_out():
    features, truth, _ = sample(slopes=(1.5, -2.0))
    slopes, bias = fit_logistic(features, truth)
    assert slopes[1] == 0
    assert slopes[0] == pytest.approx(1.4, abs=0.25)
    alone, without = fit_logistic(features[:, :, :1], truth)
    assert [slopes[0], *bias] == pytest.approx([alone[0], *without])


def test_a_class_that_never_occurs_stays_finite():
    features, truth, _ = sample(300)
    slopes, bias = fit_logistic(features, np.minimum(truth, 2))
    assert np.isfinite(slopes).all()
    assert np.isfinite(bias).all()
    assert bias[3] == bias.min()


# ---- quantiles


@quick
@given(st.lists(st.floats(-50, 50), min_size=1, max_size=30), st.floats(0.01, 0.99))
def test_equal_weights_give_the_quantile_of_hazen(values, at):
    found = weighted_quantiles(np.array([values]), np.ones((1, len(values))), np.array([at]))
    expected = np.quantile(values, at, method="hazen")
    assert found.item() == pytest.approx(expected, abs=1e-9)


distinct = weighted.filter(lambda pairs: len(set(pairs[0])) == len(pairs[0]))


@quick
@given(distinct, st.floats(0.01, 0.99), st.floats(0.1, 10))
def test_quantiles_do_not_depend_on_order_scale_of_weights_or_uncounted_values(pairs, at, scale):
    values, weight = pairs
    plain = weighted_quantiles(values[None], weight[None], np.array([at])).item()
    assert values.min() - 1e-9 <= plain <= values.max() + 1e-9
    backwards = weighted_quantiles(values[None, ::-1], scale * weight[None, ::-1], np.array([at]))
    assert backwards.item() == pytest.approx(plain, abs=1e-6)
    more = np.r_[values, np.nan, 999.0][None]
    ignored = weighted_quantiles(more, np.r_[weight, 5.0, 0.0][None], np.array([at]))
    assert ignored.item() == pytest.approx(plain, abs=1e-9)


def test_nothing_has_no_quantile():
    nothing = weighted_quantiles(np.full((1, 2), np.nan), np.ones((1, 2)), np.array([0.5, 0.9]))
    assert np.isnan(nothing).all()


@quick
@given(st.lists(st.floats(-50, 50), min_size=1, max_size=40), st.floats(0.01, 0.99))
def test_the_conformal_quantile_is_the_smallest_score_that_covers(scores, level):
    found = conformal_quantile(np.array(scores), level)
    needed = (len(scores) + 1) * level
    covering = [s for s in scores if sum(other <= s for other in scores) >= needed]
    assert found == min(covering, default=max(scores))


@pytest.mark.parametrize("level", [0.5, 0.8, 0.9])
def test_a_new_score_stays_below_as_often_as_stated(level):
    rng = np.random.default_rng(1)
    draws = rng.standard_cauchy((4000, 20))  # any distribution, this one has no mean
    below = [row[-1] <= conformal_quantile(row[:-1], level) for row in draws]
    assert np.mean(below) == pytest.approx(level, abs=0.02)  # exact where 20 * level is whole
