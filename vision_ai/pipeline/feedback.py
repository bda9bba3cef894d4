"""Predictions and later candles to logs, a review of them, and what they would change."""

import collections
import os
from collections.abc import Sequence
from pathlib import Path

from vision_ai import feedback_loop_cv
from vision_ai.domain import Klines, iso, parse_interval, parse_symbol, parse_time
from vision_ai.errors import ExchangeUnavailableError, InputError
from vision_ai.feedback.review import Rate
from vision_ai.feedback_loop_cv import CandleSpan, Filters, Review
from vision_ai.market.bybit import Bybit
from vision_ai.market.store import Store
from vision_ai.pipeline.workspace import Report, Workspace
from vision_ai.records import BadLine


def run(workspace: Workspace) -> Report:
    """Resolve every horizon that is over and write a line for each; again adds nothing.

    Raises:
        TransientError: the exchange cannot be asked at all.
        StorageError: a line could not be written; the earlier ones stand.
    """
    with Bybit(workspace.config.market) as exchange:
        now_ms = exchange.server_time()
        store = Store(workspace.paths, exchange.venue())

        def candles(span: CandleSpan) -> Klines:
            if span.venue != store.venue:
                raise ExchangeUnavailableError(
                    f"{span.symbol} was predicted from {span.venue}: this exchange is "
                    f"{store.venue}.",
                    hint="Set VISION_AI_BYBIT_URL to where it was predicted from.",
                )
            return store.sync(exchange, span.symbol, span.interval, span.first_ms, span.end_ms)

        done = feedback_loop_cv.run(workspace.paths, candles, workspace.config.feedback, now_ms)
    waiting = collections.Counter(waiting.reason for waiting in done.waiting)
    damaged = [*done.damaged.values(), *map(str, done.bad)]
    content = {
        "now": iso(now_ms),
        "written": [line.model_dump(mode="json") for line in done.written],
        "waiting": dict(waiting),
        "not_counted": damaged,
        "fetches": done.fetches,
    }
    lines = [f"{len(done.written)} outcomes written, {len(done.waiting)} waiting."]
    lines += [f"  waiting: {count} because {reason}" for reason, count in waiting.most_common(5)]
    lines += [f"  not counted: {what}" for what in damaged]
    lines += _cure(done.bad)
    return Report(content, lines, done.damaged)


def review(
    workspace: Workspace,
    *,
    symbols: Sequence[str] = (),
    since: str | None = None,
    until: str | None = None,
    interval: str | None = None,
    report: Path | None = None,
) -> Report:
    """What the logs say so far; with `report`, also as Markdown with plots in that folder.

    Raises:
        InputError: a symbol, a time or an interval is not valid.
        StorageError: the report could not be written.
    """
    filters = Filters(
        symbols=tuple(parse_symbol(symbol) for symbol in symbols),
        since=None if since is None else iso(parse_time(since)),
        until=None if until is None else iso(parse_time(until)),
        interval=None if interval is None else parse_interval(interval),
    )
    if filters.since and filters.until and filters.since >= filters.until:
        raise InputError(
            f"--from {filters.since} is not before --to {filters.until}.",
            hint="Name an earlier --from, or a later --to.",
        )
    lines, bad = feedback_loop_cv.read_logs(workspace.paths)
    found = feedback_loop_cv.review(lines, filters, bad=bad)
    said = _said(found)
    if report is not None:
        root = os.path.relpath(workspace.paths.root, report)
        said.append(f"Report {feedback_loop_cv.write(report, found, data_root=root)}")
    return Report({"review": found.model_dump(mode="json")}, said)


ENOUGH = 5
"""Calls that a group needs to get a line of its own in a terminal."""


def _said(found: Review) -> list[str]:
    if not found.lines and found.filters == Filters():
        return ["No outcomes yet: run vision-ai feedback run once a prediction is 2 h old."]
    if not found.lines:
        return ["No outcome is of these symbols, times and interval: leave out what you can."]
    lines = [
        f"{found.predictions} predictions, {found.lines} outcomes.",
        "A hit: the target came before the stop within the horizon, in the setup's direction.",
    ]
    few = [cut for cut in found.cuts if 0 < cut.hits.n < ENOUGH]
    for cut in found.cuts:
        if cut.hits.n >= ENOUGH:
            name = f"{cut.horizon:<4}{cut.facet:<16}{cut.value:<26}"
            lines.append(f"  {name}{_rate(cut.hits)}, over {cut.days} days")
    if few:
        lines.append(f"  {len(few)} groups of fewer than {ENOUGH} calls are left to --json.")
    for coverage in found.coverage:
        if coverage.day == "all" and coverage.covered.n:
            name = f"{coverage.horizon:<4}{'band coverage':<16}{f'of {coverage.nominal:.0%}':<26}"
            lines.append(f"  {name}{_rate(coverage.covered)}")
    lines += [f"  not counted: {bad}" for bad in found.bad]
    return lines + _cure(found.bad)


def _cure(bad: Sequence[BadLine]) -> list[str]:
    """What a user can do about lines that are not counted; nothing has to be done."""
    if not bad:
        return []
    return [
        "  Such a line changes nothing: what it lost is worked out again while candles reach back.",
        "  Delete it from its file to hear no more of it.",
    ]


def _rate(found: Rate) -> str:
    if found.rate is None:
        return "nothing counted"
    return f"{found.rate:>6.1%} of {found.n} ({found.low:.1%} to {found.high:.1%})"
