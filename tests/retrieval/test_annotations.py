"""People's labels of an index's charts: kept with it, and used only where they are eligible."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.clusters import HORIZON_MS, HOUR, START, crowded, embeddings, with_rows
from vision_ai import index
from vision_ai.domain import Embeddings, Interval, Labelled, iso
from vision_ai.errors import CorruptFileError
from vision_ai.index import STEP, Index, IndexAnnotation, PointInTimeFilter, PurgeAndEmbargo, Spans
from vision_ai.retrieval import annotations

EVER = START + 10_000 * HOUR


def annotation(
    rows: Embeddings, row: int, *, who: str = "anna", at_ms: int = EVER
) -> IndexAnnotation:
    return IndexAnnotation(
        symbol=str(rows.symbol[row]), interval=Interval(str(rows.interval[row])),
        as_of=iso(int(rows.close_ms[row])), who=who, at=iso(at_ms),
    )  # fmt: skip


def distinct(rows: Embeddings) -> Embeddings:
    keys = list(zip(rows.symbol, rows.interval, rows.last_ms, strict=True))
    return rows.take(np.array(sorted({key: row for row, key in enumerate(keys)}.values())))


def test_annotations_are_kept_with_their_index_and_are_part_of_its_version(tmp_path):
    rows = distinct(embeddings(40))
    plain = index.build(tmp_path, rows, now_ms=START)
    annotated = [annotation(rows, 3), annotation(rows, 7, who="ben")]
    built = index.build(tmp_path, rows, now_ms=START, annotations=annotated)
    assert built.version != plain.version
    loaded = index.load(tmp_path)
    assert (loaded.version, list(loaded.annotations)) == (built.version, annotated)
    assert loaded.annotated is not None
    assert loaded.annotated.at.tolist() == [3, 7]
    assert loaded.annotated.who.tolist() == ["anna", "ben"]
    more = index.add(tmp_path, distinct(embeddings(60, seed=5)), now_ms=START)
    assert list(more.annotations) == annotated
    assert (
        index.fingerprint(rows) == plain.version
    )  # without annotations the version is as it always was


def test_an_annotation_of_a_chart_that_is_not_there_names_it():
    rows = embeddings(10)
    stranger = annotation(rows, 0).model_copy(update={"symbol": "NOSUCHUSDT"})
    with pytest.raises(CorruptFileError, match="NOSUCHUSDT"):
        Index(rows, [stranger])


def test_damaged_annotations_are_one_sentence(tmp_path):
    rows = distinct(embeddings(10))
    built = index.build(tmp_path, rows, now_ms=START, annotations=[annotation(rows, 1)])
    (tmp_path / built.version / "words.json").write_text("{}")
    with pytest.raises(CorruptFileError, match=r"words\.json"):
        index.load(tmp_path)


def test_an_index_without_annotations_has_none_nearby():
    rows = embeddings(10)
    assert (
        Index(rows).search_annotated(
            rows.vectors, Spans.of(rows), eligibility=PointInTimeFilter(), k=3
        )
        is None
    )


def spans(as_of_ms: int, symbol: str = "S0USDT") -> Spans:
    return Spans.at([symbol], ["1h"], [as_of_ms])


def labelled(annotated_ms: int) -> Labelled:
    rows = embeddings(1)
    outcomes = replace(rows.outcomes, complete_ms=START + HORIZON_MS[None])
    rows = with_rows(
        rows, symbol=np.array(["S0USDT"]), interval=np.array(["1h"]),
        last_ms=np.array([START - HOUR]), outcomes=outcomes,
    )  # fmt: skip
    return Labelled(np.array([0]), rows, np.array(["anna"]), np.array([annotated_ms]))


@pytest.mark.parametrize(
    ("as_of_ms", "eligibility", "counts"),
    [
        (START, PointInTimeFilter(), True),  # the very chart
        (
            START + HOUR,
            PointInTimeFilter(),
            True,
        ),  # the next candle, long before an outcome is known
        (START - HOUR, PointInTimeFilter(), False),  # a chart that closed before the labelled one
        (
            START + HOUR,
            PointInTimeFilter(is_replay=True),
            False,
        ),  # in a replay: it was given an hour later
        (START + 2 * HOUR, PointInTimeFilter(is_replay=True), True),
        (START + HOUR, PurgeAndEmbargo(0), False),
        (START + 200 * HOUR, PurgeAndEmbargo(0), True),
    ],
    ids=str,
)
def test_an_annotation_counts_where_it_is_eligible(as_of_ms, eligibility, counts):
    annotated = labelled(START + 2 * HOUR)
    found, shared = annotations.nearest_annotated(
        annotated, annotated.rows.vectors, spans(as_of_ms), eligibility=eligibility, k=2, step=STEP
    )
    assert (found.rows[0] >= 0).tolist() == [counts, False]
    assert shared[0, 0] == (counts and as_of_ms < START + 96 * HOUR)


def test_annotations_count_for_their_own_interval():
    annotated = labelled(START)
    quarter = Spans.at(["S0USDT"], ["15m"], [START + HOUR])
    found, _ = annotations.nearest_annotated(
        annotated, annotated.rows.vectors, quarter, eligibility=PointInTimeFilter(), k=1, step=STEP
    )
    assert found.rows.tolist() == [[-1]]


@settings(max_examples=40, deadline=None)
@given(
    crowded(),
    st.integers(0, 10_000),
    st.sampled_from([PointInTimeFilter(), PointInTimeFilter(is_replay=True)]),
)
def test_no_annotation_counts_before_its_chart_or_itself(rows, seed, eligibility):
    rng = np.random.default_rng(seed)
    annotated_ms = rows.close_ms + rng.integers(0, 50, len(rows)) * HOUR
    annotated = Labelled(np.arange(len(rows)), rows, np.full(len(rows), "anna"), annotated_ms)
    asked = embeddings(8, seed=seed, dim=4, symbols=3, hours=120)
    queries = Spans.of(asked)
    found, shared = annotations.nearest_annotated(
        annotated, asked.vectors, queries, eligibility=eligibility, k=5, step=STEP
    )
    query, place = np.nonzero(found.rows >= 0)
    row = found.rows[query, place]
    assert (rows.close_ms[row] <= queries.as_of_ms[query]).all()
    assert (rows.interval[row] == queries.interval[query]).all()
    if eligibility.is_replay:
        assert (annotated_ms[row] <= queries.as_of_ms[query]).all()
    own = rows.symbol[row] == queries.symbol[query]
    near = rows.close_ms[row] > queries.first_ms[query]
    np.testing.assert_array_equal(shared[query, place], own & near)
    alike = found.similarity[found.rows >= 0]
    exact = (rows.vectors[row].astype(float) * asked.vectors[query].astype(float)).sum(axis=1)
    np.testing.assert_allclose(alike, exact, atol=2e-6)
    for q in range(len(asked)):  # charts on the same candles count once, and best comes first
        mine = found.rows[q][found.rows[q] >= 0]
        assert (np.diff(found.similarity[q][: len(mine)]) <= 0).all()
        for i, a in enumerate(mine):
            for b in mine[i + 1 :]:
                same = rows.symbol[a] == rows.symbol[b]
                apart = max(rows.first_ms[a], rows.first_ms[b]) >= min(
                    rows.close_ms[a], rows.close_ms[b]
                )
                assert apart or not same
