"""Where candles lie on our own pictures: whole pixels, evenly, inside the panel."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vision_ai.charts.slots import Slots

LIMITS = (-1.0, 96.5)

widths = st.floats(293, 4000)  # three pixels a candle at least, as the drawing makes sure
lefts = st.floats(0, 200)


def across(left: float, width: float, count: int = 96) -> Slots:
    return Slots.across((left, left + width), LIMITS, count)


@given(lefts, widths)
def test_wicks_lie_on_whole_pixels_within_one_of_their_exact_place(left, width) -> None:
    slots = across(left, width)
    assert (slots.centre % 1 == 0.5).all()
    exact = left + (np.arange(96) + 1) * width / 97.5
    assert np.abs(slots.centre - 0.5 - exact).max() <= 1
    assert slots.pitch == pytest.approx(width / 97.5)


@given(lefts, widths)
def test_bodies_do_not_touch_and_lie_inside_the_panel(left, width) -> None:
    slots = across(left, width)
    starts, ends = slots.centre - 0.5 - slots.half, slots.centre + 0.5 + slots.half
    assert (starts[1:] >= ends[:-1]).all()
    assert starts[0] >= left - 1
    assert ends[-1] <= left + width + 1


@given(lefts, widths, st.integers(0, 95))
def test_the_columns_read_lie_inside_the_body_drawn(left, width, row) -> None:
    slots = across(left, width)
    columns = slots.columns(row)
    middle = int(slots.centre[row])
    assert len(columns) >= 3
    assert (np.diff(columns) == 1).all()
    assert columns[len(columns) // 2] == middle
    assert np.abs(columns - middle).max() <= slots.half


@given(widths, st.integers(1, 500))
def test_moving_a_panel_by_whole_pixels_moves_every_candle(width, pixels) -> None:
    one, other = across(10.0, width), across(10.0 + pixels, width)
    assert np.abs(other.centre - one.centre - pixels).max() <= 1  # one pixel where a sum rounds
    assert other.half == one.half


def test_a_candle_on_the_border_of_two_pixels_takes_the_right_one() -> None:
    slots = Slots.across((0.0, 40.0), (0.0, 4.0), 4)
    assert slots.centre.tolist() == [0.5, 10.5, 20.5, 30.5]
    nearly = Slots.across((-1e-9, 40.0 - 1e-9), (0.0, 4.0), 4)
    assert nearly.centre.tolist() == slots.centre.tolist()


@pytest.mark.parametrize(("pitch", "half", "read"), [
    (3.0, 1, 3), (5.8, 2, 5), (8.6, 3, 5), (12.0, 4, 7), (30.0, 10, 19),
])  # fmt: skip
def test_a_body_takes_seven_tenths_of_the_distance(pitch: float, half: int, read: int) -> None:
    slots = Slots.across((0.0, 4 * pitch), (0.0, 4.0), 4)
    assert slots.half == half
    assert len(slots.columns(1)) == read
