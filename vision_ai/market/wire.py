"""Bybit's v5 form of candles: newest first, every value a string.

Both ends of the wire are here, so that what the replay server writes is what the client reads.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np

from vision_ai.domain import Floats, Interval, Ints, Klines
from vision_ai.errors import ExchangeUnavailableError, KlinesError

PAGE = 1000
"""Most candles that Bybit puts into one reply."""


def damaged(what: str) -> ExchangeUnavailableError:
    """The error for a reply that arrived whole but cannot be true."""
    return ExchangeUnavailableError(f"The exchange sent a reply that makes no sense: {what}.")


def number(value: float) -> str:
    """Write a number as Bybit does: plain digits, no exponent, no trailing zeros.

    >>> number(17071.0), number(1e-8), number(0.1)
    ('17071', '0.00000001', '0.1')
    """
    text = repr(float(value))
    if "e" in text:
        text = np.format_float_positional(value, trim="-")
    return text.removesuffix(".0")


def write_rows(open_ms: Ints, bars: Floats, turnover: Floats) -> list[list[str]]:
    """Candles, oldest first, as the rows of a reply: newest first, strings, turnover last."""
    columns = [open_ms.tolist(), *bars.T.tolist(), turnover.tolist()]
    rows = zip(*(column[::-1] for column in columns), strict=True)
    return [[str(start), *(number(value) for value in values)] for start, *values in rows]


def read_rows(rows: Any, symbol: str, interval: Interval) -> Klines:
    """The candles of a reply, oldest first.

    >>> read_rows([["900000", "2", "3", "1", "2", "5", "10"]], "BTCUSDT", Interval.M15).bars
    array([[2., 3., 1., 2., 5.]])

    Raises:
        ExchangeUnavailableError: not rows of strings, not newest first, or no candles.
    """
    if not isinstance(rows, list):
        raise damaged(f"expected a list of candles, was {type(rows).__name__}")
    values = np.array([_cells(row) for row in rows]).reshape(-1, 6)[::-1]
    if not np.isfinite(values).all():
        raise damaged("a candle holds a value that is not a finite number")
    try:
        return Klines(symbol, interval, values[:, 0].astype(np.int64), values[:, 1:])
    except KlinesError as error:
        raise damaged(error.message.rstrip(".")) from error


def _cells(row: Any) -> list[float]:
    if not isinstance(row, list) or len(row) < 6:
        raise damaged(f"expected a candle of at least 6 values, was {row!r:.60}")
    try:
        return [float(cell) for cell in row[:6]]
    except (TypeError, ValueError) as error:
        raise damaged(f"a candle holds no number: {row!r:.60}") from error


def decimals(prices: Iterable[float]) -> int:
    """Digits after the point that the finest of these prices needs.

    >>> decimals([17071.5, 17086.25])
    2
    """
    return max((len(number(price).partition(".")[2]) for price in prices), default=0)
