"""The context dict: what is taken as given, what is computed, and what is refused."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.feedback.examples import AS_OF, H_MS, M15, walk
from vision_ai.domain import Interval, Klines
from vision_ai.errors import ExchangeUnavailableError, InputError, KlinesError, SymbolError
from vision_ai.trader_decision import WEIGHTS, context, features
from vision_ai.trader_decision.context import CandleSource
from vision_ai.trader_decision.rules import SIGNED

QUARTERS = walk(400, AS_OF - 400 * M15, 1)
HOURS = walk(100, AS_OF // H_MS * H_MS - 100 * H_MS, 2, interval=Interval.H1)


def read(ctx: Any, loader: context.Loader | None = None, now_ms: int = AS_OF) -> context.Context:
    return context.read(ctx, loader, now_ms, 2.0)


@given(st.dictionaries(st.sampled_from(sorted(WEIGHTS)), st.floats(0, 1)))
def test_given_features_are_taken_as_they_are(given_values: dict[str, float]) -> None:
    ctx = {"symbol": "btcusdt"} | given_values
    found = read(dict(ctx))
    assert found.symbol == "BTCUSDT"
    assert found.values == given_values
    lacking = [name for name in WEIGHTS if name not in given_values]
    if lacking:
        assert found.reasons == [
            f"Counted as 0: {', '.join(lacking)}, because no 15m candles were given."
        ]
    else:
        assert found.reasons == []


def test_the_dict_is_not_changed() -> None:
    ctx = {"symbol": "BTCUSDT", "klines": {"15m": QUARTERS}}
    before = dict(ctx)
    read(ctx)
    assert ctx == before


@pytest.mark.parametrize("name", sorted(WEIGHTS))
@pytest.mark.parametrize("value", [-0.01, -1.0, 1.01, True, "0.5", [0.5], float("nan"), 10**400])
def test_a_feature_that_is_no_share_is_refused(name: str, value: object) -> None:
    if name in SIGNED and value in (-0.01, -1.0) and not isinstance(value, bool):
        assert read({"symbol": "BTCUSDT", name: value}).values[name] == value
        return
    with pytest.raises(InputError, match=name) as caught:
        read({"symbol": "BTCUSDT", name: value})
    assert "to 1, was" in caught.value.message
    assert caught.value.hint == "Leave it out to have it computed from candles."
    assert len(caught.value.message) < 120


def test_none_is_as_good_as_absent() -> None:
    found = read({"symbol": "BTCUSDT", "trend_strength": None, "klines": {"15m": QUARTERS}})
    assert found.values == read({"symbol": "BTCUSDT", "klines": {"15m": QUARTERS}}).values


@pytest.mark.parametrize(
    ("ctx", "message"),
    [
        (["BTCUSDT"], "must be a dict, was list"),
        ({}, "needs a symbol: expected text, was None"),
        ({"symbol": 5}, "needs a symbol: expected text, was 5"),
        ({"symbol": "BTCUSDT", "klines": [QUARTERS]}, "must map 15m and 1h to candles, was list"),
        ({"symbol": "BTCUSDT", "klines": {"5m": QUARTERS}}, "15m"),
        ({"symbol": "BTCUSDT", "klines": {"15m": QUARTERS.bars}}, "was ndarray"),
        ({"symbol": "ETHUSDT", "klines": {"15m": QUARTERS}}, "are of BTCUSDT 15m: expected ETH"),
        ({"symbol": "BTCUSDT", "klines": {"1h": QUARTERS}}, "expected BTCUSDT 1h"),
    ],
)
def test_what_cannot_be_used_is_refused_in_a_sentence(ctx: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(ctx)


def test_a_symbol_is_checked_before_anything_is_asked() -> None:
    def loader(symbol: str, interval: Interval) -> Klines:
        raise AssertionError(symbol)

    with pytest.raises(SymbolError):
        read({"symbol": "../../etc"}, loader)


def test_features_are_those_of_the_last_closed_chart() -> None:
    found = read({"symbol": "BTCUSDT", "klines": {"15m": QUARTERS, "1h": HOURS}})
    window = QUARTERS.bars[-96:]
    hourly = HOURS.bars[-features.TREND :]
    assert found.values == features.compute(window, hourly)
    assert any(reason.startswith("Computed from candles until") for reason in found.reasons)


def test_the_hours_are_made_of_quarters_where_there_are_none() -> None:
    found = read({"symbol": "BTCUSDT", "klines": {"15m": QUARTERS}})
    made = QUARTERS.resample(Interval.H1).bars[-features.TREND :]
    assert found.values == features.compute(QUARTERS.bars[-96:], made)


def test_too_few_hours_leave_that_feature_out_and_say_so() -> None:
    short = QUARTERS[-100:]
    found = read({"symbol": "BTCUSDT", "klines": {"15m": short}})
    assert "htf_supportive_score" not in found.values
    assert len(found.values) == len(WEIGHTS) - 1
    assert any("48 hours without a gap are needed" in reason for reason in found.reasons)


def test_a_given_higher_timeframe_score_needs_no_hours() -> None:
    ctx = {"symbol": "BTCUSDT", "htf_supportive_score": 0.25, "klines": {"15m": QUARTERS[-100:]}}
    found = read(ctx)
    assert found.values["htf_supportive_score"] == 0.25
    assert not any("hours without a gap" in reason for reason in found.reasons)


def test_the_loader_is_asked_only_for_what_is_lacking() -> None:
    asked: list[tuple[str, Interval]] = []

    def loader(symbol: str, interval: Interval) -> Klines:
        asked.append((symbol, interval))
        return {Interval.M15: QUARTERS, Interval.H1: HOURS}[interval]

    read({"symbol": "BTCUSDT"} | dict.fromkeys(WEIGHTS, 0.5), loader)
    assert asked == []
    read({"symbol": "BTCUSDT", "klines": {"15m": QUARTERS}}, loader)
    assert asked == [("BTCUSDT", Interval.H1)]
    read({"symbol": "BTCUSDT"}, loader)
    assert asked[1:] == [("BTCUSDT", Interval.M15), ("BTCUSDT", Interval.H1)]


@pytest.mark.parametrize(
    "error", [ExchangeUnavailableError("it is down."), KlinesError("none were stored.")]
)
def test_a_loader_that_fails_is_a_reason_and_no_error(error: Exception) -> None:
    def loader(symbol: str, interval: Interval) -> Klines:
        raise error

    found = read({"symbol": "BTCUSDT", "trend_strength": 0.5}, loader)
    assert found.values == {"trend_strength": 0.5}
    assert found.reasons[0].endswith(f"because {error}")


def test_a_bug_in_a_loader_is_not_swallowed() -> None:
    def loader(symbol: str, interval: Interval) -> Klines:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        read({"symbol": "BTCUSDT"}, loader)


@pytest.mark.parametrize(("age_h", "is_used"), [(2.0, True), (2.1, False)])
def test_old_candles_describe_another_market(age_h: float, is_used: bool) -> None:
    source = CandleSource({Interval.M15: QUARTERS}, None, AS_OF + round(age_h * H_MS), 2.0)
    if is_used:
        assert len(source.closed("BTCUSDT", Interval.M15)) == len(QUARTERS)
    else:
        with pytest.raises(KlinesError, match="too old to judge by"):
            source.closed("BTCUSDT", Interval.M15)


def test_candles_that_are_not_closed_are_not_looked_at() -> None:
    now_ms = AS_OF - 10 * M15 + M15 // 2
    source = CandleSource({Interval.M15: QUARTERS}, None, now_ms, 2.0)
    assert len(source.closed("BTCUSDT", Interval.M15)) == len(QUARTERS) - 10
    assert read({"symbol": "BTCUSDT", "klines": {"15m": QUARTERS}}, now_ms=now_ms).values == (
        read({"symbol": "BTCUSDT", "klines": {"15m": QUARTERS[:-10]}}, now_ms=now_ms).values
    )


def test_a_gap_in_the_chart_is_a_reason() -> None:
    kept = np.delete(np.arange(len(QUARTERS)), len(QUARTERS) - 20)
    holed = Klines("BTCUSDT", Interval.M15, QUARTERS.open_ms[kept], QUARTERS.bars[kept])
    found = read({"symbol": "BTCUSDT", "klines": {"15m": holed}})
    assert found.values == {}
    assert found.reasons[0].startswith("Counted as 0: ")


@pytest.mark.parametrize(("sign", "side"), [(1, "up: joining means long"), (-1, "down")])
def test_the_side_of_the_trend_is_named(sign: int, side: str) -> None:
    closes = np.exp(sign * 0.002 * np.arange(400))
    bars = np.column_stack([closes, closes * 1.001, closes * 0.999, closes, np.ones(400)])
    rising = Klines("BTCUSDT", Interval.M15, QUARTERS.open_ms, bars)
    found = read({"symbol": "BTCUSDT", "klines": {"15m": rising}})
    assert f"The trend points {side}" in found.reasons[0]
