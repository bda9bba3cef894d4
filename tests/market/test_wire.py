"""Candles as Bybit writes them, and back."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vision_ai.domain import VOLUME, Interval, Klines
from vision_ai.errors import ExchangeUnavailableError
from vision_ai.market import wire
from vision_ai.market.simulate import simulate


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 9999), st.integers(0, 200), st.sampled_from(list(Interval)))
def test_what_is_written_is_read_back_exactly(seed: int, count: int, interval: Interval) -> None:
    klines = simulate("BTCUSDT", interval, count, seed=seed, end_ms=1_750_000_000_000)
    turnover = klines.bars[:, VOLUME] * 2
    rows = wire.write_rows(klines.open_ms, klines.bars, turnover)
    assert all(isinstance(cell, str) for row in rows for cell in row)
    assert [int(row[0]) for row in rows] == klines.open_ms.tolist()[::-1]
    read = wire.read_rows(rows, "BTCUSDT", interval)
    assert read.digest == klines.digest


@given(st.floats(1e-12, 1e15))
def test_a_number_is_plain_digits_and_loses_nothing(value: float) -> None:
    text = wire.number(value)
    assert float(text) == value
    assert set(text) <= set("0123456789.")
    assert not text.endswith((".", ".0"))


@pytest.mark.parametrize(
    ("prices", "digits"), [([], 0), ([100.0], 0), ([0.5, 0.25], 2), ([1e-8], 8), ([3, 2.1], 1)]
)
def test_decimals_are_those_of_the_finest_price(prices: list[float], digits: int) -> None:
    assert wire.decimals(prices) == digits


GOOD = ["900000", "2", "3", "1", "2", "5", "10"]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ({}, "expected a list of candles, was dict"),
        ("rows", "expected a list of candles, was str"),
        ([GOOD[:5]], "at least 6 values"),
        ([{"open": 1}], "at least 6 values"),
        ([["x", *GOOD[1:]]], "holds no number"),
        ([[None, *GOOD[1:]]], "holds no number"),
        ([[*GOOD[:5], "nan", "1"]], "not a finite number"),
        ([[*GOOD[:5], "inf", "1"]], "not a finite number"),
        ([["900001", *GOOD[1:]]], "expected a multiple of 900000"),
        ([[*GOOD[:2], "1", *GOOD[3:]]], "body outside its high and low"),
        ([GOOD, GOOD], "does not follow"),
        ([GOOD, ["1800000", *GOOD[1:]]], "does not follow"),  # oldest first
    ],
    ids=lambda value: str(value)[:40],
)
def test_rows_that_cannot_be_candles_are_refused(rows: object, words: str) -> None:
    with pytest.raises(ExchangeUnavailableError, match=words):
        wire.read_rows(rows, "BTCUSDT", Interval.M15)


def test_no_rows_are_no_candles() -> None:
    assert len(wire.read_rows([], "BTCUSDT", Interval.M15)) == 0


def test_cells_beyond_the_volume_are_ignored() -> None:
    read = wire.read_rows([[*GOOD, "more", None]], "BTCUSDT", Interval.M15)
    assert np.array_equal(read.bars, [[2, 3, 1, 2, 5]])


prices = st.floats(1e-8, 1e8)


@st.composite
def some_klines(draw: st.DrawFn) -> Klines:
    n = draw(st.integers(0, 20))
    steps = draw(st.lists(st.integers(1, 5), min_size=n, max_size=n))
    rows = [sorted(draw(st.tuples(prices, prices, prices, prices))) for _ in range(n)]
    volumes = draw(st.lists(st.floats(0, 1e12), min_size=n, max_size=n))
    bars = [[r[1], r[3], r[0], r[2], v] for r, v in zip(rows, volumes, strict=True)]
    open_ms = np.cumsum(np.array(steps, np.int64)) * 900_000
    return Klines("BTCUSDT", Interval.M15, open_ms, np.array(bars).reshape(-1, 5))


@given(some_klines())
@settings(max_examples=50, deadline=None)
def test_reading_what_was_written_gives_the_same_candles(klines: Klines) -> None:
    rows = wire.write_rows(klines.open_ms, klines.bars, np.zeros(len(klines)))
    assert wire.read_rows(rows, "BTCUSDT", Interval.M15).digest == klines.digest


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_any_finite_number_is_plain_digits_and_loses_nothing(value: float) -> None:
    text = wire.number(value)
    assert float(text) == value
    assert set(text) <= set("-.0123456789")
    assert not text.endswith(".")
