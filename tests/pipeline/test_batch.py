"""Windows of several symbols, read at once and told apart again."""

import numpy as np
import pytest

from tests import standin
from tests.market.replays import with_gap
from vision_ai.config import Config, Paths
from vision_ai.domain import CHART_INTERVALS, Interval, Klines, iso
from vision_ai.errors import KlinesError
from vision_ai.labels import rules
from vision_ai.market.simulate import simulate
from vision_ai.pipeline import batch
from vision_ai.pipeline.reader import Reader

NOW = 1_750_032_000_000  # on the hour
DAYS_5M = 6 * 288


def market(symbol: str, seed: int = 1, end_ms: int = NOW) -> Klines:
    return simulate(symbol, Interval.M5, DAYS_5M, seed=seed, end_ms=end_ms)


@pytest.fixture(scope="module")
def reader(tmp_path_factory) -> Reader:
    paths = Paths(tmp_path_factory.mktemp("batch"))
    standin.install(paths, [simulate("OLDUSDT", "15m", 900, seed=9, end_ms=NOW - 90 * 86_400_000)])
    return Reader.open(Config(), paths)


def test_the_newest_chart_of_each_interval_ends_at_or_before_now() -> None:
    windows = batch.windows_of(market("AAAUSDT"), NOW, CHART_INTERVALS)
    assert [w.interval for w in windows] == list(CHART_INTERVALS)
    assert all(len(w) == 96 and w.close_ms[-1] == NOW for w in windows)


def test_later_candles_change_no_window() -> None:
    later = market("AAAUSDT", end_ms=NOW + 86_400_000)
    cut = later.until(NOW)
    for one, other in zip(
        batch.windows_of(later, NOW, CHART_INTERVALS),
        batch.windows_of(cut, NOW, CHART_INTERVALS),
        strict=True,
    ):
        assert one.digest == other.digest


@pytest.mark.parametrize(("late", "is_read"), [(0, True), (2, True), (3, False)])
def test_a_market_is_halted_after_two_candles_without_news(late: int, is_read: bool) -> None:
    klines = market("AAAUSDT", end_ms=NOW - late * Interval.M15.ms)
    if is_read:
        assert batch.windows_of(klines, NOW, [Interval.M15])
    else:
        with pytest.raises(KlinesError, match="expected one close to"):
            batch.windows_of(klines, NOW, [Interval.M15])


def test_a_gap_in_the_chart_is_named() -> None:
    klines = market("AAAUSDT")
    with pytest.raises(KlinesError, match="lacks candles from"):
        batch.windows_of(with_gap(klines, DAYS_5M - 60, DAYS_5M - 50), NOW, [Interval.M15])


def windows(*symbols: str) -> batch.Windows:
    return {
        symbol: batch.windows_of(market(symbol, seed), NOW, CHART_INTERVALS)
        for seed, symbol in enumerate(symbols)
    }


def test_symbols_read_together_say_what_each_says_alone(reader: Reader) -> None:
    together = list(batch.read_symbols(reader, windows("AAAUSDT", "BBBUSDT", "CCCUSDT")))
    assert [answer.symbol for answer in together] == ["AAAUSDT", "BBBUSDT", "CCCUSDT"]
    for seed, answer in enumerate(together):
        own = {answer.symbol: batch.windows_of(market(answer.symbol, seed), NOW, CHART_INTERVALS)}
        (alone,) = batch.read_symbols(reader, own)
        assert (alone.answers.code == answer.answers.code).all()
        assert np.allclose(alone.answers.confidence, answer.answers.confidence, atol=1e-5)


def test_nothing_to_read_gives_nothing(reader: Reader) -> None:
    assert list(batch.read_symbols(reader, {})) == []


def test_a_symbol_with_one_interval_is_read_with_that_one(reader: Reader) -> None:
    one = {"AAAUSDT": batch.windows_of(market("AAAUSDT"), NOW, [Interval.H1])}
    (answer,) = batch.read_symbols(reader, one)
    assert [chart.interval for chart in answer.charts] == [Interval.H1]


def test_a_record_says_what_made_it_and_lists_so_many_neighbors(reader: Reader) -> None:
    (answer,) = batch.read_symbols(reader, windows("AAAUSDT"), {"AAAUSDT": ["a.png", "b.png"]})
    made_by = batch.provenance(reader, "simulated-1", NOW + 5000)
    record = answer.prediction(reader, made_by, neighbor_count=3)
    assert record.venue == "simulated-1"
    assert record.created_at == iso(NOW + 5000)
    assert record.as_of == iso(NOW)
    assert record.model_version == reader.model.version
    assert record.index_version == reader.index.version
    assert record.rules_version == rules.RULES_VERSION
    assert [reading.chart for reading in record.intervals.values()] == ["a.png", "b.png"]
    assert all(len(reading.neighbors) <= 3 for reading in record.intervals.values())
    for window, reading in zip(
        windows("AAAUSDT")["AAAUSDT"], record.intervals.values(), strict=True
    ):
        assert reading.klines_hash == window.digest


def test_without_pictures_none_are_named(reader: Reader) -> None:
    (answer,) = batch.read_symbols(reader, windows("AAAUSDT"))
    assert [chart.path for chart in answer.charts] == [None, None]


def test_no_chart_counts_whose_outcome_was_not_known_yet(reader: Reader) -> None:
    (answer,) = batch.read_symbols(reader, windows("AAAUSDT"))
    rows = answer.answers.evidence.rows
    known = rows[rows >= 0]
    assert len(known)
    assert (reader.index.rows.outcomes.complete_ms[known] <= NOW).all()
