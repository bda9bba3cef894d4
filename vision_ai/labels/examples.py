"""Hand-drawn charts of every setup and phase, in long form; the mirrors are the short ones.

A chart is a path of closes in steps of about one ATR, with a small zigzag and wicks. They
are the worked pictures of `docs/setups.md`, and no training data.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from vision_ai.domain import (
    CLOSE,
    HIGH,
    LOW,
    OPEN,
    VOLUME,
    WINDOW,
    Direction,
    Phase,
    Reading,
    Setup,
)

Array = NDArray[np.float64]

STEP = 0.004
"""Log distance of one unit of a path: about one ATR."""

SWING = 1.6
"""Half the height of the drawn boxes."""


def candles(path: Array, loud: Mapping[int, float] | None = None) -> Array:
    """Candles (WINDOW, 5) of a path; `loud` gives the volume of bars counted from the last."""
    rng = np.random.default_rng(5)
    zigzag = np.where(np.arange(WINDOW) % 2, 0.2, -0.2) + rng.normal(0, 0.15, WINDOW)
    close = 100 * np.exp((path + zigzag) * STEP)
    start = np.r_[close[0], close[:-1]]
    wick = np.exp(rng.uniform(0.05, 0.5, (2, WINDOW)) * STEP)
    volume = rng.uniform(70, 130, WINDOW)
    for age, size in (loud or {}).items():
        volume[-1 - age] *= size
    high, low = np.maximum(start, close) * wick[0], np.minimum(start, close) / wick[1]
    return np.stack([start, high, low, close, volume], axis=1)


def mirrored(bars: Array) -> Array:
    """The same candles upside down: log price negated, volume kept."""
    turned = bars.copy()
    turned[..., :VOLUME] = 1e4 / bars[..., [OPEN, LOW, HIGH, CLOSE]]
    return turned


def through(*points: tuple[int, float]) -> Array:
    """A path through points of (bars before the last, height)."""
    ages, heights = zip(*points, strict=True)
    return np.asarray(np.interp(np.arange(WINDOW), [WINDOW - 1 - age for age in ages], heights))


def after_box(path: Sequence[float]) -> Array:
    """A rise, a box of 64 bars, and then the given path."""
    rise = np.linspace(-14, -SWING, WINDOW - 64 - len(path), endpoint=False)
    box = -SWING * np.cos(np.arange(64) * 2 * np.pi / 16)
    return np.asarray(np.r_[rise, box, path])


def breakout() -> Array:
    """Two loud closes above the box."""
    return candles(after_box([1.4, 3.2, 3.6]), {1: 4.0, 0: 3.0})


def continuation() -> Array:
    """A break that went on for 11 bars."""
    return candles(after_box(list(np.linspace(1.5, 12, 14))), {11: 4.0, 10: 3.0})


def pullback() -> Array:
    """A leg of 22 units, a third of it given back."""
    return candles(through((95, 4), (48, 0), (9, 22), (0, 15)))


def retest_of_break() -> Array:
    """Back at the top of a broken box, and holding."""
    path = [1, 3, 5, 6, 6.5, 6.5, 6, 5, 4, 3, 2.6, 2.4, 2.9]
    return candles(after_box(path), {11: 3.0})


def retest_of_floor() -> Array:
    """The third touch of a floor."""
    return candles(
        through((95, 9), (76, 0), (64, 7), (50, 0), (36, 10), (28, 4), (16, 9), (3, 0.2), (0, 1))
    )


def fakeout() -> Array:
    """Below the box and back inside."""
    return candles(after_box([-1.6, -2.6, -3.2, -2.6, -1.6, -0.8]))


def trap() -> Array:
    """Below the box, back inside and up to its top."""
    return candles(after_box([-1.6, -2.6, -3.2, -2.6, -1.6, -0.8, 0, 0.6, 1.1, 1.4]))


def exhaustion() -> Array:
    """A long run down into loud bars, and a first bounce."""
    path = through((95, 2), (60, 4), (40, 1), (12, -10), (3, -18), (2, -21), (1, -20), (0, -19))
    return candles(path, {2: 6.0, 1: 4.0})


def reversal() -> Array:
    """A decline of which more than half is taken back."""
    return candles(through((95, 0), (50, 2), (13, -20), (0, -8)))


def sideways() -> Array:
    """A box that is alive."""
    return candles(after_box([-1.2, -0.6, 0, 0.6, 0.9, 0.6, 0]))


def nothing() -> Array:
    """A steady climb without a pause: no setup."""
    return candles(through((95, 0), (60, 14), (0, 32)))


SETUP_EXAMPLES: Mapping[Reading, Callable[[], Array]] = {
    Reading(Setup.BREAKOUT, Direction.LONG): breakout,
    Reading(Setup.BREAKOUT_CONTINUATION, Direction.LONG): continuation,
    Reading(Setup.PULLBACK, Direction.LONG): pullback,
    Reading(Setup.SUPPORT_RETEST, Direction.LONG): retest_of_break,
    Reading(Setup.FAKEOUT, Direction.LONG): fakeout,
    Reading(Setup.TRAP, Direction.LONG): trap,
    Reading(Setup.EXHAUSTION, Direction.LONG): exhaustion,
    Reading(Setup.REVERSAL, Direction.LONG): reversal,
    Reading(Setup.RANGE, Direction.NEUTRAL): sideways,
    Reading(Setup.NONE, Direction.NEUTRAL): nothing,
}
"""One chart of every reading, less the mirrors."""


def phase_example(phase: Phase) -> Array:
    """One chart of a phase."""
    paths = {
        Phase.MARKUP: through((95, 0), (70, 6), (60, 5), (0, 30)),
        Phase.ACCUMULATION: through((95, 0), (50, -20), (36, -18), (24, -20), (12, -18), (0, -19)),
        Phase.RANGE: 2 * np.cos(np.arange(WINDOW) * 2 * np.pi / 16),
    }
    return candles(paths[phase]) if phase in paths else mirrored(candles(paths[phase.mirror]))
