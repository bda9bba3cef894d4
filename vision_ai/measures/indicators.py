"""What candles show, measured on closed candles alone: true range and volatility."""

import math

import numpy as np

from vision_ai.domain import CLOSE, HIGH, LOW, Floats

ATR_CANDLES = 14
"""Candles whose true ranges are averaged, as Wilder (1978) has it."""

NORMAL_STD_PER_MEAN_ABS = math.sqrt(math.pi / 2)
"""Standard deviation of a normal value over its mean distance from zero."""


def true_ranges(high: Floats, low: Floats, close: Floats) -> Floats:
    """Range of each candle, widened to the close before it (Wilder 1978); along the last axis.

    The first candle has no close before it: its range is its own.

    >>> true_ranges(np.array([3.0, 6.0]), np.array([2.0, 5.0]), np.array([2.5, 5.5])).tolist()
    [1.0, 3.5]
    """
    top, bottom = high.copy(), low.copy()
    np.maximum(top[..., 1:], close[..., :-1], out=top[..., 1:])
    np.minimum(bottom[..., 1:], close[..., :-1], out=bottom[..., 1:])
    ranges: Floats = top - bottom
    return ranges


def average_true_range(bars: Floats, candles: int = ATR_CANDLES) -> float | None:
    """Plain mean of the newest candles' true ranges, in the unit of the prices (ATR).

    Args:
        bars: float (n, 4 or 5), open, high, low, close of consecutive candles, oldest first.
        candles: how many ranges are averaged; one candle more is needed, for the close before.

    Returns:
        The mean; None where there are too few candles.

    >>> average_true_range(np.array([[1, 1, 1, 1.0], [1, 3, 1, 2], [4, 5, 4, 4]]), candles=2)
    2.5
    """
    if len(bars) <= candles:
        return None
    newest = bars[-candles - 1 :]
    ranges = true_ranges(newest[:, HIGH], newest[:, LOW], newest[:, CLOSE])
    return float(ranges[1:].mean())


def volatility(bars: Floats) -> Floats:
    """Expected size of one candle's log move inside windows (n, 96, 5), float (n,).

    The mean size of the log returns times sqrt(pi / 2), which equals the standard deviation of
    normal returns and is moved less by one freak candle.
    """
    closes = np.log(bars[:, :, CLOSE])
    return np.asarray(np.abs(np.diff(closes, axis=1)).mean(axis=1) * NORMAL_STD_PER_MEAN_ABS)
