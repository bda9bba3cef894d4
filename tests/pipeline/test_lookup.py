"""Charts found again by their hash: in the cached candles, or off their picture."""

import os
from pathlib import Path

import numpy as np
import pytest

from vision_ai import storage
from vision_ai.charts import mpl, png
from vision_ai.config import Config, Paths
from vision_ai.domain import (
    HORIZONS,
    WINDOW,
    Direction,
    Embeddings,
    Horizon,
    Interval,
    Klines,
    Phase,
    Setup,
    iso,
)
from vision_ai.labels.gpt.replies import LabelledChart
from vision_ai.market.simulate import simulate
from vision_ai.market.store import Store
from vision_ai.measures import indicators, targets
from vision_ai.pipeline.lookup import Finder, Originals
from vision_ai.pipeline.workspace import Workspace

NOW = 1_750_032_000_000
M15 = Interval.M15


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(Config(), Paths(tmp_path))


def market(seed: int = 1, count: int = 300) -> Klines:
    return simulate("AAAUSDT", M15, count, seed=seed, end_ms=NOW)


def store(workspace: Workspace, klines: Klines, venue: str = "bybit-linear") -> None:
    Store(workspace.paths, venue).add(klines)


def chart_of(window: Klines) -> LabelledChart:
    return LabelledChart(
        digest=window.digest, symbol=window.symbol, interval=window.interval,
        as_of=iso(int(window.close_ms[-1])), setup=Setup.NONE, direction=Direction.NEUTRAL,
        phase=Phase.RANGE, clear=True, rules="1", look="0" * 64,
    )  # fmt: skip


def test_a_chart_of_cached_candles_comes_with_what_followed(workspace: Workspace) -> None:
    klines = market()
    store(workspace, klines)
    end = 200
    found = Finder(workspace).chart(chart_of(klines[end + 1 - WINDOW : end + 1]))
    assert found is not None
    bars, outcomes = found
    assert (bars == klines.bars[end + 1 - WINDOW : end + 1]).all()
    expected = targets.forward_outcomes(klines, np.array([end]))
    assert (outcomes.move == expected.move).all()
    assert np.isfinite(outcomes.move).all()


def test_the_first_and_the_last_whole_chart_are_found(workspace: Workspace) -> None:
    klines = market()
    store(workspace, klines)
    finder = Finder(workspace)
    for end in (WINDOW - 1, len(klines) - 1):
        window = klines[end + 1 - WINDOW : end + 1]
        found = finder.window("AAAUSDT", M15, int(klines.close_ms[end]), window.digest)
        assert found is not None
        assert found[1] == end
        assert found[0].digest == klines.digest


def test_of_two_venues_the_one_with_these_candles_counts(workspace: Workspace) -> None:
    one, other = market(seed=1), market(seed=2)
    store(workspace, one, "bybit-linear")
    store(workspace, other, "simulated-linear")
    for klines in (one, other):
        found = Finder(workspace).chart(chart_of(klines[100 : 100 + WINDOW]))
        assert found is not None
        assert (found[0] == klines.bars[100 : 100 + WINDOW]).all()


def test_candles_that_changed_are_another_chart(workspace: Workspace) -> None:
    store(workspace, market(seed=1))
    assert Finder(workspace).chart(chart_of(market(seed=2)[100 : 100 + WINDOW])) is None


def test_a_time_beyond_the_candles_finds_nothing(workspace: Workspace) -> None:
    klines = market()
    store(workspace, klines)
    finder = Finder(workspace)
    for as_of_ms in (0, NOW - 86_400_000 * 365, NOW + 86_400_000):
        assert finder.window("AAAUSDT", M15, as_of_ms, klines[-WINDOW:].digest) is None


def test_no_candles_and_no_picture_find_nothing(workspace: Workspace) -> None:
    assert Finder(workspace).chart(chart_of(market()[:WINDOW])) is None


def test_candles_are_read_once(workspace: Workspace) -> None:
    klines = market()
    store(workspace, klines)
    finder = Finder(workspace)
    assert finder.chart(chart_of(klines[:WINDOW])) is not None
    for path in workspace.paths.klines_folder.rglob("*.parquet"):
        path.unlink()
    assert finder.chart(chart_of(klines[50 : 50 + WINDOW])) is not None
    assert Finder(workspace).chart(chart_of(klines[50 : 50 + WINDOW])) is None


@pytest.fixture
def drawn(workspace: Workspace) -> tuple[Klines, Path]:
    """A chart of which only the picture is here, as a snapshot leaves it."""
    window = market()[100 : 100 + WINDOW]
    path = workspace.paths.chart("AAAUSDT", M15, int(window.close_ms[-1]))
    storage.write_bytes(path, mpl.draw(window, workspace.config.chart))
    return window, path


def test_a_chart_without_candles_is_read_off_its_picture(workspace: Workspace, drawn) -> None:
    window, _ = drawn
    found = Finder(workspace).chart(chart_of(window))
    assert found is not None
    bars, outcomes = found
    height = window.bars[:, 1].max() - window.bars[:, 2].min()
    assert np.abs(bars[:, :4] - window.bars[:, :4]).max() < 0.02 * height
    # what followed is not on the picture; it counts as known once the horizon is over
    assert np.isnan(outcomes.move).all()
    close_ms = int(window.close_ms[-1])
    assert outcomes.complete_ms.tolist() == [[close_ms + horizon.ms for horizon in HORIZONS]]
    assert np.allclose(outcomes.scale, indicators.volatility(window.bars[None]), rtol=0.1)


def test_a_picture_of_other_candles_is_not_passed_off(workspace: Workspace, drawn) -> None:
    window, path = drawn
    other = market(seed=2)[100 : 100 + WINDOW]
    path.write_bytes(mpl.draw(other, workspace.config.chart))
    assert Finder(workspace).chart(chart_of(window)) is None


@pytest.mark.parametrize("kept", [0, 40, 2000])
def test_a_picture_that_was_cut_off_finds_nothing(workspace: Workspace, drawn, kept: int) -> None:
    window, path = drawn
    os.truncate(path, kept)
    assert Finder(workspace).chart(chart_of(window)) is None


def test_a_picture_that_says_nothing_about_itself_finds_nothing(
    workspace: Workspace, drawn
) -> None:
    window, path = drawn
    path.write_bytes(png.encode(np.full((64, 64, 3), 200, np.uint8)))
    assert Finder(workspace).chart(chart_of(window)) is None


def rows_of(klines: Klines, stride: int = 40) -> Embeddings:
    """Charts of a market as an index holds them, their vectors left empty."""
    ends = klines.window_ends()[::stride]
    zeros = np.zeros(len(ends), np.int8)
    return Embeddings(
        vectors=np.eye(len(ends), 4, dtype=np.float32),
        symbol=np.full(len(ends), klines.symbol),
        interval=np.full(len(ends), klines.interval.value),
        last_ms=klines.open_ms[ends],
        reading=zeros,
        phase=zeros,
        weight=np.ones(len(ends), np.float32),
        outcomes=targets.forward_outcomes(klines, ends),
        model="m", style="s", rules="r", data="d",
    )  # fmt: skip


def test_originals_are_found_among_several_tables_and_only_in_their_own() -> None:
    market_a, other_venue = market(seed=1), market(seed=2)
    elsewhere = simulate("BBBUSDT", M15, 300, seed=3, end_ms=NOW)
    rows = rows_of(market_a)
    originals = Originals.find(rows, [elsewhere, other_venue, market_a])
    assert originals.found.tolist() == list(range(len(rows)))
    assert [table.digest for table in originals.tables] == [market_a.digest]
    expected = market_a.windows(market_a.window_ends()[::40])
    assert (originals.bars(originals.found) == expected).all()


def test_of_two_tables_with_the_same_candles_the_first_is_used() -> None:
    klines = market()
    rows = rows_of(klines)
    originals = Originals.find(rows, [klines, klines])
    assert len(originals.tables) == 1
    assert set(originals.table.tolist()) == {0}


def test_rows_may_be_asked_for_in_any_order() -> None:
    klines = market()
    rows = rows_of(klines)
    originals = Originals.find(rows, [klines])
    backwards = originals.found[::-1]
    assert (originals.bars(backwards) == originals.bars(originals.found)[::-1]).all()


def test_candles_with_a_gap_hold_only_the_whole_charts() -> None:
    klines = market()
    rows = rows_of(klines)
    keep = np.r_[np.arange(150), np.arange(152, len(klines))]
    gap = Klines(klines.symbol, klines.interval, klines.open_ms[keep], klines.bars[keep])
    found = Originals.find(rows, [gap]).found
    ends = klines.window_ends()[::40]
    whole = [row for row, end in enumerate(ends) if end < 150 or end - WINDOW + 1 >= 152]
    assert found.tolist() == whole
    assert 0 < len(whole) < len(rows)


def test_no_tables_or_too_short_ones_find_nothing() -> None:
    rows = rows_of(market())
    assert len(Originals.find(rows, []).found) == 0
    assert len(Originals.find(rows, [market()[:50]]).found) == 0


@pytest.mark.parametrize(("horizon", "candles"), [(Horizon.H2, 8), (Horizon.H6, 24)])
def test_what_followed_ends_with_the_horizon_or_with_the_candles(horizon, candles) -> None:
    klines = market()
    rows = rows_of(klines, stride=204)  # the first and the last whole chart
    originals = Originals.find(rows, [klines])
    assert len(originals.with_after(0, horizon)) == WINDOW + candles
    assert len(originals.with_after(1, horizon)) == WINDOW
    assert (originals.with_after(0, horizon)[:WINDOW] == klines.bars[:WINDOW]).all()
