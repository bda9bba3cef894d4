"""One pass of feedback: list pending outcomes, fetch candles once per span, write the lines."""

import itertools
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from vision_ai.config import FeedbackConfig, Paths
from vision_ai.domain import Interval, Klines, parse_time
from vision_ai.errors import InputError, TransientError
from vision_ai.feedback import journal
from vision_ai.feedback.outcome import expire, resolve_outcome
from vision_ai.feedback.pending import CandleSpan, FetchBatch, PendingOutcome, WaitingOutcome, plan
from vision_ai.records import BadLine, Feedback

logger = logging.getLogger(__name__)

Source = Callable[[CandleSpan], Klines]
"""Fetches the candles of a span; may return fewer or more. Raises errors of `vision_ai.errors`."""


@dataclass
class FeedbackPass:
    """What one pass did.

    Attributes:
        written: lines that this pass added, in the order of writing.
        waiting: horizons that stay pending, and why.
        bad: lines of the logs that are not counted, and why.
        damaged: names of prediction files that cannot be read, and why.
        fetches: how often candles were asked for.
    """

    written: list[Feedback] = field(default_factory=list)
    waiting: list[WaitingOutcome] = field(default_factory=list)
    bad: list[BadLine] = field(default_factory=list)
    damaged: dict[str, str] = field(default_factory=dict)
    fetches: int = 0


def run(paths: Paths, source: Source, config: FeedbackConfig, now_ms: int) -> FeedbackPass:
    """Resolve every horizon that is complete at `now_ms` and write a line for each.

    Running it again adds nothing; two processes may run it at once; a killed one is finished by
    the next. The outcomes of an exchange that is down stay pending without end; those of a symbol
    that it no longer lists expire after `config.give_up_h`.

    Raises:
        StorageError: a line could not be written; the earlier ones are kept.
    """
    opened = journal.open_journal(paths, now_ms)
    done = FeedbackPass(bad=opened.bad, damaged=opened.damaged)
    for results in resolve_pending(opened.pending, source, config, now_ms, done):
        _write(paths, results, done)
    logger.info(
        "feedback written=%d waiting=%d bad_lines=%d damaged=%d fetches=%d",
        len(done.written),
        len(done.waiting),
        len(done.bad),
        len(done.damaged),
        done.fetches,
    )
    return done


def resolve_pending(
    outcomes: Iterable[PendingOutcome],
    source: Source,
    config: FeedbackConfig,
    now_ms: int,
    done: FeedbackPass,
) -> Iterator[list[Feedback | WaitingOutcome]]:
    """Resolve pending outcomes, prediction by prediction; nothing is written.

    Args:
        outcomes: those that have no line yet.
        source: fetches candles, once a span.
        config: what counts as success, and when outcomes expire.
        now_ms: the clock.
        done: counts the fetches.
    """
    resolver = _Resolver(source, config, now_ms, done)
    for batch in plan(outcomes, config):
        for _, results in itertools.groupby(resolver.results(batch), lambda result: result.as_of):
            yield list(results)


def _write(paths: Paths, results: list[Feedback | WaitingOutcome], done: FeedbackPass) -> None:
    """Write the lines of one prediction in one go."""
    done.waiting += [result for result in results if isinstance(result, WaitingOutcome)]
    lines = [result for result in results if isinstance(result, Feedback)]
    if lines:
        done.written += journal.append(paths, lines)


@dataclass
class _Resolver:
    source: Source
    config: FeedbackConfig
    now_ms: int
    done: FeedbackPass

    def results(self, batch: FetchBatch) -> Iterator[Feedback | WaitingOutcome]:
        """Resolve everything that waits for one span of candles."""
        try:
            klines = self._fetch(batch.span)
        except TransientError as error:
            yield from (outcome.wait(error.message) for outcome in batch.outcomes)
            return
        except InputError as error:
            for outcome in batch.outcomes:
                yield expire(outcome, error.message, self.config, self.now_ms)
            return
        # Minutes inside a candle that touched target and stop, by its time; fetched once each.
        minutes: dict[str, Klines | str] = {}
        for outcome in batch.outcomes:
            result = self._resolve(outcome, klines, None)
            if isinstance(result, Feedback) and result.first == "ambiguous" and result.first_at:
                fine = minutes.get(result.first_at)
                if fine is None:
                    fine = minutes[result.first_at] = self._minutes(batch.span, result.first_at)
                result = (
                    outcome.wait(fine)
                    if isinstance(fine, str)
                    else self._resolve(outcome, klines, fine)
                )
            yield result

    def _minutes(self, span: CandleSpan, first_at: str) -> Klines | str:
        """The minutes inside one candle, perhaps none; or why they have to be asked for again."""
        first_ms = parse_time(first_at)
        end_ms = first_ms + span.interval.ms
        minutes = CandleSpan(span.venue, span.symbol, Interval.M1, first_ms, end_ms)
        try:
            return self._fetch(minutes)
        except TransientError as error:
            return error.message
        except InputError:
            return Klines.empty(span.symbol, Interval.M1)

    def _fetch(self, span: CandleSpan) -> Klines:
        self.done.fetches += 1
        return self.source(span)

    def _resolve(
        self, outcome: PendingOutcome, klines: Klines, fine: Klines | None
    ) -> Feedback | WaitingOutcome:
        return resolve_outcome(outcome, klines, fine, self.config, self.now_ms)
