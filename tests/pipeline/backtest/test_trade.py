"""The loop in memory: the same judgements as the simulation's, and no look ahead."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import desks, standin
from tests.desks import H_MS, HOURS, START
from tests.feedback.examples import AS_OF, line, prediction
from vision_ai import feedback_loop_cv
from vision_ai.cli.app import run
from vision_ai.config import Paths
from vision_ai.domain import Interval, Klines, parse_time
from vision_ai.market import simulate as market
from vision_ai.market.store import Store
from vision_ai.model.registry import SHIPPED
from vision_ai.pipeline.backtest import sandbox, simulate, trade
from vision_ai.pipeline.backtest.cycle import Schedule
from vision_ai.pipeline.backtest.memory import Arm, CachingReader, Market, MemoryCycle
from vision_ai.pipeline.reader import Reader
from vision_ai.pipeline.workspace import Workspace
from vision_ai.trader_decision import journal

VENUE = f"{desks.SOURCE}-linear"


def markets(until_ms: int | None = None) -> dict[str, Market]:
    cut = (k if until_ms is None else k.until(until_ms) for k in desks.markets())
    return {k.symbol: Market.of(VENUE, k) for k in cut}


def play(workspace: Workspace, hours: int, until_ms: int | None = None) -> list[Arm]:
    schedule = Schedule(START, hours, learn_every_h=4)
    return trade.play(workspace, markets(until_ms), schedule, (False, True))


@pytest.fixture(scope="module")
def workspace(tmp_path_factory) -> Workspace:
    return desks.workspace(tmp_path_factory.mktemp("desk") / "data")


@pytest.fixture(scope="module")
def played(workspace: Workspace) -> list[Arm]:
    return play(workspace, HOURS)


@pytest.mark.slow
def test_it_judges_as_the_simulation_does(
    workspace: Workspace, played: list[Arm], tmp_path: Path
) -> None:
    """One engine: what commands write over a socket is what the backtest holds in memory."""
    list(simulate.run(workspace, desks.listing(), desks.plan(), tmp_path))
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
    assert len(frozen.reader.memory) == HOURS * len(desks.SYMBOLS) * 2


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
    assert np.allclose(found.quarters.bars, fine.resample(Interval.M15).bars)
