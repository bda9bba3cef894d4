"""What happened after a chart. Kept apart from the rule book: nothing here may enter a label."""

import math

import numpy as np
from numpy.typing import NDArray

from vision_ai.domain import CLOSE, HIGH, HORIZONS, LOW, Floats, Ints, Klines, Outcomes

NORMAL = math.sqrt(math.pi / 2)
"""Standard deviation of a normal value over its mean distance from zero."""


def outcomes(klines: Klines, ends: Ints) -> Outcomes:
    """Measure what followed the windows that end at the given rows.

    A horizon whose candles are not all there (too new, or a gap) is NaN; `complete_ms` says
    when it is known all the same.

    Args:
        klines: candles of one symbol.
        ends: rows at which windows end, each of them one of `klines.window_ends()`.

    Returns:
        Log moves, best and worst excursions from the last close, by horizon; and `scale`, the
        `volatility` of one candle inside the window.
    """
    rows = np.asarray(ends, np.int64)
    spans = [horizon.bars(klines.interval) for horizon in HORIZONS]
    measured = [_measure(klines, rows, bars) for bars in spans]
    move, best, worst = (np.stack(part, axis=1) for part in zip(*measured, strict=True))
    lengths = np.array([horizon.ms for horizon in HORIZONS])
    complete = klines.close_ms[rows][:, None] + lengths
    return Outcomes(move, best, worst, volatility(klines.windows(rows)), complete)


def volatility(bars: NDArray[np.float64]) -> Floats:
    """Expected size of one candle's log move inside windows (n, 96, 5), float (n,).

    The mean size of the log returns times sqrt(pi / 2), which equals the standard deviation of
    normal returns and is moved less by one freak candle.
    """
    closes = np.log(bars[:, :, CLOSE])
    return np.asarray(np.abs(np.diff(closes, axis=1)).mean(axis=1) * NORMAL)


def _measure(klines: Klines, rows: NDArray[np.int64], bars: int) -> tuple[Floats, Floats, Floats]:
    move, best, worst = np.full((3, len(rows)), np.nan)
    last = rows + bars
    there = last < len(klines)
    elapsed = klines.open_ms[last[there]] - klines.open_ms[rows[there]]
    there[there] = elapsed == bars * klines.interval.ms
    ahead = klines.bars[rows[there, None] + np.arange(1, bars + 1)]
    start = klines.bars[rows[there], CLOSE]
    move[there] = np.log(ahead[:, -1, CLOSE] / start)
    best[there] = np.log(ahead[:, :, HIGH].max(axis=1) / start)
    worst[there] = np.log(ahead[:, :, LOW].min(axis=1) / start)
    return move, best, worst
