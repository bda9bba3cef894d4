"""The swing detector against plain loops over candles."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.model import making
from vision_ai.domain import WINDOW
from vision_ai.labels.normalized_bars import NormalizedBars
from vision_ai.model.training import anchors, batches, swings, tower
from vision_ai.model.training.anchors import MAX_LEG_BARS, SWING_BARS
from vision_ai.model.training.swings import SwingDetector

pytestmark = pytest.mark.train

SEEDS = st.integers(0, 2**31)


def windows(seed, count=2):
    table = making.klines(seed=seed % 1000)
    ends = table.window_ends()
    return table.windows(ends[np.random.default_rng(seed).integers(0, len(ends), count)])


def normalized(bars):
    return anchors.BarFeatures()(torch.from_numpy(batches.scale_ohlcv(bars)))


def classify(detector, bars):
    return detector(bars, tower.highest_since(bars), tower.highest_so_far(bars))


@settings(max_examples=15, deadline=None)
@given(SEEDS)
def test_the_cumulative_path_is_the_sum_of_all_steps(seed):
    bars = normalized(windows(seed))
    found = swings.cumulative_path(bars)
    for chart, closes in enumerate(bars[..., anchors.CLOSE].tolist()):
        path = 0.0
        for bar in range(WINDOW):
            path += abs(closes[bar] - closes[bar - 1]) if bar else 0.0
            assert found[chart, bar].item() == pytest.approx(path, abs=1e-3)


@settings(max_examples=15, deadline=None)
@given(SEEDS)
def test_window_paths_are_those_before_and_after_each_bar(seed):
    path = swings.cumulative_path(normalized(windows(seed)))
    found = swings._window_paths(path)
    for chart, column in np.ndindex(2, SWING_BARS):
        bar = WINDOW - SWING_BARS + column
        before = path[chart, bar - MAX_LEG_BARS].item() if bar >= MAX_LEG_BARS else 0.0
        now, last = path[chart, bar].item(), path[chart, -1].item()
        expected = [(now - before) / 10, (last - now) / 10]
        assert found[chart, column].tolist() == pytest.approx(expected, abs=1e-4)


@settings(max_examples=8, deadline=None)
@given(SEEDS)
def test_leg_paths_count_from_where_the_rule_book_sees_a_leg_begin(seed):
    bars = windows(seed)
    charts = NormalizedBars.of(bars)
    values = normalized(bars)
    found = SwingDetector(8).leg_paths(values, swings.cumulative_path(values)).numpy()
    steps = np.abs(np.diff(charts.c, axis=1)) / charts.unit[:, None]
    sides = ((charts.soft_l, np.argmin), (charts.soft_h, np.argmax))
    for side, (values, pick) in enumerate(sides):
        for row, bar in np.ndindex(len(bars), SWING_BARS):
            end = WINDOW - SWING_BARS + bar
            first = max(end - MAX_LEG_BARS, 0)
            begun = first + int(pick(values[row, first : end + 1]))
            path = steps[row, begun:end].sum()
            assert found[row, bar, side] == pytest.approx(path, rel=0.05, abs=0.3)


def test_every_recent_bar_gets_logits_of_both_sides():
    embeddings, logits = classify(SwingDetector(8), normalized(windows(1, 3)))
    assert embeddings.shape == (2, 3, SWING_BARS, 8)
    assert logits.shape == (2, 3, SWING_BARS, anchors.SWING_CLASSES)
    assert logits.sigmoid().mean() < 0.1  # nearly no bar is a swing point


@settings(max_examples=5, deadline=None)
@given(SEEDS)
def test_the_mirrored_chart_has_its_sides_exchanged(seed):
    detector, bars = SwingDetector(8), normalized(windows(seed))
    upright, mirrored = classify(detector, bars), classify(detector, anchors.mirror_channels(bars))
    for one, other in zip(upright, mirrored, strict=True):
        assert torch.allclose(one.flip(0), other, atol=1e-4)
