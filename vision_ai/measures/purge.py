"""The one wall against leaks: which charts may be evidence for which, and how folds are cut.

Every chart occupies a *span* of time: from its first candle to the moment its last outcome is
known. A span precedes another if it is settled before the other begins, an embargo between them
(`precedes`); everything here follows from that one comparison. Spans are half-open, so a chart
that begins the instant another one is settled shares no candle with it.

- `PointInTimeFilter` and `PurgeAndEmbargo` say which rows may be evidence for which queries.
- `split_at`, `split_by_time` and `hold_out` cut charts into folds; what lies on a wall, or in the
  embargo after it, is purged.
- `check` refuses folds that leak; every fold that is cut here has passed it.

No other module compares times to choose rows (`tests/measures/test_one_wall.py`).
"""

import hashlib
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vision_ai.domain import HORIZONS, WINDOW, Bools, Embeddings, Interval, Ints, iso
from vision_ai.errors import KlinesError, LeakError

LONGEST_HORIZON_MS = max(horizon.ms for horizon in HORIZONS)
"""After this long every outcome of a chart is known."""

_DAY_MS = 86_400_000
_NEVER_MS = np.iinfo(np.int64).max


def precedes(known_ms: ArrayLike, first_ms: ArrayLike, embargo_ms: int = 0) -> Bools:
    """Whether what is known at `known_ms` is settled an embargo before `first_ms`, elementwise.

    >>> bool(precedes(5, 5)), bool(precedes(5, 6, embargo_ms=2))
    (True, False)
    """
    return np.asarray(np.asarray(known_ms) + embargo_ms <= np.asarray(first_ms), np.bool_)


def overlaps(
    first_ms: ArrayLike, end_ms: ArrayLike, other_first_ms: ArrayLike, other_end_ms: ArrayLike
) -> Bools:
    """Whether two half-open spans of time share an instant, elementwise.

    >>> bool(overlaps(0, 5, 4, 9)), bool(overlaps(0, 5, 5, 9))
    (True, False)
    """
    return ~(precedes(end_ms, other_first_ms) | precedes(other_end_ms, first_ms))


def count_known(known_ms: Ints, at_ms: Ints) -> Ints:
    """How many of the outcomes, sorted by when they were known, were known at each instant.

    >>> count_known(np.array([10, 20, 20]), np.array([9, 20, 21])).tolist()
    [0, 3, 3]
    """
    count: Ints = np.searchsorted(known_ms, at_ms, side="right")
    return count


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
    def at(
        cls,
        symbols: Sequence[str] | NDArray[np.str_],
        intervals: Sequence[str] | NDArray[np.str_],
        as_of_ms: ArrayLike,
        outcome_ms: ArrayLike = LONGEST_HORIZON_MS,
    ) -> Self:
        """The spans of charts whose last candle closed at `as_of_ms`.

        Args:
            symbols: of each chart; an unknown one is "".
            intervals: of each chart, values of `Interval`.
            as_of_ms: close of the last candle of each.
            outcome_ms: how long after that the last outcome is known.

        >>> Spans.at(["BTCUSDT"], ["1h"], [1_750_000_000_000]).first_ms.tolist()
        [1749654400000]
        """
        as_of = np.asarray(as_of_ms, np.int64)
        names, code = np.unique(np.array(intervals, np.str_), return_inverse=True)
        length = np.array([WINDOW * Interval(name).ms for name in names.tolist()], np.int64)[code]
        return cls(
            np.asarray(symbols, np.str_),
            np.array(intervals, np.str_),
            as_of - length,
            as_of,
            as_of + np.asarray(outcome_ms, np.int64),
        )

    @classmethod
    def of(cls, rows: Embeddings) -> Self:
        """The spans of embedded charts, up to the last of their own outcomes."""
        close_ms = rows.close_ms
        known_ms = rows.outcomes.complete_ms.max(axis=1, initial=0)
        known_ms = np.maximum(known_ms, close_ms)
        return cls(rows.symbol, rows.interval, rows.first_ms, close_ms, known_ms)

    @classmethod
    def concatenate(cls, parts: Sequence[Self]) -> Self:
        """The charts of all parts, in their order; at least one part."""
        return cls(
            np.concatenate([part.symbol for part in parts]),
            np.concatenate([part.interval for part in parts]),
            np.concatenate([part.first_ms for part in parts]),
            np.concatenate([part.as_of_ms for part in parts]),
            np.concatenate([part.known_ms for part in parts]),
        )


class Eligibility(Protocol):
    """Which rows are eligible as evidence for which queries."""

    def eligible(self, rows: Spans, queries: Spans) -> Bools:
        """True (q, n) where the row may be evidence for the query."""

    def all_eligible(self, rows: Spans, queries: Spans) -> bool:
        """True if every row certainly is eligible for every query, without comparing each."""

    def eligible_annotations(
        self, rows: Spans, annotated_ms: NDArray[np.int64], queries: Spans
    ) -> Bools:
        """True (q, n) where a person's label of the row may be evidence for the query."""


@dataclass(frozen=True)
class PointInTimeFilter:
    """For predictions: nothing counts that was not known at the query's as-of time.

    A row is eligible only if *all* its outcomes were complete by then, and never if it shares
    time with the query's own window on the same symbol: a chart is no evidence for itself.

    A person's label is no outcome. It may be of the chart's own market an hour ago, or of the
    chart itself; but not of a chart that closed later, and it must have been given before the
    prediction is made.

    Attributes:
        is_replay: predictions count as made at their as-of times, as a simulation of the past
            needs it; else they are made now, after every label that is known.
    """

    is_replay: bool = False

    def eligible(self, rows: Spans, queries: Spans) -> Bools:
        """True (q, n) where the row may be evidence for the query."""
        known = precedes(rows.known_ms, queries.as_of_ms[:, None])
        # only rows settled after the query's first candle can share time with it: they are few,
        # so the slow comparison of symbols is short
        in_window = known & ~precedes(rows.known_ms, queries.first_ms[:, None])
        query, row = np.nonzero(in_window)
        same_symbol = rows.symbol[row] == queries.symbol[query]
        known[query[same_symbol], row[same_symbol]] = False
        return known

    def all_eligible(self, rows: Spans, queries: Spans) -> bool:
        """True if every outcome was known before the earliest query's first candle."""
        return _all_settled(rows, queries, 0)

    def eligible_annotations(
        self, rows: Spans, annotated_ms: NDArray[np.int64], queries: Spans
    ) -> Bools:
        """True (q, n) where a person's label of the row may be evidence for the query."""
        since_ms = np.maximum(rows.as_of_ms, annotated_ms) if self.is_replay else rows.as_of_ms
        return precedes(since_ms, queries.as_of_ms[:, None])


@dataclass(frozen=True)
class PurgeAndEmbargo:
    """For measuring: markets move together, so time is shared by *all* symbols.

    A row is never eligible if its span touches the time from the query's first candle to its last
    outcome, widened on both sides by the embargo (Lopez de Prado 2018, chapter 7).
    """

    embargo_ms: int

    def eligible(self, rows: Spans, queries: Spans) -> Bools:
        """True (q, n) where the row may be evidence for the query."""
        before = precedes(rows.known_ms, queries.first_ms[:, None], self.embargo_ms)
        after = precedes(queries.known_ms[:, None], rows.first_ms, self.embargo_ms)
        return before | after

    def all_eligible(self, rows: Spans, queries: Spans) -> bool:
        """True if every row was settled an embargo before the earliest query's first candle."""
        return _all_settled(rows, queries, self.embargo_ms)

    def eligible_annotations(
        self, rows: Spans, annotated_ms: NDArray[np.int64], queries: Spans
    ) -> Bools:
        """True (q, n) where the row itself is eligible, whenever it was annotated."""
        return self.eligible(rows, queries)


def _all_settled(rows: Spans, queries: Spans, embargo_ms: int) -> bool:
    latest, earliest = rows.known_ms.max(initial=0), queries.first_ms.min(initial=_NEVER_MS)
    return bool(precedes(latest, earliest, embargo_ms))


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
class SplitRule:
    """How far apart folds must lie.

    Attributes:
        embargo_ms: time kept free between two folds.
        disjoint_symbols: no symbol may be in two folds.
        in_order: each fold must lie after the one before, not merely beside it in time.
    """

    embargo_ms: int
    disjoint_symbols: bool = True
    in_order: bool = True


def check(extents: Iterable[Extent], rule: SplitRule) -> None:
    """Refuse folds that leak. They are given from the earliest to the latest.

    Raises:
        LeakError: two folds share a symbol or time; the text names both and what they share.
    """
    for one, other in itertools.combinations(extents, 2):
        shared = sorted(one.symbols & other.symbols) if rule.disjoint_symbols else []
        if shared:
            more = f" and {len(shared) - 3} more" if len(shared) > 3 else ""
            raise LeakError(
                f"The folds {one.name!r} and {other.name!r} share {', '.join(shared[:3])}{more}: "
                "expected no symbol in common.",
                hint=_HINT,
            )
        after = precedes(one.known_ms, other.first_ms, rule.embargo_ms)
        before = precedes(other.known_ms, one.first_ms, rule.embargo_ms)
        if not (after or (before and not rule.in_order)):
            raise LeakError(
                f"The fold {other.name!r} begins at {iso(other.first_ms)}: expected at least "
                f"{rule.embargo_ms / 3_600_000:g} h after {iso(one.known_ms)}, when the last "
                f"outcome of {one.name!r} was known.",
                hint=_HINT,
            )


def check_clear(seen: Iterable[Extent], spans: Spans, rule: SplitRule) -> None:
    """Refuse charts of which any shares time, or a symbol, with what was seen.

    Charts before and after are checked apart, for together they would span what lies between.

    Raises:
        LeakError: a chart leaks; the text names what it shares time with.
    """
    for extent in seen:
        after = precedes(extent.known_ms, spans.first_ms)
        for part in (spans.take(after), spans.take(~after)):
            if len(part):
                check([extent, Extent.of("measured charts", part)], rule)


def is_clear(seen: Iterable[Extent], spans: Spans, rule: SplitRule) -> Bools:
    """Which charts may be measured by what has seen all of `seen`: bool (n,)."""
    clear = np.ones(len(spans), np.bool_)
    for extent in seen:
        allowed = precedes(extent.known_ms, spans.first_ms, rule.embargo_ms)
        if not rule.in_order:
            allowed |= precedes(spans.known_ms, extent.first_ms, rule.embargo_ms)
        if rule.disjoint_symbols:
            allowed &= ~np.isin(spans.symbol, sorted(extent.symbols))
        clear &= allowed
    return clear


def settled(spans: Spans, by_ms: int) -> Bools:
    """Which charts had all their outcomes known by an instant: bool (n,)."""
    return precedes(spans.known_ms, by_ms)


def earliest_as_of(wall_ms: int, interval: Interval = Interval.H1, embargo_ms: int = 0) -> int:
    """The earliest as-of time of a chart that has no candle before the end of the wall's embargo.

    >>> earliest_as_of(0, Interval.H1) // 3_600_000
    96
    """
    return wall_ms + embargo_ms + WINDOW * interval.ms


def day_wall(first_ms: int, last_ms: int, share: float, *, nearest: bool = False) -> int:
    """The start of the UTC day that lies at a share of a time: the one before it, or the nearest.

    >>> day_wall(0, 4 * 86_400_000, 0.7) // 86_400_000
    2
    >>> day_wall(0, 4 * 86_400_000, 0.7, nearest=True) // 86_400_000
    3
    """
    instant_ms = first_ms + share * (last_ms - first_ms)
    days = round(instant_ms / _DAY_MS) if nearest else int(instant_ms) // _DAY_MS
    return days * _DAY_MS


def split_at(spans: Spans, wall_ms: float, embargo_ms: int = 0) -> tuple[Ints, Ints]:
    """Rows settled by the wall, and rows that begin an embargo after it; others are purged.

    Either side may be empty; where neither is, the two have passed `check`.
    """
    earlier = np.flatnonzero(precedes(spans.known_ms, wall_ms))
    later = np.flatnonzero(precedes(wall_ms, spans.first_ms, embargo_ms))
    _check_sides(spans, earlier, later, SplitRule(embargo_ms, disjoint_symbols=False))
    return earlier, later


def split_by_time(spans: Spans, share: float) -> tuple[Ints, Ints]:
    """Rows before and after a wall at the quantile `share` of their as-of times; see `split_at`."""
    return split_at(spans, float(np.quantile(spans.as_of_ms, share)))


def held_out_symbols(symbols: Sequence[str], share: float, seed: int) -> frozenset[str]:
    """The share of symbols, at least one, whose hash is lowest, whatever their order.

    >>> held_out_symbols(["AAA", "BBB", "CCC", "DDD"], 0.25, seed=0) == held_out_symbols(
    ...     ["DDD", "CCC", "BBB", "AAA"], 0.25, seed=0
    ... )
    True
    """

    def rank(symbol: str) -> bytes:
        return hashlib.sha256(f"{seed}|{symbol}".encode()).digest()

    unique = sorted(set(symbols), key=rank)
    return frozenset(unique[: max(1, round(share * len(unique)))])


@dataclass(frozen=True, eq=False)
class HoldOut:
    """Rows to train on and rows held out, with the walls between them.

    Attributes:
        train: int (n,), rows that were settled at `until_ms`.
        held_out: int (m,), rows of other symbols that begin at `from_ms` or later.
        until_ms: the earlier wall.
        from_ms: the later wall, an embargo after it.
    """

    train: Ints
    held_out: Ints
    until_ms: int
    from_ms: int


def hold_out(spans: Spans, wall_ms: int, embargo_ms: int, symbols: Iterable[str]) -> HoldOut:
    """Hold out charts of some symbols and of a later time.

    Charts of those symbols before the wall, and of the others after it, are in neither fold.
    Where both folds hold charts, they have passed `check`.

    Args:
        spans: the time and symbol of each chart.
        wall_ms: training ends here, outcomes included.
        embargo_ms: time kept free after the wall.
        symbols: those that are held out.
    """
    earlier, later = split_at(spans, wall_ms, embargo_ms)
    outside = np.isin(spans.symbol, sorted(symbols))
    train, held_out = earlier[~outside[earlier]], later[outside[later]]
    _check_sides(spans, train, held_out, SplitRule(embargo_ms))
    return HoldOut(train, held_out, wall_ms, wall_ms + embargo_ms)


def _check_sides(spans: Spans, earlier: Ints, later: Ints, rule: SplitRule) -> None:
    if len(earlier) and len(later):
        sides = (("earlier", earlier), ("later", later))
        check([Extent.of(name, spans.take(rows)) for name, rows in sides], rule)
