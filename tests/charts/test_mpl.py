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


def test_another_number_of_candles_is_refused():
    with pytest.raises(KlinesError, match="96"):
        mpl.draw(klines(n=95), ChartConfig())
