"""Seeded candles for chart tests."""

import numpy as np
from numpy.typing import NDArray

from vision_ai.domain import Interval, Klines

START_MS = 1_750_000_500_000


def walk(n: int, seed: int, *, price: float = 100.0, step: float = 0.004) -> NDArray[np.float64]:
    """Bars (n, 5) of a random walk whose candles open where the one before closed."""
    rng = np.random.default_rng(seed)
    path = np.cumsum(rng.normal(0, step, n + 1))
    opens, closes = path[:-1], path[1:]
    highs = np.maximum(opens, closes) + np.abs(rng.normal(0, step / 2, n))
    lows = np.minimum(opens, closes) - np.abs(rng.normal(0, step / 2, n))
    prices = np.exp(np.stack([opens, highs, lows, closes], axis=1)) * price
    return np.column_stack([prices, rng.lognormal(3, 1, n)])


def windows(n: int, seed: int, **options: float) -> NDArray[np.float64]:
    """Bars (n, 96, 5) of n walks."""
    return np.stack([walk(96, seed * 1000 + i, **options) for i in range(n)])


def klines(n: int = 96, seed: int = 0, symbol: str = "BTCUSDT", **options: float) -> Klines:
    """A walk as 15m candles."""
    times = START_MS + np.arange(n) * Interval.M15.ms
    return Klines(symbol, Interval.M15, times, walk(n, seed, **options))


def mirrored(bars: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same windows with log price negated."""
    flipped = bars.copy()
    flipped[..., :4] = 1 / bars[..., [0, 2, 1, 3]]
    return flipped
