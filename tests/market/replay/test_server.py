"""The replay server as any client of Bybit meets it."""

import http.client
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pybit.exceptions import FailedRequestError, InvalidRequestError
from pybit.unified_trading import HTTP

from tests.market.replays import NOW, SYMBOLS, break_replies, candles, free_port, replay, with_gap
from vision_ai.config import Paths
from vision_ai.domain import Interval, Klines
from vision_ai.errors import ConfigError, KlinesError
from vision_ai.market.replay import faults, v5
from vision_ai.market.replay.faults import ALL, Fault, Faults
from vision_ai.market.replay.listing import INTERVALS, Listing
from vision_ai.market.replay.server import Clock, Replay
from vision_ai.market.simulate import simulate
from vision_ai.market.store import Store

BTC = candles()[0]
MINUTE = 60_000


@pytest.fixture
def server() -> Iterator[Replay]:
    with replay() as running:
        yield running


@pytest.fixture
def http_(server: Replay) -> Iterator[Any]:
    with_pybit = HTTP(max_retries=1)
    with_pybit.endpoint = server.url
    yield with_pybit
    with_pybit.client.close()


def call(server: Replay, path: str, method: str = "GET") -> dict[str, Any]:
    with urlopen(Request(server.url + path, method=method)) as reply:
        content: dict[str, Any] = json.load(reply)
        return content


def klines(markets: Listing, now_ms: int, **query: object) -> list[list[str]]:
    text = {"symbol": "BTCUSDT", "interval": "15", **{k: str(v) for k, v in query.items()}}
    reply = v5.answer(markets, "/v5/market/kline", text, now_ms)
    assert reply is not None
    assert reply["retCode"] == 0, reply
    rows: list[list[str]] = reply["result"]["list"]
    return rows


def test_candles_come_newest_first_as_strings(http_: Any) -> None:
    reply = http_.get_kline(category="linear", symbol="BTCUSDT", interval="15", limit=3)
    assert list(reply) == ["retCode", "retMsg", "result", "retExtInfo", "time"]
    assert (reply["retCode"], reply["retMsg"], reply["time"]) == (0, "OK", NOW)
    result = reply["result"]
    assert (result["symbol"], result["category"]) == ("BTCUSDT", "linear")
    assert [row[0] for row in result["list"]] == [str(NOW - n * 15 * MINUTE) for n in range(3)]
    assert all(isinstance(cell, str) for row in result["list"] for cell in row)
    assert {len(row) for row in result["list"]} == {7}


def test_limits_are_bybits(http_: Any) -> None:
    def count(**query: object) -> int:
        reply = http_.get_kline(category="linear", symbol="BTCUSDT", interval="5", **query)
        return len(reply["result"]["list"])

    assert count() == 200
    assert count(limit=1000) == count(limit=5000) == 1000


def test_start_alone_gives_the_oldest_and_both_ends_give_the_newest() -> None:
    markets = Listing.from_klines("simulated-7", candles())
    start = NOW - 100 * 15 * MINUTE
    oldest = klines(markets, NOW, start=start, limit=5)
    assert [int(row[0]) for row in oldest] == [start + n * 15 * MINUTE for n in range(5)][::-1]
    newest = klines(markets, NOW, start=start, end=NOW - 1, limit=5)
    assert [int(row[0]) for row in newest] == [NOW - n * 15 * MINUTE for n in range(1, 6)]
    assert klines(markets, NOW, start=start, end=start)[0][0] == str(start)
    assert klines(markets, NOW, start=start, end=start - 1) == []


def test_an_unknown_symbol_is_refused_as_bybit_refuses_it(http_: Any) -> None:
    with pytest.raises(InvalidRequestError, match="Not supported symbols") as caught:
        http_.get_kline(category="linear", symbol="NOPEUSDT", interval="15")
    assert caught.value.status_code == 10001
    with pytest.raises(InvalidRequestError, match="symbol invalid"):
        http_.get_tickers(category="linear", symbol="NOPEUSDT")
    assert http_.get_instruments_info(category="spot", symbol="NOPEUSDT")["result"]["list"] == []


@pytest.mark.parametrize(
    "query",
    [
        {"interval": "7"},
        {"interval": ""},
        {"category": "inverse"},
        {"start": "yesterday"},
        {"limit": "x"},
        {"end": "9" * 30},
        {"symbol": ""},
        {"symbol": "../../x"},
    ],
)
def test_bad_parameters_are_refused(query: dict[str, str]) -> None:
    markets = Listing.from_klines("simulated-7", candles())
    good = {"category": "linear", "symbol": "BTCUSDT", "interval": "15"}
    reply = v5.answer(markets, "/v5/market/kline", good | query, NOW)
    assert reply is not None
    assert reply["retCode"] == 10001


def test_the_last_candle_is_built_from_what_was_closed_by_now() -> None:
    markets = Listing.from_klines("simulated-7", candles())
    now = NOW + 10 * MINUTE
    newest = klines(markets, now, limit=1)[0]
    parts = BTC[int(np.searchsorted(BTC.open_ms, NOW)) :][:3]
    assert newest[0] == str(NOW)
    assert float(newest[1]) == parts.bars[0, 0]
    assert float(newest[2]) == max(parts.bars[:2, 1].max(), parts.bars[2, 0])
    assert float(newest[4]) == parts.bars[2, 0]
    assert float(newest[5]) == pytest.approx(parts.bars[:2, 4].sum())


def shuffled_future(k: Klines, now_ms: int, factor: float) -> Klines:
    """The same candles up to now, and another future from the candle that trades now on."""
    bars = k.bars.copy()
    later = k.close_ms > now_ms
    bars[later] *= factor
    first = int(np.flatnonzero(later)[0])
    if k.open_ms[first] <= now_ms:  # its open is known, the rest is not
        opened, low, high = k.bars[first, 0], *sorted((k.bars[first, 0], bars[first, 3]))
        bars[first] = [opened, high * 1.01, low * 0.99, bars[first, 3], bars[first, 4]]
    return Klines(k.symbol, k.interval, k.open_ms, bars)


@given(
    now_ms=st.integers(NOW - 2 * 86_400_000, NOW + 80_000_000),
    interval=st.sampled_from([i for i in INTERVALS if i not in {"1", "3"}]),
    factor=st.floats(0.1, 10),
)
@settings(max_examples=40, deadline=None)
def test_the_future_is_never_served(now_ms: int, interval: str, factor: float) -> None:
    other = Listing.from_klines("a", [shuffled_future(BTC, now_ms, factor)])
    truth = Listing.from_klines("a", [BTC])
    for name in ("kline", "tickers", "instruments-info"):
        query = {"category": "linear", "symbol": "BTCUSDT", "interval": interval, "limit": "1000"}
        path = f"/v5/market/{name}"
        assert v5.answer(truth, path, query, now_ms) == v5.answer(other, path, query, now_ms)
    assert all(int(row[0]) <= now_ms for row in klines(truth, now_ms, interval=interval))


@pytest.mark.parametrize(("interval", "rule"), [
    ("5", "5min"), ("15", "15min"), ("30", "30min"), ("60", "1h"), ("120", "2h"), ("240", "4h"),
    ("360", "6h"), ("720", "12h"), ("D", "1D"), ("W", "W-MON"), ("M", "MS"),
])  # fmt: skip
def test_resampling_agrees_with_pandas(interval: str, rule: str) -> None:
    import pandas as pd

    closed = BTC.until(NOW)
    frame = pd.DataFrame(closed.bars, columns=["o", "h", "l", "c", "v"])
    frame.index = pd.to_datetime(closed.open_ms, unit="ms", utc=True)
    oracle = frame.resample(rule, closed="left", label="left").agg(
        {"o": "first", "h": "max", "l": "min", "c": "last", "v": "sum"}
    )
    counts = frame["c"].resample(rule, closed="left", label="left").count()
    rows = klines(Listing.from_klines("a", [BTC]), NOW, interval=interval, limit=1000)[::-1]
    got = np.array(rows, float)
    index = pd.to_datetime(got[:, 0], unit="ms", utc=True)
    # the first bucket of the data may lack its beginning and is left out; the last is unfinished
    full = counts[index[0] :].index
    assert list(index[:-1]) == list(full[full < index[-1]])[-len(index) + 1 :]
    expected = oracle.loc[index[:-1]].to_numpy()
    assert np.allclose(got[:-1, 1:6], expected)


def test_resampling_agrees_with_klines() -> None:
    holed = with_gap(BTC, 5000, 5037)
    rows = klines(Listing.from_klines("a", [holed]), NOW, end=NOW - 1, limit=1000)[::-1]
    expected = holed.until(NOW).resample(Interval.M15)[-1000:]
    got = np.array(rows, float)
    assert np.array_equal(got[:, 0], expected.open_ms)
    assert np.array_equal(got[:, 1:5], expected.bars[:, :4])
    assert np.allclose(got[:, 5], expected.bars[:, 4])


def test_tickers_sum_the_last_day(http_: Any) -> None:
    rows = {r["symbol"]: r for r in http_.get_tickers(category="linear")["result"]["list"]}
    assert sorted(rows) == sorted(SYMBOLS)
    day = BTC.until(NOW)[-288:]
    row = rows["BTCUSDT"]
    assert float(row["volume24h"]) == pytest.approx(day.bars[:, 4].sum())
    assert float(row["highPrice24h"]) == day.bars[:, 1].max()
    assert float(row["lowPrice24h"]) == day.bars[:, 2].min()
    assert float(row["prevPrice24h"]) == day.bars[0, 0]
    assert float(row["lastPrice"]) == day.bars[-1, 3]
    assert all(isinstance(value, str) for value in row.values())


def test_instruments_come_page_by_page(http_: Any) -> None:
    found: list[str] = []
    cursor = None
    while cursor != "":
        result = http_.get_instruments_info(category="linear", limit=2, cursor=cursor)["result"]
        found += [row["symbol"] for row in result["list"]]
        cursor = result["nextPageCursor"]
    assert found == sorted(SYMBOLS)
    row = http_.get_instruments_info(category="linear", symbol="BTCUSDT")["result"]["list"][0]
    assert (row["status"], row["contractType"]) == ("Trading", "LinearPerpetual")
    assert row["priceFilter"]["tickSize"] == "1"


def test_a_market_is_listed_from_its_first_candle_and_gone_a_day_after_its_last() -> None:
    markets = Listing.from_klines("a", [BTC])
    first, last = int(BTC.open_ms[0]), int(BTC.close_ms[-1])
    shown = [
        bool(markets.open_markets("linear", t)) for t in (first - 1, first, last, last + 86_400_000)
    ]
    assert shown == [False, True, True, False]
    assert markets.market("linear", "BTCUSDT", first - 1) is None


def test_an_unknown_path_is_404(server: Replay) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", int(server.url.rpartition(":")[2]))
    for path in ("/v5/market/orderbook", "/", "/v5/account/info", "/../etc/passwd"):
        connection.request("GET", path)
        reply = connection.getresponse()
        assert reply.status == 404
        reply.read()
    connection.close()


def test_the_clock_is_moved_over_http(server: Replay) -> None:
    assert call(server, "/clock") == {"now": "2025-06-15T15:15:00Z", "now_ms": NOW, "frozen": True}
    assert call(server, "/clock?advance=60", "POST")["now_ms"] == NOW + 60_000
    assert call(server, "/clock?now=2025-06-15T12:00:00Z", "POST")["now"] == "2025-06-15T12:00:00Z"
    assert call(server, "/clock?freeze=false", "POST")["frozen"] is False
    assert call(server, "/v5/market/time")["result"]["timeSecond"].isdecimal()


@pytest.mark.parametrize("change", [
    "/clock?now=noon", "/clock?advance=x", "/clock?advance=999999999999", "/clock?advance=nan",
    "/faults?rate=2", "/faults?kinds=fire", "/faults?slow=1e9",
])  # fmt: skip
def test_a_wrong_change_is_refused_and_changes_nothing(server: Replay, change: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", int(server.url.rpartition(":")[2]))
    connection.request("POST", change)
    reply = connection.getresponse()
    assert reply.status == 400
    assert json.load(reply)["error"]
    connection.close()
    assert server.clock.now_ms() == NOW
    assert server.faults.rate == 0


def test_a_clock_runs_as_fast_as_time_until_it_is_frozen() -> None:
    passed = [0.0]
    clock = Clock(NOW, monotonic=lambda: passed[0])
    passed[0] = 2.5
    assert clock.now_ms() == NOW + 2500
    clock.freeze(frozen=True)
    passed[0] = 10.0
    assert clock.now_ms() == NOW + 2500
    clock.freeze(frozen=False)
    passed[0] = 11.0
    assert clock.now_ms() == NOW + 3500


def test_faults_are_switched_and_counted_over_http(server: Replay, http_: Any) -> None:
    call(server, "/faults?rate=1&kinds=500&seed=3", "POST")
    with pytest.raises(FailedRequestError):
        http_.get_server_time()
    counts = call(server, "/requests")
    assert counts["total"] == 1
    assert counts["faults"] == {"500": 1}
    call(server, "/faults?rate=0", "POST")
    assert call(server, "/requests?reset=true", "POST")["total"] == 0
    assert http_.get_server_time()["retCode"] == 0


def test_the_same_seed_fails_the_same_requests_in_any_order() -> None:
    requests = [f"/v5/market/kline?symbol=A{n}" for n in range(200)]

    def draw(order: list[str]) -> dict[str, Fault | None]:
        drawn = faults.faults_at_rate(0.3, seed=5)
        return {request: drawn.draw(request) for request in order}

    assert draw(requests) == draw(requests[::-1])
    assert draw(requests) != {r: faults.faults_at_rate(0.3, seed=6).draw(r) for r in requests}


def test_the_rate_and_the_kinds_are_met() -> None:
    drawn = faults.faults_at_rate(0.2, seed=1)
    found = [drawn.draw("same request") for _ in range(5000)]
    failed = [fault for fault in found if fault]
    assert 0.17 < len(failed) / len(found) < 0.23
    assert set(failed) == set(ALL)


@pytest.mark.parametrize("fault", list(Fault))
def test_no_fault_breaks_the_server(server: Replay, fault: Fault) -> None:
    break_replies(server, fault)
    for path in ("kline?symbol=BTCUSDT&interval=15", "tickers?category=linear", "time"):
        connection = http.client.HTTPConnection("127.0.0.1", int(server.url.rpartition(":")[2]))
        connection.request("GET", f"/v5/market/{path}")
        try:
            connection.getresponse().read()
        except http.client.HTTPException:
            assert fault in {Fault.DROPPED, Fault.TRUNCATED}
        connection.close()
    server.faults = Faults()
    assert call(server, "/v5/market/time")["retCode"] == 0


def test_many_clients_are_answered_at_once(server: Replay) -> None:
    replies: list[int] = []

    def ask() -> None:
        replies.extend(
            call(server, "/v5/market/tickers?category=linear")["retCode"] for _ in range(5)
        )

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert replies == [0] * 40


def test_a_port_in_use_is_named(server: Replay) -> None:
    port = int(server.url.rpartition(":")[2])
    with pytest.raises(ConfigError, match=f"Port {port} .* is in use"):
        Replay(server.markets, server.clock, port=port)
    with pytest.raises(ConfigError, match="cannot be used"):
        Replay(server.markets, server.clock, port=99_999)


def test_a_freed_port_can_be_taken_again() -> None:
    port = free_port()
    for _ in range(2):
        Replay(Listing.from_klines("a", [BTC]), Clock(NOW), port=port).close()


def test_a_folder_is_served_with_the_finest_candles_of_each_symbol(tmp_path: Path) -> None:
    store = Store(Paths(tmp_path), "bybit-linear")
    spot = Store(Paths(tmp_path), "binance-spot")
    store.add(BTC)
    store.add(BTC.resample(Interval.H1))
    spot.add(simulate("SUIUSDT", "15m", 300, seed=1, end_ms=NOW))
    folder = tmp_path / "vision_ai" / "klines"
    markets = Listing.from_folder(folder)
    assert list(markets.markets) == [("linear", "BTCUSDT"), ("spot", "SUIUSDT")]
    assert markets.markets["linear", "BTCUSDT"].klines.interval is Interval.M5
    assert markets.last_close_ms() == BTC.close_ms[-1]
    assert markets.source == Listing.from_folder(folder).source
    store.add(candles()[1])
    assert markets.source != Listing.from_folder(folder).source


def test_a_damaged_file_fails_its_own_symbol_only(tmp_path: Path) -> None:
    Store(Paths(tmp_path), "bybit-linear").add(BTC)
    folder = tmp_path / "vision_ai" / "klines"
    (folder / "bybit-linear_ETHUSDT_5m.parquet").write_bytes(b"damaged")
    with Replay(Listing.from_folder(folder), Clock(NOW, frozen=True)) as server:
        good = call(server, "/v5/market/kline?symbol=BTCUSDT&interval=15")
        assert good["retCode"] == 0
        listed = call(server, "/v5/market/tickers?category=linear")["result"]["list"]
        assert [row["symbol"] for row in listed] == ["BTCUSDT"]


def test_an_empty_folder_is_nothing_to_replay(tmp_path: Path) -> None:
    with pytest.raises(KlinesError, match="holds no candles"):
        Listing.from_folder(tmp_path)
    with pytest.raises(KlinesError, match="no folder"):
        Listing.from_folder(tmp_path / "absent")
