import numpy as np
import pytest

from vision_ai.domain import CLOSE, READINGS, WINDOW, Label, Phase, Reading
from vision_ai.labels.examples import SETUP_EXAMPLES, mirrored
from vision_ai.labels.facts import (
    CAPTION_LINE_CHARS,
    FACTS,
    MIRRORED_FACTS,
    contact_sheet_caption,
    level_lines,
)
from vision_ai.labels.rules import label


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
