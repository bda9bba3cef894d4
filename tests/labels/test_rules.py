import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.labels.walks import klines_of, walks
from vision_ai.domain import PHASES, READINGS, Phase, Reading
from vision_ai.labels import examples
from vision_ai.labels.facts import FACTS
from vision_ai.labels.rules import CHUNK_WINDOWS, RULES_VERSION, label
from vision_ai.labels.thresholds import Thresholds

MIRRORED_READING = np.array([READINGS.index(reading.mirror) for reading in READINGS])
MIRRORED_PHASE = np.array([PHASES.index(phase.mirror) for phase in PHASES])

seeds = st.integers(0, 2**32 - 1)


@pytest.mark.parametrize("reading", examples.SETUP_EXAMPLES, ids=lambda r: r.name)
def test_a_hand_drawn_setup_is_read_as_drawn(reading: Reading):
    chart = examples.SETUP_EXAMPLES[reading]()
    both = label(np.stack([chart, examples.mirrored(chart)]))
    assert both[0].reading == reading
    assert both[1].reading == reading.mirror


def test_a_third_touch_of_a_floor_is_a_support_retest():
    assert label(examples.retest_of_floor()[None])[0].reading.name == "support-retest:long"


@pytest.mark.parametrize("phase", PHASES)
def test_a_hand_drawn_phase_is_read_as_drawn(phase: Phase):
    assert label(examples.phase_example(phase)[None])[0].phase is phase


def test_the_examples_cover_every_reading():
    drawn = set(examples.SETUP_EXAMPLES) | {r.mirror for r in examples.SETUP_EXAMPLES}
    assert drawn == set(READINGS)


@settings(max_examples=25, deadline=None)
@given(seeds)
def test_negating_log_price_mirrors_every_label(seed: int):
    bars = walks(64, seed)
    upright, turned = label(bars), label(examples.mirrored(bars))
    assert (MIRRORED_READING[upright.reading] == turned.reading).all()
    assert (MIRRORED_PHASE[upright.phase] == turned.phase).all()
    assert (upright.clear == turned.clear).all()
    np.testing.assert_allclose(upright.facts["level"], -turned.facts["level"], atol=1e-12)
    np.testing.assert_allclose(upright.facts["box_top"], -turned.facts["box_bottom"], atol=1e-12)
    np.testing.assert_array_equal(upright.facts["touches_top"], turned.facts["touches_bottom"])


@settings(max_examples=25, deadline=None)
@given(seeds, st.floats(1e-9, 1e9))
def test_a_change_of_scale_changes_no_label(seed: int, factor: float):
    bars = walks(64, seed)
    scaled = bars * np.array([factor, factor, factor, factor, 1.0])
    before, after = label(bars), label(scaled)
    assert (before.reading == after.reading).all()
    assert (before.phase == after.phase).all()
    assert (before.clear == after.clear).all()


@settings(max_examples=25, deadline=None)
@given(seeds, st.floats(1e-6, 1e12))
def test_the_unit_of_volume_changes_no_label(seed: int, factor: float):
    bars = walks(32, seed)
    assert (
        label(bars).reading == label(bars * np.array([1.0, 1.0, 1.0, 1.0, factor])).reading
    ).all()


@settings(max_examples=20, deadline=None)
@given(seeds, st.integers(1, 60))
def test_later_candles_repaint_no_label(seed: int, more: int):
    klines = klines_of(200, seed)
    known = klines[: len(klines) - more]
    ends = known.window_ends()
    then, now = label(known.windows(ends)), label(klines.windows(ends))
    assert (then.reading == now.reading).all()
    assert (then.phase == now.phase).all()
    for name in FACTS:
        np.testing.assert_array_equal(then.facts[name], now.facts[name])


@settings(max_examples=3, deadline=None)
@given(seeds)
def test_a_label_does_not_depend_on_its_company(seed: int):
    bars = walks(CHUNK_WINDOWS + 40, seed)
    order = np.random.default_rng(seed).permutation(len(bars))
    together, shuffled = label(bars), label(bars[order])
    assert (together.reading[order] == shuffled.reading).all()
    alone = label(bars[CHUNK_WINDOWS + 7 : CHUNK_WINDOWS + 8])
    assert alone[0] == together[CHUNK_WINDOWS + 7]


@settings(max_examples=25, deadline=None)
@given(seeds)
def test_facts_are_finite_and_named(seed: int):
    labels = label(walks(64, seed))
    assert set(labels.facts) == set(FACTS)
    assert all(np.isfinite(column).all() for column in labels.facts.values())
    assert labels.rules == RULES_VERSION


def test_a_dead_market_has_no_setup():
    flat = np.ones((1, 96, 5))
    silent = walks(1, 0) * np.array([1.0, 1.0, 1.0, 1.0, 0.0])
    for bars in (flat, silent):
        labels = label(bars)
        assert all(np.isfinite(column).all() for column in labels.facts.values())
    assert label(flat)[0].reading.name == "none:neutral"
    assert label(flat)[0].phase is Phase.RANGE


def test_no_charts_make_no_labels():
    labels = label(np.empty((0, 96, 5)))
    assert len(labels) == 0
    assert set(labels.facts) == set(FACTS)


def test_strict_thresholds_are_harder_to_meet():
    strict, loose = Thresholds().scaled(0.1), Thresholds().scaled(-0.1)
    assert strict.break_atr > Thresholds().break_atr > loose.break_atr
    assert strict.box_height_atr < Thresholds().box_height_atr < loose.box_height_atr


def test_a_box_fact_lies_around_the_price_of_a_range():
    facts = label(examples.sideways()[None])[0].facts
    assert facts["box_bottom"] <= 0 <= facts["box_top"]
    assert facts["touches_top"] >= 2
    assert facts["touches_bottom"] >= 2
