"""One clock, one exchange and one reader for everything that a use case does."""

import ast
from pathlib import Path

import pytest

from tests.market.replays import NOW, config, replay
from vision_ai.config import Config, Paths
from vision_ai.domain import CHART_INTERVALS, Interval
from vision_ai.errors import IntervalError
from vision_ai.market.bybit import Bybit
from vision_ai.pipeline.reader import Reader
from vision_ai.pipeline.workspace import Result, Workspace, parse_intervals, progress

PIPELINE = Path(__file__).parents[2] / "vision_ai" / "pipeline"

OPENERS = {
    "time.time", "time.time_ns", "datetime.now", "dt.datetime.now", "datetime.datetime.now",
    "datetime.utcnow", "Bybit", "bybit.Bybit", "Reader.open", "reader.Reader.open",
}  # fmt: skip
"""Calls that read a clock, connect to an exchange or load a model."""


def opened(source: str) -> list[str]:
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return [name for call in calls if (name := ast.unparse(call.func)) in OPENERS]


@pytest.mark.parametrize("path", sorted(PIPELINE.rglob("*.py")), ids=lambda path: path.name)
def test_no_use_case_opens_a_clock_an_exchange_or_a_reader_of_its_own(path: Path) -> None:
    allowed = {"time.time_ns"} if path.name == "workspace.py" else set()
    assert set(opened(path.read_text())) <= allowed


@pytest.mark.parametrize(
    "planted",
    ["now = time.time()", "with Bybit(config) as b: pass", "r = Reader.open(config, paths)"],
)
def test_an_opened_one_is_noticed(planted: str) -> None:
    assert opened(f"import time\n{planted}\n")


def counted(tmp_path: Path, **changes: object) -> tuple[Workspace, list[str]]:
    calls: list[str] = []

    def connect(market: object) -> Bybit:
        calls.append("exchange")
        return Bybit(market)  # type: ignore[arg-type]

    def load(settings: Config, paths: Paths) -> Reader:
        calls.append("reader")
        return object()  # type: ignore[return-value]

    settings = Config(**changes)  # type: ignore[arg-type]
    return Workspace(settings, Paths(tmp_path), lambda: 7, connect, load), calls


def test_what_is_not_asked_for_is_not_opened(tmp_path: Path) -> None:
    workspace, calls = counted(tmp_path)
    with workspace:
        assert workspace.clock() == 7
    assert calls == []


def test_exchange_and_reader_are_opened_once(tmp_path: Path) -> None:
    workspace, calls = counted(tmp_path)
    with workspace:
        assert workspace.exchange is workspace.exchange
        assert workspace.reader is workspace.reader
    assert calls == ["exchange", "reader"]


def test_a_reader_is_loaded_anew_after_another_version_came_into_use(tmp_path: Path) -> None:
    workspace, calls = counted(tmp_path)
    first = workspace.reader
    workspace.reload_reader()
    assert workspace.reader is not first
    assert calls == ["reader", "reader"]


def test_leaving_the_block_closes_what_was_opened(tmp_path: Path) -> None:
    workspace, calls = counted(tmp_path)
    with workspace:
        before = workspace.exchange
    assert workspace.exchange is not before
    assert calls == ["exchange", "exchange"]


def test_a_sandbox_keeps_clock_and_doors_but_not_what_is_open(tmp_path: Path) -> None:
    workspace, calls = counted(tmp_path)
    outer = workspace.exchange
    inner = workspace.at(Paths(tmp_path / "sandbox"))
    assert inner.clock() == 7
    assert inner.paths.root == tmp_path / "sandbox"
    assert inner.config == workspace.config
    assert inner.exchange is not outer
    assert calls == ["exchange", "exchange"]


def test_the_store_is_of_the_venue_that_the_exchange_names(tmp_path: Path) -> None:
    with (
        replay() as server,
        Workspace(Config(market=config(server)), Paths(tmp_path)) as workspace,
    ):
        assert workspace.store.venue == "simulated-7-linear"
        assert workspace.exchange.server_time() == NOW


def test_settings_and_root_come_from_the_environment(tmp_path: Path) -> None:
    settings = tmp_path / "other.toml"
    settings.write_text("[market]\nworkers = 2\n")
    environ = {"VISION_AI_DATA": str(tmp_path / "root"), "VISION_AI_CONFIG": str(settings)}
    workspace = Workspace.open(environ)
    assert workspace.paths.root == tmp_path / "root"
    assert workspace.config.market.workers == 2


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (None, CHART_INTERVALS),
        ([], CHART_INTERVALS),
        (["1h"], (Interval.H1,)),
        (["15m,1h"], CHART_INTERVALS),
        (["1h", "1h"], (Interval.H1,)),  # twice is once
        (["1h,15m"], (Interval.H1, Interval.M15)),  # in the order asked for
    ],
)
def test_intervals_are_read_one_by_one_or_by_commas(texts, expected) -> None:
    assert parse_intervals(texts) == expected


@pytest.mark.parametrize("text", ["5m", "15m,", "1d", "15 m"])
def test_an_interval_without_a_chart_is_refused_by_name(text: str) -> None:
    with pytest.raises(IntervalError, match="expected one of 15m, 1h"):
        parse_intervals([text])


def test_progress_passes_everything_through_where_nobody_watches(capsys) -> None:
    assert list(progress(iter("abc"), total=3, what="Letters")) == ["a", "b", "c"]
    assert capsys.readouterr().err == ""


class Fetched(Result):
    """A result with one field of its own."""

    count: int


def test_the_payload_ends_with_what_is_missing() -> None:
    result = Fetched(count=2, missing={"AAAUSDT": "halted"})
    assert list(result.payload()) == ["count", "missing"]
    assert result.payload()["missing"] == {"AAAUSDT": "halted"}
    assert Fetched(count=0).payload() == {"count": 0, "missing": {}}
