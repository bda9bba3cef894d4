"""Bybit's endpoints, answered from a listing: pages and limits against plain filters."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.market.replays import NOW, candles
from vision_ai.domain import Interval
from vision_ai.market import wire
from vision_ai.market.replay import v5
from vision_ai.market.replay.listing import Listing
from vision_ai.market.simulate import simulate_many

BTC = candles()[0]
STEP = Interval.M5.ms
MARKETS = Listing.from_klines("a", candles())
MANY = Listing.from_klines(
    "a", simulate_many([f"A{n:02}USDT" for n in range(25)], "5m", 20, seed=1, end_ms=NOW)
)


def ask(
    path: str, markets: Listing = MARKETS, now_ms: int = NOW, **query: object
) -> dict[str, Any]:
    text = {name: str(value) for name, value in query.items()}
    reply = v5.answer(markets, f"/v5/market/{path}", text, now_ms)
    assert reply is not None
    return json.loads(json.dumps(reply))  # what travels is JSON


@settings(max_examples=60, deadline=None)
@given(
    st.none() | st.integers(NOW - 300 * STEP, NOW + 3 * STEP),
    st.none() | st.integers(NOW - 300 * STEP, NOW + 3 * STEP),
    st.none() | st.integers(0, 1500),
)
def test_a_page_is_a_filter_of_open_times(
    start: int | None, end: int | None, limit: int | None
) -> None:
    given_values = {"start": start, "end": end, "limit": limit}
    query = {name: value for name, value in given_values.items() if value is not None}
    rows = ask("kline", symbol="BTCUSDT", interval="5", **query)["result"]["list"]
    times = [
        ms
        for ms in BTC.open_ms.tolist()
        if ms <= NOW and (start is None or ms >= start) and (end is None or ms <= end)
    ]
    most = min(max(200 if limit is None else limit, 1), 1000)
    oldest_first = start is not None and end is None
    expected = times[:most] if oldest_first else times[-most:]
    assert [int(row[0]) for row in rows] == expected[::-1]


def test_a_page_read_by_the_client_is_what_is_stored() -> None:
    rows = ask("kline", symbol="BTCUSDT", interval="5", end=NOW - STEP, limit=50)["result"]["list"]
    assert wire.read_rows(rows, "BTCUSDT", Interval.M5).open_ms[-1] == NOW - STEP
    read = wire.read_rows(rows, "BTCUSDT", Interval.M5)
    assert read.bars[:, :4].tolist() == BTC.until(NOW)[-50:].bars[:, :4].tolist()


@given(st.integers(1, 40))
def test_pages_of_instruments_hold_each_market_once(limit: int) -> None:
    listed: list[str] = []
    cursor = ""
    for _ in range(26):
        result = ask("instruments-info", MANY, category="linear", limit=limit, cursor=cursor)[
            "result"
        ]
        assert len(result["list"]) <= limit
        listed += [row["symbol"] for row in result["list"]]
        cursor = result["nextPageCursor"]
        if not cursor:
            break
    assert listed == sorted(f"A{n:02}USDT" for n in range(25))


def test_the_time_is_the_replays_in_seconds_and_nanoseconds() -> None:
    reply = ask("time")
    assert reply["time"] == NOW
    assert reply["result"] == {"timeSecond": str(NOW // 1000), "timeNano": str(NOW * 1_000_000)}


@pytest.mark.parametrize(
    ("path", "query", "message"),
    [
        ("kline", {"category": "option"}, "Category is invalid"),
        ("kline", {"symbol": "BTCUSDT", "interval": "2"}, "Invalid period!"),
        ("kline", {"symbol": "BTCUSDT", "interval": "5", "start": "-1"}, "not a number"),
        ("kline", {"symbol": "BTCUSDT", "interval": "5", "end": "1e3"}, "not a number"),
        ("kline", {"symbol": "btcusdt", "interval": "5"}, "Not supported symbols"),
        ("kline", {"category": "spot", "symbol": "BTCUSDT", "interval": "5"}, "Not supported"),
        ("tickers", {}, "Category is invalid"),
        ("tickers", {"category": "inverse"}, "Category is invalid"),
        ("tickers", {"category": "linear", "symbol": "NOPEUSDT"}, "symbol invalid"),
        ("instruments-info", {"category": ""}, "Category is invalid"),
        ("instruments-info", {"category": "linear", "limit": "x"}, "not a number"),
        ("instruments-info", {"category": "linear", "limit": "0"}, "not a number"),
        ("instruments-info", {"category": "linear", "cursor": "page2"}, "not a number"),
        ("instruments-info", {"category": "linear", "symbol": "NOPEUSDT"}, "symbol invalid"),
    ],
    ids=str,
)
def test_each_bad_parameter_has_bybits_code_and_message(
    path: str, query: dict[str, str], message: str
) -> None:
    reply = ask(path, **query)
    assert reply["retCode"] == 10001
    assert message in reply["retMsg"]
    assert reply["time"] == NOW


@pytest.mark.parametrize("path", ["/v5/market/orderbook", "/v5/market/", "/v5", "/", ""])
def test_other_paths_have_no_answer(path: str) -> None:
    assert v5.answer(MARKETS, path, {}, NOW) is None


@given(st.dictionaries(
    st.sampled_from(["category", "symbol", "interval", "start", "end", "limit", "cursor"]),
    st.text(max_size=8) | st.sampled_from(["linear", "spot", "BTCUSDT", "5", "M", "99999999999"]),
))  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_whatever_is_asked_has_an_answer_in_bybits_form(query: dict[str, str]) -> None:
    for path in ("kline", "tickers", "instruments-info", "time"):
        reply = ask(path, **query)
        assert set(reply) == {"retCode", "retMsg", "result", "retExtInfo", "time"}
        assert reply["retCode"] in {0, 10001}
        assert (reply["retMsg"] == "OK") == (reply["retCode"] == 0)
