"""Training from the command line: a model is in use only once it can predict."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import vision_ai
from tests import trainer
from tests.calibration import folds
from tests.clusters import HOUR, with_rows
from vision_ai import predict_cv_setup
from vision_ai.cli.app import run
from vision_ai.config import Config, IndexConfig, Paths
from vision_ai.domain import HORIZONS, Embeddings, iso
from vision_ai.errors import InputError
from vision_ai.index import Index
from vision_ai.measures.purge import Spans
from vision_ai.model import registry
from vision_ai.pipeline.learning import train
from vision_ai.pipeline.reader import Reader
from vision_ai.pipeline.workspace import Workspace
from vision_ai.predict_cv_setup import Calibration, Evidence


@pytest.fixture(scope="module")
def candles(tmp_path_factory) -> Path:
    return trainer.write_klines(tmp_path_factory.mktemp("candles"), days=80)


def trained(workspace: Workspace, candles: Path, **measured: int) -> registry.ModelFolder:
    from vision_ai import train_cv_model

    settings = trainer.settings(steps=2) | measured
    settings["split"] = {"held_out_share": 0.34, "train_share": 0.5, "stride_15m": 16}
    config = train_cv_model.TrainConfig.model_validate(settings)
    return train_cv_model.train(config, candles, workspace.paths, device="cpu", quiet=True)


@pytest.mark.slow
@pytest.mark.train
def test_a_trained_model_is_in_use_once_it_is_calibrated(tmp_path: Path, candles) -> None:
    workspace = Workspace(Config(), Paths(tmp_path))
    model = trained(workspace, candles, measured=600, exemplars=300)
    assert not (workspace.paths.models / "current").exists()
    figures = train.activate_trained(workspace, model)
    assert 0 <= figures["calibrated_ece"] <= 1
    assert Reader.open(workspace.config, workspace.paths).model.version == model.version


@pytest.mark.slow
@pytest.mark.train
def test_a_model_that_cannot_be_calibrated_is_not_in_use(tmp_path: Path, candles) -> None:
    workspace = Workspace(Config(), Paths(tmp_path))
    model = trained(workspace, candles, measured=30)
    with pytest.raises(InputError):
        train.activate_trained(workspace, model)
    assert not (workspace.paths.models / "current").exists()


@pytest.mark.train
def test_an_unknown_preset_is_one_sentence(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("VISION_AI_DATA", str(tmp_path))
    assert run(["train", "--klines", str(tmp_path), "--preset", "gpt"]) == 2
    assert capsys.readouterr().err.startswith("Error: ")


# The measures of a calibration, without any training.


@pytest.fixture(scope="module")
def exemplars() -> Embeddings:
    return folds.charts(1500, seed=1)


@pytest.fixture(scope="module")
def later() -> Embeddings:
    """Charts long after the exemplars, whose outcomes none of them knew."""
    return folds.charts(600, seed=2, start_h=10_000)


@pytest.fixture(scope="module")
def evidence(later: Embeddings, exemplars: Embeddings) -> Evidence:
    return train.gather(Index(exemplars), later, folds.prompts(), IndexConfig())


@pytest.fixture(scope="module")
def fitted(evidence: Evidence, later: Embeddings, exemplars: Embeddings) -> Calibration:
    return predict_cv_setup.fit(evidence, later, exemplars, level=0.8)


def test_figures_are_those_of_scikit_learn(evidence, later, fitted) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    figures = train.measure(evidence, later, fitted)
    answers = predict_cv_setup.read(evidence, fitted)
    best = answers.probabilities.reading.argmax(axis=1)
    assert figures["calibrated_n"] == len(later)
    assert figures["calibrated_accuracy"] == pytest.approx(
        metrics.accuracy_score(later.reading, best)
    )
    truth = sorted(set(later.reading.tolist()))  # classes without a chart have no F1
    assert figures["calibrated_reading_macro_f1"] == pytest.approx(
        metrics.f1_score(later.reading, best, labels=truth, average="macro", zero_division=0)
    )
    assert figures["calibrated_phase_macro_f1"] == pytest.approx(
        metrics.f1_score(later.phase, answers.phase, average="macro", zero_division=0)
    )
    assert figures["abstained"] == answers.abstained.mean()


def test_accuracy_at_half_coverage_is_that_of_the_surest_half(evidence, later, fitted) -> None:
    answers = predict_cv_setup.read(evidence, fitted)
    reading = answers.probabilities.reading
    surest = np.argsort(-reading.max(axis=1), kind="stable")[: len(later) // 2]
    right = reading.argmax(axis=1) == later.reading
    figures = train.measure(evidence, later, fitted)
    assert figures["calibrated_accuracy_at_50"] == pytest.approx(right[surest].mean(), abs=0.01)
    assert figures["calibrated_accuracy_at_50"] > figures["calibrated_accuracy"]


def test_a_calibration_error_is_small_where_confidence_is_fitted(evidence, later, fitted) -> None:
    assert 0 <= train.measure(evidence, later, fitted)["calibrated_ece"] < 0.1


def test_coverage_counts_moves_inside_the_band_and_leaves_unknown_ones_out(
    evidence, later, fitted
) -> None:
    answers = predict_cv_setup.read(evidence, fitted)
    bands, move = answers.bands, np.expm1(later.outcomes.move)
    unknown = with_rows(
        later,
        outcomes=replace(
            later.outcomes,
            move=np.where(np.arange(len(later))[:, None] < 100, np.nan, later.outcomes.move),
        ),
    )
    figures = train.measure(evidence, unknown, fitted)
    for column, horizon in enumerate(HORIZONS):
        inside = [
            bands.low[row, column] <= move[row, column] <= bands.high[row, column]
            for row in range(100, len(later))
        ]
        assert figures[f"band_coverage_{horizon}"] == pytest.approx(np.mean(inside))


def test_no_neighbor_shares_time_with_the_chart_that_it_speaks_for(exemplars) -> None:
    """Charts of the exemplars' own time: what overlaps or ends within the embargo is purged."""
    settings = IndexConfig()
    same_time = folds.charts(200, seed=3)
    found = train.gather(Index(exemplars), same_time, folds.prompts(), settings)
    spans, asked = Spans.of(exemplars), Spans.of(same_time)
    embargo_ms = round(settings.embargo_h * HOUR)
    for row, neighbors in enumerate(found.rows):
        for neighbor in neighbors[neighbors >= 0]:
            before = spans.known_ms[neighbor] + embargo_ms <= asked.first_ms[row]
            after = asked.known_ms[row] + embargo_ms <= spans.first_ms[neighbor]
            assert before or after
    assert (found.rows >= 0).any()


def test_halves_lie_apart_and_the_earlier_is_fitted_on() -> None:
    charts = folds.charts(400, seed=4)
    earlier, later = train.halves(charts)
    spans = Spans.of(charts)
    assert spans.known_ms[earlier].max() <= spans.first_ms[later].min()
    assert set(earlier).isdisjoint(later)
    assert len(earlier) > 50 < len(later)


def test_held_out_charts_of_too_short_a_time_are_refused_with_the_cure() -> None:
    charts = folds.charts(50, seed=4)
    short = with_rows(charts, last_ms=charts.last_ms[:1].repeat(50))
    with pytest.raises(InputError, match="too short a time to fit a calibration") as refused:
        train.halves(short)
    assert iso(int(short.close_ms.max())) in str(refused.value)
    assert "longer time" in refused.value.hint


def test_training_without_its_libraries_names_the_extra(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.delattr(vision_ai, "train_cv_model", raising=False)
    monkeypatch.setitem(sys.modules, "vision_ai.train_cv_model", None)
    options = train.TrainOptions("chart-clip-tiny", None, None, 0, None)
    with pytest.raises(InputError, match="Training needs a library") as refused:
        train.train(Workspace(Config(), Paths(tmp_path)), tmp_path, options)
    assert "[train]" in str(refused.value)
