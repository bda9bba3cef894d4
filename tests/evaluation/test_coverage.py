"""Coverage of bands, cell by cell, and how far chance alone moves the worst cell."""

import numpy as np
import pytest

from vision_ai.evaluation import coverage

LEVEL = np.array([0.8])


def drawn(n: int = 2400, share: float = 0.8, seed: int = 0):
    """Charts in blocks of ten and six cells, whose bands hold as often as they say."""
    rng = np.random.default_rng(seed)
    hits = (rng.random((n, 1)) < share).astype(float)
    return hits, rng.integers(0, 6, n), np.arange(n) // 10


def test_the_error_is_that_of_the_worst_cell_that_is_not_too_small():
    value = np.array([0.0] * 30 + [5.0] * 29 + [np.nan])
    hits = coverage.held(np.full(60, -1.0), np.full(60, 1.0), value)[:, None]
    assert np.isnan(hits[-1, 0])
    cell = np.repeat([0, 1], 30)
    assert [found.share for found in coverage.cells(hits, cell)] == [1.0, 0.0]
    assert coverage.error(hits, cell, LEVEL) == pytest.approx(0.2)  # 29 known are too few
    hits[-1] = 0.0
    assert coverage.error(hits, cell, LEVEL) == pytest.approx(0.8)
    assert np.isnan(coverage.error(hits[:20], cell[:20], LEVEL))


def test_noise_is_the_error_that_right_bands_show():
    errors = [coverage.error(*drawn(seed=seed)[:2], LEVEL) for seed in range(60)]
    noise = coverage.noise(*drawn())
    assert noise.value == pytest.approx(np.mean(errors), abs=0.008)
    hits, cell, block = drawn(share=0.7)
    assert coverage.error(hits, cell, LEVEL) > coverage.noise(hits, cell, block).high
    few = coverage.noise(*(part[:600] for part in drawn()))
    assert few.value > 1.5 * noise.value


def test_noise_grows_where_charts_of_a_block_move_together():
    rng = np.random.default_rng(1)
    block = np.arange(2400) // 40
    together = (rng.random(60) < 0.8).astype(float)[block][:, None]
    cell = np.zeros(2400, int)
    assert coverage.noise(together, cell, block).value > 0.03
    assert coverage.noise(together, cell, np.arange(2400)).value < 0.01  # rows are not blocks


def test_intervals_hold_the_shares_of_the_cells():
    hits, cell, block = drawn(600)
    found = coverage.intervals(hits, cell, block)
    shares = [each.share for each in coverage.cells(hits, cell)]
    assert [estimate.value for estimate in found] == shares
    assert all(each.low < each.value < each.high for each in found)
    assert found == coverage.intervals(hits, cell, block)
    assert coverage.intervals(np.full((5, 1), np.nan), cell[:5], block[:5]) == []
