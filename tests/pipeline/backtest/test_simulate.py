"""The whole loop on past hours: the same bytes each time, whatever comes later or kills it."""

import hashlib
import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import simulated_hours
from tests.kills import kill_at_random
from tests.simulated_hours import H_MS, HOURS, START
from vision_ai import feedback_loop_cv
from vision_ai.cli.app import run
from vision_ai.config import Config, Paths
from vision_ai.domain import iso
from vision_ai.errors import InputError, MissingModelError, StateError, TransientError
from vision_ai.market.store import Store
from vision_ai.pipeline import schemas
from vision_ai.pipeline.backtest import simulate
from vision_ai.pipeline.backtest.simulate import SimulationPlan
from vision_ai.pipeline.reader import Reader
from vision_ai.pipeline.workspace import Workspace
from vision_ai.trader_decision import journal

Files = dict[str, bytes]
read_files = simulate.read_files


@pytest.fixture(scope="module")
def workspace(tmp_path_factory) -> Workspace:
    return simulated_hours.workspace(tmp_path_factory.mktemp("origin") / "data")


@pytest.fixture(scope="module")
def story(workspace: Workspace, tmp_path_factory) -> dict[int, Files]:
    """What stood after each hour of a simulation without faults."""
    root = tmp_path_factory.mktemp("calm")
    hours = simulate.run(workspace, simulated_hours.listing(), simulated_hours.plan(), root)
    return {hour.now_ms: read_files(root) for hour in hours}


@pytest.fixture(scope="module")
def calm(story: dict[int, Files]) -> Files:
    return story[START + (HOURS - 1) * H_MS]


@pytest.fixture(scope="module")
def two_hours(workspace: Workspace, tmp_path_factory) -> dict[int, Files]:
    """What stood after the first and the second hour."""
    root = tmp_path_factory.mktemp("two")
    hours = simulate.run(workspace, simulated_hours.listing(), simulated_hours.plan(hours=2), root)
    return {hour.now_ms: read_files(root) for hour in hours}


def test_two_hours_in_two_runs_write_the_bytes_of_one_run(
    workspace: Workspace, two_hours: dict[int, Files], tmp_path: Path
) -> None:
    for hours in (1, 2):
        plan = simulated_hours.plan(hours=hours)
        reports = list(simulate.run(workspace, simulated_hours.listing(), plan, tmp_path))
        assert [report.now_ms for report in reports] == [START + n * H_MS for n in range(hours)]
        assert read_files(tmp_path) == two_hours[START + (hours - 1) * H_MS]


def test_candles_after_an_hour_change_no_file_of_it(
    workspace: Workspace, two_hours: dict[int, Files], tmp_path: Path
) -> None:
    list(
        simulate.run(
            workspace, simulated_hours.listing(START), simulated_hours.plan(hours=1), tmp_path
        )
    )
    assert read_files(tmp_path) == two_hours[START]


def test_hours_that_are_finished_are_not_worked_again(workspace: Workspace, tmp_path: Path) -> None:
    plan = simulated_hours.plan(hours=1)
    first = list(simulate.run(workspace, simulated_hours.listing(), plan, tmp_path))

    def refuse(*_: object) -> Reader:
        raise AssertionError("a finished hour loads no model")

    idle = Workspace(workspace.config, workspace.paths, load_reader=refuse)
    assert list(simulate.run(idle, simulated_hours.listing(), plan, tmp_path)) == first


def test_an_hour_leaves_a_prediction_and_a_decision_of_each_symbol(
    two_hours: dict[int, Files],
) -> None:
    names = list(two_hours[START])
    assert sum("predictions/" in name for name in names) == len(simulated_hours.SYMBOLS)
    decided = [two_hours[START][name] for name in names if "decisions" in name]
    assert sum(content.count(b"\n") for content in decided) == len(simulated_hours.SYMBOLS)


def test_an_hour_before_whole_charts_says_what_is_missing_and_why(
    workspace: Workspace, tmp_path: Path
) -> None:
    first_ms = int(simulated_hours.markets()[0].open_ms[0]) // H_MS * H_MS + H_MS
    plan = simulated_hours.plan(first=iso(first_ms), hours=1)
    for _ in range(2):  # the second run reads it in its note
        (hour,) = simulate.run(workspace, simulated_hours.listing(), plan, tmp_path)
        assert "closed candles" in " ".join(hour.missing.values())


@pytest.mark.slow
def test_every_hour_predicts_resolves_learns_and_decides(calm: Files, tmp_path: Path) -> None:
    for name, content in calm.items():
        target = tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    paths = Paths(tmp_path)
    predictions, damaged = feedback_loop_cv.read_predictions(paths)
    lines, bad = feedback_loop_cv.read_logs(paths)
    decisions, worse = journal.read(paths)
    symbols = len(simulated_hours.SYMBOLS)
    assert [*damaged, *bad, *worse] == []
    assert len(predictions) == len(decisions) == HOURS * symbols
    assert len(lines) == (HOURS - 2 + HOURS - 6) * symbols
    assert all(prediction.created_at == prediction.as_of for prediction in predictions)
    assert {line.checked_at for line in lines} <= {d.decided_at for d in decisions}
    assert len(list(paths.proposals.glob("*.json"))) == 3


@pytest.mark.slow
def test_a_second_simulation_writes_the_same_bytes(
    workspace: Workspace, calm: Files, tmp_path: Path
) -> None:
    assert (
        len(
            list(
                simulate.run(workspace, simulated_hours.listing(), simulated_hours.plan(), tmp_path)
            )
        )
        == HOURS
    )
    assert read_files(tmp_path) == calm


@pytest.mark.slow
def test_replies_that_go_wrong_change_no_byte(
    workspace: Workspace, story: dict[int, Files], tmp_path: Path
) -> None:
    plan = simulated_hours.plan(hours=3, fault_rate=0.1, seed=3)
    assert list(simulate.run(workspace, simulated_hours.listing(), plan, tmp_path))
    assert read_files(tmp_path) == story[START + 2 * H_MS]


@pytest.mark.slow
@given(hour=st.integers(0, HOURS - 1))
@settings(max_examples=4, deadline=None)
def test_later_candles_change_no_file_of_the_whole_loop(
    workspace: Workspace, story: dict[int, Files], tmp_path_factory, hour: int
) -> None:
    """History cut off at an hour leaves every file as it stood then, byte by byte."""
    root = tmp_path_factory.mktemp("cut")
    now_ms = START + hour * H_MS
    plan = simulated_hours.plan(hours=hour + 1)
    assert list(simulate.run(workspace, simulated_hours.listing(now_ms), plan, root))
    assert read_files(root) == story[now_ms]


@pytest.mark.slow
def test_a_file_of_the_loop_does_depend_on_the_candles_before(
    workspace: Workspace, story: dict[int, Files], tmp_path: Path
) -> None:
    """The law above could fail: an hour less of history is seen at once."""
    list(
        simulate.run(
            workspace,
            simulated_hours.listing(START - H_MS),
            simulated_hours.plan(hours=1),
            tmp_path,
        )
    )
    assert read_files(tmp_path) != story[START]


@pytest.mark.slow
def test_a_longer_plan_resumes_where_the_shorter_one_ended(
    workspace: Workspace, calm: Files, tmp_path: Path
) -> None:
    def work(hours: int) -> None:
        plan = simulated_hours.plan(hours=hours)
        assert (
            len(list(simulate.run(workspace, simulated_hours.listing(), plan, tmp_path))) == hours
        )

    work(4)
    before = read_files(tmp_path)
    work(HOURS)
    assert read_files(tmp_path) == calm
    assert all(calm[name].startswith(content) for name, content in before.items())


def test_another_simulation_in_the_same_folder_is_refused(
    workspace: Workspace, tmp_path: Path
) -> None:
    begun = simulate.run(workspace, simulated_hours.listing(), simulated_hours.plan(), tmp_path)
    next(begun)
    with pytest.raises(StateError, match="under way"):
        next(simulate.run(workspace, simulated_hours.listing(), simulated_hours.plan(), tmp_path))
    begun.close()
    with pytest.raises(InputError, match="holds another simulation"):
        next(
            simulate.run(
                workspace, simulated_hours.listing(), simulated_hours.plan(seed=1), tmp_path
            )
        )


@pytest.mark.parametrize("name", ["vision_ai/predictions", ".cache", ".derived-data"])
def test_a_folder_of_other_files_is_refused_and_left_alone(
    name: str, workspace: Workspace, tmp_path: Path
) -> None:
    real = tmp_path / name / ".BTCUSDT.json.a.tmp"
    real.parent.mkdir(parents=True)
    real.write_text("half of a real record, that a sweep would take")
    with pytest.raises(InputError, match="is no simulation"):
        next(simulate.run(workspace, simulated_hours.listing(), simulated_hours.plan(), tmp_path))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [real]


def test_a_start_that_fails_leaves_the_folder_to_the_next(
    workspace: Workspace, tmp_path: Path
) -> None:
    wrong = workspace.config.model.model_copy(update={"version": "nosuch"})
    config = workspace.config.model_copy(update={"model": wrong})
    with pytest.raises(MissingModelError):
        next(
            simulate.run(
                Workspace(config, workspace.paths),
                simulated_hours.listing(),
                simulated_hours.plan(),
                tmp_path,
            )
        )
    (tmp_path / ".lock").touch()
    (tmp_path / ".rehearsal.json.abc.tmp").write_text("{")
    next(simulate.run(workspace, simulated_hours.listing(), simulated_hours.plan(), tmp_path))


@pytest.mark.slow
def test_hours_that_could_not_be_read_are_listed_each_time(
    workspace: Workspace, folder: Path, tmp_path: Path, monkeypatch, capsys
) -> None:
    monkeypatch.setenv("VISION_AI_DATA", str(workspace.paths.root))
    first = iso(int(simulated_hours.markets()[0].open_ms[0]) // H_MS * H_MS + H_MS)
    options = ["--start", first, "--days", "1", "--no-charts", "--out", str(tmp_path / "out")]
    for _ in range(2):
        assert run(["rehearse", "--klines", str(folder), *options]) == 5
        shown = capsys.readouterr()
        assert "24 hours" in shown.out
        assert "closed candles" in shown.err


def killed(workspace: Workspace, calm: Files, tmp_path: Path, kills: int) -> int:
    """Kill a simulation again and again; after each, what stood stands, and the end is the same."""
    root = tmp_path / "killed"
    ends = []

    def before() -> None:
        if root.exists() and read_files(root) == calm:
            shutil.rmtree(root)

    def check() -> None:
        found = read_files(root)
        assert found.keys() <= calm.keys()
        assert all(calm[name].startswith(content) for name, content in found.items())
        ends.append(found == calm)

    command = [sys.executable, "-m", "tests.simulated_hours", str(workspace.paths.root), str(root)]
    struck = kill_at_random(command, check, kills=kills, seed=5, before=before, reach=0.5)
    before()
    list(simulate.run(workspace, simulated_hours.listing(), simulated_hours.plan(), root))
    check()
    assert ends[-1]
    return struck


@pytest.mark.slow
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
    for klines in simulated_hours.markets():
        Store(paths, "simulated").add(klines)
    return paths.klines_folder


@pytest.mark.parametrize(
    "options",
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
def test_bad_options_are_one_sentence(
    options: list[str], folder: Path, tmp_path: Path, monkeypatch, capsys
) -> None:
    monkeypatch.setenv("VISION_AI_DATA", str(tmp_path))
    assert run(["rehearse", "--klines", str(folder), *options]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "Traceback" not in shown.err
    assert len(shown.err) < 500


@pytest.mark.slow
def test_the_command_prints_what_came_of_it(
    workspace: Workspace, folder: Path, tmp_path: Path, monkeypatch, capsys
) -> None:
    monkeypatch.setenv("VISION_AI_DATA", str(workspace.paths.root))
    options = ["--days", "1", "--no-charts", "--json"]
    command = ["rehearse", "--klines", str(folder), "--out", str(tmp_path / "out"), *options]
    assert run(command) == 0
    result = json.loads(capsys.readouterr().out)
    jsonschema.validate(result, schemas.schema("simulate-result"))
    assert result["hours"] == 24
    assert sum(result["decisions"].values()) == 24 * len(simulated_hours.SYMBOLS)
    assert result["not_counted"] == []
    assert run(command) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["logs"] == result["logs"]


def choose(folder: Path, **changes: object) -> SimulationPlan:
    """The plan of some options on the folder of candles."""
    options = simulate.SimulateOptions(folder, days=1)
    return simulate.plan_simulation(replace(options, **changes))[1]


def test_without_a_start_the_last_days_are_simulated(folder: Path) -> None:
    last_ms = max(int(klines.close_ms[-1]) for klines in simulated_hours.markets())
    plan = choose(folder, days=2)
    assert plan.hours == 48
    assert plan.schedule.at(plan.hours) == last_ms // H_MS * H_MS


def test_every_option_reaches_the_plan(folder: Path) -> None:
    changes = {"learn_every_h": 6, "mode": "log-only", "charts": False, "seed": 3}
    plan = choose(folder, start="2025-06-13T00:00:00Z", fault_rate=0.25, **changes)
    assert plan.model_dump() | changes | {"fault_rate": 0.25} == plan.model_dump()
    assert plan.first == "2025-06-13T00:00:00Z"
    assert plan.schedule.learn_every_h == 6


@pytest.mark.parametrize(
    ("changes", "says", "hint"),
    [
        ({"mode": "dream"}, "No such mode: 'dream'", "log-only"),
        ({"start": "2025-01-01T00:00:00Z"}, "begin before the candles do, at 2025-06-10", "later"),
        ({"start": "2025-06-15T12:00:00Z"}, "end after the candles do, at 2025-06-16", "earlier"),
        ({"days": 400}, "400 days begin before the candles do", "fewer days"),
    ],
    ids=["mode", "too early", "too late", "too many days"],
)
def test_what_cannot_be_simulated_is_said_with_the_cure(
    folder: Path, changes: dict[str, object], says: str, hint: str
) -> None:
    with pytest.raises(InputError, match=says) as refused:
        choose(folder, **changes)
    assert hint in refused.value.hint


CHANGES = {
    "source": "another", "first": "2025-06-15T13:00:00Z", "learn_every_h": 5, "mode": "log-only",
    "charts": True, "fault_rate": 0.5, "seed": 9, "settings": "0" * 16,
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_a_plan_with_another_value_is_another_simulation(name: str) -> None:
    assert not simulated_hours.plan().is_same_run(simulated_hours.plan(**{name: CHANGES[name]}))


def test_a_longer_or_half_finished_plan_is_the_same_simulation() -> None:
    begun = simulated_hours.plan(hours=3, done=2, unread={iso(START): {"AAAUSDT": "no candles"}})
    assert simulated_hours.plan().is_same_run(begun)


def test_a_note_of_the_version_before_is_read() -> None:
    """It named the mode of updates `rung`."""
    content = simulated_hours.plan(mode="log-only").model_dump(mode="json")
    content["rung"] = content.pop("mode")
    assert SimulationPlan.model_validate(content) == simulated_hours.plan(mode="log-only")


def test_only_the_address_of_the_exchange_may_change_between_runs() -> None:
    config = Config()
    moved = config.model_copy(
        update={"market": config.market.model_copy(update={"base_url": "http://127.0.0.1:1"})}
    )
    wider = config.model_copy(
        update={"feedback": config.feedback.model_copy(update={"target": 0.5})}
    )
    assert simulate._settings(moved) == simulate._settings(config)
    assert simulate._settings(wider) != simulate._settings(config)


@pytest.mark.parametrize(("fault_rate", "attempts"), [(0.0, None), (0.1, simulate.PATIENCE)])
def test_more_attempts_are_made_where_replies_go_wrong_on_purpose(
    tmp_path: Path, fault_rate: float, attempts: int | None
) -> None:
    local = Workspace(Config(), Paths(tmp_path))
    market = simulate._at(
        local, "http://127.0.0.1:1", simulated_hours.plan(fault_rate=fault_rate)
    ).config
    assert market.market.base_url == "http://127.0.0.1:1"
    assert market.market.attempts == (attempts or local.config.market.attempts)


class Flaky:
    """A step that gives out some times before it succeeds."""

    def __init__(self, failures: int, error: type[Exception]) -> None:
        self.left, self.error, self.calls = failures, error, 0

    def __call__(self) -> str:
        self.calls += 1
        self.left -= 1
        if self.left >= 0:
            raise self.error("gave out")
        return "finished"


def test_a_step_is_tried_again_while_the_exchange_gives_out() -> None:
    step = Flaky(simulate.PATIENCE - 1, TransientError)
    assert simulate._patiently(step) == "finished"
    assert step.calls == simulate.PATIENCE


def test_patience_ends_and_other_errors_are_not_tried_again() -> None:
    endless, wrong = Flaky(1000, TransientError), Flaky(1000, InputError)
    with pytest.raises(TransientError):
        simulate._patiently(endless)
    with pytest.raises(InputError):
        simulate._patiently(wrong)
    assert (endless.calls, wrong.calls) == (simulate.PATIENCE, 1)


def test_the_digest_tells_contents_and_names_apart(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    files = {name: tmp_path / name for name in ("a", "b", "c")}
    for name, path in files.items():
        path.write_text("same" if name < "c" else "other")
    by_hand = hashlib.sha256(b"a 4\nsamec 5\nother").hexdigest()
    assert simulate.digest(paths, [files["a"], files["c"]]) == by_hand
    different = {simulate.digest(paths, [path]) for path in files.values()}
    assert len(different) == 3
    assert simulate.digest(paths, []) == hashlib.sha256().hexdigest()


def test_every_lasting_file_is_of_one_kind(two_hours: dict[int, Files], tmp_path: Path) -> None:
    for name, content in two_hours[START + H_MS].items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    (tmp_path / "rehearsal.json").write_text("{}")
    (tmp_path / "charts" / "AAAUSDT").mkdir(parents=True)
    (tmp_path / "charts" / "AAAUSDT" / "one.png").write_bytes(b"PNG")
    kinds = simulate.logs(Paths(tmp_path))
    assert list(kinds) == ["predictions", "feedback", "decisions", "updates", "charts"]
    listed = [path for paths in kinds.values() for path in paths]
    assert len(listed) == len(set(listed)) == len(two_hours[START + H_MS]) + 1
    assert sorted(read_files(tmp_path)) == sorted(
        path.relative_to(tmp_path).as_posix() for path in listed
    )


def test_what_was_missing_is_counted_over_the_hours(tmp_path: Path) -> None:
    gaps = [{"BBBUSDT": "no candles", "AAAUSDT": "no candles"}, {"BBBUSDT": "no candles"}, {}]
    hours = [simulate.Hour(START + n * H_MS, gap) for n, gap in enumerate(gaps)]
    result = simulate._result(simulated_hours.plan(hours=3), tmp_path, hours, 1.26)
    assert result.hours_missing == {"BBBUSDT: no candles": 2, "AAAUSDT: no candles": 1}
    assert list(result.hours_missing) == ["BBBUSDT: no candles", "AAAUSDT: no candles"]
    assert set(result.missing) == {
        f"{iso(START)} AAAUSDT", f"{iso(START)} BBBUSDT", f"{iso(START + H_MS)} BBBUSDT",
    }  # fmt: skip
    assert (result.outcomes, result.decisions, result.seconds) == (0, {}, 1.3)
    assert {kind: files.files for kind, files in result.logs.items()} == dict.fromkeys(
        ("predictions", "feedback", "decisions", "updates", "charts"), 0
    )
