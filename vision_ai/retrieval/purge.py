"""The no-leak law: which charts may speak about which query.

Every chart occupies a *span* of time: from its first candle to the moment its last outcome is
known. Two charts overlap where their spans share time. Spans are half-open, so a chart that
begins the instant another one is settled shares no candle with it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from vision_ai.domain import HORIZONS, WINDOW, Bools, Embeddings, Interval, Ints
from vision_ai.errors import KlinesError

LONGEST_MS = max(horizon.ms for horizon in HORIZONS)
"""After this long every outcome of a chart is known."""

_NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True, eq=False)
class Spans:
    """The time that n charts occupy.

    Attributes:
        symbol: str (n,).
        interval: str (n,), values of `Interval`.
        first_ms: int64 (n,), open of the first candle.
        as_of_ms: int64 (n,), close of the last candle: when the chart could be seen.
        known_ms: int64 (n,), when the last of its outcomes was known.

    Raises:
        KlinesError: the columns differ in length or their times run backwards.
    """

    symbol: NDArray[np.str_]
    interval: NDArray[np.str_]
    first_ms: NDArray[np.int64]
    as_of_ms: NDArray[np.int64]
    known_ms: NDArray[np.int64]

    def __post_init__(self) -> None:
        columns = (self.symbol, self.interval, self.first_ms, self.as_of_ms, self.known_ms)
        if len({column.shape for column in columns}) != 1 or self.symbol.ndim != 1:
            shapes = [column.shape for column in columns]
            raise KlinesError(f"Spans: expected five columns of one length, was {shapes}.")
        backwards = (self.first_ms >= self.as_of_ms) | (self.as_of_ms > self.known_ms)
        if backwards.any():
            row = int(np.flatnonzero(backwards)[0])
            raise KlinesError(f"Span {row} of {self.symbol[row]} ends before it begins.")

    def __len__(self) -> int:
        return len(self.symbol)

    def take(self, rows: Ints | Bools | slice) -> Self:
        """Only the given rows (indices, mask or slice)."""
        return type(self)(
            self.symbol[rows],
            self.interval[rows],
            self.first_ms[rows],
            self.as_of_ms[rows],
            self.known_ms[rows],
        )

    @classmethod
    def at(cls, symbols: Sequence[str], intervals: Sequence[str], as_of_ms: Sequence[int]) -> Self:
        """The spans of charts whose last candle closed at `as_of_ms`; an unknown symbol is "".

        >>> Spans.at(["BTCUSDT"], ["1h"], [1_750_000_000_000]).first_ms.tolist()
        [1749654400000]
        """
        as_of = np.asarray(as_of_ms, np.int64)
        length = np.array([WINDOW * Interval(i).ms for i in intervals], np.int64)
        return cls(
            np.asarray(symbols, np.str_),
            np.array([str(i) for i in intervals], np.str_),
            as_of - length,
            as_of,
            as_of + LONGEST_MS,
        )

    @classmethod
    def of(cls, rows: Embeddings) -> Self:
        """The spans of embedded charts, up to the last of their own outcomes."""
        close_ms = rows.close_ms
        known_ms = rows.outcomes.complete_ms.max(axis=1, initial=0)
        known_ms = np.maximum(known_ms, close_ms)
        return cls(rows.symbol, rows.interval, rows.first_ms, close_ms, known_ms)


class Purge(Protocol):
    """Which rows may speak about which queries."""

    def admits(self, rows: Spans, queries: Spans) -> Bools:
        """True (q, n) where the row may speak about the query."""

    def admits_all(self, rows: Spans, queries: Spans) -> bool:
        """True if every row certainly may speak about every query, told without comparing each."""

    def hears(self, rows: Spans, said_ms: NDArray[np.int64], queries: Spans) -> Bools:
        """True (q, n) where what a person said of the row's label may speak about the query."""


@dataclass(frozen=True)
class Live:
    """The law of a running desk: nothing counts that was not known at the query's as-of time.

    A row speaks only if *all* its outcomes were complete by then, and never if it shares time
    with the query's own window on the same symbol: a chart is no witness of itself.

    A person's word is no outcome. It may be about the chart's own market an hour ago, or about
    the chart itself; but not about a chart that closed later, and it must have been given before
    the prediction is made.

    Attributes:
        replayed: predictions count as made at their as-of times, as a rehearsal of the past
            needs it; else they are made now, after every word that is known.
    """

    replayed: bool = False

    def admits(self, rows: Spans, queries: Spans) -> Bools:
        """True (q, n) where the row may speak about the query."""
        known = rows.known_ms <= queries.as_of_ms[:, None]
        shares = rows.known_ms > queries.first_ms[:, None]
        query, row = np.nonzero(known & shares)  # few, so the slow text comparison is short
        itself = rows.symbol[row] == queries.symbol[query]
        known[query[itself], row[itself]] = False
        return known

    def admits_all(self, rows: Spans, queries: Spans) -> bool:
        """True if every outcome was known before the earliest query's first candle."""
        return bool(rows.known_ms.max(initial=0) <= queries.first_ms.min(initial=_NEVER))

    def hears(self, rows: Spans, said_ms: NDArray[np.int64], queries: Spans) -> Bools:
        """True (q, n) where what a person said of the row's label may speak about the query."""
        since = np.maximum(rows.as_of_ms, said_ms) if self.replayed else rows.as_of_ms
        return np.asarray(since <= queries.as_of_ms[:, None], np.bool_)


@dataclass(frozen=True)
class Evaluation:
    """The law of the report card: markets move together, so time is shared by *all* symbols.

    A row never speaks if its span touches the time from the query's first candle to its last
    outcome, widened on both sides by the embargo.
    """

    embargo_ms: int

    def admits(self, rows: Spans, queries: Spans) -> Bools:
        """True (q, n) where the row may speak about the query."""
        before = rows.known_ms <= (queries.first_ms - self.embargo_ms)[:, None]
        after = rows.first_ms >= (queries.known_ms + self.embargo_ms)[:, None]
        return np.asarray(before | after, np.bool_)

    def admits_all(self, rows: Spans, queries: Spans) -> bool:
        """True if every row was settled an embargo before the earliest query's first candle."""
        earliest = queries.first_ms.min(initial=_NEVER) - self.embargo_ms
        return bool(rows.known_ms.max(initial=0) <= earliest)

    def hears(self, rows: Spans, said_ms: NDArray[np.int64], queries: Spans) -> Bools:
        """True (q, n) where the row itself may speak, whenever the word was given."""
        return self.admits(rows, queries)
