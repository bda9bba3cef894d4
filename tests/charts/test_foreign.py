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
from PIL import Image

from tests.charts.candles import klines
from vision_ai.charts import chain, foreign, mpl, png, raster, screen
from vision_ai.config import ChartConfig
from vision_ai.errors import ImageError

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
    check(screen.read_bars(png.read(screenshot(style))))


def test_a_screenshot_without_volume_is_read():
    check(screen.read_bars(png.read(screenshot("yahoo", volume=False))), volume=False)


def test_a_compressed_screenshot_is_read():
    check(screen.read_bars(png.read(as_jpeg(screenshot("tradingview")))))


def wrong_bodies(read, count=104, seed=1):
    """How many bodies end more than a fiftieth of the chart's range from where they should."""
    truth = klines(n=count, seed=seed, step=STEP).bars[-96:, :4]
    found = np.log(read[0, :, :4])
    slope, shift = np.polyfit(found[:, 1:3].ravel(), truth[:, 1:3].ravel(), 1)
    far = [
        np.abs(end(slope * found[:, [0, 3]] + shift, axis=1) - end(truth[:, [0, 3]], axis=1))
        for end in (np.max, np.min)
    ]
    return int((np.maximum(*far) > 0.02 * (truth.max() - truth.min())).sum())


@pytest.mark.parametrize("style", ["yahoo", "nightclouds"])
def test_a_moving_average_makes_no_body_of_a_wick(style):
    read = screen.read_bars(png.read(screenshot(style, averages=(10, 30))))
    check(read)
    assert wrong_bodies(read) <= 5  # 21 where its rows count


def test_bodies_of_two_columns_are_bodies():
    picture = screenshot("checkers", count=130, size=(8, 5), volume=False)
    read = screen.read_bars(png.read(picture))
    assert wrong_bodies(read, count=130) <= 1


def test_our_own_picture_without_its_metadata_is_read():
    picture = as_jpeg(mpl.draw(klines(n=96, seed=1, step=STEP), ChartConfig()))
    check(screen.read_bars(png.read(picture)), count=96)


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("size", [(800, 500), (1200, 700), (1600, 900)])
@pytest.mark.parametrize("seed", [1, 2])
def test_titles_and_price_tags_shift_no_window(theme, size, seed):
    config = ChartConfig(theme=theme, width=size[0], height=size[1])
    candles = klines(n=96, seed=seed, step=STEP)
    read = screen.read_bars(png.read(as_jpeg(mpl.draw(candles, config))))
    middle = np.log(read[0, :, 1] * read[0, :, 2])
    truth = np.log(candles.bars[:, 1] * candles.bars[:, 2])
    assert np.corrcoef(middle, truth)[0, 1] > 0.995


def tagged(tag):
    """A path of strokes whose last candle stands left of a line and a price tag."""
    candles = [(i, (100 + 3 * (i % 5), 120 + 3 * (i % 4))) for i in range(96)]
    line = [(96, (110, 112))]
    return candles, candles + line + [(97 + i, span) for i, span in enumerate(tag)]


def test_a_price_tag_is_no_candle_and_level_candles_are_no_tag():
    candles, path = tagged([(101, 121), (101, 122), (101, 121), (100, 121)])
    assert chain.without_tag(path) == candles
    uneven = tagged([(101, 121), (90, 125), (101, 121), (100, 121)])[1]
    assert chain.without_tag(uneven) == uneven
    flat = [(i, (100, 120)) for i in range(96)]
    assert chain.without_tag(flat) == flat  # no line leads to them


def test_readings_that_disagree_are_refused(monkeypatch):
    one = foreign._read(foreign.find_ink(png.read(screenshot("yahoo")).pixels, 32))
    rolled = np.roll(one.bars, 8, axis=1)
    other = dataclasses.replace(one, bars=rolled, strain=one.strain / 2)
    readings = iter([one, other])
    monkeypatch.setattr(foreign, "_read", lambda mask: next(readings))
    with pytest.raises(ImageError, match="read as two charts"):
        foreign.read_foreign(png.read(screenshot("yahoo")).pixels)


def test_a_frame_that_compression_frayed_is_no_candle(monkeypatch):
    pixels = png.read(screenshot("yahoo")).pixels
    strong = foreign._read(foreign.find_ink(pixels, 64))
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
    find = foreign.find_lattice

    def ticks_show_best(ink, *room: float):
        found = find(ink, *room)
        return found if room else dataclasses.replace(found, pitch=40.0)

    monkeypatch.setattr(foreign, "find_lattice", ticks_show_best)
    check(screen.read_bars(png.read(screenshot("yahoo"))))
    with pytest.raises(ImageError, match="candles in a row: expected at least 96"):
        screen.read_bars(png.read(screenshot("yahoo", count=60)))


def test_too_few_candles_are_counted():
    with pytest.raises(ImageError, match=r"shows 90 candles in a row: expected at least 96"):
        screen.read_bars(png.read(screenshot("yahoo", count=90)))


def test_candles_too_close_together_are_refused_not_guessed():
    with pytest.raises(ImageError):
        screen.read_bars(png.read(screenshot("yahoo", count=300, size=(8, 5.75))))


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
        screen.read_bars(png.ChartImage(nothing(kind), None))
    assert caught.value.hint
