"""Bybit's v5 market endpoints, answered from a listing: pure, no network, no clock of its own."""

from typing import Any

import numpy as np

from vision_ai.market import wire
from vision_ai.market.replay import listing
from vision_ai.market.replay.listing import Candles, Listing

Query = dict[str, str]
Reply = dict[str, Any]

CATEGORIES = ("linear", "spot")
DEFAULT_LIMIT = 200


def answer(markets: Listing, path: str, query: Query, now_ms: int) -> Reply | None:
    """The reply that Bybit would send at `now_ms`; None for a path that it does not have."""
    endpoints = {
        "/v5/market/time": _time,
        "/v5/market/kline": _kline,
        "/v5/market/tickers": _tickers,
        "/v5/market/instruments-info": _instruments,
    }
    endpoint = endpoints.get(path)
    return endpoint(markets, query, now_ms) if endpoint else None


def envelope(result: dict[str, Any], now_ms: int, code: int = 0, message: str = "OK") -> Reply:
    """A reply in Bybit's wrapping."""
    return {
        "retCode": code,
        "retMsg": message,
        "result": result,
        "retExtInfo": {},
        "time": now_ms,
    }


def _time(_: Listing, __: Query, now_ms: int) -> Reply:
    result = {"timeSecond": str(now_ms // 1000), "timeNano": str(now_ms * 1_000_000)}
    return envelope(result, now_ms)


def _kline(markets: Listing, query: Query, now_ms: int) -> Reply:
    category, interval = query.get("category", "linear"), query.get("interval", "")
    symbol = query.get("symbol", "")
    start, end = _integer(query, "start"), _integer(query, "end")
    limit = _integer(query, "limit", DEFAULT_LIMIT)
    market = markets.market(category, symbol, now_ms)
    if category not in CATEGORIES:
        return _params("params error: Category is invalid", now_ms)
    if interval not in listing.INTERVALS:
        return _params("Invalid period!", now_ms)
    if limit is None or start is _NOT_A_NUMBER or end is _NOT_A_NUMBER or limit is _NOT_A_NUMBER:
        return _params("params error: not a number", now_ms)
    if market is None:
        return _params("Not supported symbols", now_ms)
    candles = _between(market.candles(interval, now_ms), start, end, min(max(limit, 1), wire.PAGE))
    rows = wire.write_rows(candles.open_ms, candles.bars, candles.turnover)
    return envelope({"category": category, "symbol": symbol, "list": rows}, now_ms)


def _between(candles: Candles, start: int | None, end: int | None, limit: int) -> Candles:
    """The newest candles of the span; the oldest where only a start is given, as on Bybit."""
    first = 0 if start is None else int(np.searchsorted(candles.open_ms, start))
    after = len(candles) if end is None else int(np.searchsorted(candles.open_ms, end, "right"))
    if start is not None and end is None:
        return candles.take(slice(first, first + limit))
    return candles.take(slice(max(first, after - limit), max(first, after)))


def _tickers(markets: Listing, query: Query, now_ms: int) -> Reply:
    category, symbol = query.get("category", ""), query.get("symbol", "")
    if category not in CATEGORIES:
        return _params("params error: Category is invalid", now_ms)
    markets_shown = [m for m in markets.open_markets(category, now_ms) if symbol in {"", m.symbol}]
    if symbol and not markets_shown:
        return _params("params error: symbol invalid", now_ms)
    rows = [listing.ticker(market, now_ms) for market in markets_shown]
    return envelope({"category": category, "list": rows}, now_ms)


def _instruments(markets: Listing, query: Query, now_ms: int) -> Reply:
    category, symbol = query.get("category", ""), query.get("symbol", "")
    limit, cursor = _integer(query, "limit", 500), _integer(query, "cursor", 0)
    if category not in CATEGORIES:
        return _params("params error: Category is invalid", now_ms)
    if not limit or cursor is None or limit is _NOT_A_NUMBER or cursor is _NOT_A_NUMBER:
        return _params("params error: not a number", now_ms)
    markets_shown = [m for m in markets.open_markets(category, now_ms) if symbol in {"", m.symbol}]
    empty = {"category": "", "list": [], "nextPageCursor": ""}
    if symbol and not markets_shown and category != "spot":
        return _params("params error: symbol invalid", now_ms, empty)
    after = cursor + min(max(limit, 1), wire.PAGE)
    rows = [listing.instrument(market, now_ms) for market in markets_shown[cursor:after]]
    more = str(after) if after < len(markets_shown) and category != "spot" else ""
    return envelope({"category": category, "list": rows, "nextPageCursor": more}, now_ms)


_NOT_A_NUMBER = -1


def _integer(query: Query, name: str, default: int | None = None) -> int | None:
    text = query.get(name, "")
    if not text:
        return default
    return int(text) if text.isdecimal() and len(text) <= 18 else _NOT_A_NUMBER


def _params(message: str, now_ms: int, result: dict[str, Any] | None = None) -> Reply:
    return envelope(result or {}, now_ms, 10001, message)
