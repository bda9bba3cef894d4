"""Descriptions of charts by GPT: estimate the cost, ask, collect, and count what came of it."""

import contextlib
import itertools
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ConfigDict, Field

from vision_ai.errors import InputError
from vision_ai.feedback.review import Rate
from vision_ai.feedback_loop_cv import wilson
from vision_ai.labels.gpt import batch, prompt
from vision_ai.labels.gpt.batch import BatchPlan, BatchQueue
from vision_ai.labels.gpt.client import GptClient
from vision_ai.labels.gpt.ledger import Ledger, agreement_by_label, answered_charts, total_spending
from vision_ai.labels.gpt.replies import Attempt, Language, ReplyKind
from vision_ai.labels.gpt.run import DescriptionOptions, DescriptionRun, SpendingLimit
from vision_ai.pipeline.labelling import select
from vision_ai.pipeline.labelling.select import ChartSelection, SelectedCharts
from vision_ai.pipeline.workspace import Result, Workspace, progress
from vision_ai.records import BadLine, Record


@dataclass(frozen=True)
class DescribeOptions:
    """How charts are to be described.

    Attributes:
        language: of the descriptions; None takes the configured one.
        limit: at most so many charts.
        max_cost: US dollars that may be spent.
        again: ask again about charts that were refused or contradicted.
        wait: stay until batches are done.
    """

    language: Language | None = None
    limit: int | None = None
    max_cost: float | None = None
    again: bool = False
    wait: bool = True


class LedgerTotals(Record):
    """The whole ledger in numbers; cost in US dollars."""

    model_config = ConfigDict(from_attributes=True)

    requests: int
    charts: int
    kinds: dict[str, int] = Field(description="requests by how they ended")
    input_tokens: int
    output_tokens: int
    cost: float
    unknown: int = Field(description="requests whose cost is not known")
    cost_per_1000_charts: float | None = Field(validation_alias="per_thousand")


class AgreementRow(Rate):
    """How often GPT's own reading is the rule book's, for one label."""

    facet: str
    value: str


class LedgerResult(Result):
    """What has been described so far, and how GPT's readings agree with the rule book's."""

    ledger: LedgerTotals
    agreement: list[AgreementRow]
    damaged_lines: list[BadLine]


class DescribeEstimateResult(Result):
    """What describing charts would take; nothing was sent."""

    charts: int
    model: str
    language: Language
    prompt: str
    input_tokens: int
    output_tokens: int
    cost: float = Field(description="US dollars, as expected")
    cost_at_worst: float


class DescribeResult(LedgerResult):
    """What describing charts one by one came to."""

    asked_for: int
    described: int
    requests: int
    cost: float = Field(description="US dollars of this run")
    stopped: str | None = Field(description="why it ended early; null: it did not")


class DescribeBatchResult(LedgerResult):
    """What was handed to the Batch API and what came back."""

    submitted: int
    collected: int
    waiting: dict[str, int] = Field(description="charts of each batch that is under way")


def language(text: str | None) -> Language | None:
    """Read the name of a language.

    Raises:
        InputError: it is none of those that descriptions are written in.
    """
    if text is None:
        return None
    try:
        return Language(text.strip().lower())
    except ValueError as error:
        raise InputError(
            f"Language {text[:20]!r} is not known: expected one of {', '.join(Language)}."
        ) from error


def estimate(
    workspace: Workspace, selection: ChartSelection, options: DescribeOptions, *, in_batch: bool
) -> DescribeEstimateResult:
    """Count charts, tokens and money; nothing is sent and no key is needed.

    Raises:
        InputError: no candles or pictures there, or no such chart.
    """
    order, ledger = _order(workspace, options), Ledger(workspace.paths.descriptions)
    charts = _undescribed(workspace, selection, options, order, ledger)
    parts = [order.estimate(task, batch=in_batch) for task in charts.tasks]
    inputs, outputs, cost = (sum(part[i] for part in parts) for i in range(3))
    worst = sum(order.worst_cost(task, batch=in_batch) for task in charts.tasks)
    return DescribeEstimateResult(
        charts=len(charts.tasks),
        model=order.config.model,
        language=order.language,
        prompt=prompt.PROMPT_VERSION,
        input_tokens=inputs,
        output_tokens=outputs,
        cost=round(cost, 6),
        cost_at_worst=round(worst, 6),
        missing=charts.missing,
    )


def describe(
    workspace: Workspace,
    selection: ChartSelection,
    options: DescribeOptions,
    *,
    environ: Mapping[str, str] = os.environ,
) -> DescribeResult:
    """Describe every chart that has no description yet; a second run asks for nothing twice.

    Raises:
        ConfigError: no key, a refused one, an unknown model or no quota; what was done is kept.
        InputError: no candles or pictures there.
        StateError: another process is at it.
    """
    with _open_run(workspace, options, environ) as (order, ledger, client):
        charts = _undescribed(workspace, selection, options, order, ledger)
        tasks = charts.tasks
        run = DescriptionRun(order, ledger, client, max_cost=options.max_cost)
        outcome = run.describe(progress(tasks, total=len(tasks), what="Describing charts"))
    described = sum(attempt.kind is ReplyKind.DESCRIBED for attempt in outcome.attempts)
    return DescribeResult(
        asked_for=len(tasks),
        described=described,
        requests=outcome.requests,
        cost=round(outcome.cost, 9),
        stopped=outcome.stop_reason or None,
        **_ledger_fields(ledger),
        missing={**charts.missing, **outcome.undescribed},
    )


def describe_in_batches(
    workspace: Workspace,
    selection: ChartSelection,
    options: DescribeOptions,
    *,
    environ: Mapping[str, str] = os.environ,
) -> DescribeBatchResult:
    """Submit what is missing to the Batch API and collect what is done, old batches first.

    Raises:
        ConfigError: no key, a refused one, an unknown model or no quota; nothing is lost.
        TransientError: the API cannot be asked; run it again.
    """
    with _open_run(workspace, options, environ) as (order, ledger, client):
        work = BatchQueue(order, ledger, client)
        plans = batch.open_plans(ledger)
        charts = _undescribed(workspace, selection, options, order, ledger)
        budget = SpendingLimit(options.max_cost)
        tasks = list(
            itertools.takewhile(
                lambda task: budget.reserve(order.worst_cost(task, batch=True)) is not None,
                charts.tasks,
            )
        )
        watched_tasks = progress(tasks, total=len(tasks), what="Drawing charts")
        plans = [work.submit(plan) for plan in (*plans, *work.plan(watched_tasks))]
        waiting, attempts = _collect(work, plans, poll_s=order.config.poll_s, wait=options.wait)
    not_described = {
        _name(a): f"{a.kind}: {a.note}" for a in attempts if a.kind is not ReplyKind.DESCRIBED
    }
    beyond_budget = {
        task.name: "the limit of cost is reached" for task in charts.tasks[len(tasks) :]
    }
    return DescribeBatchResult(
        submitted=len(tasks),
        collected=len(attempts),
        waiting={str(plan.batch_id): len(plan.subjects) for plan in waiting},
        **_ledger_fields(ledger),
        missing={**charts.missing, **not_described, **beyond_budget},
    )


def report(workspace: Workspace) -> LedgerResult:
    """What the ledger holds: requests, tokens, money, and how GPT's readings agree with ours."""
    return LedgerResult(**_ledger_fields(Ledger(workspace.paths.descriptions)))


@contextlib.contextmanager
def _open_run(
    workspace: Workspace, options: DescribeOptions, environ: Mapping[str, str]
) -> Iterator[tuple[DescriptionOptions, Ledger, GptClient]]:
    """What is asked for, the ledger that no other process writes meanwhile, and the API."""
    order, ledger = _order(workspace, options), Ledger(workspace.paths.descriptions)
    with ledger.locked(), GptClient(order.config, environ=environ) as client:
        yield order, ledger, client


def _order(workspace: Workspace, options: DescribeOptions) -> DescriptionOptions:
    config = workspace.config.gpt
    return DescriptionOptions(options.language or Language(config.language), config)


def _undescribed(
    workspace: Workspace,
    selection: ChartSelection,
    options: DescribeOptions,
    order: DescriptionOptions,
    ledger: Ledger,
) -> SelectedCharts:
    """Charts that nobody has been paid to describe, and that are in no batch under way."""
    final = answered_charts(ledger.read()[0], again=options.again)
    known = {digest for digest, language in final if language is order.language}
    for plan in batch.open_plans(ledger):
        if plan.language is order.language:
            known |= {subject.digest for subject in plan.subjects}
    return select.find(workspace, selection, known=known, limit=options.limit)


def _collect(
    work: BatchQueue, plans: Sequence[BatchPlan], *, poll_s: float, wait: bool
) -> tuple[list[BatchPlan], list[Attempt]]:
    collected: list[Attempt] = []
    while True:
        polled = [work.collect(plan) for plan in plans]
        collected += [attempt for _, attempts in polled for attempt in attempts]
        plans = [plan for plan, _ in polled if plan.is_open]
        if not plans or not wait:
            return list(plans), collected
        time.sleep(poll_s)


def _ledger_fields(ledger: Ledger) -> dict[str, Any]:
    """The fields of `LedgerResult` for what the ledger holds now."""
    attempts, bad = ledger.read()
    return {
        "ledger": LedgerTotals.model_validate(total_spending(attempts)),
        "agreement": [
            AgreementRow(
                facet=share.facet, value=share.value, **wilson(share.agree, share.n).model_dump()
            )
            for share in agreement_by_label(attempts)
        ],
        "damaged_lines": bad,
    }


def _name(attempt: Attempt) -> str:
    subject = attempt.subject
    return f"{subject.symbol} {subject.interval} {subject.as_of}"
