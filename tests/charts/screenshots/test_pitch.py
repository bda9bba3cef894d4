"""The even spacing of candles, found again in the foreground of painted charts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vision_ai.charts.screenshots.pitch import PitchGrid, find_pitch_grid

HEIGHT = 300


def painted(pitch: float, first: float, count: int = 110, seed: int = 0, half: float = 0.33):
    """Foreground of candles whose centres lie at `first + i * pitch`."""
    rng = np.random.default_rng(seed)
    ink = np.zeros((HEIGHT, int(first + count * pitch) + 4), bool)
    middle = 150.0
    for i in range(count):
        x = first + i * pitch
        middle = float(np.clip(middle + rng.normal(0, 8), 50, 250))
        body, wick = rng.uniform(1, 14), rng.uniform(2, 16)
        ink[int(middle - body - wick) : int(middle + body + wick), int(x)] = True
        left, right = int(x - half * pitch), int(x + half * pitch) + 1
        ink[int(middle - body) : int(middle + body) + 1, max(left, 0) : right] = True
    return ink


@pytest.mark.parametrize("pitch", [4.0, 5.5, 7.25, 9.0, 11.62, 16.0, 23.4])
def test_the_spacing_is_found_to_a_part_of_a_pixel(pitch: float) -> None:
    grid = find_pitch_grid(painted(pitch, 6.5))
    assert grid is not None
    assert grid.pitch == pytest.approx(pitch, rel=0.002)
    centres = 6.5 + np.arange(110) * pitch
    found = grid.first + np.round((centres - grid.first) / grid.pitch) * grid.pitch
    assert np.abs(found - centres).max() < max(0.35 * pitch, 1.2)


@settings(max_examples=25, deadline=None)
@given(st.floats(5, 20), st.floats(4, 12), st.integers(0, 999))
def test_any_spacing_and_any_start_are_found(pitch: float, first: float, seed: int) -> None:
    grid = find_pitch_grid(painted(pitch, first, seed=seed))
    assert grid is not None
    assert grid.pitch == pytest.approx(pitch, rel=0.004)


def test_nothing_repeats_in_an_empty_picture() -> None:
    assert find_pitch_grid(np.zeros((HEIGHT, 600), bool)) is None


def test_text_above_and_volume_below_do_not_drown_the_candles() -> None:
    ink = painted(8.0, 5.0)
    rng = np.random.default_rng(1)
    ink[:24, :200] |= rng.random((24, 200)) < 0.35  # a title
    ink[-30:, ::23] = True  # axis marks of another spacing
    grid = find_pitch_grid(ink)
    assert grid is not None
    assert grid.pitch == pytest.approx(8.0, rel=0.003)


def test_a_largest_spacing_is_kept_to() -> None:
    ink = painted(12.0, 6.0)
    grid = find_pitch_grid(ink, largest=9.0)
    assert grid is None or grid.pitch <= 9.0


def test_centres_are_counted_from_the_first_and_half_a_slot_is_the_gap() -> None:
    grid = PitchGrid(3.0, 10.0, 1.0)
    assert grid.centres(35).tolist() == [3.0, 13.0, 23.0, 33.0]
    assert grid.column(0.5) == 8.0
    assert grid.column(2) == 23.0
