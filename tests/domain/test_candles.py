import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vision_ai import domain
from vision_ai.domain import CLOSE, HIGH, LOW, OPEN, VOLUME, Interval, Klines, Phase, Reading
from vision_ai.errors import IntervalError, KlinesError, SymbolError


def walk(n: int, *, seed: int = 0, interval: Interval = Interval.M15, start: int = 0) -> Klines:
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.004, n)))
    open_ = np.r_[100.0, close[:-1]]
    high = np.maximum(open_, close) * (1 + rng.uniform(0, 0.002, n))
    low = np.minimum(open_, close) * (1 - rng.uniform(0, 0.002, n))
    bars = np.column_stack([open_, high, low, close, rng.uniform(1, 10, n)])
    return Klines("BTCUSDT", interval, start + np.arange(n) * interval.ms, bars)


@pytest.mark.parametrize(
    "text",
    ["../../x", "BTC USDT", "", "A", "X" * 300, "BTC/USDT", "BTC\nUSDT", "ＢＴＣ", "btc-usdt"],
)
def test_hostile_symbols_are_refused_with_a_short_sentence(text: str) -> None:
    with pytest.raises(SymbolError) as caught:
        domain.parse_symbol(text)
    assert len(str(caught.value)) < 200


@given(st.text())
def test_a_parsed_symbol_is_safe_in_a_path(text: str) -> None:
    try:
        symbol = domain.parse_symbol(text)
    except SymbolError:
        return
    assert symbol.isalnum()
    assert symbol.isascii()
    assert 2 <= len(symbol) <= 30


@pytest.mark.parametrize("text", ["5m", "1m", "4h", "", "15", "1d", "../15m"])
def test_intervals_without_charts_are_refused(text: str) -> None:
    with pytest.raises(IntervalError, match="expected one of 15m, 1h"):
        domain.parse_interval(text)


@given(st.integers(min_value=0, max_value=4_102_444_800).map(lambda s: s * 1000))
def test_iso_time_is_parsed_back(ms: int) -> None:
    assert domain.parse_time(domain.iso(ms)) == ms


@pytest.mark.parametrize(
    "text", ["0001-01-01T00:00+14:00", "1969-12-31", "2200-01-01", "9999-12-31T23:59-14:00"]
)
def test_times_that_no_candle_can_have_are_refused(text: str) -> None:
    with pytest.raises(KlinesError, match="out of range"):
        domain.parse_time(text)


def test_every_mirror_is_its_own_inverse_and_known() -> None:
    for reading in domain.READINGS:
        assert reading.mirror in domain.READINGS
        assert reading.mirror.mirror == reading
    assert all(phase.mirror.mirror is phase for phase in Phase)
    assert len(domain.READINGS) == 18


def test_a_failed_break_up_mirrors_to_a_failed_break_down() -> None:
    short = Reading(domain.Setup.FAKEOUT, domain.Direction.SHORT)
    assert short.mirror == Reading(domain.Setup.FAKEOUT, domain.Direction.LONG)


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
