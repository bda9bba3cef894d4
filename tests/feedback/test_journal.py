"""Predictions, feedback logs and attempts on disk."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.feedback.examples import AS_OF, H_MS, line, prediction
from tests.records.test_feedback import ATTEMPT
from vision_ai import storage
from vision_ai.config import Paths
from vision_ai.domain import HORIZONS, Direction, Horizon, Phase, Setup, iso
from vision_ai.errors import CorruptFileError, StorageError
from vision_ai.feedback import journal
from vision_ai.feedback.pending import key
from vision_ai.records import Feedback

finite = st.none() | st.floats(-1e6, 1e6)
share = st.floats(0, 1)
feedback_lines = st.builds(
    lambda hour, horizon, **changes: line(as_of_ms=AS_OF + hour * H_MS, horizon=horizon, **changes),
    st.integers(0, 3),
    st.sampled_from(HORIZONS),
    symbol=st.sampled_from(["BTCUSDT", "1000PEPEUSDT"]),
    success=st.sampled_from([True, False, None]),
    confidence=share,
    setup=st.sampled_from(Setup),
    direction=st.sampled_from(Direction),
    phase=st.sampled_from(Phase),
    move=finite,
    best=finite,
    worst=finite,
    width_factor=finite,
    level=st.none() | share,
    reason=st.text(max_size=20),
    chart=st.none() | st.text(max_size=9),
)


def by_log(lines: list[Feedback]) -> dict[tuple[str, str], list[Feedback]]:
    logs: dict[tuple[str, str], list[Feedback]] = {}
    for one in lines:
        logs.setdefault((one.symbol, one.as_of), []).append(one)
    return logs


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(feedback_lines, max_size=8))
def test_the_first_line_of_each_outcome_is_read_back_and_no_other(tmp_path_factory, lines) -> None:
    paths = Paths(tmp_path_factory.mktemp("root"))
    expected: dict[tuple[str, str, Horizon], Feedback] = {}
    for one in lines:
        written = journal.append(paths, [one])
        assert bool(written) == (key(one) not in expected)
        expected.setdefault(key(one), one)
    read, bad = journal.read_logs(paths)
    assert bad == []
    plain = [one.model_copy(update={"line": 0, "check": ""}) for one in read]
    assert {key(one): one for one in plain} == expected
    for log in by_log(read).values():
        assert [one.line for one in log] == list(range(1, len(log) + 1))
    again, _ = journal.read_logs(paths)
    assert again == read


def test_lines_of_one_prediction_are_written_together(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    both = [line(horizon=horizon) for horizon in HORIZONS]
    assert len(journal.append(paths, both)) == 2
    assert journal.append(paths, both) == []
    assert len(list(paths.feedback_logs.iterdir())) == 1


def test_a_line_in_the_log_of_another_prediction_is_not_counted(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    journal.append(paths, [line()])
    log = paths.feedback("BTCUSDT", AS_OF)
    other = paths.feedback("ETHUSDT", AS_OF)
    other.write_bytes(log.read_bytes())
    lines, bad = journal.read_logs(paths)
    assert len(lines) == 1
    assert [one.reason for one in bad] == [f"belongs to BTCUSDT {iso(AS_OF)}"]


def test_no_logs_are_no_lines(tmp_path: Path) -> None:
    assert journal.read_logs(Paths(tmp_path)) == ([], [])
    assert journal.read_attempts(Paths(tmp_path)) == ([], [])
    assert journal.prediction_files(Paths(tmp_path)) == []


@pytest.mark.parametrize(
    "name",
    ["BTCUSDT_20250615_1515.json.tmp", "btcusdt_20250615_1515.json", "BTCUSDT.json",
     "BTCUSDT_2025.json", "B_20250615_1515.json", ".BTCUSDT_20250615_1515.json"],
)  # fmt: skip
def test_other_files_are_no_predictions(name: str, tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    paths.predictions.mkdir(parents=True)
    (paths.predictions / name).write_text("{}")
    assert journal.prediction_files(paths) == []


def test_a_prediction_under_another_name_is_damage(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    path = paths.prediction("ETHUSDT", AS_OF)
    storage.write_document(path, prediction())
    with pytest.raises(CorruptFileError, match="is of BTCUSDT at") as caught:
        journal.read_prediction(path)
    assert "predict again" in str(caught.value.hint)


def test_damaged_predictions_are_named_and_the_others_are_read(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    call = prediction()
    storage.write_document(paths.prediction("BTCUSDT", AS_OF), call)
    paths.prediction("ETHUSDT", AS_OF).write_text("{")
    found, damaged = journal.read_predictions(paths)
    assert found == [call]
    assert list(damaged) == [paths.prediction("ETHUSDT", AS_OF).name]


def test_opening_reads_only_predictions_that_may_lack_a_line(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    now = AS_OF + 12 * H_MS
    paths.predictions.mkdir(parents=True)
    # complete in the log, and too young: both damaged, so that reading them would be seen
    paths.prediction("DONEUSDT", AS_OF).write_text("{")
    journal.append(paths, [line(symbol="DONEUSDT", horizon=horizon) for horizon in HORIZONS])
    paths.prediction("NEWUSDT", now - H_MS).write_text("{")
    half = prediction(symbol="HALFUSDT")
    storage.write_document(paths.prediction("HALFUSDT", AS_OF), half)
    journal.append(paths, [line(symbol="HALFUSDT", horizon=Horizon.H2)])
    opened = journal.open_journal(paths, now)
    assert (opened.damaged, opened.bad) == ({}, [])
    assert [pending.key for pending in opened.pending] == [("HALFUSDT", iso(AS_OF), Horizon.H6)]
    assert len(opened.lines) == 3


@pytest.mark.parametrize(
    ("age", "count"), [(Horizon.H2.ms - 60_000, 0), (Horizon.H2.ms, 1), (Horizon.H6.ms, 2)]
)
def test_an_outcome_is_pending_from_its_last_minute_on(age: int, count: int, tmp_path) -> None:
    paths = Paths(tmp_path)
    storage.write_document(paths.prediction("BTCUSDT", AS_OF), prediction())
    assert len(journal.open_journal(paths, AS_OF + age).pending) == count


def test_an_attempt_is_written_once(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    assert journal.append_attempt(paths, ATTEMPT)
    assert not journal.append_attempt(paths, ATTEMPT.model_copy(update={"champion": "m2"}))
    assert journal.append_attempt(paths, ATTEMPT.model_copy(update={"number": 3}))
    read, bad = journal.read_attempts(paths)
    assert ([one.number for one in read], [one.champion for one in read], bad) == (
        [2, 3], ["m1", "m1"], [],
    )  # fmt: skip


def test_an_attempt_that_was_edited_is_named(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    journal.append_attempt(paths, ATTEMPT)
    path = paths.models / "attempts.jsonl"
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"promote": True}) + "\n")
    read, bad = journal.read_attempts(paths)
    assert read == []
    assert "edited by hand" in bad[0].reason


def test_a_folder_in_the_way_is_an_error_of_storage(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    paths.feedback_logs.parent.mkdir(parents=True, exist_ok=True)
    paths.feedback_logs.write_text("in the way")
    with pytest.raises(StorageError):
        journal.append(paths, [line()])
    with pytest.raises(StorageError):
        journal.read_logs(paths)
