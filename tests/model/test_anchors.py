"""Places on a chart: against the rule book's own measures, plain loops, and the mirror law."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.model import making
from vision_ai.domain import WINDOW
from vision_ai.labels import boxes, leg_setups, normalized_bars
from vision_ai.labels.normalized_bars import NormalizedBars
from vision_ai.labels.thresholds import Thresholds
from vision_ai.model.training import anchors, batches, tower
from vision_ai.model.training.segments import SegmentDetector
from vision_ai.model.training.swings import SwingDetector

pytestmark = pytest.mark.train

SEEDS = st.integers(0, 2**31)


def windows(seed, count=3):
    table = making.klines(seed=seed % 1000)
    ends = table.window_ends()
    return table.windows(ends[np.random.default_rng(seed).integers(0, len(ends), count)])


def numbers(bars):
    return anchors.BarFeatures()(torch.from_numpy(batches.scale_ohlcv(bars)))


def test_the_model_looks_where_the_rule_book_looks():
    assert anchors.SEGMENT_ANCHORS == boxes.BOX_SEGMENTS + boxes.FLOOR_SEGMENTS
    assert anchors.SWING_BARS == leg_setups.RECENT_EXTREME_BARS
    assert anchors.BARS_AFTER == boxes.MAX_BOX_AGE_BARS
    assert anchors.MAX_LEG_BARS == leg_setups.MAX_LEG_BARS
    assert anchors.MIN_UNIT == normalized_bars.MIN_UNIT_OF_CHART
    assert int(Thresholds().retest_bars) + 1 == anchors.RETEST_BARS


@settings(max_examples=20, deadline=None)
@given(SEEDS)
def test_numbers_are_the_rule_books_distances_in_its_unit(seed):
    bars = windows(seed)
    found, charts = numbers(bars).numpy(), NormalizedBars.of(bars)
    unit = charts.unit[:, None]
    for channel, truth in (
        (anchors.HIGH, charts.h), (anchors.NEG_LOW, -charts.l), (anchors.CLOSE, charts.c),
        (anchors.SOFT_HIGH, charts.soft_h), (anchors.TRUE_RANGE, charts.true_range),
    ):  # fmt: skip
        assert np.allclose(found[..., channel], truth / unit, atol=0.02)
    assert np.allclose(found[..., anchors.VOLUME], charts.v, atol=1e-3)


@settings(max_examples=20, deadline=None)
@given(SEEDS)
def test_a_mirrored_chart_is_the_same_numbers_exchanged(seed):
    bars = windows(seed)
    turned = numbers(batches.mirror(bars))
    assert torch.allclose(turned, numbers(bars)[..., list(anchors.MIRRORED_CHANNELS)], atol=1e-2)


@settings(max_examples=3, deadline=None)
@given(SEEDS)
def test_judgements_of_the_mirrored_chart_change_sides(seed):
    values = numbers(windows(seed))
    turned = values[..., list(anchors.MIRRORED_CHANNELS)]
    stretches, turns = SegmentDetector(8, 3), SwingDetector(8)
    for look in (
        lambda x: stretches(x, tower.highest_since(x)).proposal_logits,
        lambda x: stretches(x, tower.highest_since(x)).logits,
        lambda x: turns(x, tower.highest_since(x), tower.highest_so_far(x))[1],
    ):
        assert torch.allclose(look(values).flip(0), look(turned), atol=1e-4)
        assert not torch.allclose(look(values), look(turned), atol=1e-3)


@settings(max_examples=20, deadline=None)
@given(SEEDS, st.integers(1, 30))
def test_rolling_and_ordered_equal_plain_loops(seed, width):
    values = torch.randn(2, 40, 3, generator=torch.Generator().manual_seed(seed))
    rolled = anchors.rolling_max(values, width)
    assert rolled.shape[1] == 40 - width + 1
    for start in range(rolled.shape[1]):
        assert torch.equal(rolled[:, start], values[:, start : start + width].amax(1))
    cells = values[:, :36].view(2, 9, 4, 3)
    assert torch.equal(anchors.sort_quarters(cells), cells.sort(dim=2, descending=True).values)


@settings(max_examples=20, deadline=None)
@given(SEEDS)
def test_leading_quarters_equal_plain_loops(seed):
    cells = torch.randn(3, 5, 4, 2, generator=torch.Generator().manual_seed(seed))
    highest, second, apart = anchors.rank_quarters(cells)
    for chart, place, channel in np.ndindex(3, 5, 2):
        quarters = cells[chart, place, :, channel].tolist()
        ranked = sorted(quarters, reverse=True)
        pairs = [(0, 2), (0, 3), (1, 3)]
        reached = max(min(quarters[one], quarters[other]) for one, other in pairs)
        found = [part[chart, place, channel].item() for part in (highest, second, apart)]
        assert found == [ranked[0], ranked[1], reached]


@settings(max_examples=20, deadline=None)
@given(SEEDS)
def test_a_rebound_is_counted_from_the_fresh_extreme(seed):
    values = numbers(windows(seed))
    found = anchors.rebound_from_extremes(values, tower.highest_since(values))
    for row, chart in enumerate(values[:, -anchors.RETEST_BARS :]):
        for side, (extreme, close) in enumerate(
            ((anchors.NEG_LOW, anchors.CLOSE), (anchors.HIGH, anchors.NEG_CLOSE))
        ):
            at = int((chart[:, extreme] == chart[:, extreme].max()).nonzero()[-1])
            back = chart[at:, close].max() + chart[at, extreme]
            assert found[row, side].item() == pytest.approx(back.item(), abs=1e-4)


@settings(max_examples=20, deadline=None)
@given(SEEDS)
def test_passage_is_the_chance_of_the_first_event(seed):
    rng = np.random.default_rng(seed)
    logits, open_ = rng.normal(0, 2, (4, 6)), rng.random((4, 6)) < 0.7
    hazard = open_ / (1 + np.exp(-logits))
    expected, lasting = np.zeros((4, 6)), np.ones(4)
    for bar in range(6):
        expected[:, bar] = hazard[:, bar] * lasting
        lasting *= 1 - hazard[:, bar]
    found = anchors.first_passage_probability(
        torch.tensor(logits), torch.tensor(open_, dtype=torch.float64),
        torch.ones(6, 6, dtype=torch.float64).triu(1),
    )  # fmt: skip
    assert np.allclose(found.numpy(), expected, atol=1e-9)


def test_a_window_is_as_long_as_the_longest_stretch_needs():
    assert max(bars + ended for bars, ended in anchors.SEGMENT_ANCHORS) <= WINDOW
