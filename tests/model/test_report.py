import numpy as np

from vision_ai.domain import PHASES, READINGS
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
    found = report.figures(all_seeing, np.eye(23, dtype=np.float32), made(80, 1), made(600, 2))
    for reader in ("prompts", "votes", "probe"):
        assert found[f"{reader}/setup_macro_f1"] > 0.95, reader
        assert found[f"{reader}/phase_macro_f1"] > 0.95, reader
    assert found["majority/setup_macro_f1"] < 0.2
    assert found["majority/phase_macro_f1"] < 0.2


def test_a_blind_model_is_no_better_than_chance():
    def blind(pictures):
        return np.tile(np.float32([[1.0] + [0.0] * 22]), (len(pictures), 1))

    found = report.figures(blind, np.eye(23, dtype=np.float32), made(60, 1), made(60, 2))
    assert found["prompts/reading_macro_f1"] < 0.1
    assert found["pixel_votes/reading_macro_f1"] > found["votes/reading_macro_f1"]


def test_figures_are_named_by_reader_and_measure():
    found = report.figures(all_seeing, np.eye(23, dtype=np.float32), made(9, 1), made(9, 2))
    readers = {name.split("/")[0] for name in found}
    assert readers == {"prompts", "votes", "probe", "pixel_votes", "majority"}
    assert all(0 <= value <= 1 for value in found.values())
