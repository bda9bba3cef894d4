"""The loop in memory: the same judgements as the simulation's, and no look ahead."""

import hashlib
import itertools
import json
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import simulated_hours, standin
from tests.feedback.examples import AS_OF, line, prediction
from tests.simulated_hours import H_MS, HOURS, START
from vision_ai import feedback_loop_cv
from vision_ai.cli.app import run
from vision_ai.config import Config, Paths
from vision_ai.domain import Interval, Klines, iso, parse_time
from vision_ai.errors import KlinesError, LeakError
from vision_ai.evaluation import trades, trading
from vision_ai.evaluation.trades import TradeCall
from vision_ai.market import simulate as market
from vision_ai.market.store import Store
from vision_ai.measures.purge import Extent, earliest_as_of
from vision_ai.model.registry import SHIPPED
from vision_ai.pipeline import schemas
from vision_ai.pipeline.backtest import sandbox, simulate, trade
from vision_ai.pipeline.backtest.cycle import Schedule
from vision_ai.pipeline.backtest.memory import Arm, CachingReader, MemoryCycle, SymbolCandles
from vision_ai.pipeline.reader import Reader
from vision_ai.pipeline.workspace import Workspace
from vision_ai.trader_decision import journal

VENUE = f"{simulated_hours.SOURCE}-linear"


def markets(until_ms: int | None = None) -> dict[str, SymbolCandles]:
    cut = (k if until_ms is None else k.until(until_ms) for k in simulated_hours.markets())
    return {k.symbol: SymbolCandles.of(VENUE, k) for k in cut}


def play(workspace: Workspace, hours: int, until_ms: int | None = None) -> list[Arm]:
    schedule = Schedule(START, hours, learn_every_h=4)
    return trade.play(workspace, markets(until_ms), schedule, (False, True))


@pytest.fixture(scope="module")
def workspace(tmp_path_factory) -> Workspace:
    return simulated_hours.workspace(tmp_path_factory.mktemp("origin") / "data")


@pytest.fixture(scope="module")
def played(workspace: Workspace) -> list[Arm]:
    return play(workspace, HOURS)


@pytest.mark.slow
def test_it_judges_as_the_simulation_does(
    workspace: Workspace, played: list[Arm], tmp_path: Path
) -> None:
    """One engine: what commands write over a socket is what the backtest holds in memory."""
    list(simulate.run(workspace, simulated_hours.listing(), simulated_hours.plan(), tmp_path))
    paths = Paths(tmp_path)
    predictions, _ = feedback_loop_cv.read_predictions(paths)
    lines, _ = feedback_loop_cv.read_logs(paths)
    decisions, _ = journal.read(paths)
    blank = {"line": 0, "check": ""}
    for arm in played:
        predicted = sorted(arm.predictions, key=lambda p: (p.symbol, p.as_of))
        assert predicted == predictions
        settled = sorted([*arm.lines, *arm.recent], key=feedback_loop_cv.key)
        expected = sorted((x.model_copy(update=blank) for x in lines), key=feedback_loop_cv.key)
        assert settled == expected
        decided = sorted(arm.decisions[True], key=lambda d: (d.symbol, d.decided_at))
        assert decided == [d.model_copy(update=blank) for d in decisions]


@pytest.mark.slow
@given(hour=st.integers(0, HOURS - 1))
@settings(max_examples=5, deadline=None)
def test_later_candles_change_nothing_that_was_done(
    workspace: Workspace, played: list[Arm], hour: int
) -> None:
    """History cut off at an hour leaves everything said, settled and decided by then."""
    now_ms = START + hour * H_MS
    for full, cut in zip(played, play(workspace, hour + 1, now_ms), strict=True):
        assert cut.predictions == [p for p in full.predictions if parse_time(p.as_of) <= now_ms]
        every = [*full.lines, *full.recent]
        known = [line for line in every if parse_time(line.checked_at) <= now_ms]
        found = [*cut.lines, *cut.recent]
        assert sorted(found, key=feedback_loop_cv.key) == sorted(known, key=feedback_loop_cv.key)
        for with_cv in (True, False):
            decided = [d for d in full.decisions[with_cv] if parse_time(d.decided_at) <= now_ms]
            assert cut.decisions[with_cv] == decided
            calls = [call for call in full.calls[with_cv] if call.at_ms <= now_ms]
            assert cut.calls[with_cv] == calls


@pytest.mark.slow
def test_without_its_rules_the_model_moves_no_score(played: list[Arm]) -> None:
    for arm in played:
        for ruled, plain in zip(arm.decisions[True], arm.decisions[False], strict=True):
            moved = [name for name in ruled.score_breakdown if name.startswith("cv_")]
            assert not any(name.startswith("cv_") for name in plain.score_breakdown)
            if not moved:
                assert ruled.final_score == plain.final_score


@pytest.mark.slow
def test_charts_are_embedded_once_for_all_arms(played: list[Arm]) -> None:
    frozen, learning = played
    assert frozen.reader.memory is learning.reader.memory
    assert len(frozen.reader.memory) == HOURS * len(simulated_hours.SYMBOLS) * 2


def test_what_proves_better_comes_into_use_in_the_arm_that_learns(
    workspace: Workspace, tmp_path: Path
) -> None:
    """Bands too narrow by half for 120 days: the gate stretches them, and the frozen one stays."""
    rng = np.random.default_rng(4)
    arms = []
    for learns in (False, True):
        own = sandbox.copy_model(workspace, tmp_path / str(learns), AS_OF)
        reader = CachingReader(**vars(Reader.open(own.config, own.paths)))
        arms.append(Arm("an arm", own, reader, learns))
    for day in range(120):
        for symbol in range(4):
            at = {"symbol": f"S{symbol}USDT", "as_of_ms": AS_OF - (120 - day) * 24 * H_MS}
            call = prediction(**at, model_version=standin.VERSION)
            entry = line(
                **at,
                success=bool(rng.random() < 0.4),
                model_version=standin.VERSION,
                width_factor=float(abs(rng.normal()) * 2),
            )
            for arm in arms:
                arm.add_prediction(call)
                arm.lines.append(entry)
    opened = []

    def open_reader(own: Workspace) -> Reader:
        opened.append(Reader.open(own.config, own.paths))
        return opened[-1]

    MemoryCycle({}, arms, open_reader).learn(AS_OF)
    frozen, learning = arms
    assert frozen.versions == []
    assert frozen.reader.model.version == standin.VERSION
    assert [version for _, version in learning.versions] == [learning.reader.model.version]
    assert learning.reader is opened[0]
    assert learning.reader.calibration != frozen.reader.calibration


def test_a_market_shows_only_what_is_closed() -> None:
    market = next(iter(markets().values()))
    at = START + 7 * 60_000
    assert int(market.newest(at, H_MS * 100).close_ms[-1]) == START
    span = feedback_loop_cv.CandleSpan(
        VENUE, "AAAUSDT", Interval.M15, START - H_MS, START + 9 * H_MS
    )
    assert int(market.between(span, at).close_ms[-1]) == START
    assert len(market.between(span, START)) == 4
    minutes = feedback_loop_cv.CandleSpan(VENUE, "AAAUSDT", Interval.M1, START - H_MS, START)
    assert len(market.between(minutes, at)) == 0


def folder(root: Path, end: str) -> Path:
    paths = Paths(root)
    for seed in range(2):
        klines = market.simulate(
            f"S{seed}USDT", Interval.M15, 4 * (105 + 30), seed=seed, end_ms=parse_time(end)
        )
        Store(paths, "simulated").add(klines)
    return paths.klines_folder


@pytest.mark.slow
@pytest.mark.skipif(not (SHIPPED / "manifest.json").exists(), reason="no model is shipped")
def test_the_command_accounts_for_every_arm(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("VISION_AI_DATA", str(tmp_path / "data"))
    klines = folder(tmp_path, "2025-06-15T00:00:00Z")
    page = tmp_path / "page"
    command = ["backtest", "--klines", str(klines), "--report", str(page), "--json"]
    assert run(command) == 0
    result = json.loads(capsys.readouterr().out)
    jsonschema.validate(result, schemas.schema("backtest-result"))
    assert len(result["arms"]) == 4
    assert len(result["differences"]) == 4
    assert result["method"]["hours"] >= 30
    for found in result["arms"].values():
        assert sum(found["decisions"].values()) == result["method"]["predictions"]
    assert "## Arms" in (page / "backtest.md").read_text()
    assert run([*command, "--with-cv", "--frozen", "--symbols", "S0USDT"]) == 0
    assert list(json.loads(capsys.readouterr().out)["arms"]) == ["model's rules"]


@pytest.mark.slow
@pytest.mark.skipif(not (SHIPPED / "manifest.json").exists(), reason="no model is shipped")
def test_candles_of_training_time_and_bad_options_are_refused(
    tmp_path: Path, monkeypatch, capsys
) -> None:
    monkeypatch.setenv("VISION_AI_DATA", str(tmp_path / "data"))
    seen = folder(tmp_path / "seen", "2024-03-15T00:00:00Z")
    fair = folder(tmp_path / "fair", "2025-06-15T00:00:00Z")
    for options in (
        ["--klines", str(seen)],
        ["--klines", str(fair), "--start", "2024-03-10T00:00:00Z"],
        ["--klines", str(fair), "--start", "2025-06-14T00:30:00Z"],
        ["--klines", str(fair), "--start", "2026-01-01T00:00:00Z"],
        ["--klines", str(fair), "--symbols", "XUSDT"],
        ["--klines", str(fair), "--fee", "2"],
        ["--klines", str(tmp_path / "none")],
    ):
        assert run(["backtest", *options]) == 2
        shown = capsys.readouterr()
        assert "Traceback" not in shown.err
        assert shown.out == ""


def test_of_two_files_of_a_symbol_the_finer_is_traded(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    fine = market.simulate("AAAUSDT", Interval.M5, 300, seed=1, end_ms=START)
    for klines in (fine, fine.resample(Interval.M15), fine.resample(Interval.H1)):
        Store(paths, "simulated").add(klines)
    found = trade.read_markets(paths.klines_folder, None)["AAAUSDT"]
    assert isinstance(found.finest, Klines)
    assert found.finest.interval is Interval.M5
    assert np.allclose(found.bars_15m.bars, fine.resample(Interval.M15).bars)


# One hour in memory, beside the same hour over a socket.


def test_an_hour_in_memory_is_the_hour_of_the_simulation(
    workspace: Workspace, tmp_path: Path
) -> None:
    (frozen,) = trade.play(workspace, markets(), Schedule(START, 1, learn_every_h=4), (False,))
    list(
        simulate.run(workspace, simulated_hours.listing(), simulated_hours.plan(hours=1), tmp_path)
    )
    paths = Paths(tmp_path)
    predictions, _ = feedback_loop_cv.read_predictions(paths)
    decisions, _ = journal.read(paths)
    assert sorted(frozen.predictions, key=lambda p: p.symbol) == predictions
    blank = {"line": 0, "check": ""}
    assert frozen.decisions[True] == [d.model_copy(update=blank) for d in decisions]


def test_candles_after_the_hour_change_nothing_of_it(workspace: Workspace) -> None:
    schedule = Schedule(START, 1, learn_every_h=0)
    (whole,), (cut,) = (
        trade.play(workspace, markets(until_ms), schedule, (False,)) for until_ms in (None, START)
    )
    assert whole.predictions == cut.predictions
    assert whole.decisions == cut.decisions
    assert whole.calls == cut.calls


def test_each_arm_is_named_by_whether_it_learns_and_shares_the_vectors(
    workspace: Workspace,
) -> None:
    arms = trade.play(workspace, markets(), Schedule(START, 1, learn_every_h=0), (False, True))
    assert [(arm.name, arm.learns) for arm in arms] == [("frozen", False), ("learning", True)]
    assert arms[0].reader.memory is arms[1].reader.memory
    assert len(arms[0].reader.memory) == 2 * len(simulated_hours.SYMBOLS)
    assert arms[0].predictions == arms[1].predictions
    assert not any(arm.workspace.paths.root.exists() for arm in arms)  # their roots are gone


# Which hours are fair.


@pytest.fixture
def fair_from(monkeypatch) -> int:
    """A model that has learned from candles until ten days before the end of these."""
    seen_ms = START - 40 * H_MS
    extents = [
        Extent("training", frozenset({"OLDUSDT"}), seen_ms - 90 * H_MS, seen_ms - 30 * H_MS),
        Extent("calibration", frozenset({"NEWUSDT"}), seen_ms - 20 * H_MS, seen_ms),
    ]
    monkeypatch.setattr(trade.evaluate, "seen", lambda _: extents)
    embargo_ms = round(Config().index.embargo_h * H_MS)
    return earliest_as_of(seen_ms, embargo_ms=embargo_ms)


@pytest.fixture(scope="module")
def long_markets() -> dict[str, SymbolCandles]:
    """Fifteen days on both sides of `START`."""
    end_ms = START + 15 * 24 * H_MS
    made = (
        market.simulate(symbol, Interval.M15, 30 * 96, seed=seed, end_ms=end_ms)
        for seed, symbol in enumerate(simulated_hours.SYMBOLS)
    )
    return {k.symbol: SymbolCandles.of(VENUE, k) for k in made}


def schedule_of(
    workspace: Workspace, markets: dict[str, SymbolCandles], **options: object
) -> Schedule:
    reader: Reader = None  # type: ignore[assignment]  # what was seen is asked of a stub
    return trade._schedule(
        workspace, reader, markets, trade.BacktestOptions(Path("candles"), **options)
    )


def test_the_first_hour_is_the_first_whose_charts_the_model_cannot_have_seen(
    workspace, long_markets, fair_from: int
) -> None:
    schedule = schedule_of(workspace, long_markets)
    assert fair_from <= schedule.first_ms < fair_from + H_MS
    assert schedule.first_ms % H_MS == 0
    last_ms = max(int(m.bars_15m.close_ms[-1]) for m in long_markets.values())
    assert schedule.at(schedule.hours) <= last_ms < schedule.at(schedule.hours + 1)


def test_a_later_start_and_fewer_days_are_taken(workspace, long_markets, fair_from: int) -> None:
    start = (fair_from // H_MS + 30) * H_MS
    schedule = schedule_of(workspace, long_markets, start=iso(start), days=2, learn_every_h=6)
    assert (schedule.first_ms, schedule.hours, schedule.learn_every_h) == (start, 48, 6)


def test_a_start_in_the_models_time_is_a_leak_and_says_the_first_fair_one(
    workspace, long_markets, fair_from: int
) -> None:
    with pytest.raises(LeakError, match=iso(fair_from)) as refused:
        schedule_of(workspace, long_markets, start=iso(fair_from - H_MS))
    assert "later --start" in refused.value.hint
    exactly = schedule_of(workspace, long_markets, start=iso(fair_from // H_MS * H_MS + H_MS))
    assert exactly.first_ms >= fair_from


def test_candles_that_end_in_the_models_time_are_refused(
    workspace, long_markets, fair_from: int
) -> None:
    early = {
        name: SymbolCandles.of(VENUE, m.finest.until(fair_from)) for name, m in long_markets.items()
    }
    with pytest.raises(LeakError, match="Give later candles"):
        schedule_of(workspace, early)


def test_a_start_at_the_end_of_the_candles_leaves_no_hour(
    workspace, long_markets, fair_from: int
) -> None:
    last_ms = max(int(m.bars_15m.close_ms[-1]) for m in long_markets.values())
    with pytest.raises(KlinesError, match="too early for charts") as refused:
        schedule_of(workspace, long_markets, start=iso(last_ms // H_MS * H_MS))
    assert iso(last_ms) in str(refused.value)


# Accounts.


def accounts(workspace: Workspace, calls: dict[str, list[TradeCall]], **options: object) -> dict:
    """The figures of two arms, of which the learning one made other calls."""
    day = Schedule(START - 48 * H_MS, 48)
    index = SimpleNamespace(version="i1")
    arms = []
    for name, learns in (("frozen", False), ("learning", True)):
        model = SimpleNamespace(version=name)
        arm = Arm(name, workspace, SimpleNamespace(model=model, index=index), learns)
        arm.calls = {True: calls[name], False: []}
        arms.append(arm)
    chosen = trade.BacktestOptions(Path("candles"), **options)
    return trade._content(arms, markets(), day, chosen)


def call_at(hours: int, sign: int = 1) -> TradeCall:
    return TradeCall("AAAUSDT", START - 48 * H_MS + hours * H_MS, sign, 0.01, 0.01)


CALLS = [call_at(1), call_at(10, sign=-1), call_at(20)]
COSTS = {"fee": 0.0005, "slippage": 0.0002}


@pytest.fixture(scope="module")
def content(workspace: Workspace) -> dict:
    """Three trades of the arm that does not learn, one of the other."""
    calls = {"frozen": CALLS, "learning": CALLS[:1]}
    return accounts(workspace, calls, seed=3, **COSTS)


def test_every_arm_is_accounted_for_and_each_pair_compared_once(content: dict) -> None:
    assert list(content["arms"]) == [
        "model's rules", "features alone", "model's rules, learning", "features alone, learning",
    ]  # fmt: skip
    assert set(content["differences"]) == {f"{more} less {less}" for more, less in trading.PAIRS}
    assert content["arms"]["model's rules, learning"]["calls"] == 1
    assert content["arms"]["features alone"]["calls"] == 0


def test_only_the_arms_that_were_asked_for_are_compared(workspace: Workspace) -> None:
    content = accounts(workspace, {"frozen": [], "learning": []}, with_cv=True)
    assert set(content["arms"]) == {"model's rules", "model's rules, learning"}
    assert list(content["differences"]) == ["model's rules, learning less model's rules"]


def test_the_expectancy_is_the_mean_return_after_both_fills_costs(content: dict) -> None:
    figures = content["arms"]["model's rules"]
    klines = markets()["AAAUSDT"].finest
    followed = [trades.follow(klines, call) for call in CALLS]
    net = trades.returns(followed, **COSTS).net
    assert figures["trades"] == len(CALLS)
    assert figures["expectancy"]["value"] == pytest.approx(net.mean(), abs=1e-4)
    assert figures["ends"] == dict(sorted(Counter(t.ended for t in followed).items()))


def test_costs_are_swept_and_dearer_trades_earn_less(content: dict) -> None:
    rows = content["sweep"]["model's rules"]
    expectancy = {(row["fee"], row["slippage"]): row["expectancy"]["value"] for row in rows}
    assert set(expectancy) == set(itertools.product(trade.FEES, trade.SLIPPAGES))
    for (fee, slippage), value in expectancy.items():
        if fee or slippage:
            assert value < expectancy[0.0, 0.0]


def test_the_method_says_what_was_walked_through(content: dict) -> None:
    method = content["method"]
    assert (method["klines"], method["symbols"]) == ("candles", list(simulated_hours.SYMBOLS))
    assert method["first"] == iso(START - 48 * H_MS)
    assert method["until"] == iso(START)
    assert (method["hours"], method["seed"], method["hold"]) == (48, 3, "6h")
    assert (method["model"], method["index"]) == ("frozen", "i1")
    assert (method["fee"], method["slippage"]) == (COSTS["fee"], COSTS["slippage"])
    digests = "".join(k.digest for k in simulated_hours.markets())
    assert method["data"] == hashlib.sha256(digests.encode()).hexdigest()


# Candles.


@pytest.mark.parametrize(
    ("symbols", "says"), [(["ZZZUSDT"], "of ZZZUSDT"), (None, "no candles of 15m or finer")]
)
def test_a_folder_of_other_or_coarser_candles_is_refused(tmp_path: Path, symbols, says) -> None:
    paths = Paths(tmp_path)
    hour = START // H_MS * H_MS
    hourly = market.simulate("AAAUSDT", Interval.H1, 100, seed=1, end_ms=hour)
    Store(paths, "simulated").add(hourly)
    with pytest.raises(KlinesError, match=says) as refused:
        trade.read_markets(paths.klines_folder, symbols)
    assert refused.value.hint == "Check the folder and --symbols."


def test_only_the_symbols_that_were_asked_for_are_read(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    for symbol in ("BBBUSDT", "AAAUSDT", "CCCUSDT"):
        klines = market.simulate(symbol, Interval.M15, 100, seed=1, end_ms=START)
        Store(paths, "simulated").add(klines)
    found = trade.read_markets(paths.klines_folder, ["cccusdt", "AAAUSDT"])
    assert list(found) == ["AAAUSDT", "CCCUSDT"]
    assert found["AAAUSDT"].venue == "simulated"
