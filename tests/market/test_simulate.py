"""Simulated candles: seeded, well formed, and never taken for real ones."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vision_ai.domain import CLOSE, HIGH, LOW, OPEN, VOLUME, Interval
from vision_ai.errors import KlinesError, SymbolError
from vision_ai.market.simulate import simulate, simulate_many

END = 1_750_000_500_000


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 9999), st.integers(0, 300), st.sampled_from(list(Interval)))
def test_candles_are_whole_and_end_in_time(seed: int, count: int, interval: Interval) -> None:
    klines = simulate("AAAUSDT", interval, count, seed=seed, end_ms=END)
    assert len(klines) == count
    assert klines.gaps() == []
    if count:
        assert END - interval.ms < klines.close_ms[-1] <= END
        assert (klines.bars[1:, OPEN] == klines.bars[:-1, CLOSE]).all()
        assert (klines.bars[:, HIGH] >= klines.bars[:, LOW]).all()
        assert (klines.bars[:, VOLUME] > 0).all()


def test_equal_arguments_make_equal_candles_and_others_do_not() -> None:
    one = simulate("AAAUSDT", "15m", 50, seed=1, end_ms=END)
    assert simulate("AAAUSDT", "15m", 50, seed=1, end_ms=END).digest == one.digest
    others = [
        simulate("AAAUSDT", "15m", 50, seed=2, end_ms=END),
        simulate("BBBUSDT", "15m", 50, seed=1, end_ms=END),
        simulate("AAAUSDT", "1h", 50, seed=1, end_ms=END),
    ]
    assert all(other.digest != one.digest for other in others)


def test_prices_have_five_significant_digits() -> None:
    prices = simulate("AAAUSDT", "5m", 200, seed=3, end_ms=END).bars[:, :VOLUME].ravel()
    assert all(float(f"{price:.5g}") == price for price in prices)


def test_well_known_symbols_begin_where_they_trade() -> None:
    first = simulate("BTCUSDT", "1h", 5, seed=1, end_ms=END).bars[0, OPEN]
    assert 30_000 < first < 120_000


def test_many_symbols_are_each_made_as_alone() -> None:
    many = simulate_many(["AAAUSDT", "BBBUSDT"], "1h", 30, seed=4, end_ms=END)
    alone = simulate("BBBUSDT", "1h", 30, seed=4, end_ms=END)
    assert [k.digest for k in many][1] == alone.digest


def test_volatility_is_that_of_a_market() -> None:
    bars = simulate("AAAUSDT", "1h", 5000, seed=5, end_ms=END).bars
    daily = np.diff(np.log(bars[::24, CLOSE])).std()
    assert 0.005 < daily < 0.15


@pytest.mark.parametrize(("count", "end"), [(-1, END), (10, 0), (10**9, END)])
def test_what_would_begin_before_1970_is_refused(count: int, end: int) -> None:
    with pytest.raises(KlinesError, match="Cannot simulate"):
        simulate("AAAUSDT", "1h", count, seed=0, end_ms=end)


def test_a_hostile_symbol_is_refused() -> None:
    with pytest.raises(SymbolError):
        simulate("../x", "1h", 1, seed=0, end_ms=END)


def test_the_simulated_market_looks_like_a_market() -> None:
    klines = simulate("ABCUSDT", "15m", 20_000, seed=3, end_ms=END)
    moves = np.diff(np.log(klines.bars[:, 3]))
    assert 0.015 < moves.std() * math.sqrt(96) < 0.08  # daily volatility
    assert ((moves - moves.mean()) ** 4).mean() / moves.var() ** 2 > 4  # heavy tails
    size = np.abs(moves)
    assert np.corrcoef(size[1:], size[:-1])[0, 1] > 0.1  # volatility comes in clusters
    span = np.log(klines.bars[:, 1] / klines.bars[:, 2])
    assert np.corrcoef(np.log(klines.bars[:, 4]), np.log(span))[0, 1] > 0.5
    assert (klines.bars[:, 1] > klines.bars[:, [0, 3]].max(1)).mean() > 0.5  # wicks


def test_symbols_move_apart_from_each_other() -> None:
    both = simulate_many(["ABCUSDT", "XYZUSDT"], "15m", 500, seed=1, end_ms=END)
    moves = [np.diff(np.log(klines.bars[:, CLOSE])) for klines in both]
    assert abs(np.corrcoef(*moves)[0, 1]) < 0.3
