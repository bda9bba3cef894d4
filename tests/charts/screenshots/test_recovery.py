"""Candles measured on pictures."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.charts.candles import klines
from vision_ai.charts import mpl, png, raster, slots
from vision_ai.charts.screenshots import recovery
from vision_ai.config import ChartConfig
from vision_ai.domain import Klines
from vision_ai.errors import ImageError


def seen(candles, config):
    return recovery.read_bars(png.read(mpl.draw(candles, config)))


def gap(bars, read):
    """Mean absolute difference of the two model views, in grey levels of 255."""
    return np.abs(raster.render(bars[None]).astype(int) - raster.render(read)).mean()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("price", [1e-8, 100.0, 1e8])
def test_our_own_picture_is_read_almost_exactly(theme, price):
    candles = klines(seed=1, price=price)
    read = seen(candles, ChartConfig(theme=theme))
    assert read.shape == (1, 96, 5)
    assert gap(candles.bars, read) < 0.1
    assert read[0, :, 3] == pytest.approx(candles.bars[:, 3], rel=1e-3)


@pytest.mark.parametrize("size", [(800, 500), (2000, 1200)])
def test_our_own_picture_is_read_at_other_sizes(size):
    candles = klines(seed=2)
    read = seen(candles, ChartConfig(width=size[0], height=size[1]))
    assert gap(candles.bars, read) < 0.15


def test_directions_are_read_without_error():
    candles = klines(seed=3)
    read = seen(candles, ChartConfig())[0]
    truth = candles.bars
    assert (np.sign(read[:, 3] - read[:, 0]) == np.sign(truth[:, 3] - truth[:, 0])).all()


def pixels_off(candles, image):
    """How far read prices lie from the true ones: (96, 4), in pixels of the price panel."""
    panel = image.meta.price
    height = (panel.bottom - panel.top) / (panel.high - panel.low)
    return np.abs(recovery.read_bars(image)[0, :, :4] - candles.bars[:, :4]) * height


def odd(seed):
    """A walk with flat candles, bodies of no or hardly any height, absent wicks and volume."""
    rng, whole = np.random.default_rng(seed), klines(seed=seed)
    bars = whole.bars.copy()
    some = rng.random((5, 96)) < 0.15
    bars[some[0], 0] = bars[some[0], 3]
    bars[some[1], 0] += 0.97 * (bars[some[1], 3] - bars[some[1], 0])
    body = np.sort(bars[:, [0, 3]], axis=1)
    bars[some[2], 1], bars[some[3], 2] = body[some[2], 1], body[some[3], 0]
    flat = some[0] & (some[1] | some[4])
    bars[flat, 1] = bars[flat, 2] = bars[flat, 3]
    bars[some[4], 4] = 0
    return Klines(whole.symbol, whole.interval, whole.open_ms, bars)


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    theme=st.sampled_from(["dark", "light"]),
    width=st.integers(480, 1800),
    shape=st.floats(0.5, 0.8),
)
def test_ends_are_read_to_a_part_of_a_pixel(seed, theme, width, shape):
    candles = odd(seed)
    config = ChartConfig(theme=theme, width=width, height=max(int(width * shape), 300))
    image = png.read(mpl.draw(candles, config))
    off = pixels_off(candles, image)
    assert off[:, [0, 3]].max() < 0.25
    assert off[:, [1, 2]].max() < slots.RIM  # bodies without a rim would hide short wicks
    assert np.quantile(off, 0.98) < 0.15
    assert np.median(off) < 0.02
    read = recovery.read_bars(image)[0]
    rise = np.sign(candles.bars[:, 3] - candles.bars[:, 0])
    assert (np.sign(read[:, 3] - read[:, 0]) == rise).all()
    volume = candles.bars[:, 4] / candles.bars[:, 4].max()
    assert np.abs(read[:, 4] / read[:, 4].max() - volume).max() < 0.01


@pytest.mark.parametrize("price", [1e-8, 1.234e-5, 1e8])
def test_the_smallest_picture_with_the_longest_labels_is_read(price):
    candles = klines(seed=8, price=price)
    read = seen(candles, ChartConfig(width=480, height=300))[0]
    truth = candles.bars
    assert (np.sign(read[:, 3] - read[:, 0]) == np.sign(truth[:, 3] - truth[:, 0])).all()
    assert np.abs(read[:, 4] / read[:, 4].max() - truth[:, 4] / truth[:, 4].max()).max() < 0.02


def test_candles_that_end_alike_are_no_line_of_the_grid():
    bars = klines(seed=9).bars.copy()
    bars[:, [0, 3]] = np.where(np.arange(96)[:, None] % 2 == 0, [100.0, 100.2], [100.2, 100.0])
    bars[:, 1], bars[:, 2] = 100.2, 100.0
    bars[40, 1] = 101.0
    whole = klines(seed=9)
    candles = Klines(whole.symbol, whole.interval, whole.open_ms, bars)
    for height in range(500, 512):
        image = png.read(mpl.draw(candles, ChartConfig(width=800, height=height)))
        assert pixels_off(candles, image).max() < 0.2


@pytest.mark.parametrize(("low", "high"), [(-1e308, 1e308), (0.0, 5e-324), (-2.0, -1.0)])
def test_a_false_price_axis_is_refused(low, high):
    image = png.read(mpl.draw(klines(seed=10), ChartConfig()))
    axis = image.meta.price.model_copy(update={"low": low, "high": high})
    with pytest.raises(ImageError, match="price axis"):
        recovery.read_bars(
            png.ChartImage(image.pixels, image.meta.model_copy(update={"price": axis}))
        )


def test_pixels_count_and_not_the_stored_candles():
    image = png.read(mpl.draw(klines(seed=4), ChartConfig()))
    other = png.read(mpl.draw(klines(seed=5), ChartConfig()))
    swapped = recovery.read_bars(png.ChartImage(other.pixels, image.meta))
    assert gap(klines(seed=5).bars, swapped) < gap(klines(seed=4).bars, swapped)


def test_an_erased_candle_is_named():
    image = png.read(mpl.draw(klines(seed=6), ChartConfig()))
    blank = np.zeros_like(image.pixels) + image.pixels[0, 0]
    with pytest.raises(ImageError, match="no candle at place 1"):
        recovery.read_bars(png.ChartImage(blank, image.meta))


def test_a_large_picture_is_measured_in_little_memory():
    config = ChartConfig(width=2400, height=1500)
    image = png.read(mpl.draw(klines(seed=7), config))
    tracemalloc.start()
    recovery.read_bars(image)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * image.pixels.nbytes  # held tenfold and more it would be 20 times
