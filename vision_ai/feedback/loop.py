"""One round of feedback: read what is owed, fetch candles once per span, write the lines."""

import itertools
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from vision_ai.config import FeedbackConfig, Paths
from vision_ai.domain import Interval, Klines, parse_time
from vision_ai.errors import InputError, TransientError
from vision_ai.feedback import journal
from vision_ai.feedback.outcome import expire, resolve_due
from vision_ai.feedback.pending import CandleSpan, FetchBatch, PendingOutcome, WaitingOutcome, plan
from vision_ai.records import BadLine, Feedback

logger = logging.getLogger(__name__)

Source = Callable[[CandleSpan], Klines]
"""Fetches the candles of a span; may return fewer or more. Raises errors of `vision_ai.errors`."""


@dataclass
class FeedbackPass:
    """What one round did.

    Attributes:
        written: lines that this round added, in the order of writing.
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
    the next. An exchange that is down leaves its horizons pending without end, a symbol that it
    no longer lists is given up after `config.give_up_h`.

    Raises:
        StorageError: a line could not be written; the earlier ones stand.
    """
    book = journal.open_journal(paths, now_ms)
    done = FeedbackPass(bad=book.bad, damaged=book.damaged)
    for results in resolve_pending(book.due, source, config, now_ms, done):
        _keep(paths, results, done)
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
    dues: Iterable[PendingOutcome],
    source: Source,
    config: FeedbackConfig,
    now_ms: int,
    done: FeedbackPass,
) -> Iterator[list[Feedback | WaitingOutcome]]:
    """What becomes of horizons that are over, prediction by prediction; nothing is written.

    Args:
        dues: what is owed a line.
        source: fetches candles, once a span.
        config: what counts as success, and when to give up.
        now_ms: the clock.
        done: counts the fetches.
    """
    runner = _Runner(source, config, now_ms, done)
    for errand in plan(dues, config):
        for _, results in itertools.groupby(runner.results(errand), lambda result: result.as_of):
            yield list(results)


def _keep(paths: Paths, results: list[Feedback | WaitingOutcome], done: FeedbackPass) -> None:
    """Write the lines of one prediction in one go."""
    done.waiting += [result for result in results if isinstance(result, WaitingOutcome)]
    lines = [result for result in results if isinstance(result, Feedback)]
    if lines:
        done.written += journal.append(paths, lines)


@dataclass
class _Runner:
    source: Source
    config: FeedbackConfig
    now_ms: int
    done: FeedbackPass

    def results(self, errand: FetchBatch) -> Iterator[Feedback | WaitingOutcome]:
        """What becomes of everything that waits for one span."""
        try:
            klines = self._fetch(errand.span)
        except TransientError as error:
            yield from (due.wait(error.message) for due in errand.dues)
            return
        except InputError as error:
            for due in errand.dues:
                yield expire(due, error.message, self.config, self.now_ms)
            return
        inside: dict[str, Klines | str] = {}
        for due in errand.dues:
            result = self._resolve(due, klines, None)
            if isinstance(result, Feedback) and result.first == "ambiguous" and result.first_at:
                fine = inside.get(result.first_at)
                if fine is None:
                    fine = inside[result.first_at] = self._minutes(errand.span, result.first_at)
                result = (
                    due.wait(fine) if isinstance(fine, str) else self._resolve(due, klines, fine)
                )
            yield result

    def _minutes(self, span: CandleSpan, first_at: str) -> Klines | str:
        """The minutes inside one candle; none where there are none, a text where to ask later."""
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
        self, due: PendingOutcome, klines: Klines, fine: Klines | None
    ) -> Feedback | WaitingOutcome:
        return resolve_due(due, klines, fine, self.config, self.now_ms)
