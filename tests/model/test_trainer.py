import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.model import making, tiny
from vision_ai.errors import ConfigError
from vision_ai.model.training import report
from vision_ai.model.training import trainer as training

pytestmark = pytest.mark.train


@pytest.mark.slow
def test_training_brings_the_loss_down_and_learns_to_read():
    student = tiny.trainer(steps=100, rate=5e-3, warmup=5)
    source = tiny.batches()
    losses = [student.train_step(source.at(step), step).loss for step in range(100)]
    assert np.mean(losses[-5:]) < 0.7 * np.mean(losses[:5])
    corpus = making.corpus(count=60, seed=1)
    bars = corpus.bars(np.arange(len(corpus)))
    charts = report.Charts(making.draw(bars, None), corpus.reading, corpus.phase)
    vectors = training.embed_pictures(student.average, charts.pictures)
    found = report.read_by_prompts(
        vectors, training.prototypes(student.average, student.prompts), charts
    )
    assert found["phase_accuracy"] > 0.6


def test_a_restored_state_takes_the_very_same_steps():
    source, one = tiny.batches(), tiny.trainer()
    for step in range(3):
        one.train_step(source.at(step), step)
    other = tiny.trainer()
    other.restore(one.state())
    for step in range(3, 6):
        left, right = (student.train_step(source.at(step), step) for student in (one, other))
        assert left.loss == right.loss
        assert np.array_equal(left.errors, right.errors)
    left, right = one.state(), other.state()
    assert left.keys() == right.keys()
    assert all(torch.equal(left[name], right[name]) for name in left)


def test_a_state_holds_weights_average_and_optimizer():
    student = tiny.trainer()
    student.train_step(tiny.batches().at(0), 0)
    kinds = {name.split("/")[0] for name in student.state()}
    assert kinds == {"now", "mean", "optimizer"}


def test_the_rate_rises_then_falls():
    student = tiny.trainer(steps=100, warmup=10, rate=1.0)
    rates = [student.learning_rate(step) for step in range(100)]
    assert rates[9] == max(rates) == 1.0
    assert np.all(np.diff(rates[:10]) > 0)
    assert np.all(np.diff(rates[10:]) < 0)
    assert 0 < rates[-1] < 0.02


def test_the_average_follows_the_weights():
    student = tiny.trainer()
    before = student.average.clip.logit_scale.clone()
    for step in range(6):
        student.train_step(tiny.batches().at(step), step)
    now, mean = student.reader.clip.logit_scale.detach(), student.average.clip.logit_scale
    assert abs(mean - now) < abs(before - now)
    assert not mean.requires_grad


def test_prototypes_are_unit_vectors_in_the_order_of_codes():
    student = tiny.trainer()
    rows = training.prototypes(student.average, student.prompts)
    assert rows.shape == (23, 32)
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)


def test_the_best_device_here_is_taken():
    expected = "cuda" if torch.cuda.is_available() else None
    expected = expected or ("mps" if torch.backends.mps.is_available() else "cpu")
    assert training.pick_device().type == expected
    assert training.pick_device("cpu").type == "cpu"


@pytest.mark.parametrize("name", ["tpu", "", "cuda:7x"])
def test_a_device_that_is_not_here_is_refused(name):
    if name == "":
        assert training.pick_device(name)
        return
    with pytest.raises(ConfigError) as caught:
        training.pick_device(name)
    assert "cpu" in caught.value.hint


@pytest.mark.slow
def test_half_floats_are_chosen_by_measurement():
    assert training.is_bf16_faster(torch.device("cpu")) in (True, False)
    assert training.is_bf16_faster(torch.device("mps")) is False


@pytest.mark.parametrize("change", [{"steps": 0}, {"rate": -1}, {"batch": 1}, {"colour": "red"}])
def test_a_recipe_refuses_nonsense(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        tiny.recipe(**change)


def test_a_blend_lies_between_the_start_and_the_end():
    end, start = tiny.reader(seed=1), tiny.reader(seed=2)
    expected = 0.75 * end.clip.logit_scale + 0.25 * start.clip.logit_scale
    weight = 0.75 * end.clip.text.token_embedding.weight
    weight = (weight + 0.25 * start.clip.text.token_embedding.weight).detach()
    training.interpolate_weights(end, start, 0.75)
    assert torch.allclose(end.clip.logit_scale, expected)
    assert torch.allclose(end.clip.text.token_embedding.weight, weight)


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 1000), st.integers(0, 1000))
def test_a_blend_of_nothing_is_the_start_and_of_everything_the_end(first, second):
    pictures = np.random.default_rng(first).integers(0, 255, (3, 192, 96, 3), dtype=np.uint8)
    start, trained = tiny.reader(seed=first), tiny.reader(seed=second)
    before, after = (
        training.embed_pictures(start, pictures),
        training.embed_pictures(trained, pictures),
    )
    everything, nothing = copy.deepcopy(trained), copy.deepcopy(trained)
    training.interpolate_weights(everything, start, 1.0)
    training.interpolate_weights(nothing, start, 0.0)
    assert np.array_equal(training.embed_pictures(everything, pictures), after)
    assert np.array_equal(training.embed_pictures(nothing, pictures), before)
    assert np.array_equal(training.embed_pictures(start, pictures), before)


def test_a_preset_may_be_moved_more_gently():
    usual, gentle = tiny.trainer(), tiny.trainer()
    gentle.reader.preset = replace(gentle.reader.preset, rate_factor=0.01)
    for step in (0, 3, 7):
        assert gentle.learning_rate(step) == pytest.approx(usual.learning_rate(step) / 100)
