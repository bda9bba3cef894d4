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
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from tests.charts.candles import klines
from tests.charts.screenshots.paint import Painter, candles
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
LARGE = [(1200, 700), (1600, 900)]
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
    ("size", "count"),
    [
        ((1000, 620), 96),
        ((1280, 720), 118),
        pytest.param((1920, 1000), 140, marks=pytest.mark.slow),
    ],
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
@pytest.mark.parametrize(
    "size", [(800, 500), *(pytest.param(size, marks=pytest.mark.slow) for size in LARGE)]
)
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


SMALL = Painter(pitch=6, height=200, volume=50)
laws = settings(max_examples=3, deadline=None)
seeds = st.integers(0, 9999)


def rows_apart(read, other, height=SMALL.height):
    """Largest distance of two readings of one chart, in rows of the picture."""
    one, two = (np.log(bars[..., :4]).reshape(-1, 4) for bars in (read, other))
    return float(np.abs((one - one[-1, 3]) - (two - two[-1, 3])).max() / foreign._RANGE * height)


def rows_off(read, bars, height=SMALL.height):
    """Largest distance of what was read from what was painted, in rows of the picture."""
    truth, found = np.log(bars[-96:, :4]), np.log(read[0, :, :4])
    slope, shift = np.polyfit(found.ravel(), truth.ravel(), 1)
    whole = np.log(bars[:, 1].max() / bars[:, 2].min())
    return float(np.abs(slope * found + shift - truth).max() / whole * height)


@laws
@given(seeds, st.integers(96, 130), st.integers(5, 9), st.sampled_from([0, 50]))
def test_painted_candles_are_read_to_a_row_or_two(seed, count, pitch, volume):
    bars = candles(count, seed)
    painter = dataclasses.replace(SMALL, pitch=pitch, volume=volume)
    read = foreign.read_foreign(painter.paint(bars))
    assert rows_off(read, bars) < 2
    rises = np.sign(read[0, :, 3] - read[0, :, 0]) == np.sign(bars[-96:, 3] - bars[-96:, 0])
    assert rises.mean() > 0.9
    if volume:
        assert np.corrcoef(read[0, :, 4], bars[-96:, 4])[0, 1] > 0.99
    else:
        assert not read[..., 4].any()


@laws
@given(seeds)
def test_larger_pixels_change_no_price_by_more_than_rounding(seed):
    picture = SMALL.paint(candles(100, seed))
    larger = np.kron(picture, np.ones((2, 2, 1), np.uint8))
    assert rows_apart(foreign.read_foreign(picture), foreign.read_foreign(larger)) < 2


@laws
@given(seeds)
def test_a_negative_of_the_picture_is_the_same_chart(seed):
    picture = SMALL.paint(candles(100, seed))
    assert (foreign.read_foreign(picture) == foreign.read_foreign(255 - picture)).all()


@laws
@given(seeds)
def test_which_colour_is_up_is_read_off_the_path_of_price(seed):
    bars = candles(100, seed)
    swapped = dataclasses.replace(SMALL, up=SMALL.down, down=SMALL.up)
    one, other = (foreign.read_foreign(painter.paint(bars)) for painter in (SMALL, swapped))
    assert (one == other).all()


@laws
@given(seeds)
def test_a_dark_and_a_light_theme_are_read_alike(seed):
    bars = candles(100, seed)
    dark = dataclasses.replace(SMALL, ground=(18, 22, 30), up=(38, 166, 154), down=(239, 83, 80))
    one, other = (foreign.read_foreign(painter.paint(bars)) for painter in (SMALL, dark))
    assert rows_apart(one, other) < 1


@laws
@given(seeds, st.integers(0, 15), st.integers(0, 15), st.integers(0, 15), st.integers(1, 15))
def test_empty_margins_may_be_cropped(seed, top, left, bottom, right):
    picture = SMALL.paint(candles(100, seed))
    cropped = picture[top : len(picture) - bottom, left:-right]
    assert rows_apart(foreign.read_foreign(picture), foreign.read_foreign(cropped)) < 2


@laws
@given(seeds, st.integers(1, 20))
def test_older_candles_left_of_the_window_change_nothing(seed, more):
    whole = SMALL.paint(candles(96 + more, seed))
    newest = whole[:, SMALL.margin + more * SMALL.pitch :]
    assert rows_apart(foreign.read_foreign(whole), foreign.read_foreign(newest)) < 2


@laws
@given(seeds, st.integers(1, 8))
def test_free_room_at_the_right_makes_no_older_window(seed, slots):
    """What is read are the newest 96 candles, not the 96 that end at the picture's edge."""
    bars = candles(104, seed)
    picture = SMALL.paint(bars)
    room = np.full((len(picture), slots * SMALL.pitch, 3), SMALL.ground, np.uint8)
    read = foreign.read_foreign(np.concatenate([picture, room], axis=1))
    assert rows_off(read, bars) < 2


@pytest.mark.parametrize("missing", [1, 30])
def test_a_missing_candle_leaves_the_longer_part_and_its_number_is_said(missing):
    picture = SMALL.paint(candles(100))
    x = SMALL.margin + (100 - missing - 1) * SMALL.pitch
    picture[: SMALL.margin + SMALL.height, x : x + SMALL.pitch] = SMALL.ground
    longer = max(missing, 99 - missing)
    if longer >= 96:
        foreign.read_foreign(picture)
    else:
        with pytest.raises(ImageError, match=f"shows {longer} candles in a row: expected at least"):
            foreign.read_foreign(picture)


def test_a_picture_too_small_says_its_size_and_the_least():
    with pytest.raises(ImageError, match=r"300x119 pixels: expected at least 120 a side") as caught:
        foreign.read_foreign(np.zeros((119, 300, 3), np.uint8))
    assert "Crop the screenshot" in caught.value.hint


def test_candles_without_bodies_are_refused():
    lines = dataclasses.replace(SMALL, half=0, volume=0)
    with pytest.raises(ImageError, match="too narrow to show bodies"):
        foreign.read_foreign(lines.paint(candles(100)))


def test_candles_that_do_not_follow_one_another_are_refused():
    rng = np.random.default_rng(2)
    opened = np.exp(rng.uniform(-0.006, 0.006, 100))  # long wicks overlap, small bodies are apart
    closed = opened * np.exp(rng.choice([-0.004, 0.004], 100))
    highs, lows = np.maximum(opened, closed) * 1.004, np.minimum(opened, closed) / 1.004
    bars = np.column_stack([opened, highs, lows, closed, np.ones(100)])
    with pytest.raises(ImageError, match="do not follow one another"):
        foreign.read_foreign(SMALL.paint(bars))


def slot(*spans: tuple[int, int], columns=5, height=60, wide=()):
    """A slot of strokes one column wide, five columns wide in the rows `wide`."""
    ink = np.zeros((height, columns), bool)
    for top, bottom in spans:
        ink[top:bottom, columns // 2] = True
    for top, bottom in wide:
        ink[top:bottom] = True
    return foreign._Slot(0, ink, list(spans))


@pytest.mark.parametrize("on_base", [100, 40, 30])
def test_a_base_line_is_where_strokes_of_many_slots_end(on_base):
    rng = np.random.default_rng(1)
    slots = []
    for number in range(100):
        top = int(rng.integers(2, 20))
        spans = [(top, top + 15)]
        slots.append(slot(*spans, (50, 55)) if number < on_base else slot(*spans))
    base = foreign._base_line(slots, 60)
    if on_base < 35:
        assert base is None
    else:
        assert base in {54, 55, 56}  # ends may lie a row off


def test_a_row_with_most_foreground_below_is_no_base_line():
    slots = [slot((2, 8), (20 + number % 7, 45 + number % 9)) for number in range(100)]
    assert foreign._base_line(slots, 60) is None  # letters of a title end on row 8


@pytest.mark.parametrize(("spans", "height"), [
    ([(2, 10), (40, 55)], 15), ([(2, 10), (40, 54)], 15), ([(2, 10), (40, 58)], 15), ([(2, 10)], 0),
    ([(2, 10), (40, 53)], 0),
])  # fmt: skip
def test_volume_is_the_bar_on_the_base_line(spans, height):
    assert foreign._volume(slot(*spans), 55) == height


@pytest.mark.parametrize(("heights", "letters"), [
    ([0, 0, 0], True), ([9] * 96, True), ([8, 9, 10] * 32, True), (range(1, 97), False),
])  # fmt: skip
def test_letters_have_one_height_and_volume_has_not(heights, letters):
    assert foreign._are_letters(np.array(heights, float)) == letters


def test_a_body_is_the_tallest_wide_part_less_rows_that_a_line_crosses():
    strokes = [(slot((5, 40), wide=[(10, 30)]), (5, 40)) for _ in range(9)]
    for each, _ in strokes:
        each.foreground[10:30, [0, -1]] = False  # bodies leave a gap on each side
    crossed = slot((5, 40), wide=[(8, 12), (34, 36)])
    crossed.foreground[12:30, 1:4] = True
    bodies = foreign._bodies([*strokes, (crossed, (5, 40))])
    assert bodies[:9] == [(10.5, 29.5)] * 9
    assert bodies[9] == (12.5, 29.5)


def test_a_stroke_without_a_wide_part_closed_where_it_opened():
    usual = [(slot((5, 40), wide=[(10, 30)]), (5, 40)) for _ in range(9)]
    assert foreign._bodies([*usual, (slot((5, 40)), (5, 40))])[9] == (22.5, 22.5)


@given(st.lists(st.tuples(*[st.floats(-50, 50)] * 4), min_size=1, max_size=9), st.booleans())
def test_open_high_low_and_close_are_ordered_and_keep_the_direction(prices, rising):
    wicks, ends = (-np.sort(-np.array(prices)[:, part]) for part in ([0, 1], [2, 3]))
    levels = foreign._ohlc(wicks, ends, np.full(len(prices), rising))
    opened, high, low, closed = levels.T
    assert (high >= np.maximum(opened, closed)).all()
    assert (low <= np.minimum(opened, closed)).all()
    assert ((closed >= opened) if rising else (closed <= opened)).all()
    body = np.abs(closed - opened)
    flat = ends[:, 0] == ends[:, 1]
    assert body[flat] == pytest.approx(0.1)
    assert body == pytest.approx(np.where(flat, 0.1, ends[:, 0] - ends[:, 1]))


def test_equal_charts_correlate_fully_and_shifted_ones_do_not():
    bars = candles(97)[None]
    assert foreign._step_correlation(bars, bars) == pytest.approx(1)
    assert abs(foreign._step_correlation(bars[:, 1:], bars[:, :-1])) < 0.8
    flat = np.ones((1, 97, 5))
    assert foreign._step_correlation(flat, bars) == 0


def test_candles_are_trimmed_to_those_with_a_body_or_volume():
    candle = slot((5, 30), (50, 55), wide=[(10, 25)])
    still = slot((5, 30), (50, 55))  # closed where it opened: volume tells
    mark = slot((5, 30))
    slots = [mark, still, *[candle] * 8, mark, mark]
    chain_of_slots = [(number, (5, 30)) for number in range(len(slots))]
    kept = foreign._trim(chain_of_slots, slots, 55, frozenset())
    assert [number for number, _ in kept] == list(range(1, 10))
    upright = foreign._trim(chain_of_slots, slots, 55, frozenset([2]))
    assert [number for number, _ in upright] == list(range(2, 10))  # what a grid line left
    tall = foreign._trim(chain_of_slots, slots, None, frozenset())
    assert tall == chain_of_slots  # without volume a stroke taller than a line is a candle
