"""The foreground of small painted pictures: grounds, noise, grid lines, frames and margins."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vision_ai.charts.screenshots import foreground
from vision_ai.charts.screenshots.foreground import find_foreground, off_ray

WHITE, BLACK, GREY, RED = (255, 255, 255), (17, 19, 24), (225, 225, 225), (200, 40, 40)
HEIGHT, WIDTH, PITCH = 240, 360, 9


def blank(ground=WHITE, size=(HEIGHT, WIDTH)):
    picture = np.empty((*size, 3), np.uint8)
    picture[:] = ground
    return picture


def candles(picture, colour=RED, seed=3, first=1, last=None):
    """Paint a candle in each slot and give the mask of what was painted."""
    rng = np.random.default_rng(seed)
    ink = np.zeros(picture.shape[:2], bool)
    count = picture.shape[1] // PITCH
    for slot in range(first, count - 1 if last is None else last):
        x, middle = slot * PITCH + 4, int(rng.integers(80, 160))
        half, reach = int(rng.integers(3, 12)), int(rng.integers(4, 20))
        ink[middle - half - reach : middle + half + reach, x] = True
        ink[middle - half : middle + half, x - 2 : x + 3] = True
    picture[ink] = colour
    return ink


def beside(ink, reach=4):
    """Pixels within `reach` of candles: there a line may leave something behind."""
    grown = ink.copy()
    for step in range(1, reach + 1):
        grown[step:] |= ink[:-step]
        grown[:-step] |= ink[step:]
    wide = grown.copy()
    for step in range(1, reach + 1):
        wide[:, step:] |= grown[:, :-step]
        wide[:, :-step] |= grown[:, step:]
    return wide


@pytest.mark.parametrize("ground", [WHITE, BLACK, (250, 246, 230), (30, 34, 45)])
@pytest.mark.parametrize("colour", [RED, (38, 166, 154), (120, 120, 120)])
def test_what_is_painted_on_a_plain_ground_is_the_foreground(ground, colour) -> None:
    picture = blank(ground)
    ink = candles(picture, colour)
    mask = find_foreground(picture, 32)
    assert (mask.ground == ground).all()
    assert (mask.foreground == ink).all()
    assert mask.uprights == frozenset()


def test_a_blank_picture_has_no_foreground() -> None:
    assert not find_foreground(blank(), 32).foreground.any()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 9999), st.integers(1, 14))
def test_noise_weaker_than_the_contrast_changes_nothing(seed: int, strength: int) -> None:
    picture = blank((128, 128, 128))
    ink = candles(picture, (20, 20, 20), seed)
    rng = np.random.default_rng(seed)
    noisy = picture.astype(int) + rng.integers(-strength, strength + 1, picture.shape)
    found = find_foreground(noisy.clip(0, 255).astype(np.uint8), 64)
    assert (found.foreground == ink).all()


@pytest.mark.parametrize("contrast", [32, 64])
def test_a_faint_mark_counts_only_at_a_low_contrast(contrast: int) -> None:
    picture = blank()
    picture[100:140, 100:105] = 255 - 48
    assert find_foreground(picture, contrast).foreground.any() == (contrast < 48)


@pytest.mark.parametrize("thickness", [1, 2])
@pytest.mark.parametrize("ground", [WHITE, BLACK])
def test_level_grid_lines_are_taken_off_and_candles_stay_whole(thickness: int, ground) -> None:
    picture = blank(ground)
    grid = (150, 150, 150)
    for row in range(30, HEIGHT, 40):
        picture[row : row + thickness] = grid
    ink = candles(picture)
    found = find_foreground(picture, 32).foreground
    assert found[ink].mean() > 0.995
    assert not found[~beside(ink)].any()


def test_upright_grid_lines_are_taken_off_and_their_columns_told() -> None:
    picture = blank()
    columns = list(range(40, WIDTH, 80))
    for column in columns:
        picture[:, column] = (180, 180, 180)
    ink = candles(picture)
    mask = find_foreground(picture, 32)
    assert mask.uprights == frozenset(columns)
    assert not mask.foreground[:60, columns].any()  # above all candles
    assert mask.foreground[ink].mean() > 0.99


def test_a_long_lone_wick_is_no_grid_line() -> None:
    picture = blank()
    ink = candles(picture)
    picture[20:200, 184] = RED  # ends where no other line and no edge is
    ink[20:200, 184] = True
    mask = find_foreground(picture, 32)
    assert mask.uprights == frozenset()
    assert (mask.foreground == ink).all()


def test_a_frame_is_taken_off() -> None:
    picture = blank()
    ink = candles(picture)
    picture[[10, -11], 10:-10] = (90, 90, 90)
    picture[10:-10, [10, -11]] = (90, 90, 90)
    found = find_foreground(picture, 32).foreground
    assert found[ink].all()
    assert not found[~beside(ink)].any()


def test_dashes_of_a_grid_are_taken_off() -> None:
    picture = blank()
    for row in range(30, HEIGHT, 40):
        picture[row, (np.arange(WIDTH) // 3) % 2 == 0] = (170, 170, 170)
    ink = candles(picture)
    found = find_foreground(picture, 32).foreground
    assert not found[~beside(ink)].any()
    assert found[ink].mean() > 0.995


def test_margins_of_another_colour_lie_outside() -> None:
    picture = blank(GREY, (HEIGHT + 40, WIDTH + 60))
    plot = blank()
    ink = candles(plot)
    picture[20:-20, 30:-30] = plot
    mask = find_foreground(picture, 24)
    assert mask.foreground.shape == ink.shape
    assert (mask.foreground == ink).all()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 9999))
def test_swapping_colour_channels_changes_nothing(seed: int) -> None:
    picture = blank((240, 235, 228))
    candles(picture, (200, 60, 90), seed)
    picture[90] = (160, 150, 140)
    one = find_foreground(picture, 32)
    other = find_foreground(np.ascontiguousarray(picture[..., [2, 0, 1]]), 32)
    assert (one.foreground == other.foreground).all()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 9999))
def test_turning_the_picture_over_turns_the_foreground_over(seed: int) -> None:
    picture = blank()
    candles(picture, seed=seed)
    one = find_foreground(picture, 32).foreground
    other = find_foreground(np.ascontiguousarray(picture[::-1]), 32).foreground
    assert (one[::-1] == other).all()


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 9999), st.floats(0, 1))
def test_mixtures_of_ground_and_tint_lie_on_their_ray(seed: int, share: float) -> None:
    tint = np.random.default_rng(seed).uniform(-200, 200, 3)
    assert off_ray((share * tint)[None], tint) == pytest.approx(0, abs=1e-9)


def test_beyond_the_tint_and_behind_the_ground_is_off_the_ray() -> None:
    tint = np.array([100.0, 0.0, 0.0])
    colours = np.array([[150.0, 0, 0], [-20.0, 0, 0], [50.0, 7, 0]])
    assert off_ray(colours, tint).tolist() == [50.0, 20.0, 7.0]


def test_thick_foreground_is_told_from_lines() -> None:
    ink = np.zeros((12, 6), bool)
    ink[2:4] = True  # two rows
    ink[6:11, 1] = True  # five rows
    thick = foreground._thick(ink, 3)
    assert not thick[2:4].any()
    assert thick[6:11, 1].all()
    assert thick.sum() == 5
    assert not foreground._thick(ink[:2], 3).any()  # a picture lower than a line is thick
