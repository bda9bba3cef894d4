import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vision_ai.model.training.sampler import UNSEEN_ERROR, PrioritizedSampler, class_weights

pytestmark = pytest.mark.train


def share(weight, chosen):
    return weight[chosen].sum() / weight.sum()


def test_balance_moves_rare_classes_towards_equal_shares():
    codes = np.array([0] * 81 + [1] * 9)
    assert np.isclose(share(class_weights(codes, 0.0), codes == 1), 0.1)
    assert np.isclose(share(class_weights(codes, 0.5), codes == 1), 0.25)
    assert np.isclose(share(class_weights(codes, 1.0), codes == 1), 0.5)


CODES = np.repeat([0, 1, 2], [60, 30, 10])


def practice(hard=0.9, size=4000, seed=0, balance=0.5):
    return PrioritizedSampler(CODES, size=size, seed=seed, balance=balance, hard=hard)


@given(seed=st.integers(0, 2**31), step=st.integers(0, 10**6), hard=st.floats(0, 0.99))
def test_rows_hang_on_the_seed_the_step_and_what_was_heeded(seed, step, hard):
    one, other = practice(hard, 16, seed), practice(hard, 16, seed)
    for each in (one, other):
        each.update_errors(np.arange(50), np.linspace(0, 1, 50, dtype=np.float32))
    other.rows(step + 1)
    assert np.array_equal(one.rows(step), other.rows(step))
    assert np.array_equal(one.rows(step), one.rows(step))
    assert one.rows(step).min() >= 0
    assert one.rows(step).max() < 100


def test_charts_read_wrong_come_more_often_as_far_as_asked():
    for hard in (0.0, 0.5, 0.9):
        chooser = practice(hard, size=100_000)
        wrong = np.zeros(100, bool)
        wrong[::5] = True
        chooser.update_errors(np.arange(100), wrong.astype(np.float32))
        weight = class_weights(CODES, 0.5) * (1 - hard + hard * wrong)
        found = wrong[chooser.rows(3)].mean()
        assert found == pytest.approx(share(weight, wrong), abs=0.01)


def test_charts_of_no_batch_yet_stand_between_right_and_wrong():
    chooser = practice(size=100_000)
    missed = np.full(100, UNSEEN_ERROR, np.float32)
    missed[:30], missed[30:60] = 0, 1
    chooser.update_errors(np.arange(60), missed[:60])
    count = np.bincount(chooser.rows(0), minlength=100) / class_weights(CODES, 0.5)
    right, wrong, unseen = count[:30].mean(), count[30:60].mean(), count[60:].mean()
    assert right < unseen < wrong


@given(step=st.integers(0, 1000))
def test_a_restored_practice_goes_on_with_the_rows_that_were_coming(step):
    one = practice(size=8)
    chosen = one.rows(step)
    one.update_errors(chosen, np.ones(8, np.float32))
    other = practice(size=8)
    other.restore(one.state())
    assert np.array_equal(other.rows(step), chosen)
    assert np.array_equal(other.rows(step + 1), one.rows(step + 1))


def test_class_weights_equal_a_loop():
    codes = np.array([2, 0, 2, 2, 5])
    for power in (0.0, 0.3, 1.0):
        expected = [(codes == code).sum() ** -power for code in codes]
        assert np.allclose(class_weights(codes, power), expected)


def test_without_priorities_every_class_has_its_share():
    sampler = PrioritizedSampler(CODES, size=100_000, seed=1)
    shares = np.bincount(CODES[sampler.rows(0)], minlength=3) / 100_000
    assert np.allclose(shares, [0.6, 0.3, 0.1], atol=0.01)


def test_errors_change_only_the_rows_that_were_learned_from():
    sampler = practice(size=8)
    sampler.update_errors(np.array([3, 7]), np.array([0.9, 0.1], np.float32))
    assert sampler.errors[3] == np.float32(0.9)
    assert sampler.errors[7] == np.float32(0.1)
    assert (np.delete(sampler.errors, [3, 7]) == np.float32(UNSEEN_ERROR)).all()


def test_a_state_before_the_first_step_has_no_next_rows():
    assert set(practice().state()) == {"missed"}
    one, other = practice(size=8), practice(size=8)
    other.restore(one.state())
    assert np.array_equal(one.rows(0), other.rows(0))


def test_a_state_is_a_copy():
    sampler = practice(size=8)
    state = sampler.state()
    sampler.update_errors(np.arange(100), np.ones(100, np.float32))
    assert (state["missed"] == np.float32(UNSEEN_ERROR)).all()
