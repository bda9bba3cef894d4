"""The price-trend network as a baseline: what it may learn from, and where it is kept."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tests.charts.candles import windows
from tests.feedback.examples import walk
from vision_ai.domain import CLOSE, HORIZONS, PHASES, READINGS, Interval, Klines, iso
from vision_ai.errors import InputError
from vision_ai.measures.purge import Spans
from vision_ai.model.registry import TrainingCandles
from vision_ai.model.training.batches import Corpus
from vision_ai.model.training.price_trends import UNKNOWN, Budget
from vision_ai.pipeline import price_trends
from vision_ai.pipeline.price_trends import PriceTrendTraining

M15 = Interval.M15.ms
DAY_MS = 86_400_000
START = 20_000 * DAY_MS
COUNT = 50 * 96
SYMBOLS = ("AAAUSDT", "BBBUSDT", "CCCUSDT", "DDDUSDT")
UNTIL_MS = START + 30 * DAY_MS
USUAL = Budget()


@pytest.fixture(scope="module")
def tables() -> tuple[Klines, ...]:
    return tuple(
        walk(COUNT, START, seed=seed, symbol=symbol, interval=Interval.M15)
        for seed, symbol in enumerate(SYMBOLS)
    )


def training(
    tables: tuple[Klines, ...],
    symbols: list[str] | None = None,
    *,
    until_ms: int = UNTIL_MS,
    cache: Path | None = None,
    budget: Budget = USUAL,
) -> PriceTrendTraining:
    """Training as of a model that learned from some symbols until a time."""
    data = TrainingCandles(
        klines="", train_symbols=list(SYMBOLS) if symbols is None else symbols,
        held_out_symbols=[], train_until=iso(until_ms), held_out_from=iso(until_ms),
        train_windows=1, held_out_windows=1,
    )  # fmt: skip
    recipe = {"split": {"train_share": 0.8, "held_out_share": 0.25, "embargo_days": 1.0}}
    manifest = SimpleNamespace(data=data, recipe=recipe)
    return PriceTrendTraining(tables, manifest, cache, budget)  # type: ignore[arg-type]


# What it may learn from.


def test_windows_are_of_training_symbols_and_settled_in_training_time(tables) -> None:
    found = training(tables, ["AAAUSDT", "BBBUSDT", "CCCUSDT"]).windows()
    assert set(found.symbol.tolist()) <= {"AAAUSDT", "BBBUSDT", "CCCUSDT"}
    spans = Spans.at(found.symbol, found.interval, found.close_ms)
    assert (spans.known_ms <= UNTIL_MS).all()
    assert len(found) > 100


def test_an_earlier_end_of_training_leaves_fewer_windows(tables) -> None:
    whole, half = (training(tables, until_ms=START + days * DAY_MS).windows() for days in (30, 15))
    assert 0 < len(half) < len(whole)
    keys = set(zip(whole.symbol.tolist(), whole.last_ms.tolist(), strict=True))
    assert set(zip(half.symbol.tolist(), half.last_ms.tolist(), strict=True)) <= keys


def test_many_windows_are_thinned_out_at_random_in_their_order(tables, monkeypatch) -> None:
    whole = training(tables).windows()
    monkeypatch.setattr(price_trends, "POOL", 50)
    few = training(tables).windows()
    assert len(few) == 50
    assert np.array_equal(few.end, training(tables).windows().end)
    other = training(tables, budget=Budget(seed=1)).windows()
    assert not np.array_equal(few.end, other.end)
    keys = set(zip(whole.symbol.tolist(), whole.last_ms.tolist(), strict=True))
    assert set(zip(few.symbol.tolist(), few.last_ms.tolist(), strict=True)) <= keys
    assert (np.diff(few.table) >= 0).all()


@pytest.mark.parametrize("changes", [{"symbols": ["GONEUSDT"]}, {"until_ms": START + DAY_MS}])
def test_candles_of_another_training_are_refused_with_the_cure(tables, changes) -> None:
    with pytest.raises(InputError, match="no window that the model was trained on") as refused:
        training(tables, **changes).windows()
    assert "--learned-from" in refused.value.hint


# Answers that it learns.


def test_a_rise_is_told_by_the_closes_after_each_horizon(tables) -> None:
    table = tables[0]
    ends = np.array([200, 1000, COUNT - 10, COUNT - 1], np.int32)
    blank = np.zeros(4, np.int8)
    rose = price_trends._rises(Corpus((table,), np.zeros(4, np.int32), ends, blank, blank))
    for row, end in enumerate(ends.tolist()):
        for column, horizon in enumerate(HORIZONS):
            later = end + horizon.ms // M15
            if later < COUNT:
                expected = int(table.bars[later, CLOSE] > table.bars[end, CLOSE])
            else:
                expected = UNKNOWN
            assert rose[row, column] == expected
    assert (rose[3] == UNKNOWN).all()


def test_rises_of_several_tables_keep_the_order_of_the_windows(tables) -> None:
    blank = np.zeros(3, np.int8)
    table, end = np.array([0, 1, 0], np.int32), np.array([300, 400, 500], np.int32)
    mixed = price_trends._rises(Corpus(tables[:2], table, end, blank, blank))
    for row in range(3):
        alone = Corpus(
            (tables[table[row]],), np.zeros(1, np.int32), end[row : row + 1], blank[:1], blank[:1]
        )
        assert np.array_equal(mixed[row], price_trends._rises(alone)[0])


def test_windows_in_chunks_are_all_windows(tables, monkeypatch) -> None:
    few = training(tables).windows()
    few = few.take(np.arange(7))
    monkeypatch.setattr(price_trends, "_CHUNK", 3)
    parts = list(price_trends._chunks(few))
    assert [len(part) for part in parts] == [3, 3, 1]
    assert np.array_equal(np.concatenate(parts), few.bars(np.arange(7)))


# Where the nets are kept.


def test_the_name_of_a_net_follows_from_what_it_is_made_of(tables, tmp_path: Path) -> None:
    plain = training(tables, cache=tmp_path)
    name = plain.file("labels")
    assert name.parent == tmp_path
    assert name == training(tables, cache=tmp_path).file("labels")
    assert name == training(tables[::-1], cache=tmp_path).file("labels")  # whatever their order
    others = [
        plain.file("moves"),
        training(tables[:3], cache=tmp_path).file("labels"),
        training(tables, list(SYMBOLS[:2]), cache=tmp_path).file("labels"),
        training(tables, until_ms=UNTIL_MS - DAY_MS, cache=tmp_path).file("labels"),
        training(tables, cache=tmp_path, budget=Budget(steps=1)).file("labels"),
    ]
    assert len({name, *others}) == 1 + len(others)


def test_without_a_folder_nets_are_not_kept(tables) -> None:
    assert training(tables).file("labels") is None


# Both nets, small.

TINY = Budget(channels=1, batch=4, steps=2)


@pytest.fixture(scope="module")
def kept(tables, tmp_path_factory) -> PriceTrendTraining:
    pytest.importorskip("torch", reason="needs the train extra")
    cut = tuple(table[: 20 * 96] for table in tables)
    cache = tmp_path_factory.mktemp("nets")
    return training(cut, until_ms=START + 16 * DAY_MS, cache=cache, budget=TINY)


@pytest.mark.train
@pytest.mark.slow
def test_nets_answer_every_chart_and_are_read_back(kept: PriceTrendTraining) -> None:
    charts = windows(6, seed=3)
    first = price_trends.trends(kept, charts)
    assert first.guess.reading.shape == first.guess.phase.shape == (6,)
    assert first.up.shape == (6, len(HORIZONS))
    assert ((first.up > 0) & (first.up < 1)).all()
    assert (first.guess.reading < len(READINGS)).all()
    assert (first.guess.phase < len(PHASES)).all()
    assert first.budget["charts_seen"] == TINY.batch * TINY.steps
    assert first.budget["parameters"] > 0
    written = {path: path.read_bytes() for path in kept.cache.iterdir()}
    assert len(written) == 2
    elsewhere = replace(kept, tables=kept.tables, manifest=kept.manifest)
    again = price_trends.trends(elsewhere, charts)
    assert np.allclose(again.up, first.up)
    assert np.array_equal(again.guess.reading, first.guess.reading)
    assert {path: path.read_bytes() for path in kept.cache.iterdir()} == written


@pytest.mark.train
@pytest.mark.slow
def test_a_damaged_net_is_trained_anew(kept: PriceTrendTraining) -> None:
    charts = windows(2, seed=3)
    first = price_trends.trends(kept, charts)
    kept.file("moves").write_bytes(b"damaged")
    again = price_trends.trends(kept, charts)
    assert np.allclose(again.up, first.up, atol=1e-5)
    assert kept.file("moves").stat().st_size > 100
