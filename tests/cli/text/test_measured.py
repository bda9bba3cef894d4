"""Report cards, backtests and simulated days as lines for a terminal."""

import json
from pathlib import Path

import pytest

from vision_ai.cli.text import measured
from vision_ai.pipeline.backtest.simulate import SimulateResult, WrittenFiles
from vision_ai.pipeline.backtest.trade import BacktestResult
from vision_ai.pipeline.evaluate import EvaluateResult

DOCS = Path(__file__).parents[3] / "docs"


def card() -> EvaluateResult:
    """The report card of one folder, as it was last measured."""
    folders = json.loads((DOCS / "report-card.json").read_text())
    content = next(v for v in folders.values() if isinstance(v, dict) and "setup" in v)
    return EvaluateResult(**content)


def test_an_evaluation_says_first_what_it_was_made_of() -> None:
    result = card()
    lines = measured.format_evaluation(result)
    assert lines[0].startswith(f"{result.n} charts of ")
    assert lines[1].startswith(f"Model {result.method['model']}, index ")


@pytest.mark.parametrize("page", [None, "card/report.md"])
def test_a_page_is_named_where_one_was_written(page: str | None) -> None:
    lines = measured.format_evaluation(card().model_copy(update={"report": page}))
    assert (lines[-1] == "Report: card/report.md") is (page is not None)


def test_the_stored_card_has_the_form_that_the_schema_publishes() -> None:
    assert set(EvaluateResult.model_fields) - {"report", "missing"} <= set(card().payload())


def test_a_backtest_compares_its_arms() -> None:
    content = json.loads((DOCS / "backtest.json").read_text())
    result = BacktestResult(**content)
    text = "\n".join(measured.format_backtest(result))
    for arm in result.arms:
        assert arm in text


def simulated(**changes: object) -> list[str]:
    values = {
        "out": "week", "source": "s", "first": "2025-06-16T00:00:00Z", "hours": 24, "seed": 0,
        "outcomes": 5, "decisions": {"avoid": 2, "join": 1}, "not_counted": [],
        "hours_missing": {}, "logs": {"charts": WrittenFiles(files=7, sha256="ab" * 32)},
        "seconds": 61.4,
    }  # fmt: skip
    return measured.format_simulation(SimulateResult(**{**values, **changes}))


def test_simulated_days_list_what_they_wrote() -> None:
    assert simulated() == [
        "24 hours from 2025-06-16T00:00:00Z, in 61 s, under week.",
        "5 outcomes; decisions: 2 avoid, 1 join",
        f"  charts            7 files  SHA-256 {'ab' * 8}",
    ]


def test_what_could_not_be_read_comes_by_frequency_and_five_at_most() -> None:
    reasons = {f"why {n}": n for n in range(1, 8)}
    lines = simulated(hours_missing=reasons, not_counted=["line 3"])
    unread = [line for line in lines if line.startswith("  not read")]
    assert unread == [f"  not read: why {n} ({n} hours)" for n in (7, 6, 5, 4, 3)]
    assert lines[-1] == "  not counted: line 3"
