"""The losses against slow, plain arithmetic."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vision_ai.model.training import loss

pytestmark = pytest.mark.train


def unit(rng, rows, columns):
    vectors = rng.normal(size=(rows, columns))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def brute_one_way(logits, positive):
    """Cross-entropy by loops: mean over rows with a positive of the mean over its positives."""
    each = []
    for row, marks in zip(logits, positive, strict=True):
        total = np.exp(row - row.max()).sum()
        log_probability = row - row.max() - np.log(total)
        if marks.any():
            each.append(-log_probability[marks].mean())
    return np.mean(each) if each else 0.0


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 9), st.integers(1, 9), st.floats(0.1, 50))
def test_contrastive_equals_brute_force(seed, rows, columns, scale):
    rng = np.random.default_rng(seed)
    images, texts = unit(rng, rows, 4), unit(rng, columns, 4)
    positive = rng.random((rows, columns)) < 0.4
    logits = scale * images @ texts.T
    expected = (brute_one_way(logits, positive) + brute_one_way(logits.T, positive.T)) / 2
    found = loss.contrastive(
        torch.tensor(images), torch.tensor(texts), torch.tensor(positive), torch.tensor(scale)
    )
    assert float(found) == pytest.approx(expected, rel=1e-4, abs=1e-4)


def test_prompted_equals_brute_force():
    rng = np.random.default_rng(1)
    images, prompts = unit(rng, 7, 5), unit(rng, 4, 5)
    codes = rng.integers(0, 4, 7)
    expected = brute_one_way(9 * images @ prompts.T, np.eye(4, dtype=bool)[codes])
    found = loss.prompt_cross_entropy(
        torch.tensor(images), torch.tensor(prompts), torch.tensor(codes), torch.tensor(9.0)
    )
    assert float(found.mean()) == pytest.approx(expected, rel=1e-5)
    assert found.shape == (7,)


def test_all_charts_in_one_point_is_no_optimum():
    codes = torch.tensor([0, 1, 2, 3])
    positive = loss.same_label(codes, codes)
    scale = torch.tensor(10.0)
    apart = loss.contrastive(torch.eye(4), torch.eye(4), positive, scale)
    one_point = torch.ones(4, 4) / 2
    together = loss.contrastive(one_point, one_point, positive, scale)
    assert float(apart) < 0.01
    assert float(together) > 1


def test_a_second_chart_of_a_label_is_no_negative():
    codes = torch.tensor([0, 0, 1])
    vectors = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    scale = torch.tensor(50.0)
    masked = loss.contrastive(vectors, vectors, loss.same_label(codes, codes), scale)
    strict = loss.contrastive(vectors, vectors, torch.eye(3, dtype=torch.bool), scale)
    assert float(masked) == pytest.approx(float(strict), abs=1e-5)
    apart = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]])
    assert float(loss.contrastive(apart, vectors, loss.same_label(codes, codes), scale)) > float(
        masked
    )


def test_rows_without_a_positive_say_nothing():
    logits = torch.tensor([[5.0, 1.0], [0.0, 9.0]])
    positive = torch.tensor([[True, False], [False, False]])
    assert torch.equal(
        loss.multi_positive_cross_entropy(logits, positive),
        loss.multi_positive_cross_entropy(logits[:1], positive[:1]),
    )
    assert (
        float(loss.multi_positive_cross_entropy(logits, torch.zeros(2, 2, dtype=torch.bool))) == 0.0
    )


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31), st.permutations(range(6)))
def test_the_order_of_a_batch_changes_nothing(seed, order):
    rng = np.random.default_rng(seed)
    images, texts = torch.tensor(unit(rng, 6, 4)), torch.tensor(unit(rng, 6, 4))
    codes, scale = torch.tensor(rng.integers(0, 3, 6)), torch.tensor(7.0)
    rows = torch.tensor(order)
    one = loss.contrastive(images, texts, loss.same_label(codes, codes), scale)
    moved = loss.contrastive(
        images[rows], texts[rows], loss.same_label(codes[rows], codes[rows]), scale
    )
    assert float(one) == pytest.approx(float(moved), rel=1e-5)


def test_gradients_pull_positives_together():
    images = torch.tensor([[1.0, 0.0], [0.0, 1.0]], requires_grad=True)
    texts = torch.tensor([[0.8, 0.6], [0.6, 0.8]])
    total = loss.contrastive(images, texts, torch.eye(2, dtype=torch.bool), torch.tensor(5.0))
    (slope,) = torch.autograd.grad(total, images)
    before = float((images.detach() * texts).sum())
    after = float(((images - 0.1 * slope).detach() * texts).sum())
    assert after > before


def test_reading_back_exact_digits_costs_nothing():
    digits = torch.rand(2, 96, 5)
    assert float(loss.ohlcv_l1(digits, digits)) == 0.0
    assert float(loss.ohlcv_l1(digits, digits + 0.25)) == pytest.approx(0.25)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31))
def test_detected_equals_a_loop_over_places(seed):
    rng = np.random.default_rng(seed)
    logits, held = rng.normal(0, 3, (2, 5, 3)), rng.random((2, 5, 3)) < 0.2
    total = 0.0
    for logit, truth in zip(logits.flat, held.flat, strict=True):
        chance = 1 / (1 + np.exp(-logit))
        right = chance if truth else 1 - chance
        total -= (1 - right) ** 2 * np.log(right)
    found = loss.focal(torch.tensor(logits), torch.tensor(held))
    assert float(found) == pytest.approx(total / max(held.sum(), 1), rel=1e-4)


def test_what_fits_every_prompt_alike_is_undecided():
    prompts = torch.eye(4)[:3]
    even, sure = torch.tensor([[0.0, 0.0, 0.0, 1.0]]), torch.tensor([[1.0, 0.0, 0.0, 0.0]])
    assert float(loss.outlier_exposure(even, prompts, torch.tensor(10.0))) == pytest.approx(
        0, abs=1e-5
    )
    assert float(loss.outlier_exposure(sure, prompts, torch.tensor(10.0))) > 1


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31))
def test_masked_l1_equals_a_loop_over_known_facts(seed):
    rng = np.random.default_rng(seed)
    guess, facts = rng.normal(size=(4, 3)), rng.normal(size=(4, 3))
    facts[rng.random((4, 3)) < 0.5] = np.nan
    errors = [abs(g - f) for g, f in zip(guess.flat, facts.flat, strict=True) if not np.isnan(f)]
    found = loss.masked_l1(torch.tensor(guess), torch.tensor(facts))
    assert float(found) == pytest.approx(np.mean(errors) if errors else 0.0, rel=1e-5)


def test_facts_that_are_unknown_have_no_gradient():
    guess = torch.ones(2, 2, requires_grad=True)
    facts = torch.tensor([[0.0, float("nan")], [float("nan"), 3.0]])
    (slope,) = torch.autograd.grad(loss.masked_l1(guess, facts), guess)
    assert slope.tolist() == [[0.5, 0.0], [0.0, -0.5]]


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31), st.floats(0, 0.9))
def test_smoothed_cross_entropy_equals_plain_arithmetic(seed, smoothing):
    rng = np.random.default_rng(seed)
    logits, codes = rng.normal(0, 2, (5, 4)), rng.integers(0, 4, 5)
    log_share = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    target = np.full((5, 4), smoothing / 4)
    target[np.arange(5), codes] += 1 - smoothing
    expected = -(target * log_share).sum(axis=1).mean()
    found = loss.smoothed_cross_entropy(torch.tensor(logits), torch.tensor(codes), smoothing)
    assert float(found) == pytest.approx(expected, rel=1e-5)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31))
def test_contrast_is_the_same_seen_from_charts_or_from_texts(seed):
    rng = np.random.default_rng(seed)
    images, texts = torch.tensor(unit(rng, 5, 4)), torch.tensor(unit(rng, 3, 4))
    positive = torch.tensor(rng.random((5, 3)) < 0.5)
    one = loss.contrastive(images, texts, positive, torch.tensor(9.0))
    other = loss.contrastive(texts, images, positive.T, torch.tensor(9.0))
    assert float(one) == pytest.approx(float(other), rel=1e-5)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31), st.floats(0.1, 30))
def test_outlier_exposure_is_the_divergence_from_equal_shares(seed, scale):
    rng = np.random.default_rng(seed)
    images, prompts = unit(rng, 4, 3), unit(rng, 5, 3)
    logits = scale * images @ prompts.T
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    expected = (np.log(1 / 5) - np.log(shares)).mean()
    found = loss.outlier_exposure(torch.tensor(images), torch.tensor(prompts), torch.tensor(scale))
    assert float(found) == pytest.approx(expected, abs=1e-4)
    assert float(found) >= -1e-5


def test_a_missed_region_costs_more_than_one_found_with_doubt():
    truth = torch.tensor([True])
    missed, doubtful, sure = (
        float(loss.focal(torch.tensor([logit]), truth)) for logit in (-3.0, 0.0, 3.0)
    )
    assert missed > 10 * doubtful > 100 * sure
