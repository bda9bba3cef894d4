"""Figures of trading: sums by day, ratios of sums, and intervals that hold what they should."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vision_ai.evaluation import performance
from vision_ai.evaluation.performance import DAY_MS, FIGURES, DailyLedger, TradedPeriod
from vision_ai.evaluation.trades import Trade, TradeCall

HOUR = 3_600_000


def trade(day: int, gain: float, symbol: str = "AAAUSDT") -> Trade:
    at = day * DAY_MS + 3 * HOUR
    return Trade(TradeCall(symbol, at, 1, 0.02, 0.02), 100.0, 100.0 * (1 + gain), at + HOUR, "time")


def span(days: int) -> TradedPeriod:
    return TradedPeriod(0, days * DAY_MS - 6 * HOUR, symbols=2)


def test_figures_of_a_few_trades_by_hand() -> None:
    made = [trade(0, 0.02), trade(0, -0.01), trade(2, 0.02)]
    ledger = DailyLedger.of(made, span(4), fee=0, slippage=0)
    found = dict(zip(FIGURES, ledger.figures(np.arange(4)), strict=True))
    assert found["hit_rate"] == pytest.approx(2 / 3)
    assert found["expectancy"] == pytest.approx(0.01)
    assert found["total_return"] == pytest.approx(1.005 * 1.01 - 1)
    assert found["exposure"] == pytest.approx(3 / (4 * 2 * 24))
    assert found["trades_per_day"] == 0.75
    assert found["fee_share"] == 0
    assert found["max_drawdown"] == 0
    daily = np.array([0.005, 0, 0.01, 0])
    assert found["sharpe"] == pytest.approx(daily.mean() / daily.std(ddof=1) * math.sqrt(365))


def test_a_loss_is_a_drawdown_and_costs_are_a_share_of_gains() -> None:
    made = [trade(0, 0.02), trade(1, -0.04)]
    ledger = DailyLedger.of(made, span(2), fee=0.0005, slippage=0)
    found = dict(zip(FIGURES, ledger.figures(np.arange(2)), strict=True))
    assert found["max_drawdown"] == pytest.approx(-(0.04 + 0.0005 * 1.96) / 2)
    assert found["fee_share"] == pytest.approx(0.0005 * (2.02 + 1.96) / 0.02)
    assert found["sortino"] < 0


def test_no_trades_are_no_figures_and_no_error() -> None:
    ledger = DailyLedger.of([], span(10), fee=0.001, slippage=0)
    found = performance.estimates(ledger, draws=20)
    assert found["trades"] == 0
    assert found["expectancy"] == {"value": None, "low": None, "high": None}
    assert found["exposure"]["value"] == 0


def test_days_of_all_trades_are_within_the_span() -> None:
    last = TradedPeriod(5 * HOUR, 40 * HOUR, 1)
    assert last.days == 2
    assert TradedPeriod(0, 43 * HOUR, 1).days == 3  # a trade of its last hour ends on the third day


def test_an_interval_holds_zero_where_gains_are_chance_and_not_where_they_are_not() -> None:
    rng = np.random.default_rng(1)
    chance = [trade(day, float(gain)) for day, gain in enumerate(rng.normal(0, 0.01, 120))]
    skill = [trade(day, float(gain)) for day, gain in enumerate(rng.normal(0.01, 0.01, 120))]
    ledgers = [DailyLedger.of(made, span(120), fee=0, slippage=0) for made in (chance, skill)]
    found = [performance.estimates(ledger, draws=200) for ledger in ledgers]
    assert found[0]["expectancy"]["low"] < 0 < found[0]["expectancy"]["high"]
    assert found[1]["expectancy"]["low"] > 0
    gap = performance.difference(ledgers[1], ledgers[0], draws=200)
    assert gap["expectancy"]["low"] > 0


def test_the_same_arm_twice_differs_by_nothing() -> None:
    rng = np.random.default_rng(2)
    made = [trade(day, float(gain)) for day, gain in enumerate(rng.normal(0, 0.01, 60))]
    ledger = DailyLedger.of(made, span(60), fee=0.001, slippage=0.001)
    gap = performance.difference(ledger, ledger, draws=50)
    assert all(found["low"] == found["high"] == 0 for found in gap.values())


def test_a_sweep_costs_more_at_every_step() -> None:
    made = [trade(day, 0.01) for day in range(30)]
    rows = performance.sweep(made, span(30), (0.0, 0.001), (0.0, 0.001))
    values = [row["expectancy"]["value"] for row in rows]
    assert len(rows) == 4
    assert values[0] > values[1] > values[3]
    assert values[0] > values[2] > values[3]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 6), st.floats(-0.05, 0.05)), min_size=1, max_size=30),
    st.integers(1, 5),
)
def test_figures_equal_sums_over_the_trades(trades, symbols) -> None:
    """Every figure again from the list of trades, day by day in plain Python."""
    made = [trade(day, gain) for day, gain in trades]
    period = TradedPeriod(0, 7 * DAY_MS - 6 * HOUR, symbols)
    ledger = DailyLedger.of(made, period, fee=0, slippage=0)
    found = dict(zip(FIGURES, ledger.figures(np.arange(7)), strict=True))
    gains = [one.exit / one.entry - 1 for one in made]
    daily = [
        sum(g for g, (d, _) in zip(gains, trades, strict=True) if d == day) / symbols
        for day in range(7)
    ]
    assert found["hit_rate"] == pytest.approx(sum(g > 0 for g in gains) / len(gains))
    assert found["expectancy"] == pytest.approx(sum(gains) / len(gains), abs=1e-12)
    assert found["total_return"] == pytest.approx(math.prod(1 + d for d in daily) - 1, abs=1e-12)
    assert found["exposure"] == pytest.approx(len(made) / (7 * 24 * symbols))
    assert found["trades_per_day"] == pytest.approx(len(made) / 7)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 999))
def test_days_that_are_drawn_twice_count_twice(seed) -> None:
    rng = np.random.default_rng(seed)
    made = [trade(day, float(gain)) for day, gain in enumerate(rng.normal(0, 0.02, 9))]
    ledger = DailyLedger.of(made, span(9), fee=0, slippage=0)
    rows = rng.integers(0, 9, 12)
    repeated = DailyLedger(ledger.by_day[rows], 2)
    np.testing.assert_array_equal(ledger.figures(rows), repeated.figures(np.arange(12)))


def test_days_are_drawn_in_blocks_of_three() -> None:
    ledger = DailyLedger(np.zeros((8, 6)), 1)
    assert ledger.block.tolist() == [0, 0, 0, 1, 1, 1, 2, 2]


def test_a_single_day_has_no_ratio() -> None:
    ledger = DailyLedger.of([trade(0, 0.01)], span(1), fee=0, slippage=0)
    found = dict(zip(FIGURES, ledger.figures(np.arange(1)), strict=True))
    assert math.isnan(found["sharpe"])
    assert math.isnan(found["sortino"])
    assert found["max_drawdown"] == 0
