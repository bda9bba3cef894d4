"""Candles that never traded: a seeded market for demos and tests, clearly called simulated.

The market drifts through regimes (ranges, trends, quiet, storms) whose volatility and drift
differ; within a candle the price takes small heavy-tailed steps, so wicks come by themselves.
As on Bybit, a candle opens where the one before it closed, and volume grows with the range.
"""

import math
import zlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from vision_ai.domain import Interval, Klines, parse_symbol
from vision_ai.errors import KlinesError

STEPS = 12
"""Price steps within a candle."""

LEVELS = {"BTCUSDT": 60_000.0, "ETHUSDT": 3_000.0, "SOLUSDT": 150.0, "XRPUSDT": 0.5}
"""Where well-known symbols begin; any other begins somewhere between 0.01 and 1000."""

DAILY_VOLATILITY = 0.03
"""Standard deviation of a day's log return in an average regime."""

# drift (in volatilities a day), volatility (times average), pull back to an anchor, mean days
REGIMES = np.array(
    [
        (0.0, 0.7, 0.06, 1.5),  # range
        (1.4, 0.9, 0.0, 1.2),  # rise
        (-1.4, 1.0, 0.0, 1.0),  # fall
        (0.0, 0.35, 0.03, 0.8),  # quiet
        (0.0, 2.2, 0.0, 0.3),  # storm
    ]
)


def simulate(symbol: str, interval: Interval | str, n: int, *, seed: int, end_ms: int) -> Klines:
    """Make `n` candles without gaps, the last of which closes at or before `end_ms`.

    The same arguments make the same candles. Prices have five significant digits.

    Raises:
        SymbolError: the symbol is not valid.
        KlinesError: n is negative, or the candles would begin before 1970.
    """
    symbol, interval = parse_symbol(symbol), Interval(interval)
    end = end_ms // interval.ms * interval.ms
    if n < 0 or end < n * interval.ms:
        raise KlinesError(f"Cannot simulate {n} candles of {interval} until {end_ms} ms.")
    rng = np.random.default_rng([seed, zlib.crc32(symbol.encode())])
    first = LEVELS.get(symbol) or math.exp(rng.uniform(math.log(0.01), math.log(1000)))
    path = _path(rng, n, interval.ms / 86_400_000)
    open_ms = end - interval.ms * np.arange(n, 0, -1, dtype=np.int64)
    return Klines(symbol, interval, open_ms, _bars(rng, path, first, open_ms))


def simulate_many(
    symbols: Iterable[str], interval: Interval | str, n: int, *, seed: int, end_ms: int
) -> list[Klines]:
    """`simulate` for each symbol; symbols move apart from each other."""
    return [simulate(symbol, interval, n, seed=seed, end_ms=end_ms) for symbol in symbols]


def _path(rng: np.random.Generator, n: int, days: float) -> NDArray[np.float64]:
    """Log price from 0: (n, STEPS + 1), each row begins where the one before it ends."""
    drift, scale, pull = _regimes(rng, n, days).T
    step = DAILY_VOLATILITY * math.sqrt(days / STEPS)
    # Student t with 4 degrees of freedom has variance 2
    noise = rng.standard_t(4, (n, STEPS)) / math.sqrt(2) * step * scale[:, None]
    noise += (drift * DAILY_VOLATILITY * days / STEPS)[:, None]
    inner = np.cumsum(noise, axis=1)
    path = np.empty((n, STEPS + 1))
    level = anchor = 0.0
    for row in range(n):
        pulled = pull[row] * (anchor - level)
        path[row, 0] = level
        path[row, 1:] = level + inner[row] + pulled * np.linspace(1 / STEPS, 1, STEPS)
        level = path[row, -1]
        anchor = anchor if pull[row] else level
    return path


def _regimes(rng: np.random.Generator, n: int, days: float) -> NDArray[np.float64]:
    """Drift, volatility and pull of each candle: (n, 3)."""
    rows: list[int] = []
    regime = 0
    while len(rows) < n:
        length = 1 + round(rng.exponential(REGIMES[regime, 3]) / days)
        rows += [regime] * min(length, n - len(rows))
        others = [r for r in range(len(REGIMES)) if r != regime]
        regime = int(rng.choice(others))
    return REGIMES[rows, :3].reshape(-1, 3)


def _bars(
    rng: np.random.Generator,
    path: NDArray[np.float64],
    first: float,
    open_ms: NDArray[np.int64],
) -> NDArray[np.float64]:
    prices = _round_to_tick(first * np.exp(path), first)
    high, low = prices.max(axis=1), prices.min(axis=1)
    span = np.log(high / low) / DAILY_VOLATILITY
    hour = open_ms % 86_400_000 / 3_600_000
    busy = 1 + 0.4 * np.sin((hour - 9) / 24 * 2 * np.pi)  # Europe and America are awake
    volume = 1e6 / first * busy * (0.1 + span) * rng.lognormal(0, 0.35, len(path))
    return np.column_stack([prices[:, 0], high, low, prices[:, -1], np.round(volume, 3)])


def _round_to_tick(prices: NDArray[np.float64], first: float) -> NDArray[np.float64]:
    """Round to a tick of five significant digits of the first price, never to nothing."""
    digits = 4 - math.floor(math.log10(first))
    return np.maximum(np.round(prices, digits), 10.0**-digits)
