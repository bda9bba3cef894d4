"""Candles measured on pictures."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.charts.candles import klines
from vision_ai.charts import mpl, png, raster, slots
from vision_ai.charts.meta import Panel
from vision_ai.charts.screenshots import recovery
from vision_ai.charts.theme import THEMES
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


def check_ends(seed, theme, width, height):
    """Draw odd candles, read them, and compare every end."""
    candles = odd(seed)
    config = ChartConfig(theme=theme, width=width, height=height)
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


@pytest.mark.parametrize(
    ("seed", "theme", "width", "height"), [(1, "dark", 480, 300), (2, "light", 900, 540)]
)
def test_ends_are_read_to_a_part_of_a_pixel(seed, theme, width, height):
    check_ends(seed, theme, width, height)


@pytest.mark.slow
@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    theme=st.sampled_from(["dark", "light"]),
    width=st.integers(480, 1800),
    shape=st.floats(0.5, 0.8),
)
def test_ends_are_read_at_any_size(seed, theme, width, shape):
    check_ends(seed, theme, width, max(int(width * shape), 300))


@pytest.mark.parametrize("price", [1e-8, 1.234e-5, 1e8])
def test_the_smallest_picture_with_the_longest_labels_is_read(price):
    candles = klines(seed=8, price=price)
    read = seen(candles, ChartConfig(width=480, height=300))[0]
    truth = candles.bars
    assert (np.sign(read[:, 3] - read[:, 0]) == np.sign(truth[:, 3] - truth[:, 0])).all()
    assert np.abs(read[:, 4] / read[:, 4].max() - truth[:, 4] / truth[:, 4].max()).max() < 0.02


@pytest.mark.parametrize(
    "height",
    [500, 503, *(pytest.param(h, marks=pytest.mark.slow) for h in (501, 502, *range(504, 512)))],
)
def test_candles_that_end_alike_are_no_line_of_the_grid(height):
    bars = klines(seed=9).bars.copy()
    bars[:, [0, 3]] = np.where(np.arange(96)[:, None] % 2 == 0, [100.0, 100.2], [100.2, 100.0])
    bars[:, 1], bars[:, 2] = 100.2, 100.0
    bars[40, 1] = 101.0
    whole = klines(seed=9)
    candles = Klines(whole.symbol, whole.interval, whole.open_ms, bars)
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
    with pytest.raises(ImageError, match="Candle 1 of 96 cannot be seen"):
        recovery.read_bars(png.ChartImage(blank, image.meta))


@pytest.mark.slow
def test_a_large_picture_is_measured_in_little_memory():
    config = ChartConfig(width=2400, height=1500)
    image = png.read(mpl.draw(klines(seed=7), config))
    tracemalloc.start()
    recovery.read_bars(image)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * image.pixels.nbytes  # held tenfold and more it would be 20 times


@given(st.floats(0, 40), st.floats(1, 30))
def test_an_edge_is_found_to_a_part_of_a_pixel(top, height):
    """Against a bar whose coverage of each row is known."""
    rows = np.arange(80)
    cover = np.clip(np.minimum(rows + 1, top + height) - np.maximum(rows, top), 0, 1)
    if 0 < cover[int(top)] <= recovery._LEAST_SHARE:
        return  # so faint a row counts as background
    middle = int(np.argmax(cover))
    assert recovery._upper_edge(cover, middle) == pytest.approx(top, abs=1e-9)


def strip(cover, colour, behind=(19, 23, 34)):
    """A candle's columns whose rows are covered by a colour to the given shares."""
    share = np.asarray(cover, float)[:, None, None]
    ground = np.tile(np.array(behind, float), (len(cover), 3, 1))
    change = share * (np.array(colour) - ground)
    theme = THEMES["dark"]
    return recovery._CandleColumns(change, ground, (theme.up, theme.down, theme.still))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20), st.sampled_from([0, 1, 2]))
def test_a_mixture_of_two_colours_gives_back_its_share(cover, kind):
    theme = THEMES["dark"]
    colour = (theme.up, theme.down, theme.still)[kind]
    found = strip(cover, colour).cover(kind)
    assert found == pytest.approx(np.tile(np.array(cover)[:, None], 3))


@pytest.mark.parametrize("kind", [0, 1, 2])
@pytest.mark.parametrize("strength", [0.3, 1.0])
def test_a_candle_is_known_by_the_colour_of_its_fullest_rows(kind, strength):
    theme = THEMES["dark"]
    colour = (theme.up, theme.down, theme.still)[kind]
    assert strip([0, 0.1, strength, strength, 0], colour).kind() == kind


def test_faint_traces_and_empty_columns_are_no_candle():
    assert strip([0, 0.2, 0.1], THEMES["dark"].up).kind() is None
    assert strip([], THEMES["dark"].up).kind() is None


def test_a_height_is_turned_into_a_price_linearly_and_stays_positive():
    panel = Panel(left=0, top=100, right=50, bottom=300, low=10, high=30)
    assert [recovery._value(panel, row) for row in (0, 100, 200)] == [30, 20, 10]
    sunken = panel.model_copy(update={"low": -30.0})
    assert recovery._value(sunken, 200) == pytest.approx(30e-6)
