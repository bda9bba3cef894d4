"""Where on its chart every rule holds: what a model is shown beside the name of the setup."""

import numpy as np

from vision_ai.labels import box_forms, leg_forms
from vision_ai.labels.box import FLOORS, LENGTHS, REACH, STRETCHES
from vision_ai.labels.leg_forms import RECENT_BARS
from vision_ai.labels.measure import Array, Charts, Mask
from vision_ai.labels.scene import Scene
from vision_ai.labels.thresholds import Thresholds

BOX_RULES = (
    box_forms.inside,
    box_forms.trap,
    box_forms.fakeout,
    box_forms.breakout,
    box_forms.continuation,
    box_forms.retest_of_break,
)
LEG_RULES = (leg_forms.pullback, leg_forms.exhaustion, leg_forms.reversal)


def places(bars: Array) -> tuple[Mask, Mask]:
    """Every stretch and every bar at which a rule holds, by itself and whatever else holds.

    Args:
        bars: raw candles, float64 (n, WINDOW, 5).

    Returns:
        Stretches (n, 2, len(STRETCHES) + len(FLOORS), 8), upright and mirrored: the six rules
        of boxes, the held floor, and whether there is a box at all, or a floor
        with price back at it. Ends of legs (n, 2, RECENT_BARS, 3), oldest bar first.
    """
    base = Thresholds()
    upright = Scene.of(Charts.of(bars), base)
    boxes = upright.boxes
    anchor = np.searchsorted(-np.array(LENGTHS), -boxes.bars) * (REACH + 1) + boxes.ended
    count = len(bars)
    stretches = np.zeros((count, 2, len(STRETCHES) + len(FLOORS), len(BOX_RULES) + 2), np.bool_)
    turns = np.zeros((count, 2, RECENT_BARS, len(LEG_RULES)), np.bool_)
    for side, scene in enumerate((upright, upright.mirrored)):
        for column, rule in enumerate(BOX_RULES):
            held = rule(scene, base).places
            stretches[boxes.row, side, anchor, column] = held
        stretches[boxes.row, side, anchor, -1] = True
        stretches[:, side, len(STRETCHES) :, -2] = box_forms.retest_of_floor(scene, base).places
        stretches[:, side, len(STRETCHES) :, -1] = box_forms.floors(scene, base)[2]
        for column, rule in enumerate(LEG_RULES):
            form = rule(scene, base)
            rows = np.flatnonzero(form.holds)
            turns[rows, side, RECENT_BARS - 1 - form.age[rows], column] = True
    return stretches, turns
