"""Spans of time, half open, as sorted lists that never touch: [(start_ms, end_ms), ...]."""

from collections.abc import Iterable

from vision_ai.domain import Klines

Span = tuple[int, int]


def union(spans: Iterable[Span]) -> list[Span]:
    """Every instant that lies in any of the spans.

    >>> union([(5, 9), (0, 5), (20, 30)])
    [(0, 9), (20, 30)]
    """
    merged: list[Span] = []
    for start, end in sorted(span for span in spans if span[0] < span[1]):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def subtract(spans: Iterable[Span], taken: Iterable[Span]) -> list[Span]:
    """What is left of `spans` outside `taken`.

    >>> subtract([(0, 10)], [(2, 3), (8, 20)])
    [(0, 2), (3, 8)]
    """
    remaining = union(spans)
    for start, end in union(taken):
        remaining = [
            part
            for a, b in remaining
            for part in ((a, min(b, start)), (max(a, end), b))
            if part[0] < part[1]
        ]
    return remaining


def join_near(spans: Iterable[Span], reach_ms: int) -> list[Span]:
    """Join spans that one request covers together: those within `reach_ms` from end to end.

    >>> join_near([(0, 1), (5, 6), (90, 95)], 10)
    [(0, 6), (90, 95)]
    """
    joined: list[Span] = []
    for start, end in union(spans):
        if joined and end - joined[-1][0] <= reach_ms:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return joined


def covered(klines: Klines) -> list[Span]:
    """The time that the candles fill, without their gaps."""
    if not len(klines):
        return []
    gaps = klines.gaps()
    starts = [int(klines.open_ms[0]), *(after for _, after in gaps)]
    ends = [*(first for first, _ in gaps), int(klines.close_ms[-1])]
    return list(zip(starts, ends, strict=True))
