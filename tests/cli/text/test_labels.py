"""Captions, the review desk and people's labels as lines for a terminal."""

from pathlib import Path

import pytest

from vision_ai.cli.text import labels
from vision_ai.domain import Direction, Interval, Label, Phase, Reading, Setup
from vision_ai.feedback.review import wilson
from vision_ai.labels.gpt.replies import LabelledChart, Language
from vision_ai.labels.review import Action, make_correction
from vision_ai.pipeline.labelling.describe import (
    AgreementRow,
    DescribeBatchResult,
    DescribeEstimateResult,
    DescribeResult,
    LedgerResult,
    LedgerTotals,
)
from vision_ai.pipeline.labelling.review import (
    CaseRecord,
    LabelsExportResult,
    LabelsImportResult,
    OpinionRecord,
    ReviewDecisionResult,
    ReviewQueueResult,
    ReviewStatsResult,
)
from vision_ai.records import BadLine

ROOT = Path("data")
BAD = BadLine(path="l.jsonl", number=2, reason="no JSON")


def totals(**changes: object) -> LedgerTotals:
    values = {
        "requests": 4, "charts": 3, "kinds": {"described": 2, "refused": 1}, "input_tokens": 100,
        "output_tokens": 20, "cost": 0.0123, "unknown": 0, "per_thousand": 6.15,
    }  # fmt: skip
    return LedgerTotals.model_validate({**values, **changes})


def ledger(**changes: object) -> dict[str, object]:
    return {"ledger": totals(), "agreement": [], "damaged_lines": [], **changes}


def test_an_estimate_says_that_nothing_was_sent() -> None:
    result = DescribeEstimateResult(
        charts=5, model="gpt-5-mini", language=Language.PL, prompt="1", input_tokens=10,
        output_tokens=4, cost=0.5, cost_at_worst=0.75,
    )  # fmt: skip
    (line,) = labels.format_estimate(result)
    assert line == (
        "5 charts without a description in pl: about 10 tokens in, 4 out, 0.5000 US dollars with "
        "gpt-5-mini (at worst 0.7500). Nothing was sent."
    )


def test_a_ledger_counts_requests_by_how_they_ended() -> None:
    (line,) = labels.format_ledger(LedgerResult(**ledger()))
    assert line == (
        "Ledger: 4 requests about 3 charts (2 described, 1 refused); 100 tokens in, 20 out; "
        "0.0123 US dollars, 6.15 a 1000 charts."
    )


def test_an_empty_ledger_has_no_rate() -> None:
    empty = totals(requests=0, charts=0, kinds={}, cost=0.0, per_thousand=None)
    (line,) = labels.format_ledger(LedgerResult(**ledger(ledger=empty)))
    assert "(none)" in line
    assert "a 1000 charts" not in line


def test_damage_and_agreement_follow_the_ledger() -> None:
    row = AgreementRow(facet="setup", value="trap", **wilson(3, 4).model_dump())
    lines = labels.format_ledger(LedgerResult(**ledger(agreement=[row], damaged_lines=[BAD])))
    assert lines[1] == "Damaged: l.jsonl line 2: no JSON"
    assert lines[2] == ""
    assert "this flatters" in lines[3]
    assert lines[-1].split()[:4] == ["setup", "trap", "4", "75%"]


@pytest.mark.parametrize("stopped", [None, "the limit of cost is reached"])
def test_a_run_says_what_it_did_and_why_it_ended(stopped: str | None) -> None:
    result = DescribeResult(
        asked_for=5, described=3, requests=4, cost=0.02, stopped=stopped, **ledger()
    )
    lines = labels.format_described(result)
    assert lines[0] == "3 of 5 charts described with 4 requests for 0.0200 US dollars."
    assert ("Ended early: the limit of cost is reached." in lines) is (stopped is not None)
    assert lines[-1].startswith("Ledger: ")


@pytest.mark.parametrize("waiting", [{}, {"b1": 2, "b2": 3}])
def test_batches_say_how_to_collect_what_is_under_way(waiting: dict[str, int]) -> None:
    result = DescribeBatchResult(submitted=5, collected=0, waiting=waiting, **ledger())
    line = labels.format_batches(result)[0]
    assert f"{sum(waiting.values())} under way." in line
    assert ("Run the same command again" in line) is bool(waiting)


SUBJECT = {
    "digest": "ab" * 32, "symbol": "BTCUSDT", "interval": Interval.M15,
    "as_of": "2025-06-15T12:00:00Z", "setup": Setup.TRAP, "direction": Direction.SHORT,
    "phase": Phase.RANGE, "clear": False, "rules": "1", "look": "cd" * 32,
}  # fmt: skip


def case(**changes: object) -> CaseRecord:
    values = {**SUBJECT, "gpt": None, "model": None, "words": "", "disagreements": 0,
              "uncertainty": 0.5}  # fmt: skip
    return CaseRecord(**{**values, **changes})


def queued(*cases: CaseRecord) -> list[str]:
    result = ReviewQueueResult(waiting=len(cases), cases=list(cases), damaged_lines=[])
    return labels.format_queue(result, ROOT)


def test_an_empty_queue_says_where_charts_come_from() -> None:
    lines = queued()
    assert lines[0] == "0 charts wait for a person."
    assert "predict, scan and describe" in lines[1]


def test_a_case_shows_what_each_reader_says() -> None:
    opinion = OpinionRecord(reading="fakeout:short", phase=Phase.MARKUP, confidence=0.66)
    lines = queued(case(gpt=opinion, model=opinion, words="a failed break", chart="c.png"))
    assert lines[1] == ""
    assert lines[2] == "abababababab  BTCUSDT 15m 2025-06-15T12:00:00Z"
    assert lines[3] == "  rule book  trap:short, range (close call)"
    assert lines[4] == "  GPT        fakeout:short, markup (66%)"
    assert lines[5] == "  model      fakeout:short, markup (66%)"
    assert lines[6] == "  words      a failed break"
    assert lines[7] == f"  chart      {ROOT / 'c.png'}"


def test_a_clear_case_of_one_reader_has_no_more_lines_than_it_needs() -> None:
    lines = queued(case(clear=True))
    assert lines[3] == "  rule book  trap:short, range"
    assert len(lines) == 4


def decided(action: Action, index: str | None) -> list[str]:
    label = Label(Reading(Setup.TRAP, Direction.SHORT), Phase.RANGE)
    chart = LabelledChart(**{**SUBJECT})
    given = make_correction(chart, action, label, who="anna", at="2025-06-15T13:00:00Z", words=None)
    return labels.format_decided(ReviewDecisionResult(correction=given, index=index))


def test_a_correction_is_repeated_with_what_became_of_the_index() -> None:
    assert decided(Action.CORRECT, "Index x of 9 charts is in use.") == [
        "anna: correct BTCUSDT 15m 2025-06-15T12:00:00Z as trap:short, range.",
        "Index x of 9 charts is in use.",
    ]


def test_a_skipped_chart_has_no_label() -> None:
    assert decided(Action.SKIP, None) == ["anna: skip BTCUSDT 15m 2025-06-15T12:00:00Z"]


def stats(**changes: object) -> list[str]:
    values = {
        "waiting": 2, "disagreements": 1, "words": 3, "actions": {"correct": 2, "accept": 1},
        "reviewers": {"bob": 1, "anna": 2}, "rule_book_right": wilson(1, 3), "by_setup": {},
        "damaged_lines": [],
    }  # fmt: skip
    return labels.format_review_stats(ReviewStatsResult(**{**values, **changes}))


def test_review_stats_count_by_action_and_by_person() -> None:
    lines = stats()
    assert lines[0].endswith("annotations so far: 3 (1 accept, 2 correct).")
    assert [line.split() for line in lines[1:3]] == [["anna", "2"], ["bob", "1"]]
    assert "kept in 33% of 3 reviewed charts" in lines[3]


def test_without_reviews_nothing_is_said_of_the_rule_book() -> None:
    lines = stats(words=0, actions={}, reviewers={}, rule_book_right=wilson(0, 0))
    assert len(lines) == 1
    assert lines[0].endswith("0 (none).")


def test_labels_taken_out_and_in_are_counted() -> None:
    assert labels.format_export(LabelsExportResult(exported=4, path="l.csv")) == [
        "4 corrections in l.csv."
    ]
    imported = LabelsImportResult(added=1, known=2, index="Index x is in use.")
    assert labels.format_labels_import(imported) == [
        "1 of 3 corrections are new.", "Index x is in use."
    ]  # fmt: skip
    known = LabelsImportResult(added=0, known=2)
    assert labels.format_labels_import(known) == ["0 of 2 corrections are new."]
