import contextlib
from pathlib import Path

import pytest

from tests.labels.gpt_tasks import order, tasks
from tests.labels.openai_server import OpenAiServer, always, mixed
from vision_ai.errors import ConfigError, TransientError
from vision_ai.labels.gpt import batch
from vision_ai.labels.gpt.batch import BatchPlan, BatchQueue
from vision_ai.labels.gpt.client import GptClient
from vision_ai.labels.gpt.ledger import Ledger, total_spending
from vision_ai.labels.gpt.replies import Attempt, ReplyKind


@pytest.fixture
def desk():
    """A program that begins: it knows what is on disk and nothing else."""
    with contextlib.ExitStack() as programs:

        def begin(server: OpenAiServer, folder: Path, **changes: object) -> BatchQueue:
            wanted = order(**changes)
            client = programs.enter_context(GptClient(wanted.config, environ=server.environ))
            return BatchQueue(wanted, Ledger(folder), client)

        yield begin


def collected(work: BatchQueue, plan: BatchPlan) -> tuple[BatchPlan, list[Attempt]]:
    """Look until the batch is done."""
    stored: list[Attempt] = []
    while plan.is_open:
        plan, stored = work.collect(plan)
    return plan, stored


def test_a_batch_is_submitted_polled_and_collected_at_half_price(desk, tmp_path) -> None:
    with OpenAiServer() as server:
        work = desk(server, tmp_path)
        (plan,) = work.plan(tasks(5))
        plan = work.submit(plan)
        waiting, nothing = work.collect(plan)
        assert (waiting.state, nothing) == ("in_progress", [])
        collected(work, waiting)
    stored = work.ledger.read()[0]
    assert [attempt.kind for attempt in stored] == [ReplyKind.DESCRIBED] * 5
    full = (server.input_tokens * 0.25 + server.output_tokens * 2.0) / 1e6
    assert total_spending(stored).cost == pytest.approx(full / 2)
    assert batch.open_plans(work.ledger) == []


def test_a_restart_at_any_step_pays_once_and_loses_nothing(desk, tmp_path) -> None:
    """Each step is taken by a new program that knows only what is on disk."""
    with OpenAiServer() as server:
        desk(server, tmp_path).plan(tasks(3))
        (planned,) = batch.open_plans(Ledger(tmp_path))

        work = desk(server, tmp_path)
        submitted = work.submit(planned)  # killed before it could be noted down:
        work._save(planned, file_id=submitted.file_id)
        (again,) = batch.open_plans(Ledger(tmp_path))
        assert again.batch_id is None
        work = desk(server, tmp_path)
        again = work.submit(again)
        assert again.batch_id == submitted.batch_id
        assert len(server.batches) == 1

        collected(desk(server, tmp_path), again)
        collected(desk(server, tmp_path), again)  # killed before `collected` was noted down
    stored = Ledger(tmp_path).read()[0]
    assert len(stored) == 3
    assert max(server.charts.values()) == 1


def test_faults_inside_a_batch_are_recorded_by_kind(desk, tmp_path) -> None:
    faults = ("refusal", "cut-off", "invalid", "no-json", "500", "429", "400")
    with OpenAiServer(mixed(0.5, 2, faults)) as server:
        work = desk(server, tmp_path)
        (plan,) = work.plan(tasks(40))
        _, stored = collected(work, work.submit(plan))
    assert len(stored) == 40
    assert {attempt.kind for attempt in stored} == {
        ReplyKind.DESCRIBED, ReplyKind.REFUSED, ReplyKind.CUT_OFF, ReplyKind.INVALID,
        ReplyKind.SERVER_ERROR, ReplyKind.RATE_LIMITED, ReplyKind.REJECTED,
    }  # fmt: skip
    totals = total_spending(stored)
    assert totals.input_tokens == server.input_tokens
    assert totals.output_tokens == server.output_tokens


def test_a_batch_that_ends_without_answers_names_every_chart(desk, tmp_path) -> None:
    with OpenAiServer() as server:
        work = desk(server, tmp_path)
        (plan,) = work.plan(tasks(3))
        plan = work.submit(plan)
        server.batches[str(plan.batch_id)]["status"] = "expired"
        _, stored = work.collect(plan)
    assert {attempt.kind for attempt in stored} == {ReplyKind.EXPIRED}
    assert len(stored) == 3


def test_many_charts_are_split_over_batches_by_size(desk, tmp_path) -> None:
    with OpenAiServer() as server:
        plans = desk(server, tmp_path, batch_bytes=20_000).plan(tasks(20))
    assert len(plans) > 1
    assert sum(len(plan.subjects) for plan in plans) == 20


def test_a_refused_key_and_a_busy_api_leave_the_plan_open(desk, tmp_path) -> None:
    with OpenAiServer() as server:
        work = desk(server, tmp_path)
        (plan,) = work.plan(tasks(2))
        server.key = "sk-other"
        with pytest.raises(ConfigError, match="refused the key"):
            work.submit(plan)
    server.environ["OPENAI_BASE_URL"] = "http://127.0.0.1:9/v1"
    with pytest.raises(TransientError, match="cannot be reached"):
        desk(server, tmp_path).submit(plan)
    assert len(batch.open_plans(Ledger(tmp_path))) == 1


def test_a_contradiction_in_a_batch_is_caught_too(desk, tmp_path) -> None:
    with OpenAiServer(always("")) as server:
        server.write = lambda _: {
            "setup": "breakout", "direction": "long", "phase": "markup", "confidence": 1,
            "description": "Breakout to the upside.", "paraphrases": ["breakout, long"],
        }  # fmt: skip
        work = desk(server, tmp_path)
        (plan,) = work.plan(tasks(4))
        _, stored = collected(work, work.submit(plan))
    kinds = {attempt.subject.reading.name: attempt.kind for attempt in stored}
    assert kinds["breakout:long"] is ReplyKind.DESCRIBED
    assert kinds["breakout:short"] is ReplyKind.CONTRADICTS
