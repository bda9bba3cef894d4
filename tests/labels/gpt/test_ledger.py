"""The ledger: a chart is paid for once, lines of an earlier version still count, sums are right."""

import json
import multiprocessing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.labels.gpt_tasks import order, task
from vision_ai.domain import PHASES, READINGS, SETUPS
from vision_ai.errors import StateError, StorageError
from vision_ai.labels.gpt.ledger import (
    Ledger,
    agreement_by_label,
    answered_charts,
    total_spending,
)
from vision_ai.labels.gpt.replies import ANSWERED, Attempt, GptAnswer, Language, Reply, ReplyKind

LINE_OF_VERSION_0_1 = (
    '{"line":1,"check":"e585bb547c6ce512","v":1,"id":"one","subject":{"digest":'
    '"4e07408562bedb8b60ce05c1decfe3ad16b72230967de01f640b7e4729b49fce","symbol":"BTCUSDT",'
    '"interval":"15m","as_of":"2023-11-14T23:00:00Z","setup":"breakout-continuation",'
    '"direction":"short","phase":"distribution","clear":true,"rules":"1","look":'
    '"00000000000000000000000000000003","chart":null},"language":"en","model":"gpt-5-mini",'
    '"prompt":"1","kind":"contradicts","note":"says pullback (\\"pullback\\")","said":{"setup":'
    '"breakout-continuation","direction":"short","phase":"distribution","confidence":0.7,'
    '"description":"short pullback","paraphrases":["one note","other note"]},"faults":[{"text":'
    '"short pullback","why":"says pullback (\\"pullback\\")"}],"input_tokens":1000,'
    '"output_tokens":100,"cost":0.00045,"seconds":0.0,"request_id":null,"batch":null,'
    '"at":"2026-11-27T20:44:24Z"}\n'
)
"""Written by version 0.1.0, checksum included."""


def attempt(number: int, kind: ReplyKind = ReplyKind.DESCRIBED, **changes: object) -> Attempt:
    subject = task(number).subject
    answer = None
    if kind is ReplyKind.DESCRIBED:
        answer = GptAnswer(
            setup=subject.setup, direction=subject.direction, phase=subject.phase,
            confidence=0.5, description="as the facts have it", paraphrases=["as it is"],
        )  # fmt: skip
    reply = Reply(kind, answer=answer, input_tokens=1000, output_tokens=100)
    return order().attempt(subject, reply).model_copy(update=changes)


def test_a_line_of_version_0_1_is_intact_and_counts_as_paid_for(tmp_path) -> None:
    (tmp_path / "4e.jsonl").write_text(LINE_OF_VERSION_0_1)
    (stored,), bad = Ledger(tmp_path).read()
    assert not bad
    assert stored.subject.digest == task(3).subject.digest
    assert (task(3).subject.digest, Language.EN) in answered_charts([stored])
    assert stored.cost == 0.00045


def test_a_new_line_has_the_keys_of_version_0_1_in_their_order(tmp_path) -> None:
    ledger = Ledger(tmp_path)
    ledger.append(attempt(3))
    (line,) = (tmp_path / "4e.jsonl").read_text().splitlines()
    old, new = json.loads(LINE_OF_VERSION_0_1), json.loads(line)
    assert list(new) == list(old)
    assert list(new["subject"]) == list(old["subject"])
    assert list(new["said"]) == list(old["said"])


def test_the_same_id_is_appended_once(tmp_path) -> None:
    ledger, first = Ledger(tmp_path), attempt(1)
    ledger.append(first)
    ledger.append(first.model_copy(update={"note": "again"}))
    (stored,), _ = ledger.read()
    assert stored.note == first.note


def test_attempts_of_all_files_come_oldest_first(tmp_path) -> None:
    ledger = Ledger(tmp_path)
    times = [f"2025-06-{day:02d}T00:00:00Z" for day in (9, 3, 7, 1)]
    for number, at in enumerate(times):
        ledger.append(attempt(number, at=at))
    assert len(list(tmp_path.glob("*.jsonl"))) > 1
    assert [stored.at for stored in ledger.read()[0]] == sorted(times)


def test_files_that_are_no_part_of_the_ledger_are_left_alone(tmp_path) -> None:
    ledger = Ledger(tmp_path)
    ledger.append(attempt(1))
    (tmp_path / "notes.jsonl").write_text("mine\n")
    stored, bad = ledger.read()
    assert (len(stored), bad) == (1, [])


def test_a_folder_that_cannot_be_written_is_a_storage_error(tmp_path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError):
        Ledger(tmp_path / "file").append(attempt(1))
    with pytest.raises(StorageError), Ledger(tmp_path / "file").locked():
        pass


def _hold(folder: Path, ready: object, release: object) -> None:
    with Ledger(folder).locked():
        ready.set()
        release.wait(10)


def test_a_second_process_is_refused_until_the_first_ends_even_by_a_kill(tmp_path) -> None:
    context = multiprocessing.get_context("fork")
    ready, release = context.Event(), context.Event()
    process = context.Process(target=_hold, args=(tmp_path, ready, release))
    process.start()
    assert ready.wait(10)
    with pytest.raises(StateError, match="is describing charts"), Ledger(tmp_path).locked():
        pass
    process.kill()
    process.join()
    with Ledger(tmp_path).locked():  # a killed run leaves no lock behind
        pass


@pytest.mark.parametrize("kind", ReplyKind)
def test_only_final_answers_settle_a_chart(kind) -> None:
    answered = answered_charts([attempt(1, kind)])
    assert bool(answered) == (kind in ANSWERED)
    again = answered_charts([attempt(1, kind)], again=True)
    assert bool(again) == (kind is ReplyKind.DESCRIBED)


def test_of_two_answers_the_newest_counts_and_languages_are_apart() -> None:
    first, second = attempt(1), attempt(1)
    polish = attempt(1, language=Language.PL)
    answered = answered_charts([first, polish, second])
    assert answered[first.key] is second
    assert answered[polish.key] is polish


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from(list(ReplyKind))), max_size=12))
def test_sums_equal_a_count_by_hand(drawn) -> None:
    attempts = [attempt(number, kind) for number, kind in drawn]
    sums = total_spending(attempts)
    assert sums.requests == len(drawn)
    assert sums.charts == len({number for number, _ in drawn})
    assert sum(sums.kinds.values()) == len(drawn)
    assert sums.input_tokens == 1000 * len(drawn)
    assert sums.cost == pytest.approx(sum(a.cost for a in attempts))
    assert sums.unknown == sum(kind is ReplyKind.TIMEOUT for _, kind in drawn)
    described = sum(kind is ReplyKind.DESCRIBED for _, kind in drawn)
    if described:
        assert sums.per_thousand == pytest.approx(1000 * sums.cost / described)
    else:
        assert sums.per_thousand is None


def test_tokens_that_the_api_did_not_state_count_as_nothing() -> None:
    silent = attempt(1, input_tokens=None, output_tokens=None, cost=None)
    sums = total_spending([silent, attempt(2)])
    assert (sums.input_tokens, sums.cost) == (1000, attempt(2).cost)


def test_agreement_is_counted_by_setup_direction_and_phase_over_the_newest_replies() -> None:
    right = [attempt(number) for number in range(len(READINGS))]
    assert right[0].said is not None
    other = READINGS[4]
    wrong = right[0].said.model_copy(update={"setup": other.setup, "direction": other.direction})
    attempts = [right[0], *right[1:], right[0].model_copy(update={"said": wrong})]
    rows = {(row.facet, row.value): row for row in agreement_by_label(attempts)}
    assert rows["all", "setup"].n == len(READINGS)
    assert rows["all", "setup"].agree == len(READINGS) - 1
    assert rows["all", "phase"].agree == len(READINGS)
    mine = READINGS[0].setup
    assert rows["setup", mine.value].agree == rows["setup", mine.value].n - 1
    assert sum(row.n for key, row in rows.items() if key[0] == "setup") == len(READINGS)
    assert {key[1] for key in rows if key[0] == "setup"} <= {setup.value for setup in SETUPS}
    assert {key[1] for key in rows if key[0] == "phase"} <= {phase.value for phase in PHASES}


def test_without_answers_there_is_no_agreement() -> None:
    assert agreement_by_label([attempt(1, ReplyKind.REFUSED)]) == []
