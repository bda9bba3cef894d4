"""Random walks with quiet and wild spells, as candles: material for laws."""

import numpy as np

from vision_ai.domain import WINDOW, Interval, Klines


def bars_of(n: int, seed: int) -> np.ndarray:
    """Candles (n, 5) whose volatility and drift change every few dozen bars."""
    rng = np.random.default_rng(seed)
    spells = -(-n // 24)
    wild = np.repeat(rng.lognormal(-5.5, 0.6, spells), 24)[:n]
    drift = np.repeat(rng.normal(0, 0.4, spells), 24)[:n]
    close = 100 * np.exp(np.cumsum(wild * (rng.standard_t(4, n) * 0.7 + drift)))
    start = np.r_[100.0, close[:-1]] * np.exp(rng.normal(0, 1e-4, n))
    wick = np.exp(rng.exponential(0.5, (2, n)) * wild)
    high, low = np.maximum(start, close) * wick[0], np.minimum(start, close) / wick[1]
    volume = rng.lognormal(5, 0.6, n) * (1 + 80 * np.abs(np.log(close / start)))
    return np.stack([start, high, low, close, volume], axis=1)


def walks(n: int, seed: int) -> np.ndarray:
    """Windows (n, WINDOW, 5), each its own walk."""
    return bars_of(n * WINDOW, seed).reshape(n, WINDOW, 5)


def klines_of(n: int, seed: int, interval: Interval = Interval.M15) -> Klines:
    """One walk as candles of a symbol."""
    return Klines("TESTUSDT", interval, np.arange(n) * interval.ms, bars_of(n, seed))
