"""What followed a chart: forward moves, and whether a target or a stop was touched first.

The only code that looks ahead. Nothing here may enter a label or a decision, which an import
contract holds for `labels` and `trader_decision`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vision_ai.domain import (
    CLOSE,
    HIGH,
    HORIZONS,
    LOW,
    OPEN,
    Floats,
    Ints,
    Klines,
    Outcomes,
    Verdict,
)
from vision_ai.measures.indicators import volatility

_EPSILON = 1e-9
"""A candle that reaches a level to the last digit has touched it, whatever floats say."""


@dataclass(frozen=True)
class Barriers:
    """A target and a stop around an entry.

    Attributes:
        entry: price that everything is measured from.
        sign: +1 where a rise is a gain, -1 where a fall is.
        target: gain that counts as success, a fraction of `entry`.
        stop: loss that counts as failure, a fraction of `entry`, positive.
    """

    entry: float
    sign: int
    target: float
    stop: float

    def gains(self, bars: Floats) -> tuple[Floats, Floats, Floats]:
        """Gain at the open, best gain and worst gain of each candle, fractions of the entry.

        Args:
            bars: float (n, 5), prices and volume.

        >>> import numpy as np
        >>> opened, best, worst = Barriers(100, -1, 0.02, 0.02).gains(
        ...     np.array([[100, 103, 99, 100, 1.0]]))
        >>> round(float(best[0]), 4), round(float(worst[0]), 4)
        (0.01, -0.03)
        """
        moves = self.sign * (bars[:, [OPEN, HIGH, LOW]] / self.entry - 1)
        return moves[:, 0], moves[:, 1:].max(axis=1), moves[:, 1:].min(axis=1)


def first_touch(bars: Floats, barriers: Barriers) -> tuple[Verdict, int]:
    """Name what was touched first and the row of the candle that touched it.

    A candle that opens beyond a level touched that level first. One that reaches both from
    between them is `ambiguous`: candles do not say in which order prices came.

    Args:
        bars: float (n, 5), consecutive candles.
        barriers: the two levels.

    Returns:
        The verdict and the deciding row; -1 where neither level was touched.

    >>> import numpy as np
    >>> first_touch(np.array([[100, 103, 97, 100, 1.0]]), Barriers(100, 1, 0.02, 0.02))
    ('ambiguous', 0)
    """
    opened, best, worst = barriers.gains(bars)
    at_target = best >= barriers.target - _EPSILON
    at_stop = worst <= -barriers.stop + _EPSILON
    rows = np.flatnonzero(at_target | at_stop)
    if not len(rows):
        return "neither", -1
    row = int(rows[0])
    if not at_stop[row] or opened[row] >= barriers.target - _EPSILON:
        return "target", row
    if not at_target[row] or opened[row] <= -barriers.stop + _EPSILON:
        return "stop", row
    return "ambiguous", row


def forward_outcomes(klines: Klines, ends: Ints) -> Outcomes:
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
    measured = [_moves_after(klines, rows, bars) for bars in spans]
    move, best, worst = (np.stack(part, axis=1) for part in zip(*measured, strict=True))
    lengths = np.array([horizon.ms for horizon in HORIZONS])
    complete = klines.close_ms[rows][:, None] + lengths
    return Outcomes(move, best, worst, volatility(klines.windows(rows)), complete)


def _moves_after(
    klines: Klines, rows: NDArray[np.int64], bars: int
) -> tuple[Floats, Floats, Floats]:
    move, best, worst = np.full((3, len(rows)), np.nan)
    # the horizon is complete where its last candle exists and no candle before it is missing
    last = rows + bars
    there = last < len(klines)
    elapsed = klines.open_ms[last[there]] - klines.open_ms[rows[there]]
    there[there] = elapsed == bars * klines.interval.ms
    # log moves from the window's last close to what the candles of the horizon reached
    ahead = klines.bars[rows[there, None] + np.arange(1, bars + 1)]
    start = klines.bars[rows[there], CLOSE]
    move[there] = np.log(ahead[:, -1, CLOSE] / start)
    best[there] = np.log(ahead[:, :, HIGH].max(axis=1) / start)
    worst[there] = np.log(ahead[:, :, LOW].min(axis=1) / start)
    return move, best, worst
