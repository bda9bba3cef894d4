from dataclasses import replace

import numpy as np
import pytest

from vision_ai.domain import PHASES, READINGS
from vision_ai.evaluation import card, report
from vision_ai.evaluation.baselines import BaselineAnswers
from vision_ai.evaluation.card import MeasuredCharts
from vision_ai.measures import scores

NONE = len(READINGS) - 1


def measured(n: int = 600, accuracy: float = 0.8, seed: int = 0) -> MeasuredCharts:
    """Charts whose confidence is honest and whose bands hold four times in five."""
    rng = np.random.default_rng(seed)
    reading, phase = rng.integers(0, len(READINGS), n), rng.integers(0, len(PHASES), n)
    sure = np.clip(rng.normal(accuracy, 0.15, n), 0.05, 0.99)
    right = rng.random(n) < sure
    move = rng.normal(0, 0.01, (n, 2))
    held = 1.2816 * 0.01
    return MeasuredCharts(
        block=np.arange(n) // 10,
        reading=reading,
        phase=phase,
        clear=rng.random(n) < 0.5,
        predicted=np.where(right, reading, (reading + 1) % len(READINGS)),
        predicted_phase=np.where(right, phase, (phase + 1) % len(PHASES)),
        confidence=sure,
        abstained=np.zeros(n, np.bool_),
        neighbor_reading=np.where(rng.random((n, 24)) < 0.5, reading[:, None], -1),
        move=move,
        up=np.full((n, 2), 0.5),
        low=np.full((n, 2), -held),
        high=np.full((n, 2), held),
        level=np.full((n, 2), 0.8),
        cell=rng.integers(0, 6, n),
        regime=rng.integers(0, 6, n),
        tracked_low=np.full((n, 2), -held),
        tracked_high=np.full((n, 2), held),
    )


def test_every_figure_is_that_of_its_definition() -> None:
    charts = measured()
    found = card.estimates(charts, draws=20)
    setups = card.SETUP_OF
    assert found["setup.macro_f1"].value == pytest.approx(
        scores.macro_f1(setups[charts.reading], setups[charts.predicted], 11)
    )
    clear = charts.take(charts.clear)
    assert found["clear_cut.phase.macro_f1"].value == pytest.approx(
        scores.macro_f1(clear.phase, clear.predicted_phase, 5)
    )
    assert found["retrieval.precision_at_1"].value == 1.0
    assert found["confidence.ece"].value < 0.08
    assert abs(found["bands.coverage.2h"].value - 0.8) < 0.06
    assert abs(found["outcome.2h.brier_skill"].value) < 0.02
    for name, estimate in found.items():
        assert estimate.low <= estimate.value + 0.08, name
        assert estimate.high >= estimate.value - 0.08, name


def test_the_worst_cell_makes_the_coverage_error() -> None:
    charts = measured(3000)
    wide = replace(charts, low=charts.low.copy(), high=charts.high.copy())
    assert card.coverage_error(wide) < 0.06
    wide.low[charts.cell == 3], wide.high[charts.cell == 3] = -1, 1
    assert card.coverage_error(wide) == pytest.approx(0.2)


def test_chance_is_told_beside_the_figures_that_are_distances() -> None:
    charts = measured(3000)
    noise = card.noise(charts)
    assert abs(card.ece(charts) - noise["confidence.ece_noise"].value) < 0.015
    assert abs(card.coverage_error(charts) - noise["bands.coverage_noise"].value) < 0.03
    boasting = replace(charts, confidence=np.sqrt(charts.confidence))
    assert card.ece(boasting) > card.noise(boasting)["confidence.ece_noise"].high


def test_an_abstention_is_no_claim_but_counts_as_an_answer() -> None:
    charts = measured()
    silent = np.arange(len(charts)) % 2 == 0
    quiet = replace(
        charts,
        abstained=silent,
        predicted=np.where(silent, NONE, charts.predicted),
        confidence=np.where(silent, 0.0, charts.confidence),
    )
    assert card.abstained(quiet) == 0.5
    assert card.ece(quiet) == pytest.approx(card.ece(charts.take(~silent)))
    assert card.setup_f1(quiet) < card.setup_f1(charts)
    assert card.accuracy_at_50(quiet) > card.setup_accuracy(quiet)


def test_a_worse_baseline_is_below_the_model_on_equal_draws() -> None:
    charts = measured()
    same = card.compare_labels(
        charts, BaselineAnswers(charts.predicted, charts.predicted_phase, charts.confidence)
    )
    assert same["model"]["setup"]["macro_f1"] == same["setup"]["macro_f1"]
    assert same["model_minus"]["setup"]["macro_f1"] == {"value": 0.0, "low": 0.0, "high": 0.0}
    blind = np.zeros(len(charts), np.int64)
    worse = card.compare_labels(charts, BaselineAnswers(blind, blind, charts.confidence))
    assert worse["model_minus"]["setup"]["macro_f1"]["low"] > 0.3


def test_a_baseline_of_labels_and_rises_keeps_both_differences() -> None:
    charts = measured()
    guess = BaselineAnswers(charts.predicted, charts.predicted_phase, charts.confidence)
    sure = np.where(charts.move > 0, 0.9, 0.1)
    found = card.compare_answers(charts, guess, sure)
    assert found["model_minus"]["setup"]["macro_f1"]["value"] == 0.0
    assert found["model_minus"]["outcome"]["2h"]["brier_skill"]["high"] < -0.5
    assert found["outcome"]["6h"]["side_accuracy"]["value"] == 1.0
    assert found["outcome"]["2h"]["brier_skill"]["low"] > 0.5


def test_parts_add_up_to_all_charts() -> None:
    charts = measured(200)
    interval = np.where(np.arange(200) % 4 == 0, "1h", "15m")
    parts = card.measure_groups(charts, {"interval": interval})["interval"]
    assert {name: part["n"] for name, part in parts.items()} == {"15m": 150, "1h": 50}
    assert set(parts["1h"]["outcome"]) == {"2h", "6h"}
    assert {"classes", "curves", "retrieval", "bands"} <= set(parts["15m"])


def content() -> dict:
    charts = measured(300)
    guess = BaselineAnswers(charts.predicted, charts.predicted_phase, charts.confidence)
    seen = {"what": "training", "symbols": 3, "first": "2024-01-01", "until": "2024-06-01"}
    return {
        "n": 300,
        **card.nest(card.estimates(charts, draws=10) | card.noise(charts)),
        "by": card.measure_groups(charts, {"interval": np.full(300, "15m")}),
        "coverage": [],
        "classes": card.class_rows(charts),
        "curves": card.curves(charts),
        "baselines": {
            "majority": card.compare_labels(charts, guess),
            "not_measured": {"dtw_knn": "for a | reason"},
        },
        "method": {
            "klines": "bench", "data": "0" * 64, "symbols": ["AAAUSDT"], "venues": ["bybit"],
            "intervals": {"15m": 300}, "first": "2025-01-01T00:00:00Z",
            "until": "2025-02-01T00:00:00Z", "windows": 900, "windows_leaking": 100,
            "seen": [seen],
            "embargo_h": 24.0, "seed": 0, "limit": 300, "blocks": 30, "draws": 10, "model": "m-1",
            "index": "i" * 64, "exemplars": 10, "calibration": "c" * 16, "rules": "1",
        },
    }  # fmt: skip


def test_the_page_says_first_that_there_is_no_outcome_skill(tmp_path) -> None:
    told = content()
    told["outcome"]["2h"]["brier_skill"] = {"value": 0.001, "low": -0.01, "high": 0.012}
    told["outcome"]["6h"]["brier_skill"] = {"value": 0.03, "low": 0.01, "high": 0.05}
    told["setup"]["macro_f1"]["value"], told["phase"]["macro_f1"]["value"] = 0.8499, 0.9
    *skill, missed = report.verdict(told)
    assert skill == [
        "Outcome skill at 2h is not different from zero: 0.0010 (-0.0100 to 0.0120).",
        "Outcome skill at 6h is above zero: 0.0300 (0.0100 to 0.0500).",
    ]
    assert missed.startswith("Aims missed: setup macro-F1 0.8499 (")
    assert "phase macro-F1 0.9" not in missed
    page = report.write(tmp_path, told).read_text()
    assert page.index("not different from zero") < page.index("### Figures")
    for words in (
        "m-1",
        "100 of 900 windows",
        "95 %",
        "dtw_knn (for a | reason)",
        "setup: this model",
        "at least 0.85",
        "ECE that perfect calibration would show by chance",
    ):
        assert words in page
    assert (tmp_path / "reliability.svg").read_text().startswith("<svg")
    assert (tmp_path / "risk_coverage.svg").read_text().count("<circle") > 20


def test_what_is_undefined_is_null_and_a_dash() -> None:
    charts = measured(20)
    charts = replace(charts, move=np.full((20, 2), np.nan))
    found = card.nest(card.estimates(charts, draws=5))
    assert found["outcome"]["2h"]["brier_skill"] == {"value": None, "low": None, "high": None}
    assert report.format_estimate(found["outcome"]["2h"]["brier_skill"]) == "-"
