"""The exchange client: the real pybit client over a real socket against the replay server."""

import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import ClassVar

import numpy as np
import pytest

from tests.market.replays import (
    NOW,
    SYMBOLS,
    break_replies,
    candles,
    client,
    free_port,
    replay,
    with_gap,
)
from vision_ai.config import MarketConfig
from vision_ai.domain import Interval, Klines
from vision_ai.errors import (
    ExchangeUnavailableError,
    RateLimitedError,
    SymbolError,
    TransientError,
)
from vision_ai.market.bybit import Bybit, KlineRequest
from vision_ai.market.replay.faults import ALL, Fault
from vision_ai.market.replay.listing import Listing
from vision_ai.market.replay.server import Clock, Replay

M15 = Interval.M15


def start(bars: int, interval: Interval = M15) -> int:
    return NOW - bars * interval.ms


def same(a: Klines, b: Klines) -> bool:
    prices = np.array_equal(a.bars[:, :4], b.bars[:, :4])
    return prices and np.array_equal(a.open_ms, b.open_ms) and np.allclose(a.bars, b.bars)


def stored(symbol: str, interval: Interval, bars: int) -> Klines:
    source = next(k for k in candles() if k.symbol == symbol)
    closed = source.resample(interval).until(NOW)
    return closed[int(np.searchsorted(closed.open_ms, NOW - bars * interval.ms)) :]


def test_more_than_a_page_of_candles_comes_whole_and_in_order() -> None:
    with replay() as server, client(server) as exchange:
        klines = exchange.klines("BTCUSDT", M15, start(2500), NOW)
        assert len(klines) == 2500
        assert same(klines, stored("BTCUSDT", M15, 2500))
        assert server.counts.as_dict()["klines"] == {"BTCUSDT 15": 3}


def test_exactly_one_page_needs_one_more_look_only_beyond_its_start() -> None:
    with replay() as server, client(server) as exchange:
        assert len(exchange.klines("BTCUSDT", M15, start(1000), NOW)) == 1000
        assert server.counts.as_dict()["klines"] == {"BTCUSDT 15": 1}


@pytest.mark.parametrize("interval", list(Interval))
def test_every_interval_that_is_stored_finely_enough_can_be_fetched(interval: Interval) -> None:
    with replay() as server, client(server) as exchange:
        klines = exchange.klines("ETHUSDT", interval, start(30, Interval.H1), NOW)
        expected = 0 if interval is Interval.M1 else 30 * Interval.H1.ms // interval.ms
        assert abs(len(klines) - expected) <= 1


def test_a_candle_is_closed_by_the_exchanges_clock_not_ours() -> None:
    for offset_ms, newest in ((-1, NOW - 2 * M15.ms), (0, NOW - M15.ms), (1, NOW - M15.ms)):
        with replay(now_ms=NOW + offset_ms) as server, client(server) as exchange:
            klines = exchange.klines("BTCUSDT", M15, start(10), NOW + 10 * M15.ms)
            assert klines.open_ms[-1] == newest


def test_gaps_stay_gaps() -> None:
    holed = with_gap(candles()[0], 8000, 8100)
    with replay(holed) as server, client(server) as exchange:
        klines = exchange.klines("BTCUSDT", Interval.M5, start(9000, Interval.M5), NOW)
        assert klines.gaps() == holed.until(NOW).gaps()
        assert len(klines.gaps()) == 1


def test_history_before_the_listing_costs_no_further_pages() -> None:
    with replay() as server, client(server) as exchange:
        klines = exchange.klines("BTCUSDT", M15, start(100_000), NOW)
        assert same(klines, stored("BTCUSDT", M15, 100_000))
        assert server.counts.as_dict()["klines"]["BTCUSDT 15"] == 3


def test_server_time_is_the_exchanges() -> None:
    with replay() as server, client(server) as exchange:
        assert exchange.server_time() == NOW


def test_a_clock_set_back_hides_what_was_closed_before() -> None:
    with replay() as server, client(server) as exchange:
        exchange.server_time()
        server.clock.set(NOW - 3 * M15.ms)
        klines = exchange.klines("BTCUSDT", M15, start(10), NOW)
        assert klines.close_ms[-1] == NOW - 3 * M15.ms


def test_the_universe_is_ranked_by_turnover() -> None:
    with replay() as server, client(server) as exchange:
        ranked = exchange.universe()
        assert sorted(ranked) == sorted(SYMBOLS)
        day = {
            k.symbol: float(
                (k.bars[:, 4] * k.bars[:, :4].mean(1))[k.open_ms >= NOW - 86_400_000][:288].sum()
            )
            for k in candles()
        }
        assert ranked == sorted(day, key=lambda s: -day[s])
        assert exchange.universe(2) == ranked[:2]


def test_spot_is_another_market() -> None:
    with replay(category="spot") as server:
        with client(server, category="spot") as exchange:
            assert len(exchange.universe()) == 3
            assert len(exchange.klines("BTCUSDT", M15, start(5), NOW)) == 5
        with client(server) as exchange:
            assert exchange.universe() == []
            with pytest.raises(SymbolError):
                exchange.klines("BTCUSDT", M15, start(5), NOW)


def test_an_unknown_symbol_is_named_and_not_asked_for_again() -> None:
    with replay() as server, client(server) as exchange:
        with pytest.raises(SymbolError, match="does not list BTCUSD ") as caught:
            exchange.klines("BTCUSD", M15, start(5), NOW)
        assert "BTCUSDT" in caught.value.hint
        assert server.counts.as_dict()["klines"] == {"BTCUSD 15": 1}


@pytest.mark.parametrize("symbol", ["../../x", "BTC USDT", "", "B" * 300, "BTC&limit=1"])
def test_a_hostile_symbol_never_reaches_the_exchange(symbol: str) -> None:
    with replay() as server, client(server) as exchange:
        with pytest.raises(SymbolError):
            exchange.klines(symbol, M15, start(5), NOW)
        assert server.counts.as_dict()["total"] == 0


@pytest.mark.parametrize("fault", ALL)
def test_every_fault_that_passes_is_survived(fault: Fault) -> None:
    with replay() as server, client(server, attempts=20) as exchange:
        break_replies(server, fault, rate=0.5)
        klines = exchange.klines("BTCUSDT", M15, start(2500), NOW)
        assert same(klines, stored("BTCUSDT", M15, 2500))


@pytest.mark.parametrize("fault", [f for f in ALL if f is not Fault.SLOW])
def test_every_fault_that_stays_ends_in_one_clear_sentence(fault: Fault) -> None:
    with replay() as server, client(server, attempts=2) as exchange:
        break_replies(server, fault)
        with pytest.raises(TransientError, match="after all retries") as caught:
            exchange.klines("BTCUSDT", M15, start(5), NOW)
        limited = fault.value in {"10006", "10006-past", "10006-bare", "429"}
        assert isinstance(caught.value, RateLimitedError) is limited
        assert caught.value.exit_code == 4
        assert caught.value.hint


def test_a_reply_slower_than_the_timeout_is_asked_for_again() -> None:
    with replay() as server, client(server, timeout_s=0.02, attempts=20) as exchange:
        break_replies(server, Fault.SLOW, rate=0.5)
        assert len(exchange.klines("BTCUSDT", M15, start(5), NOW)) == 5


def test_a_scan_ends_complete_with_every_fault_at_a_fifth() -> None:
    with replay() as server, client(server, attempts=8) as exchange:
        break_replies(server, rate=0.2)
        requests = [KlineRequest(s, M15, start(n), NOW) for s in SYMBOLS for n in range(5, 35)]
        for request, klines in exchange.fetch_many(requests).items():
            assert isinstance(klines, Klines)
            bars = (NOW - request.start_ms) // M15.ms
            assert same(klines, stored(request.symbol, M15, bars))
        assert sum(server.counts.as_dict()["faults"].values()) > 10


def test_one_bad_symbol_loses_nothing_of_the_others() -> None:
    with replay() as server, client(server) as exchange:
        requests = [KlineRequest(s, M15, start(5), NOW) for s in (*SYMBOLS, "NOPEUSDT", "x y")]
        found = exchange.fetch_many(requests)
        assert list(found) == requests
        assert [isinstance(k, Klines) for k in found.values()] == [True] * 3 + [False] * 2
        assert all(isinstance(found[r], SymbolError) for r in requests[3:])


def test_403_stops_every_further_request_for_ten_minutes() -> None:
    with replay() as server, client(server) as exchange:
        break_replies(server, Fault.FORBIDDEN)
        for _ in range(3):
            with pytest.raises(RateLimitedError, match="403") as caught:
                exchange.server_time()
            assert "10 minutes" in caught.value.hint
        assert server.counts.as_dict()["total"] == 1


def test_a_named_reset_time_is_waited_for() -> None:
    waits: list[float] = []
    with replay() as server:
        quick = MarketConfig(base_url=server.url, backoff_s=0.0, attempts=4)
        break_replies(server, Fault.RATE_LIMIT)
        with Bybit(quick, sleep=waits.append) as exchange, pytest.raises(RateLimitedError):
            exchange.server_time()
    assert len([wait for wait in waits if wait > 0.1]) == 3


@pytest.mark.parametrize("fault", [Fault.RATE_LIMIT_PAST, Fault.RATE_LIMIT_BARE])
def test_without_a_future_reset_time_the_own_backoff_rules(fault: Fault) -> None:
    waits: list[float] = []
    with replay() as server:
        quick = MarketConfig(base_url=server.url, backoff_s=1.0, attempts=4)
        break_replies(server, fault)
        with Bybit(quick, sleep=waits.append) as exchange, pytest.raises(RateLimitedError):
            exchange.server_time()
    backoff = [wait for wait in waits if wait > 0.1]
    assert all(2**n / 2 <= wait <= 2**n for n, wait in enumerate(backoff))
    assert len(backoff) == 3


def test_an_exchange_that_is_down_is_given_up_quickly_for_many_symbols() -> None:
    now = [0.0]
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        now[0] += seconds

    down = MarketConfig(base_url=f"http://127.0.0.1:{free_port()}", attempts=3, workers=1)
    with Bybit(down, clock=lambda: now[0], sleep=sleep) as exchange:
        found = exchange.fetch_many(
            [KlineRequest(f"A{i}USDT", M15, start(5), NOW) for i in range(50)]
        )
        assert all(isinstance(error, ExchangeUnavailableError) for error in found.values())
    assert len([wait for wait in waits if wait > 0.1]) == 6


def test_requests_of_all_threads_are_paced() -> None:
    begun = time.monotonic()
    with replay() as server, client(server, workers=8) as exchange:
        exchange.server_time()
        requests = [KlineRequest("BTCUSDT", M15, start(n), NOW) for n in range(1, 31)]
        exchange.fetch_many(requests)
    assert time.monotonic() - begun >= 30 / 60


def test_candles_of_another_origin_have_another_venue() -> None:
    with replay() as server, client(server) as exchange:
        assert exchange.venue() == "simulated-7-linear"
    markets = Listing.from_klines("bybit", candles())
    with Replay(markets, Clock(NOW)) as impostor, client(impostor) as exchange:
        assert exchange.venue() == "replay-bybit-linear"
    with Bybit(MarketConfig()) as exchange:
        assert exchange.venue() == "bybit-linear"
    with Bybit(MarketConfig(base_url="https://api-testnet.bybit.com", category="spot")) as testnet:
        assert testnet.venue() == "bybit-testnet-spot"


class Odd(BaseHTTPRequestHandler):
    """Tells the time, and answers every other request with the same body."""

    body: ClassVar[bytes] = b""

    def do_GET(self) -> None:
        body = ok("{}") if self.path.endswith("/time") else self.body
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


def ok(result: str, time_ms: str = str(NOW)) -> bytes:
    return b'{"retCode":0,"retMsg":"OK","result":%s,"time":%s}' % (
        result.encode(),
        time_ms.encode(),
    )


def rows(*cells: str) -> bytes:
    return ok(f'{{"symbol":"BTCUSDT","list":[[{"],[".join(cells)}]]}}')


ROW = f'"{NOW - M15.ms}","2","3","1","2","5","10"'
BEFORE = f'"{NOW - 2 * M15.ms}","2","3","1","2","5","10"'


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"5",
        b'"text"',
        b"[]",
        b"{}",
        b'{"retCode":7}',
        b'{"retCode":[1],"retMsg":"x"}',
        b'{"retCode":"0","result":{}}',
        b"[" * 100_000,
        b"\xff\xfe\x00",
        ok("null"),
        ok("[]"),
        ok('{"symbol":"BTCUSDT"}'),
        ok('{"symbol":"BTCUSDT","list":{}}'),
        ok('{"symbol":"ETHUSDT","list":[]}'),
        ok('{"symbol":"BTCUSDT","list":[]}', '"yesterday"'),
        ok('{"symbol":"BTCUSDT","list":[]}', "-5"),
        ok('{"symbol":"BTCUSDT","list":[]}', "9" * 30),
        rows('"1"'),
        rows("null"),
        rows(BEFORE, ROW),
        rows(ROW, ROW),
        rows(ROW.replace('"3"', '"NaN"')),
        rows(ROW.replace('"3"', '"inf"')),
        rows(ROW.replace('"3"', '"0.5"')),
        rows(ROW.replace('"3"', "null")),
        rows(ROW.replace('"2"', '"-2"')),
        rows(ROW.replace('"5"', '"-5"')),
        rows(ROW.replace(str(NOW - M15.ms), str(NOW - M15.ms + 1))),
        rows(ROW.replace(str(NOW - M15.ms), str(NOW + 10 * M15.ms))),
        rows(ROW.replace(str(NOW - M15.ms), "1e400")),
    ],
)
def test_nonsense_is_never_taken_for_candles(body: bytes) -> None:
    handler = type("Handler", (Odd,), {"body": body})
    server = HTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    odd = MarketConfig(
        base_url=f"http://127.0.0.1:{server.server_port}", attempts=2, backoff_s=0.001
    )
    try:
        with Bybit(odd) as exchange, pytest.raises(ExchangeUnavailableError, match="get_kline"):
            exchange.klines("BTCUSDT", M15, start(5), NOW)
    finally:
        server.shutdown()
        server.server_close()
