"""The backtest as a page: first what differs from zero, then every figure of every arm."""

import numpy as np
import pytest

from vision_ai.evaluation import performance, trading
from vision_ai.evaluation.performance import DAY_MS, DailyLedger, TradedPeriod
from vision_ai.evaluation.trades import Trade, TradeCall

HOUR = 3_600_000


def trade(day: int, gain: float, symbol: str = "AAAUSDT") -> Trade:
    at = day * DAY_MS + 3 * HOUR
    call = TradeCall(symbol, at, 1, 0.02, 0.02)
    return Trade(call, 100.0, 100.0 * (1 + gain), at + HOUR, "time")


def span(days: int) -> TradedPeriod:
    return TradedPeriod(0, days * DAY_MS - 6 * HOUR, symbols=2)


def content(arms: dict, differences: dict | None = None) -> dict:
    return {"arms": arms, "differences": differences or {}, "method": {"promotions": []}}


def test_arms_that_learned_nothing_are_said_once() -> None:
    made = [trade(day, -0.01 * (1 + day % 2)) for day in range(60)]
    ledger = DailyLedger.of(made, span(60), fee=0, slippage=0)
    found = performance.estimates(ledger, draws=50)
    none = performance.difference(ledger, ledger, draws=50)
    arms = {trading.CV: found, trading.NO_CV: found, trading.CV + trading.LEARNING: found}
    gaps = {f"{trading.CV} less {trading.NO_CV}": none}
    said = trading.verdict(content(arms, gaps))
    assert [line.split(":")[0] for line in said] == [
        trading.CV, trading.CV, trading.NO_CV, trading.NO_CV,
        f"{trading.CV} less {trading.NO_CV}", "Learning changed nothing",
    ]  # fmt: skip
    assert "is below zero" in said[0]
    learned = {**content(arms, gaps), "method": {"promotions": [["2025-01-01", "b"]]}}
    assert len(trading.verdict(learned)) == 7


def ledger(mean: float, days: int = 90, seed: int = 1) -> DailyLedger:
    rng = np.random.default_rng(seed)
    made = [trade(day, float(gain)) for day, gain in enumerate(rng.normal(mean, 0.01, days))]
    return DailyLedger.of(made, span(days), fee=0, slippage=0)


def arm(of: DailyLedger) -> dict:
    counts = {"calls": 100, "ends": {"target": 3, "stop": 2}, "decisions": {"join": 100}}
    return {**performance.estimates(of, draws=100), **counts}


METHOD = {
    "klines": "bench", "data": "0" * 64, "symbols": ["AAAUSDT", "BBBUSDT"], "hours": 48,
    "first": "2025-06-01T00:00:00Z", "until": "2025-06-03T00:00:00Z", "model": "m-1",
    "index": "i" * 64, "fee": 0.00055, "slippage": 0.0002, "target": 0.02, "stop": 0.01,
    "atr_multiple": None, "promotions": [], "predictions": 96, "hold": "6h",
    "learn_every_h": 24, "draws": 100, "block_days": 3, "seed": 0,
}  # fmt: skip


def page_content(**changes: object) -> dict:
    arms = {trading.CV: arm(ledger(0.01)), trading.NO_CV: arm(ledger(-0.01))}
    gap = performance.difference(ledger(0.01), ledger(-0.01), draws=100)
    rows = [
        {"fee": fee, "slippage": slippage, **arms[trading.CV]}
        for fee in (0.0, 0.001)
        for slippage in (0.0, 0.0005)
    ]
    return {
        "arms": arms,
        "differences": {f"{trading.CV} less {trading.NO_CV}": gap},
        "sweep": dict.fromkeys(arms, rows),
        "method": {**METHOD, **changes},
    }


def test_no_trade_is_said_at_once() -> None:
    none = DailyLedger.of([], span(10), fee=0.001, slippage=0)
    found = {**performance.estimates(none, draws=20), "calls": 0, "ends": {}, "decisions": {}}
    assert "nothing was traded" in trading.verdict(content({"a": found}))[0]


def test_gains_and_losses_that_are_not_chance_are_said_with_their_side() -> None:
    gain, loss = (performance.estimates(ledger(mean), draws=100) for mean in (0.01, -0.01))
    chance = performance.estimates(ledger(0.0, seed=3), draws=100)
    first = trading.verdict(content({"skill": gain}))[0]
    assert first.startswith("skill: expectancy: mean net return of a trade is above zero, ")
    assert "is below zero" in trading.verdict(content({"skill": loss}))[0]
    assert trading.verdict(content({"chance": chance}))[0].startswith("Nothing is different")


def test_arms_that_do_not_differ_are_told_so() -> None:
    gain = performance.estimates(ledger(0.01), draws=100)
    none = performance.difference(ledger(0.01), ledger(0.01), draws=50)
    name = f"{trading.CV} less {trading.NO_CV}"
    told = trading.verdict(content({trading.CV: gain, trading.NO_CV: gain}, {name: none}))
    assert told[-1].startswith(f"{name}: no difference in expectancy, 0.000 %")


def test_every_arm_and_difference_has_every_figure() -> None:
    page = trading.section(page_content())
    for label in trading.NAMES.values():
        assert page.count(f"| {label} |") == 2
    assert "| 3, 2, 0, 0 |" in page
    assert "| 100, 0, 0 |" in page
    assert f"| figure | {trading.CV} | {trading.NO_CV} |" in page


def test_costs_are_a_table_of_slippage_by_fee() -> None:
    page = trading.section(page_content())
    assert page.count("| slippage | fee 0.000% | fee 0.100% |") == 2
    assert page.count("| 0.050% |") == 2


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, "| target and stop | 2.0% and 1.0% from the entry |"),
        ({"atr_multiple": 1.5}, "| target and stop | 1.5 mean true ranges |"),
        ({}, "promotions: none"),
        ({"promotions": [["2025-06-02T00:00:00Z", "m-2"]]}, "2025-06-02T00:00:00Z to m-2"),
    ],
)
def test_the_method_says_how_levels_and_updates_were_made(changes, text) -> None:
    assert text in trading.section(page_content(**changes))


def test_the_page_is_written_below_a_title(tmp_path) -> None:
    path = trading.write(tmp_path, page_content())
    assert path == tmp_path / "backtest.md"
    page = path.read_text()
    assert page.startswith("# Backtest\n\n")
    assert "## Arms" in page
    assert "### Arms" in trading.section(page_content(), level=3)


def test_the_terminal_shows_each_arm_with_its_trades() -> None:
    lines = trading.summary(page_content())
    assert lines[0].startswith(
        "48 hours of 2 symbols in bench, 2025-06-01 to 2025-06-03; model m-1"
    )
    assert lines[1] == "Fee 0.055% and slippage 0.020% a fill."
    assert f"{trading.CV}: 90 trades of 100 calls" in lines
    assert sum(line.startswith("  Sharpe ratio, a year") for line in lines) == 2


def test_arms_are_named_by_what_they_have() -> None:
    names = {trading.arm(with_cv=cv, learning=learn) for cv in (0, 1) for learn in (0, 1)}
    assert len(names) == 4
    assert {name for pair in trading.PAIRS for name in pair} == names
