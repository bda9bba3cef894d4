"""The stem: pixels to OHLCV by a coordinate basis."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.model import making
from vision_ai.charts import raster
from vision_ai.domain import WINDOW
from vision_ai.model.training import batches, stem
from vision_ai.model.training.stem import PIXEL_ROWS, PRICE_ROWS, Stem

pytestmark = pytest.mark.train


def read(pictures, seed=0):
    """What an untrained stem reads, without the random correction that only training shapes."""
    torch.manual_seed(seed)
    reader = Stem(128)
    torch.nn.init.zeros_(reader.correction.weight)
    torch.nn.init.zeros_(reader.correction.bias)
    pixels = torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float() / 255
    with torch.no_grad():
        return reader(pixels).numpy()


def candles(seed=1):
    table = making.klines(seed=seed)
    return table.windows(table.window_ends()[::60])


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(0, 1, width=32), min_size=PIXEL_ROWS, max_size=PIXEL_ROWS))
def test_the_basis_sums_mass_and_coordinates_of_both_panels(column):
    values = np.array(column)
    sums = stem._coordinate_basis().numpy() @ values
    for panel, (start, stop) in enumerate(((0, PRICE_ROWS), (PRICE_ROWS, PIXEL_ROWS))):
        rows = values[start:stop]
        height = 1 - np.arange(len(rows)) / (len(rows) - 1)
        assert sums[2 * panel] == pytest.approx(rows.sum(), abs=1e-3)
        assert sums[2 * panel + 1] == pytest.approx((rows * height).sum(), abs=1e-3)
    coarse = values.reshape(-1, stem.BIN_ROWS).mean(axis=1)
    assert np.allclose(sums[4:], coarse, atol=1e-4)


def test_one_lit_row_is_read_at_its_coordinate():
    basis = stem._coordinate_basis().numpy()
    for row in (0, 40, PRICE_ROWS - 1):
        column = np.zeros(PIXEL_ROWS)
        column[row] = 1
        mass, weighted = basis[:2] @ column
        assert weighted / mass == pytest.approx(1 - row / (PRICE_ROWS - 1), abs=1e-6)


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 1000))
def test_an_untrained_stem_reads_the_canonical_drawing(seed):
    bars = candles(seed)
    prices = read(raster.render(bars), seed)[..., :4]
    truth = batches.scale_ohlcv(bars)[..., :4]
    assert np.abs(prices - truth).mean() < 0.01
    # law broken: another chart's candles
    assert np.abs(prices - truth[::-1]).mean() > 0.1


def test_an_untrained_stem_reads_volume_to_a_few_hundredths():
    bars = candles()
    assert (
        np.abs(read(raster.render(bars))[..., 4] - batches.scale_ohlcv(bars)[..., 4]).mean() < 0.04
    )


def test_a_candle_is_read_from_its_own_column_alone():
    pictures = raster.render(candles()[:1])
    swapped = pictures.copy()
    swapped[:, :, [3, 70]] = pictures[:, :, [70, 3]]
    one, other = read(pictures), read(swapped)
    rest = [column for column in range(WINDOW) if column not in (3, 70)]
    assert np.allclose(one[:, rest], other[:, rest], atol=1e-5)
    assert np.allclose(one[:, [3, 70]], other[:, [70, 3]], atol=1e-5)


def test_highs_are_read_above_lows():
    ohlcv = read(raster.render(candles()))
    assert (ohlcv[..., 1] >= ohlcv[..., 2]).all()


def test_an_empty_picture_is_read_without_a_division_by_zero():
    assert np.isfinite(read(np.zeros((1, PIXEL_ROWS, WINDOW, 3), np.uint8))).all()
