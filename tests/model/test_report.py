import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vision_ai.domain import PHASES, READINGS, SETUPS
from vision_ai.model.training import report
from vision_ai.model.training.report import Charts


def made(n, seed):
    """Charts whose picture tells the label: the rows that are lit."""
    rng = np.random.default_rng(seed)
    reading, phase = rng.integers(0, len(READINGS), n), rng.integers(0, len(PHASES), n)
    pictures = np.zeros((n, 192, 96, 3), np.uint8)
    for picture, r, p in zip(pictures, reading, phase, strict=True):
        picture[8 * r : 8 * r + 8, :48] = 200
        picture[8 * p : 8 * p + 8, 48:] = 200
    return Charts(pictures, reading.astype(np.int8), phase.astype(np.int8))


def all_seeing(pictures):
    """Vectors that hold both labels."""
    lit = pictures[:, ::8, :, 0] > 0
    joined = np.concatenate([lit[:, :18, 0], lit[:, :5, -1]], axis=1).astype(np.float32)
    return joined / np.linalg.norm(joined, axis=1, keepdims=True)


def test_a_perfect_model_beats_every_baseline():
    found = report.measure_readers(
        all_seeing, np.eye(23, dtype=np.float32), made(80, 1), made(600, 2)
    )
    for reader in ("prompts", "votes", "probe"):
        assert found[f"{reader}/setup_macro_f1"] > 0.95, reader
        assert found[f"{reader}/phase_macro_f1"] > 0.95, reader
    assert found["majority/setup_macro_f1"] < 0.2
    assert found["majority/phase_macro_f1"] < 0.2


def test_a_blind_model_is_no_better_than_chance():
    def blind(pictures):
        return np.tile(np.float32([[1.0] + [0.0] * 22]), (len(pictures), 1))

    found = report.measure_readers(blind, np.eye(23, dtype=np.float32), made(60, 1), made(60, 2))
    assert found["prompts/reading_macro_f1"] < 0.1
    assert found["pixel_votes/reading_macro_f1"] > found["votes/reading_macro_f1"]


def test_figures_are_named_by_reader_and_measure():
    found = report.measure_readers(all_seeing, np.eye(23, dtype=np.float32), made(9, 1), made(9, 2))
    readers = {name.split("/")[0] for name in found}
    assert readers == {"prompts", "votes", "probe", "pixel_votes", "majority"}
    assert all(0 <= value <= 1 for value in found.values())


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 30), st.integers(1, 10))
def test_nearest_equals_a_full_sort(seed, known_count, k):
    rng = np.random.default_rng(seed)
    queries, known = rng.normal(size=(4, 3)), rng.normal(size=(known_count, 3))
    rows, cosines = report.nearest_rows(queries, known, k)
    similar = queries @ known.T
    expected = -np.sort(-similar, axis=1)[:, : min(k, known_count)]
    assert np.allclose(cosines, expected, atol=1e-5)
    assert np.allclose(np.take_along_axis(similar, rows, 1), expected, atol=1e-5)


def test_a_vote_counts_close_neighbors_more():
    neighbors = np.array([[2, 1, 1]])
    assert report.weighted_vote(neighbors, np.array([[0.99, 0.5, 0.5]]), 3).tolist() == [2]
    assert report.weighted_vote(neighbors, np.array([[0.9, 0.9, 0.9]]), 3).tolist() == [1]


def test_setups_of_readings_follow_the_domain():
    for code, reading in enumerate(READINGS):
        assert SETUPS[report.SETUP_OF_READING[code]] is reading.setup


def test_pixel_vectors_tell_pictures_apart_and_have_unit_length():
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 255, (3, 192, 96, 3), dtype=np.uint8)
    vectors = report.pixel_vectors(pictures)
    assert vectors.shape == (3, 24 * 24)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert report.pixel_vectors(np.zeros((1, 192, 96, 3), np.uint8)).sum() == 0


def test_the_wrong_direction_is_a_right_setup():
    charts = Charts(
        np.zeros((2, 192, 96, 3), np.uint8), np.array([0, 1], np.int8), np.zeros(2, np.int8)
    )
    swapped = np.eye(23, dtype=np.float32)[[1, 0, *range(2, 23)]]
    vectors = np.eye(23, dtype=np.float32)[:2] + np.eye(23, dtype=np.float32)[18]
    found = report.read_by_prompts(vectors, swapped, charts)
    assert found["setup_accuracy"] == 1.0
    assert found["reading_macro_f1"] == 0.0


def test_the_probe_is_scikit_learns_ridge():
    ridge = pytest.importorskip("sklearn.linear_model")
    rng = np.random.default_rng(3)
    exemplars, charts = made(120, 1), made(40, 2)
    known, vectors = rng.normal(size=(120, 6)), rng.normal(size=(40, 6))
    guesses = []
    for codes, classes in ((exemplars.reading, len(READINGS)), (exemplars.phase, len(PHASES))):
        # the intercept is a column of ones, and so penalized like the others
        design = np.c_[known, np.ones(120)]
        model = ridge.Ridge(alpha=1e-2, fit_intercept=False).fit(design, np.eye(classes)[codes])
        guesses.append(model.predict(np.c_[vectors, np.ones(40)]).argmax(axis=1))
    found = report.read_by_probe(vectors, charts, known, exemplars)
    assert found["phase_accuracy"] == pytest.approx((guesses[1] == charts.phase).mean())
    setups = report.SETUP_OF_READING
    right = (setups[guesses[0]] == setups[charts.reading]).mean()
    assert found["setup_accuracy"] == pytest.approx(right)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31))
def test_weighted_votes_equal_a_loop(seed):
    rng = np.random.default_rng(seed)
    codes, cosines = rng.integers(0, 4, (6, 5)), rng.uniform(0.5, 1, (6, 5))
    found = report.weighted_vote(codes, cosines, 4)
    for row in range(6):
        count = [0.0] * 4
        for code, cosine in zip(codes[row], cosines[row], strict=True):
            count[code] += np.exp(-20 * (1 - cosine))
        assert found[row] == int(np.argmax(count))


def test_the_majority_is_the_commonest_label_of_the_exemplars():
    charts, exemplars = made(50, 1), made(50, 2)
    reading = np.bincount(exemplars.reading).argmax()
    found = report.read_by_majority(charts, exemplars)
    setups = report.SETUP_OF_READING
    expected = (setups[charts.reading] == setups[reading]).mean()
    assert found["setup_accuracy"] == pytest.approx(expected)
