"""Setups that form at the edges of a box or at a level, each in its long form only.

The short forms are these on the mirrored chart. Facts are in ATR, bars or parts, measured in
the form's own orientation; levels are log distances from the last close, which is 0.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vision_ai.labels.boxes import MAX_BOX_AGE_BARS, second_highest, touched_apart
from vision_ai.labels.measured_charts import MeasuredCharts, SetupMatch
from vision_ai.labels.normalized_bars import AGES, Array, Mask
from vision_ai.labels.thresholds import Thresholds

Ages = NDArray[np.int64]

MIN_VOLUME = 1e-9
"""Stands in for a box without any volume, so that ratios stay finite."""


def breakout(charts: MeasuredCharts, t: Thresholds) -> SetupMatch:
    """A fresh close above the box on volume, not given back."""
    boxes, bars = charts.boxes, charts.bars
    age, is_broken = _first_close_above(charts, t)
    volume = _at(bars.volume_since, boxes.row, age) / np.maximum(boxes.volume, MIN_VOLUME)
    holds = (
        is_broken
        & (age <= t.break_bars)
        & (-boxes.top >= t.break_close_atr * boxes.unit)
        & (volume >= t.break_volume)
    )
    furthest = (_at(bars.high_since, boxes.row, age) - boxes.top) / boxes.unit
    return _best_box(
        charts, holds, age, level=boxes.top, volume_ratio=volume, furthest_atr=furthest
    )


def continuation(charts: MeasuredCharts, t: Thresholds) -> SetupMatch:
    """A break some time ago, above the box ever since and still near its best close."""
    boxes, bars = charts.boxes, charts.bars
    age, is_broken = _first_close_above(charts, t)
    best = _at(bars.close_high_since, boxes.row, age)
    worst = _at(bars.close_low_since, boxes.row, age)
    holds = (
        is_broken
        & (age > t.break_bars)
        & (worst - boxes.top >= -t.slack_atr * boxes.unit)
        & (best - boxes.top >= t.continue_best_atr * boxes.unit)
        & (best <= t.best_close_gap_atr * boxes.unit)
        & (-boxes.top >= t.continue_close_atr * boxes.unit)
    )
    volume = _at(bars.volume_since, boxes.row, age) / np.maximum(boxes.volume, MIN_VOLUME)
    furthest = (_at(bars.high_since, boxes.row, age) - boxes.top) / boxes.unit
    return _best_box(
        charts, holds, age, level=boxes.top, volume_ratio=volume, furthest_atr=furthest
    )


def retest_of_break(charts: MeasuredCharts, t: Thresholds) -> SetupMatch:
    """Back down to the top of a broken box, which was touched and held."""
    boxes, bars = charts.boxes, charts.bars
    age, is_broken = _first_close_above(charts, t)
    furthest = (_at(bars.high_since, boxes.row, age) - boxes.top) / boxes.unit
    worst = _at(bars.close_low_since, boxes.row, age)
    low = bars.low_since[boxes.row, int(t.retest_bars)]
    holds = (
        is_broken
        & (age > t.break_bars)
        & (worst - boxes.top >= -t.slack_atr * boxes.unit)
        & (furthest >= t.retest_far_atr)
        & (low - boxes.top <= t.retest_near_atr * boxes.unit)
        & (-boxes.top <= t.retest_leave_atr * boxes.unit)
    )
    return _best_box(charts, holds, age, level=boxes.top, furthest_atr=furthest)


def retest_of_floor(charts: MeasuredCharts, t: Thresholds) -> SetupMatch:
    """Back down to a level that had stopped price at least twice, touched and held."""
    bars, unit = charts.bars, charts.unit[:, None]
    floor, touched, is_back = floors(charts, t)
    # the retest: the lowest low of the newest bars, and how far closes have turned up since
    newest = int(t.retest_bars)
    low = bars.low_since[:, newest : newest + 1]
    rows = np.arange(len(unit))
    age = bars.l[:, -1 - newest :][:, ::-1].argmin(axis=1)
    best_close = bars.close_high_since[rows, age][:, None]
    # how far price had left the floor before it came back
    far = bars.high_since[:, MAX_BOX_AGE_BARS : MAX_BOX_AGE_BARS + 1] - floor
    holds = (
        is_back
        & (bars.close_low_since[:, newest : newest + 1] >= floor - t.slack_atr * unit)
        & (best_close - low >= t.retest_turn_atr * unit)
        & (-floor <= t.retest_leave_atr * unit)
        & (far >= t.floor_far_atr * unit)
    )
    # of several floors the first in the order of FLOOR_SEGMENTS
    segment = holds.argmax(axis=1)
    facts = {
        "level": floor[rows, segment],
        "furthest_atr": (far / unit)[rows, segment],
        "touches_bottom": touched.sum(2)[rows, segment],
    }
    return SetupMatch(np.asarray(holds.any(axis=1)), age, facts, holds)


def floors(charts: MeasuredCharts, t: Thresholds) -> tuple[Array, Mask, Mask]:
    """Levels under price: height (n, k), touched quarters (n, k, 4), is price back there (n, k)."""
    unit, lows = charts.unit[:, None], charts.floor_quarter_lows
    floor = -second_highest(-lows)
    touched = np.abs(lows - floor[:, :, None]) <= t.floor_touch_atr * unit[:, :, None]
    newest = int(t.retest_bars)
    low = charts.bars.low_since[:, newest : newest + 1]
    is_back = (
        touched_apart(touched)
        & (lows.min(2) >= floor - t.floor_touch_atr * unit)
        & (np.abs(low - floor) <= t.floor_touch_atr * unit)
    )
    return floor, touched, np.asarray(is_back)


def fakeout(charts: MeasuredCharts, t: Thresholds) -> SetupMatch:
    """A break below the box that failed: price is back inside, not yet in its far part."""
    boxes = charts.boxes
    age, facts, has_failed = _failed_break(charts, t)
    best = _at(charts.bars.close_high_since, boxes.row, age)
    holds = (
        has_failed
        & (age <= t.fail_bars)
        & (-boxes.bottom < t.trap_far_part * boxes.height)
        & (best <= boxes.top + t.break_atr * boxes.unit)
    )
    return _best_box(charts, holds, age, **facts)


def trap(charts: MeasuredCharts, t: Thresholds) -> SetupMatch:
    """A failed break below that ran through the opposite half, or that failed on a climax."""
    boxes = charts.boxes
    age, facts, has_failed = _failed_break(charts, t)
    # either price ran through the box since: those who sold the break are far under water
    ran = (age <= t.trap_bars) & (-boxes.bottom >= t.trap_far_part * boxes.height)
    # or the break itself was the climax of the move
    best = _at(charts.bars.close_high_since, boxes.row, age)
    is_back = best - boxes.bottom >= t.trap_back_part * boxes.height
    climax = (age <= t.fail_bars) & is_back & (facts["volume_ratio"] >= t.trap_volume)
    return _best_box(charts, has_failed & (ran | climax), age, **facts)


def inside(charts: MeasuredCharts, t: Thresholds) -> SetupMatch:
    """A box that lasts until now, with price inside. Its own mirror."""
    boxes, bars = charts.boxes, charts.bars
    slack = t.slack_atr * boxes.unit
    highest = _at(bars.close_high_since, boxes.row, boxes.ended)
    lowest = _at(bars.close_low_since, boxes.row, boxes.ended)
    holds = (
        boxes.are_valid(t)
        & (boxes.ended <= t.range_age_bars)
        & (highest <= boxes.top + slack)
        & (lowest >= boxes.bottom - slack)
    )
    return _best_box(charts, holds, boxes.ended)


def _first_close_above(charts: MeasuredCharts, t: Thresholds) -> tuple[Ages, Mask]:
    """Age of the first close above each box, and whether it left the box in time."""
    boxes = charts.boxes
    age = _first_at_least(charts.bars.c, charts, boxes.top + t.break_atr * boxes.unit)
    return age, boxes.are_valid(t) & (age >= 0) & (boxes.ended - age <= t.wait_bars)


def _failed_break(charts: MeasuredCharts, t: Thresholds) -> tuple[Ages, dict[str, Array], Mask]:
    """Age and facts of the first exit below each box, and whether price came back inside."""
    bars, boxes = charts.bars, charts.boxes
    # the earlier of two exits: a close a little below, or a wick further below. Negated values
    # turn "at or below" into the "at or above" that _first_at_least looks for
    by_close = _first_at_least(-bars.c, charts, t.fail_close_atr * boxes.unit - boxes.bottom)
    by_wick = _first_at_least(-bars.l, charts, t.fail_wick_atr * boxes.unit - boxes.bottom)
    age = np.maximum(by_close, by_wick)
    depth = boxes.bottom - _at(bars.low_since, boxes.row, age)
    best = _at(bars.close_high_since, boxes.row, age)
    volume = _at(bars.volume_since, boxes.row, age) / np.maximum(boxes.volume, MIN_VOLUME)
    has_failed = (
        boxes.are_valid(t)
        & (age >= 1)
        & (boxes.ended - age <= t.wait_bars)
        & (depth <= t.fail_depth_part * boxes.height)
        & (best - boxes.bottom >= t.fail_back_part * boxes.height)
        & (boxes.bottom <= 0)
    )
    facts = {"level": boxes.bottom, "volume_ratio": volume, "furthest_atr": depth / boxes.unit}
    return age, facts, has_failed


def _at(columns: Array, row: NDArray[np.int64], age: Ages) -> Array:
    """The value of each box's chart at an age; that of age 0 where there was no event (-1)."""
    return np.asarray(columns[row, np.maximum(age, 0)])


def _first_at_least(values: Array, charts: MeasuredCharts, level: Array) -> Ages:
    """Age of the first bar after each box whose value reaches the box's level; -1 if none."""
    boxes = charts.boxes
    # only bars after the box, and no box ended more than MAX_BOX_AGE_BARS ago
    reached = values[:, -MAX_BOX_AGE_BARS:][boxes.row] >= level[:, None]
    reached &= AGES[-MAX_BOX_AGE_BARS:] < boxes.ended[:, None]
    first = MAX_BOX_AGE_BARS - 1 - reached.argmax(axis=1)
    return np.where(reached.any(axis=1), first, -1)


def _best_box(charts: MeasuredCharts, holds: Mask, age: Ages, **facts: Array) -> SetupMatch:
    """Take each chart's first box at which a setup holds, with its facts."""
    boxes, count = charts.boxes, len(charts.unit)
    # rows are ordered by chart, then best first: the first of each chart is its best
    chart, first = np.unique(boxes.row[holds], return_index=True)
    best = np.flatnonzero(holds)[first]
    columns: dict[str, NDArray[Any]] = {
        **facts,
        "box_top": boxes.top,
        "box_bottom": boxes.bottom,
        "box_bars": boxes.bars,
        "box_ended": boxes.ended,
    }

    def by_chart(values: NDArray[Any]) -> NDArray[Any]:
        """One value a chart from one a box; 0 for charts without such a box."""
        column = np.zeros(count, values.dtype)
        column[chart] = values[best]
        return column

    chart_holds = np.zeros(count, np.bool_)
    chart_holds[chart] = True
    chart_facts = {name: by_chart(values) for name, values in columns.items()}
    return SetupMatch(chart_holds, by_chart(age), chart_facts, holds)
