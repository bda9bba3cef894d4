"""Setups that live at the edges of a box or a level, each in its long form only.

The short forms are these on the mirrored chart. Facts are in ATR, bars or parts, measured in
the form's own orientation; levels are log distances from the last close.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vision_ai.labels.box import REACH, apart, second
from vision_ai.labels.measure import AGES, Array, Mask
from vision_ai.labels.scene import Form, Scene
from vision_ai.labels.thresholds import Thresholds

Ages = NDArray[np.int64]


def breakout(scene: Scene, t: Thresholds) -> Form:
    """A fresh close above the box on volume, not given back."""
    boxes = scene.boxes
    age, left = _left_above(scene, t)
    volume = _at(scene.volume_since, boxes.row, age) / np.maximum(boxes.volume, 1e-9)
    holds = (
        left
        & (age <= t.break_bars)
        & (-boxes.top >= t.held_atr * boxes.unit)
        & (volume >= t.break_volume)
    )
    furthest = (_at(scene.high_since, boxes.row, age) - boxes.top) / boxes.unit
    return _choose(scene, holds, age, level=boxes.top, volume_ratio=volume, furthest_atr=furthest)


def continuation(scene: Scene, t: Thresholds) -> Form:
    """A break some time ago, held above the box ever since and still near its best."""
    boxes = scene.boxes
    age, left = _left_above(scene, t)
    best = _at(scene.close_high_since, boxes.row, age)
    worst = _at(scene.close_low_since, boxes.row, age)
    holds = (
        left
        & (age > t.break_bars)
        & (worst - boxes.top >= -t.slack_atr * boxes.unit)
        & (best - boxes.top >= t.gone_atr * boxes.unit)
        & (best <= t.near_best_atr * boxes.unit)
        & (-boxes.top >= t.gone_held_atr * boxes.unit)
    )
    volume = _at(scene.volume_since, boxes.row, age) / np.maximum(boxes.volume, 1e-9)
    furthest = (_at(scene.high_since, boxes.row, age) - boxes.top) / boxes.unit
    return _choose(scene, holds, age, level=boxes.top, volume_ratio=volume, furthest_atr=furthest)


def retest_of_break(scene: Scene, t: Thresholds) -> Form:
    """Back down to the top of a broken box, touched and held."""
    boxes = scene.boxes
    age, left = _left_above(scene, t)
    furthest = (_at(scene.high_since, boxes.row, age) - boxes.top) / boxes.unit
    worst = _at(scene.close_low_since, boxes.row, age)
    low = scene.low_since[boxes.row, int(t.retest_bars)]
    holds = (
        left
        & (age > t.break_bars)
        & (worst - boxes.top >= -t.slack_atr * boxes.unit)
        & (furthest >= t.retest_far_atr)
        & (low - boxes.top <= t.retest_near_atr * boxes.unit)
        & (-boxes.top <= t.retest_leave_atr * boxes.unit)
    )
    return _choose(scene, holds, age, level=boxes.top, furthest_atr=furthest)


def retest_of_floor(scene: Scene, t: Thresholds) -> Form:
    """Back down to a level that had stopped price at least twice, touched and held."""
    unit = scene.unit[:, None]
    floor, touched, back = floors(scene, t)
    fresh = int(t.retest_bars)
    low = scene.low_since[:, fresh : fresh + 1]
    rows = np.arange(len(unit))
    age = scene.charts.l[:, -1 - fresh :][:, ::-1].argmin(axis=1)
    turned = scene.close_high_since[rows, age][:, None]
    far = scene.high_since[:, REACH : REACH + 1] - floor
    holds = (
        back
        & (scene.close_low_since[:, fresh : fresh + 1] >= floor - t.slack_atr * unit)
        & (turned - low >= t.retest_turn_atr * unit)
        & (-floor <= t.retest_leave_atr * unit)
        & (far >= t.floor_far_atr * unit)
    )
    pick = holds.argmax(axis=1)
    facts = {
        "level": floor[rows, pick],
        "furthest_atr": (far / unit)[rows, pick],
        "touches_bottom": touched.sum(2)[rows, pick],
    }
    return Form(np.asarray(holds.any(axis=1)), age, facts, holds)


def floors(scene: Scene, t: Thresholds) -> tuple[Array, Mask, Mask]:
    """Levels under price: where (n, k), which quarters touched (n, k, 4), is price back (n, k)."""
    unit, lows = scene.unit[:, None], scene.floor_lows
    floor = -second(-lows)
    touched = np.abs(lows - floor[:, :, None]) <= t.floor_touch_atr * unit[:, :, None]
    fresh = int(t.retest_bars)
    low = scene.low_since[:, fresh : fresh + 1]
    back = (
        apart(touched)
        & (lows.min(2) >= floor - t.floor_touch_atr * unit)
        & (np.abs(low - floor) <= t.floor_touch_atr * unit)
    )
    return floor, touched, np.asarray(back)


def fakeout(scene: Scene, t: Thresholds) -> Form:
    """A break below the box that failed: price is back inside, still in the lower half."""
    boxes = scene.boxes
    age, facts, failed = _failed_break(scene, t)
    best = _at(scene.close_high_since, boxes.row, age)
    holds = (
        failed
        & (age <= t.fail_bars)
        & (-boxes.bottom < t.trap_far_part * boxes.height)
        & (best <= boxes.top + t.break_atr * boxes.unit)
    )
    return _choose(scene, holds, age, **facts)


def trap(scene: Scene, t: Thresholds) -> Form:
    """A failed break below that ran through the upper half, or that failed on a climax."""
    boxes = scene.boxes
    age, facts, failed = _failed_break(scene, t)
    ran = (age <= t.trap_bars) & (-boxes.bottom >= t.trap_far_part * boxes.height)
    best = _at(scene.close_high_since, boxes.row, age)
    back = best - boxes.bottom >= t.trap_back_part * boxes.height
    climax = (age <= t.fail_bars) & back & (facts["volume_ratio"] >= t.trap_volume)
    return _choose(scene, failed & (ran | climax), age, **facts)


def inside(scene: Scene, t: Thresholds) -> Form:
    """A box that is alive now, with price inside. Its own mirror."""
    boxes = scene.boxes
    slack = t.slack_atr * boxes.unit
    highest = _at(scene.close_high_since, boxes.row, boxes.ended)
    lowest = _at(scene.close_low_since, boxes.row, boxes.ended)
    holds = (
        boxes.valid(t)
        & (boxes.ended <= t.live_bars)
        & (highest <= boxes.top + slack)
        & (lowest >= boxes.bottom - slack)
    )
    return _choose(scene, holds, boxes.ended)


def _left_above(scene: Scene, t: Thresholds) -> tuple[Ages, Mask]:
    """Age of the first close above each box, and whether it left the box in time."""
    boxes = scene.boxes
    age = _first_above(scene.charts.c, scene, boxes.top + t.break_atr * boxes.unit)
    return age, boxes.valid(t) & (age >= 0) & (boxes.ended - age <= t.wait_bars)


def _failed_break(scene: Scene, t: Thresholds) -> tuple[Ages, dict[str, Array], Mask]:
    """Age and facts of the first leaving below each box, and whether it came back inside."""
    charts, boxes = scene.charts, scene.boxes
    closed = _first_above(-charts.c, scene, t.fail_close_atr * boxes.unit - boxes.bottom)
    wicked = _first_above(-charts.l, scene, t.fail_wick_atr * boxes.unit - boxes.bottom)
    age = np.maximum(closed, wicked)
    depth = boxes.bottom - _at(scene.low_since, boxes.row, age)
    best = _at(scene.close_high_since, boxes.row, age)
    volume = _at(scene.volume_since, boxes.row, age) / np.maximum(boxes.volume, 1e-9)
    failed = (
        boxes.valid(t)
        & (age >= 1)
        & (boxes.ended - age <= t.wait_bars)
        & (depth <= t.fail_depth_part * boxes.height)
        & (best - boxes.bottom >= t.fail_back_part * boxes.height)
        & (boxes.bottom <= 0)
    )
    facts = {"level": boxes.bottom, "volume_ratio": volume, "furthest_atr": depth / boxes.unit}
    return age, facts, failed


def _at(columns: Array, row: NDArray[np.int64], age: Ages) -> Array:
    return np.asarray(columns[row, np.maximum(age, 0)])


def _first_above(values: Array, scene: Scene, level: Array) -> Ages:
    """Age of the first bar after each box whose value reaches the box's level; -1 if none."""
    boxes = scene.boxes
    late = values[:, -REACH:][boxes.row] >= level[:, None]
    late &= AGES[-REACH:] < boxes.ended[:, None]
    first = REACH - 1 - late.argmax(axis=1)
    return np.where(late.any(axis=1), first, -1)


def _choose(scene: Scene, holds: Mask, age: Ages, **facts: Array) -> Form:
    """Take each chart's first box that holds, with its facts."""
    boxes, count = scene.boxes, len(scene.unit)
    chart, first = np.unique(boxes.row[holds], return_index=True)
    pick = np.flatnonzero(holds)[first]
    columns: dict[str, NDArray[Any]] = {
        **facts,
        "box_top": boxes.top,
        "box_bottom": boxes.bottom,
        "box_bars": boxes.bars,
        "box_ended": boxes.ended,
    }

    def spread(values: NDArray[Any]) -> NDArray[Any]:
        out = np.zeros(count, values.dtype)
        out[chart] = values[pick]
        return out

    held = np.zeros(count, np.bool_)
    held[chart] = True
    return Form(held, spread(age), {name: spread(x) for name, x in columns.items()}, holds)
