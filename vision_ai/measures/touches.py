"""Which came first, the target or the stop: geometry of candles around an entry price."""

from dataclasses import dataclass

import numpy as np

from vision_ai.domain import CLOSE, HIGH, LOW, OPEN, Floats, Verdict

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


def true_range(bars: Floats, candles: int = 14) -> float | None:
    """Mean true range of the newest candles, in price; None where history is too short.

    Args:
        bars: float (n, 5), consecutive candles, oldest first; `candles + 1` are needed, since a
            true range looks back to the close before it (Wilder 1978, plain mean).
        candles: how many ranges are averaged.
    """
    if len(bars) <= candles:
        return None
    newest = bars[-candles:]
    before = bars[-candles - 1 : -1, CLOSE]
    high = np.maximum(newest[:, HIGH], before)
    low = np.minimum(newest[:, LOW], before)
    return float((high - low).mean())
