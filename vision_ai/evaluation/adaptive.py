"""Outcome bands that follow drift, replayed over measured charts as live use would have gone.

The tracker is the feedback loop's own (`track_width_factor`: online quantile tracking, the P part
of conformal PID control, Angelopoulos, Candes and Tibshirani 2023; with a fixed step it is the
adaptive conformal inference of Gibbs and Candes 2021 on the scale of the score). One tracker
follows each interval, horizon and volatility group. The band of a chart is widened by what its
tracker had become from outcomes that were complete when the chart was seen, and by nothing later.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from vision_ai.calibration.bands import Bands
from vision_ai.domain import Floats, Ints
from vision_ai.feedback_loop_cv import track_width_factor
from vision_ai.measures import purge

MAX_SCORE = 10.0
"""A score beyond this moves the tracker no further: one extreme day is one miss."""

RECENT_CHARTS = 200
"""Charts, latest seen, whose volatility gives the terciles."""

_MIN_CHARTS = 30


@dataclass(frozen=True, eq=False)
class ChartSeries:
    """n charts in time.

    Attributes:
        as_of_ms: int64 (n,), when each was seen.
        complete_ms: int64 (n, horizons), when each outcome was known.
        move: float (n, horizons), simple return that followed, NaN where unknown.
        scale: float (n,), volatility of the chart.
        market: int (n,), code of the interval; charts of one are tracked together.
    """

    as_of_ms: Ints
    complete_ms: Ints
    move: Floats
    scale: Floats
    market: Ints

    @cached_property
    def regime(self) -> Ints:
        """Market and volatility tercile of each chart among those seen before it: int64 (n,).

        Three codes a market. Terciles are those of the latest charts of the market, so nothing
        later decides them.
        """
        group = np.empty(len(self.as_of_ms), np.int64)
        for market in np.unique(self.market):
            rows = np.flatnonzero(self.market == market)
            rows = rows[np.argsort(self.as_of_ms[rows], kind="stable")]
            scale = self.scale[rows]
            for number, row in enumerate(rows.tolist()):
                before = scale[max(number - RECENT_CHARTS, 0) : number]
                enough = len(before) >= _MIN_CHARTS
                edges = np.quantile(before, [1 / 3, 2 / 3]) if enough else [np.inf] * 2
                group[row] = 3 * market + int(np.searchsorted(edges, scale[number]))
        return group


def adapt_bands(bands: Bands, series: ChartSeries) -> Bands:
    """The same bands, widened or narrowed about their medians as outcomes came in."""
    low, high = bands.low.copy(), bands.high.copy()
    group = series.regime
    for column in range(low.shape[1]):
        needed = band_scores(bands, series.move, column)
        for code in np.unique(group):
            rows = np.flatnonzero(group == code)
            factor = _factors(
                needed[rows],
                series.complete_ms[rows, column],
                series.as_of_ms[rows],
                float(bands.level[rows[0], column]),
            )
            middle = bands.median[rows, column]
            low[rows, column] = middle + factor * (bands.low[rows, column] - middle)
            high[rows, column] = middle + factor * (bands.high[rows, column] - middle)
    return replace(bands, low=low, high=high)


def band_scores(bands: Bands, move: Floats, column: int) -> Floats:
    """How far each outcome lay from the median, in halves of its band; NaN where unknown."""
    distance = move[:, column] - bands.median[:, column]
    half = np.where(
        distance > 0,
        bands.high[:, column] - bands.median[:, column],
        bands.median[:, column] - bands.low[:, column],
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        needed: Floats = np.minimum(np.abs(distance) / half, MAX_SCORE)
    return needed


def _factors(needed: Floats, complete_ms: Ints, as_of_ms: Ints, level: float) -> Floats:
    """The tracker's factor when each chart was seen: float (n,)."""
    known = np.flatnonzero(np.isfinite(needed))
    known = known[np.argsort(complete_ms[known], kind="stable")]
    path = np.array(track_width_factor(needed[known].tolist(), level))
    factors: Floats = path[purge.count_known(complete_ms[known], as_of_ms)]
    return factors
