"""On which segments and bars of a chart each rule holds: targets of the segment and swing heads."""

import numpy as np

from vision_ai.labels import box_setups, leg_setups
from vision_ai.labels.boxes import BOX_LENGTHS_BARS, BOX_SEGMENTS, FLOOR_SEGMENTS, MAX_BOX_AGE_BARS
from vision_ai.labels.leg_setups import RECENT_EXTREME_BARS
from vision_ai.labels.measured_charts import MeasuredCharts
from vision_ai.labels.normalized_bars import Array, Mask, NormalizedBars
from vision_ai.labels.thresholds import Thresholds

BOX_RULES = (
    box_setups.inside,
    box_setups.trap,
    box_setups.fakeout,
    box_setups.breakout,
    box_setups.continuation,
    box_setups.retest_of_break,
)
LEG_RULES = (leg_setups.pullback, leg_setups.exhaustion, leg_setups.reversal)


def matched_regions(bars: Array) -> tuple[Mask, Mask]:
    """Every segment and every bar at which a rule holds, by itself and whatever else holds.

    Args:
        bars: raw candles, float64 (n, WINDOW, 5).

    Returns:
        Segments (n, 2, len(BOX_SEGMENTS) + len(FLOOR_SEGMENTS), 8), upright and mirrored: the six
        rules of boxes, the held floor, and whether there is a box at all, or a floor with price
        back at it. Ends of legs (n, 2, RECENT_EXTREME_BARS, 3), oldest bar first.
    """
    base = Thresholds()
    upright = MeasuredCharts.of(NormalizedBars.of(bars), base)
    boxes = upright.boxes
    # column of each box among BOX_SEGMENTS, which lists all ages of one length together
    length = np.searchsorted(-np.array(BOX_LENGTHS_BARS), -boxes.bars)
    segment = length * (MAX_BOX_AGE_BARS + 1) + boxes.ended
    boxed = len(BOX_SEGMENTS)
    shape = (len(bars), 2, boxed + len(FLOOR_SEGMENTS), len(BOX_RULES) + 2)
    segments = np.zeros(shape, np.bool_)
    leg_ends = np.zeros((len(bars), 2, RECENT_EXTREME_BARS, len(LEG_RULES)), np.bool_)
    for side, charts in enumerate((upright, upright.mirrored)):
        for column, box_rule in enumerate(BOX_RULES):
            segments[boxes.row, side, segment, column] = box_rule(charts, base).segments
        segments[boxes.row, side, segment, -1] = True
        segments[:, side, boxed:, -2] = box_setups.retest_of_floor(charts, base).segments
        segments[:, side, boxed:, -1] = box_setups.floors(charts, base)[2]
        for column, leg_rule in enumerate(LEG_RULES):
            match = leg_rule(charts, base)
            rows = np.flatnonzero(match.holds)
            leg_ends[rows, side, RECENT_EXTREME_BARS - 1 - match.age[rows], column] = True
    return segments, leg_ends
