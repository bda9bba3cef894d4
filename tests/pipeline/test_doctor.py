"""What the doctor finds wrong, and with which code it leaves."""

from pathlib import Path

import pytest

from tests import standin
from tests.feedback.examples import AS_OF, prediction
from vision_ai import storage
from vision_ai.cli.app import run
from vision_ai.config import Paths
from vision_ai.domain import Interval
from vision_ai.market.simulate import simulate


@pytest.fixture
def paths(tmp_path: Path, monkeypatch) -> Paths:
    paths = Paths(tmp_path / "data")
    standin.install(paths, [simulate("AAAUSDT", Interval.M15, 900, seed=1, end_ms=AS_OF)])
    monkeypatch.setenv("VISION_AI_DATA", str(paths.root))
    monkeypatch.chdir(tmp_path)
    return paths


def test_all_is_well_while_the_exchange_answers(paths: Paths, server, monkeypatch, capsys) -> None:
    monkeypatch.setenv("VISION_AI_DATA", str(paths.root))
    call = prediction()
    storage.write_document(paths.prediction(call.symbol, AS_OF), call)
    assert run(["doctor"]) == 0
    assert "the newest 1 are whole" in capsys.readouterr().out


def test_a_silent_exchange_is_for_later(paths: Paths, monkeypatch, capsys) -> None:
    monkeypatch.setenv("VISION_AI_BYBIT_URL", "http://127.0.0.1:9")
    assert run(["doctor"]) == 4
    assert "Not well: exchange" in capsys.readouterr().err


def test_damaged_predictions_and_lines_are_named(paths: Paths, server, monkeypatch, capsys) -> None:
    monkeypatch.setenv("VISION_AI_DATA", str(paths.root))
    paths.predictions.mkdir(parents=True)
    paths.prediction("BTCUSDT", AS_OF).write_text("{")
    paths.feedback_logs.mkdir()
    paths.feedback("BTCUSDT", AS_OF).write_text("no line\n")
    paths.decisions.mkdir()
    paths.decisions_of("BTCUSDT", AS_OF).write_text("no line\n")
    (paths.models / "attempts.jsonl").write_text("no line\n")
    assert run(["doctor"]) == 3
    shown = capsys.readouterr()
    assert "Not well: predictions, feedback, decisions, gate" in shown.err
    assert "1 of the newest 1 are damaged" in shown.out


@pytest.mark.parametrize("command", [["doctor"], ["feedback", "run"], ["decide", "AAAUSDT"]])
def test_predictions_that_cannot_be_listed_are_an_error(
    command: list[str], paths: Paths, server, monkeypatch, capsys
) -> None:
    monkeypatch.setenv("VISION_AI_DATA", str(paths.root))
    paths.predictions.write_text("in the way")
    assert run(command) == 3
    shown = capsys.readouterr()
    assert "cannot be read" in shown.err + shown.out
    assert "Traceback" not in shown.err
