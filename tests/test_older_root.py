"""A data root that version 0.1.0 made works after its keys and texts were renamed (ADR 10)."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.markets import NOW, candles
from vision_ai import feedback_loop_cv
from vision_ai.cli.app import run
from vision_ai.config import Paths
from vision_ai.domain import Horizon, parse_time
from vision_ai.feedback import journal as feedback_journal
from vision_ai.market.replay.listing import Listing
from vision_ai.market.replay.server import Clock, Replay
from vision_ai.trader_decision import journal as decision_journal

OLD = Path(__file__).parent / "data" / "root_0_1_0"
METADATA = json.loads((OLD / "metadata.json").read_text())
KEYS = {
    "heard": "unadjusted",
    "words": "annotations",
    "trust": "transfer_probability",
    "rung": "mode",
    "stretch": "width_factor",
}
TEXTS = {
    "its look-alikes are farther away than those of": (
        "its similar charts are farther away than those of"
    ),
    "fewer than 5 look-alikes may speak about this chart": (
        "fewer than 5 similar charts are eligible as evidence"
    ),
}
LAST = parse_time(NOW) + 7 * Horizon.H2.ms // 2  # the clock of the root's last command


@pytest.fixture
def paths(tmp_path: Path, monkeypatch) -> Paths:
    root = tmp_path / "root"
    shutil.copytree(OLD, root)
    monkeypatch.setenv("VISION_AI_DATA", str(root))
    monkeypatch.setenv("VISION_AI_REVIEWER", "anna")
    monkeypatch.chdir(root)  # its settings lie there
    return Paths(root)


@pytest.fixture
def exchange(paths: Paths, monkeypatch) -> Iterator[Replay]:
    markets = [candles("AAAUSDT", 0), candles("BBBUSDT", 1)]
    listing = Listing.from_klines("simulated-pipeline", markets)
    with Replay(listing, Clock(LAST, frozen=True)) as replay:
        monkeypatch.setenv("VISION_AI_BYBIT_URL", replay.url)
        yield replay


def renamed_keys(content: Any, texts: dict[str, str] | None = None) -> Any:
    """A document of version 0.1.0 under today's keys; its texts stay unless some are given."""
    if isinstance(content, dict):
        return {KEYS.get(key, key): renamed_keys(value, texts) for key, value in content.items()}
    if isinstance(content, list):
        return [renamed_keys(value, texts) for value in content]
    if isinstance(content, str):
        for old, new in (texts or {}).items():
            content = content.replace(old, new)
    return content


def renamed(content: Any) -> Any:
    """What would be written today: keys and texts."""
    return renamed_keys(content, TEXTS)


def answer(capsys, *command: str) -> dict[str, Any]:
    assert run([*command, "--json"]) == 0
    out = capsys.readouterr().out
    content = json.loads(out)
    assert isinstance(content, dict)
    return content


def test_the_fixture_is_the_one_that_was_made() -> None:
    for name, digest in METADATA["sha256"].items():
        assert hashlib.sha256((OLD / name).read_bytes()).hexdigest() == digest, name


def test_every_old_prediction_is_read_under_todays_names(paths: Paths) -> None:
    files = feedback_loop_cv.prediction_files(paths)
    assert len(files) == 6
    annotated = 0
    for path in files:
        prediction = feedback_loop_cv.read_prediction(path)
        written = prediction.model_dump(mode="json")
        assert json.loads(json.dumps(written)) == renamed_keys(json.loads(path.read_text()))
        readings = prediction.intervals.values()
        annotated += sum(reading.unadjusted is not None for reading in readings)
    assert annotated == 2


def test_checksums_of_old_log_lines_still_hold(paths: Paths) -> None:
    lines, bad = feedback_loop_cv.read_logs(paths)
    assert (len(lines), bad) == (8, [])
    assert [line.width_factor for line in lines if line.symbol == "CCCUSDT"] == [1.25, 1.25]
    attempts, bad = feedback_journal.read_attempts(paths)
    assert ([attempt.mode for attempt in attempts], bad) == (["reweight"], [])
    decisions, bad = decision_journal.read(paths)
    assert (len(decisions), bad) == (1, [])


@pytest.mark.parametrize("key", ["width_factor", "stretch"])
def test_an_edited_old_line_still_shows(key: str, paths: Paths) -> None:
    log = paths.feedback("CCCUSDT", parse_time("2025-06-14T12:00:00Z"))
    text = log.read_text()
    log.write_text(text.replace('"stretch":1.25', f'"{key}":1.26', 1))
    lines, bad = feedback_loop_cv.read_log(log)
    assert len(lines) == 1
    assert "edited by hand or damaged" in bad[0].reason


def test_new_lines_follow_old_ones_in_one_log(paths: Paths) -> None:
    log = paths.feedback("AAAUSDT", parse_time("2025-06-15T13:00:00Z"))
    old, _ = feedback_loop_cv.read_log(log)
    more = [line.model_copy(update={"horizon": Horizon.H6}) for line in old[:1]]
    log.write_text(log.read_text().splitlines()[0] + "\n")
    assert [line.horizon for line in feedback_loop_cv.append(paths, more)] == [Horizon.H6]
    first, second = map(json.loads, log.read_text().splitlines())
    assert ("stretch" in first, "width_factor" in second) == (True, True)
    lines, bad = feedback_loop_cv.read_log(log)
    assert ([line.line for line in lines], bad) == ([1, 2], [])


def test_reports_say_what_they_said(paths: Paths, exchange: Replay, capsys) -> None:
    expected = METADATA["expected"]
    found = answer(capsys, "feedback", "review")
    assert {key: found[key] for key in expected["review"]} == renamed(expected["review"])
    found = answer(capsys, "decide", "AAAUSDT")  # quotes the stored prediction as it is
    assert {key: found[key] for key in expected["decide"]} == expected["decide"]
    found = answer(capsys, "models", "diff", "stand-in-1", "stand-in-1-r1-aca21e")
    assert found["bands"] == expected["diff"]["bands"]
    assert found["weights"] == expected["diff"]["weights"]
    found = answer(capsys, "review", "stats")
    gone = {"waiting", "disagreements"}  # the root keeps the candles of one symbol only
    assert {key: found[key] for key in expected["stats"].keys() - gone} == {
        key: value for key, value in expected["stats"].items() if key not in gone
    }


@pytest.mark.parametrize(
    ("symbol", "model"), [("AAAUSDT", "stand-in-1"), ("BBBUSDT", "stand-in-1-r1-aca21e")]
)
def test_the_old_model_and_index_predict_the_same(
    symbol: str, model: str, paths: Paths, exchange: Replay
) -> None:
    """Under the old calibration, with the index's annotation or the derived version's bands."""
    path = paths.prediction(symbol, LAST)
    old = json.loads(path.read_text())
    path.unlink()
    assert run(["models", "promote", model]) == 0
    assert run(["predict", symbol]) == 0
    assert json.loads(path.read_text()) == renamed(old)
    assert (old["intervals"]["15m"]["heard"] is not None) == (symbol == "AAAUSDT")


def test_the_loop_goes_on_from_there(paths: Paths, exchange: Replay, capsys) -> None:
    assert run(["doctor"]) == 0
    capsys.readouterr()
    exchange.clock.advance(3 * 3600)
    written = answer(capsys, "feedback", "run")["written"]
    assert {(line["symbol"], line["horizon"]) for line in written} == {
        ("AAAUSDT", "2h"),
        ("BBBUSDT", "2h"),
    }
    assert all("width_factor" in line for line in written)
    proposal = answer(capsys, "feedback", "update")["proposal"]
    assert proposal["mode"] == "log-only"


def test_a_correction_of_an_old_desk_counts_on(paths: Paths, exchange: Replay, capsys) -> None:
    rows = answer(capsys, "labels", "export", str(paths.root / "again.jsonl"))
    assert rows
    assert (paths.root / "again.jsonl").read_text() == (paths.root / "labels.jsonl").read_text()
    assert run(["labels", "import", str(paths.root / "labels.jsonl")]) == 0
    assert run(["models", "promote", "stand-in-1"]) == 0
    assert run(["index", "build"]) == 0
    # Its name is a hash of all rows and annotations: version 0.1.0 gave the same one.
    assert (paths.index / "current").read_text() == "9e32860b1c4e9ff4\n"


@pytest.mark.parametrize("name", ["prediction", "feedback"])
def test_schemas_print_todays_names(name: str, capsys) -> None:
    assert run(["schema", name]) == 0
    text = capsys.readouterr().out
    assert not any(f'"{old}"' in text for old in KEYS)
    assert '"unadjusted"' in text if name == "prediction" else '"width_factor"' in text


@pytest.mark.parametrize("command", [["feedback", "update"], ["simulate", "--klines", "none"]])
def test_the_old_option_is_still_taken_and_not_listed(
    command: list[str], paths: Paths, capsys
) -> None:
    for option in ("--rung", "--mode"):
        assert run([*command, option, "sometimes"]) == 2
        assert "No such mode: 'sometimes'" in capsys.readouterr().err
    assert run([*command, "--help"]) == 0
    text = capsys.readouterr().out
    assert "--mode" in text
    assert "--rung" not in text
