"""Axis marks and written prices, from 1e-8 to 1e8."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vision_ai.charts import ticks

HOUR = 3_600_000


@given(st.floats(1e-8, 1e8), st.floats(1e-4, 5.0), st.integers(3, 12))
def test_marks_lie_inside_evenly_and_are_as_many_as_may_be(low, spread, most) -> None:
    high = low * (1 + spread)
    marks, decimals = ticks.price_ticks(low, high, most)
    assert 1 <= len(marks) <= most + 1
    slack = 10.0**-decimals
    assert all(low - slack <= mark <= high + slack for mark in marks)
    if len(marks) > 2:
        steps = np.diff(marks)
        assert np.allclose(steps, steps[0], rtol=1e-3, atol=10.0**-decimals)


@given(st.floats(1e-8, 1e8), st.floats(1e-3, 5.0), st.integers(3, 12))
def test_the_decimals_tell_neighbouring_marks_apart(low, spread, most) -> None:
    marks, decimals = ticks.price_ticks(low, low * (1 + spread), most)
    written = [ticks.price_text(mark, decimals) for mark in marks]
    assert len(set(written)) == len(written)


@given(st.floats(1e-3, 1e3), st.integers(-5, 5))
def test_marks_do_not_depend_on_the_unit_of_price(low, power) -> None:
    one, _ = ticks.price_ticks(low, low * 1.37, 6)
    other, _ = ticks.price_ticks(low * 10.0**power, low * 1.37 * 10.0**power, 6)
    assert abs(len(one) - len(other)) <= 1  # a mark on the very edge may fall on either side
    assert other[1] - other[0] == pytest.approx((one[1] - one[0]) * 10.0**power, rel=1e-3)


@pytest.mark.parametrize(
    ("price", "decimals", "text"),
    [
        (0.00001234, 8, "0.00001234"),
        (65432.1, 1, "65,432.1"),
        (1e8, 0, "100,000,000"),
        (0.1 + 0.2, 2, "0.30"),
    ],
)
def test_prices_are_written_in_full(price, decimals, text) -> None:
    assert ticks.price_text(price, decimals) == text


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0, "0"), (0.5, "0.5"), (999, "999"), (1000, "1K"), (12_345, "12.3K"), (1e6, "1M"),
        (2.5e9, "2.5B"), (7e12, "7T"), (1e-9, "1.0e-09"), (0.00012, "0.00012"),
    ],
)  # fmt: skip
def test_amounts_are_short(amount, text) -> None:
    assert ticks.short_text(amount) == text


@given(st.floats(1e-5, 1e14))
def test_a_short_amount_says_its_size_to_three_digits(amount) -> None:
    text = ticks.short_text(amount)
    unit = {"T": 1e12, "B": 1e9, "M": 1e6, "K": 1e3}.get(text[-1], 1.0)
    value = float(text.rstrip("TBMK")) * unit
    assert math.isclose(value, amount, rel_tol=0.006)


def bars(*prices: float) -> np.ndarray:
    return np.array([[p, p, p, p, 1.0] for p in prices])


@pytest.mark.parametrize(
    ("prices", "decimals"), [((1.0, 2.0), 0), ((1.5, 2.25), 2), ((0.00001234, 0.00001299), 8)]
)
def test_decimals_are_those_that_prices_are_quoted_in(prices, decimals) -> None:
    assert ticks.price_decimals(bars(*prices)) == decimals


def test_prices_of_many_digits_get_as_many_as_tell_them_apart() -> None:
    rng = np.random.default_rng(1)
    found = ticks.price_decimals(bars(*(100 + rng.random(30))))
    assert 3 <= found <= 5


def test_one_freak_wick_takes_no_decimals_away() -> None:
    usual = bars(*(1 + np.linspace(0, 0.01234567, 50)))
    freak = usual.copy()
    freak[10, 1] = 500.0
    assert ticks.price_decimals(freak) >= ticks.price_decimals(usual) - 2


def test_times_are_marked_at_round_hours_with_the_date_at_midnight() -> None:
    open_ms = np.arange(96) * 900_000 + 20 * HOUR  # from 20:00
    rows, texts = ticks.time_ticks(open_ms, 8)
    assert len(rows) <= 9
    assert "02 Jan" in texts
    hours = [int(open_ms[row]) // HOUR % 24 for row in rows]
    steps = {(b - a) % 24 for a, b in itertools.pairwise(hours)}
    assert len(steps) == 1
    midnight = texts.index("02 Jan")
    assert hours[midnight] == 0


def test_four_days_of_hours_keep_to_the_most_marks() -> None:
    open_ms = np.arange(96) * HOUR
    rows, texts = ticks.time_ticks(open_ms, 6)
    assert len(rows) == len(texts) <= 7
    assert all(int(open_ms[row]) % HOUR == 0 for row in rows)
