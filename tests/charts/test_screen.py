"""Candles measured on pictures."""

import tracemalloc

import numpy as np
import pytest

from tests.charts.candles import klines
from vision_ai.charts import mpl, png, raster, screen
from vision_ai.config import ChartConfig
from vision_ai.errors import ImageError


def seen(candles, config):
    return screen.read_bars(png.read(mpl.draw(candles, config)))


def gap(bars, read):
    """Mean absolute difference of the two model views, in grey levels of 255."""
    return np.abs(raster.render(bars[None]).astype(int) - raster.render(read)).mean()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("price", [1e-8, 100.0, 1e8])
def test_our_own_picture_is_read_almost_exactly(theme, price):
    candles = klines(seed=1, price=price)
    read = seen(candles, ChartConfig(theme=theme))
    assert read.shape == (1, 96, 5)
    assert gap(candles.bars, read) < 0.25
    assert read[0, :, 3] == pytest.approx(candles.bars[:, 3], rel=1e-3)


@pytest.mark.parametrize("size", [(800, 500), (2000, 1200)])
def test_our_own_picture_is_read_at_other_sizes(size):
    candles = klines(seed=2)
    read = seen(candles, ChartConfig(width=size[0], height=size[1]))
    assert gap(candles.bars, read) < 0.4


def test_directions_are_read_without_error():
    candles = klines(seed=3)
    read = seen(candles, ChartConfig())[0]
    truth = candles.bars
    assert (np.sign(read[:, 3] - read[:, 0]) == np.sign(truth[:, 3] - truth[:, 0])).all()


def test_pixels_count_and_not_the_stored_candles():
    image = png.read(mpl.draw(klines(seed=4), ChartConfig()))
    other = png.read(mpl.draw(klines(seed=5), ChartConfig()))
    swapped = screen.read_bars(png.ChartImage(other.pixels, image.meta))
    assert gap(klines(seed=5).bars, swapped) < gap(klines(seed=4).bars, swapped)


def test_an_erased_candle_is_named():
    image = png.read(mpl.draw(klines(seed=6), ChartConfig()))
    blank = np.zeros_like(image.pixels) + image.pixels[0, 0]
    with pytest.raises(ImageError, match="no candle at place 1"):
        screen.read_bars(png.ChartImage(blank, image.meta))


def test_a_large_picture_is_measured_in_little_memory():
    config = ChartConfig(width=2400, height=1500)
    image = png.read(mpl.draw(klines(seed=7), config))
    tracemalloc.start()
    screen.read_bars(image)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * image.pixels.nbytes  # held tenfold and more it would be 20 times
