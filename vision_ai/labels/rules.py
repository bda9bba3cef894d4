"""The rule book: which setup and which phase 96 candles show, why, and how clearly.

Causal by construction: nothing but the window enters. Mirror-exact by construction: only long
forms are written, and the short ones are the same functions on the mirrored chart.
"""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from vision_ai.domain import PHASES, READINGS, Direction, Labels, Phase, Reading, Setup
from vision_ai.labels import box_setups, leg_setups
from vision_ai.labels.facts import FACTS, chart_facts, count_touches, write_facts
from vision_ai.labels.measured_charts import MeasuredCharts, SetupMatch
from vision_ai.labels.normalized_bars import Array, NormalizedBars
from vision_ai.labels.thresholds import Thresholds

RULES_VERSION = "1"
"""Names the rule book in every label; any change of a definition raises it."""

CHUNK_WINDOWS = 512
"""Windows measured at a time: the working set stays in the processor's cache."""

CLEAR_MARGIN = 0.1
"""A label is clear where thresholds this part stricter and looser give the same."""

Rule = Callable[[MeasuredCharts, Thresholds], SetupMatch]

PRIORITY: tuple[tuple[Setup, tuple[Rule, ...]], ...] = (
    (Setup.TRAP, (box_setups.trap,)),
    (Setup.FAKEOUT, (box_setups.fakeout,)),
    (Setup.BREAKOUT, (box_setups.breakout,)),
    (Setup.SUPPORT_RETEST, (box_setups.retest_of_break, box_setups.retest_of_floor)),
    (Setup.BREAKOUT_CONTINUATION, (box_setups.continuation,)),
    (Setup.EXHAUSTION, (leg_setups.exhaustion,)),
    (Setup.REVERSAL, (leg_setups.reversal,)),
    (Setup.PULLBACK, (leg_setups.pullback,)),
)
"""Setups by priority, each with the long forms that make it; `range` and `none` come last."""

NONE = READINGS.index(Reading(Setup.NONE, Direction.NEUTRAL))
RANGE = READINGS.index(Reading(Setup.RANGE, Direction.NEUTRAL))


def label(bars: Array) -> Labels:
    """Read charts by the rule book.

    Args:
        bars: raw candles, float64 (n, WINDOW, 5).

    Returns:
        Reading, phase, clearness and facts of each chart; all facts are finite, 0 where a fact
        does not apply to the reading. `facts` are named by `FACTS`.
    """
    parts = [_label_chunk(chunk) for chunk in _chunks(np.asarray(bars, np.float64))]
    facts = {name: np.concatenate([p.facts[name] for p in parts]) for name in FACTS}
    return Labels(
        reading=np.concatenate([p.reading for p in parts]),
        phase=np.concatenate([p.phase for p in parts]),
        clear=np.concatenate([p.clear for p in parts]),
        facts=facts,
        rules=RULES_VERSION,
    )


def _chunks(bars: Array) -> Iterator[Array]:
    for start in range(0, max(len(bars), 1), CHUNK_WINDOWS):
        yield bars[start : start + CHUNK_WINDOWS]


def _label_chunk(bars: Array) -> Labels:
    base = Thresholds()
    # boxes are found once, for the loosest thresholds; stricter ones filter them
    charts = MeasuredCharts.of(NormalizedBars.of(bars), base.scaled(-CLEAR_MARGIN))
    reading, facts = _read(charts, base)
    count_touches(charts.bars, facts, base)
    phase = _phase(charts, base)
    # clear: neither a stricter nor a looser rule book would give another label
    clear = np.ones(len(bars), np.bool_)
    for strictness in (CLEAR_MARGIN, -CLEAR_MARGIN):
        moved = base.scaled(strictness)
        clear &= (_read(charts, moved)[0] == reading) & (_phase(charts, moved) == phase)
    return Labels(reading, phase, clear, facts, RULES_VERSION)


def _read(charts: MeasuredCharts, t: Thresholds) -> tuple[NDArray[np.int8], dict[str, Array]]:
    """Go down the priority list: the first setup that holds names the chart."""
    count = len(charts.unit)
    reading = np.full(count, NONE, np.int8)
    facts = chart_facts(charts)
    unnamed = np.ones(count, np.bool_)
    for setup, rules in PRIORITY:
        for rule in rules:
            long, short = rule(charts, t), rule(charts.mirrored, t)
            # where both forms hold the newer event wins; at a tie neither does
            longs = unnamed & long.holds & (~short.holds | (long.age < short.age))
            shorts = unnamed & short.holds & (~long.holds | (short.age < long.age))
            reading[longs] = READINGS.index(Reading(setup, Direction.LONG))
            reading[shorts] = READINGS.index(Reading(setup.mirror, Direction.SHORT))
            write_facts(facts, long, longs)
            write_facts(facts, short, shorts, mirrored=True)
            unnamed &= ~(longs | shorts)
    # a range is its own mirror and comes last
    sideways = box_setups.inside(charts, t)
    reading[unnamed & sideways.holds] = RANGE
    write_facts(facts, sideways, unnamed & sideways.holds)
    return reading, facts


def _phase(charts: MeasuredCharts, t: Thresholds) -> NDArray[np.int8]:
    later, earlier, position = leg_setups.half_trends(charts)
    phase = np.full(len(later), PHASES.index(Phase.RANGE), np.int8)
    # sideways low after a fall, sideways high after a rise
    fell, rose = earlier <= -t.earlier_trend_of_chart, earlier >= t.earlier_trend_of_chart
    phase[fell & (position < 0)] = PHASES.index(Phase.ACCUMULATION)
    phase[rose & (position > 0)] = PHASES.index(Phase.DISTRIBUTION)
    # a trend overwrites both: steep by itself, or flatter but the continuation of an earlier one
    for sign, trend in ((1, Phase.MARKUP), (-1, Phase.MARKDOWN)):
        is_steep = sign * later >= t.trend_of_chart
        continues = (sign * later >= t.later_trend_of_chart) & (
            sign * earlier >= t.earlier_trend_of_chart
        )
        phase[is_steep | continues] = PHASES.index(trend)
    return phase
