import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.model import making
from vision_ai.domain import HIGH, LOW, READINGS, WINDOW
from vision_ai.labels import rules
from vision_ai.model.training import batches
from vision_ai.model.training.batches import Batches, LabelCache
from vision_ai.model.training.sampler import PrioritizedSampler


def source(seed=0, size=6, shown=1.0):
    corpus = making.corpus()
    practice = PrioritizedSampler(corpus.reading, size=size, seed=seed, balance=0.5)
    return Batches(corpus, making.ARTIST, practice, shown=shown)


def same(left, right):
    names = ("pictures", "reading", "phase", "ohlcv", "facts", "segments", "swings", "noise")
    arrays = all(np.array_equal(getattr(left, n), getattr(right, n)) for n in names)
    return arrays and left.captions == right.captions


def test_a_batch_depends_on_seed_and_step_alone():
    one, other = source(), source()
    other.at(0)
    assert same(one.at(5), other.at(5))
    assert not same(one.at(5), one.at(6))
    assert not same(one.at(5), source(seed=1).at(5))


def test_a_batch_holds_every_column():
    batch = source().at(3)
    assert len(batch) == len(batch.captions) == 6
    assert batch.pictures.shape == (6, 192, WINDOW, 3)
    assert batch.ohlcv.shape == (6, WINDOW, 5)
    assert batch.facts.shape == (6, 1)
    assert len(batch.segments) == len(batch.swings) == 6
    assert len(batch.noise) == 1


def test_charts_that_are_told_come_first_and_are_not_drawn():
    whole = source()
    part = source(shown=1 / 3)
    one, all_shown = part.at(2), whole.at(2)
    assert (one.given, all_shown.given) == (4, 0)
    assert len(one) == 6
    assert np.array_equal(one.pictures, all_shown.pictures[4:])
    assert len(one.captions) == 2
    assert np.array_equal(one.ohlcv, all_shown.ohlcv)
    assert len(one.noise) == 1


def test_noise_is_the_pixels_of_a_chart_elsewhere():
    picture = source().at(3).pictures[:1]
    for seed in range(6):
        noise = batches.scramble(picture, np.random.default_rng(seed))
        assert not np.array_equal(noise, picture)
        assert np.array_equal(np.sort(noise, axis=None), np.sort(picture, axis=None))


def test_mirrored_windows_carry_mirrored_labels():
    table = making.klines()
    bars = table.windows(table.window_ends()[::40])
    upright, turned = rules.label(bars), rules.label(batches.mirror(bars))
    for one, other in zip(upright, turned, strict=True):
        assert other.reading == one.reading.mirror
        assert other.phase == one.phase.mirror


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000))
def test_mirroring_twice_changes_nothing(seed):
    table = making.klines(seed=seed, n=100)
    bars = table.windows(table.window_ends()[-1:])
    again = batches.mirror(batches.mirror(bars))
    assert np.allclose(again, bars, rtol=1e-12)
    assert (batches.mirror(bars)[..., HIGH] >= batches.mirror(bars)[..., LOW]).all()


@settings(max_examples=25, deadline=None)
@given(st.floats(1e-6, 1e6))
def test_digits_do_not_depend_on_the_unit_of_price(factor):
    table = making.klines()
    bars = table.windows(table.window_ends()[-2:])
    scaled = bars.copy()
    scaled[..., :4] *= factor
    assert np.allclose(batches.scale_ohlcv(scaled), batches.scale_ohlcv(bars), atol=1e-5)


def test_digits_span_the_window():
    table = making.klines()
    digits = batches.scale_ohlcv(table.windows(table.window_ends()[::50]))
    assert digits.dtype == np.float32
    assert np.allclose(digits[..., LOW].min(axis=1), 0)
    assert np.allclose(digits[..., HIGH].max(axis=1), 1)
    assert np.allclose(digits[..., 4].max(axis=1), 1)


def test_a_corpus_gathers_windows_in_the_order_asked():
    corpus = making.corpus()
    rows = np.array([5, 0, 5, 2])
    bars = corpus.bars(rows)
    table = corpus.tables[0]
    assert np.array_equal(bars, table.windows(corpus.end[rows].astype(np.int64)))
    assert np.array_equal(bars[0], bars[2])


def test_times_of_a_corpus_are_those_of_its_candles():
    corpus = making.corpus().take(np.array([3, 1]))
    table = corpus.tables[0]
    assert np.array_equal(corpus.last_ms, table.open_ms[corpus.end])
    assert np.array_equal(corpus.close_ms, table.close_ms[corpus.end])
    assert np.array_equal(corpus.first_ms, table.open_ms[corpus.end - WINDOW + 1])
    assert set(corpus.symbol) == {"AAAUSDT"}


def test_shares_of_readings_and_of_phases_sum_to_one():
    shares = batches.class_shares(making.corpus())
    phases = sum(share for name, share in shares.items() if name.startswith("phase:"))
    assert np.isclose(phases, 1)
    assert np.isclose(sum(shares.values()), 2)


class Counted:
    """A rule book that counts how often it is asked."""

    def __init__(self):
        self.asked = 0

    def __call__(self, bars):
        self.asked += 1
        return making.rules(bars)


def test_labels_are_made_once_and_kept(tmp_path):
    book, corpus = Counted(), making.corpus()
    first = LabelCache(tmp_path, book, "1").label(corpus)
    again = LabelCache(tmp_path, book, "1").label(corpus)
    assert book.asked == 1
    assert np.array_equal(first.reading, corpus.reading)
    assert np.array_equal(first.reading, again.reading)
    assert np.array_equal(first.phase, again.phase)


@pytest.mark.parametrize("what", ["rules", "candles", "windows"])
def test_other_rules_candles_or_windows_have_other_labels(tmp_path, what):
    book = Counted()
    LabelCache(tmp_path, book, "1").label(making.corpus())
    version = "2" if what == "rules" else "1"
    corpus = making.corpus(seed=9) if what == "candles" else making.corpus()
    corpus = corpus.take(np.arange(5)) if what == "windows" else corpus
    LabelCache(tmp_path, book, version).label(corpus)
    assert book.asked == 2


@pytest.mark.parametrize("damage", ["truncate", "empty", "nonsense", "deflate", "method", "codes"])
def test_damaged_labels_are_made_again(tmp_path, damage):
    book, corpus = Counted(), making.corpus()
    cache = LabelCache(tmp_path, book, "1")
    cache.label(corpus)
    (path,) = tmp_path.iterdir()
    if damage == "codes":
        bad = np.full(len(corpus), 99, np.int8)
        np.savez(path, reading=bad, phase=bad)
    else:
        payload = path.read_bytes()
        part = {"truncate": payload[: len(payload) // 2], "empty": b"", "nonsense": b"x" * 99}
        part["deflate"] = payload[:61] + b"\xff" * 20 + payload[81:]
        part["method"] = payload.replace(b"\x08\x00", b"\x63\x00")
        path.write_bytes(part[damage])
    assert np.array_equal(cache.label(corpus).reading, corpus.reading)
    assert book.asked == 2


def test_scaled_ohlcv_equals_a_loop():
    table = making.klines()
    bars = table.windows(table.window_ends()[::90])
    found = batches.scale_ohlcv(bars)
    for chart, candles in enumerate(bars):
        low, high = np.log(candles[:, LOW].min()), np.log(candles[:, HIGH].max())
        for bar, candle in enumerate(candles):
            prices = (np.log(candle[:4]) - low) / (high - low)
            expected = [*prices, candle[4] / candles[:, 4].max()]
            assert np.allclose(found[chart, bar], expected, atol=1e-5)


def test_a_flat_market_without_volume_is_scaled_without_a_division_by_zero():
    bars = np.full((1, WINDOW, 5), 7.0)
    bars[..., 4] = 0
    assert (batches.scale_ohlcv(bars) == 0).all()


def test_class_shares_equal_counts():
    corpus = making.corpus()
    shares = batches.class_shares(corpus)
    for code, reading in enumerate(READINGS):
        assert shares[reading.name] == (corpus.reading == code).mean()
    assert sum(batches.class_shares(corpus.take(np.zeros(0, np.int64))).values()) == 0


def test_half_of_a_batch_is_mirrored_with_its_labels():
    drawn = source(size=400).at(1)
    upright = making.corpus().reading[drawn.rows]
    turned = drawn.reading != upright  # the one-line rule book: a mirrored rise is a fall
    assert 0.4 < turned.mean() < 0.6
