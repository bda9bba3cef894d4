"""Price followed from candle to candle over a screenshot's strokes, past titles and price tags."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from vision_ai.domain import Bools

Span = tuple[int, int]
"""Rows [top, bottom) of unbroken foreground."""

_TAG_SLOTS, _TAG_ROWS, LINE_ROWS = 3, 6, 3
"""A price tag is so wide and so tall at least, and the line that leads to it so thin at most."""

_FILLED, _FREE = 0.4, 0.2
"""Share of a stroke's rows that is foreground between two slots: in a tag, and between candles."""

_TAG_FRAYS = 2
"""Rows by which compression moves an end of a tag."""

_TAG_SHARED = 0.6
"""Part of the rows of two neighbouring strokes of a tag, together, that both of them cover."""

_LINE_SLOTS = 0.1
"""Share of slots in which a dotted line shows between candles."""


def runs(marked: Bools) -> list[Span]:
    """Where marks follow one another without a gap: [first, last) of each run."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], marked, [False]]).astype(np.int8)))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]


def without_line(strokes: list[list[Span]]) -> list[list[Span]]:
    """Strokes of slots less the dashes of a dotted price line, where there is a taller stroke too.

    A dash is thin and lies where thin strokes lie in one slot of ten.
    """
    # the row where most thin strokes lie is the line, if they lie there in enough slots
    thin = [top for slot in strokes for top, bottom in slot if bottom - top <= LINE_ROWS]
    if not thin:
        return strokes
    rows = np.bincount(thin, minlength=max(thin) + 2)
    line = int(np.argmax(rows[:-1] + rows[1:]))
    if rows[line] + rows[line + 1] < _LINE_SLOTS * len(strokes):
        return strokes

    def stays(span: Span) -> bool:
        return span[1] - span[0] > LINE_ROWS or not line - 1 <= span[0] <= line + 2

    return [[span for span in slot if stays(span)] or slot for slot in strokes]


def longest_chain(strokes: list[list[Span]], height: int) -> list[tuple[int, Span]]:
    """Follow price through consecutive slots: the longest unbroken chain of (slot, stroke).

    In each run of slots that hold foreground, strokes are chosen so that they are long and each
    lies level with the one before.
    """
    best: list[tuple[int, Span]] = []
    for first, last in runs(np.array([bool(s) for s in strokes])):
        path = _follow(strokes[first:last], height // 16)
        leap = 2 + float(np.median([bottom - top for top, bottom in path])) / 2
        for piece in _split(path, leap):
            chain = [(first + i, span) for i, span in piece]
            chain = _lengthened(chain, strokes, (first, last), leap)
            if len(chain) >= len(best):
                best = chain
    return best


def _lengthened(
    chain: list[tuple[int, Span]], strokes: list[list[Span]], run: Span, leap: float
) -> list[tuple[int, Span]]:
    """The chain with what lies level with its ends: a title may have led the path away there."""
    for way in (-1, 1):
        grown = chain[::way]  # the end to grow at is the last
        while run[0] <= grown[-1][0] + way < run[1]:
            slot, (top, bottom) = grown[-1][0] + way, grown[-1][1]
            gaps = [max(a - bottom, top - b, 0) for a, b in strokes[slot]]
            nearest = int(np.argmin(gaps))
            if gaps[nearest] > leap:
                break
            grown.append((slot, strokes[slot][nearest]))
        chain = grown[::way]
    return chain


def _follow(strokes: list[list[Span]], leap: int) -> list[Span]:
    """The path with the greatest length of strokes less the jumps between them (Viterbi).

    A jump of `leap` rows leaves the chart, so a larger one costs no more.
    """
    # score of the best path to each stroke of a slot, and which stroke before it that came from
    scores = [np.array([b - a for a, b in strokes[0]], float)]
    steps: list[NDArray[np.int64]] = []
    for before, strokes_here in pairwise(strokes):
        gaps = np.array([[max(a - d, c - b, 0) for c, d in before] for a, b in strokes_here], float)
        total = scores[-1][None, :] - 3 * np.minimum(gaps, leap)
        steps.append(total.argmax(axis=1))
        scores.append(total.max(axis=1) + np.array([b - a for a, b in strokes_here]))
    # walk back from the best last stroke
    choice = int(scores[-1].argmax())
    path = [strokes[-1][choice]]
    for back, strokes_here in zip(reversed(steps), reversed(strokes[:-1]), strict=True):
        choice = int(back[choice])
        path.append(strokes_here[choice])
    return path[::-1]


def _split(path: list[Span], leap: float) -> list[list[tuple[int, Span]]]:
    pieces: list[list[tuple[int, Span]]] = [[]]
    for i, span in enumerate(path):
        if pieces[-1]:
            top, bottom = pieces[-1][-1][1]
            if max(span[0] - bottom, top - span[1]) > leap:
                pieces.append([])
        pieces[-1].append((i, span))
    return pieces


def without_tag(
    chain: list[tuple[int, Span]], joined: Callable[[int, Span], float]
) -> list[tuple[int, Span]]:
    """Cut off a price tag, which a thin line joins to the last candle or which touches it.

    A tag shows as neighbouring strokes between the same two rows, right of a stroke that is
    nothing but the line. One that touches the last candle differs from candles in what lies
    between its slots: candles leave a gap there, a tag is filled.

    Args:
        chain: slots and strokes, from left to right.
        joined: how much of a stroke's rows is foreground between a slot and the next one.
    """
    if not chain:
        return chain
    touching = _touching(chain, [joined(*entry) for entry in chain[:-1]])
    if touching is not None:
        return chain[:touching]
    # walk left while strokes keep the same two rows: that may be a tag
    first = len(chain) - 1
    while first > 0 and _level(chain[first - 1][1], chain[first][1]):
        first -= 1
    top, bottom = chain[first][1]
    tall, many = bottom - top >= _TAG_ROWS, len(chain) - first >= _TAG_SLOTS
    if first == 0 or not (tall and many):
        return chain
    # and further left over the thin line that leads to it
    line = first
    while line > 0 and chain[line - 1][1][1] - chain[line - 1][1][0] <= LINE_ROWS:
        line -= 1
    return chain[:line] if line < first else chain


def _touching(chain: list[tuple[int, Span]], gaps: list[float]) -> int | None:
    """Where a tag begins that touches the last candle; None where there is none."""
    # leave out what compression frays at the tag's right edge, then walk left over filled gaps
    end = len(gaps)
    while end > 0 and _is_frayed(chain[end][1], chain[end - 1][1]):
        end -= 1
    start = end
    while start > 0 and gaps[start - 1] > _FILLED and _side(chain[start - 1][1], chain[start][1]):
        start -= 1
    tall = max(bottom - top for _, (top, bottom) in chain[start : end + 1]) >= _TAG_ROWS
    many = end - start + 1 >= _TAG_SLOTS
    return start if many and tall and np.median(gaps) < _FREE else None


def _is_frayed(edge: Span, before: Span) -> bool:
    """Whether a stroke is what compression leaves beside a tag's right edge."""
    inside = before[0] - 1 <= edge[0] and edge[1] <= before[1] + 1
    rows = edge[1] - edge[0]
    return rows <= LINE_ROWS or (inside and 2 * rows < before[1] - before[0])


def _side(one: Span, other: Span) -> bool:
    """Whether two strokes may be neighbours in a tag: digits and labels change one end at most."""
    if min(abs(one[0] - other[0]), abs(one[1] - other[1])) <= _TAG_FRAYS:
        return True
    both = min(one[1], other[1]) - max(one[0], other[0])
    return both >= _TAG_SHARED * (max(one[1], other[1]) - min(one[0], other[0]))


def _level(one: Span, other: Span) -> bool:
    tolerance = 1 + (one[1] - one[0]) // 4  # digits and compression fray edges
    return max(abs(one[0] - other[0]), abs(one[1] - other[1])) <= tolerance
