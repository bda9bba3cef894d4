"""Box finding against a brute-force oracle that follows docs/setups.md in plain loops."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.labels.walks import walks
from vision_ai.domain import CLOSE, HIGH, LOW, VOLUME, WINDOW
from vision_ai.labels.boxes import (
    BOX_LENGTHS_BARS,
    BOX_SEGMENTS,
    FLOOR_SEGMENTS,
    MAX_BOX_AGE_BARS,
    Boxes,
    quarter_maxima,
    second_highest,
    touched_apart,
)
from vision_ai.labels.examples import SETUP_EXAMPLES, mirrored, retest_of_floor
from vision_ai.labels.normalized_bars import NormalizedBars
from vision_ai.labels.thresholds import Thresholds

SEEDS = st.integers(0, 2**32 - 1)


def plain_boxes(bars: np.ndarray, t: Thresholds) -> dict[tuple[int, int], tuple[float, float]]:
    """Every box of one chart: (bars, ended) to (top, bottom)."""
    logs = np.round(np.log(bars[:, [HIGH, LOW, CLOSE]] / bars[-1, CLOSE]), 9)
    highs, lows, closes = logs.T
    spans = [highs[0] - lows[0]]
    for before, (high, low) in zip(closes[:-1], logs[1:, :2], strict=True):
        spans.append(max(high, before) - min(low, before))
    unit = max(sum(spans) / WINDOW, (highs.max() - lows.min()) / 40, 1e-9)
    boxes = {}
    for length in BOX_LENGTHS_BARS:
        for ended in range(MAX_BOX_AGE_BARS + 1):
            start = WINDOW - ended - length
            if start < 0:
                continue
            cuts = [start + length // 4 * q for q in range(5)]
            quarter_highs = [max(highs[a:b]) for a, b in pairwise(cuts)]
            quarter_lows = [min(lows[a:b]) for a, b in pairwise(cuts)]
            top, bottom = sorted(quarter_highs)[-2], sorted(quarter_lows)[1]
            height = top - bottom
            half = length // 2
            first, later = closes[start : start + half], closes[start + half : start + length]
            offset = abs(np.r_[first, later].mean() - (top + bottom) / 2)
            spike = max(max(quarter_highs) - top, bottom - min(quarter_lows))
            near = t.touch_part * height
            at_top = [high >= top - near for high in quarter_highs]
            at_bottom = [low <= bottom + near for low in quarter_lows]
            if (
                t.box_min_atr * unit <= height <= t.box_height_atr * math.sqrt(length) * unit
                and spike <= t.spike_part * height
                and offset <= t.center_offset_part * height
                and abs(later.mean() - first.mean()) <= t.drift_part * height
                and any(at_top[a] and at_top[b] for a, b in ((0, 2), (0, 3), (1, 3)))
                and any(at_bottom[a] and at_bottom[b] for a, b in ((0, 2), (0, 3), (1, 3)))
            ):
                boxes[length, ended] = top, bottom
    return boxes


def drawn_charts() -> np.ndarray:
    drawn = [draw() for draw in (*SETUP_EXAMPLES.values(), retest_of_floor)]
    return np.stack([*drawn, *(mirrored(chart) for chart in drawn)])


@pytest.mark.parametrize("strictness", [-0.1, 0.0, 0.1])
def test_boxes_of_drawn_charts_equal_plain_loops(strictness):
    bars, t = drawn_charts(), Thresholds().scaled(strictness)
    boxes = Boxes.find(NormalizedBars.of(bars), t)
    count = 0
    for row, chart in enumerate(bars):
        expected = plain_boxes(chart, t)
        mine = boxes.row == row
        keys = list(zip(boxes.bars[mine].tolist(), boxes.ended[mine].tolist(), strict=True))
        assert sorted(keys) == sorted(expected)
        for key, top, bottom in zip(keys, boxes.top[mine], boxes.bottom[mine], strict=True):
            assert (top, bottom) == pytest.approx(expected[key], abs=1e-12)
        count += len(keys)
    assert count > 50


@settings(max_examples=10, deadline=None)
@given(SEEDS)
def test_boxes_of_random_walks_equal_plain_loops(seed):
    bars, t = walks(4, seed), Thresholds().scaled(-0.1)
    boxes = Boxes.find(NormalizedBars.of(bars), t)
    for row, chart in enumerate(bars):
        mine = boxes.row == row
        keys = set(zip(boxes.bars[mine].tolist(), boxes.ended[mine].tolist(), strict=True))
        assert keys == set(plain_boxes(chart, t))


def test_rows_are_ordered_by_chart_then_length_then_age():
    boxes = Boxes.find(NormalizedBars.of(drawn_charts()), Thresholds())
    order = np.lexsort((boxes.ended, -boxes.bars, boxes.row))
    np.testing.assert_array_equal(order, np.arange(len(boxes.row)))


def test_stricter_thresholds_keep_a_subset_of_the_boxes():
    bars = NormalizedBars.of(drawn_charts())
    loose = Boxes.find(bars, Thresholds().scaled(-0.1))
    for strictness in (-0.1, 0.0, 0.1):
        t = Thresholds().scaled(strictness)
        again = Boxes.find(bars, t)
        mask = loose.are_valid(t)
        # filtering the loosest boxes is how the rule book measures "clear" in one pass
        for name in ("row", "bars", "ended", "top", "bottom", "volume"):
            np.testing.assert_array_equal(getattr(loose, name)[mask], getattr(again, name))


def test_boxes_of_mirrored_charts_are_the_mirrored_boxes():
    bars = NormalizedBars.of(drawn_charts())
    upright, turned = Boxes.find(bars, Thresholds()), Boxes.find(bars.mirrored, Thresholds())
    np.testing.assert_array_equal(upright.mirrored.top, -upright.bottom)
    for name in ("row", "bars", "ended", "top", "bottom", "volume"):
        np.testing.assert_allclose(getattr(upright.mirrored, name), getattr(turned, name))


def test_volume_of_a_box_is_the_mean_inside_in_parts_of_the_charts_mean():
    bars = drawn_charts()
    boxes = Boxes.find(NormalizedBars.of(bars), Thresholds())
    for row, length, ended, volume in zip(
        boxes.row[::7], boxes.bars[::7], boxes.ended[::7], boxes.volume[::7], strict=True
    ):
        inside = bars[row, WINDOW - ended - length : WINDOW - ended, VOLUME]
        assert volume == pytest.approx(inside.mean() / bars[row, :, VOLUME].mean())


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-1e3, 1e3), min_size=4, max_size=4))
def test_second_highest_is_the_third_of_four_sorted(values):
    assert second_highest(np.array(values)) == sorted(values)[2]


@pytest.mark.parametrize("code", range(16))
def test_two_touched_quarters_count_only_if_they_do_not_adjoin(code):
    touched = [bool(code >> quarter & 1) for quarter in range(4)]
    places = [quarter for quarter in range(4) if touched[quarter]]
    expected = bool(places) and places[-1] - places[0] >= 2
    assert touched_apart(np.array(touched)) == expected


def test_quarters_split_a_segment_into_four_equal_runs_of_bars():
    values = np.arange(2 * WINDOW, dtype=float).reshape(2, WINDOW)
    (maxima,) = quarter_maxima(values[:1], ((24, 3),))
    # rising values: the maximum of each quarter is its last bar
    assert maxima[0].tolist() == [74.0, 80.0, 86.0, 92.0]


def test_all_segments_fit_into_a_window():
    for bars, ended in (*BOX_SEGMENTS, *FLOOR_SEGMENTS):
        assert bars % 4 == 0
        assert bars + ended <= WINDOW
    assert len(set(BOX_SEGMENTS)) == len(BOX_SEGMENTS) == 175


def test_a_chart_without_a_pause_has_no_box():
    climb = SETUP_EXAMPLES[list(SETUP_EXAMPLES)[-1]]()
    assert len(Boxes.find(NormalizedBars.of(climb[None]), Thresholds()).row) == 0
