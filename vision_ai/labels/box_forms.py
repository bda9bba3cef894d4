"""Setups that live at the edges of a box or a level, each in its long form only.

The short forms are these on the mirrored chart. Facts are in ATR, bars or parts, measured in
the form's own orientation; levels are log distances from the last close.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vision_ai.domain import WINDOW
from vision_ai.labels.box import BARS, ENDED, REACH, apart, quarters
from vision_ai.labels.measure import AGES, Array, Mask, at
from vision_ai.labels.scene import Form, Scene
from vision_ai.labels.thresholds import Thresholds

Ages = NDArray[np.int64]

FLOORS = ((80, 3), (64, 3), (48, 3))
"""Stretches (bars, ended) in which a floor is looked for: it ends before the present touch."""


def breakout(scene: Scene, t: Thresholds) -> Form:
    """A fresh close above the box on volume, not given back."""
    unit, boxes = scene.unit[:, None], scene.boxes
    age = _first_above(scene.charts.c, boxes.top + t.break_atr * unit)
    volume = at(scene.volume_since, age) / np.maximum(boxes.volume, 1e-9)
    holds = (
        boxes.valid(t)
        & (age >= 0)
        & (age <= t.break_bars)
        & (-boxes.top >= t.held_atr * unit)
        & (volume >= t.break_volume)
    )
    furthest = (at(scene.high_since, age) - boxes.top) / unit
    return _choose(scene, holds, age, level=boxes.top, volume_ratio=volume, furthest_atr=furthest)


def continuation(scene: Scene, t: Thresholds) -> Form:
    """A break some time ago, held above the box ever since and still near its best."""
    unit, boxes = scene.unit[:, None], scene.boxes
    age = _first_above(scene.charts.c, boxes.top + t.break_atr * unit)
    best = at(scene.close_high_since, age)
    held = at(scene.close_low_since, age) >= boxes.top - t.slack_atr * unit
    holds = (
        boxes.valid(t)
        & (age >= t.gone_bars)
        & held
        & (best - boxes.top >= t.gone_atr * unit)
        & (best <= t.near_best_atr * unit)
    )
    volume = at(scene.volume_since, age) / np.maximum(boxes.volume, 1e-9)
    furthest = (at(scene.high_since, age) - boxes.top) / unit
    return _choose(scene, holds, age, level=boxes.top, volume_ratio=volume, furthest_atr=furthest)


def retest_of_break(scene: Scene, t: Thresholds) -> Form:
    """Back down to the top of a broken box, touched and held."""
    unit, boxes = scene.unit[:, None], scene.boxes
    age = _first_above(scene.charts.c, boxes.top + t.break_atr * unit)
    furthest = (at(scene.high_since, age) - boxes.top) / unit
    held = at(scene.close_low_since, age) >= boxes.top - t.slack_atr * unit
    fresh = np.floor(t.retest_bars).astype(int)
    low = scene.low_since[:, fresh : fresh + 1]
    holds = (
        boxes.valid(t)
        & (age >= t.gone_bars)
        & held
        & (furthest >= t.retest_far_atr)
        & (low - boxes.top <= t.retest_near_atr * unit)
        & (-boxes.top >= 0)
        & (-boxes.top <= t.retest_leave_atr * unit)
    )
    return _choose(scene, holds, age, level=boxes.top, furthest_atr=furthest)


def retest_of_floor(scene: Scene, t: Thresholds) -> Form:
    """Back down to a level that had stopped price at least twice, touched and held."""
    unit, charts = scene.unit[:, None], scene.charts
    lows = -quarters(-charts.l, FLOORS)
    floor = np.sort(lows, axis=2)[:, :, 1]
    touched = np.abs(lows - floor[:, :, None]) <= t.floor_touch_atr * unit[:, :, None]
    unbroken = lows.min(2) >= floor - t.floor_touch_atr * unit
    fresh = int(np.floor(t.retest_bars))
    low = scene.low_since[:, fresh : fresh + 1]
    far = scene.high_since[:, REACH : REACH + 1] - floor
    holds = (
        apart(touched)
        & unbroken
        & (np.abs(low - floor) <= t.floor_touch_atr * unit)
        & (scene.close_low_since[:, fresh : fresh + 1] >= floor - t.slack_atr * unit)
        & (-low >= t.retest_turn_atr * unit)
        & (-floor >= 0)
        & (-floor <= t.retest_leave_atr * unit)
        & (far >= t.floor_far_atr * unit)
    )
    age = np.repeat(charts.l[:, -1 - fresh :][:, ::-1].argmin(axis=1)[:, None], len(FLOORS), 1)
    pick = holds.argmax(axis=1)[:, None]
    facts = {
        "level": at(floor, pick)[:, 0],
        "furthest_atr": at(far / unit, pick)[:, 0],
        "touches": touched.sum(2)[np.arange(len(floor)), pick[:, 0]],
    }
    return Form(holds.any(axis=1), age[:, 0], facts)


def fakeout(scene: Scene, t: Thresholds) -> Form:
    """A break below the box that failed: price is back inside, still in the lower half."""
    age, depth, volume, failed = _failed_break(scene, t)
    unit, boxes = scene.unit[:, None], scene.boxes
    holds = (
        failed
        & (age <= t.fail_bars)
        & (-boxes.bottom <= t.fail_near_part * boxes.height)
        & (at(scene.close_high_since, age) <= boxes.top + t.break_atr * unit)
    )
    return _choose(
        scene, holds, age, level=boxes.bottom, volume_ratio=volume, furthest_atr=depth / unit
    )


def trap(scene: Scene, t: Thresholds) -> Form:
    """A failed break below that ran through the upper half, or that failed on a climax."""
    age, depth, volume, failed = _failed_break(scene, t)
    unit, boxes = scene.unit[:, None], scene.boxes
    ran = (age <= t.trap_bars) & (-boxes.bottom >= t.trap_far_part * boxes.height)
    climax = (age <= t.fail_bars) & (volume >= t.trap_volume)
    return _choose(
        scene,
        failed & (ran | climax),
        age,
        level=boxes.bottom,
        volume_ratio=volume,
        furthest_atr=depth / unit,
    )


def inside(scene: Scene, t: Thresholds) -> Form:
    """A box that is alive now, with price inside. Its own mirror."""
    boxes = scene.boxes
    live = ENDED == 0
    holds = boxes.valid(t) & live & (boxes.top >= 0) & (boxes.bottom <= 0)
    age = np.zeros(holds.shape, np.int64)
    return _choose(scene, holds, age, level=boxes.bottom)


def _failed_break(scene: Scene, t: Thresholds) -> tuple[Ages, Array, Array, Mask]:
    """Age, depth and volume of the first leaving below each box, and where it came back."""
    charts, boxes, unit = scene.charts, scene.boxes, scene.unit[:, None]
    closed = _first_above(-charts.c, t.fail_close_atr * unit - boxes.bottom)
    wicked = _first_above(-charts.l, t.fail_wick_atr * unit - boxes.bottom)
    age = np.maximum(closed, wicked)
    depth = boxes.bottom - at(scene.low_since, age)
    volume = at(scene.volume_since, age) / np.maximum(boxes.volume, 1e-9)
    failed = (
        boxes.valid(t)
        & (age >= 1)
        & (depth <= t.fail_depth_part * boxes.height)
        & (-boxes.bottom >= t.fail_back_part * boxes.height)
    )
    return age, depth, volume, failed


def _first_above(values: Array, level: Array) -> Ages:
    """Age of the first bar after each box whose value exceeds the box's level; -1 if none."""
    late = values[:, None, -REACH:] >= level[:, :, None]
    late &= AGES[-REACH:] < ENDED[:, None]
    age = REACH - 1 - late.argmax(axis=2)
    return np.where(late.any(axis=2), age, -1)


def _choose(scene: Scene, holds: Mask, age: Ages, **facts: Array) -> Form:
    """Take the first candidate box that holds, with its facts."""
    pick = holds.argmax(axis=1)[:, None]
    boxes = scene.boxes
    chosen: dict[str, NDArray[Any]] = {name: at(x, pick)[:, 0] for name, x in facts.items()}
    chosen["box_top"] = at(boxes.top, pick)[:, 0]
    chosen["box_bottom"] = at(boxes.bottom, pick)[:, 0]
    chosen["box_bars"] = BARS[pick[:, 0]]
    chosen["box_ended"] = ENDED[pick[:, 0]]
    return Form(holds.any(axis=1), at(age, pick)[:, 0], chosen)
