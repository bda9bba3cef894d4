"""The picture that people see."""

import numpy as np
import pytest

from tests.charts.candles import klines
from vision_ai.charts import mpl, png
from vision_ai.charts.slots import Slots
from vision_ai.charts.theme import THEMES
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


@pytest.mark.parametrize("count", [0, 95, 97])
def test_another_number_of_candles_is_refused(count):
    with pytest.raises(KlinesError, match=f"needs 96 candles .* was given {count}") as caught:
        mpl.draw(klines(n=count), ChartConfig())
    assert "Klines.last_window" in caught.value.hint


def test_candles_with_a_gap_between_them_are_refused():
    whole = klines(n=97)
    rows = np.delete(np.arange(97), 40)
    gapped = Klines(whole.symbol, whole.interval, whole.open_ms[rows], whole.bars[rows])
    with pytest.raises(KlinesError, match="without a gap"):
        mpl.draw(gapped, ChartConfig())


def drawn(candles, **options: object):
    image = png.read(mpl.draw(candles, ChartConfig(**options)))
    limits = (image.meta.x_left, image.meta.x_right)
    edges = (image.meta.price.left, image.meta.price.right)
    return image, Slots.across(edges, limits, 96)


@pytest.mark.parametrize("name", ["light", "dark"])
def test_every_body_has_the_colour_of_its_direction_and_lies_at_its_prices(name):
    candles, theme = klines(seed=7), THEMES[name]
    bars = candles.bars.copy()
    bars[20, 3] = bars[20, 0]  # closed where it opened
    candles = Klines(candles.symbol, candles.interval, candles.open_ms, bars)
    image, slots = drawn(candles, theme=name)
    panel = image.meta.price
    per_price = (panel.bottom - panel.top) / (panel.high - panel.low)
    for row, (opened, *_, closed, _) in enumerate(bars):
        middle = panel.top + (panel.high - (opened + closed) / 2) * per_price
        colour = image.pixels[int(middle), slots.columns(row)[0]]
        expected = {1: theme.up, -1: theme.down, 0: theme.still}[int(np.sign(closed - opened))]
        assert tuple(colour) == expected or abs(opened - closed) * per_price < 1.5


def test_wicks_reach_from_low_to_high_and_no_further():
    candles = klines(seed=8)
    image, slots = drawn(candles, theme="light")
    panel = image.meta.price
    per_price = (panel.bottom - panel.top) / (panel.high - panel.low)
    white = (image.pixels == 255).all(axis=2)
    for row in range(0, 95, 7):
        column = ~white[:, int(slots.centre[row])]
        for end, step in ((candles.bars[row, 1], -1), (candles.bars[row, 2], 1)):
            y = panel.top + (panel.high - end) * per_price
            assert column[int(y - step * 1.5)]
    grid = tuple(THEMES["light"].grid)
    tops = panel.top + (panel.high - candles.bars[:, 1]) * per_price
    above = [image.pixels[int(y) - 4, int(slots.centre[i])] for i, y in enumerate(tops)]
    blank = [tuple(a) in {(255, 255, 255), grid} for a in above]
    assert np.mean(blank) > 0.8  # a line of the grid or of the last price may lie there


def test_volume_bars_are_as_tall_as_their_volume():
    whole = klines(seed=9)
    bars = whole.bars.copy()
    bars[:, 4] = np.arange(1, 97)
    image, slots = drawn(Klines(whole.symbol, whole.interval, whole.open_ms, bars), theme="light")
    panel = image.meta.volume
    theme = THEMES["light"]
    rows = image.pixels[round(panel.top) : round(panel.bottom)]
    inks = np.array([theme.volume_up, theme.volume_down, theme.volume_still])
    heights = [
        (rows[:, int(x)][:, None] == inks).all(axis=2).any(axis=1).sum() for x in slots.centre
    ]
    expected = np.arange(1, 97) / 96 / 1.08 * (panel.bottom - panel.top)
    short = expected - heights  # the soft row at the top, and the panel's frame at the bottom
    assert (short >= 0).all()
    assert (short <= 2).all()


def test_the_price_axis_leaves_four_hundredths_free_above_and_below():
    candles = klines(seed=10)
    image, _ = drawn(candles)
    low, high = candles.bars[:, 2].min(), candles.bars[:, 1].max()
    pad = 0.04 * (high - low)
    assert image.meta.price.low == pytest.approx(low - pad)
    assert image.meta.price.high == pytest.approx(high + pad)
    assert image.meta.volume.low == 0
    assert image.meta.volume.high == pytest.approx(1.08 * candles.bars[:, 4].max())


@pytest.mark.parametrize("size", [(480, 300), (1200, 800), (2400, 1500)])
def test_panels_lie_on_whole_pixels_with_volume_a_fifth_below(size):
    meta = drawn(klines(seed=11), width=size[0], height=size[1])[0].meta
    for panel in (meta.price, meta.volume):
        edges = np.array([panel.left, panel.top, panel.right, panel.bottom])
        assert np.abs(edges - np.rint(edges)).max() < 0.01
    assert (meta.price.left, meta.price.right) == (meta.volume.left, meta.volume.right)
    assert meta.volume.top - meta.price.bottom == pytest.approx(8, abs=0.01)
    share = (meta.volume.bottom - meta.volume.top) / (meta.volume.bottom - meta.price.top)
    assert share == pytest.approx(0.2, abs=0.01)


@pytest.mark.parametrize("rise", [True, False])
def test_the_last_prices_tag_has_the_colour_of_the_last_candle(rise):
    whole = klines(seed=12)
    bars = whole.bars.copy()
    bars[-1, [0, 3]] = sorted(bars[-1, [0, 3]], reverse=not rise)
    image, _ = drawn(Klines(whole.symbol, whole.interval, whole.open_ms, bars), theme="light")
    theme, panel = THEMES["light"], image.meta.price
    margin = image.pixels[:, int(panel.right) + 4 :]
    own, other = (theme.up, theme.down) if rise else (theme.down, theme.up)
    y = panel.top + (panel.high - bars[-1, 3]) / (panel.high - panel.low) * (
        panel.bottom - panel.top
    )
    tag = margin[int(y) - 6 : int(y) + 6]
    assert (tag == own).all(axis=2).any()
    assert not (tag == other).all(axis=2).any()
