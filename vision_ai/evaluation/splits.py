"""Folds that share neither symbols nor time, and a check that refuses any that do.

Markets move together, so a chart of another symbol at the same time leaks as surely as the same
chart does. A fold therefore ends, last outcome included, an embargo before the next one begins.
"""

import hashlib
import itertools
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from vision_ai.domain import Bools, Ints, iso
from vision_ai.errors import LeakError
from vision_ai.retrieval.purge import Spans

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
