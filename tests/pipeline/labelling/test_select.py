"""Which charts are looked at: out of stored candles or a folder of pictures, and in which order."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from vision_ai.charts import png
from vision_ai.config import Config, Paths
from vision_ai.domain import WINDOW, Interval, Klines, iso, parse_time
from vision_ai.errors import InputError, IntervalError, KlinesError
from vision_ai.labels import rules
from vision_ai.labels.gpt.replies import hash_bars
from vision_ai.labels.gpt.run import ChartTask
from vision_ai.market.simulate import simulate
from vision_ai.market.store import Store
from vision_ai.pipeline.labelling import select
from vision_ai.pipeline.labelling.select import ChartSelection
from vision_ai.pipeline.workspace import Workspace

END_MS = 1_740_000_600_000 // 3_600_000 * 3_600_000
SYMBOLS = ("AAAUSDT", "BBBUSDT")


@pytest.fixture(scope="module")
def markets() -> list[Klines]:
    return [
        simulate(symbol, Interval.M15, WINDOW * 8 + 10, seed=seed, end_ms=END_MS)
        for seed, symbol in enumerate(SYMBOLS)
    ]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory, markets) -> Workspace:
    paths = Paths(tmp_path_factory.mktemp("data"))
    for market in markets:
        Store(paths, "simulated-1-linear").add(market)
    return Workspace(Config(), paths)


def found(workspace: Workspace, limit: int | None = None, **selection: object) -> list[ChartTask]:
    return select.find(workspace, ChartSelection(**selection), limit=limit).tasks


M15 = {"intervals": (Interval.M15,)}


# What is asked for.


def test_options_become_a_selection() -> None:
    selection = ChartSelection.of(
        ["btcusdt"], "2025-01-01", "2025-02-01T12:00:00Z", ["1h"], stride=7, klines=Path("k")
    )
    assert selection.symbols == {"BTCUSDT"}
    assert selection.since_ms == parse_time("2025-01-01T00:00:00Z")
    assert selection.until_ms == parse_time("2025-02-01T12:00:00Z")
    assert (selection.intervals, selection.stride) == ((Interval.H1,), 7)
    assert (selection.klines, selection.charts) == (Path("k"), None)


def test_nothing_asked_for_is_everything() -> None:
    selection = ChartSelection.of(None, None, None, None)
    assert selection == ChartSelection()
    assert selection.holds("ANYUSDT", Interval.M15, 0)
    assert selection.holds("ANYUSDT", Interval.H1, END_MS)


@pytest.mark.parametrize(
    ("symbols", "since", "interval", "error"),
    [
        (["B/../"], None, None, InputError),
        (None, "yesterday", None, InputError),
        (None, None, ["2m"], IntervalError),
    ],
)
def test_what_is_no_symbol_time_or_interval_is_refused(symbols, since, interval, error) -> None:
    with pytest.raises(error):
        ChartSelection.of(symbols, since, None, interval)


def test_a_selection_holds_charts_at_its_bounds_and_none_beyond() -> None:
    selection = ChartSelection(frozenset({"AAAUSDT"}), 1000, 2000, (Interval.M15,))
    assert selection.holds("AAAUSDT", Interval.M15, 1000)
    assert selection.holds("AAAUSDT", Interval.M15, 2000)
    assert not selection.holds("AAAUSDT", Interval.M15, 999)
    assert not selection.holds("AAAUSDT", Interval.M15, 2001)
    assert not selection.holds("AAAUSDT", Interval.H1, 1500)
    assert not selection.holds("BBBUSDT", Interval.M15, 1500)


# Charts of candles.


def test_charts_that_share_no_candle_are_found_from_the_newest_back(workspace, markets) -> None:
    tasks = found(workspace, **M15)
    ends = {(t.subject.symbol, parse_time(t.subject.as_of)) for t in tasks}
    expected = {
        (m.symbol, int(m.close_ms[len(m) - 1 - n * WINDOW])) for m in markets for n in range(8)
    }
    assert ends == expected
    assert len(tasks) == len(ends)


def test_a_smaller_stride_finds_more_charts(workspace) -> None:
    count = len(found(workspace, **M15))
    assert len(found(workspace, stride=WINDOW // 2, **M15)) == pytest.approx(2 * count, abs=2)


def test_a_chart_is_described_by_its_window(workspace, markets) -> None:
    by_symbol = {market.symbol: market for market in markets}
    for task in found(workspace, limit=5, **M15):
        subject, market = task.subject, by_symbol[task.subject.symbol]
        end = int(np.flatnonzero(market.close_ms == parse_time(subject.as_of))[0])
        window = market[end + 1 - WINDOW : end + 1]
        label = rules.label(window.bars[None])[0]
        assert (subject.digest, subject.look) == (window.digest, hash_bars(window.bars))
        assert (subject.setup, subject.direction) == (label.setup, label.direction)
        assert (subject.phase, subject.clear) == (label.phase, label.clear)
        assert subject.chart.startswith(f"charts/{subject.symbol}/")


def test_readings_take_turns(workspace) -> None:
    """Until a reading has no more charts, none is ahead of another by more than one."""
    tasks = found(workspace, stride=8, **M15)
    names = [task.subject.reading.name for task in tasks]
    total = Counter(names)
    assert len(total) > 1
    for cut in range(1, len(names)):
        seen = Counter(names[:cut])
        left = [seen[name] for name in total if seen[name] < total[name]]
        assert not left or max(seen.values()) - min(left) <= 1


def test_the_order_is_the_same_every_time(workspace) -> None:
    first, again = (found(workspace, stride=8, **M15) for _ in range(2))
    assert [task.subject for task in first] == [task.subject for task in again]


def test_a_limit_takes_the_first_and_known_charts_are_passed_over(workspace) -> None:
    every = [task.subject.digest for task in found(workspace, **M15)]
    assert [task.subject.digest for task in found(workspace, limit=3, **M15)] == every[:3]
    rest = select.find(workspace, ChartSelection(**M15), known=set(every[:5]), limit=3)
    assert [task.subject.digest for task in rest.tasks] == every[5:8]
    assert found(workspace, limit=0, **M15) == []


def test_symbols_and_times_narrow_what_is_found(workspace, markets) -> None:
    since_ms = int(markets[0].close_ms[-1]) - 2 * WINDOW * Interval.M15.ms
    tasks = found(workspace, symbols=frozenset({"BBBUSDT"}), since_ms=since_ms, **M15)
    assert {task.subject.symbol for task in tasks} == {"BBBUSDT"}
    assert all(parse_time(task.subject.as_of) >= since_ms for task in tasks)
    until = found(workspace, until_ms=since_ms, **M15)
    assert until
    assert all(parse_time(task.subject.as_of) <= since_ms for task in until)


def test_an_unknown_symbol_is_named_and_where_it_was_looked_for(workspace) -> None:
    with pytest.raises(KlinesError, match="no candles of YYYUSDT, ZZZUSDT") as refused:
        found(workspace, symbols=frozenset({"ZZZUSDT", "AAAUSDT", "YYYUSDT"}))
    assert str(workspace.paths.klines_folder) in str(refused.value)
    assert "leave them out" in refused.value.hint


def test_another_folder_of_candles_can_be_named(workspace, tmp_path: Path) -> None:
    other = Paths(tmp_path)
    Store(other, "simulated-2-linear").add(
        simulate("CCCUSDT", Interval.M15, WINDOW, seed=3, end_ms=END_MS)
    )
    (task,) = found(workspace, klines=other.klines_folder, **M15)
    assert task.subject.symbol == "CCCUSDT"


def test_a_folder_without_candles_is_refused(workspace, tmp_path: Path) -> None:
    with pytest.raises(KlinesError, match=tmp_path.name):
        found(workspace, klines=tmp_path)


def test_a_market_that_stood_still_shows_no_chart(tmp_path: Path) -> None:
    times = END_MS - np.arange(WINDOW, 0, -1) * Interval.M15.ms
    still = Klines("AAAUSDT", Interval.M15, times, np.tile([5.0, 5.0, 5.0, 5.0, 0.0], (WINDOW, 1)))
    paths = Paths(tmp_path)
    Store(paths, "simulated-1-linear").add(still)
    assert found(Workspace(Config(), paths), **M15) == []


# Their pictures.


def test_a_chart_is_drawn_once_and_read_back(tmp_path: Path, markets) -> None:
    workspace, window = Workspace(Config(), Paths(tmp_path)), markets[0][-WINDOW:]
    first = select.draw(workspace, window)
    path = select.chart_path(workspace.paths, window)
    assert path.read_bytes() == first
    meta = png.read(path).meta
    assert meta is not None
    assert (meta.symbol, meta.klines) == (window.symbol, window.digest)
    stamp = path.stat().st_mtime_ns
    assert select.draw(workspace, window) == first
    assert path.stat().st_mtime_ns == stamp


def test_other_candles_of_the_same_name_do_not_replace_a_picture(tmp_path: Path, markets) -> None:
    workspace, window = Workspace(Config(), Paths(tmp_path)), markets[0][-WINDOW:]
    first = select.draw(workspace, window)
    bars = window.bars.copy()
    bars[:, :4] *= 2
    bars[-1, :4] *= 1.01
    other = Klines(window.symbol, window.interval, window.open_ms, bars)
    assert select.draw(workspace, other) != first
    assert select.chart_path(workspace.paths, window).read_bytes() == first


# Charts of pictures.


@pytest.fixture(scope="module")
def pictures(tmp_path_factory, markets) -> Path:
    """Two charts that this program drew, and a file that is no picture."""
    folder = tmp_path_factory.mktemp("pictures")
    workspace = Workspace(Config(), Paths(folder))
    for market in markets:
        select.draw(workspace, market[-WINDOW:])
    (folder / "broken.png").write_bytes(b"no picture")
    return folder


@pytest.fixture(scope="module")
def selected(workspace, pictures) -> select.SelectedCharts:
    return select.find(workspace, ChartSelection(charts=pictures))


def test_pictures_of_this_program_are_labelled_by_what_they_show(selected, markets) -> None:
    windows = {market.symbol: market[-WINDOW:] for market in markets}
    assert {task.subject.symbol for task in selected.tasks} == set(SYMBOLS)
    for task in selected.tasks:
        subject, window = task.subject, windows[task.subject.symbol]
        assert subject.digest == window.digest
        assert (subject.interval, subject.as_of) == (Interval.M15, iso(int(window.close_ms[-1])))
        assert task.picture() == Path(subject.chart).read_bytes()


def test_what_cannot_be_read_is_named_with_the_reason(selected, pictures) -> None:
    assert list(selected.missing) == [str(pictures / "broken.png")]
    assert "broken.png" in selected.missing[str(pictures / "broken.png")]


def test_pictures_are_narrowed_as_candles_are(workspace, pictures) -> None:
    one = ChartSelection(symbols=frozenset({"AAAUSDT"}), charts=pictures)
    assert [t.subject.symbol for t in select.find(workspace, one).tasks] == ["AAAUSDT"]
    hourly = ChartSelection(intervals=(Interval.H1,), charts=pictures)
    assert select.find(workspace, hourly).tasks == []


@pytest.mark.parametrize("name", ["empty", "nowhere"])
def test_a_folder_without_pictures_is_refused(workspace, tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=name) as refused:
        select.find(workspace, ChartSelection(charts=tmp_path / name))
    assert refused.value.hint == "Name a folder of charts."
