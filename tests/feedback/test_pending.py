"""Which outcomes are pending, where they are measured from, and how their candles are fetched."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.feedback.examples import AS_OF, H_MS, M15, line, prediction
from vision_ai.config import FeedbackConfig
from vision_ai.domain import HORIZONS, Direction, Horizon, Interval, Setup, iso
from vision_ai.feedback.pending import (
    ATR_CANDLES,
    JOIN_MS,
    CandleSpan,
    PendingOutcome,
    find_pending,
    first_needed_ms,
    key,
    plan,
)

FIXED = FeedbackConfig()
MULTIPLE = FeedbackConfig(atr_multiple=2.0)


def outcome(**changes: object) -> PendingOutcome:
    return PendingOutcome(prediction(**changes), Horizon.H2)


def test_an_outcome_ends_a_horizon_after_its_prediction() -> None:
    for horizon in HORIZONS:
        pending = PendingOutcome(prediction(), horizon)
        assert pending.as_of_ms == AS_OF
        assert pending.end_ms == AS_OF + horizon.ms
        assert pending.key == key(line(horizon=horizon))


@pytest.mark.parametrize("minutes", [0, 15, 30, 45])
@pytest.mark.parametrize("lead", list(Interval)[:2])
def test_bands_count_from_the_end_of_the_leading_chart(minutes: int, lead: Interval) -> None:
    as_of_ms = AS_OF // H_MS * H_MS + minutes * 60_000
    intervals = (Interval.M15, Interval.H1)
    chosen = intervals[list(Interval)[:2].index(lead)]
    pending = outcome(as_of_ms=as_of_ms, lead=chosen)
    expected = as_of_ms if chosen is Interval.M15 else as_of_ms // H_MS * H_MS
    assert pending.lead_end_ms == expected


def test_the_entry_is_the_close_of_the_chart_that_ends_with_the_prediction() -> None:
    call = prediction(as_of_ms=AS_OF // H_MS * H_MS + M15, lead=Interval.H1)
    quarter = call.intervals[Interval.M15].model_copy(update={"last_close": 99.0})
    mixed = call.model_copy(update={"intervals": {**call.intervals, Interval.M15: quarter}})
    assert PendingOutcome(mixed, Horizon.H2).entry == 99.0
    # without a chart that ends there, the leading one's close is all there is
    alone = call.model_copy(update={"intervals": {Interval.H1: call.intervals[Interval.H1]}})
    assert PendingOutcome(alone, Horizon.H2).entry == 100.0
    assert PendingOutcome(call.model_copy(update={"intervals": {}}), Horizon.H2).entry is None


def test_a_prediction_without_its_leading_chart_counts_from_its_own_time() -> None:
    bare = PendingOutcome(prediction().model_copy(update={"intervals": {}}), Horizon.H2)
    assert (bare.lead, bare.lead_end_ms) == (None, AS_OF)


def test_what_waits_names_its_outcome_and_why() -> None:
    waiting = outcome().wait("the exchange is down")
    assert (waiting.symbol, waiting.as_of, waiting.horizon) == outcome().key
    assert waiting.reason == "the exchange is down"


@given(
    hours=st.lists(st.integers(0, 48), max_size=8),
    logged=st.lists(st.tuples(st.integers(0, 48), st.sampled_from(HORIZONS)), max_size=8),
    now_h=st.integers(0, 60),
)
def test_pending_is_what_is_over_and_not_logged(hours, logged, now_h) -> None:
    calls = [prediction(as_of_ms=AS_OF + hour * H_MS) for hour in hours]
    lines = [line(as_of_ms=AS_OF + hour * H_MS, horizon=horizon) for hour, horizon in logged]
    now_ms = AS_OF + now_h * H_MS
    found = find_pending(calls, lines, now_ms)
    expected = {
        ("BTCUSDT", iso(AS_OF + hour * H_MS), horizon)
        for hour in hours
        for horizon in HORIZONS
        if AS_OF + hour * H_MS + horizon.ms <= now_ms and (hour, horizon) not in logged
    }
    assert {pending.key for pending in found} == expected
    assert len(found) == len(expected)  # each once
    assert [pending.end_ms for pending in found] == sorted(pending.end_ms for pending in found)


def test_a_fixed_target_needs_the_candle_before_and_a_multiple_its_history() -> None:
    pending = outcome(lead=Interval.H1)
    assert first_needed_ms(pending, FIXED) == AS_OF - M15
    history = pending.lead_end_ms - (ATR_CANDLES + 1) * H_MS
    assert first_needed_ms(pending, MULTIPLE) == history
    late = outcome(as_of_ms=AS_OF + 60_000)  # not on a candle: round down to one
    assert first_needed_ms(late, FIXED) % M15 == 0
    assert first_needed_ms(late, FIXED) <= late.as_of_ms - M15


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["AAAUSDT", "BBBUSDT"]), st.integers(0, 200)),
        max_size=12,
        unique=True,
    ),
    st.sampled_from([FIXED, MULTIPLE]),
)
def test_each_outcome_is_in_one_batch_that_covers_it(moments, config) -> None:
    pending = [
        PendingOutcome(prediction(symbol=symbol, as_of_ms=AS_OF + hour * H_MS), horizon)
        for symbol, hour in moments
        for horizon in HORIZONS
    ]
    batches = plan(pending, config)
    assert sorted(o.key for b in batches for o in b.outcomes) == sorted(o.key for o in pending)
    for batch in batches:
        assert batch.span.interval is Interval.M15
        for one in batch.outcomes:
            assert one.prediction.symbol == batch.span.symbol
            assert batch.span.first_ms <= first_needed_ms(one, config)
            assert one.end_ms <= batch.span.end_ms
        needed = [first_needed_ms(one, config) for one in batch.outcomes]
        assert batch.span.first_ms == min(needed)  # and no more than that
        assert batch.span.end_ms == max(one.end_ms for one in batch.outcomes)
    spans = sorted((b.span.symbol, b.span.first_ms, b.span.end_ms) for b in batches)
    for one, other in pairwise(spans):
        if one[0] == other[0]:  # what lies closer together is one fetch
            assert other[1] - one[2] > JOIN_MS


@pytest.mark.parametrize(("extra_ms", "count"), [(0, 1), (M15, 2)])
def test_spans_a_day_apart_are_one_fetch(extra_ms: int, count: int) -> None:
    first = outcome()
    gap = JOIN_MS + extra_ms
    second = outcome(as_of_ms=first.end_ms + gap + M15)
    assert len(plan([second, first], FIXED)) == count


def test_a_span_reads_as_a_sentence() -> None:
    span = CandleSpan("bybit-linear", "BTCUSDT", Interval.M15, AS_OF, AS_OF + H_MS)
    assert str(span) == f"BTCUSDT 15m from {iso(AS_OF)} to {iso(AS_OF + H_MS)}"


def test_nothing_pending_plans_nothing() -> None:
    assert plan([], FIXED) == []
    neutral = prediction(setup=Setup.NONE, direction=Direction.NEUTRAL)
    assert len(find_pending([neutral], [], AS_OF + 6 * H_MS)) == 2  # measured, though not judged
