"""Setups made of a leg and what followed it, in long form only, and the market phases."""

import numpy as np
from numpy.typing import NDArray

from vision_ai.domain import WINDOW
from vision_ai.labels.measured_charts import MeasuredCharts, SetupMatch
from vision_ai.labels.normalized_bars import Array, fitted_rise, take_columns
from vision_ai.labels.thresholds import Thresholds

MAX_LEG_BARS = 40
"""A leg starts at most this many bars before it ends."""

RECENT_EXTREME_BARS = 48
"""The extreme that ends a leg is the highest (lowest) of this many newest bars."""


def pullback(charts: MeasuredCharts, t: Thresholds) -> SetupMatch:
    """A clear leg up, and an orderly retracement of part of it."""
    bars, unit = charts.bars, charts.unit
    # the leg: from the lowest soft low to the highest soft high after it
    high, age = _recent_high(bars.soft_h)
    low, start = _lowest_before(bars.soft_l, age)
    leg = high - low
    # its efficiency ratio: how much of the way that closes travelled made progress
    path = take_columns(bars.path_length, WINDOW - 1 - age) - take_columns(bars.path_length, start)
    efficiency = leg / np.maximum(path, unit)
    # what was given back at the worst, and what is given back now (the last close is 0)
    deepest = (high - take_columns(bars.soft_low_since, age)) / np.maximum(leg, unit)
    now = high / np.maximum(leg, unit)
    holds = (
        (leg >= t.pull_leg_atr * unit)
        & (efficiency >= t.pull_efficiency)
        & (age >= t.pull_min_bars)
        & (age <= t.pull_max_bars)
        & (deepest >= t.pull_min_of_leg)
        & (now >= t.pull_close_of_leg)
        & (deepest <= t.pull_max_of_leg)
    )
    leg_bars = WINDOW - 1 - age - start
    facts = {"level": high, "leg_atr": leg / unit, "leg_bars": leg_bars, "retraced": now}
    return SetupMatch(holds, age, facts)


def exhaustion(charts: MeasuredCharts, t: Thresholds) -> SetupMatch:
    """An extended run down into a climax at the chart's low, and a first rejection of it."""
    bars, unit = charts.bars, charts.unit
    # the run: measured between wicks, because a climax is about wicks
    low, age = _recent_high(-bars.l)
    low = -low
    high, start = _lowest_before(-bars.h, age)
    run = -high - low
    best_close = take_columns(bars.close_high_since, age)
    # the climax: a wide or a loud candle at the end of the run
    newest = int(t.run_turn_bars) + 1
    volume = bars.volume_since[:, newest]
    climax = (bars.range_since[:, newest] >= t.climax_bar_atr * unit) | (volume >= t.climax_volume)
    holds = (
        (run >= t.run_atr * unit)
        & (low <= bars.l.min(axis=1))
        & (age <= t.run_turn_bars)
        & climax
        & (best_close - low >= t.reject_atr * unit)
        & (-low <= t.reject_of_run * run)
    )
    facts = {
        "level": low,
        "leg_atr": run / unit,
        "leg_bars": WINDOW - 1 - age - start,
        "retraced": -low / np.maximum(run, unit),
        "volume_ratio": volume,
    }
    return SetupMatch(holds, age, facts)


def reversal(charts: MeasuredCharts, t: Thresholds) -> SetupMatch:
    """A decline to the chart's low, of which at least half has been taken back since."""
    bars, unit = charts.bars, charts.unit
    # the decline: a leg down is a leg up of negated prices
    low, age = _recent_high(-bars.soft_l)
    low = -low
    high, start = _lowest_before(-bars.soft_h, age)
    leg = -high - low
    # taken back now (the last close is 0), and at the best close
    retraced = -low / np.maximum(leg, unit)
    best_close = take_columns(bars.close_high_since, age)
    holds = (
        (leg >= t.reversal_leg_atr * unit)
        & (low <= bars.soft_l.min(axis=1))
        & (age >= t.reversal_min_bars)
        & (age <= t.reversal_max_bars)
        & (best_close - low >= t.reversal_best_of_leg * leg)
        & (retraced >= t.reversal_close_of_leg)
        & (best_close <= t.best_close_gap_atr * unit)
    )
    leg_bars = WINDOW - 1 - age - start
    facts = {"level": low, "leg_atr": leg / unit, "leg_bars": leg_bars, "retraced": retraced}
    return SetupMatch(holds, age, facts)


def half_trends(charts: MeasuredCharts) -> tuple[Array, Array, Array]:
    """Rise of the later half, of the earlier half, and mean height of the later half (-0.5..0.5).

    The rises are parts of the chart's height; each is of a line fitted through the closes.
    """
    bars = charts.bars
    height = np.maximum(bars.height, charts.unit)
    half = WINDOW // 2
    later = fitted_rise(bars.c[:, half:]) / height
    earlier = fitted_rise(bars.c[:, :half]) / height
    middle = (bars.h.max(axis=1) + bars.l.min(axis=1)) / 2
    position = (bars.c[:, half:].sum(axis=1) / half - middle) / height
    return later, earlier, position


def _recent_high(high: Array) -> tuple[Array, NDArray[np.int64]]:
    """The highest high of the newest bars and its age; of equal ones the newest."""
    recent = high[:, ::-1][:, :RECENT_EXTREME_BARS]
    age = recent.argmax(axis=1)
    return recent[np.arange(len(high)), age], age


def _lowest_before(low: Array, age: NDArray[np.int64]) -> tuple[Array, NDArray[np.int64]]:
    """The lowest low of the bars that lead to the extreme of that age, and its column."""
    column = np.arange(WINDOW)
    end = (WINDOW - 1 - age)[:, None]
    is_candidate = (column <= end) & (column >= end - MAX_LEG_BARS)
    candidates = np.where(is_candidate, low, np.inf)
    start = candidates.argmin(axis=1)
    return candidates[np.arange(len(low)), start], start
