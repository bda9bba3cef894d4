"""Candles: what is refused, and laws against pandas and plain loops."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vision_ai.domain import CLOSE, HIGH, LOW, OPEN, VOLUME, Interval, Klines
from vision_ai.errors import IntervalError, KlinesError


def walk(n: int, *, seed: int = 0, interval: Interval = Interval.M15, start: int = 0) -> Klines:
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.004, n)))
    open_ = np.r_[100.0, close[:-1]]
    high = np.maximum(open_, close) * (1 + rng.uniform(0, 0.002, n))
    low = np.minimum(open_, close) * (1 - rng.uniform(0, 0.002, n))
    bars = np.column_stack([open_, high, low, close, rng.uniform(1, 10, n)])
    return Klines("BTCUSDT", interval, start + np.arange(n) * interval.ms, bars)


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        (CLOSE, float("nan"), "not a finite number"),
        (OPEN, float("inf"), "not a finite number"),
        (LOW, 0.0, "zero or below"),
        (LOW, -1.0, "zero or below"),
        (VOLUME, -1.0, "negative volume"),
        (HIGH, 1e-3, "outside its high and low"),
    ],
)
def test_impossible_candles_are_named(column: int, value: float, words: str) -> None:
    good = walk(10)
    bars = good.bars.copy()
    bars[4, column] = value
    with pytest.raises(KlinesError, match=words):
        Klines("BTCUSDT", Interval.M15, good.open_ms, bars)


@pytest.mark.parametrize(
    ("times", "words"),
    [
        ([0, 900_000, 900_000], "increasing"),
        ([900_000, 0, 1_800_000], "increasing"),
        ([0, 1, 2], "multiple"),
        ([-900_000, 0, 900_000], "a time from 1970"),
        ([0, 900_000, 10**17], "to 2200"),
    ],
)
def test_times_off_the_grid_or_out_of_order_are_named(times: list[int], words: str) -> None:
    with pytest.raises(KlinesError, match=words):
        Klines("BTCUSDT", Interval.M15, np.array(times), walk(3).bars)


def test_klines_cannot_be_written_to() -> None:
    with pytest.raises(ValueError, match="read-only"):
        walk(3).bars[0, 0] = 1


def test_the_digest_names_content_and_nothing_else() -> None:
    a, b = walk(50), walk(50)
    assert a.digest == b.digest
    assert a.digest != walk(50, seed=1).digest
    assert a[:49].digest != a.digest


def test_until_keeps_closed_candles_only() -> None:
    klines = walk(10)
    assert len(klines.until(3 * 900_000)) == 3
    assert len(klines.until(3 * 900_000 - 1)) == 2
    assert len(klines.until(-1)) == 0


def test_a_gap_in_the_window_is_named() -> None:
    klines = walk(200)
    holed = Klines(
        "BTCUSDT", Interval.M15, np.delete(klines.open_ms, 150), np.delete(klines.bars, 150, axis=0)
    )
    assert holed.gaps() == [(150 * 900_000, 151 * 900_000)]
    with pytest.raises(KlinesError, match="without a gap"):
        holed.last_window(10**13)
    assert 150 not in holed.window_ends()
    assert len(holed.last_window(150 * 900_000)) == 96


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda b: b * [0, 0, 0, 0, 1] + [7, 7, 7, 7, 0], "all have the price 7"),
        (lambda b: b * [1, 1, 1, 1, 0], "zero volume"),
    ],
)
def test_a_market_that_stood_still_is_named(change: object, words: str) -> None:
    klines = walk(96)
    still = Klines("BTCUSDT", Interval.M15, klines.open_ms, change(klines.bars))  # type: ignore[operator]
    with pytest.raises(KlinesError, match=words):
        still.last_window(10**13)


def test_too_few_candles_are_counted() -> None:
    with pytest.raises(KlinesError, match="has 95 closed candles"):
        walk(95).last_window(10**13)


@pytest.mark.parametrize("scale", [1e-8, 1e8])
def test_tiny_and_huge_prices_are_candles_too(scale: float) -> None:
    klines = walk(96)
    scaled = Klines(
        "PEPEUSDT", Interval.M15, klines.open_ms, klines.bars * [scale, scale, scale, scale, 1]
    )
    assert len(scaled.last_window(10**13)) == 96


@given(
    drop=st.sets(st.integers(0, 59), max_size=10),
    target=st.sampled_from([Interval.M15, Interval.H1]),
)
def test_resampling_equals_a_loop_over_whole_buckets(drop: set[int], target: Interval) -> None:
    klines = walk(60, interval=Interval.M5)
    keep = [row for row in range(60) if row not in drop]
    holed = Klines("BTCUSDT", Interval.M5, klines.open_ms[keep], klines.bars[keep])
    parts = target.ms // Interval.M5.ms
    expected = []
    for bucket in range(60 // parts):
        rows = range(bucket * parts, (bucket + 1) * parts)
        if all(row in keep for row in rows):
            part = klines.bars[rows.start : rows.stop]
            expected.append(
                [part[0, 0], part[:, 1].max(), part[:, 2].min(), part[-1, 3], part[:, 4].sum()]
            )
    resampled = holed.resample(target)
    assert np.allclose(resampled.bars, np.reshape(expected, (-1, 5)))


def test_resampling_nothing_gives_nothing() -> None:
    assert len(Klines.empty("BTCUSDT", Interval.M5).resample(Interval.H1)) == 0


def test_coarse_candles_cannot_become_finer() -> None:
    with pytest.raises(IntervalError, match="cannot be resampled"):
        walk(4, interval=Interval.H1).resample(Interval.M15)


@st.composite
def holed_walks(draw: st.DrawFn, interval: Interval = Interval.M5) -> Klines:
    """A random walk of up to 80 candles without some of them."""
    whole = walk(80, seed=draw(st.integers(0, 99)), interval=interval)
    rows = sorted(set(range(80)) - draw(st.sets(st.integers(0, 79), max_size=80)))
    return Klines(whole.symbol, interval, whole.open_ms[rows], whole.bars[rows])


@settings(max_examples=25, deadline=None)
@given(holed_walks(), st.sampled_from([Interval.M15, Interval.H1]))
def test_resampling_agrees_with_pandas_where_a_candle_is_whole(
    klines: Klines, target: Interval
) -> None:
    frame = pd.DataFrame(klines.bars, columns=["o", "h", "l", "c", "v"])
    frame.index = pd.to_datetime(klines.open_ms, unit="ms", utc=True)
    groups = frame.resample(pd.Timedelta(milliseconds=target.ms))
    oracle = groups.agg({"o": "first", "h": "max", "l": "min", "c": "last", "v": "sum"})
    oracle = oracle[groups["c"].count() == target.ms // klines.interval.ms]
    resampled = klines.resample(target)
    stamps = pd.to_datetime(resampled.open_ms, unit="ms", utc=True)
    assert list(stamps) == list(oracle.index)
    assert np.allclose(resampled.bars, oracle.to_numpy().reshape(-1, 5))


@given(holed_walks(), st.integers(1, 12))
def test_windows_end_where_so_many_candles_follow_each_other(klines: Klines, size: int) -> None:
    times = klines.open_ms.tolist()
    step = klines.interval.ms
    brute = [
        row
        for row in range(size - 1, len(times))
        if times[row - size + 1 : row + 1] == [times[row] - step * k for k in range(size)][::-1]
    ]
    assert klines.window_ends(size).tolist() == brute
    windows = klines.windows(brute, size)
    assert windows.shape == (len(brute), size, 5)
    for window, row in zip(windows, brute, strict=True):
        assert np.array_equal(window, klines.bars[row - size + 1 : row + 1])


@given(holed_walks())
def test_gaps_and_candles_together_fill_the_time(klines: Klines) -> None:
    missing = {ms for first, after in klines.gaps() for ms in range(first, after, 300_000)}
    present = set(klines.open_ms.tolist())
    assert missing.isdisjoint(present)
    if present:
        assert missing | present == set(range(min(present), max(present) + 1, 300_000))


@given(holed_walks(), st.integers(-1, 81 * 300_000))
def test_until_is_a_filter_of_closed_candles(klines: Klines, as_of_ms: int) -> None:
    closed = [ms for ms in klines.open_ms.tolist() if ms + klines.interval.ms <= as_of_ms]
    assert klines.until(as_of_ms).open_ms.tolist() == closed


@given(holed_walks(), st.lists(st.integers(0, 80), max_size=4))
def test_parts_joined_are_the_whole(klines: Klines, cuts: list[int]) -> None:
    edges = [0, *sorted(min(cut, len(klines)) for cut in cuts), len(klines)]
    parts = [klines[a:b] for a, b in itertools.pairwise(edges)]
    assert Klines.concatenate(parts).digest == klines.digest


def test_parts_that_overlap_or_go_back_are_refused() -> None:
    klines = walk(10)
    for parts in ([klines[:6], klines[5:]], [klines[5:], klines[:5]]):
        with pytest.raises(KlinesError, match="does not follow"):
            Klines.concatenate(parts)


@given(holed_walks(), st.sampled_from([Interval.M15, Interval.H1]))
def test_resampling_twice_is_resampling_once(klines: Klines, target: Interval) -> None:
    once = klines.resample(target)
    assert once.resample(target) is once
    if target is Interval.H1:
        twice = klines.resample(Interval.M15).resample(target)
        assert np.array_equal(twice.open_ms, once.open_ms)
        assert np.array_equal(twice.bars[:, :4], once.bars[:, :4])


def test_arrays_are_copied_into_the_types_that_are_promised() -> None:
    bars = np.array([[1, 2, 1, 2, 5]], np.float32)
    klines = Klines("BTCUSDT", Interval.M15, np.array([900_000], np.int32), bars)
    assert (klines.open_ms.dtype, klines.bars.dtype) == (np.int64, np.float64)
    assert klines.close_ms.tolist() == [1_800_000]


@pytest.mark.parametrize("shape", [(2, 5), (3, 4), (3, 6), (15,)])
def test_bars_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(KlinesError, match="expected bars of shape"):
        Klines("BTCUSDT", Interval.M15, np.arange(3) * 900_000, np.ones(shape))


@pytest.mark.parametrize(("price", "words"), [(1e31, "above 1e"), (1e-31, "below 1e-30")])
def test_prices_beyond_any_market_are_refused(price: float, words: str) -> None:
    bars = np.full((1, 5), price)
    with pytest.raises(KlinesError, match=words):
        Klines("BTCUSDT", Interval.M15, np.array([0]), bars)


def test_the_first_bad_candle_is_named_with_its_time_and_a_cure() -> None:
    good = walk(10)
    bars = good.bars.copy()
    bars[[7, 3], VOLUME] = -1
    with pytest.raises(KlinesError, match="1970-01-01T00:45:00Z has a negative volume") as caught:
        Klines("BTCUSDT", Interval.M15, good.open_ms, bars)
    assert caught.value.hint


def test_the_last_window_is_the_newest_that_is_closed() -> None:
    klines = walk(120)
    as_of_ms = 110 * 900_000 + 5
    window = klines.last_window(as_of_ms)
    assert window.digest == klines[14:110].digest
    assert klines.last_window(as_of_ms, 10).digest == klines[100:110].digest
