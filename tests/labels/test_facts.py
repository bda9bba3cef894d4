import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.labels.walks import walks
from vision_ai.domain import CLOSE, HIGH, LOW, READINGS, WINDOW, Label, Phase, Reading
from vision_ai.labels.examples import SETUP_EXAMPLES, mirrored
from vision_ai.labels.facts import (
    CAPTION_LINE_CHARS,
    DRAWN_FACTS,
    FACTS,
    LEVEL_LINE_BARS,
    MIRRORED_FACTS,
    TOUCH_GAP_BARS,
    contact_sheet_caption,
    level_lines,
)
from vision_ai.labels.rules import label
from vision_ai.labels.thresholds import Thresholds


@pytest.mark.parametrize("reading", SETUP_EXAMPLES, ids=lambda r: r.name)
def test_a_caption_names_the_label_in_three_short_lines(reading: Reading):
    lines = contact_sheet_caption(label(SETUP_EXAMPLES[reading]()[None])[0]).split("\n")
    assert lines[0].startswith(f"{reading.name} | ")
    assert len(lines) <= 3
    assert all(len(line) <= CAPTION_LINE_CHARS for line in lines)


@pytest.mark.parametrize("reading", SETUP_EXAMPLES, ids=lambda r: r.name)
def test_marks_lie_in_the_chart(reading: Reading):
    chart = SETUP_EXAMPLES[reading]()
    for bars in (chart, mirrored(chart)):
        for price, start, stop in level_lines(label(bars[None])[0], bars[-1, CLOSE]):
            assert bars[:, 2].min() * 0.99 <= price <= bars[:, 1].max() * 1.01
            assert 0 <= start < stop <= WINDOW


def test_a_label_without_facts_has_no_marks():
    assert level_lines(Label(READINGS[0], Phase.RANGE), 100.0) == []


def test_a_break_is_measured_from_the_edge_that_broke():
    up = label(SETUP_EXAMPLES[READINGS[0]]()[None])[0].facts
    assert up["level"] == up["box_top"] < 0
    assert up["furthest_atr"] * up["atr"] >= -up["level"]
    assert up["volume_ratio"] >= 1.4


def test_turning_facts_over_twice_changes_nothing():
    assert set(MIRRORED_FACTS) <= set(FACTS)
    for name, (target, sign) in MIRRORED_FACTS.items():
        assert MIRRORED_FACTS[target] == (name, sign)


def test_touches_are_counted_apart():
    chart = SETUP_EXAMPLES[Reading(READINGS[-2].setup, READINGS[-2].direction)]()
    facts = label(chart[None])[0].facts
    assert facts["box_bars"] > 0
    assert 2 <= facts["touches_top"] <= facts["box_bars"] / 4 + 1
    assert np.isfinite(list(facts.values())).all()


@pytest.mark.parametrize("reading", SETUP_EXAMPLES, ids=lambda r: r.name)
def test_every_number_of_a_contact_sheet_is_a_fact(reading: Reading):
    one = label(SETUP_EXAMPLES[reading]()[None])[0]
    title, *lines = contact_sheet_caption(one).split("\n")
    assert title.endswith("clear" if one.clear else "borderline")
    pairs = [item.split("=") for item in " ".join(lines).split()]
    assert all(value == f"{one.facts[name]:.2g}" for name, value in pairs)
    assert all(one.facts[name] for name, _ in pairs)
    assert not {name for name, _ in pairs} & set(DRAWN_FACTS)


@pytest.mark.parametrize("reading", SETUP_EXAMPLES, ids=lambda r: r.name)
def test_lines_are_the_edges_of_the_box_over_its_bars_and_the_level_at_the_end(reading: Reading):
    chart = SETUP_EXAMPLES[reading]()
    one = label(chart[None])[0]
    lines = level_lines(one, chart[-1, CLOSE])
    expected = []
    if one.facts["box_bars"]:
        stop = WINDOW - one.facts["box_ended"]
        expected += [
            (name, stop - one.facts["box_bars"], stop) for name in ("box_top", "box_bottom")
        ]
    if one.facts["level"]:
        expected.append(("level", WINDOW - LEVEL_LINE_BARS, WINDOW))
    assert [(start, stop) for _, start, stop in lines] == [(a, b) for _, a, b in expected]
    for (price, _, _), (name, _, _) in zip(lines, expected, strict=True):
        assert np.log(price / chart[-1, CLOSE]) == pytest.approx(one.facts[name])


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_touches_equal_a_count_by_hand(seed: int):
    bars = walks(40, seed)
    labels = label(bars)
    logs = np.round(np.log(bars[:, :, [HIGH, LOW]] / bars[:, -1:, [CLOSE]]), 9)
    for row in np.flatnonzero(labels.facts["box_bars"]):
        facts = {name: column[row] for name, column in labels.facts.items()}
        near = Thresholds().touch_part * (facts["box_top"] - facts["box_bottom"])
        stop = WINDOW - int(facts["box_ended"])
        touches, last = 0, -TOUCH_GAP_BARS
        for column in range(stop - int(facts["box_bars"]), stop):
            if logs[row, column, 0] >= facts["box_top"] - near and column - last >= TOUCH_GAP_BARS:
                touches, last = touches + 1, column
        assert facts["touches_top"] == touches
