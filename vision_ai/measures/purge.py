"""The no-leak law: which charts may speak about which query.

Every chart occupies a *span* of time: from its first candle to the moment its last outcome is
known. Two charts overlap where their spans share time. Spans are half-open, so a chart that
begins the instant another one is settled shares no candle with it.
"""

import hashlib
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from vision_ai.domain import HORIZONS, WINDOW, Bools, Embeddings, Interval, Ints, iso
from vision_ai.errors import KlinesError, LeakError

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


_HINT = "Give other candles, or let the split drop what was seen."


@dataclass(frozen=True)
class Extent:
    """What a fold has seen: symbols, and time from the first candle to the last known outcome."""

    name: str
    symbols: frozenset[str]
    first_ms: int
    known_ms: int

    @classmethod
    def of(cls, name: str, spans: Spans) -> Self:
        """The extent of charts.

        Raises:
            LeakError: there are none, so nothing can be promised about them.
        """
        if not len(spans):
            raise LeakError(f"The fold {name!r} holds no chart.", hint=_HINT)
        symbols = frozenset(np.unique(spans.symbol).tolist())
        return cls(name, symbols, int(spans.first_ms.min()), int(spans.known_ms.max()))

    @property
    def described(self) -> str:
        """Name and time, for people."""
        return f"{self.name}, {iso(self.first_ms)} to {iso(self.known_ms)}"


@dataclass(frozen=True)
class Rule:
    """How far apart folds must lie.

    Attributes:
        embargo_ms: time kept free between two folds.
        unseen: no symbol may be in two folds.
        later: each fold must lie after the one before, not merely beside it in time.
    """

    embargo_ms: int
    unseen: bool = True
    later: bool = True


@dataclass(frozen=True, eq=False)
class Split:
    """Rows of three folds: to learn from, to calibrate on, to measure on."""

    train: Ints
    calibrate: Ints
    test: Ints


def check(extents: Iterable[Extent], rule: Rule) -> None:
    """Refuse folds that leak. They are given from the earliest to the latest.

    Raises:
        LeakError: two folds share a symbol or time; the text names both and what they share.
    """
    for one, other in itertools.combinations(extents, 2):
        shared = sorted(one.symbols & other.symbols) if rule.unseen else []
        if shared:
            more = f" and {len(shared) - 3} more" if len(shared) > 3 else ""
            raise LeakError(
                f"The folds {one.name!r} and {other.name!r} share {', '.join(shared[:3])}{more}: "
                "expected no symbol in common.",
                hint=_HINT,
            )
        after = other.first_ms >= one.known_ms + rule.embargo_ms
        before = one.first_ms >= other.known_ms + rule.embargo_ms
        if not (after or (before and not rule.later)):
            raise LeakError(
                f"The fold {other.name!r} begins at {iso(other.first_ms)}: expected at least "
                f"{rule.embargo_ms / 3_600_000:g} h after {iso(one.known_ms)}, when the last "
                f"outcome of {one.name!r} was known.",
                hint=_HINT,
            )


def admits(seen: Extent, spans: Spans, rule: Rule) -> Bools:
    """Which charts may be measured by what has seen `seen`: bool (n,)."""
    allowed = spans.first_ms >= seen.known_ms + rule.embargo_ms
    if not rule.later:
        allowed = allowed | (spans.known_ms + rule.embargo_ms <= seen.first_ms)
    if rule.unseen:
        allowed = allowed & ~np.isin(spans.symbol, sorted(seen.symbols))
    return np.asarray(allowed, np.bool_)


def divide(
    spans: Spans,
    rule: Rule,
    *,
    shares: tuple[float, float, float] = (0.6, 0.2, 0.2),
    seed: int = 0,
) -> Split:
    """Divide charts into three folds, and prove that they do not leak.

    Symbols go by their hash, so more candles move no symbol; time is cut at the same shares.
    What lies on the wrong side of a wall, or in an embargo, is in no fold.

    Raises:
        LeakError: too few symbols or too short a time for three folds.
    """
    walls = _walls(spans, shares)
    fold = _folds_of_symbols(spans, shares, seed) if rule.unseen else None
    rows = []
    for number in range(3):
        from_ms = walls[number] + (rule.embargo_ms if number else 0)
        inside = (spans.first_ms >= from_ms) & (spans.known_ms <= walls[number + 1])
        rows.append(np.flatnonzero(inside & (fold == number) if fold is not None else inside))
    split = Split(*rows)
    names = ("train", "calibrate", "test")
    check(
        [Extent.of(name, spans.take(part)) for name, part in zip(names, rows, strict=True)],
        replace(rule, later=True),
    )
    return split


def _walls(spans: Spans, shares: tuple[float, float, float]) -> list[int]:
    start, end = int(spans.first_ms.min(initial=2**62)), int(spans.known_ms.max(initial=0))
    passed = np.cumsum([0.0, *shares]) / sum(shares)
    return [round(start + share * (end - start)) for share in passed.tolist()]


def _folds_of_symbols(spans: Spans, shares: tuple[float, float, float], seed: int) -> Ints:
    names, inverse = np.unique(spans.symbol, return_inverse=True)
    digests = [hashlib.sha256(f"{seed}|{name}".encode()).digest()[:8] for name in names.tolist()]
    place = np.array([int.from_bytes(d, "big") / 2**64 for d in digests])
    edges = np.cumsum(shares)[:2] / sum(shares)
    fold: Ints = np.searchsorted(edges, place, side="right")[inverse]
    return fold
