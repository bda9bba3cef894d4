from dataclasses import replace

import numpy as np
import pytest

from vision_ai.calibration.bands import Bands
from vision_ai.domain import PHASES, READINGS
from vision_ai.evaluation import card
from vision_ai.evaluation.baselines import BaselineAnswers
from vision_ai.evaluation.card import ScoredCharts
from vision_ai.measures import scores

NONE = len(READINGS) - 1


def measured(n: int = 600, accuracy: float = 0.8, seed: int = 0) -> ScoredCharts:
    """Charts whose confidence is honest and whose bands hold four times in five."""
    rng = np.random.default_rng(seed)
    reading, phase = rng.integers(0, len(READINGS), n), rng.integers(0, len(PHASES), n)
    sure = np.clip(rng.normal(accuracy, 0.15, n), 0.05, 0.99)
    right = rng.random(n) < sure
    move = rng.normal(0, 0.01, (n, 2))
    held = 1.2816 * 0.01
    return ScoredCharts(
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


def test_what_is_undefined_is_null() -> None:
    charts = measured(20)
    charts = replace(charts, move=np.full((20, 2), np.nan))
    found = card.nest(card.estimates(charts, draws=5))
    assert found["outcome"]["2h"]["brier_skill"] == {"value": None, "low": None, "high": None}


def test_classes_equal_scikit_learn() -> None:
    sklearn = pytest.importorskip("sklearn.metrics")
    charts = measured(500)
    rows = card.class_rows(charts)
    for facet, truth, predicted in (
        ("setup", card.SETUP_OF[charts.reading], card.SETUP_OF[charts.predicted]),
        ("phase", charts.phase, charts.predicted_phase),
    ):
        columns = sklearn.precision_recall_fscore_support(
            truth, predicted, labels=range(len(rows[facet])), zero_division=0
        )
        for name, column in zip(("precision", "recall", "f1", "support"), columns, strict=True):
            assert [row[name] for row in rows[facet]] == pytest.approx(column, abs=1e-4)


def test_curves_are_thinned_to_the_points_of_a_plot_and_end_at_all_charts() -> None:
    charts = measured(1000)
    curves = card.curves(charts, points=40)
    coverage = [point["coverage"] for point in curves["risk_coverage"]]
    assert len(coverage) <= 40
    assert coverage == sorted(set(coverage))
    assert coverage[-1] == 1.0
    assert curves["risk_coverage"][-1]["accuracy"] == pytest.approx(charts.right.mean(), abs=1e-4)
    assert sum(row["n"] for row in curves["reliability"]) == 1000


def test_the_surer_half_is_read_better_than_all() -> None:
    charts = measured(2000)
    assert card.accuracy_at_50(charts) > charts.right.mean() + 0.03
    shuffled = replace(charts, confidence=np.full(len(charts), 0.7))
    assert card.accuracy_at_50(shuffled) == pytest.approx(charts.right.mean())


def test_a_chart_that_is_drawn_twice_counts_twice() -> None:
    charts = measured(50)
    rows = np.r_[np.arange(50), 7, 7]
    drawn = charts.take(rows)
    assert len(drawn) == 52
    right = (card.SETUP_OF[charts.reading] == card.SETUP_OF[charts.predicted]).astype(int)
    assert card.setup_accuracy(drawn) == pytest.approx((right.sum() + 2 * right[7]) / 52)


def test_tracked_bands_are_judged_in_the_regimes_known_at_the_time() -> None:
    charts = measured(600)
    wide = np.full((600, 2), 9.0)
    charts = replace(charts, tracked_low=-wide, tracked_high=wide)
    assert card.band_hits(charts.tracked).all()
    assert charts.tracked.cell is charts.regime
    figures = card.estimates(charts, draws=5)
    assert figures["bands.adaptive.coverage.2h"].value == 1.0
    assert figures["bands.adaptive.width.6h"].value == pytest.approx(18.0)
    assert figures["bands.adaptive.coverage_error_max"].value == pytest.approx(0.2)
    assert figures["bands.coverage.2h"].value < 0.9


def test_other_bands_are_compared_on_skill_alone() -> None:
    charts = measured(300)
    known = np.where(charts.move > 0, 0.99, 0.01)
    bands = Bands(charts.low * 2, charts.low * 0, charts.high * 2, known, charts.reading, 0.8)
    found = card.compare_outcomes(charts, bands)
    assert found["bands"]["width"]["2h"]["value"] == pytest.approx(
        2 * float((charts.high - charts.low)[:, 0].mean()), abs=1e-4
    )
    assert set(found["model_minus"]) == {"outcome"}
    assert found["model_minus"]["outcome"]["2h"]["brier_skill"]["high"] < -0.8
    assert "adaptive" not in found["bands"]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_json_has_no_number_for_what_is_not_finite(value: float) -> None:
    assert card.rounded(value) is None
    assert card.rounded(0.123456) == 0.1235


def test_means_leave_out_what_is_not_known() -> None:
    assert card.mean(np.array([1.0, np.nan, 3.0])) == 2.0
    assert np.isnan(card.mean(np.array([np.nan])))
