"""Setups made of a leg and what followed it, in long form only, and the market phases."""

import numpy as np
from numpy.typing import NDArray

from vision_ai.domain import WINDOW
from vision_ai.labels.measure import Array, at, rise
from vision_ai.labels.scene import Form, Scene
from vision_ai.labels.thresholds import Thresholds

LEG_BARS = 40
"""A leg starts at most this many bars before it ends."""

RECENT_BARS = 48
"""The extreme that ends a leg is one of at least this many bars."""


def pullback(scene: Scene, t: Thresholds) -> Form:
    """A clear leg up, and an orderly retracement of part of it."""
    charts, unit = scene.charts, scene.unit
    high, age = _extreme(charts.soft_h)
    low, start = _origin(charts.soft_l, age)
    leg = high - low
    way = at(scene.path, (WINDOW - 1 - age)[:, None])[:, 0] - at(scene.path, start[:, None])[:, 0]
    straight = leg / np.maximum(way, unit)
    deepest = (high - at(scene.soft_low_since, age[:, None])[:, 0]) / np.maximum(leg, unit)
    now = high / np.maximum(leg, unit)
    holds = (
        (leg >= t.pull_leg_atr * unit)
        & (straight >= t.pull_straight)
        & (age >= t.pull_min_bars)
        & (age <= t.pull_max_bars)
        & (deepest >= t.pull_min_of_leg)
        & (now >= t.pull_left_of_leg)
        & (deepest <= t.pull_max_of_leg)
    )
    bars = WINDOW - 1 - age - start
    facts = {"level": high, "leg_atr": leg / unit, "leg_bars": bars, "retraced": now}
    return Form(holds, age, facts)


def exhaustion(scene: Scene, t: Thresholds) -> Form:
    """An extended run down into a climax at the chart's low, and a first rejection of it."""
    charts, unit = scene.charts, scene.unit
    low, age = _extreme(-charts.l)
    low = -low
    high, start = _origin(-charts.h, age)
    run = -high - low
    rejected = at(scene.close_high_since, age[:, None])[:, 0]
    recent = int(t.run_turn_bars) + 1
    volume = scene.volume_since[:, recent]
    climax = (scene.range_since[:, recent] >= t.climax_bar_atr * unit) | (volume >= t.climax_volume)
    holds = (
        (run >= t.run_atr * unit)
        & (low <= charts.l.min(axis=1))
        & (age <= t.run_turn_bars)
        & climax
        & (rejected - low >= t.reject_atr * unit)
        & (-low <= t.reject_of_run * run)
    )
    bars = WINDOW - 1 - age - start
    facts = {
        "level": low,
        "leg_atr": run / unit,
        "leg_bars": bars,
        "retraced": -low / np.maximum(run, unit),
        "volume_ratio": volume,
    }
    return Form(holds, age, facts)


def reversal(scene: Scene, t: Thresholds) -> Form:
    """A decline to the chart's low, of which at least half has been taken back since."""
    charts, unit = scene.charts, scene.unit
    low, age = _extreme(-charts.soft_l)
    low = -low
    high, start = _origin(-charts.soft_h, age)
    leg = -high - low
    retraced = -low / np.maximum(leg, unit)
    best = at(scene.close_high_since, age[:, None])[:, 0]
    holds = (
        (leg >= t.turn_leg_atr * unit)
        & (low <= charts.soft_l.min(axis=1))
        & (age >= t.turn_min_bars)
        & (age <= t.turn_max_bars)
        & (best - low >= t.turn_of_leg * leg)
        & (retraced >= t.turn_kept_of_leg)
        & (best <= t.near_best_atr * unit)
    )
    bars = WINDOW - 1 - age - start
    facts = {"level": low, "leg_atr": leg / unit, "leg_bars": bars, "retraced": retraced}
    return Form(holds, age, facts)


def _extreme(h: Array) -> tuple[Array, NDArray[np.int64]]:
    """The highest high of the recent bars and its age."""
    recent = h[:, ::-1][:, :RECENT_BARS]
    age = recent.argmax(axis=1)
    return recent[np.arange(len(h)), age], age


def _origin(low: Array, age: NDArray[np.int64]) -> tuple[Array, NDArray[np.int64]]:
    """The lowest low of the bars before the extreme, and its column."""
    column = np.arange(WINDOW)
    end = (WINDOW - 1 - age)[:, None]
    before = np.where((column <= end) & (column >= end - LEG_BARS), low, np.inf)
    start = before.argmin(axis=1)
    return before[np.arange(len(low)), start], start


def trends(scene: Scene) -> tuple[Array, Array, Array]:
    """Rise of the later half, of the earlier half, and mean place of the later half (-0.5..0.5).

    The rises are parts of the chart's height; each is of a line fitted through the closes.
    """
    charts = scene.charts
    height = np.maximum(charts.height, scene.unit)
    half = WINDOW // 2
    later, earlier = rise(charts.c[:, half:]) / height, rise(charts.c[:, :half]) / height
    middle = (charts.h.max(axis=1) + charts.l.min(axis=1)) / 2
    place = (charts.c[:, half:].sum(axis=1) / half - middle) / height
    return later, earlier, place
