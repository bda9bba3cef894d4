import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vision_ai.domain import READINGS, SETUPS
from vision_ai.measures import scores


def brute_macro_f1(truth, guess):
    f1 = []
    for code in set(truth.tolist()):
        hit = ((truth == code) & (guess == code)).sum()
        wrong = ((truth == code) ^ (guess == code)).sum()
        f1.append(2 * hit / (2 * hit + wrong))
    return np.mean(f1)


codes = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 5)), min_size=1, max_size=30)


@settings(max_examples=50, deadline=None)
@given(codes)
def test_macro_f1_equals_brute_force(pairs):
    truth, guess = np.array(pairs).T
    assert scores.macro_f1(truth, guess) == pytest.approx(brute_macro_f1(truth, guess))


def test_macro_f1_of_nothing_is_zero():
    assert scores.macro_f1(np.empty(0, int), np.empty(0, int)) == 0.0


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 30), st.integers(1, 10))
def test_nearest_equals_a_full_sort(seed, known_count, k):
    rng = np.random.default_rng(seed)
    queries, known = rng.normal(size=(4, 3)), rng.normal(size=(known_count, 3))
    rows, cosines = scores.nearest(queries, known, k)
    similar = queries @ known.T
    expected = -np.sort(-similar, axis=1)[:, : min(k, known_count)]
    assert np.allclose(cosines, expected, atol=1e-5)
    assert np.allclose(np.take_along_axis(similar, rows, 1), expected, atol=1e-5)


def test_a_vote_counts_close_neighbours_more():
    neighbours = np.array([[2, 1, 1]])
    assert scores.vote(neighbours, np.array([[0.99, 0.5, 0.5]]), 3).tolist() == [2]
    assert scores.vote(neighbours, np.array([[0.9, 0.9, 0.9]]), 3).tolist() == [1]


def test_setups_of_readings_follow_the_domain():
    for code, reading in enumerate(READINGS):
        assert SETUPS[scores.SETUP_OF_READING[code]] is reading.setup


def test_the_wrong_direction_is_a_right_setup():
    truth, guess = np.array([0, 1]), np.array([1, 0])
    found = scores.reading_scores(truth, guess)
    assert found["setup_accuracy"] == 1.0
    assert found["reading_macro_f1"] == 0.0


def test_pixel_vectors_tell_pictures_apart_and_have_unit_length():
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 255, (3, 192, 96, 3), dtype=np.uint8)
    vectors = scores.pixel_vectors(pictures)
    assert vectors.shape == (3, 24 * 24)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert scores.pixel_vectors(np.zeros((1, 192, 96, 3), np.uint8)).sum() == 0
