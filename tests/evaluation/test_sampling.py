from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vision_ai.domain import Interval, Klines
from vision_ai.errors import KlinesError, LeakError
from vision_ai.evaluation.sampling import ChartSample, VenueCandles
from vision_ai.market.simulate import simulate
from vision_ai.measures import purge
from vision_ai.measures.purge import Extent, SplitRule

HOUR = 3_600_000
DAY = 24 * HOUR
END = 480_000 * HOUR
START = END - 40 * DAY
RULE = SplitRule(DAY, disjoint_symbols=False, in_order=False)


def market(symbol: str = "AAAUSDT", seed: int = 0) -> VenueCandles:
    klines = simulate(symbol, Interval.M15, 40 * 96, seed=seed, end_ms=END)
    return VenueCandles("simulated", klines)


def extent(first_day: float, last_day: float, symbols: tuple[str, ...] = ("ZZZUSDT",)) -> Extent:
    first_ms, known_ms = START + round(first_day * DAY), START + round(last_day * DAY)
    return Extent("training", frozenset(symbols), first_ms, known_ms)


@settings(max_examples=6, deadline=None)
@given(first=st.floats(-5, 40), length=st.floats(0.1, 30), seed=st.integers(0, 99))
def test_no_chart_shares_time_with_what_was_seen(first: float, length: float, seed: int) -> None:
    seen = extent(first, first + length)
    try:
        sample = ChartSample.of([market()], [seen], RULE, limit=60, seed=seed)
    except LeakError:
        assert length > 27  # forty days, less the embargoes and the length of a chart
        return
    spans = sample.spans
    apart = (spans.first_ms >= seen.known_ms + DAY) | (spans.known_ms <= seen.first_ms - DAY)
    assert apart.all()
    assert 0 < len(sample) <= 60
    assert sample.leaking < sample.considered


def test_charts_that_all_leak_are_refused_by_name() -> None:
    with pytest.raises(LeakError, match="training, 20") as refused:
        ChartSample.of([market()], [extent(-1, 41)], RULE, limit=10)
    assert "other symbols at the same time leak" in refused.value.hint


def test_a_planted_leak_is_refused() -> None:
    seen = extent(0, 20)
    sample = ChartSample.of([market()], [seen], RULE, limit=20)
    purge.check_clear([seen], sample.spans, RULE)
    shifted = replace(
        sample.spans,
        **{
            name: np.r_[getattr(sample.spans, name)[0] - 10 * DAY, getattr(sample.spans, name)[1:]]
            for name in ("first_ms", "as_of_ms", "known_ms")
        },
    )
    with pytest.raises(LeakError, match="measured charts"):
        purge.check_clear([seen], shifted, RULE)


def test_draws_are_the_same_whatever_other_markets_are_there() -> None:
    one = ChartSample.of([market()], [], RULE, limit=15)
    both = ChartSample.of([market("BBBUSDT", 1), market()], [], RULE, limit=30)
    again = both.spans.as_of_ms[both.spans.symbol == "AAAUSDT"]
    assert one.spans.as_of_ms.tolist() == again.tolist()
    other = ChartSample.of([market()], [], RULE, limit=15, seed=1)
    assert other.spans.as_of_ms.tolist() != one.spans.as_of_ms.tolist()


def test_no_more_charts_are_drawn_than_asked_for() -> None:
    markets = [market(f"S{seed}USDT", seed) for seed in range(3)]
    for limit in (2, 7, 9):
        assert len(ChartSample.of(markets, [], RULE, limit=limit)) == limit


def test_a_halted_market_is_no_chart() -> None:
    n = 200
    open_ms = END + np.arange(n, dtype=np.int64) * Interval.M15.ms
    still = Klines("AAAUSDT", Interval.M15, open_ms, np.tile([2.0, 2.0, 2.0, 2.0, 0.0], (n, 1)))
    with pytest.raises(KlinesError, match="moves"):
        ChartSample.of([VenueCandles("simulated", still)], [], RULE, limit=5)
