"""Spans of time against sets of instants."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from tests.market.replays import candles, with_gap
from vision_ai.domain import Interval, Klines
from vision_ai.market import spans

SPANS = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=8)


def instants(found: list[tuple[int, int]]) -> set[int]:
    return {at for start, end in found for at in range(start, end)}


def is_tidy(found: list[tuple[int, int]]) -> bool:
    """Sorted, none empty, none touching the next."""
    return all(start < end for start, end in found) and all(
        one[1] < other[0] for one, other in itertools.pairwise(found)
    )


@given(SPANS)
def test_a_union_holds_every_instant_once(found) -> None:
    joined = spans.union(found)
    assert instants(joined) == instants(found)
    assert is_tidy(joined)
    assert spans.union(joined) == joined


@given(SPANS, SPANS)
def test_a_difference_is_that_of_the_sets(found, taken) -> None:
    left = spans.subtract(found, taken)
    assert instants(left) == instants(found) - instants(taken)
    assert is_tidy(left)


@given(SPANS)
def test_nothing_is_left_of_a_span_outside_itself(found) -> None:
    assert spans.subtract(found, found) == []
    assert spans.subtract(found, []) == spans.union(found)


@given(SPANS, st.integers(1, 30))
def test_closed_up_spans_cover_the_old_ones_and_reach_no_farther(found, reach) -> None:
    joined = spans.join_near(found, reach)
    assert instants(found) <= instants(joined)
    longest = max((end - start for start, end in spans.union(found)), default=0)
    assert all(end - start <= max(reach, longest) for start, end in joined)
    assert len(joined) <= len(spans.union(found))


def test_candles_hold_their_time_without_the_gaps() -> None:
    klines = candles()[0][:100]
    step = klines.interval.ms
    first, last = int(klines.open_ms[0]), int(klines.close_ms[-1])
    assert spans.covered(klines) == [(first, last)]
    holed = with_gap(klines, 40, 60)
    assert spans.covered(holed) == [(first, first + 40 * step), (first + 60 * step, last)]
    assert spans.covered(Klines.empty("BTCUSDT", Interval.M5)) == []


@given(st.sets(st.integers(0, 30), max_size=31))
def test_held_time_is_the_candles_own(rows) -> None:
    every = candles()[0][:31]
    kept = sorted(rows)
    klines = Klines(every.symbol, every.interval, every.open_ms[kept], every.bars[kept])
    covered = sum(end - start for start, end in spans.covered(klines))
    assert covered == len(kept) * every.interval.ms
