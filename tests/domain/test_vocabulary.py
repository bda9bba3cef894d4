"""What charts are called, and which texts are none of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vision_ai import domain
from vision_ai.domain import Direction, Horizon, Interval, Phase, Reading, Setup
from vision_ai.errors import IntervalError, SymbolError


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


def test_every_mirror_is_its_own_inverse_and_known() -> None:
    for reading in domain.READINGS:
        assert reading.mirror in domain.READINGS
        assert reading.mirror.mirror == reading
    assert all(phase.mirror.mirror is phase for phase in Phase)
    assert len(domain.READINGS) == 18


def test_a_failed_break_up_mirrors_to_a_failed_break_down() -> None:
    short = Reading(domain.Setup.FAKEOUT, domain.Direction.SHORT)
    assert short.mirror == Reading(domain.Setup.FAKEOUT, domain.Direction.LONG)


@pytest.mark.parametrize("interval", list(Interval))
def test_the_length_of_an_interval_is_what_its_name_says(interval: Interval) -> None:
    minutes = int(interval.value[:-1]) * {"m": 1, "h": 60}[interval.value[-1]]
    assert interval.ms == minutes * 60_000
    assert interval.bybit == str(minutes)


@pytest.mark.parametrize("horizon", list(Horizon))
@pytest.mark.parametrize("interval", list(Interval))
def test_a_horizon_is_a_whole_number_of_candles(horizon: Horizon, interval: Interval) -> None:
    assert horizon.ms == int(horizon.value[:-1]) * 3_600_000
    assert horizon.bars(interval) * interval.ms == horizon.ms


def test_the_sign_of_a_direction_turns_with_its_mirror() -> None:
    assert [direction.sign for direction in Direction] == [1, -1, 0]
    assert all(direction.mirror.sign == -direction.sign for direction in Direction)


def test_codes_number_the_readings_in_a_fixed_order() -> None:
    # arrays and files hold these codes: an inserted or moved reading would rename old labels
    assert [reading.name for reading in domain.READINGS] == [
        "breakout:long", "breakout:short", "breakout-continuation:long",
        "breakout-continuation:short", "pullback:long", "pullback:short", "support-retest:long",
        "resistance-rejection:short", "fakeout:long", "fakeout:short", "trap:long", "trap:short",
        "exhaustion:long", "exhaustion:short", "reversal:long", "reversal:short",
        "range:neutral", "none:neutral",
    ]  # fmt: skip
    assert [phase.value for phase in domain.PHASES] == [
        "markup", "markdown", "accumulation", "distribution", "range"
    ]  # fmt: skip


def test_no_reading_argues_both_ways_where_its_setup_cannot() -> None:
    for setup in (Setup.RANGE, Setup.NONE):
        readings = [reading for reading in domain.READINGS if reading.setup is setup]
        assert readings == [Reading(setup, Direction.NEUTRAL)]


@given(st.text(max_size=40))
def test_a_symbol_is_one_exactly_where_parsing_leaves_it_as_it_is(text: str) -> None:
    try:
        unchanged = domain.parse_symbol(text) == text
    except SymbolError:
        unchanged = False
    assert domain.is_symbol(text) is unchanged


@pytest.mark.parametrize("text", ["15m", " 15M ", "1h", "1H"])
def test_a_charted_interval_is_read_in_any_case(text: str) -> None:
    assert domain.parse_interval(text).value == text.strip().lower()
