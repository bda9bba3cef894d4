"""The whole loop on past hours: the same bytes each time, whatever comes later or kills it."""

import json
import shutil
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import desks
from tests.desks import H_MS, HOURS, START
from tests.kills import kill_at_random
from vision_ai import feedback_loop_cv
from vision_ai.cli.app import run
from vision_ai.config import Paths
from vision_ai.domain import iso
from vision_ai.errors import InputError, MissingModelError, StateError
from vision_ai.market.store import Store
from vision_ai.pipeline.backtest import simulate
from vision_ai.pipeline.workspace import Workspace
from vision_ai.trader_decision import journal

Files = dict[str, bytes]
kept = simulate.kept


@pytest.fixture(scope="module")
def workspace(tmp_path_factory) -> Workspace:
    return desks.workspace(tmp_path_factory.mktemp("desk") / "data")


@pytest.fixture(scope="module")
def story(workspace: Workspace, tmp_path_factory) -> dict[int, Files]:
    """What stood after each hour of a calm rehearsal."""
    root = tmp_path_factory.mktemp("calm")
    hours = simulate.run(workspace, desks.listing(), desks.plan(), root)
    return {hour.now_ms: kept(root) for hour in hours}


@pytest.fixture(scope="module")
def calm(story: dict[int, Files]) -> Files:
    return story[START + (HOURS - 1) * H_MS]


def test_every_hour_predicts_looks_back_learns_and_decides(calm: Files, tmp_path: Path) -> None:
    for name, content in calm.items():
        target = tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    paths = Paths(tmp_path)
    predictions, damaged = feedback_loop_cv.read_predictions(paths)
    lines, bad = feedback_loop_cv.read_logs(paths)
    decisions, worse = journal.read(paths)
    symbols = len(desks.SYMBOLS)
    assert [*damaged, *bad, *worse] == []
    assert len(predictions) == len(decisions) == HOURS * symbols
    assert len(lines) == (HOURS - 2 + HOURS - 6) * symbols
    assert all(prediction.created_at == prediction.as_of for prediction in predictions)
    assert {line.checked_at for line in lines} <= {d.decided_at for d in decisions}
    assert len(list(paths.proposals.glob("*.json"))) == 3


def test_a_second_rehearsal_writes_the_same_bytes(
    workspace: Workspace, calm: Files, tmp_path: Path
) -> None:
    assert len(list(simulate.run(workspace, desks.listing(), desks.plan(), tmp_path))) == HOURS
    assert kept(tmp_path) == calm


def test_replies_that_go_wrong_change_no_byte(
    workspace: Workspace, story: dict[int, Files], tmp_path: Path
) -> None:
    plan = desks.plan(hours=3, fault_rate=0.1, seed=3)
    assert list(simulate.run(workspace, desks.listing(), plan, tmp_path))
    assert kept(tmp_path) == story[START + 2 * H_MS]


@given(hour=st.integers(0, HOURS - 1))
@settings(max_examples=4, deadline=None)
def test_later_candles_change_no_file_of_the_whole_loop(
    workspace: Workspace, story: dict[int, Files], tmp_path_factory, hour: int
) -> None:
    """History cut off at an hour leaves every file as it stood then, byte by byte."""
    root = tmp_path_factory.mktemp("cut")
    now_ms = START + hour * H_MS
    plan = desks.plan(hours=hour + 1)
    assert list(simulate.run(workspace, desks.listing(now_ms), plan, root))
    assert kept(root) == story[now_ms]


def test_a_file_of_the_loop_does_depend_on_the_candles_before(
    workspace: Workspace, story: dict[int, Files], tmp_path: Path
) -> None:
    """The law above could fail: an hour less of history is seen at once."""
    list(simulate.run(workspace, desks.listing(START - H_MS), desks.plan(hours=1), tmp_path))
    assert kept(tmp_path) != story[START]


def test_it_goes_on_where_it_stopped_and_for_longer(
    workspace: Workspace, calm: Files, tmp_path: Path
) -> None:
    def work(hours: int) -> None:
        plan = desks.plan(hours=hours)
        assert len(list(simulate.run(workspace, desks.listing(), plan, tmp_path))) == hours

    work(4)
    before = kept(tmp_path)
    work(HOURS)
    assert kept(tmp_path) == calm
    assert all(calm[name].startswith(content) for name, content in before.items())


def test_another_rehearsal_in_the_same_folder_is_refused(
    workspace: Workspace, tmp_path: Path
) -> None:
    begun = simulate.run(workspace, desks.listing(), desks.plan(), tmp_path)
    next(begun)
    with pytest.raises(StateError, match="under way"):
        next(simulate.run(workspace, desks.listing(), desks.plan(), tmp_path))
    begun.close()
    with pytest.raises(InputError, match="holds another simulation"):
        next(simulate.run(workspace, desks.listing(), desks.plan(seed=1), tmp_path))


@pytest.mark.parametrize("name", ["vision_ai/predictions", ".cache", ".derived-data"])
def test_a_folder_of_other_files_is_refused_and_left_alone(
    name: str, workspace: Workspace, tmp_path: Path
) -> None:
    real = tmp_path / name / ".BTCUSDT.json.a.tmp"
    real.parent.mkdir(parents=True)
    real.write_text("half of a real record, that a sweep would take")
    with pytest.raises(InputError, match="is no simulation"):
        next(simulate.run(workspace, desks.listing(), desks.plan(), tmp_path))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [real]


def test_a_start_that_fails_leaves_the_folder_to_the_next(
    workspace: Workspace, tmp_path: Path
) -> None:
    wrong = workspace.config.model.model_copy(update={"version": "nosuch"})
    config = workspace.config.model_copy(update={"model": wrong})
    with pytest.raises(MissingModelError):
        next(
            simulate.run(
                Workspace(config, workspace.paths), desks.listing(), desks.plan(), tmp_path
            )
        )
    (tmp_path / ".lock").touch()
    (tmp_path / ".rehearsal.json.abc.tmp").write_text("{")
    next(simulate.run(workspace, desks.listing(), desks.plan(), tmp_path))


def test_hours_that_could_not_be_read_are_told_each_time(
    workspace: Workspace, folder: Path, tmp_path: Path, monkeypatch, capsys
) -> None:
    monkeypatch.setenv("VISION_AI_DATA", str(workspace.paths.root))
    first = iso(int(desks.markets()[0].open_ms[0]) // H_MS * H_MS + H_MS)
    wishes = ["--start", first, "--days", "1", "--no-charts", "--out", str(tmp_path / "out")]
    for _ in range(2):
        assert run(["rehearse", "--klines", str(folder), *wishes]) == 5
        shown = capsys.readouterr()
        assert "24 hours" in shown.out
        assert "closed candles" in shown.err


def killed(workspace: Workspace, calm: Files, tmp_path: Path, kills: int) -> int:
    """Kill a rehearsal again and again; after each, what stood stands, and the end is the same."""
    root = tmp_path / "killed"
    ends = []

    def before() -> None:
        if root.exists() and kept(root) == calm:
            shutil.rmtree(root)

    def check() -> None:
        found = kept(root)
        assert found.keys() <= calm.keys()
        assert all(calm[name].startswith(content) for name, content in found.items())
        ends.append(found == calm)

    command = [sys.executable, "-m", "tests.desks", str(workspace.paths.root), str(root)]
    struck = kill_at_random(command, check, kills=kills, seed=5, before=before, reach=0.5)
    before()
    list(simulate.run(workspace, desks.listing(), desks.plan(), root))
    check()
    assert ends[-1]
    return struck


def test_kills_lose_nothing_and_change_no_log(
    workspace: Workspace, calm: Files, tmp_path: Path
) -> None:
    assert killed(workspace, calm, tmp_path, kills=2) > 0


@pytest.mark.slow
def test_many_kills_lose_nothing_and_change_no_log(
    workspace: Workspace, calm: Files, tmp_path: Path
) -> None:
    assert killed(workspace, calm, tmp_path, kills=60) > 40


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """The candles as files."""
    paths = Paths(tmp_path_factory.mktemp("candles"))
    for klines in desks.markets():
        Store(paths, "simulated").add(klines)
    return paths.klines_folder


@pytest.mark.parametrize(
    "wishes",
    [
        ["--klines", "/nowhere"],
        ["--start", "2025-06-15T12:30:00Z", "--days", "1"],
        ["--start", "2025-06-15T12:00:00Z"],
        ["--start", "tomorrow"],
        ["--mode", "dream", "--days", "1"],
        ["--seed", "-1"],
        ["--start", "2020-01-01", "--days", "2"],
        ["--days", "100000"],
    ],
    ids=" ".join,
)
def test_bad_wishes_are_one_sentence(
    wishes: list[str], folder: Path, tmp_path: Path, monkeypatch, capsys
) -> None:
    monkeypatch.setenv("VISION_AI_DATA", str(tmp_path))
    assert run(["rehearse", "--klines", str(folder), *wishes]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "Traceback" not in shown.err
    assert len(shown.err) < 500


def test_the_command_tells_what_came_of_it(
    workspace: Workspace, folder: Path, tmp_path: Path, monkeypatch, capsys
) -> None:
    monkeypatch.setenv("VISION_AI_DATA", str(workspace.paths.root))
    wishes = ["--days", "1", "--no-charts", "--json"]
    command = ["rehearse", "--klines", str(folder), "--out", str(tmp_path / "out"), *wishes]
    assert run(command) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["hours"] == 24
    assert sum(told["decisions"].values()) == 24 * len(desks.SYMBOLS)
    assert told["not_counted"] == []
    assert run(command) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["logs"] == told["logs"]
