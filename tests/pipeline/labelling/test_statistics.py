"""How often labels occur in a folder of candles, and sheets of their charts."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vision_ai.charts import png
from vision_ai.domain import PHASES, READINGS, WINDOW, Interval, Klines
from vision_ai.errors import InputError, IntervalError, KlinesError
from vision_ai.labels import rules
from vision_ai.market.simulate import simulate
from vision_ai.pipeline.labelling import statistics
from vision_ai.pipeline.labelling.statistics import EXAMPLES, PER_MARKET

END_MS = 1_740_000_600_000 // 900_000 * 900_000
SYMBOLS = ("AAAUSDT", "BBBUSDT", "CCCUSDT")


def write(folder: Path, klines: Klines) -> None:
    columns = {"open_ms": klines.open_ms}
    names = ("open", "high", "low", "close", "volume")
    columns |= dict(zip(names, klines.bars.T, strict=True))
    folder.mkdir(exist_ok=True)
    pq.write_table(
        pa.table(columns), folder / f"simulated_{klines.symbol}_{klines.interval}.parquet"
    )


@pytest.fixture(scope="module")
def markets() -> list[Klines]:
    return [
        simulate(symbol, Interval.M15, 480, seed=seed, end_ms=END_MS)
        for seed, symbol in enumerate(SYMBOLS)
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, markets) -> Path:
    path = tmp_path_factory.mktemp("klines")
    for market in markets:
        write(path, market)
    return path


def labels_of(klines: Klines) -> rules.Labels:
    return rules.label(klines.windows(klines.window_ends()))


# Counts.


@pytest.fixture(scope="module")
def counted(folder: Path) -> statistics.LabelStatisticsResult:
    return statistics.statistics(folder, intervals=["15m"], limit=None)


def test_every_window_is_counted_once(counted, markets) -> None:
    assert counted.windows == {Interval.M15: sum(len(m) - WINDOW + 1 for m in markets)}
    assert counted.rules == rules.RULES_VERSION


def test_shares_are_those_of_the_rule_books_labels(counted, markets) -> None:
    labels = [labels_of(market) for market in markets]
    reading = np.concatenate([part.reading for part in labels])
    phase = np.concatenate([part.phase for part in labels])
    shares = {(share.facet, share.name): share.share for share in counted.shares}
    for code, name in enumerate(READINGS):
        if (reading == code).any():
            found = [v for (_, label), v in shares.items() if label == name.name]
            assert found == [pytest.approx((reading == code).mean())]
    for code, name in enumerate(PHASES):
        if (phase == code).any():
            assert [
                v for (facet, label), v in shares.items() if label == name and facet == "phase"
            ] == [pytest.approx((phase == code).mean())]


def test_shares_of_a_facet_add_up_to_one(counted) -> None:
    facets = {share.facet for share in counted.shares}
    for facet in facets:
        total = sum(share.share for share in counted.shares if share.facet == facet)
        assert total == pytest.approx(1.0)


def test_a_label_lasts_as_long_as_it_is_seen_without_a_break(counted) -> None:
    for share in counted.shares:
        assert share.runs >= (share.share > 0)
        assert share.median_bars >= (share.share > 0)
        assert 0 <= share.clear <= 1


def test_both_charted_intervals_are_counted_unless_one_is_named(folder: Path, markets) -> None:
    both = statistics.statistics(folder, intervals=None, limit=None)
    assert set(both.windows) == {Interval.M15, Interval.H1}
    hourly = statistics.statistics(folder, intervals=["1h"], limit=None)
    assert hourly.windows == {
        Interval.H1: sum(max(0, len(m.resample(Interval.H1)) - WINDOW + 1) for m in markets)
    }


def test_a_limit_counts_the_first_files(folder: Path, markets) -> None:
    first = statistics.statistics(folder, intervals=["15m"], limit=1)
    assert first.windows == {Interval.M15: len(markets[0]) - WINDOW + 1}


def test_the_json_object_holds_every_share_as_plain_values(counted) -> None:
    content = counted.payload()
    assert list(content)[-1] == "missing"
    assert content["windows"] == {"15m": counted.windows[Interval.M15]}
    assert content["shares"][0].keys() == {
        "interval", "facet", "name", "share", "clear", "median_bars", "runs",
    }  # fmt: skip


def test_an_interval_without_charts_is_refused(folder: Path) -> None:
    with pytest.raises(IntervalError, match="2m"):
        statistics.statistics(folder, intervals=["2m"], limit=None)


def test_a_folder_without_candles_is_refused_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(KlinesError, match=tmp_path.name):
        statistics.statistics(tmp_path, intervals=None, limit=None)


# Sheets.


def sheet(folder: Path, name: str, out: Path, **changes: object) -> statistics.SheetResult:
    options = {"intervals": ["15m"], "limit": None, "seed": 0} | changes
    return statistics.contact_sheet(folder, name, out=out, **options)


@pytest.fixture(scope="module")
def common(markets) -> str:
    """The setup that most of the charts show."""
    counts = sum(np.bincount(labels_of(m).reading, minlength=len(READINGS)) for m in markets)
    return READINGS[int(np.argmax(counts))].setup.value


@pytest.fixture(scope="module")
def drawn(folder: Path, common: str, tmp_path_factory) -> statistics.SheetResult:
    return sheet(folder, common, tmp_path_factory.mktemp("sheet") / "sheet.png")


def test_a_sheet_shows_charts_of_the_label(drawn, markets, common: str) -> None:
    result = drawn
    assert result.label == common
    assert 0 < len(result.examples) <= min(EXAMPLES, PER_MARKET * len(markets))
    assert png.read(Path(result.sheet)).pixels.ndim == 3
    by_symbol = {market.symbol: market for market in markets}
    for title in result.examples:
        symbol, interval, time = title.split(" ", 2)
        assert interval == "15m"
        market = by_symbol[symbol]
        closes = [str(at).replace("T", " ")[:16] for at in market.close_ms.astype("datetime64[ms]")]
        end = closes.index(time)
        label = rules.label(market.windows(np.array([end])))[0]
        assert label.setup == common


def test_no_market_gives_more_than_its_share(drawn, markets) -> None:
    symbols = [title.split()[0] for title in drawn.examples]
    assert set(symbols) == {market.symbol for market in markets}
    assert max(symbols.count(symbol) for symbol in symbols) <= PER_MARKET


def test_one_seed_draws_one_sheet_and_another_another(
    folder: Path, common: str, tmp_path: Path
) -> None:
    first = sheet(folder, common, tmp_path / "a.png", seed=1, limit=1)
    again = sheet(folder, common, tmp_path / "b.png", seed=1, limit=1)
    other = sheet(folder, common, tmp_path / "c.png", seed=2, limit=1)
    assert first.examples == again.examples != other.examples
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_a_phase_or_a_setup_with_its_direction_names_a_label_too(
    folder: Path, markets, tmp_path: Path
) -> None:
    phases = np.concatenate([labels_of(m).phase for m in markets])
    phase = PHASES[int(np.bincount(phases).argmax())]
    assert sheet(folder, f"phase:{phase}", tmp_path / "phase.png", limit=1).examples
    reading = np.concatenate([labels_of(m).reading for m in markets])
    name = READINGS[int(np.bincount(reading).argmax())].name
    assert sheet(folder, name, tmp_path / "reading.png", limit=1).examples


def test_an_unknown_label_is_refused_with_those_that_are_known(
    folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="'moon' is not known") as refused:
        sheet(folder, "moon", tmp_path / "sheet.png")
    assert "phase:markup" in refused.value.hint
    assert not (tmp_path / "sheet.png").exists()


def test_a_sheet_is_a_png(folder: Path, common: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"sheet\.jpg"):
        sheet(folder, common, tmp_path / "sheet.jpg")


def test_a_label_that_no_chart_shows_is_said_with_a_cure(tmp_path: Path) -> None:
    """A market of two windows shows one setup; every other one is missing."""
    market = simulate("AAAUSDT", Interval.M15, WINDOW + 1, seed=1, end_ms=END_MS)
    write(tmp_path / "klines", market)
    seen = {READINGS[code].setup.value for code in labels_of(market).reading}
    absent = next(r.setup.value for r in READINGS if r.setup.value not in seen)
    with pytest.raises(InputError, match=f"No chart of '{absent}'") as refused:
        sheet(tmp_path / "klines", absent, tmp_path / "sheet.png")
    assert "--seed" in refused.value.hint


def test_candles_coarser_than_a_chart_are_passed_over(tmp_path: Path, common: str) -> None:
    hourly = simulate("AAAUSDT", Interval.H1, 200, seed=1, end_ms=END_MS // 3_600_000 * 3_600_000)
    write(tmp_path / "klines", hourly)
    with pytest.raises(InputError, match="No chart of"):
        sheet(tmp_path / "klines", common, tmp_path / "sheet.png")
