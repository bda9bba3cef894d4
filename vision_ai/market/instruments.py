"""What an exchange lists: instruments and tickers, read from Bybit's v5 replies."""

import difflib
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from vision_ai.domain import parse_symbol
from vision_ai.errors import SymbolError
from vision_ai.market.wire import damaged


@dataclass(frozen=True)
class Instrument:
    """One market that can be traded, and the smallest step of its price."""

    symbol: str
    status: str
    quote: str
    contract: str
    tick: float

    @property
    def is_usdt_market(self) -> bool:
        """Open for trading, quoted in USDT, and without an expiry date."""
        endless = self.contract in {"LinearPerpetual", ""}
        return self.status == "Trading" and self.quote == "USDT" and endless


def bybit_host(host: str) -> str:
    """Name Bybit's own hosts as a source of candles; empty for any other host.

    >>> bybit_host("api.bybit.com"), bybit_host("api-testnet.bybit.com"), bybit_host("127.0.0.1")
    ('bybit', 'bybit-testnet', '')
    """
    service, _, domain = host.lower().partition(".")
    if domain.partition(".")[0] not in {"bybit", "bytick", "bybit-tr"}:
        return ""
    return {"api": "bybit", "api-demo": "bybit"}.get(service, f"bybit-{service[4:] or service}")


def read_result(reply: Any) -> dict[str, Any]:
    """The `result` of a v5 reply that says it went well.

    Raises:
        ExchangeUnavailableError: the reply has another shape.
    """
    if not isinstance(reply, dict) or reply.get("retCode") != 0:
        raise damaged(f"expected a reply with retCode 0, was {reply!r:.60}")
    result = reply.get("result")
    if not isinstance(result, dict):
        raise damaged(f"expected a result, was {type(result).__name__}")
    return result


def read_instruments(reply: Any) -> tuple[dict[str, Instrument], str]:
    """Instruments of one page by symbol, and the cursor of the next page ('' at the end).

    Raises:
        ExchangeUnavailableError: the reply has another shape.
    """
    result = read_result(reply)
    cursor = result.get("nextPageCursor", "")
    if not isinstance(cursor, str):
        raise damaged(f"expected a cursor of text, was {cursor!r:.40}")
    return {row["symbol"]: _instrument(row) for row in _rows(result)}, cursor


def read_turnover(reply: Any) -> dict[str, float]:
    """Turnover of the last 24 hours in quote currency, by symbol; odd numbers count as 0.

    Raises:
        ExchangeUnavailableError: the reply has another shape.
    """
    return {row["symbol"]: _float(row.get("turnover24h")) for row in _rows(read_result(reply))}


def suggest(symbol: str, listed: Iterable[str]) -> str:
    """A hint that names the listed symbols nearest to one that is not."""
    names = list(listed)
    close = [name for name in names if name.endswith(symbol)][:1]
    close += [name for name in (f"{symbol}USDT",) if name in names]
    close += difflib.get_close_matches(symbol, names, n=2)
    unique = list(dict.fromkeys(close))[:3]
    return f"Did you mean {' or '.join(unique)}?" if unique else "Check the spelling."


def _rows(result: dict[str, Any]) -> list[dict[str, Any]]:
    rows = result.get("list")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise damaged("expected a list of markets")
    return [row for row in rows if _is_plain(row.get("symbol"))]


def _is_plain(symbol: Any) -> bool:
    try:
        return isinstance(symbol, str) and parse_symbol(symbol) == symbol
    except SymbolError:
        return False


def _instrument(row: dict[str, Any]) -> Instrument:
    price = row.get("priceFilter")
    return Instrument(
        symbol=row["symbol"],
        status=str(row.get("status", "")),
        quote=str(row.get("quoteCoin", "")),
        contract=str(row.get("contractType", "")),
        tick=_float(price.get("tickSize") if isinstance(price, dict) else None),
    )


def _float(value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return 0.0
    return number if math.isfinite(number) else 0.0
