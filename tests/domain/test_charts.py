"""What is known of charts: columns that are taken, joined and keyed together."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.clusters import crowded, embeddings
from vision_ai.domain import (
    PHASES,
    READINGS,
    WINDOW,
    Interval,
    Label,
    Labels,
    Outcomes,
    Phase,
)

COLUMNS = ("vectors", "symbol", "interval", "last_ms", "reading", "phase", "weight")
OUTCOMES = ("move", "best", "worst", "scale", "complete_ms")


@settings(max_examples=25, deadline=None)
@given(crowded(), st.integers(0, 9999))
def test_taken_rows_keep_every_column_together(rows, seed: int) -> None:
    picked = np.random.default_rng(seed).permutation(len(rows))[: len(rows) // 2]
    taken = rows.take(picked)
    for name in COLUMNS:
        assert np.array_equal(getattr(taken, name), getattr(rows, name)[picked]), name
    for name in OUTCOMES:
        assert np.array_equal(
            getattr(taken.outcomes, name), getattr(rows.outcomes, name)[picked], equal_nan=True
        ), name
    assert (taken.model, taken.style, taken.rules, taken.data) == (
        rows.model, rows.style, rows.rules, rows.data
    )  # fmt: skip
    assert taken.keys == [rows.keys[at] for at in picked.tolist()]


def test_a_key_is_symbol_interval_and_the_last_candle() -> None:
    rows = embeddings(5)
    for row, (symbol, interval, last_ms) in enumerate(rows.keys):
        assert symbol == rows.symbol[row]
        assert interval == rows.interval[row]
        assert last_ms == rows.last_ms[row]
        assert isinstance(last_ms, int)  # a numpy integer would not be equal after JSON


def test_a_chart_begins_its_window_before_it_is_complete() -> None:
    rows = embeddings(8)
    length = np.array([Interval(i).ms for i in rows.interval])
    assert (rows.close_ms - rows.first_ms == WINDOW * length).all()
    assert (rows.close_ms - rows.last_ms == length).all()


def some_outcomes(count: int, seed: int) -> Outcomes:
    rng = np.random.default_rng(seed)
    return Outcomes(
        rng.normal(size=(count, 2)), rng.normal(size=(count, 2)), rng.normal(size=(count, 2)),
        rng.random(count), rng.integers(0, 99, (count, 2)),
    )  # fmt: skip


@given(st.lists(st.integers(0, 6), min_size=1, max_size=5))
def test_joined_outcomes_are_the_parts_in_their_order(sizes: list[int]) -> None:
    parts = [some_outcomes(size, number) for number, size in enumerate(sizes)]
    joined = Outcomes.concatenate(parts)
    assert len(joined) == sum(sizes)
    start = 0
    for part in parts:
        for name in OUTCOMES:
            here = getattr(joined, name)[start : start + len(part)]
            assert np.array_equal(here, getattr(part, name)), name
        start += len(part)


def labels(count: int = 4) -> Labels:
    rng = np.random.default_rng(1)
    return Labels(
        rng.integers(0, len(READINGS), count).astype(np.int8),
        rng.integers(0, len(PHASES), count).astype(np.int8),
        rng.random(count) < 0.5,
        {"touches": np.arange(count, dtype=float)},
        "1",
    )


def test_a_row_of_labels_is_a_label_with_its_facts() -> None:
    found = labels()
    label = found[2]
    assert label.reading == READINGS[found.reading[2]]
    assert label.phase is PHASES[found.phase[2]]
    assert label.clear == bool(found.clear[2])
    assert label.facts == {"touches": 2.0}
    assert (label.source, label.rules) == ("rule", "1")
    assert (label.setup, label.direction) == (label.reading.setup, label.reading.direction)


def test_labels_are_iterated_in_order() -> None:
    found = labels()
    assert [label.facts["touches"] for label in found] == [0.0, 1.0, 2.0, 3.0]
    assert len(list(found)) == len(found)


def test_a_label_cannot_be_changed() -> None:
    label = Label(READINGS[0], Phase.RANGE)
    with pytest.raises(AttributeError):
        label.phase = Phase.MARKUP  # type: ignore[misc]
