"""Price followed from stroke to stroke, past titles, dotted lines and price tags."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vision_ai.charts.screenshots import chain

HEIGHT = 320


def path(seed: int, count: int) -> list[tuple[int, int]]:
    """Strokes of candles that follow one another."""
    rng = np.random.default_rng(seed)
    middle, spans = 160, []
    for _ in range(count):
        middle = int(np.clip(middle + rng.integers(-5, 6), 60, 260))
        half = int(rng.integers(6, 16))
        spans.append((middle - half, middle + half))
    return spans


def test_runs_are_half_open_and_cover_what_is_marked() -> None:
    assert chain.runs(np.array([1, 1, 0, 1, 0, 0, 1], bool)) == [(0, 2), (3, 4), (6, 7)]
    assert chain.runs(np.zeros(3, bool)) == []
    assert chain.runs(np.ones(3, bool)) == [(0, 3)]


@given(st.lists(st.booleans(), max_size=40))
def test_runs_give_back_the_marks(marks: list[bool]) -> None:
    found = np.zeros(len(marks), bool)
    spans = chain.runs(np.array(marks, bool))
    for first, last in spans:
        assert first < last
        found[first:last] = True
    assert found.tolist() == marks
    assert all(one[1] < other[0] for one, other in itertools.pairwise(spans))


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 9999))
def test_candles_alone_are_followed_to_the_last(seed: int) -> None:
    spans = path(seed, 60)
    found = chain.longest_chain([[span] for span in spans], HEIGHT)
    assert found == list(enumerate(spans))


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 9999), st.integers(0, 40))
def test_a_title_above_does_not_lead_the_path_away(seed: int, first: int) -> None:
    spans = path(seed, 60)
    strokes = [[span] for span in spans]
    for slot in range(first, first + 18):
        strokes[slot] = [(4, 14), *strokes[slot]]  # letters, far above
    assert chain.longest_chain(strokes, HEIGHT) == list(enumerate(spans))


def test_an_empty_slot_ends_a_chain_and_the_longer_part_is_taken() -> None:
    spans = path(1, 60)
    strokes = [[span] for span in spans]
    strokes[20] = []
    found = chain.longest_chain(strokes, HEIGHT)
    assert [slot for slot, _ in found] == list(range(21, 60))


def test_of_two_chains_of_one_length_the_later_is_taken() -> None:
    spans = path(1, 41)
    strokes = [[span] for span in spans]
    strokes[20] = []
    assert chain.longest_chain(strokes, HEIGHT)[0][0] == 21


def test_no_strokes_make_no_chain() -> None:
    assert chain.longest_chain([[], []], HEIGHT) == []


def test_a_leap_over_the_chart_ends_a_chain() -> None:
    spans = path(3, 60)
    strokes = [[span] for span in spans]
    strokes[50:] = [[(2, 8)] for _ in range(10)]  # a legend right of the candles
    found = chain.longest_chain(strokes, HEIGHT)
    assert [slot for slot, _ in found] == list(range(50))


@pytest.mark.parametrize("every", [1, 2, 5])
def test_dashes_of_a_price_line_are_dropped_beside_candles(every: int) -> None:
    spans = path(4, 60)
    strokes = [[(20, 22), span] if slot % every == 0 else [span] for slot, span in enumerate(spans)]
    assert chain.without_line(strokes) == [[span] for span in spans]


def test_a_slot_that_shows_the_dash_alone_keeps_it() -> None:
    spans = path(5, 30)
    strokes = [[(20, 22), span] for span in spans]
    strokes[7] = [(20, 22)]
    assert chain.without_line(strokes)[7] == [(20, 22)]


def test_few_thin_strokes_are_no_line() -> None:
    spans = path(6, 60)
    strokes = [[span] for span in spans]
    strokes[3] = [(20, 22), spans[3]]
    assert chain.without_line(strokes) == strokes


def tagged(seed: int, tag: int = 5, line: int = 2):
    """Candles, then the line that leads to a price tag, then the tag."""
    candles = list(enumerate(path(seed, 40)))
    row = candles[-1][1][0]
    joint = [(40 + i, (row, row + 2)) for i in range(line)]
    box = [(40 + line + i, (row - 7, row + 7)) for i in range(tag)]
    return candles, [*candles, *joint, *box]


def apart(slot: int, span: tuple[int, int]) -> float:
    del slot, span
    return 0.0


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 9999))
def test_a_tag_at_the_end_of_a_line_is_cut_off_with_the_line(seed: int) -> None:
    candles, with_tag = tagged(seed)
    found = chain.without_tag(with_tag, apart)
    assert found == candles[: len(found)]
    assert len(found) >= len(candles) - 1  # a last candle as thin as a line goes with it


def test_a_narrow_box_is_no_tag() -> None:
    _, with_box = tagged(1, tag=2)
    assert chain.without_tag(with_box, apart) == with_box


def test_nothing_is_cut_from_nothing() -> None:
    assert chain.without_tag([], apart) == []


def test_a_filled_box_that_touches_the_last_candle_is_cut_off() -> None:
    candles = list(enumerate(path(2, 40)))
    box = [(40 + i, (100, 116)) for i in range(5)]
    found = chain.without_tag([*candles, *box], lambda slot, _: float(slot >= 40))
    assert found == candles
