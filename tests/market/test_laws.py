"""Small parts of the market stage and the laws that they keep."""

import itertools
import math
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.market.replays import NOW, candles, with_gap
from vision_ai.domain import Interval, Klines
from vision_ai.errors import InputError, KlinesError, SymbolError
from vision_ai.market import instruments, spans, wire
from vision_ai.market.gather import gather
from vision_ai.market.retry import LONGEST_WAIT_S, Backoff, Pace
from vision_ai.market.simulate import simulate, simulate_many

BTC = candles()[0]

prices = st.floats(1e-8, 1e8)
few_spans = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=8)


@st.composite
def some_klines(draw: st.DrawFn) -> Klines:
    n = draw(st.integers(0, 20))
    steps = draw(st.lists(st.integers(1, 5), min_size=n, max_size=n))
    rows = [sorted(draw(st.tuples(prices, prices, prices, prices))) for _ in range(n)]
    volumes = draw(st.lists(st.floats(0, 1e12), min_size=n, max_size=n))
    bars = [[r[1], r[3], r[0], r[2], v] for r, v in zip(rows, volumes, strict=True)]
    open_ms = np.cumsum(np.array(steps, np.int64)) * 900_000
    return Klines("BTCUSDT", Interval.M15, open_ms, np.array(bars).reshape(-1, 5))


@given(some_klines())
@settings(max_examples=50, deadline=None)
def test_reading_what_was_written_gives_the_same_candles(klines: Klines) -> None:
    rows = wire.write_rows(klines.open_ms, klines.bars, np.zeros(len(klines)))
    assert wire.read_rows(rows, "BTCUSDT", Interval.M15).digest == klines.digest


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_are_plain_digits_and_lose_nothing(value: float) -> None:
    text = wire.number(value)
    assert float(text) == value
    assert set(text) <= set("-.0123456789")
    assert not text.endswith(".")


def points(found: list[spans.Span]) -> set[int]:
    return {x for start, end in found for x in range(start, end)}


@given(few_spans, few_spans)
def test_spans_behave_as_sets_of_instants(a: list[spans.Span], b: list[spans.Span]) -> None:
    assert points(spans.union([*a, *b])) == points(a) | points(b)
    assert points(spans.subtract(a, b)) == points(a) - points(b)
    assert points(spans.join_near(a, 10)) >= points(a)
    merged = spans.union(a)
    assert all(end < start for (_, end), (start, _) in itertools.pairwise(merged))


def test_candles_hold_the_time_outside_their_gaps() -> None:
    holed = with_gap(BTC, 10, 20)
    first, last = int(BTC.open_ms[0]), int(BTC.close_ms[-1])
    gap = (int(BTC.open_ms[10]), int(BTC.open_ms[20]))
    assert spans.covered(holed) == [(first, gap[0]), (gap[1], last)]
    assert spans.covered(Klines.empty("BTCUSDT", Interval.M5)) == []


@given(st.integers(0, 100), st.floats(0, 60), st.floats(0, 1e6))
def test_waits_grow_and_stay_within_bounds(attempt: int, first_s: float, asked_s: float) -> None:
    wait = Backoff(first_s, np.random.default_rng(0)).wait_s(attempt, asked_s)
    assert 0 <= wait <= LONGEST_WAIT_S
    assert wait >= min(asked_s, LONGEST_WAIT_S)
    assert wait >= min(first_s * 2.0**attempt, LONGEST_WAIT_S) / 2


def test_requests_are_spaced_evenly_between_threads() -> None:
    waits: list[float] = []
    pace = Pace(lambda: 100.0, waits.append, per_s=10)
    threads = [threading.Thread(target=pace.wait) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(waits) == pytest.approx([0.1, 0.2, 0.3, 0.4])


def test_a_clock_that_was_set_back_does_not_stop_requests() -> None:
    now, waits = [1e9], list[float]()
    pace = Pace(lambda: now[0], waits.append)
    pace.wait()
    now[0] = 0.0
    pace.wait()
    assert waits == [LONGEST_WAIT_S]


def test_a_bug_in_a_thread_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        gather([1, 0], lambda x: 1 / x, workers=2)


def test_errors_that_are_understood_stand_beside_results() -> None:
    def call(text: str) -> str:
        if not text:
            raise InputError("empty")
        return text.upper()

    found = gather(["b", "", "a"], call, workers=2)
    assert list(found) == ["b", "", "a"]
    assert (found["b"], found["a"]) == ("B", "A")
    assert isinstance(found[""], InputError)


def test_the_nearest_listed_symbol_is_suggested() -> None:
    listed = ["BTCUSDT", "1000PEPEUSDT", "ETHUSDT"]
    assert "1000PEPEUSDT" in instruments.suggest("PEPEUSDT", listed)
    assert "BTCUSDT" in instruments.suggest("BTC", listed)
    assert instruments.suggest("QQQQQQ", []) == "Check the spelling."


def test_odd_symbols_of_an_exchange_are_left_out() -> None:
    rows = [
        {"symbol": s, "turnover24h": "5"}
        for s in ("BTCUSDT", "BTC-29DEC25", "BTCUSDT ", "btcusdt", "../x", None, 5)
    ]
    reply = {"retCode": 0, "result": {"list": rows}}
    assert instruments.read_turnover(reply) == {"BTCUSDT": 5.0}


@pytest.mark.parametrize("turnover", ["", "NaN", "inf", None, "x"])
def test_an_odd_turnover_counts_as_nothing(turnover: object) -> None:
    rows = [{"symbol": "BTCUSDT", "turnover24h": turnover}]
    assert instruments.read_turnover({"retCode": 0, "result": {"list": rows}}) == {"BTCUSDT": 0.0}


def test_the_same_seed_simulates_the_same_candles() -> None:
    one, two, other = (simulate("ABCUSDT", "15m", 500, seed=s, end_ms=NOW) for s in (1, 1, 2))
    assert one.digest == two.digest != other.digest
    a, b = simulate_many(["ABCUSDT", "XYZUSDT"], "15m", 500, seed=1, end_ms=NOW)
    assert a.digest == one.digest
    moves = [np.diff(np.log(k.bars[:, 3])) for k in (a, b)]
    assert abs(np.corrcoef(*moves)[0, 1]) < 0.3


@given(st.integers(0, 10_000), st.sampled_from(list(Interval)), st.integers(0, 300))
@settings(max_examples=25, deadline=None)
def test_simulated_candles_are_real_candles(seed: int, interval: Interval, n: int) -> None:
    klines = simulate("ABCUSDT", interval, n, seed=seed, end_ms=NOW)
    assert len(klines) == n
    assert not klines.gaps()
    assert np.array_equal(klines.bars[1:, 0], klines.bars[:-1, 3])
    if n:
        assert NOW - interval.ms < klines.close_ms[-1] <= NOW


def test_the_simulated_market_looks_like_a_market() -> None:
    klines = simulate("ABCUSDT", "15m", 20_000, seed=3, end_ms=NOW)
    moves = np.diff(np.log(klines.bars[:, 3]))
    assert 0.015 < moves.std() * math.sqrt(96) < 0.08  # daily volatility
    assert ((moves - moves.mean()) ** 4).mean() / moves.var() ** 2 > 4  # heavy tails
    size = np.abs(moves)
    assert np.corrcoef(size[1:], size[:-1])[0, 1] > 0.1  # volatility comes in clusters
    span = np.log(klines.bars[:, 1] / klines.bars[:, 2])
    assert np.corrcoef(np.log(klines.bars[:, 4]), np.log(span))[0, 1] > 0.5
    assert (klines.bars[:, 1] > klines.bars[:, [0, 3]].max(1)).mean() > 0.5  # wicks


@pytest.mark.parametrize(
    ("symbol", "n", "error"), [("a b", 5, SymbolError), ("AB", -1, KlinesError)]
)
def test_what_cannot_be_simulated_is_refused(symbol: str, n: int, error: type[Exception]) -> None:
    with pytest.raises(error):
        simulate(symbol, "15m", n, seed=1, end_ms=NOW)
