"""Stored candles as an exchange would show them at one time, against plain loops."""

import datetime as dt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.market.replays import NOW, candles, with_gap
from vision_ai.domain import CLOSE, HIGH, LOW, OPEN, VOLUME, Interval, Klines
from vision_ai.errors import CorruptFileError, KlinesError
from vision_ai.market.replay import listing
from vision_ai.market.replay.listing import DAY_MS, INTERVALS, MINUTES, Listing, Market
from vision_ai.market.simulate import simulate

BTC = candles()[0]
STEP = Interval.M5.ms


def market(klines: Klines, category: str = "linear") -> Market:
    return Listing.from_klines("a", [klines], category).markets[category, klines.symbol]


@settings(max_examples=60, deadline=None)
@given(st.integers(int(BTC.open_ms[0]) - STEP, int(BTC.close_ms[-1]) + STEP))
def test_known_candles_are_the_closed_ones_and_the_open_of_the_next(now_ms: int) -> None:
    known = market(BTC).known(now_ms)
    closed = BTC.until(now_ms)
    assert np.array_equal(known.open_ms[: len(closed)], closed.open_ms)
    assert np.array_equal(known.bars[: len(closed)], closed.bars)
    trading = [ms for ms in BTC.open_ms.tolist() if ms <= now_ms < ms + STEP]
    assert known.open_ms[len(closed) :].tolist() == trading
    if trading:
        open_price = BTC.bars[len(closed), OPEN]
        assert known.bars[-1].tolist() == [open_price] * 4 + [0.0]


def test_turnover_is_volume_times_the_mean_price() -> None:
    known = market(BTC[:50]).known(NOW)
    expected = [bar[VOLUME] * sum(bar[:4]) / 4 for bar in BTC[:50].bars.tolist()]
    assert np.allclose(known.turnover, expected)


def bucket_start(ms: int, interval: str) -> int:
    """Where the candle of an interval begins that a time lies in, by the calendar."""
    when = dt.datetime.fromtimestamp(ms / 1000, dt.UTC)
    midnight = when.replace(hour=0, minute=0, second=0, microsecond=0)
    if interval == "M":
        start = midnight.replace(day=1)
    elif interval == "W":
        start = midnight - dt.timedelta(days=midnight.weekday())
    else:
        length = dt.timedelta(minutes=MINUTES[interval])
        start = midnight + (when - midnight) // length * length
    return round(start.timestamp() * 1000)


@settings(max_examples=15, deadline=None)
@given(
    st.integers(NOW - 12 * DAY_MS, NOW),
    st.sampled_from([name for name in INTERVALS if name not in {"1", "3"}]),
    st.sets(st.integers(0, 400), max_size=30),
)
def test_coarser_candles_equal_a_loop_over_the_calendar(
    now_ms: int, interval: str, dropped: set[int]
) -> None:
    rows = [row for row in range(5800, 7800) if row - 6000 not in dropped]
    holed = Klines(BTC.symbol, BTC.interval, BTC.open_ms[rows], BTC.bars[rows])
    found = market(holed)
    known = found.known(now_ms)
    buckets: dict[int, list[int]] = {}
    for row, ms in enumerate(known.open_ms.tolist()):
        buckets.setdefault(bucket_start(ms, interval), []).append(row)
    expected: list[list[float]] = []
    for start, parts in buckets.items():
        times = known.open_ms[parts].tolist()
        ends_ms = times[-1] + STEP
        is_whole = times[0] == start and len(times) * STEP == ends_ms - start
        is_last_of_bucket = bucket_start(ends_ms, interval) != start
        if (is_whole and is_last_of_bucket) or (
            start == max(buckets) and bucket_start(now_ms, interval) == start
        ):
            part = known.bars[parts]
            expected.append(
                [start, part[0, OPEN], part[:, HIGH].max(), part[:, LOW].min(), part[-1, CLOSE]]
            )
    shown = found.candles(interval, now_ms)
    table = np.column_stack([shown.open_ms, shown.bars[:, :4]])
    assert np.array_equal(table, np.reshape(expected, (-1, 5)))


@pytest.mark.parametrize("interval", ["1", "3"])
def test_finer_candles_than_the_stored_are_not_invented(interval: str) -> None:
    assert len(market(BTC).candles(interval, NOW)) == 0


def test_a_market_without_candles_shows_none() -> None:
    empty = market(Klines.empty("BTCUSDT", Interval.M5))
    assert not empty.is_open(NOW)
    assert len(empty.candles("15", NOW)) == 0


@pytest.mark.parametrize(
    ("closes", "tick"), [([5.0, 6.0], 1.0), ([5.5, 6.0], 0.1), ([0.00012345, 0.5], 1e-8)]
)
def test_the_tick_is_the_finest_step_of_the_closes(closes: list[float], tick: float) -> None:
    bars = [[c, c, c, c, 1.0] for c in closes]
    klines = Klines("AAUSDT", Interval.M5, np.arange(len(bars)) * STEP, np.array(bars))
    assert market(klines).tick(10 * STEP) == pytest.approx(tick)


def test_a_market_is_gone_a_day_after_its_last_candle() -> None:
    found, last = market(BTC), int(BTC.close_ms[-1])
    first = int(BTC.open_ms[0])
    times = (first - 1, first, last + DAY_MS - 1, last + DAY_MS)
    assert [found.is_open(t) for t in times] == [False, True, True, False]


def test_candles_are_read_once_and_only_when_asked_for() -> None:
    reads: list[int] = []

    def read() -> Klines:
        reads.append(1)
        return BTC

    found = Market("BTCUSDT", "linear", read)
    assert reads == []
    found.known(NOW)
    found.tick(NOW)
    assert reads == [1]


def test_the_first_and_last_candle_of_all_markets_bound_a_replay() -> None:
    early, late = BTC[:100], candles()[1][500:900]
    markets = Listing.from_klines("a", [early, late])
    assert markets.first_open_ms() == early.open_ms[0]
    assert markets.last_close_ms() == late.close_ms[-1]
    assert [m.symbol for m in markets.open_markets("linear", int(late.open_ms[-1]))] == ["ETHUSDT"]
    assert markets.open_markets("spot", NOW) == []


def test_without_any_candle_there_is_nothing_to_replay() -> None:
    markets = Listing.from_klines("a", [Klines.empty("BTCUSDT", Interval.M5)])
    with pytest.raises(KlinesError, match="nothing to replay"):
        markets.last_close_ms()


def test_a_market_that_cannot_be_read_takes_no_other_down() -> None:
    def fail() -> Klines:
        raise CorruptFileError("The file is damaged.")

    good = market(BTC)
    markets = Listing("a", {
        ("linear", "AAUSDT"): Market("AAUSDT", "linear", fail), ("linear", "BTCUSDT"): good,
    })  # fmt: skip
    assert markets.open_markets("linear", NOW) == [good]
    assert markets.last_close_ms() == BTC.close_ms[-1]
    with pytest.raises(CorruptFileError):
        markets.market("linear", "AAUSDT", NOW)


def test_a_ticker_of_a_market_that_paused_for_a_day_has_no_volume() -> None:
    row = listing.ticker(market(BTC[:100]), int(BTC.close_ms[99]) + DAY_MS)
    assert (row["volume24h"], row["turnover24h"]) == ("0", "0")
    assert row["highPrice24h"] == row["lowPrice24h"] == row["lastPrice"] == row["prevPrice24h"]
    assert row["price24hPcnt"] == "0"


def test_a_ticker_keeps_bid_below_ask_by_two_ticks() -> None:
    found = market(BTC)
    row = listing.ticker(found, NOW)
    last, tick = float(row["lastPrice"]), found.tick(NOW)
    assert float(row["bid1Price"]) == pytest.approx(last - tick)
    assert float(row["ask1Price"]) == pytest.approx(last + tick)
    assert int(row["nextFundingTime"]) % 28_800_000 == 0
    assert 0 < int(row["nextFundingTime"]) - NOW <= 28_800_000


def test_a_spot_market_has_no_terms_of_a_contract() -> None:
    spot, linear = market(BTC, "spot"), market(BTC)
    assert "fundingRate" not in listing.ticker(spot, NOW)
    assert "fundingRate" in listing.ticker(linear, NOW)
    assert "contractType" not in listing.instrument(spot, NOW)
    assert listing.instrument(linear, NOW)["launchTime"] == str(BTC.open_ms[0])


@pytest.mark.parametrize(
    ("symbol", "base", "quote"),
    [("BTCUSDT", "BTC", "USDT"), ("ETHUSDC", "ETH", "USDC"), ("XRPUSD", "XRP", "USD"),
     ("ETHBTC", "ETHBTC", "")],
)  # fmt: skip
def test_base_and_quote_are_parted(symbol: str, base: str, quote: str) -> None:
    row = listing.instrument(market(simulate(symbol, "5m", 20, seed=1, end_ms=NOW)), NOW)
    assert (row["baseCoin"], row["quoteCoin"]) == (base, quote)
    assert row["status"] == "Trading"
    late = listing.instrument(
        market(simulate(symbol, "5m", 20, seed=1, end_ms=NOW)), NOW + 2 * DAY_MS
    )
    assert late["status"] == "Closed"


def test_a_gap_leaves_out_the_coarse_candles_that_it_touches() -> None:
    holed = with_gap(BTC, 3001, 3002)
    hour = int(BTC.open_ms[3001]) // Interval.H1.ms * Interval.H1.ms
    shown = market(holed).candles("60", NOW).open_ms.tolist()
    assert hour not in shown
    assert {hour - Interval.H1.ms, hour + Interval.H1.ms} <= set(shown)
