import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.model import making
from vision_ai.domain import Horizon, Interval
from vision_ai.errors import KlinesError
from vision_ai.measures import purge
from vision_ai.model.training import split
from vision_ai.model.training.split import SplitConfig

DAYS_60 = 60 * 96


@functools.cache
def market(symbols=4, n=DAYS_60):
    fine = [making.klines(f"S{i}USDT", n=n, seed=i) for i in range(symbols)]
    return [*fine, *(table.resample(Interval.H1) for table in fine)]


def test_no_symbol_is_on_both_sides():
    parts = split.divide(market(), SplitConfig(embargo_days=6))
    assert not set(parts.train.symbol) & set(parts.held_out.symbol)
    assert set(parts.train.symbol) | set(parts.held_out.symbol) == {f"S{i}USDT" for i in range(4)}


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 99), st.floats(0.5, 0.8), st.floats(0, 4))
def test_no_training_outcome_reaches_a_held_out_window(seed, share, embargo):
    config = SplitConfig(
        seed=seed, train_share=share, embargo_days=embargo, stride_15m=48, stride_1h=12
    )
    parts = split.divide(market(), config)
    known = (parts.train.close_ms + Horizon.H6.ms).max()
    assert known <= parts.train_until_ms <= parts.held_out_from_ms <= parts.held_out.first_ms.min()
    assert parts.held_out.first_ms.min() - known >= embargo * split.DAY_MS - split.DAY_MS


def test_windows_of_both_intervals_are_on_both_sides():
    parts = split.divide(market(), SplitConfig(embargo_days=4))
    assert set(parts.train.interval) == set(parts.held_out.interval) == {"15m", "1h"}


def test_one_symbol_with_a_longer_history_does_not_move_the_wall():
    usual = split.divide(market(), SplitConfig(embargo_days=6))
    longer = [making.klines("ZZZUSDT", n=2 * DAYS_60), *market()]
    moved = split.divide(longer, SplitConfig(embargo_days=6))
    assert moved.train_until_ms == usual.train_until_ms


def test_the_choice_of_symbols_does_not_depend_on_their_order():
    names = [f"S{i}USDT" for i in range(30)]
    one = purge.held_out_symbols(names, 0.2, seed=3)
    assert one == purge.held_out_symbols(names[::-1] + names, 0.2, seed=3)
    assert len(one) == 6
    assert one != purge.held_out_symbols(names, 0.2, seed=4)


@pytest.mark.parametrize(
    "tables",
    [
        pytest.param([], id="nothing"),
        pytest.param([making.empty_klines()], id="no candles"),
        pytest.param([making.klines(n=95)], id="no whole window"),
        pytest.param([making.klines(n=DAYS_60)], id="one symbol"),
        pytest.param(market(n=200), id="two days"),
    ],
)
def test_too_few_candles_are_refused(tables):
    with pytest.raises(KlinesError) as caught:
        split.divide(tables, SplitConfig())
    assert caught.value.hint


def test_windows_of_a_halted_market_teach_nothing():
    tables = market()
    halted = []
    for table in tables:
        bars = table.bars.copy()
        bars[: len(bars) // 3, 4] = 0
        halted.append(type(table)(table.symbol, table.interval, table.open_ms, bars))
    config = SplitConfig(embargo_days=6, stride_15m=1)
    fewer = split.divide(halted, config)
    assert 0 < len(fewer.train) < len(split.divide(tables, config).train)
    bars = fewer.train.bars(np.arange(0, len(fewer.train), 97))
    assert ((bars[..., 4] > 0).sum(axis=1) > 48).all()
