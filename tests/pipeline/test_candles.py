"""Candles into the cache: from an exchange, from files, and served again."""

from pathlib import Path

import pytest

from tests.market.replays import NOW, SYMBOLS, candles, config, replay
from vision_ai.config import Config, MarketConfig, Paths
from vision_ai.domain import WINDOW, Interval, Klines, iso
from vision_ai.errors import InputError, IntervalError, KlinesError, SymbolError, VisionError
from vision_ai.market.store import Store
from vision_ai.pipeline import candles as use_cases
from vision_ai.pipeline.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path):
    with (
        replay() as server,
        Workspace(Config(market=config(server)), Paths(tmp_path)) as opened,
    ):
        opened.server = server  # type: ignore[attr-defined]
        yield opened


def candle_requests(workspace: Workspace) -> int:
    """How many requests for candles the exchange has answered."""
    counts = workspace.server.counts.as_dict()  # type: ignore[attr-defined]
    return sum(count for path, count in counts["paths"].items() if path.endswith("/kline"))


@pytest.mark.parametrize("history", [97, 400, 5000])
def test_a_first_fetch_reaches_at_least_one_chart_of_hours_back(tmp_path, history: int) -> None:
    settings = Config(market=MarketConfig(history=history))
    reach = use_cases.history_ms(Workspace(settings, Paths(tmp_path)))
    assert reach >= (WINDOW + 1) * Interval.H1.ms
    assert reach >= history * Interval.M15.ms


def test_fetched_candles_are_counted_and_cached(workspace: Workspace) -> None:
    result = use_cases.fetch(workspace, ["btcusdt", "ETHUSDT"])
    assert [row.symbol for row in result.fetched] == ["BTCUSDT", "ETHUSDT"]
    assert result.missing == {}
    for row in result.fetched:
        stored = workspace.store.load(row.symbol, Interval.M15)
        assert row.candles == len(stored)
        assert row.until == iso(int(stored.close_ms[-1]))
        assert row.venue == "simulated-7-linear"
        assert row.gaps == 0


def test_a_second_fetch_asks_for_no_candle_twice(workspace: Workspace) -> None:
    use_cases.fetch(workspace, ["BTCUSDT"])
    before = candle_requests(workspace)
    assert before > 0
    again = use_cases.fetch(workspace, ["BTCUSDT"])
    assert again.fetched[0].candles > 0
    assert candle_requests(workspace) == before


def test_the_top_markets_are_those_of_the_most_turnover(workspace: Workspace) -> None:
    result = use_cases.fetch(workspace, None, top=2)
    assert [row.symbol for row in result.fetched] == workspace.exchange.universe(2)


def test_an_older_start_reaches_farther_back(workspace: Workspace) -> None:
    since = NOW - 10 * 86_400_000
    result = use_cases.fetch(workspace, ["BTCUSDT"], since=iso(since))
    (row,) = result.fetched
    assert row.first == iso(-(-since // Interval.M15.ms) * Interval.M15.ms)


@pytest.mark.parametrize("ahead_ms", [0, 1000, 86_400_000])
def test_a_start_that_lies_ahead_is_refused_by_the_exchanges_clock(
    workspace: Workspace, ahead_ms: int
) -> None:
    with pytest.raises(InputError, match="lies ahead"):
        use_cases.fetch(workspace, ["BTCUSDT"], since=iso(NOW + ahead_ms + 999))


def test_the_only_symbol_raises_and_one_of_several_is_named(workspace: Workspace) -> None:
    with pytest.raises(SymbolError, match="does not list NOPEUSDT"):
        use_cases.fetch(workspace, ["NOPEUSDT"])
    result = use_cases.fetch(workspace, ["NOPEUSDT", "BTCUSDT"])
    assert list(result.missing) == ["NOPEUSDT"]
    assert [row.symbol for row in result.fetched] == ["BTCUSDT"]


def test_a_hostile_symbol_is_refused_before_anything_is_asked(workspace: Workspace) -> None:
    with pytest.raises(SymbolError):
        use_cases.fetch(workspace, ["BTCUSDT", "../x"])
    assert not workspace.paths.klines_folder.exists()


def test_candles_with_a_gap_name_the_newest_one() -> None:
    klines = candles()[0][:50]
    holed = Klines(
        klines.symbol, klines.interval,
        klines.open_ms[[*range(10), *range(12, 30), *range(35, 50)]],
        klines.bars[[*range(10), *range(12, 30), *range(35, 50)]],
    )  # fmt: skip
    values = use_cases.CandleCount.values_of(holed)
    assert values["candles"] == 43
    assert values["gaps"] == 2
    assert values["last_gap"] == (iso(int(klines.open_ms[30])), iso(int(klines.open_ms[35])))
    assert use_cases.CandleCount.values_of(Klines.empty("BTCUSDT", Interval.M5)) == {
        "candles": 0, "first": None, "until": None, "gaps": 0
    }  # fmt: skip


def exported(folder: Path, *symbols: str) -> Path:
    store = Store(Paths(folder), "bybit-linear")
    for number, symbol in enumerate(SYMBOLS):
        if symbol in symbols:
            store.add(candles()[number][:300])
    return folder / "vision_ai" / "klines"


def test_a_folder_is_imported_file_by_file(tmp_path: Path) -> None:
    source = exported(tmp_path / "in", "BTCUSDT", "ETHUSDT")
    workspace = Workspace(Config(), Paths(tmp_path / "data"))
    result = use_cases.import_files(workspace, [source])
    assert sorted(row.symbol for row in result.imported) == ["BTCUSDT", "ETHUSDT"]
    assert all(row.candles == 300 and row.interval is Interval.M5 for row in result.imported)
    again = use_cases.import_files(workspace, [source])
    assert again == result


def test_the_only_bad_file_raises_and_one_of_several_is_named(tmp_path: Path) -> None:
    source = exported(tmp_path / "in", "BTCUSDT")
    bad = tmp_path / "bad_ETHUSDT_5m.csv"
    bad.write_text("no candles")
    workspace = Workspace(Config(), Paths(tmp_path / "data"))
    with pytest.raises(VisionError, match=r"bad_ETHUSDT_5m\.csv"):
        use_cases.import_files(workspace, [bad])
    result = use_cases.import_files(workspace, [bad, source])
    assert list(result.missing) == [str(bad)]
    assert [row.symbol for row in result.imported] == ["BTCUSDT"]


@pytest.mark.parametrize("text", ["2h", "", "15", "../5m"])
def test_an_interval_that_is_not_stored_is_refused(tmp_path: Path, text: str) -> None:
    workspace = Workspace(Config(), Paths(tmp_path))
    with pytest.raises(IntervalError, match="expected one of 1m, 5m, 15m, 1h"):
        use_cases.import_files(workspace, [tmp_path], interval=text)


def test_a_folder_without_candles_cannot_be_served(tmp_path: Path) -> None:
    with pytest.raises(KlinesError, match="holds no candles"):
        use_cases.serve(tmp_path, now=None, port=0, freeze=True, fault_rate=0, seed=0)
