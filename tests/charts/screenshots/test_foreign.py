"""Candles measured on other people's charts."""

import dataclasses
import functools
import io
import logging
import warnings

import mplfinance as mpf
import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageDraw

from tests.charts.candles import klines
from vision_ai.charts import mpl, png, raster
from vision_ai.charts.screenshots import chain, foreign, recovery
from vision_ai.config import ChartConfig
from vision_ai.errors import ImageError

DESKS = {
    "light": ((255, 255, 255), (240, 243, 250), (19, 23, 34), (38, 166, 154), (239, 83, 80)),
    "dark": ((19, 23, 34), (30, 34, 45), (209, 212, 220), (38, 166, 154), (239, 83, 80)),
    "black": ((16, 16, 20), (28, 28, 33), (173, 177, 184), (32, 178, 108), (239, 69, 74)),
}
"""Ground, grid, text, up and down of trading terminals in the browser."""
STYLES = ("binance", "classic", "default", "nightclouds", "tradingview", "yahoo")
STEP = 0.002


@functools.cache
def screenshot(style, count=104, seed=1, size=(12, 8), volume=True, averages=()):
    """What mplfinance draws of seeded candles, as PNG bytes."""
    candles = klines(n=count, seed=seed, step=STEP)
    frame = pd.DataFrame(
        candles.bars,
        columns=["Open", "High", "Low", "Close", "Volume"],
        index=pd.to_datetime(candles.open_ms, unit="ms"),
    )
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        more = {"mav": averages} if averages else {}
        mpf.plot(
            frame, type="candle", style=style, volume=volume, figsize=size, savefig=buffer, **more
        )
    return buffer.getvalue()


def crashed(count=118, seed=1):
    """Candles of which one fell by more than the whole chart's range, and came back."""
    bars = klines(n=count, seed=seed, step=STEP).bars.copy()
    bars[count // 2, 2] -= 1.2 * (bars[:, 1].max() - bars[:, 2].min())
    return bars


def terminal(theme, count=118, size=(1280, 720), volume=True, bars=None, ahead=0):
    """A chart as trading terminals draw it, as PNG bytes, with `ahead` free slots at its end.

    Volume stands behind the candles, a dotted line of the last price runs over all of them to a tag
    that touches the last candle, and the only texts are those of the axes.
    """
    ground, grid, text, *colours = DESKS[theme]
    bars = klines(n=count, seed=1, step=STEP).bars if bars is None else bars
    image = Image.new("RGB", size, ground)
    pen = ImageDraw.Draw(image)
    right, floor = size[0] - 66, size[1] - 28
    pitch = right / (count + ahead)
    low, high = bars[:, 2].min(), bars[:, 1].max()

    def row(price):
        return round(floor * (0.1 + (0.62 if volume else 0.8) * (high - price) / (high - low)))

    for i in range(0, count + ahead, 12):
        x = round((i + 0.5) * pitch)
        pen.line((x, 0, x, floor), fill=grid)
        pen.text((x - 14, floor + 8), f"{i // 4 % 24:02}:00", fill=text)
    for price in np.linspace(low, high, 9):
        pen.line((0, row(price), right, row(price)), fill=grid)
        pen.text((right + 9, row(price) - 5), f"{price:.2f}", fill=text)
    half = max(int(pitch * 0.33), 1)
    for i, (opened, top, bottom, closed, busy) in enumerate(bars.tolist()):
        x, colour = round((i + 0.5) * pitch), colours[closed < opened]
        if volume:
            pale = tuple((a + b) // 2 for a, b in zip(colour, ground, strict=True))
            tall = round(0.2 * floor * busy / bars[:, 4].max())
            pen.rectangle((x - half, floor - tall, x + half, floor - 1), fill=pale)
        pen.line((x, row(top), x, row(bottom)), fill=colour)
        ends = sorted((row(opened), row(closed)))
        pen.rectangle((x - half, ends[0], x + half, ends[1]), fill=colour)
    last, colour = row(bars[-1, 3]), colours[int(bars[-1, 3] < bars[-1, 0])]
    for x in range(0, right, 3):
        pen.point((x, last), fill=colour)
    pen.rectangle((right, last - 10, size[0] - 6, last + 10), fill=colour)
    pen.text((right + 9, last - 5), f"{bars[-1, 3]:.2f}", fill=(255, 255, 255))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def as_jpeg(picture: bytes) -> bytes:
    buffer = io.BytesIO()
    Image.open(io.BytesIO(picture)).convert("RGB").save(buffer, "JPEG", quality=80)
    return buffer.getvalue()


def check(read, count=104, seed=1, volume=True):
    truth = klines(n=count, seed=seed, step=STEP).bars[-96:]
    price = slice(0, 2)  # red and green: what the price panel is drawn in
    gap = np.abs(raster.render(truth[None]).astype(int) - raster.render(read))[..., price].mean()
    assert gap < 2
    rises = np.sign(read[0, :, 3] - read[0, :, 0]) == np.sign(truth[:, 3] - truth[:, 0])
    assert rises.mean() > 0.9
    assert np.corrcoef(np.log(read[0, :, 3]), np.log(truth[:, 3]))[0, 1] > 0.995
    assert read[0, :, 4].any() == volume


@pytest.mark.parametrize("style", STYLES)
def test_a_screenshot_is_read(style):
    check(recovery.read_bars(png.read(screenshot(style))))


def test_a_screenshot_without_volume_is_read():
    check(recovery.read_bars(png.read(screenshot("yahoo", volume=False))), volume=False)


def test_a_compressed_screenshot_is_read():
    check(recovery.read_bars(png.read(as_jpeg(screenshot("tradingview")))))


@pytest.mark.parametrize("theme", DESKS)
@pytest.mark.parametrize(
    ("size", "count"), [((1000, 620), 96), ((1280, 720), 118), ((1920, 1000), 140)]
)
def test_a_trading_terminal_is_read(theme, size, count):
    picture = terminal(theme, count=count, size=size)
    check(recovery.read_bars(png.read(picture)), count=count)
    check(recovery.read_bars(png.read(as_jpeg(picture))), count=count)


def test_a_wick_over_half_the_picture_is_no_grid_line():
    bars = crashed()
    read = recovery.read_bars(png.read(terminal("dark", bars=bars)))
    lows, found = (np.log(each[-96:, 2]) for each in (bars, read[0]))
    assert np.argmin(found) == np.argmin(lows)
    assert np.corrcoef(lows, found)[0, 1] > 0.999


def test_letters_of_a_time_axis_are_no_volume():
    read = recovery.read_bars(png.read(terminal("light", volume=False)))
    check(read, count=118, volume=False)


@pytest.mark.parametrize("theme", DESKS)
@pytest.mark.parametrize("volume", [True, False])
def test_a_grid_line_beside_the_last_candle_is_no_candle(theme, volume):
    drawn = terminal(theme, count=108, size=(800, 500), volume=volume, ahead=10)
    pixels = png.read(drawn).pixels.copy()
    beside = round(108.5 * (800 - 66) / 118)
    row = pixels[:472, beside]
    row[np.abs(row.astype(int) - DESKS[theme][0]).max(axis=1) < 20] = (128, 128, 128)
    check(foreign.read_foreign(pixels), count=108, volume=volume)


def far_ends(read, count=104, seed=1):
    """How many wicks and bodies end more than a fiftieth of the chart's range from their place."""
    truth = klines(n=count, seed=seed, step=STEP).bars[-96:, :4]
    found = np.log(read[0, :, :4])
    slope, shift = np.polyfit(found[:, 1:3].ravel(), truth[:, 1:3].ravel(), 1)
    found = slope * found + shift
    bodies = [
        end(found[:, [0, 3]], axis=1) - end(truth[:, [0, 3]], axis=1) for end in (np.max, np.min)
    ]
    limit = 0.02 * (truth.max() - truth.min())
    return tuple(
        int((np.abs(far).max(axis=1) > limit).sum())
        for far in ((found - truth)[:, 1:3], np.stack(bodies, axis=1))
    )


@pytest.mark.parametrize("style", ["yahoo", "nightclouds", "classic", "charles", "mike"])
def test_moving_averages_make_no_body_of_a_wick_and_no_wick_longer(style):
    read = recovery.read_bars(png.read(screenshot(style, averages=(10, 30))))
    check(read)
    wicks, bodies = far_ends(read)
    assert wicks <= 3
    assert bodies <= 3


def test_bodies_of_two_columns_are_bodies():
    picture = screenshot("checkers", count=130, size=(8, 5), volume=False)
    read = recovery.read_bars(png.read(picture))
    assert far_ends(read, count=130)[1] <= 1


def test_our_own_picture_without_its_metadata_is_read():
    picture = as_jpeg(mpl.draw(klines(n=96, seed=1, step=STEP), ChartConfig()))
    check(recovery.read_bars(png.read(picture)), count=96)


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("size", [(800, 500), (1200, 700), (1600, 900)])
@pytest.mark.parametrize("seed", [1, 2])
def test_titles_and_price_tags_shift_no_window(theme, size, seed):
    config = ChartConfig(theme=theme, width=size[0], height=size[1])
    candles = klines(n=96, seed=seed, step=STEP)
    read = recovery.read_bars(png.read(as_jpeg(mpl.draw(candles, config))))
    middle = np.log(read[0, :, 1] * read[0, :, 2])
    truth = np.log(candles.bars[:, 1] * candles.bars[:, 2])
    assert np.corrcoef(middle, truth)[0, 1] > 0.995


def tagged(tag):
    """A path of strokes whose last candle stands left of a line and a price tag."""
    candles = [(i, (100 + 3 * (i % 5), 120 + 3 * (i % 4))) for i in range(96)]
    line = [(96, (110, 112))]
    return candles, candles + line + [(97 + i, span) for i, span in enumerate(tag)]


def apart(slot, span):
    """Candles with gaps between them."""
    return 0.0


def test_a_price_tag_is_no_candle_and_level_candles_are_no_tag():
    candles, path = tagged([(101, 121), (101, 122), (101, 121), (100, 121)])
    assert chain.without_tag(path, apart) == candles
    uneven = tagged([(101, 121), (90, 125), (101, 121), (100, 121)])[1]
    assert chain.without_tag(uneven, apart) == uneven
    flat = [(i, (100, 120)) for i in range(96)]
    assert chain.without_tag(flat, apart) == flat  # no line leads to them
    assert chain.without_tag(flat, lambda slot, span: 1.0) == flat  # all bodies touch
    assert chain.without_tag([], apart) == []


def test_a_tag_that_touches_the_last_candle_is_known_by_what_fills_its_gaps():
    candles = [(i, (100 + 3 * (i % 5), 120 + 3 * (i % 4))) for i in range(96)]
    path = candles + [(96 + i, span) for i, span in enumerate([(104, 121), (101, 121), (101, 122)])]
    assert chain.without_tag(path, lambda slot, span: float(slot >= 96)) == candles
    assert chain.without_tag(path, apart) == path
    line = candles + [(96 + i, (110, 112)) for i in range(3)]
    assert chain.without_tag(line, lambda slot, span: float(slot >= 96)) == line  # no tag so thin


def test_readings_that_disagree_are_refused(monkeypatch):
    one = foreign._read(foreign.find_foreground(png.read(screenshot("yahoo")).pixels, 32))
    rolled = np.roll(one.bars, 8, axis=1)
    other = dataclasses.replace(one, bars=rolled, misfit=one.misfit / 2)
    readings = iter([one, other])
    monkeypatch.setattr(foreign, "_read", lambda mask: next(readings))
    with pytest.raises(ImageError, match="read as two charts"):
        foreign.read_foreign(png.read(screenshot("yahoo")).pixels)


def test_a_frame_that_compression_frayed_is_no_candle(monkeypatch):
    pixels = png.read(screenshot("yahoo")).pixels
    strong = foreign._read(foreign.find_foreground(pixels, 64))
    ghost = np.full((1, 1, 5), strong.bars[0, -1, 3])
    faint = dataclasses.replace(strong, bars=np.concatenate([strong.bars[:, 1:], ghost], axis=1))
    readings = iter([faint, strong])
    monkeypatch.setattr(foreign, "_read", lambda mask: next(readings))
    np.testing.assert_array_equal(foreign.read_foreign(pixels), strong.bars)
    lost = iter([strong, faint])  # one stroke more in strong ink is no frame
    monkeypatch.setattr(foreign, "_read", lambda mask: next(lost))
    with pytest.raises(ImageError, match="read as two charts"):
        foreign.read_foreign(pixels)


def test_marks_too_wide_apart_for_a_chart_hide_no_candles(monkeypatch):
    find = foreign.find_pitch_grid

    def ticks_show_best(ink, *room: float):
        found = find(ink, *room)
        return found if room else dataclasses.replace(found, pitch=40.0)

    monkeypatch.setattr(foreign, "find_pitch_grid", ticks_show_best)
    check(recovery.read_bars(png.read(screenshot("yahoo"))))
    with pytest.raises(ImageError, match="candles in a row: expected at least 96"):
        recovery.read_bars(png.read(screenshot("yahoo", count=60)))


def test_too_few_candles_are_counted():
    with pytest.raises(ImageError, match=r"shows 90 candles in a row: expected at least 96"):
        recovery.read_bars(png.read(screenshot("yahoo", count=90)))


def test_candles_too_close_together_are_refused_not_guessed():
    with pytest.raises(ImageError):
        recovery.read_bars(png.read(screenshot("yahoo", count=300, size=(8, 5.75))))


def nothing(kind):
    rng = np.random.default_rng(1)
    rows, columns = np.mgrid[:600, :800]
    plain = {
        "blank": np.full((600, 800), 255),
        "fade": columns / 4,
        "stripes": (columns % 8 < 4) * 255,
        "squares": (columns // 8 + rows // 8) % 2 * 255,
        "noise": rng.integers(0, 256, (600, 800)),
        "blocks": np.kron(rng.integers(0, 256, (60, 80)), np.ones((10, 10))),
        "tiny": np.zeros((5, 5)),
    }
    return np.repeat(plain[kind].astype(np.uint8)[..., None], 3, axis=2)


@pytest.mark.parametrize("kind", ["blank", "fade", "stripes", "squares", "noise", "blocks", "tiny"])
def test_a_picture_that_is_no_chart_is_refused(kind):
    with pytest.raises(ImageError) as caught:
        recovery.read_bars(png.ChartImage(nothing(kind), None))
    assert caught.value.hint
