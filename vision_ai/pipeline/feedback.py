"""Predictions and later candles to logs, a review of them, and what they would change."""

import collections
import os
from collections.abc import Sequence
from pathlib import Path

from pydantic import Field

from vision_ai import feedback_loop_cv
from vision_ai.domain import Klines, iso, parse_interval, parse_symbol, parse_time
from vision_ai.errors import ExchangeUnavailableError, InputError
from vision_ai.feedback_loop_cv import CandleSpan, Filters, Review
from vision_ai.pipeline.workspace import Result, Workspace
from vision_ai.records import Feedback, IsoTime


class FeedbackRunResult(Result):
    """What one pass of the feedback loop wrote, and what still waits."""

    now: IsoTime
    written: list[Feedback]
    waiting: dict[str, int] = Field(description="horizons that cannot be resolved yet, by reason")
    not_counted: list[str] = Field(description="damaged files and lines")
    fetches: int = Field(description="how often candles were asked for")
    bad_lines: int = Field(default=0, exclude=True, description="damaged lines among those")


class FeedbackReviewResult(Result):
    """What the logs say so far."""

    review: Review
    report: str | None = Field(default=None, exclude=True, description="Markdown page, if written")


def run(workspace: Workspace) -> FeedbackRunResult:
    """Resolve every horizon that is over and write a line for each; again adds nothing.

    Raises:
        TransientError: the exchange cannot be asked at all.
        StorageError: a line could not be written; the earlier ones are kept.
    """
    exchange = workspace.exchange
    now_ms = exchange.server_time()
    store = workspace.store

    def fetch(span: CandleSpan) -> Klines:
        if span.venue != store.venue:
            raise ExchangeUnavailableError(
                f"{span.symbol} was predicted from {span.venue}: this exchange is {store.venue}.",
                hint="Set VISION_AI_BYBIT_URL to where it was predicted from.",
            )
        return store.sync(exchange, span.symbol, span.interval, span.first_ms, span.end_ms)

    feedback_pass = feedback_loop_cv.run(workspace.paths, fetch, workspace.config.feedback, now_ms)
    waiting = collections.Counter(waiting.reason for waiting in feedback_pass.waiting)
    return FeedbackRunResult(
        now=iso(now_ms),
        written=feedback_pass.written,
        waiting=dict(waiting),
        not_counted=[*feedback_pass.damaged.values(), *map(str, feedback_pass.bad)],
        fetches=feedback_pass.fetches,
        bad_lines=len(feedback_pass.bad),
        missing=feedback_pass.damaged,
    )


def review(
    workspace: Workspace,
    *,
    symbols: Sequence[str] = (),
    since: str | None = None,
    until: str | None = None,
    interval: str | None = None,
    report: Path | None = None,
) -> FeedbackReviewResult:
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
    result = feedback_loop_cv.review(lines, filters, bad=bad)
    page = None
    if report is not None:
        root = os.path.relpath(workspace.paths.root, report)
        page = str(feedback_loop_cv.write(report, result, data_root=root))
    return FeedbackReviewResult(review=result, report=page)
