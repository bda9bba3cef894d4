import numpy as np
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
