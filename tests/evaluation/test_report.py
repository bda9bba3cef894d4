"""The report card as a page: what it says first, what it shows, and what it leaves out."""

import copy
import functools
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.evaluation.test_card import measured
from vision_ai.errors import StorageError
from vision_ai.evaluation import card, report
from vision_ai.evaluation.baselines import BaselineAnswers


@functools.cache
def _content() -> dict:
    charts = measured(300)
    answers = BaselineAnswers(charts.predicted, charts.predicted_phase, charts.confidence)
    seen = {"what": "training", "symbols": 3, "first": "2024-01-01", "until": "2024-06-01"}
    return {
        "n": 300,
        **card.nest(card.estimates(charts, draws=10) | card.noise(charts)),
        "by": card.measure_groups(charts, {"interval": np.full(300, "15m")}),
        "coverage": [],
        "classes": card.class_rows(charts),
        "curves": card.curves(charts),
        "baselines": {
            "majority": card.compare_labels(charts, answers),
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


def content() -> dict:
    """A copy that a test may change."""
    return copy.deepcopy(_content())


def estimate(value, low=None, high=None) -> dict:
    return {"value": value, "low": low, "high": high}


# ---- what is said first


def test_the_page_says_first_that_there_is_no_outcome_skill(tmp_path):
    measured_ = content()
    measured_["outcome"]["2h"]["brier_skill"] = estimate(0.001, -0.01, 0.012)
    measured_["outcome"]["6h"]["brier_skill"] = estimate(0.03, 0.01, 0.05)
    measured_["setup"]["macro_f1"]["value"], measured_["phase"]["macro_f1"]["value"] = 0.8499, 0.9
    *skill, missed = report.verdict(measured_)
    assert skill == [
        "Outcome skill at 2h is not different from zero: 0.0010 (-0.0100 to 0.0120).",
        "Outcome skill at 6h is above zero: 0.0300 (0.0100 to 0.0500).",
    ]
    assert missed.startswith("Aims missed: setup macro-F1 0.8499 (")
    assert "phase macro-F1 0.9" not in missed
    page = report.write(tmp_path, measured_).read_text()
    assert page.index("not different from zero") < page.index("### Figures")
    for text in (
        "m-1",
        "100 of 900 windows",
        "95 %",
        "dtw_knn (for a | reason)",
        "setup: this model",
        "at least 0.85",
        "ECE that perfect calibration would show by chance",
    ):
        assert text in page


def test_chances_worse_than_the_base_rate_are_called_so():
    worse = {"outcome": {"2h": {"brier_skill": estimate(-0.1, -0.2, -0.05)}}}
    assert report.verdict(worse) == [
        "Outcome chances at 2h are worse than the base rate: -0.1000 (-0.2000 to -0.0500)."
    ]


def test_a_skill_without_an_interval_is_not_judged():
    assert report.verdict({"outcome": {"2h": {"brier_skill": estimate(0.2)}}}) == []
    assert report.verdict({}) == []


def test_aims_that_are_met_are_not_named():
    best = {name: estimate(1.0 if aim > 0 else 0.0) for name, aim in report.AIMS.items()}
    tree: dict = {}
    for name, value in best.items():
        branch = tree
        *path, last = name.split(".")
        for part in path:
            branch = branch.setdefault(part, {})
        branch[last] = value
    assert report.verdict(tree) == []
    tree["confidence"]["ece"] = estimate(0.031, 0.02, 0.04)
    expected = "calibration error of confidence (ECE) 0.0310 (0.0200 to 0.0400)"
    assert report.verdict(tree) == [f"Aims missed: {expected}, aimed for at most 0.03."]


# ---- single figures


@given(st.floats(-5, 5), st.floats(0.01, 2))
def test_an_aim_is_met_exactly_at_its_bound(value, bound):
    assert report.check_aim(bound, estimate(bound)) == (f"at least {bound:g}", "yes")
    assert report.check_aim(-bound, estimate(bound)) == (f"at most {bound:g}", "yes")
    assert (report.check_aim(bound, estimate(value))[1] == "yes") == (value >= bound)
    assert (report.check_aim(-bound, estimate(value))[1] == "yes") == (value <= bound)
    assert report.check_aim(bound, estimate(None))[1] == "-"


@pytest.mark.parametrize(
    ("figure", "text"),
    [
        (estimate(0.12345, 0.1, 0.2), "0.123 (0.100 to 0.200)"),
        (estimate(-0.0001, -0.0004, 0.0003), "0.000 (0.000 to 0.000)"),  # no minus zero
        (estimate(0.5), "0.500"),
        (estimate(None), "-"),
        (None, "-"),
        ("text", "-"),
    ],
)
def test_a_figure_is_written_with_its_interval(figure, text):
    assert report.format_estimate(figure) == text


def test_a_figure_that_is_not_there_is_none():
    tree = {"a": {"b": 3}}
    assert report.find_figure(tree, "a.b") == 3
    assert report.find_figure(tree, "a.c") is None
    assert report.find_figure(tree, "a.b.c") is None


# ---- the page


def test_every_figure_that_has_a_name_is_measured():
    named = set(report.FIGURES)
    assert named <= set(card.ALL) | set(card.noise(measured(100)))
    assert set(report.AIMS) <= named
    assert {*report.PART, *report.OUTCOME_PART} <= named


def test_the_terminal_shows_every_figure_once():
    lines = report.summary(content())
    assert lines[0].startswith("300 charts of 1 symbols in bench, 2025-01-01 to 2025-02-01; 100 of")
    for label in report.FIGURES.values():
        assert sum(line.startswith(f"{label}  ") for line in lines) == 1


def test_tables_have_as_many_cells_in_each_row_as_in_the_head():
    page = report.section(content(), plot="img/x-")
    tables = re.findall(r"(?:^\|.*\n?)+", page, flags=re.MULTILINE)
    assert len(tables) >= 6
    for table in tables:
        cells = {len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()}
        assert len(cells) == 1, table
    assert "(img/x-reliability.svg)" in page


def test_outcomes_are_compared_only_with_baselines_that_were_measured():
    measured_ = content()
    assert "random charts of the same volatility" not in report.section(measured_)
    charts = measured(100)
    measured_["baselines"]["same_regime"] = card.nest(card.estimates(charts, draws=5))
    page = report.section(measured_)
    assert "| outcome | similar charts | random charts of the same volatility |" in page


def test_a_trained_baseline_says_what_it_cost():
    measured_ = content()
    cnn = {"n": 9, "parameters": 1234567, "charts_seen": 800000}
    measured_["baselines"]["price_trends_cnn"] = cnn
    assert "(1,234,567 parameters)" in report.section(measured_)
    assert "from 800,000 pictures" in report.section(measured_)


def test_widths_are_percents_and_unknown_ones_a_dash():
    measured_ = content()
    band = {"terciles": "hindsight", "horizon": "2h", "interval": "15m", "volatility": "calm",
            "n": 40, "meant": 0.8, "held": estimate(0.75, 0.7, 0.8), "width": 0.01234,
            "held_adaptive": estimate(None), "width_adaptive": None}  # fmt: skip
    measured_["coverage"] = [band]
    row = "| hindsight | 2h | 15m | calm | 40 | 80% | 0.750 (0.700 to 0.800) | 1.23% | - | - |"
    assert row in report.section(measured_)


def test_plots_have_a_dot_for_every_point():
    measured_ = content()
    plots = report.plots(measured_)
    assert plots["reliability"].count("<circle") == len(measured_["curves"]["reliability"])
    assert plots["risk_coverage"].count("<circle") == len(measured_["curves"]["risk_coverage"])
    for plot in plots.values():
        assert plot.startswith("<svg")


def test_page_and_plots_are_written_together(tmp_path):
    path = report.write(tmp_path / "new", content())
    names = ["reliability.svg", "report.md", "risk_coverage.svg"]
    assert sorted(file.name for file in path.parent.iterdir()) == names
    again = path.read_text()
    assert report.write(tmp_path / "new", content()).read_text() == again


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        report.write(tmp_path / "file", content())
