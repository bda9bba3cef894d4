"""Where axes are marked and how prices are written, from 1e-8 to 1e8."""

import datetime as dt
import math

import numpy as np
from numpy.typing import NDArray

_STEPS = (1, 2, 2.5, 5, 10)
_HOURS = (1, 2, 3, 4, 6, 12, 24, 48)


def price_ticks(low: float, high: float, most: int) -> tuple[list[float], int]:
    """Round prices between low and high, and the decimals that tell them apart.

    >>> price_ticks(0.98, 1.31, 5)
    ([1.0, 1.1, 1.2, 1.3], 1)
    """
    rough = (high - low) / most
    power = math.floor(math.log10(rough))
    factor = next(f for f in _STEPS if f * 10.0**power >= rough * (1 - 1e-9))
    step = factor * 10.0**power
    decimals = max(0, -power + (1 if factor == 2.5 else 0) - (1 if factor == 10 else 0))
    first, last = math.ceil(low / step), math.floor(high / step)
    return [round(i * step, decimals) for i in range(first, last + 1)], decimals


def price_decimals(bars: NDArray[np.float64]) -> int:
    """Decimals that the prices of bars (n, 5) are quoted in, or enough to tell them apart.

    One wick of many times the price does not make the other candles look alike.

    >>> price_decimals(np.array([[0.5, 0.75, 0.25, 0.5, 9.0], [0.5, 1.5, 0.5, 1.0, 9.0]]))
    2
    """
    prices = bars[:, :4]
    spread = float(prices.max() - prices.min()) or float(prices.max())
    spread = min(spread, float(np.median(prices)))
    enough = max(0, 3 - math.floor(math.log10(spread)))
    for decimals in range(enough):
        if np.allclose(np.round(prices, decimals), prices, rtol=1e-9, atol=0):
            return decimals
    return enough


def price_text(price: float, decimals: int) -> str:
    """Write a price in full, never in scientific form.

    >>> price_text(1.25e-8, 10), price_text(1e8, 0)
    ('0.0000000125', '100,000,000')
    """
    return f"{price:,.{decimals}f}"


def short_text(amount: float) -> str:
    """Write an amount in at most five characters and a unit.

    >>> short_text(1_234_567), short_text(0.00012), short_text(950)
    ('1.23M', '0.00012', '950')
    """
    for unit, letter in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "K")):
        if amount >= unit:
            return f"{amount / unit:.3g}{letter}"
    if 0 < amount < 1e-6:
        return f"{amount:.1e}"
    return f"{amount:.3g}"


def time_ticks(open_ms: NDArray[np.int64], most: int) -> tuple[list[int], list[str]]:
    """Candles that open at round UTC hours, and their labels; the date is given at midnight."""
    hour = 3_600_000
    span = int(open_ms[-1] - open_ms[0]) / hour
    step = next((h for h in _HOURS if span / h <= most), _HOURS[-1])
    rows = np.flatnonzero(open_ms % (step * hour) == 0).tolist()
    return rows, [_time_text(int(open_ms[row])) for row in rows]


def _time_text(ms: int) -> str:
    when = dt.datetime.fromtimestamp(ms / 1000, dt.UTC)
    return when.strftime("%d %b") if when.hour == when.minute == 0 else when.strftime("%H:%M")
