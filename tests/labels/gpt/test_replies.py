"""Response objects of the API, usual and odd, as kinds of reply; hashes of charts."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.labels.gpt_tasks import order, task
from tests.labels.walks import walks
from vision_ai.domain import Label, Phase
from vision_ai.labels.gpt.replies import (
    ANSWERED,
    FATAL,
    RETRYABLE,
    GptAnswer,
    Reply,
    ReplyKind,
    hash_bars,
)

ANSWER = {
    "setup": "trap", "direction": "short", "phase": "range", "confidence": 0.6,
    "description": "A trap above the range.", "paraphrases": ["trap above the range"],
}  # fmt: skip


def response(text: str | None = None, **changes: object) -> dict:
    part = {"type": "output_text", "text": json.dumps(ANSWER) if text is None else text}
    message = {"type": "message", "content": [part]}
    usage = {"input_tokens": 10, "output_tokens": 5}
    return {"status": "completed", "output": [message], "usage": usage, **changes}


def test_a_completed_response_is_an_answer_with_its_tokens() -> None:
    reply = Reply.of(response(), "req_1")
    assert reply.kind is ReplyKind.DESCRIBED
    assert reply.answer == GptAnswer.model_validate(ANSWER)
    assert (reply.input_tokens, reply.output_tokens, reply.request_id) == (10, 5, "req_1")
    assert reply.answer.texts == ["A trap above the range.", "trap above the range"]


def test_a_text_in_several_parts_is_joined() -> None:
    text = json.dumps(ANSWER)
    parts = [{"type": "output_text", "text": half} for half in (text[:30], text[30:])]
    messages = [{"type": "message", "content": [part]} for part in parts]
    assert Reply.of(response(output=messages)).answer is not None


@pytest.mark.parametrize(
    ("changes", "kind", "note"),
    [
        ({"status": "incomplete", "incomplete_details": {"reason": "content_filter"}},
         ReplyKind.REFUSED, "content_filter"),
        ({"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}},
         ReplyKind.CUT_OFF, "max_output_tokens"),
        ({"status": "incomplete", "incomplete_details": None}, ReplyKind.CUT_OFF, "None"),
        ({"status": "failed", "error": {"code": "server_error", "message": "oops"}},
         ReplyKind.SERVER_ERROR, "oops"),
        ({"status": "failed", "error": {"code": "rate_limit_exceeded", "message": "slow"}},
         ReplyKind.RATE_LIMITED, "slow"),
        ({"status": "failed", "error": None}, ReplyKind.REJECTED, ""),
        ({"output": [{"type": "message", "content": [{"type": "refusal", "refusal": "No."}]}]},
         ReplyKind.REFUSED, "No."),
    ],
)  # fmt: skip
def test_other_ends_of_a_response_have_their_kind_and_note(changes, kind, note) -> None:
    reply = Reply.of(response(**changes))
    assert (reply.kind, reply.note, reply.answer) == (kind, note, None)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no JSON"),
        ("{", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ("[]", "Input should be"),
        (json.dumps({**ANSWER, "setup": "moon"}), "setup"),
        (json.dumps({**ANSWER, "confidence": 1.5}), "confidence"),
        (json.dumps({**ANSWER, "confidence": float("nan")}), "confidence"),
        (json.dumps({**ANSWER, "paraphrases": []}), "paraphrases"),
        (json.dumps({**ANSWER, "paraphrases": ["x" * 241]}), "paraphrases.0"),
        (json.dumps({**ANSWER, "description": "  "}), "description"),
        (json.dumps({k: v for k, v in ANSWER.items() if k != "phase"}), "phase"),
    ],
    ids=range(11),
)
def test_a_text_of_another_form_is_invalid_and_says_where(text, says) -> None:
    reply = Reply.of(response(text))
    assert reply.kind is ReplyKind.INVALID
    assert reply.answer is None
    assert says in reply.note
    assert len(reply.note) <= 200


ODD = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


@settings(max_examples=60, deadline=None)
@given(ODD, ODD)
def test_odd_shapes_of_output_and_usage_never_raise(output, usage) -> None:
    reply = Reply.of(response(output=output, usage=usage))
    assert reply.answer is None
    assert reply.kind is ReplyKind.INVALID
    assert reply.input_tokens is None or reply.input_tokens >= 0


@pytest.mark.parametrize("tokens", [-1, "10", 2.5, None])
def test_tokens_that_are_no_count_are_not_believed(tokens) -> None:
    assert Reply.of(response(usage={"input_tokens": tokens})).input_tokens is None


def test_every_kind_is_final_retryable_fatal_or_left_alone() -> None:
    groups = [ANSWERED, RETRYABLE, FATAL, {ReplyKind.REJECTED, ReplyKind.EXPIRED}]
    assert sum(len(group) for group in groups) == len(ReplyKind)
    assert set().union(*groups) == set(ReplyKind)


def test_a_hash_knows_the_candles_and_nothing_else() -> None:
    bars = walks(2, 3)
    assert hash_bars(bars[0]) == hash_bars(np.asfortranarray(bars[0]))
    assert hash_bars(bars[0]) == hash_bars(np.concatenate([bars, bars])[2])
    changed = bars[0].copy()
    changed[50, 3] = np.nextafter(changed[50, 3], np.inf)
    assert hash_bars(changed) != hash_bars(bars[0])
    assert len(hash_bars(bars[0])) == 32


def test_the_hash_of_a_chart_never_changes_between_versions() -> None:
    # stored in ledgers and corrections: another hash would lose every written caption
    bars = np.arange(480, dtype=np.float64).reshape(96, 5)
    assert hash_bars(bars) == "03cde29807592c7ee2ce700457c20c63"


def test_a_chart_has_the_label_that_it_was_described_under() -> None:
    chart = task(1).subject
    assert chart.has_label(Label(chart.reading, chart.phase))
    assert not chart.has_label(Label(chart.reading.mirror, chart.phase))
    other = next(phase for phase in Phase if phase is not chart.phase)
    assert not chart.has_label(Label(chart.reading, other))


def test_captions_leave_out_what_contradicts() -> None:
    chart = task(0).subject  # breakout, long, markup
    answer = GptAnswer(
        setup=chart.setup, direction=chart.direction, phase=chart.phase, confidence=1,
        description="breakout, long", paraphrases=["bear trap", "breakout, markup"],
    )  # fmt: skip
    attempt = order().attempt(chart, Reply(ReplyKind.DESCRIBED, answer=answer))
    assert attempt.captions == ["breakout, long", "breakout, markup"]
    assert [fault.text for fault in attempt.faults] == ["bear trap"]
    wrong = answer.model_copy(update={"description": "bear trap"})
    attempt = order().attempt(chart, Reply(ReplyKind.DESCRIBED, answer=wrong))
    assert (attempt.kind, attempt.captions) == (ReplyKind.CONTRADICTS, [])


@pytest.mark.parametrize("digest", ["", "abc", "G" * 64, "a" * 63])
def test_a_digest_that_is_no_sha256_is_refused(digest) -> None:
    content = {**task(1).subject.model_dump(mode="json"), "digest": digest}
    with pytest.raises(ValidationError, match="digest"):
        type(task(1).subject).model_validate(content)
