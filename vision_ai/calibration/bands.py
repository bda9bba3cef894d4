"""What neighbors did next, as bands that cover as often as they say.

A move is measured in units of what the chart's own volatility would make of a random walk, so that
charts of low and high volatility are comparable. The neighbors' weighted quantiles count only as
far as a calibration fold found them better than the quantiles of all charts. They are then widened
by split-conformal scores (Romano et al. 2019), one for charts of low, middle and high volatility.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from pydantic import Field

from vision_ai.domain import HORIZONS, Bools, Floats, Interval, Ints, Outcomes
from vision_ai.measures.fitting import conformal_quantile, weighted_quantiles
from vision_ai.records import Finite, Probability, Record
from vision_ai.records.fields import renamed

LEAST_OUTCOMES = 8
"""With fewer known outcomes than this the neighbors are ignored."""
_LEAST_GROUP = 100
"""With fewer calibration charts than this, a volatility group takes the score of all."""
_WEIGHT_GRID = np.linspace(0, 1, 11)
"""Weights of the neighbors that are tried."""


class BandRule(Record):
    """How the outcomes of neighbors become the band of one interval at one horizon.

    Moves are in volatility units; `edges` separate low, middle and high volatility.
    """

    level: Probability = Field(description="how often the band is meant to hold")
    overall: tuple[Finite, Finite, Finite] = Field(description="low, median, high of all charts")
    neighbor_weight: Probability = Field(
        validation_alias=renamed("neighbor_weight", "trust"),
        serialization_alias="trust",
        description="weight of the neighbors' quantiles against those of all charts",
    )
    edges: tuple[Finite, Finite]
    widen: tuple[Finite, Finite, Finite] = Field(description="conformal widening of each group")
    base_up: Probability = Field(description="how often price rose at all")
    neighbor_weight_up: Probability = Field(
        validation_alias=renamed("neighbor_weight_up", "trust_up"),
        serialization_alias="trust_up",
        description="weight of the neighbors' share of rises",
    )
    width_factor: Finite = Field(
        default=1.0,
        gt=0,
        validation_alias=renamed("width_factor", "stretch"),
        serialization_alias="stretch",
        description="factor for both halves of the band, learned from outcomes",
    )


@dataclass(frozen=True, eq=False)
class Bands:
    """Bands of q charts at every horizon, as simple returns; NaN where there is no scale.

    All are (q, horizons); `samples` counts the neighbors whose outcome was known.
    """

    low: Floats
    median: Floats
    high: Floats
    up: Floats
    samples: Ints
    level: Floats

    def take(self, rows: Ints | Bools) -> Self:
        """Only the given charts."""
        return type(self)(**{name: column[rows] for name, column in vars(self).items()})


def units(interval: Interval) -> Floats:
    """Candles to each horizon, square-rooted: what a random walk's volatility grows by.

    >>> units(Interval.M15).round(3).tolist()
    [2.828, 4.899]
    """
    return np.sqrt([float(horizon.bars(interval)) for horizon in HORIZONS])


def normalized(outcomes: Outcomes, interval: "np.typing.NDArray[np.str_]") -> Floats:
    """Moves in volatility units, (n, horizons); NaN where unknown or where nothing moved."""
    growth = np.empty((len(interval), len(HORIZONS)))
    for name in np.unique(interval):
        growth[interval == name] = units(Interval(str(name)))
    scale = np.where(outcomes.scale > 0, outcomes.scale, np.nan)
    moves: Floats = outcomes.move / (scale[:, None] * growth)
    return moves


def tails(level: float) -> Floats:
    """The three quantiles of a band: low, median, high.

    >>> tails(0.8).round(3).tolist()
    [0.1, 0.5, 0.9]
    """
    return np.array([(1 - level) / 2, 0.5, (1 + level) / 2])


def plain_rule(moves: Floats, level: float) -> BandRule:
    """A rule without a calibration fold: the quantiles of all charts, whatever the neighbors."""
    known = moves[np.isfinite(moves)]
    overall = np.quantile(known, tails(level)) if len(known) else np.array([-1.28, 0, 1.28])
    return BandRule(
        level=level,
        overall=_three(overall),
        neighbor_weight=0.0,
        edges=(0.0, 0.0),
        widen=(0.0, 0.0, 0.0),
        base_up=float((known > 0).mean()) if len(known) else 0.5,
        neighbor_weight_up=0.0,
    )


def fit_rule(
    plain: BandRule, moves: Floats, weight: Floats, truth: Floats, scale: Floats
) -> BandRule:
    """Fit one interval and horizon on a purged fold.

    Args:
        plain: quantiles of all charts, made from other charts than the fold's.
        moves: (q, k) of the fold's neighbors, in volatility units.
        weight: (q, k) how strongly each votes.
        truth: (q,) what the fold's charts did, in volatility units; NaN where unknown.
        scale: (q,) their volatility.
    """
    known = np.isfinite(truth) & np.isfinite(scale)
    if not known.any():
        return plain
    moves, weight, truth, scale = moves[known], weight[known], truth[known], scale[known]
    # How far the neighbors' quantiles beat those of all charts.
    neighbor_weight = _best_neighbor_weight(plain, moves, weight, truth)
    rule = plain.model_copy(update={"neighbor_weight": neighbor_weight})
    # Conformal scores: how far each outcome lies outside its band, negative inside.
    low, _, high = _band_quantiles(rule, moves, weight).T
    score = np.maximum(low - truth, truth - high)
    # Terciles of volatility, each with a widening of its own.
    lower, upper = np.quantile(scale, [1 / 3, 2 / 3])
    edges = (float(lower), float(upper))
    base = float((truth > 0).mean())
    return rule.model_copy(
        update={
            "edges": edges,
            "widen": _conformal(score, _group(scale, edges), rule.level),
            "base_up": base,
            "neighbor_weight_up": _up_weight(moves, weight, truth > 0, base),
        }
    )


def apply(rule: BandRule, moves: Floats, weight: Floats, scale: Floats, growth: float) -> Floats:
    """Low, median, high and chance of a rise of q charts: (q, 4), as simple returns.

    Args:
        rule: of this interval and horizon.
        moves: (q, k) of the neighbors, in volatility units.
        weight: (q, k) how strongly each votes.
        scale: (q,) volatility of the charts; NaN gives NaN bands.
        growth: volatility units at this horizon, see `units`.
    """
    low, median, high = _band_quantiles(rule, moves, weight).T
    # Conformal widening, which never lets a bound cross the median.
    widen = np.asarray(rule.widen)[_group(scale, rule.edges)]
    low, high = np.minimum(low - widen, median), np.maximum(high + widen, median)
    # What feedback learned about the width of both halves.
    factor = rule.width_factor
    low, high = median + factor * (low - median), median + factor * (high - median)
    # Back to log returns. Beyond e^±4 a return says nothing but "anything": keep it printable.
    log = np.clip(np.stack([low, median, high], axis=1) * (scale * growth)[:, None], -4, 4)
    # The chance of a rise: the base rate, moved towards the neighbors' share of rises.
    share = _share_up(moves, weight, rule.base_up)
    up = np.clip(rule.base_up + rule.neighbor_weight_up * (share - rule.base_up), 0.01, 0.99)
    return np.column_stack([np.expm1(log), up])


def _band_quantiles(rule: BandRule, moves: Floats, weight: Floats) -> Floats:
    """Low, median and high (q, 3): the neighbors' quantiles mixed with those of all charts."""
    theirs = weighted_quantiles(moves, weight, tails(rule.level))
    is_enough = ((weight > 0) & np.isfinite(moves)).sum(axis=1) >= LEAST_OUTCOMES
    theirs = np.where(is_enough[:, None], theirs, rule.overall)
    share = rule.neighbor_weight
    mixed: Floats = share * theirs + (1 - share) * np.asarray(rule.overall)
    return mixed


def _best_neighbor_weight(plain: BandRule, moves: Floats, weight: Floats, truth: Floats) -> float:
    """The weight of least quantile (pinball) loss, on a grid."""
    at = tails(plain.level)
    theirs = _band_quantiles(plain.model_copy(update={"neighbor_weight": 1.0}), moves, weight)
    losses = []
    for share in _WEIGHT_GRID:
        miss = truth[:, None] - (share * theirs + (1 - share) * np.asarray(plain.overall))
        losses.append(float(np.maximum(at * miss, (at - 1) * miss).mean()))
    return float(_WEIGHT_GRID[int(np.argmin(losses))])


def _group(scale: Floats, edges: tuple[float, float]) -> Ints:
    """Volatility group of each chart: 0 low, 1 middle, 2 high."""
    group: Ints = (scale > edges[0]).astype(np.int64) + (scale > edges[1])
    return group


def _conformal(score: Floats, group: Ints, level: float) -> tuple[float, float, float]:
    overall = conformal_quantile(score, level)
    members = [score[group == g] for g in range(3)]
    per_group = [
        conformal_quantile(m, level) if len(m) >= _LEAST_GROUP else overall for m in members
    ]
    return _three(np.array(per_group))


def _share_up(moves: Floats, weight: Floats, base: float) -> Floats:
    """Weighted share of neighbors that rose, (q,); the base rate where no outcome is known."""
    known = np.where(np.isfinite(moves), weight, 0)
    total = known.sum(axis=1)
    rises = (known * (moves > 0)).sum(axis=1)
    share: Floats = np.where(total > 0, rises / np.where(total > 0, total, 1), base)
    return share


def _up_weight(moves: Floats, weight: Floats, rose: Bools, base: float) -> float:
    """Least-squares weight of the neighbors' lean against the base rate, from 0 to 1."""
    lean = _share_up(moves, weight, base) - base
    if not (lean**2).sum() > 0:
        return 0.0
    return float(np.clip((lean * (rose - base)).sum() / (lean**2).sum(), 0, 1))


def _three(values: Floats) -> tuple[float, float, float]:
    a, b, c = (float(value) for value in values)
    return a, b, c
