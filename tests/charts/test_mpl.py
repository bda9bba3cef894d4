"""The picture that people see."""

import numpy as np
import pytest

from tests.charts.candles import klines
from vision_ai.charts import mpl, png
from vision_ai.config import ChartConfig
from vision_ai.domain import Klines
from vision_ai.errors import KlinesError


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_chart_has_the_size_and_says_what_it_shows(theme):
    candles = klines(seed=1)
    image = png.read(mpl.draw(candles, ChartConfig(theme=theme)))
    assert image.pixels.shape == (800, 1200, 3)
    assert image.meta is not None
    assert image.meta.symbol == "BTCUSDT"
    assert image.meta.interval == "15m"
    assert image.meta.klines == candles.digest
    assert image.meta.first_open_ms == candles.open_ms[0]
    assert image.meta.last_open_ms == candles.open_ms[-1]
    assert image.meta.style == theme


def test_equal_candles_give_equal_bytes():
    assert mpl.draw(klines(seed=2), ChartConfig()) == mpl.draw(klines(seed=2), ChartConfig())


def test_plot_rectangles_hold_every_pixel_of_the_candles():
    image = png.read(mpl.draw(klines(seed=3), ChartConfig(theme="dark")))
    green = (image.pixels == (38, 166, 154)).all(axis=2)
    rows, columns = np.nonzero(green[60:])
    panel = image.meta.price
    assert panel.top <= rows.min() + 60
    assert rows.max() + 60 <= panel.bottom
    assert panel.left <= columns.min()


@pytest.mark.parametrize("price", [1e-8, 1e8])
def test_extreme_prices_are_drawn(price):
    image = png.read(mpl.draw(klines(seed=4, price=price), ChartConfig()))
    assert image.meta.price.low < price * 1.05
    assert image.meta.price.high > price * 0.95


def test_a_flat_market_without_volume_is_drawn():
    bars = np.ones((96, 5))
    bars[:, 4] = 0
    flat = Klines("BTCUSDT", klines().interval, klines().open_ms, bars)
    assert png.read(mpl.draw(flat, ChartConfig())).meta is not None


def test_drawing_leaves_no_figure_and_no_setting_behind():
    import matplotlib as mpl_settings
    from matplotlib import pyplot

    before = dict(mpl_settings.rcParams)
    mpl.draw(klines(seed=5), ChartConfig())
    assert pyplot.get_fignums() == []
    assert dict(mpl_settings.rcParams) == before


SMALL = [(480, 320), (480, 480), (800, 533), (1200, 800)]


def inked(part):
    """Where a part of a picture differs from its own commonest colour."""
    colours, counts = np.unique(part.reshape(-1, 3), axis=0, return_counts=True)
    return (part != colours[counts.argmax()]).any(axis=2)


@pytest.mark.parametrize("size", SMALL)
@pytest.mark.parametrize("symbol", ["BTCUSDT", "1000000BABYDOGEUSDT"])
def test_titles_and_times_have_room(size, symbol):
    candles = klines(seed=6, price=1e-7)
    named = Klines(symbol, candles.interval, candles.open_ms, candles.bars)
    image = png.read(mpl.draw(named, ChartConfig(width=size[0], height=size[1])))
    assert not inked(image.pixels[:54, -10:]).any()
    times = inked(image.pixels[-22:]).any(axis=0)
    ends = np.flatnonzero(np.diff(np.pad(times, 1).astype(int)))
    starts, stops = ends[::2], ends[1::2]
    between = starts[1:] - stops[:-1]
    words = np.split(np.arange(len(starts)), np.flatnonzero(between >= 6) + 1)
    assert len(words) >= 3
    assert max(stops[word[-1]] - starts[word[0]] for word in words) <= 56  # "15 Jun" has 42


@pytest.mark.parametrize("seed", range(8))
def test_the_last_price_hides_no_half_of_a_label(seed):
    image = png.read(mpl.draw(klines(seed=seed), ChartConfig(theme="light")))
    panel = image.meta.price
    margin = image.pixels[int(panel.top) : int(panel.bottom), int(panel.right) + 8 :]
    tag = (margin[:, 0] != margin[0, 0]).any(axis=1)
    top, bottom = np.flatnonzero(tag)[[0, -1]]
    text = inked(margin).any(axis=1)
    for beside in (text[max(top - 3, 0) : top - 1], text[bottom + 2 : bottom + 4]):
        assert not beside.any()


def test_another_number_of_candles_is_refused():
    with pytest.raises(KlinesError, match="96"):
        mpl.draw(klines(n=95), ChartConfig())
