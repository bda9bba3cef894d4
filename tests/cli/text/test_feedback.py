"""Passes of the feedback loop, reviews and updates as lines for a terminal."""

import pytest

from vision_ai.cli.text import feedback
from vision_ai.domain import Horizon
from vision_ai.feedback.review import Coverage, Cut, Filters, Review, wilson
from vision_ai.pipeline.feedback import FeedbackReviewResult, FeedbackRunResult
from vision_ai.pipeline.learning.update import UpdateResult
from vision_ai.records import BadLine, GateAttempt, PartVerdict, UpdateProposal

NOW = "2025-06-15T12:00:00Z"
BAD = BadLine(path="log.jsonl", number=3, reason="edited by hand")


def ran(**changes: object) -> list[str]:
    values = {"now": NOW, "written": [], "waiting": {}, "not_counted": [], "fetches": 0}
    return feedback.format_feedback_run(FeedbackRunResult(**{**values, **changes}))


def test_a_quiet_pass_is_one_line() -> None:
    assert ran() == ["0 outcomes written, 0 waiting."]


def test_the_commonest_reasons_to_wait_come_first_and_five_at_most() -> None:
    waiting = {f"reason {number}": number for number in range(1, 8)}
    lines = ran(waiting=waiting)
    assert lines[0] == f"0 outcomes written, {sum(waiting.values())} waiting."
    assert lines[1:] == [f"  waiting: {n} because reason {n}" for n in (7, 6, 5, 4, 3)]


def test_damaged_lines_come_with_their_cure_and_damaged_files_without() -> None:
    lines = ran(not_counted=["a file is damaged"])
    assert lines[-1] == "  not counted: a file is damaged"
    lines = ran(not_counted=[str(BAD)], bad_lines=1)
    assert lines[-2:] == feedback.BAD_LINE_CURE


def review(**changes: object) -> Review:
    values = {
        "filters": Filters(), "lines": 0, "predictions": 0, "unjudged": {}, "cuts": [],
        "calibration": [], "calibration_error": {}, "coverage": [], "best": [], "worst": [],
        "bad": [],
    }  # fmt: skip
    return Review(**{**values, **changes})


def reviewed(found: Review, report: str | None = None) -> list[str]:
    return feedback.format_feedback_review(FeedbackReviewResult(review=found, report=report))


def cut(n: int, hits: int, value: str = "all") -> Cut:
    return Cut(
        facet="setup", value=value, horizon=Horizon.H2, hits=wilson(hits, n), verdicts={},
        confidence=None, days=2,
    )  # fmt: skip


def test_an_empty_log_says_what_to_do() -> None:
    assert reviewed(review()) == [
        "No outcomes yet: run vision-ai feedback run once a prediction is 2 h old."
    ]


def test_filters_that_match_nothing_say_so() -> None:
    (line,) = reviewed(review(filters=Filters(symbols=("BTCUSDT",))))
    assert line.startswith("No outcome is of these symbols")


def test_hit_rates_stand_with_their_interval_and_days() -> None:
    lines = reviewed(review(lines=10, predictions=5, cuts=[cut(10, 8)]))
    assert lines[0] == "5 predictions, 10 outcomes."
    rate = wilson(8, 10)
    assert lines[2].endswith(f" 80.0% of 10 ({rate.low:.1%} to {rate.high:.1%}), over 2 days")


@pytest.mark.parametrize(("n", "shown"), [(4, False), (5, True)])
def test_a_group_of_few_calls_gets_no_line(n: int, shown: bool) -> None:
    lines = reviewed(review(lines=n, predictions=n, cuts=[cut(n, 1, "trap")]))
    assert any("trap" in line for line in lines) is shown
    assert any("left to --json" in line for line in lines) is not shown


def test_coverage_of_all_days_is_shown_beside_what_was_meant() -> None:
    rows = [
        Coverage(day="all", horizon=Horizon.H6, nominal=0.8, covered=wilson(7, 10)),
        Coverage(day="2025-06-01", horizon=Horizon.H6, nominal=0.8, covered=wilson(1, 2)),
        Coverage(day="all", horizon=Horizon.H2, nominal=0.8, covered=wilson(0, 0)),
    ]
    lines = reviewed(review(lines=1, predictions=1, coverage=rows))
    (line,) = [line for line in lines if "band coverage" in line]
    assert line.split()[:5] == ["6h", "band", "coverage", "of", "80%"]
    assert "70.0% of 10" in line


def test_damaged_lines_and_the_page_are_named_at_the_end() -> None:
    lines = reviewed(review(lines=1, predictions=1, bad=[BAD]), report="out/review.md")
    assert f"  not counted: {BAD}" in lines
    assert lines[-1] == "Report out/review.md"
    assert lines[-3:-1] == feedback.BAD_LINE_CURE


def proposal(**changes: object) -> UpdateProposal:
    values = {
        "made_at": NOW, "mode": "log-only", "horizon": Horizon.H6, "lines": 12, "samples": 6.0,
        "base_rate": 0.5, "exemplars": [], "recalibration": [], "width_factor": {},
    }  # fmt: skip
    return UpdateProposal(**{**values, **changes})


def updated(found: UpdateProposal) -> list[str]:
    return feedback.format_update(UpdateResult(proposal=found, path="p.json"))


def test_a_proposal_that_changes_nothing_counts_what_it_would() -> None:
    assert updated(proposal()) == [
        "Would change 0 exemplar weights, from 12 outcomes.", "Proposal p.json"
    ]  # fmt: skip


def attempt(*, better: bool) -> GateAttempt:
    part = PartVerdict(
        name="readings", cases=9, wins=7, losses=2, ties=0, p_value=0.0898, level=0.0304,
        better=better, figures={"gain": 0.0125},
    )  # fmt: skip
    return GateAttempt(
        number=1, made_at=NOW, champion="m", horizon=Horizon.H6, alpha=0.05, learned_until=NOW,
        judged_from=NOW, judged_until=NOW, learned=100, judged=9, days=9, parts=[part],
        promote=better,
    )  # fmt: skip


@pytest.mark.parametrize(("better", "word"), [(True, "better"), (False, "not better")])
def test_an_attempt_shows_each_part_with_its_test(better: bool, word: str) -> None:
    found = proposal(mode="reweight", outcome="Nothing changed.", attempt=attempt(better=better))
    lines = updated(found)
    assert lines[0] == "Nothing changed."
    assert lines[1] == f"  readings    {word:<12}days won 7, lost 2; p 0.0898 against 0.0304"
    assert lines[2].split() == ["gain", "0.0125"]
    assert lines[-1] == "Proposal p.json"


def test_a_gate_that_was_not_asked_leaves_the_sentence_alone() -> None:
    found = proposal(mode="finetune", outcome="Too few charts.")
    assert updated(found) == ["Too few charts.", "Proposal p.json"]
