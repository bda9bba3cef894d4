"""The report card of the shipped model on simulated candles, and the leaks that it refuses."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vision_ai.cli.app import run
from vision_ai.domain import Interval, parse_time
from vision_ai.market.simulate import simulate
from vision_ai.model import registry
from vision_ai.model.registry import SHIPPED

pytestmark = pytest.mark.skipif(
    not (SHIPPED / "manifest.json").exists(), reason="no model is shipped in this checkout"
)

FIGURES = (
    "setup.macro_f1",
    "phase.macro_f1",
    "clear_cut.setup.macro_f1",
    "clear_cut.phase.macro_f1",
    "confidence.ece",
    "abstention.accuracy_at_50",
    "bands.coverage_error_max",
    "outcome.2h.brier_skill",
    "outcome.6h.brier_skill",
)
LATER = "2025-06-15T12:00:00Z"


def write(folder: Path, symbol: str, until: str, seed: int, candles: int = 40 * 96) -> None:
    """Simulated 15m candles that end at a time, as a file of a venue."""
    market = simulate(symbol, Interval.M15, candles, seed=seed, end_ms=parse_time(until))
    names = ("open", "high", "low", "close", "volume")
    columns = {"open_ms": market.open_ms, **dict(zip(names, market.bars.T, strict=True))}
    folder.mkdir(exist_ok=True)
    pq.write_table(pa.table(columns), folder / f"bybit-linear_{symbol}_15m.parquet")


@pytest.fixture(autouse=True)
def empty_data(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("VISION_AI_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)


def evaluated(capsys, *arguments: str) -> dict:
    assert run(["evaluate", "--klines", "candles", "--json", *arguments]) == 0
    return json.loads(capsys.readouterr().out)


def figure(content: dict, name: str) -> dict:
    for part in name.split("."):
        content = content[part]
    return content


def test_every_promised_figure_has_an_interval_and_peers(tmp_path, capsys) -> None:
    folder = tmp_path / "candles"
    write(folder, "AAAUSDT", LATER, 1)
    write(folder, "BBBUSDT", LATER, 2)
    card = evaluated(capsys, "--limit", "120", "--report", "page")
    assert card["n"] == 120
    for name in FIGURES:
        assert set(figure(card, name)) == {"value", "low", "high"}
    skilled = figure(card, "phase.macro_f1")
    assert skilled["low"] <= skilled["value"] <= skilled["high"]
    assert figure(card, "confidence.ece")["low"] <= figure(card, "confidence.ece")["value"]
    assert set(card["by"]) == {"interval", "venue", "time", "symbols"}
    assert card["by"]["time"]["after training"]["n"] == 120
    assert card["method"]["windows_leaking"] == 0
    peers = card["baselines"]
    measured = {"majority", "zero_shot_prompts", "same_regime"}
    if importlib.util.find_spec("sklearn"):
        measured.add("linear_probe")
    assert measured <= set(peers)
    assert {"pixel_knn", "dtw_knn", "price_trends_cnn"} <= set(peers["not_measured"])
    assert peers["majority"]["model_minus"]["phase"]["macro_f1"]["low"] > 0.3
    assert "### Against the baselines" in (tmp_path / "page" / "report.md").read_text()
    again = evaluated(capsys, "--limit", "120")
    assert {**again, "seconds": 0} == {**card, "seconds": 0}


def test_charts_of_training_time_are_refused_whatever_the_symbol(tmp_path, capsys) -> None:
    seen = registry.open_folder(SHIPPED).manifest.data
    write(tmp_path / "candles", seen.train_symbols[0], seen.train_until, 1, candles=1000)
    write(tmp_path / "candles", "NEVERSEENUSDT", seen.train_until, 2, candles=1000)
    assert run(["evaluate", "--klines", "candles", "--limit", "20"]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "share time with what the model has seen: training" in shown.err


def test_a_planted_leak_is_left_out_and_counted(tmp_path, capsys) -> None:
    seen = registry.open_folder(SHIPPED).manifest.data
    write(tmp_path / "candles", "AAAUSDT", LATER, 1, candles=1000)
    write(tmp_path / "candles", "BBBUSDT", seen.train_until, 2, candles=1000)
    card = evaluated(capsys, "--limit", "40")
    assert card["method"]["symbols"] == ["AAAUSDT"]
    assert card["method"]["windows_leaking"] > 900


def test_symbols_can_be_chosen_and_unknown_ones_are_named(tmp_path, capsys) -> None:
    write(tmp_path / "candles", "AAAUSDT", LATER, 1, candles=1000)
    write(tmp_path / "candles", "BBBUSDT", LATER, 2, candles=1000)
    card = evaluated(capsys, "--limit", "10", "--symbols", "BBBUSDT")
    assert card["method"]["symbols"] == ["BBBUSDT"]
    assert run(["evaluate", "--klines", "candles", "--symbols", "CCCUSDT,DDDUSDT"]) == 2
    assert "CCCUSDT, DDDUSDT" in capsys.readouterr().err


def test_earlier_time_is_measured_as_another_regime(tmp_path, capsys) -> None:
    write(tmp_path / "candles", "AAAUSDT", "2023-03-01T00:00:00Z", 1, candles=1000)
    card = evaluated(capsys, "--limit", "10")
    assert list(card["by"]["time"]) == ["before training"]
    assert np.isfinite(card["phase"]["macro_f1"]["value"])


def test_peers_that_need_pictures_find_the_candles_of_the_exemplars(
    tmp_path, capsys, monkeypatch
) -> None:
    monkeypatch.setattr("vision_ai.pipeline.baselines.SUBSET_SIZE", 20)
    for seed, symbol in enumerate(("CCCUSDT", "DDDUSDT", "EEEUSDT")):
        write(tmp_path / "known", symbol, "2025-03-01T00:00:00Z", 10 + seed, candles=1000)
    write(tmp_path / "candles", "AAAUSDT", LATER, 1, candles=1000)
    assert run(["index", "build", "--klines", "known", "--stride", "8"]) == 0
    capsys.readouterr()
    peers = evaluated(capsys, "--limit", "30", "--learned-from", "known")["baselines"]
    libraries = {"dtw_knn": "dtaidistance", "rule_facts": "lightgbm", "linear_probe": "sklearn"}
    for name, library in libraries.items():
        if importlib.util.find_spec(library):
            assert name in peers
        else:
            assert "[evaluate]" in peers["not_measured"][name]
    assert {"pixel_knn", "returns_knn"} <= set(peers)
    assert peers["pixel_knn"]["n"] == 30
    if "dtw_knn" in peers:  # slow: on some of the charts, with the model's figure on those
        assert peers["dtw_knn"]["n"] == 20
        assert peers["dtw_knn"]["model"] != peers["pixel_knn"]["model"]
    elsewhere = evaluated(capsys, "--limit", "30", "--learned-from", "candles")["baselines"]
    assert "none of the exemplars" in elsewhere["not_measured"]["pixel_knn"]


def test_measuring_needs_no_torch() -> None:
    blocked = "import sys; sys.modules.update(dict.fromkeys(('torch', 'open_clip', 'timm')))"
    imports = "import vision_ai.pipeline.evaluate, vision_ai.pipeline.backtest.simulate"
    program = f"{blocked}; {imports}, vision_ai.pipeline.backtest.trade"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert found.returncode == 0, found.stderr.decode()
