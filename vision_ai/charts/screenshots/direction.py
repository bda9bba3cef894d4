"""Which candles of a screenshot closed up, by the path of price and by two colours of bodies."""

import numpy as np
from numpy.typing import NDArray

_CLEARLY_APART = 60
"""Summed difference over three channels that makes two colours of bodies."""
_COLOUR_WEIGHT = 0.5
"""What it costs to go against a candle's colour, in heights of a median body."""


def leanings(fills: NDArray[np.float64], heights: NDArray[np.float64]) -> NDArray[np.float64]:
    """How clearly each body's colour (n, 3) is the second of two kinds (1) or the first (-1).

    Large bodies show their colour and settle what the kinds are; bodies smaller than their own
    outline count as 0. All zero where the bodies have one colour only.
    """
    clear = fills[heights >= min(5.0, float(np.median(heights)))]
    seeds = clear[:: max(len(clear) // 12, 1)]
    pairs = [np.stack([a, b]) for i, a in enumerate(seeds) for b in seeds[i + 1 :]]
    candidates = [_move_centres(clear, pair) for pair in pairs]
    if not candidates:
        return np.zeros(len(fills))
    centres = min(candidates, key=lambda centres: _scatter(clear, centres))
    apart = float(np.abs(centres[0] - centres[1]).sum())
    if apart < _CLEARLY_APART:
        return np.zeros(len(fills))
    far = np.abs(fills[:, None] - centres).sum(axis=2)
    leaning = np.clip((far[:, 0] - far[:, 1]) / apart, -1, 1)
    return np.asarray(leaning * np.clip(heights / 5.0, 0, 1))


def _move_centres(fills: NDArray[np.float64], centres: NDArray[np.float64]) -> NDArray[np.float64]:
    """Move two centres (2, 3) to the medians of the fills nearest to them."""
    for _ in range(4):
        nearest = np.abs(fills[:, None] - centres).sum(axis=2).argmin(axis=1)
        if nearest.all() or not nearest.any():
            break
        centres = np.stack([np.median(fills[nearest == kind], axis=0) for kind in (0, 1)])
    return centres


def _scatter(fills: NDArray[np.float64], centres: NDArray[np.float64]) -> float:
    return float(np.abs(fills[:, None] - centres).sum(axis=2).min(axis=1).sum())


def directions(
    ends: NDArray[np.float64], leaning: NDArray[np.float64]
) -> tuple[NDArray[np.bool_], float]:
    """Which candles closed up, and the cost of saying so.

    Of all ways, the one in which candles open nearest to the close before them while few go
    against their colour (Viterbi over up and down). `ends` are upper and lower body ends (n, 2).
    """
    unit = _COLOUR_WEIGHT * max(float(np.median(ends[:, 0] - ends[:, 1])), 2.0)
    against = np.stack([unit * (1 + leaning), unit * (1 - leaning)], axis=1)  # if down, if up
    opens, closes = ends, ends[:, ::-1]  # down opens at its upper end, up at its lower one
    cost, steps = against[0], []
    for i in range(1, len(ends)):
        leap = np.abs(opens[i][:, None] - closes[i - 1][None, :])
        total = cost[None, :] + leap
        steps.append(total.argmin(axis=1))
        cost = total.min(axis=1) + against[i]
    state = int(cost.argmin())
    path = [state]
    for back in reversed(steps):
        state = int(back[state])
        path.append(state)
    return np.array(path[::-1], np.bool_), float(cost.min())
