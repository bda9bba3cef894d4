"""Every number of the rule book, in one place, each with the side on which it is strict."""

import dataclasses
from dataclasses import dataclass
from typing import Any

AT_LEAST, AT_MOST = 1.0, -1.0
"""Sign of a stricter change: a lower bound rises, an upper bound falls."""


def at_least(value: float) -> Any:
    """Mark a threshold that a chart must reach; strictness raises it."""
    return dataclasses.field(default=value, metadata={"strict": AT_LEAST})


def at_most(value: float) -> Any:
    """Mark a threshold that a chart may not pass; strictness lowers it."""
    return dataclasses.field(default=value, metadata={"strict": AT_MOST})


@dataclass(frozen=True)
class Thresholds:
    """The numbers of the rule book. `atr` means the chart's own mean true range.

    Fractions named `*_part` are of the height of the box, `*_of_leg` of the leg, `*_of_chart`
    of the chart's height. Bars count back from the last candle, which is 0 bars ago.

    >>> Thresholds().scaled(0.1).break_atr > Thresholds().break_atr
    True
    """

    # A box: a sideways segment whose edges were each tested twice, well apart.
    box_height_atr: float = at_most(0.6)  # times the square root of its bars
    box_min_atr: float = at_least(2.0)
    touch_part: float = at_most(0.2)
    spike_part: float = at_most(0.25)
    drift_part: float = at_most(0.3)
    center_offset_part: float = at_most(0.18)
    range_age_bars: float = at_most(8.5)
    # Leaving a box.
    break_atr: float = at_least(0.5)
    wait_bars: float = at_most(6.5)
    break_bars: float = at_most(4.5)
    break_volume: float = at_least(1.4)
    break_close_atr: float = at_least(0.25)
    # Continuing after a break.
    continue_best_atr: float = at_least(2.0)
    continue_close_atr: float = at_least(1.0)
    slack_atr: float = at_most(0.4)
    best_close_gap_atr: float = at_most(2.0)
    # Coming back to a level.
    retest_bars: float = at_most(6.5)
    retest_far_atr: float = at_least(2.0)
    retest_near_atr: float = at_most(0.5)
    retest_leave_atr: float = at_most(2.5)
    retest_turn_atr: float = at_least(0.5)
    floor_touch_atr: float = at_most(0.5)
    floor_far_atr: float = at_least(4.0)
    # Failing to leave a box.
    fail_close_atr: float = at_least(0.3)
    fail_wick_atr: float = at_least(0.6)
    fail_bars: float = at_most(10.5)
    fail_depth_part: float = at_most(0.8)
    fail_back_part: float = at_least(0.15)
    trap_bars: float = at_most(16.5)
    trap_back_part: float = at_least(0.2)
    trap_far_part: float = at_least(0.7)
    trap_volume: float = at_least(2.5)
    # Legs.
    pull_leg_atr: float = at_least(6.0)
    pull_efficiency: float = at_least(0.35)
    pull_min_bars: float = at_least(2.5)
    pull_max_bars: float = at_most(20.5)
    pull_min_of_leg: float = at_least(0.25)
    pull_close_of_leg: float = at_least(0.12)
    pull_max_of_leg: float = at_most(0.62)
    run_atr: float = at_least(7.0)
    run_turn_bars: float = at_most(5.5)
    climax_bar_atr: float = at_least(2.0)
    climax_volume: float = at_least(2.5)
    reject_atr: float = at_least(0.75)
    reject_of_run: float = at_most(0.38)
    reversal_leg_atr: float = at_least(6.0)
    reversal_min_bars: float = at_least(5.5)
    reversal_max_bars: float = at_most(24.5)
    reversal_best_of_leg: float = at_least(0.5)
    reversal_close_of_leg: float = at_least(0.4)
    # Phases: the rise of a line fitted through half of the chart's closes.
    trend_of_chart: float = at_least(0.35)
    earlier_trend_of_chart: float = at_least(0.35)
    later_trend_of_chart: float = at_least(0.2)

    def scaled(self, strict: float) -> "Thresholds":
        """All thresholds moved: `0.1` is a tenth stricter, `-0.1` a tenth looser."""
        moved = {
            f.name: getattr(self, f.name) * (1 + strict * f.metadata["strict"])
            for f in dataclasses.fields(self)
        }
        return Thresholds(**moved)
