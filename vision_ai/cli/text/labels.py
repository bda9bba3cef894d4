"""Captions by GPT, the review desk and people's labels as lines for a terminal."""

from pathlib import Path

from vision_ai.labels.review import Action
from vision_ai.pipeline.labelling.describe import (
    DescribeBatchResult,
    DescribeEstimateResult,
    DescribeResult,
    LedgerResult,
)
from vision_ai.pipeline.labelling.review import (
    CaseRecord,
    LabelsExportResult,
    LabelsImportResult,
    ReviewDecisionResult,
    ReviewQueueResult,
    ReviewStatsResult,
)


def format_estimate(result: DescribeEstimateResult) -> list[str]:
    """How many charts, tokens and dollars it would take."""
    return [
        f"{result.charts} charts without a description in {result.language}: about "
        f"{result.input_tokens} tokens in, {result.output_tokens} out, {result.cost:.4f} US "
        f"dollars with {result.model} (at worst {result.cost_at_worst:.4f}). Nothing was sent."
    ]


def format_described(result: DescribeResult) -> list[str]:
    """What a run did, then what the ledger holds."""
    lines = [
        f"{result.described} of {result.asked_for} charts described with {result.requests} "
        f"requests for {result.cost:.4f} US dollars."
    ]
    if result.stopped:
        lines.append(f"Ended early: {result.stopped}.")
    return [*lines, "", *format_ledger(result)]


def format_batches(result: DescribeBatchResult) -> list[str]:
    """What was handed in and what came back, then what the ledger holds."""
    waiting = sum(result.waiting.values())
    again = " Run the same command again to collect them." if result.waiting else ""
    return [
        f"{result.submitted} charts submitted, {result.collected} answers collected, {waiting} "
        f"under way.{again}",
        "",
        *format_ledger(result),
    ]


def format_ledger(result: LedgerResult) -> list[str]:
    """Requests, tokens, money, and how GPT's readings agree with the rule book's."""
    totals = result.ledger
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(totals.kinds.items()))
    rate = totals.cost_per_1000_charts
    per_thousand = "" if rate is None else f", {rate:.2f} a 1000 charts"
    lines = [
        f"Ledger: {totals.requests} requests about {totals.charts} charts ({kinds or 'none'}); "
        f"{totals.input_tokens} tokens in, {totals.output_tokens} out; "
        f"{totals.cost:.4f} US dollars{per_thousand}.",
        *(
            f"Damaged: {line.path} line {line.number}: {line.reason}"
            for line in result.damaged_lines
        ),
    ]
    if result.agreement:
        lines += [
            "",
            "GPT's own reading against the rule book's (it was given the facts, so this flatters):",
            f"{'':<10}{'label':<26}{'charts':>7}{'agree':>8}   95 % interval",
            *(
                f"{row.facet:<10}{row.value:<26}{row.n:>7}{row.rate or 0:>8.0%}   "
                f"{row.low or 0:.0%} to {row.high or 0:.0%}"
                for row in result.agreement
            ),
        ]
    return lines


def format_queue(result: ReviewQueueResult, root: Path) -> list[str]:
    """The charts that wait; `root` is the data root that their pictures lie under."""
    lines = [f"{result.waiting} charts wait for a person."]
    if not result.waiting:
        lines.append("Charts come to the desk from vision-ai predict, scan and describe.")
    for case in result.cases:
        lines += ["", *_case(case, root)]
    return lines


def format_decided(result: ReviewDecisionResult) -> list[str]:
    """What a person said, and what became of it."""
    label = result.correction
    line = f"{label.who}: {label.action} {label.symbol} {label.interval} {label.as_of}"
    if label.action is Action.SKIP or result.index is None:
        return [line]
    return [f"{line} as {label.reading.name}, {label.phase}.", result.index]


def format_review_stats(result: ReviewStatsResult) -> list[str]:
    """How much was reviewed, by whom, and how often the rule book was right."""
    counts = ", ".join(f"{n} {action}" for action, n in sorted(result.actions.items()))
    lines = [
        f"{result.waiting} charts wait, {result.disagreements} with a disagreement; "
        f"annotations so far: {result.words} ({counts or 'none'}).",
        *(f"  {who:<24}{n}" for who, n in sorted(result.reviewers.items())),
    ]
    right = result.rule_book_right
    if right.rate is not None:
        lines.append(
            f"The rule book's label was kept in {right.rate:.0%} of {right.n} reviewed charts "
            f"({right.low:.0%} to {right.high:.0%})."
        )
    return lines


def format_export(result: LabelsExportResult) -> list[str]:
    """How many corrections went where."""
    return [f"{result.exported} corrections in {result.path}."]


def format_labels_import(result: LabelsImportResult) -> list[str]:
    """How many corrections were new, and what became of the index."""
    lines = [f"{result.added} of {result.added + result.known} corrections are new."]
    return lines + ([result.index] if result.index else [])


def _case(case: CaseRecord, root: Path) -> list[str]:
    close = "" if case.clear else " (close call)"
    lines = [
        f"{case.digest[:12]}  {case.symbol} {case.interval} {case.as_of}",
        f"  rule book  {case.reading.name}, {case.phase}{close}",
    ]
    for name, opinion in (("GPT", case.gpt), ("model", case.model)):
        if opinion is not None:
            lines.append(
                f"  {name:<9}  {opinion.reading}, {opinion.phase} ({opinion.confidence:.0%})"
            )
    if case.words:
        lines.append(f"  words      {case.words}")
    if case.chart:
        lines.append(f"  chart      {root / case.chart}")
    return lines
