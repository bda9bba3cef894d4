import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.clusters import HOUR, START, crowded, embeddings, with_rows
from vision_ai import index
from vision_ai.domain import Embeddings, Interval, Neighbors
from vision_ai.errors import EmptyIndexError, StaleIndexError
from vision_ai.index import ExactIndex, Index, PointInTimeFilter, PurgeAndEmbargo, Spans

DAY = 24 * HOUR
ELIGIBILITIES = st.sampled_from(
    [PointInTimeFilter(), PurgeAndEmbargo(0), PurgeAndEmbargo(5 * HOUR), PurgeAndEmbargo(3 * DAY)]
)


def plain_search(
    rows: Embeddings, vector: np.ndarray, query: dict, rule: str, embargo: int, k: int
) -> list[int]:
    """Both rules as their texts have them, in loops, sharing nothing with the package."""
    ms = {"15m": 900_000, "1h": 3_600_000}
    spans = []
    for row in range(len(rows)):
        last, length = int(rows.last_ms[row]), ms[str(rows.interval[row])]
        spans.append((last - 95 * length, max(rows.outcomes.complete_ms[row].tolist())))
    candidates = []
    for row, (first, complete) in enumerate(spans):
        if rows.interval[row] != query["interval"]:
            continue
        if rule == "point in time":
            if complete > query["as_of"]:
                continue
            if rows.symbol[row] == query["symbol"] and complete > query["first"]:
                continue
        else:
            low = query["first"] - embargo
            high = query["as_of"] + 6 * HOUR + embargo
            if first < high and low < complete:
                continue
        similarity = float(np.dot(rows.vectors[row].astype(float), vector.astype(float)))
        candidates.append((-round(similarity, 6), row))
    kept: list[int] = []
    for _, row in sorted(candidates):
        first, complete = spans[row]
        same = [
            spans[other]
            for other in kept
            if rows.symbol[other] == rows.symbol[row] and rows.interval[other] == rows.interval[row]
        ]
        if len(kept) < k and not any(first < c and f < complete for f, c in same):
            kept.append(row)
    return kept


def rows_of(neighbors: Neighbors, query: int) -> list[int]:
    return [int(row) for row in neighbors.rows[query] if row >= 0]


@settings(max_examples=50, deadline=None)
@given(
    rows=crowded(),
    asked=crowded(max_size=8),
    eligibility=ELIGIBILITIES,
    k=st.integers(1, 12),
    shared=st.sampled_from([0, 30, 512]),
)
def test_faiss_search_equals_brute_force_with_ties_and_purge(rows, asked, eligibility, k, shared):
    queries = Spans.of(asked)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(index, "_MAX_SHARED_ROWS", shared)  # both ways to drop ineligible rows
        fast = Index(rows).search(asked.vectors, queries, eligibility=eligibility, k=k)
    slow = ExactIndex(rows).search(asked.vectors, queries, eligibility=eligibility, k=k)
    np.testing.assert_array_equal(fast.rows, slow.rows)
    np.testing.assert_array_equal(fast.similarity, slow.similarity)


@settings(max_examples=50, deadline=None)
@given(
    rows=crowded(),
    asked=crowded(max_size=5),
    later_h=st.integers(0, 300),
    rule=st.sampled_from(["point in time", "purge and embargo"]),
    embargo_h=st.sampled_from([0, 7, 48]),
)
def test_eligible_rows_are_those_of_the_rules_text(rows, asked, later_h, rule, embargo_h):
    as_of = (asked.close_ms + later_h * HOUR).tolist()
    queries = Spans.at(asked.symbol.tolist(), asked.interval.tolist(), as_of)
    eligibility = (
        PointInTimeFilter() if rule == "point in time" else PurgeAndEmbargo(embargo_h * HOUR)
    )
    neighbors = Index(rows).search(asked.vectors, queries, eligibility=eligibility, k=6)
    for i in range(len(asked)):
        query = {
            "symbol": asked.symbol[i],
            "interval": asked.interval[i],
            "as_of": as_of[i],
            "first": as_of[i] - 96 * Interval(asked.interval[i]).ms,
        }
        expected = plain_search(rows, asked.vectors[i], query, rule, embargo_h * HOUR, 6)
        assert rows_of(neighbors, i) == expected


@settings(max_examples=25, deadline=None)
@given(rows=crowded(), asked=crowded(max_size=4), k=st.integers(1, 8))
def test_later_rows_change_no_prediction(rows, asked, k):
    now = int(np.median(rows.close_ms))
    queries = Spans.at(asked.symbol.tolist(), asked.interval.tolist(), [now] * len(asked))
    past = rows.outcomes.complete_ms.max(axis=1) <= now
    if not past.any():
        return
    whole = Index(rows).search(asked.vectors, queries, eligibility=PointInTimeFilter(), k=k)
    early = Index(rows.take(past)).search(
        asked.vectors, queries, eligibility=PointInTimeFilter(), k=k
    )
    known = np.flatnonzero(past)
    assert [rows_of(whole, i) for i in range(len(asked))] == [
        known[rows_of(early, i)].tolist() for i in range(len(asked))
    ]


def test_planted_leak_is_never_found():
    rows = embeddings(400, seed=1)
    twin = rows.take(np.array([7]))
    as_of = int(twin.close_ms[0])
    queries = Spans.at(twin.symbol.tolist(), twin.interval.tolist(), [as_of])
    for eligibility in (PointInTimeFilter(), PurgeAndEmbargo(0), PurgeAndEmbargo(DAY)):
        neighbors = Index(rows).search(twin.vectors, queries, eligibility=eligibility, k=400)
        assert 7 not in rows_of(neighbors, 0)
    later = Spans.at(["OTHERUSDT"], twin.interval.tolist(), [as_of + 300 * DAY])
    assert rows_of(
        Index(rows).search(twin.vectors, later, eligibility=PointInTimeFilter(), k=1), 0
    ) == [7]


def test_measuring_forbids_other_symbols_of_the_same_time():
    rows = embeddings(50, seed=2, symbols=1, hours=1)
    query = Spans.at(["OTHERUSDT"], ["1h"], [int(rows.close_ms.max())])
    vector = rows.vectors[:1]
    assert rows_of(Index(rows).search(vector, query, eligibility=PurgeAndEmbargo(0), k=3), 0) == []


def test_overlapping_rows_of_one_market_count_once():
    rows = embeddings(300, seed=3, symbols=1, hours=1)
    query = Spans.at(["OTHERUSDT"], ["15m"], [START + 900 * DAY])
    neighbors = Index(rows).search(rows.vectors[:1], query, eligibility=PointInTimeFilter(), k=10)
    assert len(rows_of(neighbors, 0)) == 1


def test_other_intervals_speak_only_when_asked():
    rows = embeddings(200, seed=4)
    query = Spans.at(["OTHERUSDT"], ["1h"], [START + 900 * DAY])
    own = Index(rows).search(rows.vectors[:1], query, eligibility=PointInTimeFilter(), k=50)
    assert set(rows.interval[rows_of(own, 0)]) == {"1h"}
    every = Index(rows).search(
        rows.vectors[:1], query, eligibility=PointInTimeFilter(), k=50, any_interval=True
    )
    assert set(rows.interval[rows_of(every, 0)]) == {"15m", "1h"}
    plain = ExactIndex(rows).search(
        rows.vectors[:1], query, eligibility=PointInTimeFilter(), k=50, any_interval=True
    )
    np.testing.assert_array_equal(every.rows, plain.rows)


def test_many_queries_are_answered_in_chunks_as_one_by_one():
    rows, asked = embeddings(500, seed=5), embeddings(600, seed=6)
    queries = Spans.of(asked)
    together = Index(rows).search(asked.vectors, queries, eligibility=PurgeAndEmbargo(DAY), k=5)
    for i in (0, 255, 256, 599):
        one = slice(i, i + 1)
        alone = Index(rows).search(
            asked.vectors[one], queries.take(one), eligibility=PurgeAndEmbargo(DAY), k=5
        )
        np.testing.assert_array_equal(together.rows[one], alone.rows)


def test_thousands_of_barred_rows_leave_the_same_answers_as_brute_force():
    rows, asked = embeddings(3000, seed=13, hours=200), embeddings(40, seed=14, hours=600)
    queries = Spans.of(asked)
    fast = Index(rows).search(asked.vectors, queries, eligibility=PurgeAndEmbargo(DAY), k=6)
    slow = ExactIndex(rows).search(asked.vectors, queries, eligibility=PurgeAndEmbargo(DAY), k=6)
    np.testing.assert_array_equal(fast.rows, slow.rows)
    assert (fast.rows == -1).any()
    assert (fast.rows >= 0).any()


def test_crowds_of_near_ties_are_ranked_as_brute_force_ranks_them():
    """FAISS's own order among thousands of near-equals is rounding noise, and must not show."""
    rows = embeddings(3000, seed=11, symbols=600, hours=20_000, noise=0.0)
    rng = np.random.default_rng(0)
    vectors = rows.vectors[rng.integers(0, 2, 3000)] + rng.normal(0, 2e-7, rows.vectors.shape)
    rows = with_rows(rows, vectors=vectors.astype(np.float32))
    asked = embeddings(30, seed=12)
    later = [START + 100_000 * HOUR] * 30
    queries = Spans.at(asked.symbol.tolist(), asked.interval.tolist(), later)
    fast = Index(rows).search(asked.vectors, queries, eligibility=PointInTimeFilter(), k=5)
    slow = ExactIndex(rows).search(asked.vectors, queries, eligibility=PointInTimeFilter(), k=5)
    np.testing.assert_array_equal(fast.rows, slow.rows)


def test_an_interval_that_the_index_lacks_finds_nothing():
    rows = embeddings(50, seed=7)
    hourly = rows.take(rows.interval == "1h")
    query = Spans.at(["OTHERUSDT"], ["15m"], [START + 900 * DAY])
    neighbors = Index(hourly).search(rows.vectors[:1], query, eligibility=PointInTimeFilter(), k=3)
    assert neighbors.rows.tolist() == [[-1, -1, -1]]


def test_vectors_of_another_model_are_refused():
    rows = embeddings(20, seed=8)
    query = Spans.at(["BTCUSDT"], ["1h"], [START])
    with pytest.raises(StaleIndexError, match=r"expected shape \(1, 16\), was \(1, 8\)"):
        Index(rows).search(
            np.zeros((1, 8), np.float32), query, eligibility=PointInTimeFilter(), k=3
        )


def test_an_index_of_nothing_is_refused():
    with pytest.raises(EmptyIndexError, match="index build"):
        Index(embeddings(0))


def test_index_written_and_read_is_the_same(tmp_path):
    rows = embeddings(60, seed=9)
    built = index.build(tmp_path, rows, now_ms=START)
    loaded = index.load(tmp_path, model="model-1", style="style-1")
    assert loaded.version == built.version
    for name in ("vectors", "symbol", "interval", "last_ms", "reading", "phase", "weight"):
        np.testing.assert_array_equal(getattr(loaded.rows, name), getattr(rows, name))
    for name in ("move", "best", "worst", "scale", "complete_ms"):
        np.testing.assert_array_equal(
            getattr(loaded.rows.outcomes, name), getattr(rows.outcomes, name)
        )


@pytest.mark.parametrize("maker", [{"model": "model-2"}, {"style": "style-2"}])
def test_index_of_another_maker_is_refused_with_its_repair(tmp_path, maker):
    index.build(tmp_path, embeddings(5), now_ms=START)
    with pytest.raises(StaleIndexError, match="vision-ai index build"):
        index.load(tmp_path, **maker)


def test_building_and_adding_twice_adds_nothing_twice(tmp_path):
    rows = embeddings(80, seed=10)
    first, rest = rows.take(np.arange(50)), rows.take(np.arange(30, 80))
    index.build(tmp_path, first, now_ms=START)
    added = index.add(tmp_path, rest, now_ms=START + 1)
    keys = set(zip(rows.symbol, rows.interval, rows.last_ms, strict=True))
    assert len(added) == len(keys)
    again = index.add(tmp_path, rest, now_ms=START + 2)
    assert again.version == added.version
    assert len(list(tmp_path.glob("[!.]*/manifest.json"))) == 2


def test_rows_of_another_model_cannot_join(tmp_path):
    rows = embeddings(10)
    index.build(tmp_path, rows, now_ms=START)
    with pytest.raises(StaleIndexError, match="cannot join"):
        index.add(tmp_path, with_rows(rows, model="model-2"), now_ms=START)


def test_version_follows_every_column():
    rows = embeddings(10)
    versions = {
        index.fingerprint(changed)
        for changed in (
            rows,
            with_rows(rows, weight=rows.weight * 2),
            with_rows(rows, data="data-2"),
            with_rows(rows, last_ms=rows.last_ms + HOUR),
            rows.take(np.arange(9)),
        )
    }
    assert len(versions) == 5
