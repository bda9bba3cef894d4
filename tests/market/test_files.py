"""Files of candles of any origin: the good are read, the bad named in one sentence."""

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.market.replays import NOW, candles
from vision_ai.config import Paths
from vision_ai.domain import CHART_INTERVALS, Interval, Klines
from vision_ai.errors import (
    CorruptFileError,
    InputError,
    IntervalError,
    KlinesError,
    SymbolError,
    VisionError,
)
from vision_ai.market.files import candle_files, parse_name, read_file, read_folder, refuse_coarser
from vision_ai.market.simulate import simulate
from vision_ai.market.store import Store, import_candles

REAL = Path(os.environ.get("VISION_AI_KLINES", Path(__file__).parents[2] / "../shared/klines"))
T0 = 1_749_945_600_000  # 2025-06-15T00:00:00Z
HEAD = "open_ms,open,high,low,close,volume\n"
BTC = candles()[0]


def lines(*times: object) -> str:
    return "".join(f"{time},1,2,1,2,5\n" for time in times)


def csv(folder: Path, text: str | bytes, name: str = "x_BTCUSDT_15m.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    ("head", "times"),
    [
        ("open_ms", (T0, T0 + 900_000)),
        ("timestamp", (T0 // 1000, T0 // 1000 + 900)),
        ("unix", (f"{T0 // 1000}.0", f"{T0 // 1000 + 900}.0")),
        ("Open time", (T0 * 1000, (T0 + 900_000) * 1000)),
        ("ts", (T0 * 10**6, (T0 + 900_000) * 10**6)),
        ("Date", ("2025-06-15 00:00:00", "2025-06-15 00:15:00")),
        ("time", ("2025-06-15T00:00:00Z", "2025-06-15T00:15:00Z")),
        ("datetime", ("2025-06-15T02:00:00+02:00", "2025-06-15T02:15:00+02:00")),
        (" DATETIME ", ("2025-06-15 00:00:00.000", "2025-06-15 00:15:00.000")),
    ],
)
def test_times_are_read_in_every_usual_form(
    tmp_path: Path, head: str, times: tuple[object, ...]
) -> None:
    klines = read_file(csv(tmp_path, f"{head},Open,High,Low,Close,Volume,Trades\n" + "".join(
        f"{time},1,2,1,2,5,77\n" for time in times)))  # fmt: skip
    assert klines.open_ms.tolist() == [T0, T0 + 900_000]
    assert klines.bars.tolist() == [[1, 2, 1, 2, 5]] * 2


def test_the_exchanges_archives_without_a_header_are_read(tmp_path: Path) -> None:
    row = "{},1,2,1,2,5,{},9.9,12,3,4,0\n"
    text = row.format(T0, T0 + 899_999) + row.format(T0 + 900_000, T0 + 1_799_999)
    assert len(read_file(csv(tmp_path, text))) == 2


def test_symbol_and_interval_come_from_the_name_or_are_given(tmp_path: Path) -> None:
    unnamed = csv(tmp_path, HEAD + lines(T0, T0 + 3_600_000), "download.csv")
    assert read_file(unnamed, "ethusdt").interval is Interval.H1
    assert read_file(unnamed, "ethusdt").symbol == "ETHUSDT"
    assert read_file(unnamed, "ethusdt", Interval.M15).gaps()
    with pytest.raises(KlinesError, match="does not say which symbol"):
        read_file(unnamed)
    with pytest.raises(SymbolError):
        read_file(unnamed, "../../x")
    with pytest.raises(IntervalError, match="minutes apart"):
        read_file(csv(tmp_path, HEAD + lines(T0, T0 + 60), "download.csv"), "ethusdt")


def test_candles_are_not_taken_for_finer_ones_with_gaps(tmp_path: Path) -> None:
    hours = [T0 + hour * 3_600_000 for hour in range(30)]
    path = csv(tmp_path, HEAD + lines(*hours), "download.csv")
    with pytest.raises(KlinesError, match="60 minutes apart: expected 15m"):
        refuse_coarser(read_file(path, "ethusdt", Interval.M15), path)
    refused = import_candles(Paths(tmp_path), path, symbol="ETHUSDT", interval=Interval.M15)
    assert "60 minutes apart" in str(refused[path])
    quarters = [*hours, *(hours[-1] + i * 900_000 for i in range(1, 40))]
    path = csv(tmp_path, HEAD + lines(*quarters), "download.csv")
    gappy = read_file(path, "ethusdt", Interval.M15)
    assert gappy.gaps()
    refuse_coarser(gappy, path)


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ("", KlinesError, "empty"),
        ("\n\n", KlinesError, "empty"),
        (b"\x00\xff\xfe" * 50, CorruptFileError, "damaged"),
        ("a,b\n1,2\n", KlinesError, "lacks a time, open"),
        ("time,open,high,low,close\n1,1,2,1,2\n", KlinesError, "lacks volume"),
        (HEAD + lines(T0) + "17499", CorruptFileError, "Expected 6 columns"),
        (HEAD + lines(T0 + 900_000, T0), KlinesError, "does not follow"),
        (HEAD + lines(T0, T0), KlinesError, "does not follow"),
        (HEAD + lines(T0 + 1), KlinesError, "multiple of"),
        (HEAD + lines("noon"), KlinesError, "cannot be read as a number or a time"),
        (HEAD + lines(""), KlinesError, "a time is missing"),
        (HEAD + lines("9" * 30), KlinesError, "cannot be read"),
        (HEAD + lines(-99_999_999_900_000), KlinesError, "expected a time from 1970"),
        ("open_ms," + HEAD + f"{T0}," + lines(T0), KlinesError, "more than one column"),
        (HEAD + f"{T0},1,2,1,abc,5\n", KlinesError, "cannot be read as a number"),
        (HEAD + f"{T0},1,2,1,nan,5\n", KlinesError, "not a finite number"),
        (HEAD + f"{T0},1,2,1,,5\n", KlinesError, "not a finite number"),
        (HEAD + f"{T0},1,2,1,inf,5\n", KlinesError, "not a finite number"),
        (HEAD + f"{T0},1,2,1,2,-5\n", KlinesError, "negative volume"),
        (HEAD + f"{T0},1,1,1,2,5\n", KlinesError, "outside its high and low"),
        (HEAD + f"{T0},0,2,0,2,5\n", KlinesError, "zero or below"),
        (HEAD + f"{T0},1e308,1e308,1e308,1e308,5\n", KlinesError, "above 1e\\+30"),
        (HEAD + f"{T0},1e-305,1e-305,1e-305,1e-305,5\n", KlinesError, "below 1e-30"),
    ],
)
def test_a_bad_file_is_named_in_one_sentence(
    tmp_path: Path, text: str | bytes, error: type[VisionError], says: str
) -> None:
    with pytest.raises(error, match=says) as caught:
        read_file(csv(tmp_path, text))
    assert "x_BTCUSDT_15m.csv" in caught.value.message
    assert "\n" not in str(caught.value)


def test_prices_of_any_size_survive(tmp_path: Path) -> None:
    text = f"{HEAD}{T0},1e-8,2e-8,1e-8,0.00000002,5\n{T0 + 900_000},1e8,2e8,100000000,2e8,0\n"
    assert read_file(csv(tmp_path, text)).bars[:, 0].tolist() == [1e-8, 1e8]


def test_a_file_without_candles_is_no_error(tmp_path: Path) -> None:
    assert len(read_file(csv(tmp_path, HEAD))) == 0


@pytest.mark.parametrize("name", ["absent.csv", "absent.parquet", "folder.parquet"])
def test_no_file_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder.parquet").mkdir()
    with pytest.raises(KlinesError, match="is no file"):
        read_file(tmp_path / name, "BTCUSDT")
    with pytest.raises(KlinesError, match="is no file"):
        read_file(tmp_path / name)


def test_parquet_written_by_others_is_read(tmp_path: Path) -> None:
    path = tmp_path / "any_BTCUSDT_5m.parquet"
    stamps = pa.array(BTC.open_ms[:50], pa.timestamp("ms", tz="UTC"))
    columns = {"Date": stamps, "note": ["x"] * 50}
    names = ("Open", "High", "Low", "Close", "Volume")
    columns |= {n: pa.array(c, pa.float32()) for n, c in zip(names, BTC.bars[:50].T, strict=True)}
    pq.write_table(pa.table(columns), path)
    klines = read_file(path)
    assert np.array_equal(klines.open_ms, BTC.open_ms[:50])
    assert np.allclose(klines.bars, BTC.bars[:50])


@given(st.data())
@settings(max_examples=50, deadline=None)
def test_a_cut_or_flipped_parquet_is_an_error_or_still_the_same(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("flip")
    store = Store(Paths(folder), "x")
    store.add(BTC[:200])
    path = store.path("BTCUSDT", Interval.M5)
    raw = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, len(raw) - 1))
    if data.draw(st.booleans()):
        path.write_bytes(bytes(raw[:at]))
    else:
        raw[at] ^= data.draw(st.integers(1, 255))
        path.write_bytes(bytes(raw))
    try:
        assert store.load("BTCUSDT", Interval.M5).digest == BTC[:200].digest
    except VisionError as error:
        assert error.hint  # noqa: PT017 - either outcome is right, a third is not


@pytest.mark.parametrize(
    ("name", "venue", "symbol"),
    [
        ("bybit-linear_BTCUSDT_15m.parquet", "bybit-linear", "BTCUSDT"),
        ("BTCUSDT_15m.csv", "", "BTCUSDT"),
        ("1000PEPEUSDT_15m.csv", "", "1000PEPEUSDT"),
        ("bybit-linear_btcusdt_15m.csv", "", ""),
        ("a_b_BTCUSDT_15m.csv", "", ""),
        ("bybit_BTCUSDT_4h.csv", "", ""),
    ],
)
def test_file_names_say_venue_symbol_and_interval(name: str, venue: str, symbol: str) -> None:
    found = parse_name(Path(name))
    assert (found.venue, found.symbol) == (venue, symbol)
    assert found.interval is (Interval.M15 if symbol else None)


def test_a_folder_is_read_file_by_file_at_the_interval_that_is_asked_for(tmp_path: Path) -> None:
    store = Store(Paths(tmp_path), "bybit-linear")
    store.add(BTC[:600])
    store.add(simulate("ETHUSDT", "1h", 100, seed=1, end_ms=NOW))
    folder = tmp_path / "vision_ai" / "klines"
    (folder / "notes.txt").write_text("no candles")
    assert len(candle_files(folder)) == 2
    found = {i: list(read_folder(folder, intervals=[i])) for i in (Interval.M5, *CHART_INTERVALS)}
    assert [k.symbol for _, k in found[Interval.M5]] == ["BTCUSDT"]
    assert [k.symbol for _, k in found[Interval.M15]] == ["BTCUSDT"]
    assert [k.symbol for _, k in found[Interval.H1]] == ["BTCUSDT", "ETHUSDT"]
    assert all(k.interval is interval for interval, read in found.items() for _, k in read)
    assert {venue for read in found.values() for venue, _ in read} == {"bybit-linear"}


def test_a_folder_is_read_in_both_charted_intervals_and_only_what_is_asked_for(
    tmp_path: Path,
) -> None:
    store = Store(Paths(tmp_path), "bybit-linear")
    store.add(BTC[:600])
    store.add(simulate("ETHUSDT", "1h", 100, seed=1, end_ms=NOW))
    folder = tmp_path / "vision_ai" / "klines"
    every = [(k.symbol, k.interval) for _, k in read_folder(folder)]
    assert every == [
        ("BTCUSDT", Interval.M15), ("BTCUSDT", Interval.H1), ("ETHUSDT", Interval.H1)
    ]  # fmt: skip
    only = [k.symbol for _, k in read_folder(folder, symbols={"ETHUSDT"})]
    assert only == ["ETHUSDT"]


def test_reading_a_folder_holds_one_file_at_a_time(tmp_path: Path) -> None:
    Store(Paths(tmp_path), "a").add(BTC[:100])
    Store(Paths(tmp_path), "b").add(BTC[:100])
    folder = tmp_path / "vision_ai" / "klines"
    reading = read_folder(folder, intervals=[Interval.M5])
    next(reading)
    (folder / "b_BTCUSDT_5m.parquet").write_bytes(b"spoilt meanwhile")
    with pytest.raises(CorruptFileError):
        next(reading)


def test_a_file_that_may_not_be_opened_is_named(tmp_path: Path) -> None:
    path = csv(tmp_path, HEAD)
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read everything")
    with pytest.raises(InputError, match="Permission denied"):
        read_file(path)


@pytest.mark.klines
def test_every_shared_file_of_real_candles_can_be_read() -> None:
    folder = REAL / "bench-bybit-5m"
    if not folder.is_dir():
        pytest.skip(f"no real candles at {folder}: set VISION_AI_KLINES")
    for venue, klines in read_folder(folder, intervals=[Interval.M15]):
        assert venue == "bybit-linear"
        assert isinstance(klines, Klines)
        assert len(klines) > 1000
