"""The record inside a chart's PNG: what fits it, and what is refused."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from vision_ai.charts.meta import ChartMeta, Panel
from vision_ai.domain import END_MS, Interval

PANEL = {"left": 14.0, "top": 58.0, "right": 900.0, "bottom": 500.0, "low": 99.0, "high": 101.0}
STEP = Interval.M15.ms


def content(**changes: object) -> dict[str, object]:
    """The JSON of a chart of 96 candles, with some keys changed."""
    first = 1_750_000_500_000
    return {
        "symbol": "BTCUSDT",
        "interval": "15m",
        "first_open_ms": first,
        "last_open_ms": first + 95 * STEP,
        "x_left": -1.0,
        "x_right": 96.5,
        "price": PANEL,
        "volume": {**PANEL, "top": 510.0, "bottom": 600.0, "low": 0.0},
        "style": "dark",
        "klines": "0" * 64,
        **changes,
    }


def parse(**changes: object) -> ChartMeta:
    return ChartMeta.model_validate_json(json.dumps(content(**changes)))


def test_a_record_survives_json_and_fills_in_what_older_charts_leave_out() -> None:
    meta = parse()
    assert ChartMeta.model_validate_json(meta.model_dump_json()) == meta
    assert (meta.v, meta.candles, meta.scale) == (1, 96, "linear")


@given(st.integers(1, 10_000), st.sampled_from(list(Interval)))
def test_the_times_must_span_the_candles_exactly(count: int, interval: Interval) -> None:
    span = (count - 1) * interval.ms
    times = {"first_open_ms": 0, "last_open_ms": span, "x_right": count + 0.5}
    meta = parse(candles=count, interval=interval.value, **times)
    assert meta.last_open_ms - meta.first_open_ms == span
    for wrong in (span + 1, span + interval.ms):
        with pytest.raises(ValidationError, match="do not fit their number"):
            parse(candles=count, interval=interval.value, **{**times, "last_open_ms": wrong})


@pytest.mark.parametrize(("left", "right", "inside"), [
    (-0.5, 95.5, True), (-0.49, 95.5, False), (-0.5, 95.49, False), (-3.0, 120.0, True),
])  # fmt: skip
def test_every_candle_lies_between_the_panels_edges(
    left: float, right: float, inside: bool
) -> None:
    if inside:
        assert parse(x_left=left, x_right=right).x_left == left
    else:
        with pytest.raises(ValidationError, match="outside the panels"):
            parse(x_left=left, x_right=right)


@pytest.mark.parametrize("pair", [("left", "right"), ("top", "bottom"), ("low", "high")])
@pytest.mark.parametrize("distance", [0.0, -1.0])
def test_a_panel_without_extent_is_refused(pair: tuple[str, str], distance: float) -> None:
    begin, end = pair
    with pytest.raises(ValidationError, match="extent"):
        Panel(**{**PANEL, end: PANEL[begin] + distance})


@pytest.mark.parametrize("key", ["left", "top", "right", "bottom", "low", "high"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_edges_and_values_are_finite(key: str, value: float) -> None:
    with pytest.raises(ValidationError):
        Panel(**{**PANEL, key: value})


@pytest.mark.parametrize("changes", [
    {"v": 2}, {"scale": "log"}, {"style": "blue"}, {"klines": "0" * 63}, {"klines": "A" * 64},
    {"candles": 0}, {"candles": 10_001}, {"first_open_ms": -1}, {"last_open_ms": END_MS},
    {"symbol": "../x"}, {"note": "more"}, {"x_left": None},
])  # fmt: skip
def test_a_value_outside_its_range_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        parse(**changes)
