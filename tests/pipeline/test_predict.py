"""The whole path on candles that never traded: exchange, charts, model, files on disk."""

import json
import subprocess
import sys
import urllib.request
from pathlib import Path

import jsonschema
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.markets import NOW, SYMBOLS, candles
from vision_ai.cli.app import run
from vision_ai.domain import parse_time
from vision_ai.market.replay.listing import Listing
from vision_ai.market.replay.server import Clock, Replay
from vision_ai.model.registry import SHIPPED

pytestmark = pytest.mark.skipif(
    not (SHIPPED / "manifest.json").exists(), reason="no model is shipped in this checkout"
)


def files(folder: Path, pattern: str) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob(pattern)}


def written(data: Path) -> dict[str, bytes]:
    predictions = data / "vision_ai" / "predictions"
    return files(data / "charts", "*.png") | files(predictions, "*.json")


def test_a_scan_draws_and_predicts_every_market_once(server, tmp_path, capsys) -> None:
    data = tmp_path / "data"
    assert run(["scan", "--all", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert sorted(report["predictions"]) == list(SYMBOLS)
    first = written(data)
    assert len([name for name in first if name.endswith(".png")]) == 2 * len(SYMBOLS)
    assert len([name for name in first if name.endswith(".json")]) == len(SYMBOLS)

    assert run(["schema", "prediction"]) == 0
    schema = json.loads(capsys.readouterr().out)
    jsonschema.Draft202012Validator.check_schema(schema)
    for name, content in first.items():
        if name.endswith(".json"):
            jsonschema.validate(json.loads(content), schema)

    assert run(["scan", "--all"]) == 0
    assert written(data) == first

    server.clock.advance(3600)
    assert run(["scan", "--all"]) == 0
    later = written(data)
    assert {name: later[name] for name in first} == first
    assert len(later) == 2 * len(first)


@pytest.mark.slow
def test_history_is_replayed_as_it_was(server, tmp_path, monkeypatch, capsys) -> None:
    assert run(["predict", "AAAUSDT", "--json"]) == 0
    then = json.loads(capsys.readouterr().out)["prediction"]
    server.clock.advance(7200)
    monkeypatch.setenv("VISION_AI_DATA", str(tmp_path / "later"))
    assert run(["predict", "AAAUSDT", "--as-of", NOW, "--json"]) == 0
    now = json.loads(capsys.readouterr().out)["prediction"]
    assert {**now, "created_at": ""} == {**then, "created_at": ""}


@pytest.mark.slow
def test_stored_candles_of_the_past_are_read_without_a_connection(
    server, tmp_path, monkeypatch, capsys
) -> None:
    assert run(["predict", "AAAUSDT", "--json"]) == 0
    live = json.loads(capsys.readouterr().out)["prediction"]
    (fetched,) = (tmp_path / "data").rglob("*AAAUSDT*15m*.parquet")
    path = tmp_path / "bybit-linear_AAAUSDT_15m.parquet"
    path.write_bytes(fetched.read_bytes())
    # Bybit by its name, at a port where nothing answers
    monkeypatch.setenv("VISION_AI_BYBIT_URL", "http://api.bybit.invalid:9")
    monkeypatch.setenv("VISION_AI_DATA", str(tmp_path / "offline"))
    (tmp_path / "vision_ai.toml").write_text("[market]\nattempts = 1\nbackoff_s = 0.0\n")
    assert run(["import", str(path)]) == 0
    capsys.readouterr()
    assert run(["predict", "AAAUSDT", "--as-of", NOW, "--json"]) == 0
    stored = json.loads(capsys.readouterr().out)["prediction"]
    assert stored["intervals"] == live["intervals"]
    assert stored["venue"] == "bybit-linear"
    assert run(["predict", "AAAUSDT"]) == 4  # the newest candles are the exchange's to give


def test_a_damaged_prediction_spoils_no_other(server, tmp_path, capsys) -> None:
    folder = tmp_path / "data" / "vision_ai" / "predictions"
    folder.mkdir(parents=True)
    (folder / "AAAUSDT_20250615_1200.json").write_text("{")
    assert run(["scan", "AAAUSDT", "BBBUSDT", "--no-charts"]) == 5
    assert "AAAUSDT_20250615_1200.json is damaged" in capsys.readouterr().err
    assert (folder / "BBBUSDT_20250615_1200.json").exists()
    assert run(["scan", "AAAUSDT", "--no-charts"]) == 3


@pytest.mark.slow
def test_a_prediction_of_another_venue_is_not_passed_off(server, tmp_path, monkeypatch, capsys):
    assert run(["scan", "AAAUSDT", "--no-charts"]) == 0
    other = Listing.from_klines("elsewhere", [candles("AAAUSDT", seed=99)])
    with Replay(other, Clock(parse_time(NOW), frozen=True)) as second:
        monkeypatch.setenv("VISION_AI_BYBIT_URL", second.url)
        assert run(["predict", "AAAUSDT"]) == 3
    assert "made from other candles, of simulated-pipeline-linear" in capsys.readouterr().err


def test_a_chart_of_another_venue_is_not_passed_off(server, monkeypatch, capsys) -> None:
    assert run(["snapshot", "AAAUSDT"]) == 0
    other = [candles("AAAUSDT", seed=99), candles("BBBUSDT", seed=1)]
    markets = Listing.from_klines("elsewhere", other)
    with Replay(markets, Clock(parse_time(NOW), frozen=True)) as second:
        monkeypatch.setenv("VISION_AI_BYBIT_URL", second.url)
        assert run(["snapshot", "AAAUSDT"]) == 3
        assert "shows other candles" in capsys.readouterr().err
        assert run(["snapshot", "AAAUSDT", "BBBUSDT"]) == 5
        shown = capsys.readouterr()
        assert "AAAUSDT" not in shown.out
        assert shown.out.count("BBBUSDT") >= 2


def test_a_fifth_of_replies_going_wrong_loses_nothing(server, tmp_path, monkeypatch) -> None:
    settings = tmp_path / "vision_ai.toml"
    settings.write_text("[market]\nattempts = 12\nbackoff_s = 0.01\ntimeout_s = 2.0\n")
    url = f"{server.url}/faults?rate=0.2&kinds=all&seed=5&slow=0.05"
    urllib.request.urlopen(urllib.request.Request(url, method="POST")).close()
    assert run(["scan", "--all", "--no-charts"]) == 0
    assert len(files(tmp_path / "data" / "vision_ai" / "predictions", "*.json")) == len(SYMBOLS)


def test_a_category_without_markets_is_named(server, tmp_path, capsys) -> None:
    (tmp_path / "vision_ai.toml").write_text('[market]\ncategory = "spot"\n')
    assert run(["scan", "--all"]) == 2
    assert "no USDT market" in capsys.readouterr().err


@pytest.mark.slow
def test_an_index_of_more_candles_holds_each_chart_once(server, tmp_path, capsys) -> None:
    folder = tmp_path / "candles"
    folder.mkdir()
    for seed, symbol in enumerate(SYMBOLS[:3]):
        klines = candles(symbol, seed)
        table = pa.table(
            {"open_ms": klines.open_ms}
            | dict(zip(("open", "high", "low", "close", "volume"), klines.bars.T, strict=True))
        )
        pq.write_table(table, folder / f"simulated_{symbol}_5m.parquet")
    assert run(["index", "build", "--json"]) == 0
    shipped = json.loads(capsys.readouterr().out)
    build = ["index", "build", "--klines", str(folder), "--stride", "24", "--json"]
    assert run(build) == 0
    larger = json.loads(capsys.readouterr().out)
    assert larger["symbols"] == shipped["symbols"] + 3
    assert larger["charts"] > shipped["charts"]
    assert run(build) == 0
    assert json.loads(capsys.readouterr().out) == larger


def test_an_exchange_that_is_down_is_named(tmp_path, monkeypatch, capsys) -> None:
    (tmp_path / "vision_ai.toml").write_text("[market]\nattempts = 2\nbackoff_s = 0.01\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VISION_AI_DATA", str(tmp_path))
    monkeypatch.setenv("VISION_AI_BYBIT_URL", "http://127.0.0.1:9")
    assert run(["scan", "BTCUSDT"]) == 4
    assert "127.0.0.1" in capsys.readouterr().err


def test_an_unknown_symbol_leaves_the_others_done(server, tmp_path, capsys) -> None:
    assert run(["scan", "AAAUSDT", "ZZZUSDT", "--no-charts"]) == 5
    shown = capsys.readouterr()
    assert "AAAUSDT" in shown.out
    assert "ZZZUSDT" in shown.err
    assert len(files(tmp_path / "data" / "vision_ai" / "predictions", "*.json")) == 1


def test_a_scan_that_reads_nothing_names_everything(server, tmp_path, capsys) -> None:
    assert run(["scan", "YYYUSDT", "ZZZUSDT"]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "YYYUSDT: " in shown.err
    assert "ZZZUSDT: " in shown.err


@pytest.mark.slow
def test_our_own_picture_is_read_as_its_candles_are(server, tmp_path, capsys) -> None:
    assert run(["predict", "BBBUSDT", "--json"]) == 0
    from_candles = json.loads(capsys.readouterr().out)["prediction"]
    for interval, reading in from_candles["intervals"].items():
        picture = tmp_path / "data" / reading["chart"]
        assert run(["predict", "--image", str(picture), "--json"]) == 0
        from_picture = json.loads(capsys.readouterr().out)["prediction"]
        assert from_picture["source"] == "image"
        seen = from_picture["intervals"][interval]
        assert seen["klines_hash"] == reading["klines_hash"]
        told, read = reading["probabilities"], seen["probabilities"]
        assert sum(abs(told[name] - read[name]) for name in told) < 0.5


@pytest.mark.parametrize("content", [b"", b"GIF89a", b"\x89PNG\r\n\x1a\nbroken", b"text"])
def test_a_broken_picture_is_one_sentence(tmp_path, content, capsys) -> None:
    path = tmp_path / "chart.png"
    path.write_bytes(content)
    assert run(["predict", "--image", str(path)]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("Error: ")


@pytest.mark.slow
def test_reading_needs_no_torch(server, tmp_path) -> None:
    code = (
        "import sys\n"
        "absent = ('torch', 'open_clip', 'safetensors', 'onnx', 'timm')\n"
        "sys.modules.update(dict.fromkeys(absent))\n"
        "from vision_ai.cli.app import run\n"
        "sys.exit(run(['snapshot', 'AAAUSDT']) or run(['predict', 'AAAUSDT']) "
        "or run(['scan', 'AAAUSDT', 'BBBUSDT']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_an_index_of_another_model_is_refused(server, tmp_path, capsys) -> None:
    assert run(["index", "build"]) == 0
    root = tmp_path / "data" / "vision_ai" / "index"
    version = (root / "current").read_text().strip()
    path = root / version / "manifest.json"
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps({**manifest, "model": "chart-clip-other"}))
    capsys.readouterr()
    assert run(["predict", "AAAUSDT"]) == 3
    assert "vision-ai index build" in capsys.readouterr().err


def test_an_outcome_is_written_once(server, tmp_path, capsys) -> None:
    assert run(["scan", "--all", "--no-charts"]) == 0
    server.clock.advance(7 * 3600)
    assert run(["feedback", "run"]) == 0
    logs = files(tmp_path / "data" / "cv_feedback_logs", "*.jsonl")
    assert len(logs) == len(SYMBOLS)
    assert all(content.count(b"\n") == 2 for content in logs.values())
    assert run(["feedback", "run"]) == 0
    assert files(tmp_path / "data" / "cv_feedback_logs", "*.jsonl") == logs
    capsys.readouterr()
    assert run(["feedback", "review", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["review"]["lines"] == 2 * len(SYMBOLS)


def test_demo_says_that_its_candles_are_simulated(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("VISION_AI_DATA", raising=False)
    assert run(["demo"]) == 0
    shown = capsys.readouterr().out
    assert "simulated" in shown
    assert "Setup" in shown
    assert "Confidence" in shown
    assert len(files(tmp_path / "data", "*.png")) == 2
