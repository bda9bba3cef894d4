"""Charts to words: count, ask, collect, and say what came of it."""

import contextlib
import dataclasses
import itertools
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vision_ai.errors import InputError
from vision_ai.feedback_loop_cv import wilson
from vision_ai.labels.gpt import agreement, batch, prompt
from vision_ai.labels.gpt.batch import Batches, Plan
from vision_ai.labels.gpt.client import Client
from vision_ai.labels.gpt.ledger import Ledger, settled
from vision_ai.labels.gpt.limits import Budget
from vision_ai.labels.gpt.replies import Attempt, Kind, Language
from vision_ai.labels.gpt.work import Order, Run
from vision_ai.pipeline.labelling import select
from vision_ai.pipeline.labelling.select import Found, Wanted
from vision_ai.pipeline.workspace import Report, Workspace, progress


@dataclass(frozen=True)
class Terms:
    """How charts are to be described.

    Attributes:
        language: of the words; None takes the configured one.
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


def estimate(workspace: Workspace, wanted: Wanted, terms: Terms, *, in_batch: bool) -> Report:
    """Count charts, tokens and money; nothing is sent and no key is needed.

    Raises:
        InputError: no candles or pictures there, or no such chart.
    """
    order, ledger = _order(workspace, terms), Ledger(workspace.paths.descriptions)
    found = _undescribed(workspace, wanted, terms, order, ledger)
    parts = [order.estimate(task, batch=in_batch) for task in found.tasks]
    inputs, outputs, cost = (sum(part[i] for part in parts) for i in range(3))
    worst = sum(order.worst(task, batch=in_batch) for task in found.tasks)
    content = {
        "charts": len(found.tasks),
        "model": order.config.model,
        "language": order.language.value,
        "prompt": prompt.PROMPT_VERSION,
        "input_tokens": inputs,
        "output_tokens": outputs,
        "cost": round(cost, 6),
        "cost_at_worst": round(worst, 6),
    }
    line = (
        f"{len(found.tasks)} charts without a description in {order.language}: about {inputs} "
        f"tokens in, {outputs} out, {cost:.4f} US dollars with {order.config.model}"
        f" (at worst {worst:.4f}). Nothing was sent."
    )
    return Report(content, [line], found.missing)


def describe(
    workspace: Workspace,
    wanted: Wanted,
    terms: Terms,
    *,
    environ: Mapping[str, str] = os.environ,
) -> Report:
    """Describe every chart that has no description yet; a second run asks for nothing twice.

    Raises:
        ConfigError: no key, a refused one, an unknown model or no quota; what was done is kept.
        InputError: no candles or pictures there.
        StateError: another process is at it.
    """
    with _asking(workspace, terms, environ) as (order, ledger, client):
        found = _undescribed(workspace, wanted, terms, order, ledger)
        tasks = found.tasks
        run = Run(order, ledger, client, max_cost=terms.max_cost)
        done = run.over(progress(tasks, total=len(tasks), what="Describing charts"))
    described = sum(attempt.kind is Kind.DESCRIBED for attempt in done.attempts)
    content = {
        "asked_for": len(tasks),
        "described": described,
        "requests": done.requests,
        "cost": round(done.cost, 9),
        "stopped": done.stopped or None,
    }
    lines = [
        f"{described} of {len(tasks)} charts described with {done.requests} requests for "
        f"{done.cost:.4f} US dollars."
    ]
    if done.stopped:
        lines.append(f"Ended early: {done.stopped}.")
    return _then_standing(ledger, Report(content, lines, {**found.missing, **done.left}))


def describe_in_batches(
    workspace: Workspace,
    wanted: Wanted,
    terms: Terms,
    *,
    environ: Mapping[str, str] = os.environ,
) -> Report:
    """Submit what is missing to the Batch API and collect what is done, old batches first.

    Raises:
        ConfigError: no key, a refused one, an unknown model or no quota; nothing is lost.
        TransientError: the API cannot be asked; run it again.
    """
    with _asking(workspace, terms, environ) as (order, ledger, client):
        work = Batches(order, ledger, client)
        plans = batch.open_plans(ledger)
        found = _undescribed(workspace, wanted, terms, order, ledger)
        budget = Budget(terms.max_cost)
        tasks = list(
            itertools.takewhile(
                lambda task: budget.reserve(order.worst(task, batch=True)) is not None, found.tasks
            )
        )
        shown = progress(tasks, total=len(tasks), what="Drawing charts")
        plans = [work.submit(plan) for plan in (*plans, *work.plan(shown))]
        waiting, kept = _collected(work, plans, poll_s=order.config.poll_s, wait=terms.wait)
    left = {_name(a): f"{a.kind}: {a.note}" for a in kept if a.kind is not Kind.DESCRIBED}
    over = {task.name: "the limit of cost is reached" for task in found.tasks[len(tasks) :]}
    asked = sum(len(plan.subjects) for plan in waiting)
    content = {
        "submitted": len(tasks),
        "collected": len(kept),
        "waiting": {str(plan.batch_id): len(plan.subjects) for plan in waiting},
    }
    lines = [
        f"{len(tasks)} charts submitted, {len(kept)} answers collected, {asked} under way."
        f"{' Run the same command again to collect them.' if waiting else ''}"
    ]
    return _then_standing(ledger, Report(content, lines, {**found.missing, **left, **over}))


def report(workspace: Workspace) -> Report:
    """What the ledger holds: requests, tokens, money, and how GPT's readings agree with ours."""
    return _standing(Ledger(workspace.paths.descriptions))


@contextlib.contextmanager
def _asking(
    workspace: Workspace, terms: Terms, environ: Mapping[str, str]
) -> Iterator[tuple[Order, Ledger, Client]]:
    """What is asked for, the ledger that no other process writes meanwhile, and the API."""
    order, ledger = _order(workspace, terms), Ledger(workspace.paths.descriptions)
    with ledger.locked(), Client(order.config, environ=environ) as client:
        yield order, ledger, client


def _then_standing(ledger: Ledger, done: Report) -> Report:
    """What a run did, followed by what the ledger holds now."""
    standing = _standing(ledger)
    return Report(
        {**done.content, **standing.content}, [*done.lines, "", *standing.lines], done.missing
    )


def _order(workspace: Workspace, terms: Terms) -> Order:
    config = workspace.config.gpt
    return Order(terms.language or Language(config.language), config)


def _undescribed(
    workspace: Workspace, wanted: Wanted, terms: Terms, order: Order, ledger: Ledger
) -> Found:
    """Charts that nobody has been paid to describe, and that are in no batch under way."""
    final = settled(ledger.read()[0], again=terms.again)
    known = {digest for digest, language in final if language is order.language}
    for plan in batch.open_plans(ledger):
        if plan.language is order.language:
            known |= {subject.digest for subject in plan.subjects}
    return select.find(workspace, wanted, known=known, limit=terms.limit)


def _collected(
    work: Batches, plans: Sequence[Plan], *, poll_s: float, wait: bool
) -> tuple[list[Plan], list[Attempt]]:
    kept: list[Attempt] = []
    while True:
        looked = [work.collect(plan) for plan in plans]
        kept += [attempt for _, attempts in looked for attempt in attempts]
        plans = [plan for plan, _ in looked if plan.is_open]
        if not plans or not wait:
            return list(plans), kept
        time.sleep(poll_s)


def _standing(ledger: Ledger) -> Report:
    attempts, bad = ledger.read()
    totals, shares = agreement.totals(attempts), agreement.shares(attempts)
    rates = [(share, wilson(share.agree, share.n)) for share in shares]
    rows: list[dict[str, Any]] = [
        {"facet": share.facet, "value": share.value, **rate.model_dump(mode="json")}
        for share, rate in rates
    ]
    content = {
        "ledger": {**dataclasses.asdict(totals), "cost_per_1000_charts": totals.per_thousand},
        "agreement": rows,
        "damaged_lines": [line.model_dump() for line in bad],
    }
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(totals.kinds.items()))
    per = "" if totals.per_thousand is None else f", {totals.per_thousand:.2f} a 1000 charts"
    lines = [
        f"Ledger: {totals.requests} requests about {totals.charts} charts ({kinds or 'none'}); "
        f"{totals.input_tokens} tokens in, {totals.output_tokens} out; "
        f"{totals.cost:.4f} US dollars{per}.",
        *(f"Damaged: {line.path} line {line.number}: {line.reason}" for line in bad),
    ]
    if rows:
        lines += [
            "",
            "GPT's own reading against the rule book's (it was told the facts, so this flatters):",
            f"{'':<10}{'label':<26}{'charts':>7}{'agree':>8}   95 % interval",
            *(
                f"{s.facet:<10}{s.value:<26}{s.n:>7}{r.rate or 0:>8.0%}   "
                f"{r.low or 0:.0%} to {r.high or 0:.0%}"
                for s, r in rates
            ),
        ]
    return Report(content, lines)


def _name(attempt: Attempt) -> str:
    subject = attempt.subject
    return f"{subject.symbol} {subject.interval} {subject.as_of}"
