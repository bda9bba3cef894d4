"""Every rule of docs/setups.md against plain loops, with charts on both sides of each threshold."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.labels.plain_rules import (
    BOX_RULES,
    LEG_RULES,
    bent_examples,
    faded_breaks,
    jittered_examples,
    plain_charts,
    plain_setups,
)
from tests.labels.walks import walks
from vision_ai.domain import PHASES, READINGS
from vision_ai.labels import box_setups, leg_setups, rules
from vision_ai.labels.boxes import FLOOR_SEGMENTS, Boxes
from vision_ai.labels.measured_charts import MeasuredCharts
from vision_ai.labels.normalized_bars import NormalizedBars
from vision_ai.labels.thresholds import AT_LEAST, Thresholds

SEEDS = st.integers(0, 2**32 - 1)
BASE = Thresholds()
FIELDS = {field.name: field for field in dataclasses.fields(Thresholds)}
RULES = {
    **{name: getattr(box_setups, name) for name in (*BOX_RULES, "retest_of_floor")},
    **{name: getattr(leg_setups, name) for name in LEG_RULES},
}
DECISIVE = {
    "box_height_atr": "inside", "box_min_atr": "inside", "touch_part": "inside",
    "spike_part": "inside", "drift_part": "inside", "center_offset_part": "inside",
    "range_age_bars": "inside", "break_atr": "breakout", "wait_bars": "fakeout",
    "break_bars": "breakout", "break_volume": "breakout", "break_close_atr": "breakout",
    "continue_best_atr": "continuation", "continue_close_atr": "continuation",
    "slack_atr": "inside", "best_close_gap_atr": "reversal", "retest_bars": "retest_of_floor",
    "retest_far_atr": "retest_of_break", "retest_near_atr": "retest_of_break",
    "retest_leave_atr": "retest_of_floor", "retest_turn_atr": "retest_of_floor",
    "floor_touch_atr": "retest_of_floor", "floor_far_atr": "retest_of_floor",
    "fail_close_atr": "fakeout", "fail_wick_atr": "fakeout", "fail_bars": "fakeout",
    "fail_depth_part": "fakeout", "fail_back_part": "fakeout", "trap_bars": "trap",
    "trap_back_part": "trap", "trap_far_part": "trap", "trap_volume": "trap",
    "pull_leg_atr": "pullback", "pull_efficiency": "pullback", "pull_min_bars": "pullback",
    "pull_max_bars": "pullback", "pull_min_of_leg": "pullback", "pull_close_of_leg": "pullback",
    "pull_max_of_leg": "pullback", "run_atr": "exhaustion", "run_turn_bars": "exhaustion",
    "climax_bar_atr": "exhaustion", "climax_volume": "exhaustion", "reject_atr": "exhaustion",
    "reject_of_run": "exhaustion", "reversal_leg_atr": "reversal",
    "reversal_min_bars": "reversal", "reversal_max_bars": "reversal",
    "reversal_best_of_leg": "reversal", "reversal_close_of_leg": "reversal",
}  # fmt: skip
"""Each threshold with a rule that it decides."""


@pytest.fixture(scope="module")
def charts() -> np.ndarray:
    """Drawn charts moved a little, and random walks."""
    return np.concatenate([jittered_examples(3), walks(40, 11)])


@pytest.fixture(scope="module")
def near_thresholds() -> np.ndarray:
    """Many charts of which some lie just on either side of each threshold."""
    return np.concatenate([bent_examples(900), faded_breaks(), jittered_examples(3), walks(40, 11)])


def matches(bars: np.ndarray, rule: str, t: Thresholds, *, mirrored: bool = False) -> np.ndarray:
    measured = MeasuredCharts.of(NormalizedBars.of(bars), t)
    return np.asarray(RULES[rule](measured.mirrored if mirrored else measured, t).holds)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("strictness", [-0.1, 0.0, 0.1])
def test_a_rule_holds_where_plain_loops_say_so(rule, strictness, charts):
    t = BASE.scaled(strictness)
    up, down = plain_charts(charts, t)
    for side, mirrored in ((up, False), (down, True)):
        expected = [chart.holds(rule, t) for chart in side]
        assert matches(charts, rule, t, mirrored=mirrored).tolist() == expected
        assert any(expected)
        assert not all(expected)


@pytest.mark.parametrize("rule", BOX_RULES)
def test_a_rule_holds_at_the_boxes_that_plain_loops_name(rule, charts):
    bars = NormalizedBars.of(charts)
    measured = MeasuredCharts.of(bars, BASE)
    segments = RULES[rule](measured, BASE).segments
    up, _ = plain_charts(charts, BASE)
    expected = [chart.holds_at(rule, box, BASE) for chart in up for box in chart.boxes]
    assert segments.tolist() == expected


def test_a_floor_holds_in_the_segments_that_plain_loops_name(charts):
    measured = MeasuredCharts.of(NormalizedBars.of(charts), BASE)
    segments = box_setups.retest_of_floor(measured, BASE).segments
    up, _ = plain_charts(charts, BASE)
    expected = [[chart.floor_holds(one, BASE) for one in FLOOR_SEGMENTS] for chart in up]
    assert segments.tolist() == expected


@settings(max_examples=8, deadline=None)
@given(SEEDS)
def test_readings_and_phases_of_random_walks_equal_plain_loops(seed):
    bars = walks(12, seed)
    labels = rules.label(bars)
    # the rule book finds boxes for the loosest thresholds and filters them; so does nobody here
    up, down = plain_charts(bars, BASE)
    for row in range(len(bars)):
        possible = plain_setups(up[row], down[row], BASE)
        reading = READINGS[labels.reading[row]]
        if len(possible) == 1:
            assert {reading} == possible
        assert PHASES[labels.phase[row]] is up[row].phase(BASE)


def test_of_two_sides_the_newer_event_names_the_chart(charts):
    measured = MeasuredCharts.of(NormalizedBars.of(charts), BASE)
    labels = rules.label(charts)
    unnamed = np.ones(len(charts), np.bool_)
    for setup, forms in rules.PRIORITY:
        for form in forms:
            long, short = form(measured, BASE), form(measured.mirrored, BASE)
            both = unnamed & long.holds & short.holds
            for row in np.flatnonzero(both & (long.age != short.age)):
                expected = setup if long.age[row] < short.age[row] else setup.mirror
                assert READINGS[labels.reading[row]].setup is expected
            unnamed &= ~(long.holds ^ short.holds)
            unnamed &= ~(both & (long.age != short.age))


def test_every_threshold_has_a_rule_that_it_decides():
    phases = {name for name in FIELDS if name.endswith("_of_chart")}
    assert set(DECISIVE) | phases == set(FIELDS)


@pytest.mark.parametrize("name", DECISIVE)
def test_a_threshold_decides_charts_on_both_of_its_sides(name, near_thresholds):
    """Half and twice the number, all others equal: some charts change, and plain loops agree."""
    rule, bars = DECISIVE[name], near_thresholds
    books = [dataclasses.replace(BASE, **{name: getattr(BASE, name) * by}) for by in (0.5, 2.0)]
    outcomes = [matches(bars, rule, t) for t in books]
    changed = np.flatnonzero(outcomes[0] != outcomes[1])
    assert len(changed), name
    for t, outcome in zip(books, outcomes, strict=True):
        up, _ = plain_charts(bars[changed[:8]], t)
        assert [chart.holds(rule, t) for chart in up] == outcome[changed[:8]].tolist()
    strict = int(FIELDS[name].metadata["strict"] == AT_LEAST)
    assert outcomes[1 - strict].sum() > outcomes[strict].sum()


@pytest.mark.parametrize("name", [name for name in FIELDS if name.endswith("_of_chart")])
def test_a_threshold_of_phases_decides_charts_on_both_of_its_sides(name, charts):
    outcomes = []
    for factor in (0.7, 1.4):
        t = dataclasses.replace(BASE, **{name: getattr(BASE, name) * factor})
        phases = rules._phase(MeasuredCharts.of(NormalizedBars.of(charts), t), t)
        up, _ = plain_charts(charts, t)
        assert [PHASES[code] for code in phases] == [chart.phase(t) for chart in up]
        outcomes.append(phases)
    assert (outcomes[0] != outcomes[1]).any()


def test_a_label_is_clear_where_both_other_rule_books_agree(charts):
    labels = rules.label(charts)
    agree = np.ones(len(charts), np.bool_)
    for strictness in (0.1, -0.1):
        t = BASE.scaled(strictness)
        up, down = plain_charts(charts, t)
        for row in range(len(charts)):
            possible = plain_setups(up[row], down[row], t)
            agree[row] &= READINGS[labels.reading[row]] in possible
            agree[row] &= up[row].phase(t) is PHASES[labels.phase[row]]
    # a chart that is clear has its label in all three; ties of the two sides may be unclear
    assert not (labels.clear & ~agree).any()
    assert 0 < labels.clear.sum() < len(charts)
    assert (labels.clear == agree).mean() > 0.95


def test_facts_of_a_break_are_measured_from_its_box(charts):
    measured = MeasuredCharts.of(NormalizedBars.of(charts), BASE)
    match = box_setups.breakout(measured, BASE)
    bars = measured.bars
    for row in np.flatnonzero(match.holds):
        age, top = match.age[row], match.facts["box_top"][row]
        assert match.facts["level"][row] == top
        assert bars.c[row, -1 - age] >= top + BASE.break_atr * bars.unit[row]
        highest = bars.h[row, -1 - age :].max()
        assert match.facts["furthest_atr"][row] == pytest.approx((highest - top) / bars.unit[row])
    box_facts = [match.facts[name][~match.holds] for name in ("box_top", "box_bars", "box_ended")]
    assert not any(values.any() for values in box_facts)


def test_of_several_boxes_the_longest_then_the_newest_is_the_one_that_is_named(charts):
    measured = MeasuredCharts.of(NormalizedBars.of(charts), BASE)
    match = box_setups.inside(measured, BASE)
    boxes = Boxes.find(measured.bars, BASE)
    for row in np.flatnonzero(match.holds):
        mine = np.flatnonzero((boxes.row == row) & match.segments)
        best = min(mine, key=lambda i: (-boxes.bars[i], boxes.ended[i]))
        facts = match.facts
        assert (facts["box_bars"][row], facts["box_ended"][row]) == (
            boxes.bars[best],
            boxes.ended[best],
        )
