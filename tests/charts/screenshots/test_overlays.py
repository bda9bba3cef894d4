"""Lines over candles are taken away, and the candles stay."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vision_ai.charts.screenshots.foreground import ForegroundMask
from vision_ai.charts.screenshots.overlays import without_overlays

PITCH, COUNT, HEIGHT = 9, 40, 240
COLOURS = {"red": (230, 60, 60), "green": (30, 160, 90), "blue": (40, 90, 240)}


def paint(seed, colours, line, *, swing=40.0, thickness=2):
    """Candles in two colours with one smooth line over them: picture, candles' ink, line's ink."""
    rng = np.random.default_rng(seed)
    pixels = np.full((HEIGHT, PITCH * COUNT, 3), 255, np.int16)
    ink = np.zeros(pixels.shape[:2], bool)
    middles = 120 + np.cumsum(rng.integers(-6, 7, COUNT)).clip(-60, 60)
    strokes = []
    for i, middle in enumerate(middles):
        half, reach = rng.integers(1, 9), rng.integers(1, 14)
        x, top, bottom = i * PITCH + 4, middle - half - reach, middle + half + reach
        ink[top:bottom, x] = True
        ink[middle - half : middle + half, x - 2 : x + 3] = True
        pixels[:, i * PITCH : (i + 1) * PITCH][ink[:, i * PITCH : (i + 1) * PITCH]] = colours[i % 2]
        strokes.append((x + 0.5, (int(top), int(bottom))))
    columns = np.arange(pixels.shape[1])
    path = 120 + swing * np.sin(columns / 60 + rng.uniform(0, 6)) + rng.uniform(-20, 20)
    rows = np.arange(HEIGHT)[:, None] + 0.5
    drawn = np.abs(rows - path) <= thickness / 2 + np.abs(np.gradient(path)) / 2
    if line is not None:
        pixels[drawn] = line
    both = ink | drawn if line is not None else ink
    return ForegroundMask(pixels, np.full(3, 255, np.int16), both, frozenset()), ink, drawn, strokes


def clean(mask, strokes):
    return without_overlays(mask, np.arange(1, COUNT) * PITCH - 1, strokes, HEIGHT)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 9999), st.integers(1, 4), st.floats(0, 50))
def test_what_is_not_under_the_line_stays_and_no_line_is_left_between_candles(
    seed, thickness, swing
):
    mask, candles, line, strokes = paint(
        seed, [COLOURS["red"], COLOURS["green"]], COLOURS["blue"], swing=swing, thickness=thickness
    )
    found = clean(mask, strokes)
    inside = np.zeros_like(candles)
    inside[:, PITCH:-PITCH] = True  # a line is followed from gap to gap
    assert found[candles & ~line].all()
    assert not (found & ~candles & inside).any()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 9999))
def test_a_line_in_the_candles_own_colour_leaves_only_where_no_candle_goes_on(seed):
    red = COLOURS["red"]
    mask, candles, line, strokes = paint(seed, [red, red], red)
    found = clean(mask, strokes)
    assert (found & ~candles).sum() < 0.15 * (line & ~candles).sum()
    assert (candles & ~line & ~found).sum() < 0.03 * candles.sum()


@pytest.mark.parametrize("seed", range(5))
def test_without_a_line_nothing_is_taken(seed):
    mask, *_, strokes = paint(seed, [COLOURS["red"], COLOURS["green"]], None)
    assert clean(mask, strokes) is None


def test_noise_between_candles_is_no_line_and_costs_little():
    mask, _, _, strokes = paint(1, [COLOURS["red"], COLOURS["green"]], COLOURS["blue"])
    tall = np.tile(mask.pixels, (8, 1, 1))
    ink = np.zeros(tall.shape[:2], bool)
    ink[::2], tall[::2] = True, 0
    noisy = ForegroundMask(tall, mask.ground, ink, frozenset())
    assert without_overlays(noisy, np.arange(1, COUNT) * PITCH - 1, strokes, len(ink)) is None
