"""Charts of resolved calls, of exemplars and of stored candles, as corpora to learn from."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.clusters import embeddings
from tests.feedback.examples import AS_OF, M15, line, prediction, walk
from vision_ai.config import Config, Paths
from vision_ai.domain import PHASES, READINGS, WINDOW, Interval, Klines, Label, iso
from vision_ai.errors import CorruptFileError, KlinesError
from vision_ai.labels import rules
from vision_ai.labels.captions import Captions
from vision_ai.labels.review import Action, Correction, make_correction
from vision_ai.market.store import Store
from vision_ai.measures import targets
from vision_ai.measures.purge import Spans
from vision_ai.model.training.batches import Corpus
from vision_ai.pipeline.labelling import select
from vision_ai.pipeline.learning import resolved
from vision_ai.pipeline.lookup import Finder
from vision_ai.pipeline.workspace import Workspace
from vision_ai.records import Prediction

START = AS_OF - 800 * M15
CANDLES = walk(800, START, seed=5, symbol="AAAUSDT")
OTHERS = walk(400, START, seed=6, symbol="BBBUSDT")
NOBODY = Captions()


def keys(corpus: Corpus) -> list[tuple[str, str, int]]:
    columns = (corpus.symbol.tolist(), corpus.interval.tolist(), corpus.last_ms.tolist())
    return list(zip(*columns, strict=True))


def rule_book(corpus: Corpus) -> tuple[list[int], list[int]]:
    labels = rules.label(corpus.bars(np.arange(len(corpus))))
    return labels.reading.tolist(), labels.phase.tolist()


def corpus_of(klines: Klines, ends: list[int]) -> Corpus:
    return resolved.labelled(
        (klines,), np.zeros(len(ends), np.int32), np.array(ends, np.int32), NOBODY
    )


def unlabelled(klines: Klines, ends: list[int]) -> Corpus:
    """Windows with made-up codes: quick to make."""
    end = np.array(ends, np.int32)
    codes = (end % len(PHASES)).astype(np.int8)
    return Corpus((klines,), np.zeros(len(end), np.int32), end, codes, codes)


def correction(klines: Klines, end: int, code: int, phase: int) -> Correction:
    """A person's label of the chart that ends there."""
    window = klines[end + 1 - WINDOW : end + 1]
    subject = select.subject_of(window, rules.label(window.bars[None])[0])
    label = Label(READINGS[code], PHASES[phase], source="human")
    return make_correction(subject, Action.CORRECT, label, who="anna", at=iso(AS_OF), words=None)


# Labels.


def test_windows_are_sorted_by_table_and_labelled_by_the_rule_book() -> None:
    table, end = np.array([1, 0, 1, 0], np.int32), np.array([120, 300, 100, 200], np.int32)
    corpus = resolved.labelled((CANDLES, OTHERS), table, end, NOBODY)
    assert corpus.table.tolist() == [0, 0, 1, 1]
    assert corpus.end.tolist() == [300, 200, 120, 100]  # in their order within a table
    assert (corpus.reading.tolist(), corpus.phase.tolist()) == rule_book(corpus)


def test_a_persons_label_replaces_the_rule_books() -> None:
    code = (int(corpus_of(CANDLES, [200]).reading[0]) + 1) % len(READINGS)
    people = Captions.of([], [correction(CANDLES, 200, code, 3)])
    corpus = resolved.labelled(
        (CANDLES,), np.zeros(2, np.int32), np.array([200, 300], np.int32), people
    )
    assert (int(corpus.reading[0]), int(corpus.phase[0])) == (code, 3)
    assert corpus.reading[1] == corpus_of(CANDLES, [300]).reading[0]


def test_no_windows_are_an_empty_corpus() -> None:
    empty = resolved.labelled((), np.empty(0, np.int32), np.empty(0, np.int32), NOBODY)
    assert len(empty) == 0


# Charts of resolved calls.


@pytest.fixture
def finder(tmp_path: Path) -> Finder:
    paths = Paths(tmp_path)
    for klines in (CANDLES, OTHERS):
        Store(paths, "simulated-1-linear").add(klines)
    return Finder(Workspace(Config(), paths))


def call(end: int, symbol: str = "AAAUSDT", **changes: object) -> Prediction:
    """A call on the charts of both intervals that were complete at the end of a quarter hour."""
    fine = CANDLES if symbol == "AAAUSDT" else OTHERS
    as_of_ms = int(fine.close_ms[end])
    plain = prediction(symbol=symbol, as_of_ms=as_of_ms)
    intervals = {}
    for interval, reading in plain.intervals.items():
        window = fine.resample(interval).until(as_of_ms)[-WINDOW:]
        known = {"klines_hash": window.digest, "last_candle": iso(int(window.open_ms[-1]))}
        intervals[interval] = reading.model_copy(update=known)
    return plain.model_copy(update={"intervals": intervals} | changes)


def charts(calls: list[Prediction], finder: Finder, lines: list | None = None) -> Corpus:
    if lines is None:
        lines = [line(symbol=c.symbol).model_copy(update={"as_of": c.as_of}) for c in calls]
    return resolved.charts(lines, calls, finder, NOBODY)


def test_both_charts_of_a_call_are_found_in_stored_candles(finder: Finder) -> None:
    (first,) = calls = [call(500)]
    corpus = charts(calls, finder)
    assert set(corpus.interval.tolist()) == {"15m", "1h"}
    for row in range(2):
        reading = first.intervals[Interval(corpus.interval[row])]
        assert iso(int(corpus.last_ms[row])) == reading.last_candle
        table, end = corpus.tables[corpus.table[row]], int(corpus.end[row])
        assert table[end + 1 - WINDOW : end + 1].digest == reading.klines_hash
    assert (corpus.reading.tolist(), corpus.phase.tolist()) == rule_book(corpus)


def test_a_chart_that_several_calls_share_counts_once(finder: Finder) -> None:
    """Four quarter hours show one chart of hours."""
    on_the_hour = next(n for n in range(500, 504) if int(CANDLES.close_ms[n]) % (4 * M15) == 0)
    corpus = charts([call(on_the_hour + n) for n in range(4)], finder)
    assert sorted(corpus.interval.tolist()) == ["15m"] * 4 + ["1h"]
    assert len(set(keys(corpus))) == len(corpus)


def test_both_horizons_of_a_call_count_once(finder: Finder) -> None:
    one = call(500)
    lines = [line(symbol=one.symbol).model_copy(update={"as_of": one.as_of})] * 2
    assert len(charts([one], finder, lines)) == 2


def test_calls_without_a_line_or_without_candles_are_left_out(finder: Finder) -> None:
    resolved_call, pending = call(500), call(600)
    bare = call(550, source="image")
    lines = [
        line(symbol=c.symbol).model_copy(update={"as_of": c.as_of}) for c in (resolved_call, bare)
    ]
    gone = line(symbol="GONEUSDT").model_copy(update={"as_of": resolved_call.as_of})
    corpus = charts([resolved_call, pending, bare], finder, [*lines, gone])
    last = {iso(ms) for ms in corpus.last_ms.tolist()}
    assert last == {reading.last_candle for reading in resolved_call.intervals.values()}


def test_other_candles_of_the_same_time_are_not_the_chart(finder: Finder) -> None:
    one = call(500)
    changed = {
        interval: reading.model_copy(update={"klines_hash": "f" * 64})
        for interval, reading in one.intervals.items()
    }
    assert len(charts([one.model_copy(update={"intervals": changed})], finder)) == 0


# Candles at hand.


def test_candles_of_the_cache_and_of_a_folder_come_in_both_intervals(tmp_path: Path) -> None:
    cached, folder = Paths(tmp_path / "cache"), Paths(tmp_path / "more")
    Store(cached, "simulated-1-linear").add(CANDLES)
    Store(folder, "simulated-1-linear").add(OTHERS)
    found = resolved.tables(cached, folder.klines_folder)
    names = [(table.symbol, table.interval.value) for table in found]
    assert sorted(names) == [
        ("AAAUSDT", "15m"), ("AAAUSDT", "1h"), ("BBBUSDT", "15m"), ("BBBUSDT", "1h"),
    ]  # fmt: skip
    assert {name for name, _ in names[:2]} == {"BBBUSDT"}  # the folder's come first
    assert {table.symbol for table in resolved.tables(cached, None)} == {"AAAUSDT"}


def test_where_nothing_was_ever_fetched_the_folder_is_enough(tmp_path: Path) -> None:
    folder = Paths(tmp_path / "more")
    Store(folder, "simulated-1-linear").add(OTHERS)
    assert len(resolved.tables(Paths(tmp_path / "empty"), folder.klines_folder)) == 2
    assert resolved.tables(Paths(tmp_path / "empty"), None) == []


def test_a_folder_that_is_named_must_hold_candles(tmp_path: Path) -> None:
    with pytest.raises(KlinesError, match=tmp_path.name):
        resolved.tables(Paths(tmp_path / "empty"), tmp_path)


def test_a_damaged_file_of_the_folder_is_no_empty_folder(tmp_path: Path) -> None:
    folder = Paths(tmp_path)
    Store(folder, "simulated-1-linear").add(OTHERS)
    path = next(folder.klines_folder.rglob("*.parquet"))
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises((CorruptFileError, KlinesError), match=path.name):
        resolved.tables(Paths(tmp_path / "empty"), folder.klines_folder)


def test_indexed_charts_are_found_again_by_time_and_volatility() -> None:
    measured = corpus_of(CANDLES, [200, 300])
    rows = replace(
        embeddings(3),
        symbol=np.array(["AAAUSDT", "AAAUSDT", "GONEUSDT"]),
        interval=np.array(["15m"] * 3),
        last_ms=np.r_[measured.last_ms, START],
        outcomes=targets.forward_outcomes(CANDLES, np.array([200, 300, 310])),
    )
    found = resolved.originals(rows, [OTHERS, CANDLES], NOBODY)
    assert keys(found) == keys(measured)
    assert (found.reading.tolist(), found.phase.tolist()) == rule_book(found)


# Random windows.


@pytest.mark.parametrize("until", [500, 650, 800])
def test_random_windows_are_settled_with_their_outcomes(until: int) -> None:
    until_ms = START + until * M15
    corpus = resolved.windows([CANDLES, OTHERS], until_ms, 20, NOBODY, seed=1)
    assert 0 < len(corpus) <= 20
    spans = Spans.at(corpus.symbol, corpus.interval, corpus.close_ms)
    assert (spans.known_ms <= until_ms).all()
    assert len(set(keys(corpus))) == len(corpus)


def test_later_candles_change_no_random_window() -> None:
    until_ms = START + 500 * M15
    whole = resolved.windows([CANDLES], until_ms, 10, NOBODY, seed=1)
    cut = resolved.windows([CANDLES.until(until_ms)], until_ms, 10, NOBODY, seed=1)
    assert keys(whole) == keys(cut)


def test_a_seed_draws_the_same_windows_and_another_seed_others() -> None:
    until_ms = START + 700 * M15
    first, again, other = (
        keys(resolved.windows([CANDLES], until_ms, 10, NOBODY, seed=seed)) for seed in (1, 1, 2)
    )
    assert first == again != other


def test_no_candle_before_an_instant_is_no_window() -> None:
    assert len(resolved.windows([CANDLES], START, 10, NOBODY, seed=1)) == 0
    assert len(resolved.windows([], AS_OF, 10, NOBODY, seed=1)) == 0


# Several corpora as one.


ends = st.lists(st.integers(WINDOW - 1, 399), max_size=8)


@given(first=ends, second=ends)
def test_joined_corpora_hold_the_rows_of_each_in_their_order(
    first: list[int], second: list[int]
) -> None:
    parts = [unlabelled(CANDLES, first), unlabelled(OTHERS, second)]
    both = resolved.joined(parts)
    assert keys(both) == [key for part in parts if len(part) for key in keys(part)]
    assert both.reading.tolist() == [code for part in parts for code in part.reading.tolist()]
    if len(both):
        bars = np.concatenate([p.bars(np.arange(len(p))) for p in parts])
        assert np.array_equal(both.bars(np.arange(len(both))), bars)


@given(first=ends, second=ends)
def test_each_chart_of_distinct_rows_is_the_first_of_its_kind(
    first: list[int], second: list[int]
) -> None:
    corpus = resolved.joined([unlabelled(CANDLES, first), unlabelled(CANDLES, second)])
    once = resolved.distinct(corpus)
    assert keys(once) == list(dict.fromkeys(keys(corpus)))


def test_nothing_joined_is_an_empty_corpus() -> None:
    empty = resolved.joined([])
    assert (len(empty), empty.tables, empty.last_ms.tolist()) == (0, (), [])
    assert len(resolved.distinct(empty)) == 0
