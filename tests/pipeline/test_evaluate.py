"""The report card of the shipped model on simulated candles, and the leaks that it refuses."""

import importlib.util
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import jsonschema
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests import standin
from tests.calibration import folds
from tests.evaluation.test_card import measured as scored
from vision_ai import predict_cv_setup, storage
from vision_ai.cli.app import run
from vision_ai.config import Paths
from vision_ai.domain import (
    CHART_INTERVALS,
    HORIZONS,
    READINGS,
    Embeddings,
    Interval,
    parse_time,
)
from vision_ai.errors import KlinesError
from vision_ai.evaluation.sampling import ChartSample
from vision_ai.market.simulate import simulate
from vision_ai.measures.purge import Extent, Spans
from vision_ai.model import registry
from vision_ai.model.registry import SHIPPED, TrainingCandles
from vision_ai.pipeline import evaluate, schemas
from vision_ai.pipeline import reader as readers
from vision_ai.pipeline.reader import exemplars

needs_model = pytest.mark.skipif(
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
    content: dict = json.loads(capsys.readouterr().out)
    jsonschema.validate(content, schemas.schema("evaluate-result"))
    return content


def figure(content: dict, name: str) -> dict:
    for part in name.split("."):
        content = content[part]
    return content


@pytest.mark.slow
@needs_model
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


@needs_model
def test_charts_of_training_time_are_refused_whatever_the_symbol(tmp_path, capsys) -> None:
    seen = registry.open_folder(SHIPPED).manifest.data
    write(tmp_path / "candles", seen.train_symbols[0], seen.train_until, 1, candles=1000)
    write(tmp_path / "candles", "NEVERSEENUSDT", seen.train_until, 2, candles=1000)
    assert run(["evaluate", "--klines", "candles", "--limit", "20"]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "share time with what the model has seen: training" in shown.err


@pytest.mark.slow
@needs_model
def test_a_planted_leak_is_left_out_and_counted(tmp_path, capsys) -> None:
    seen = registry.open_folder(SHIPPED).manifest.data
    write(tmp_path / "candles", "AAAUSDT", LATER, 1, candles=1000)
    write(tmp_path / "candles", "BBBUSDT", seen.train_until, 2, candles=1000)
    card = evaluated(capsys, "--limit", "40")
    assert card["method"]["symbols"] == ["AAAUSDT"]
    assert card["method"]["windows_leaking"] > 900


@pytest.mark.slow
@needs_model
def test_symbols_can_be_chosen_and_unknown_ones_are_named(tmp_path, capsys) -> None:
    write(tmp_path / "candles", "AAAUSDT", LATER, 1, candles=1000)
    write(tmp_path / "candles", "BBBUSDT", LATER, 2, candles=1000)
    card = evaluated(capsys, "--limit", "10", "--symbols", "BBBUSDT")
    assert card["method"]["symbols"] == ["BBBUSDT"]
    assert run(["evaluate", "--klines", "candles", "--symbols", "CCCUSDT,DDDUSDT"]) == 2
    assert "CCCUSDT, DDDUSDT" in capsys.readouterr().err


@pytest.mark.slow
@needs_model
def test_earlier_time_is_measured_as_another_regime(tmp_path, capsys) -> None:
    write(tmp_path / "candles", "AAAUSDT", "2023-03-01T00:00:00Z", 1, candles=1000)
    card = evaluated(capsys, "--limit", "10")
    assert list(card["by"]["time"]) == ["before training"]
    assert np.isfinite(card["phase"]["macro_f1"]["value"])


@pytest.mark.slow
@needs_model
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


# The parts of a report card, without a model.


@pytest.mark.slow
def test_a_small_card_names_what_it_is_of(tmp_path, capsys) -> None:
    pytest.importorskip("onnx", reason="the stand-in model is made with onnx")
    paths = Paths(tmp_path / "data")
    install_dated(paths)
    write(tmp_path / "candles", "AAAUSDT", LATER, 1, candles=900)
    card = evaluated(capsys, "--limit", "60")
    assert card["n"] == 60
    assert list(card)[-1] == "missing"
    method = card["method"]
    assert (method["model"], method["symbols"]) == (standin.VERSION, ["AAAUSDT"])
    assert [part["what"] for part in method["seen"]] == ["training", "calibration"]
    assert sum(method["intervals"].values()) == 60
    for name in FIGURES:
        assert set(figure(card, name)) == {"value", "low", "high"}
    # every chart is in one tercile; the newest 1h chart ends less than 6 h before the last candle
    for terciles in ("hindsight", "at the time"):
        rows = [row for row in card["coverage"] if row["terciles"] == terciles]
        counts = [sum(row["n"] for row in rows if row["horizon"] == h) for h in ("2h", "6h")]
        assert counts == [60, 59]


DATED = TrainingCandles(
    klines="", train_symbols=["OLDUSDT"], held_out_symbols=["NEWUSDT"],
    train_until="2024-03-01T00:00:00Z", held_out_from="2024-03-10T00:00:00Z",
    train_windows=1, held_out_windows=1,
)  # fmt: skip


def install_dated(paths: Paths, **data: object) -> registry.ModelFolder:
    """The stand-in, with a manifest that says when and of what it was trained."""
    end_ms = parse_time("2024-02-01T00:00:00Z")
    market = simulate("OLDUSDT", Interval.M15, 900, seed=9, end_ms=end_ms)
    model = standin.install(paths, [market])
    manifest = model.manifest.model_copy(
        update={
            "data": DATED.model_copy(update=data),
            "recipe": {"split": {"train_share": 0.5}},
            "prior": {reading.name: 1 / len(READINGS) for reading in READINGS},
        }
    )
    storage.write_document(model.path / "manifest.json", manifest)
    return registry.resolve(paths)


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> registry.ModelFolder:
    pytest.importorskip("onnx", reason="the stand-in model is made with onnx")
    return install_dated(Paths(tmp_path_factory.mktemp("data")))


def seen_of(model: registry.ModelFolder, **data: object) -> tuple[Extent, Extent]:
    changed = model.manifest.model_copy(update={"data": DATED.model_copy(update=data)})
    return evaluate.seen(SimpleNamespace(model=replace(model, manifest=changed)))


def test_what_was_seen_is_what_the_manifest_says(model) -> None:
    training, calibration = seen_of(model)
    assert (training.name, training.symbols) == ("training", {"OLDUSDT"})
    assert training.first_ms == int(exemplars(model).first_ms.min())
    assert training.known_ms == parse_time(DATED.train_until)
    assert (calibration.name, calibration.symbols) == ("calibration", {"NEWUSDT"})
    assert calibration.first_ms == parse_time(DATED.held_out_from)


def test_the_end_of_the_candles_follows_from_the_share_that_training_took(model) -> None:
    """Half of the time was training, so the candles end as long after it as it took."""
    training, calibration = seen_of(model)
    assert calibration.known_ms - training.known_ms == training.known_ms - training.first_ms


def test_a_manifest_that_says_the_end_is_believed(model) -> None:
    _, calibration = seen_of(model, held_out_until="2024-07-01T00:00:00Z")
    assert calibration.known_ms == parse_time("2024-07-01T00:00:00Z")
    _, never_before_it_began = seen_of(model, held_out_until="2024-03-02T00:00:00Z")
    assert never_before_it_began.known_ms == parse_time(DATED.held_out_from)


# Candles.


def test_candles_come_in_each_charted_interval_that_they_can_make(tmp_path) -> None:
    write(tmp_path / "candles", "AAAUSDT", LATER, 1, candles=400)
    hourly = simulate("BBBUSDT", Interval.H1, 100, seed=2, end_ms=parse_time(LATER))
    columns = {"open_ms": hourly.open_ms}
    columns |= dict(zip(("open", "high", "low", "close", "volume"), hourly.bars.T, strict=True))
    pq.write_table(pa.table(columns), tmp_path / "candles" / "BBBUSDT_1h.parquet")
    markets = evaluate.read_markets(tmp_path / "candles", None)
    found = {(m.venue, m.klines.symbol, m.klines.interval) for m in markets}
    assert found == {
        ("imported", "BBBUSDT", Interval.H1),
        ("bybit-linear", "AAAUSDT", Interval.M15),
        ("bybit-linear", "AAAUSDT", Interval.H1),
    }
    (only,) = evaluate.read_markets(tmp_path / "candles", ["bbbusdt"])
    assert only.klines.symbol == "BBBUSDT"


@pytest.mark.parametrize(("symbols", "says"), [(["CCCUSDT"], "of CCCUSDT"), (None, "no candles")])
def test_no_candles_are_said_by_folder_and_symbol(tmp_path, symbols, says) -> None:
    folder = tmp_path / "candles"
    folder.mkdir()
    if symbols:
        write(folder, "AAAUSDT", LATER, 1, candles=100)
    with pytest.raises(KlinesError, match=says) as refused:
        evaluate.read_markets(folder, symbols)
    assert "candles" in str(refused.value)


def test_charts_are_embedded_in_chunks_and_in_their_order() -> None:
    chunks: list[int] = []

    def vectors(bars: np.ndarray) -> np.ndarray:
        chunks.append(len(bars))
        return bars[:, 0].astype(np.float32)

    bars = np.arange(readers.CHUNK * 2 + 5, dtype=np.float64)[:, None] * np.ones(5)
    found = evaluate.embed(SimpleNamespace(vectors=vectors), bars[:, None])
    assert np.array_equal(found[:, 0], np.arange(len(bars)))
    assert chunks == [readers.CHUNK, readers.CHUNK, 5]


# Columns of the card.


def sample_of(rows: Embeddings, venue: str = "bybit-linear") -> ChartSample:
    """Embedded charts as a sample, labelled as they are."""
    labels = SimpleNamespace(
        reading=rows.reading, phase=rows.phase, clear=np.ones(len(rows), np.bool_)
    )
    return ChartSample(
        np.empty((len(rows), 0, 5)), Spans.of(rows), np.full(len(rows), venue), labels,
        rows.outcomes, len(rows), 0, "data",
    )  # fmt: skip


def test_a_group_says_when_and_of_what_a_chart_is() -> None:
    rows = folds.charts(200, seed=1)
    spans = Spans.of(rows)
    middle = int(np.median(spans.as_of_ms))
    day = 24 * 3_600_000
    extents = [
        Extent("training", frozenset({"S0USDT"}), middle - 5 * day, middle),
        Extent("calibration", frozenset({"S1USDT"}), middle + day, middle + 5 * day),
    ]
    groups = evaluate.groups(sample_of(rows), extents)
    assert set(groups) == {"interval", "venue", "time", "symbols"}
    for row in range(len(rows)):
        if spans.first_ms[row] >= middle + 5 * day:
            assert groups["time"][row] == "after training"
        elif spans.known_ms[row] <= middle - 5 * day:
            assert groups["time"][row] == "before training"
        else:
            assert groups["time"][row] == "between folds"
        known = rows.symbol[row] in {"S0USDT", "S1USDT"}
        assert groups["symbols"][row] == ("trained earlier" if known else "never trained")
    assert set(groups["time"]) == {"after training", "before training", "between folds"}


def test_volatility_terciles_are_thirds_of_each_interval() -> None:
    rows = folds.charts(900, seed=2)
    market = evaluate._market(Spans.of(rows))
    assert [CHART_INTERVALS[code] for code in market] == rows.interval.tolist()
    scale = rows.outcomes.scale
    cells = evaluate._cells(market, scale)
    for number in range(len(CHART_INTERVALS)):
        inside = market == number
        assert set(cells[inside]) == {3 * number, 3 * number + 1, 3 * number + 2}
        counts = np.bincount(cells[inside] - 3 * number)
        assert counts.max() - counts.min() <= 2
        calm, usual, wild = (scale[cells == 3 * number + third] for third in range(3))
        assert calm.max() <= usual.min() <= usual.max() <= wild.min()


def test_a_chart_is_scored_by_its_label_and_its_own_answer() -> None:
    exemplar_rows, rows = folds.charts(1200, seed=3), folds.charts(300, seed=4, start_h=9000)
    evidence = folds.evidence(rows, exemplar_rows)
    fitted = predict_cv_setup.fit(evidence, rows, exemplar_rows, level=0.8)
    answers = predict_cv_setup.read(evidence, fitted)
    sample = sample_of(rows)
    charts = evaluate.measured(sample, evidence, answers)
    assert np.array_equal(charts.reading, rows.reading)
    assert np.array_equal(charts.predicted, answers.code)
    assert np.array_equal(charts.predicted_phase, answers.phase)
    assert np.array_equal(charts.low, answers.bands.low)
    assert np.array_equal(charts.neighbor_reading < 0, evidence.rows < 0)
    assert np.allclose(np.log1p(charts.move), rows.outcomes.move)
    for first, second in ((0, 1), (17, 200)):  # one block a symbol and day at most
        if rows.symbol[first] != rows.symbol[second]:
            assert charts.block[first] != charts.block[second]
    assert (charts.tracked_high >= charts.tracked_low).all()


# Coverage, cell by cell.


def test_coverage_counts_every_chart_once_a_horizon_and_kind_of_tercile() -> None:
    charts = scored(600)
    rows = evaluate.bands(charts)
    assert {row["terciles"] for row in rows} == {"hindsight", "at the time"}
    for terciles, column in (("hindsight", charts.cell), ("at the time", charts.regime)):
        for horizon in HORIZONS:
            part = [r for r in rows if (r["terciles"], r["horizon"]) == (terciles, horizon)]
            assert sum(row["n"] for row in part) == len(charts)
            names = [(row["interval"], row["volatility"]) for row in part]
            assert len(set(names)) == len(names) == len(np.unique(column))


def test_coverage_and_width_are_those_of_the_cells_charts() -> None:
    charts = scored(600)
    charts = replace(charts, tracked_low=charts.low * 2, tracked_high=charts.high * 2)
    for row in evaluate.bands(charts):
        column = HORIZONS.index(row["horizon"])
        code = CHART_INTERVALS.index(Interval(row["interval"])) * 3
        code += evaluate.TERCILES.index(row["volatility"])
        cells = charts.cell if row["terciles"] == "hindsight" else charts.regime
        inside = cells == code
        low, high, move = (part[inside, column] for part in (charts.low, charts.high, charts.move))
        assert row["held"]["value"] == pytest.approx(
            ((low <= move) & (move <= high)).mean(), abs=1e-4
        )
        assert row["held_adaptive"]["value"] >= row["held"]["value"]
        assert row["width"] == pytest.approx(np.median(high - low), abs=1e-4)
        assert row["width_adaptive"] == pytest.approx(2 * row["width"], abs=2e-4)
        assert row["meant"] == 0.8
