import logging
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.labels.gpt_tasks import order, run, task, tasks
from tests.labels.openai_server import KEY, OpenAiServer, always, honest, mixed
from vision_ai.config import GptConfig
from vision_ai.errors import ConfigError, KlinesError, StateError
from vision_ai.labels.gpt.client import GptClient, retry_after
from vision_ai.labels.gpt.ledger import Ledger, answered_charts, total_spending
from vision_ai.labels.gpt.replies import Language, ReplyKind
from vision_ai.labels.gpt.run import (
    MAX_UNANSWERED_CHARTS,
    ChartTask,
    DescriptionRun,
    PauseGate,
    SpendingLimit,
)


def once(fault: str):
    """The first request goes wrong, all others are answered."""
    return lambda number, _: fault if number == 1 else ""


def test_a_reply_is_kept_with_its_model_prompt_tokens_cost_and_time(tmp_path) -> None:
    with OpenAiServer() as server:
        done, ledger = run(server, tmp_path, 1)
    ((stored,), bad) = ledger.read()
    assert not bad
    assert stored.kind is ReplyKind.DESCRIBED
    assert stored.said is not None
    assert len(stored.captions) == 3
    assert (stored.model, stored.prompt) == ("gpt-5-mini", "1")
    assert (stored.input_tokens, stored.output_tokens) == (
        server.input_tokens,
        server.output_tokens,
    )
    assert stored.cost == pytest.approx(
        (stored.input_tokens * 0.25 + stored.output_tokens * 2) / 1e6
    )
    assert stored.seconds > 0
    assert stored.request_id
    assert done.cost == stored.cost
    assert not done.undescribed


def test_the_request_asks_for_strict_json_and_carries_picture_and_facts(tmp_path) -> None:
    with OpenAiServer() as server:
        run(server, tmp_path, 1)
    (body,) = server.requests
    form = body["text"]["format"]
    assert form["strict"] is True
    assert set(form["schema"]["required"]) == set(form["schema"]["properties"])
    picture, text = body["input"][0]["content"]
    assert picture["image_url"].startswith("data:image/png;base64,")
    assert '"setup": "breakout"' in text["text"]
    assert body["store"] is False


@pytest.mark.parametrize("language", Language)
def test_the_language_is_asked_for_and_facts_stay_canonical(language, tmp_path) -> None:
    with OpenAiServer() as server, GptClient(order().config, environ=server.environ) as client:
        wanted = order().__class__(language, order().config)
        DescriptionRun(wanted, Ledger(tmp_path), client).describe(tasks(1))
    (body,) = server.requests
    named = {"en": "English", "pl": "Polish", "de": "German"}[language]
    assert f"in {named}" in body["instructions"]
    assert "breakout" in body["input"][0]["content"][1]["text"]
    assert Ledger(tmp_path).read()[0][0].language is language


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("cut-off", ReplyKind.CUT_OFF),
        ("invalid", ReplyKind.INVALID),
        ("no-json", ReplyKind.INVALID),
        ("wrong-form", ReplyKind.INVALID),
        ("slow", ReplyKind.TIMEOUT),
        ("hang-up", ReplyKind.UNREACHABLE),
        ("429", ReplyKind.RATE_LIMITED),
        ("429-after", ReplyKind.RATE_LIMITED),
        ("500", ReplyKind.SERVER_ERROR),
        ("503", ReplyKind.SERVER_ERROR),
    ],
)
def test_a_passing_fault_is_recorded_by_kind_and_asked_again(fault, kind, tmp_path) -> None:
    with OpenAiServer(once(fault)) as server:
        done, ledger = run(server, tmp_path, 1, timeout_s=1.0)
    assert sorted(a.kind for a in ledger.read()[0]) == sorted([kind, ReplyKind.DESCRIBED])
    assert not done.undescribed
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("fault", "kind", "requests"),
    [
        ("refusal", ReplyKind.REFUSED, 1),
        ("400", ReplyKind.REJECTED, 1),
        ("invalid", ReplyKind.INVALID, 4),
    ],
)
def test_a_lasting_fault_leaves_the_chart_named_and_without_words(
    fault, kind, requests, tmp_path
) -> None:
    with OpenAiServer(always(fault)) as server:
        done, ledger = run(server, tmp_path, 1)
    stored = ledger.read()[0]
    assert {attempt.kind for attempt in stored} == {kind}
    assert len(stored) == len(server.requests) == requests
    assert list(done.undescribed) == [task(0).name]
    assert not any(attempt.captions for attempt in stored)


def test_a_cut_off_answer_gets_twice_the_room(tmp_path) -> None:
    with OpenAiServer(once("cut-off")) as server:
        run(server, tmp_path, 1)
    assert [body["max_output_tokens"] for body in server.requests] == [2000, 4000]


@pytest.mark.parametrize(
    ("fault", "says"), [("401", "refused the key"), ("quota", "no quota"), ("404", "the model")]
)
def test_what_every_request_would_meet_ends_the_run_at_once(fault, says, tmp_path) -> None:
    with OpenAiServer(always(fault)) as server, pytest.raises(ConfigError, match=says):
        run(server, tmp_path, 50)
    assert len(server.requests) <= 4
    assert Ledger(tmp_path).read()[0]


def test_a_rate_limit_holds_all_requests_back_as_long_as_asked(tmp_path) -> None:
    at: list[float] = []

    def first(number: int, _: str) -> str:
        at.append(time.monotonic())
        return "429-after" if number <= 2 else ""

    with OpenAiServer(first) as server:
        done, _ = run(server, tmp_path, 6, concurrency=2)
    assert not done.undescribed
    assert at[2] - at[0] >= 0.055


def test_a_wait_longer_than_our_patience_is_not_granted(tmp_path) -> None:
    with OpenAiServer(always("429-long")) as server:
        done, _ = run(server, tmp_path, 1)
    assert len(server.requests) == 1
    assert "rate-limited" in done.undescribed[task(0).name]


def test_an_api_that_is_down_ends_the_run_after_a_few_charts(tmp_path) -> None:
    with OpenAiServer(always("503")) as server:
        done, _ = run(server, tmp_path, 60, attempts=1, concurrency=2)
    assert len(server.requests) <= MAX_UNANSWERED_CHARTS + 2
    assert len(done.undescribed) == 60
    assert "in a row" in done.stop_reason


@pytest.mark.parametrize("number", range(3))
def test_a_description_that_contradicts_its_facts_is_kept_apart(number, tmp_path) -> None:
    wrong = ["Clean breakout to the downside.", "Distribution.", "Nothing to trade, no setup."]

    with OpenAiServer() as server:
        server.write = lambda body: {**honest(body), "description": wrong[number]}
        done, ledger = run(server, tmp_path, 1)  # breakout, long, markup
    (stored,) = ledger.read()[0]
    assert stored.kind is ReplyKind.CONTRADICTS
    assert stored.captions == []
    assert "contradicts" in done.undescribed[task(0).name]


def test_a_paraphrase_that_contradicts_is_left_out_alone(tmp_path) -> None:
    with OpenAiServer() as server:
        server.write = lambda body: {**honest(body), "paraphrases": ["bear trap", "breakout, long"]}
        _, ledger = run(server, tmp_path, 1)
    (stored,) = ledger.read()[0]
    assert stored.kind is ReplyKind.DESCRIBED
    assert len(stored.captions) == 2
    assert "bear trap" not in stored.captions


def test_money_stops_before_the_limit_even_with_faults_and_dear_answers(tmp_path) -> None:
    with OpenAiServer(mixed(0.3, 5, ("invalid", "cut-off", "500"))) as server:
        done, ledger = run(server, tmp_path, 60, max_cost=0.02)
    spent = total_spending(ledger.read()[0])
    assert 0 < spent.cost <= 0.02
    assert "limit of 0.02" in done.stop_reason


def test_no_more_requests_are_under_way_than_configured(tmp_path) -> None:
    with OpenAiServer() as server:
        server.write = lambda body: time.sleep(0.05) or honest(body)
        run(server, tmp_path, 12, concurrency=3)
    assert 2 <= server.most_active <= 3


def test_a_picture_that_cannot_be_drawn_leaves_only_its_chart_out(tmp_path) -> None:
    def broken() -> bytes:
        raise KlinesError("The candles are gone.")

    first = task(0)
    charts = [ChartTask(first.subject, first.label, first.size, broken), task(1)]
    with OpenAiServer() as server, GptClient(order().config, environ=server.environ) as client:
        done = DescriptionRun(order(), Ledger(tmp_path), client).describe(charts)
    assert done.undescribed == {task(0).name: "The candles are gone."}
    assert len(server.requests) == 1


@pytest.mark.slow
def test_the_ledger_matches_the_servers_own_count(tmp_path) -> None:
    with OpenAiServer(mixed(0.3, 1), slow_s=30) as server:
        _, ledger = run(server, tmp_path, 40, timeout_s=3.0)
    totals = total_spending(ledger.read()[0])
    assert totals.requests == len(server.requests)
    assert totals.input_tokens == server.input_tokens
    assert totals.output_tokens == server.output_tokens
    paid = (server.input_tokens * 0.25 + server.output_tokens * 2.0) / 1e6
    assert totals.cost == pytest.approx(paid)


def test_two_runs_at_once_are_refused(tmp_path) -> None:
    ledger = Ledger(tmp_path)
    with ledger.locked(), pytest.raises(StateError, match="Another process"), ledger.locked():
        pass


def test_a_torn_or_edited_line_is_named_and_asked_about_again(tmp_path) -> None:
    with OpenAiServer() as server:
        _, ledger = run(server, tmp_path, 3)
    path = tmp_path / f"{task(1).subject.digest[:2]}.jsonl"
    path.write_text(path.read_text().replace("markdown", "markup").replace("long", "short"))
    stored, bad = ledger.read()
    assert len(stored) == 2
    assert "does not match" in bad[0].reason
    assert (task(1).subject.digest, Language.EN) not in answered_charts(stored)


@pytest.mark.parametrize("fault", ["401", "400", "500", "429", "hang-up", "refusal", "quota"])
def test_the_key_appears_in_no_log_error_or_file(fault, tmp_path, caplog) -> None:
    caplog.set_level(logging.DEBUG)
    with OpenAiServer(always(fault)) as server:
        server.echo_key = True
        said = ""
        try:
            done, _ = run(server, tmp_path, 2, attempts=2)
            said = str(done)
        except ConfigError as error:
            said = f"{error} {error.__cause__} {error.hint}"
    written = "".join(path.read_text() for path in tmp_path.rglob("*.jsonl"))
    assert written
    for text in (said, caplog.text, written):
        assert KEY not in text
        assert KEY[3:20] not in text


def test_a_wrong_key_that_the_server_repeats_is_not_shown(tmp_path) -> None:
    with OpenAiServer() as server:
        server.key = "sk-another"
        with pytest.raises(ConfigError, match="refused the key") as caught:
            run(server, tmp_path, 1)
    assert KEY not in str(caught.value)
    assert "[key]" in str(caught.value)
    assert KEY not in "".join(path.read_text() for path in tmp_path.rglob("*.jsonl"))


def test_without_a_key_nothing_is_sent() -> None:
    with pytest.raises(ConfigError, match="OPENAI_API_KEY"):
        GptClient(GptConfig(), environ={})


def test_a_server_that_is_not_there_is_unreachable(tmp_path) -> None:
    environ = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}
    with GptClient(order().config, environ=environ) as client:
        done = DescriptionRun(order(attempts=1), Ledger(tmp_path), client).describe(tasks(1))
    assert "unreachable" in done.undescribed[task(0).name]


def test_retry_after_is_read_in_every_form() -> None:
    assert retry_after({}) is None
    assert retry_after({"retry-after": "soon"}) is None
    dated = retry_after({"retry-after": "Fri, 01 Jan 2100 00:00:00 GMT"})
    assert dated is not None
    assert dated > 1e9


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), max_size=20), st.floats(0.1, 5))
def test_a_limit_is_never_passed_by_costs_below_their_reservations(requests, limit) -> None:
    budget, spent = SpendingLimit(limit), 0.0
    for worst, part in requests:
        reserved = budget.reserve(worst)
        if reserved is None:
            continue
        assert reserved == worst
        budget.record(reserved, worst * part)
        spent += worst * part
        assert spent <= limit + 1e-9


def test_requests_under_way_count_at_their_worst_until_they_end() -> None:
    budget = SpendingLimit(1.0)
    first = budget.reserve(0.6)
    assert first is not None
    assert budget.reserve(0.6) is None
    budget.record(first, 0.1)
    assert budget.reserve(0.6) == 0.6


def test_a_cost_above_its_worst_raises_later_reservations() -> None:
    budget = SpendingLimit(10.0)
    reserved = budget.reserve(1.0)
    assert reserved is not None
    budget.record(reserved, 1.5)
    assert budget.reserve(1.0) == pytest.approx(1.5)


def test_without_a_limit_everything_is_allowed() -> None:
    assert SpendingLimit(None).reserve(1e9) == 1e9


def test_a_closed_gate_lets_nobody_through_and_wakes_who_waits() -> None:
    gate, passed = PauseGate(), []
    assert gate.wait()
    gate.pause(30)
    waiting = threading.Thread(target=lambda: passed.append(gate.wait()))
    waiting.start()
    gate.close()
    waiting.join(5)
    assert passed == [False]
    assert not gate.wait()


def test_of_two_pauses_the_longer_counts() -> None:
    gate = PauseGate()
    gate.pause(0.05)
    gate.pause(0.0)
    started = time.monotonic()
    assert gate.wait()
    assert time.monotonic() - started >= 0.04
