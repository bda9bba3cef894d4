"""The rule book: which setup and which phase 96 candles show, why, and how clearly.

Causal by construction: nothing but the window enters. Mirror-exact by construction: only long
forms are written, and the short ones are the same functions on the mirrored chart.
"""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from vision_ai.domain import PHASES, READINGS, Direction, Labels, Phase, Reading, Setup
from vision_ai.labels import box_forms, leg_forms
from vision_ai.labels.facts import FACTS, chart_facts, count_touches, write
from vision_ai.labels.measure import Array, Charts
from vision_ai.labels.scene import Form, Scene
from vision_ai.labels.thresholds import Thresholds

RULES_VERSION = "1"
"""Names the rule book in every label; any change of a definition raises it."""

CHUNK = 512
"""Windows measured at a time: the working set stays in the processor's cache."""

Rule = Callable[[Scene, Thresholds], Form]

LADDER: tuple[tuple[Setup, tuple[Rule, ...]], ...] = (
    (Setup.TRAP, (box_forms.trap,)),
    (Setup.FAKEOUT, (box_forms.fakeout,)),
    (Setup.BREAKOUT, (box_forms.breakout,)),
    (Setup.SUPPORT_RETEST, (box_forms.retest_of_break, box_forms.retest_of_floor)),
    (Setup.BREAKOUT_CONTINUATION, (box_forms.continuation,)),
    (Setup.EXHAUSTION, (leg_forms.exhaustion,)),
    (Setup.REVERSAL, (leg_forms.reversal,)),
    (Setup.PULLBACK, (leg_forms.pullback,)),
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
        says nothing about the reading. `facts` are named by `FACTS`.
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
    for start in range(0, max(len(bars), 1), CHUNK):
        yield bars[start : start + CHUNK]


def _label_chunk(bars: Array) -> Labels:
    base = Thresholds()
    scene = Scene.of(Charts.of(bars), base.scaled(-0.1))
    reading, facts = _read(scene, base)
    count_touches(scene.charts, facts, base)
    phase = _phase(scene, base)
    clear = np.ones(len(bars), np.bool_)
    for strict in (0.1, -0.1):
        moved = base.scaled(strict)
        clear &= (_read(scene, moved)[0] == reading) & (_phase(scene, moved) == phase)
    return Labels(reading, phase, clear, facts, RULES_VERSION)


def _read(scene: Scene, t: Thresholds) -> tuple[NDArray[np.int8], dict[str, Array]]:
    """Climb the ladder: the first setup that holds names the chart."""
    count = len(scene.unit)
    reading = np.full(count, NONE, np.int8)
    facts = chart_facts(scene)
    free = np.ones(count, np.bool_)
    for setup, rules in LADDER:
        for rule in rules:
            up, down = rule(scene, t), rule(scene.mirrored, t)
            longs = free & up.holds & (~down.holds | (up.age < down.age))
            shorts = free & down.holds & (~up.holds | (down.age < up.age))
            reading[longs] = READINGS.index(Reading(setup, Direction.LONG))
            reading[shorts] = READINGS.index(Reading(setup.mirror, Direction.SHORT))
            write(facts, up, longs)
            write(facts, down, shorts, mirrored=True)
            free &= ~(longs | shorts)
    live = box_forms.inside(scene, t)
    reading[free & live.holds] = RANGE
    write(facts, live, free & live.holds)
    return reading, facts


def _phase(scene: Scene, t: Thresholds) -> NDArray[np.int8]:
    later, earlier, place = leg_forms.trends(scene)
    phase = np.full(len(later), PHASES.index(Phase.RANGE), np.int8)
    phase[(earlier <= -t.came_of_chart) & (place < 0)] = PHASES.index(Phase.ACCUMULATION)
    phase[(earlier >= t.came_of_chart) & (place > 0)] = PHASES.index(Phase.DISTRIBUTION)
    for sign, trend in ((1, Phase.MARKUP), (-1, Phase.MARKDOWN)):
        rises, came = sign * later, sign * earlier
        still = (rises >= t.still_of_chart) & (came >= t.came_of_chart)
        phase[(rises >= t.trend_of_chart) | still] = PHASES.index(trend)
    return phase
