"""The cache: only what is missing is fetched, nothing is lost, nothing changes."""

import resource
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.market.replays import NOW, SYMBOLS, break_replies, candles, client, replay, with_gap
from vision_ai.config import Paths
from vision_ai.domain import Interval, Klines
from vision_ai.errors import (
    CorruptFileError,
    ExchangeUnavailableError,
    InputError,
    StorageError,
    SymbolError,
    VisionError,
)
from vision_ai.market.bybit import Bybit, KlineRequest
from vision_ai.market.replay.faults import Fault
from vision_ai.market.replay.server import Replay
from vision_ai.market.store import Cached, Store, import_candles

M5, M15 = Interval.M5, Interval.M15
BTC = candles()[0]


@pytest.fixture
def server() -> Iterator[Replay]:
    with replay() as running:
        yield running


@pytest.fixture
def exchange(server: Replay) -> Iterator[Bybit]:
    with client(server) as running:
        yield running


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(Paths(tmp_path), "simulated-7-linear")


def asked(server: Replay) -> int:
    count = server.counts.as_dict()["paths"].get("/v5/market/kline", 0)
    server.counts.reset()
    return count


def start(bars: int, interval: Interval = M15) -> int:
    return NOW - bars * interval.ms


def test_a_second_sync_asks_for_nothing(server: Replay, exchange: Bybit, store: Store) -> None:
    first = store.sync(exchange, "BTCUSDT", M15, start(2500), NOW)
    assert len(first) == 2500
    assert asked(server) == 3
    again = store.sync(exchange, "BTCUSDT", M15, start(2500), NOW)
    assert again.digest == first.digest == store.load("BTCUSDT", M15).digest
    assert asked(server) == 0


def test_only_the_new_candles_are_asked_for(server: Replay, exchange: Bybit, store: Store) -> None:
    store.sync(exchange, "BTCUSDT", M15, start(300), NOW)
    server.clock.advance(3600)
    asked(server)
    grown = store.sync(exchange, "BTCUSDT", M15, start(300), NOW + 3_600_000)
    assert len(grown) == 304
    assert asked(server) == 1
    older = store.sync(exchange, "BTCUSDT", M15, start(500), NOW)
    assert len(older) == 500
    assert older.close_ms[-1] == NOW
    assert asked(server) == 1


def test_what_is_stored_never_changes(server: Replay, exchange: Bybit, store: Store) -> None:
    before = store.sync(exchange, "BTCUSDT", M15, start(300), NOW)
    server.clock.advance(86_400)
    store.sync(exchange, "BTCUSDT", M15, start(900), NOW + 86_400_000)
    after = store.load("BTCUSDT", M15)
    kept = after[int(np.searchsorted(after.open_ms, start(300))) :].until(NOW)
    assert kept.digest == before.digest


def test_a_gap_of_the_exchange_is_asked_for_once(store: Store) -> None:
    holed = with_gap(BTC, 7000, 7050)
    with replay(holed) as server, client(server) as exchange:
        klines = store.sync(exchange, "BTCUSDT", M5, start(3000, M5), NOW)
        assert len(klines.gaps()) == 1
        asked(server)
        store.sync(exchange, "BTCUSDT", M5, start(3000, M5), NOW)
        assert asked(server) == 0


def test_a_young_gap_is_asked_for_again_and_filled(store: Store, server: Replay) -> None:
    holed = with_gap(BTC, 8600, 8650)
    with replay(holed) as outage, client(outage) as exchange:
        assert store.sync(exchange, "BTCUSDT", M5, start(500, M5), NOW).gaps()
    with client(server) as exchange:
        filled = store.sync(exchange, "BTCUSDT", M5, start(500, M5), NOW)
        assert not filled.gaps()
        assert len(filled) == 500
        assert asked(server) == 1


def test_time_before_the_listing_is_asked_for_once(
    server: Replay, exchange: Bybit, store: Store
) -> None:
    store.sync(exchange, "BTCUSDT", M15, start(20_000), NOW)
    asked(server)
    store.sync(exchange, "BTCUSDT", M15, start(20_000), NOW)
    assert asked(server) == 0


def test_a_time_before_all_history_is_no_fault_of_the_exchange(
    server: Replay, exchange: Bybit, store: Store
) -> None:
    assert len(store.sync(exchange, "BTCUSDT", M15, -900_000_000, 900_000)) == 0
    assert len(store.sync(exchange, "BTCUSDT", M15, -900_000_000, -900_000)) == 0


def test_a_hole_in_an_import_is_filled(server: Replay, exchange: Bybit, store: Store) -> None:
    store.add(with_gap(BTC.until(NOW), 5000, 5010))
    whole = store.sync(exchange, "BTCUSDT", M5, int(BTC.open_ms[0]), NOW)
    assert whole.digest == BTC.until(NOW).digest
    assert asked(server) == 1


def test_pages_that_came_before_the_exchange_went_down_are_kept(
    server: Replay, exchange: Bybit, store: Store
) -> None:
    asked(server)
    threshold = threading.Event()
    note = server.counts.note

    def count(path: str, query: dict[str, str], fault: Fault | None) -> None:
        note(path, query, fault)
        if server.counts.as_dict()["paths"].get("/v5/market/kline", 0) == 2:
            break_replies(server, Fault.SERVER_ERROR)
            threshold.set()

    server.counts.note = count  # type: ignore[method-assign]
    with pytest.raises(ExchangeUnavailableError):
        store.sync(exchange, "BTCUSDT", M15, start(2900), NOW)
    assert threshold.is_set()
    kept = store.load("BTCUSDT", M15)
    assert len(kept) == 2000
    assert kept.close_ms[-1] == NOW
    server.faults.rate = 0
    assert len(store.sync(exchange, "BTCUSDT", M15, start(2900), NOW)) == 2900


def test_several_symbols_at_once_with_faults(server: Replay, store: Store) -> None:
    break_replies(server, rate=0.2)
    with client(server, attempts=8) as exchange:
        requests = [KlineRequest(s, M15, start(1500), NOW) for s in (*SYMBOLS, "NOPEUSDT")]
        found = store.sync_many(exchange, requests, workers=4)
    assert [isinstance(k, Klines) and len(k) for k in found.values()] == [1500] * 3 + [False]
    assert isinstance(found[requests[3]], SymbolError)


def test_a_market_that_is_not_there_leaves_nothing_behind(exchange: Bybit, store: Store) -> None:
    for _ in range(2):
        with pytest.raises(SymbolError):
            store.sync(exchange, "NOSUCHUSDT", M5, NOW - 10 * M5.ms, NOW)
    assert list(store.path("NOSUCHUSDT", M5).parent.iterdir()) == []


def test_two_syncs_at_once_fetch_once(server: Replay, exchange: Bybit, store: Store) -> None:
    exchange.server_time()
    asked(server)
    threads = [
        threading.Thread(target=store.sync, args=(exchange, "BTCUSDT", M15, start(900), NOW))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert asked(server) == 1
    assert len(store.load("BTCUSDT", M15)) == 900


def damage(path: Path, how: str) -> None:
    raw = path.read_bytes()
    half = len(raw) // 2
    path.write_bytes(
        {
            "empty": b"",
            "truncated": raw[:half],
            "tail": raw[:-1],
            "middle": raw[:half] + b"\xff" * 64 + raw[half + 64 :],
            "text": b"not a parquet file at all",
        }[how]
    )


@pytest.mark.parametrize("how", ["empty", "truncated", "tail", "middle", "text"])
def test_a_damaged_cache_is_named_then_set_aside_and_fetched_again(
    how: str, server: Replay, exchange: Bybit, store: Store
) -> None:
    whole = store.sync(exchange, "BTCUSDT", M15, start(900), NOW)
    path = store.path("BTCUSDT", M15)
    damage(path, how)
    spoilt = path.read_bytes()
    with pytest.raises(CorruptFileError, match="vision-ai fetch BTCUSDT"):
        store.load("BTCUSDT", M15)
    assert store.sync(exchange, "BTCUSDT", M15, start(900), NOW).digest == whole.digest
    (aside,) = path.parent.glob("*.corrupt-*")
    assert aside.read_bytes() == spoilt
    assert asked(server) > 0


def test_a_renamed_file_is_not_taken_for_another_market(exchange: Bybit, store: Store) -> None:
    store.sync(exchange, "BTCUSDT", M15, start(100), NOW)
    store.path("BTCUSDT", M15).rename(store.path("ETHUSDT", M15))
    with pytest.raises(CorruptFileError, match="renamed"):
        store.load("ETHUSDT", M15)


def test_candles_of_another_venue_are_not_mixed_in(exchange: Bybit, store: Store) -> None:
    store.sync(exchange, "BTCUSDT", M15, start(100), NOW)
    real = Store(store.paths, "bybit-linear")
    assert len(real.load("BTCUSDT", M15)) == 0
    store.path("BTCUSDT", M15).rename(real.path("BTCUSDT", M15))
    with pytest.raises(CorruptFileError, match="simulated-7-linear"):
        real.load("BTCUSDT", M15)


@pytest.mark.parametrize("venue", ["", "../x", "a/b", "x" * 61, "-x", "a b"])
def test_a_hostile_venue_is_refused(venue: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Venue"):
        Store(Paths(tmp_path), venue)


def test_a_full_disk_leaves_the_old_file(exchange: Bybit, store: Store) -> None:
    before = store.sync(exchange, "BTCUSDT", M15, start(100), NOW)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))
    try:
        with pytest.raises(StorageError, match="Earlier files are untouched"):
            store.sync(exchange, "BTCUSDT", M15, start(2000), NOW)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert store.load("BTCUSDT", M15).digest == before.digest
    assert not list(store.path("BTCUSDT", M15).parent.glob("*.tmp"))


def test_parts_left_by_a_killed_writer_are_swept_away(exchange: Bybit, store: Store) -> None:
    store.sync(exchange, "BTCUSDT", M15, start(100), NOW)
    path = store.path("BTCUSDT", M15)
    left = path.with_name(f".{path.name}.abc123.tmp")
    left.write_bytes(b"half a file")
    store.sync(exchange, "BTCUSDT", M15, start(100), NOW)
    assert not left.exists()


@given(st.lists(st.sets(st.integers(0, 40), max_size=30), min_size=1, max_size=4))
@settings(max_examples=50, deadline=None)
def test_merging_is_the_union_of_candles(parts: list[set[int]]) -> None:
    cached = Cached(Klines.empty("BTCUSDT", M5))
    for part in parts:
        rows = np.array(sorted(part), np.int64)
        cached = cached.merge(Klines("BTCUSDT", M5, BTC.open_ms[rows], BTC.bars[rows]))
    union = np.array(sorted(set().union(*parts)), np.int64)
    expected = Klines("BTCUSDT", M5, BTC.open_ms[union], BTC.bars[union])
    assert cached.klines.digest == expected.digest


def test_where_two_sources_differ_the_stored_candle_stands() -> None:
    old = BTC[:10]
    other = Klines("BTCUSDT", M5, BTC.open_ms[5:15], BTC.bars[5:15] * 2)
    merged = Cached(old).merge(other).klines
    assert merged[:10].digest == old.digest
    assert len(merged) == 15


def test_importing_twice_adds_nothing_twice(tmp_path: Path) -> None:
    source = tmp_path / "in"
    Store(Paths(source), "bybit-linear").add(BTC[:500])
    Store(Paths(source), "bybit-linear").add(candles()[1][:500])
    folder = source / "vision_ai" / "klines"
    paths = Paths(tmp_path / "data")
    once = import_candles(paths, folder)
    before = {
        p.name: p.read_bytes() for p in (paths.root / "vision_ai" / "klines").glob("*.parquet")
    }
    twice = import_candles(paths, folder)
    after = {
        p.name: p.read_bytes() for p in (paths.root / "vision_ai" / "klines").glob("*.parquet")
    }
    assert [k.digest for k in once.values() if isinstance(k, Klines)] == [
        k.digest for k in twice.values() if isinstance(k, Klines)
    ]
    assert before == after
    assert len(before) == 2


def test_a_bad_file_of_a_folder_loses_nothing_of_the_others(tmp_path: Path) -> None:
    Store(Paths(tmp_path), "bybit-linear").add(BTC[:500])
    folder = tmp_path / "vision_ai" / "klines"
    (folder / "bybit-linear_ETHUSDT_5m.parquet").write_bytes(b"no")
    found = import_candles(Paths(tmp_path / "data"), folder)
    assert sorted(isinstance(k, VisionError) for k in found.values()) == [False, True]


def test_a_file_of_a_folder_whose_name_says_no_market_is_named(tmp_path: Path) -> None:
    Store(Paths(tmp_path), "bybit-linear").add(BTC[:500])
    folder = tmp_path / "vision_ai" / "klines"
    (folder / "mine.csv").write_text("open_time,open,high,low,close,volume\n")
    found = import_candles(Paths(tmp_path / "data"), folder)
    assert isinstance(found[folder / "mine.csv"], VisionError)
    assert len(found) == 2


def test_a_folder_names_its_own_symbols(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="folder"):
        import_candles(Paths(tmp_path), tmp_path, symbol="BTCUSDT")


@given(
    st.sets(st.integers(0, 40), max_size=30),
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=3),
    st.integers(0, 40),
    st.integers(0, 40),
)
@settings(max_examples=60, deadline=None)
def test_what_is_missing_is_neither_stored_nor_known_to_be_empty(
    stored: set[int], empty: list[tuple[int, int]], first: int, after: int
) -> None:
    rows = np.array(sorted(stored), np.int64)
    origin = int(BTC.open_ms[0])

    def at(row: int) -> int:
        return origin + row * M5.ms

    klines = Klines("BTCUSDT", M5, BTC.open_ms[rows], BTC.bars[rows])
    cached = Cached(klines).merge(klines, [(at(a), at(b)) for a, b in empty])
    missing = {
        (ms - origin) // M5.ms
        for start_ms, end_ms in cached.missing(at(first), at(after))
        for ms in range(start_ms, end_ms, M5.ms)
    }
    known = stored | {row for a, b in empty for row in range(a, b)}
    assert missing == set(range(first, after)) - known


def test_threads_that_add_at_once_lose_nothing_of_each_other(store: Store) -> None:
    threads = [
        threading.Thread(target=store.add, args=(BTC[part * 50 : part * 50 + 60],))
        for part in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.load("BTCUSDT", M5).digest == BTC[:310].digest


def test_a_file_whose_facts_cannot_be_read_is_damaged(store: Store) -> None:
    store.add(BTC[:20])
    path = store.path("BTCUSDT", M5)
    table = pq.read_table(path)
    for facts in (b"{", b"[]", b'{"venue":"x"}', b'{"v":1,"asked":[[1]]}'):
        pq.write_table(table.replace_schema_metadata({b"vision_ai": facts}), path)
        with pytest.raises(CorruptFileError, match="its metadata cannot be read") as caught:
            store.load("BTCUSDT", M5)
        assert caught.value.hint.startswith("Run: vision-ai fetch BTCUSDT")


def test_a_file_of_another_origin_without_facts_is_read_as_it_is(store: Store) -> None:
    store.add(BTC[:20])
    path = store.path("BTCUSDT", M5)
    pq.write_table(pq.read_table(path).replace_schema_metadata(None), path)
    assert store.load("BTCUSDT", M5).digest == BTC[:20].digest


def test_adding_what_is_there_writes_nothing(store: Store) -> None:
    store.add(BTC[:20])
    path = store.path("BTCUSDT", M5)
    before = path.stat().st_mtime_ns, path.stat().st_ino
    assert store.add(BTC[5:15]).digest == BTC[:20].digest
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == before


def test_a_damaged_file_set_aside_twice_keeps_both_copies(exchange: Bybit, store: Store) -> None:
    path = store.path("BTCUSDT", M15)
    for content in (b"first damage", b"second damage"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        store.sync(exchange, "BTCUSDT", M15, start(10), NOW)
    aside = sorted(path.parent.glob("*.corrupt-*"))
    assert {copy.read_bytes() for copy in aside} == {b"first damage", b"second damage"}


def test_an_import_of_one_file_may_name_its_market(tmp_path: Path) -> None:
    source = Store(Paths(tmp_path / "in"), "x")
    source.add(BTC[:50])
    unnamed = tmp_path / "download.parquet"
    source.path("BTCUSDT", M5).rename(unnamed)
    stored = import_candles(Paths(tmp_path), unnamed, venue="mine", symbol="ethusdt", interval=M5)
    assert [k.symbol for k in stored.values() if isinstance(k, Klines)] == ["ETHUSDT"]
    assert len(Store(Paths(tmp_path), "mine").load("ETHUSDT", M5)) == 50
