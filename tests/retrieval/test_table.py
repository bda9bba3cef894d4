"""Rows of an index as one Parquet table: what is written is read, and joins lose nothing."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.clusters import HOUR, crowded, embeddings, with_rows
from vision_ai.domain import PHASES, READINGS, Embeddings
from vision_ai.errors import CorruptFileError, StaleIndexError
from vision_ai.retrieval import table

pq = pytest.importorskip("pyarrow.parquet")

MADE_BY = ("model-1", "style-1", "rules-1", "data-1")
COLUMNS = ("vectors", "symbol", "interval", "last_ms", "reading", "phase", "weight")
OUTCOMES = ("move", "best", "worst", "scale", "complete_ms")


def assert_equal(one: Embeddings, other: Embeddings) -> None:
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
        assert getattr(one, name).dtype.kind == getattr(other, name).dtype.kind
    for name in OUTCOMES:
        np.testing.assert_array_equal(getattr(one.outcomes, name), getattr(other.outcomes, name))


def keys(rows: Embeddings) -> list[tuple[str, str, int]]:
    columns = (rows.symbol.tolist(), rows.interval.tolist(), rows.last_ms.tolist())
    return list(zip(*columns, strict=True))


@settings(max_examples=25, deadline=None)
@given(crowded(), st.booleans())
def test_what_is_packed_is_unpacked(rows, unknown):
    if unknown:  # the newest charts have no outcome yet
        rows.outcomes.move[-1] = np.nan
    again = table.unpack(table.pack(rows), rows.vectors, MADE_BY, repair="")
    assert_equal(again, rows)
    assert (again.model, again.style, again.rules, again.data) == MADE_BY


def test_equal_rows_are_equal_bytes_and_the_codes_are_told_beside_them():
    rows = embeddings(20)
    assert table.pack(rows) == table.pack(embeddings(20))
    told = pq.read_schema(io.BytesIO(table.pack(rows))).metadata
    assert told[b"readings"].decode().split(",") == [reading.name for reading in READINGS]
    assert told[b"phases"].decode().split(",") == [phase.value for phase in PHASES]


@pytest.mark.parametrize("harm", [lambda b: b[:-9], lambda b: b"", lambda b: b"no table" * 9])
def test_a_damaged_table_names_the_file_and_the_repair(harm):
    rows = embeddings(5)
    with pytest.raises(CorruptFileError, match=r"rows\.parquet is damaged") as refused:
        table.unpack(harm(table.pack(rows)), rows.vectors, MADE_BY, repair="Build it anew.")
    assert refused.value.hint == "Build it anew."


def test_a_table_that_lacks_a_column_is_damaged():
    rows = embeddings(5)
    without = pq.read_table(io.BytesIO(table.pack(rows))).drop_columns(["move_6h"])
    buffer = io.BytesIO()
    pq.write_table(without, buffer)
    with pytest.raises(CorruptFileError, match="move_6h"):
        table.unpack(buffer.getvalue(), rows.vectors, MADE_BY, repair="")


def test_a_table_of_other_rows_than_vectors_is_refused():
    rows = embeddings(5)
    with pytest.raises(CorruptFileError, match="has 5 rows: expected 4"):
        table.unpack(table.pack(rows), rows.vectors[:4], MADE_BY, repair="")


@settings(max_examples=40, deadline=None)
@given(crowded(30), crowded(30))
def test_merged_rows_are_the_old_ones_and_then_each_new_chart_once(old, new):
    merged = table.merge(old, new, StaleIndexError)
    known = set(keys(old))
    fresh = list(dict.fromkeys(key for key in keys(new) if key not in known))
    assert keys(merged) == keys(old) + fresh
    first = {key: row for row, key in reversed(list(enumerate(keys(new))))}
    for row, key in enumerate(fresh, start=len(old)):  # the first of charts with the same key
        np.testing.assert_array_equal(merged.vectors[row], new.vectors[first[key]])
        np.testing.assert_array_equal(merged.outcomes.move[row], new.outcomes.move[first[key]])


@settings(max_examples=20, deadline=None)
@given(crowded(20), crowded(20))
def test_merging_again_changes_nothing(old, new):
    once = table.merge(old, new, StaleIndexError)
    assert table.merge(once, new, StaleIndexError) is once
    assert table.merge(once, old, StaleIndexError) is once


@pytest.mark.parametrize("facet", ["model", "style", "rules"])
def test_rows_of_another_maker_are_refused_with_both_names(facet):
    old = embeddings(3)
    new = with_rows(embeddings(3, seed=1), **{facet: f"{facet}-2"})
    with pytest.raises(StaleIndexError, match=f"{facet} '{facet}-2' .* of {facet} '{facet}-1'"):
        table.merge(old, new, StaleIndexError)


def test_candles_of_both_are_named_by_one_digest():
    old, new = embeddings(3), with_rows(embeddings(3, seed=1), data="data-2")
    later = with_rows(new, last_ms=new.last_ms + 9000 * HOUR)
    merged = table.merge(old, later, StaleIndexError)
    assert len(merged.data) == 64
    assert merged.data == table.merge(old, later, StaleIndexError).data
    same = with_rows(later, data="data-1")
    assert table.merge(old, same, StaleIndexError).data == "data-1"
