"""Whole runs from the command line over real charts, against the server on this machine."""

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.labels.openai_server import KEY, OpenAiServer, mixed, never
from vision_ai.cli.app import run

KLINES = Path(os.environ.get("VISION_AI_KLINES") or Path(__file__).parents[4] / "shared" / "klines")
CANDLES = KLINES / "scan"
pytestmark = pytest.mark.skipif(
    not CANDLES.is_dir(), reason="needs the folder of real candles (VISION_AI_KLINES)"
)
SETTINGS = """
[chart]
width = 480
height = 300
[gpt]
backoff_s = 0.02
timeout_s = 3.0
poll_s = 0.05
attempts = 4
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "settings.toml").write_text(SETTINGS)
    monkeypatch.setenv("VISION_AI_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("VISION_AI_CONFIG", str(tmp_path / "settings.toml"))
    return tmp_path


def reach(server: OpenAiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in server.environ.items():
        monkeypatch.setenv(name, value)


def asked(limit: int, *more: str) -> list[str]:
    return ["describe", "--klines", str(CANDLES), "--limit", str(limit), *more, "--json"]


def told(capsys: pytest.CaptureFixture[str]) -> dict:
    return json.loads(capsys.readouterr().out)


@pytest.mark.slow
@pytest.mark.klines
def test_two_hundred_real_charts_with_a_fifth_of_mixed_faults(place, monkeypatch, capsys, caplog):
    caplog.set_level(logging.DEBUG)
    with OpenAiServer(mixed(0.2, 7), slow_s=30) as server:
        server.echo_key = True
        reach(server, monkeypatch)
        code = run(asked(200))
        shown = capsys.readouterr()
        first = json.loads(shown.out)
        named = first["missing"]
        assert first["asked_for"] == 200
        assert first["described"] + len(named) == 200
        assert first["described"] > 180
        assert code == (5 if named else 0)
        ledger = first["ledger"]
        assert ledger["requests"] == len(server.requests)
        assert ledger["input_tokens"] == server.input_tokens
        assert ledger["output_tokens"] == server.output_tokens
        paid = (server.input_tokens * 0.25 + server.output_tokens * 2.0) / 1e6
        assert ledger["cost"] == pytest.approx(paid)
        assert max(server.answered.values()) == 1

        kinds = Counter(why.split(":")[0] for why in named.values())
        unanswered = 200 - first["described"] - kinds["refused"] - kinds["contradicts"]
        before = len(server.requests)
        server.choose = never
        assert run(["describe", "--charts", str(place / "data" / "charts"), "--json"]) == 0
        again = told(capsys)
        assert again["asked_for"] == again["described"] == unanswered
        assert len(server.requests) - before == unanswered
        assert max(server.answered.values()) == 1
    whole = "".join(path.read_text() for path in (place / "data").rglob("*.jsonl"))
    for text in (shown.out, shown.err, caplog.text, whole):
        assert KEY not in text
        assert KEY[3:20] not in text


@pytest.mark.klines
def test_a_rerun_sends_nothing_and_a_dry_run_neither(place, monkeypatch, capsys):
    charts = place / "data" / "charts"
    with OpenAiServer() as server:
        reach(server, monkeypatch)
        assert run(asked(6, "--dry-run")) == 0
        counted = told(capsys)
        assert server.requests == []
        assert counted["charts"] == 6
        assert 0 < counted["cost"] < counted["cost_at_worst"]
        assert not charts.exists()

        assert run(asked(6)) == 0
        described = told(capsys)
        assert described["described"] == 6
        assert len(server.requests) == 6
        assert described["ledger"]["cost_per_1000_charts"] > 0

        assert run(["describe", "--charts", str(charts), "--json"]) == 0
        assert told(capsys)["asked_for"] == 0
        assert len(server.requests) == 6


@pytest.mark.klines
def test_a_dry_run_needs_no_key(place, monkeypatch, capsys):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    assert run(asked(3, "--dry-run")) == 0
    assert told(capsys)["charts"] == 3
    assert run(asked(3)) == 2
    assert "OPENAI_API_KEY" in capsys.readouterr().err
    assert run(asked(3, "--dry-run", "--symbols", "NOSUCHUSDT")) == 2
    assert "no candles of NOSUCHUSDT" in capsys.readouterr().err


@pytest.mark.klines
def test_pictures_of_ours_are_described_from_their_pixels(place, monkeypatch, capsys):
    with OpenAiServer() as server:
        reach(server, monkeypatch)
        run(asked(4))
        capsys.readouterr()
        (place / "shots").mkdir()
        for path in (place / "data" / "charts").rglob("*.png"):
            path.rename(place / "shots" / path.name)
        (place / "shots" / "broken.png").write_bytes(b"no picture")
        code = run(["describe", "--charts", str(place / "shots"), "--language", "pl", "--json"])
    assert code == 5
    found = told(capsys)
    assert found["described"] == 4
    assert list(found["missing"]) == [str(place / "shots" / "broken.png")]
    assert "in Polish" in server.requests[-1]["instructions"]


@pytest.mark.klines
def test_a_batch_from_the_command_line_survives_a_restart(place, monkeypatch, capsys):
    with OpenAiServer() as server:
        reach(server, monkeypatch)
        assert run(asked(5, "--batch", "--no-wait")) == 0
        assert told(capsys)["submitted"] == 5
        assert run(asked(5, "--batch")) == 0
        found = told(capsys)
        assert found["waiting"] == {}
        assert found["ledger"]["kinds"] == {"described": 10}
        assert max(server.charts.values()) == 1
        assert len(server.batches) == 2


@pytest.mark.klines
def test_max_cost_stops_a_run_with_the_rest_named(place, monkeypatch, capsys):
    with OpenAiServer() as server:
        reach(server, monkeypatch)
        assert run(asked(12, "--max-cost", "0.006")) == 5
        found = told(capsys)
    assert found["cost"] <= 0.006
    assert found["described"] + len(found["missing"]) == 12
    assert "limit of 0.006" in found["stopped"]


@pytest.mark.slow
@pytest.mark.klines
def test_a_killed_run_goes_on_where_it_was(place, monkeypatch, capsys):
    with OpenAiServer() as server:
        reach(server, monkeypatch)
        command = [sys.executable, "-m", "vision_ai", *asked(30)]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
            while len(server.requests) < 8:
                time.sleep(0.05)
            process.send_signal(signal.SIGKILL)
        assert run(asked(22)) == 0
        found = told(capsys)
    assert found["ledger"]["kinds"]["described"] >= 29
    twice = sum(count > 1 for count in server.charts.values())
    assert twice <= 4  # at most what was under way when it was killed
