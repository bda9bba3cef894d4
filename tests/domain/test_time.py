"""Times: UTC milliseconds and ISO text, there and back."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vision_ai import domain
from vision_ai.domain import END_MS
from vision_ai.errors import KlinesError


@given(st.integers(min_value=0, max_value=4_102_444_800).map(lambda s: s * 1000))
def test_iso_time_is_parsed_back(ms: int) -> None:
    assert domain.parse_time(domain.iso(ms)) == ms


@pytest.mark.parametrize(
    "text", ["0001-01-01T00:00+14:00", "1969-12-31", "2200-01-01", "9999-12-31T23:59-14:00"]
)
def test_times_that_no_candle_can_have_are_refused(text: str) -> None:
    with pytest.raises(KlinesError, match="out of range"):
        domain.parse_time(text)


@given(st.integers(0, END_MS - 1))
def test_a_file_name_carries_the_minute_in_utc(ms: int) -> None:
    when = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(milliseconds=ms)
    assert domain.stamp(ms) == f"{when:%Y%m%d_%H%M}"


@given(st.integers(0, END_MS - 60_000), st.integers(-14 * 60, 14 * 60))
def test_a_zone_moves_the_clock_and_not_the_instant(ms: int, offset_min: int) -> None:
    zone = dt.timezone(dt.timedelta(minutes=offset_min))
    text = dt.datetime.fromtimestamp(ms // 1000, zone).isoformat()
    assert domain.parse_time(text) == ms // 1000 * 1000


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("1970-01-01", 0),
        (" 2025-06-15T15:15:00Z ", 1_750_000_500_000),
        ("2025-06-15 15:15", 1_750_000_500_000),
        ("2025-06-15T17:15:00+02:00", 1_750_000_500_000),
        ("2025-06-15T15:15:00.250", 1_750_000_500_250),
    ],
)
def test_a_time_without_a_zone_is_utc(text: str, ms: int) -> None:
    assert domain.parse_time(text) == ms


@pytest.mark.parametrize("text", ["", "noon", "15.06.2025", "2025-13-01", "1750000500", "x" * 500])
def test_what_is_no_time_is_refused_in_a_short_sentence(text: str) -> None:
    with pytest.raises(KlinesError, match="expected ISO 8601") as caught:
        domain.parse_time(text)
    assert len(str(caught.value)) < 200
    assert caught.value.hint == "Write it like 2025-06-15T12:00:00Z."
