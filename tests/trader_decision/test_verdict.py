import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.feedback.examples import AS_OF, H_MS, M15, flat, prediction, walk
from vision_ai import records, storage
from vision_ai import trader_decision as trader
from vision_ai.config import Config, DecisionConfig, DecisionRule, Paths, load
from vision_ai.domain import Direction, Interval, Klines, Phase, Setup, parse_time
from vision_ai.errors import ConfigError, ExchangeUnavailableError, InputError, SymbolError
from vision_ai.trader_decision import WEIGHTS, CvReading

NONE = CvReading(None, "not asked")
KEYS = {
    "final_score",
    "score_breakdown",
    "decision",
    "grade",
    "confidence",
    "decision_reasons",
}
NOW = AS_OF + H_MS

given_features = st.fixed_dictionaries({name: st.floats(0, 1) for name in WEIGHTS})


def context(value: float = 0.5, **changes: Any) -> dict[str, Any]:
    return {"symbol": "BTCUSDT"} | dict.fromkeys(WEIGHTS, value) | changes


def decide(ctx: Any, cv: CvReading = NONE, **options: Any) -> dict[str, Any]:
    return trader.simulate_trader_decision_advanced(ctx, cv=cv, now_ms=NOW, **options)


def said(setup: Setup, confidence: float, **changes: Any) -> CvReading:
    return CvReading(prediction(setup=setup, confidence=confidence, **changes))


@settings(max_examples=50)
@given(given_features)
def test_contributions_sum_to_the_score(values: dict[str, float]) -> None:
    for cv in (NONE, said(Setup.BREAKOUT, 0.9), said(Setup.TRAP, 0.9)):
        found = decide({"symbol": "BTCUSDT"} | values, cv)
        assert round(sum(found["score_breakdown"].values()), 6) == found["final_score"]
        assert 0 <= found["confidence"] <= 1


@given(given_features)
def test_the_same_dict_comes_back_with_six_keys_added(values: dict[str, float]) -> None:
    ctx = {"symbol": "BTCUSDT", "note": ["mine"]} | values
    before = copy.deepcopy(ctx)
    found = decide(ctx)
    assert found is ctx
    assert {name: ctx[name] for name in before} == before
    assert set(ctx) - set(before) == KEYS


@given(given_features)
def test_deciding_twice_changes_nothing(values: dict[str, float]) -> None:
    first = copy.deepcopy(decide({"symbol": "BTCUSDT"} | values))
    assert decide(copy.deepcopy(first)) == first


@pytest.mark.parametrize(
    ("score", "decision", "grade"),
    [
        (0.70, "join", "strong"),
        (0.6999, "consider", "good"),
        (0.45, "consider", "neutral-watch"),
        (0.4499, "avoid", "weak"),
        (0.0, "avoid", "very_poor"),
        (1.0, "join", "excellent"),
    ],
)
def test_thresholds_hold_to_the_digit(score: float, decision: str, grade: str) -> None:
    found = decide(context(score, psych_score=1 - score))
    assert found["final_score"] == pytest.approx(score, abs=1e-4)
    assert (found["decision"], found["grade"]) == (decision, grade)


@pytest.mark.parametrize(
    ("setup", "confidence", "delta", "reason"),
    [
        (Setup.BREAKOUT, 0.81, 0.1, "CV Model: breakout with high confidence"),
        (Setup.BREAKOUT, 0.8, 0.0, None),
        (Setup.TRAP, 0.71, -0.1, "CV Model: possible trap"),
        (Setup.TRAP, 0.7, 0.0, None),
        (Setup.BREAKOUT_CONTINUATION, 0.99, 0.0, None),
        (Setup.FAKEOUT, 0.99, 0.0, None),
    ],
)
@pytest.mark.parametrize("direction", [Direction.LONG, Direction.SHORT])
def test_the_two_rules_of_the_model(setup, confidence, delta, reason, direction) -> None:
    without = decide(context())
    found = decide(context(), said(setup, confidence, direction=direction))
    assert found["final_score"] - without["final_score"] == pytest.approx(delta)
    named = [text for text in found["decision_reasons"] if text.startswith("CV Model")]
    assert named == [reason] if reason else "meets no rule" in named[0]


def test_further_rules_come_from_the_settings() -> None:
    config = DecisionConfig(
        rules=(
            DecisionRule(phase=Phase.MARKUP, min_confidence=0.5, delta=0.05, reason="In markup"),
            DecisionRule(
                setup=Setup.PULLBACK,
                direction=Direction.SHORT,
                min_confidence=0.5,
                delta=-0.2,
                reason="Not here",
            ),
        )
    )
    found = decide(context(), said(Setup.BREAKOUT, 0.9), config=config)
    assert found["score_breakdown"]["cv_breakout"] == 0.1
    assert found["score_breakdown"]["cv_rule_1"] == 0.05
    assert found["decision_reasons"][-2:] == [
        "CV Model: breakout with high confidence",
        "In markup",
    ]


def test_rules_are_read_from_toml_and_unknown_keys_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "vision_ai.toml"
    rule = '[[decision.rules]]\nsetup = "pullback"\nmin_confidence = 0.6\ndelta = 0.05\n'
    path.write_text(rule + 'reason = "A pullback"\n')
    assert load(path, {}).decision.rules[0].setup is Setup.PULLBACK
    path.write_text(rule + 'reason = "A pullback"\nmin_confidense = 1\n')
    with pytest.raises(ConfigError, match="Did you mean min_confidence"):
        load(path, {})
    path.write_text(rule + 'reason = "A pullback"\nphase = "moon"\n')
    with pytest.raises(ConfigError, match="phase"):
        load(path, {})
    assert Config().decision.rules == ()


@pytest.mark.parametrize(
    ("ctx", "text"),
    [
        (None, "must be a dict"),
        ([], "must be a dict"),
        ({}, "needs a symbol"),
        ({"symbol": None}, "needs a symbol"),
        ({"symbol": 7}, "needs a symbol"),
        ({"symbol": "../../x"}, "not valid"),
        ({"symbol": "BTC USDT"}, "not valid"),
        ({"symbol": "A" * 300}, "not valid"),
        (context(trend_strength=float("nan")), "trend_strength must be a number"),
        (context(trend_strength=float("inf")), "trend_strength must be a number"),
        (context(trend_strength="0.5"), "trend_strength must be a number"),
        (context(trend_strength=True), "trend_strength must be a number"),
        (context(trend_strength=[0.5]), "trend_strength must be a number"),
        (context(trend_strength=10**5000), "huge integer"),
        (context(psych_score=-0.01), "from 0 to 1"),
        (context(market_phase_modifier=-1.01), "from -1 to 1"),
        (context(klines=[1]), "klines must map"),
        (context(klines={"15m": [1]}), "must be Klines"),
        (context(klines={"7m": None}), "must be Klines"),
        (context(klines={"1h": flat(3, 0)}), "expected BTCUSDT 1h"),
        (context(klines={"15m": flat(3, 0, symbol="ETHUSDT")}), "are of ETHUSDT"),
    ],
)
def test_a_hostile_context_is_refused_in_one_sentence_and_left_alone(ctx, text: str) -> None:
    before = copy.copy(ctx)
    with pytest.raises(InputError, match=text):
        decide(ctx)
    assert repr(ctx)[:200] == repr(before)[:200] if "huge" not in text else not KEYS & set(ctx)


def test_numpy_numbers_and_lower_case_symbols_are_welcome() -> None:
    found = decide(context(np.float32(0.5), symbol="btcusdt", psych_score=np.float64(0.5)))
    assert found["final_score"] == 0.5
    assert found["symbol"] == "btcusdt"


def test_a_negative_phase_modifier_of_an_old_caller_is_accepted() -> None:
    found = decide(context(market_phase_modifier=-0.2))
    assert found["score_breakdown"]["market_phase_modifier"] == -0.02


def test_what_is_neither_given_nor_computed_counts_nothing_and_says_why() -> None:
    found = decide({"symbol": "BTCUSDT", "trend_strength": 1.0})
    assert found["final_score"] == 0.25
    reason = next(text for text in found["decision_reasons"] if text.startswith("Counted as 0"))
    assert "psych_score" in reason
    assert "no 15m candles were given" in reason


def quarters(count: int = 300, seed: int = 3) -> Klines:
    return walk(count, NOW - count * M15, seed)


def test_features_are_computed_from_candles_and_those_given_stand() -> None:
    klines = {"15m": quarters()}
    found = decide({"symbol": "BTCUSDT", "klines": klines, "trend_strength": 1.0})
    assert found["score_breakdown"]["trend_strength"] == 0.25
    assert any(text.startswith("Computed from candles") for text in found["decision_reasons"])
    assert not any(text.startswith("Counted as 0") for text in found["decision_reasons"])


def test_candles_come_from_the_loader_where_none_are_given() -> None:
    asked: list[tuple[str, Interval]] = []

    def loader(symbol: str, interval: Interval) -> Klines:
        asked.append((symbol, interval))
        return quarters().resample(interval)

    loaded = decide({"symbol": "btcusdt"}, loader=loader)
    assert asked == [("BTCUSDT", Interval.M15), ("BTCUSDT", Interval.H1)]
    own = decide({"symbol": "btcusdt", "klines": {Interval.M15: quarters()}})
    assert loaded["score_breakdown"] == own["score_breakdown"]


def test_a_loader_that_fails_is_a_reason() -> None:
    def loader(symbol: str, interval: Interval) -> Klines:
        raise ExchangeUnavailableError("Bybit does not answer.")

    found = decide({"symbol": "BTCUSDT"}, loader=loader)
    assert any("Bybit does not answer" in text for text in found["decision_reasons"])
    assert found["decision"] == "avoid"


@pytest.mark.parametrize(
    ("klines", "text"),
    [
        (walk(50, NOW - 50 * M15, 1), "has 50 closed candles"),
        (walk(300, NOW - 900 * M15, 1), "too old"),
        (Klines.empty("BTCUSDT", Interval.M15), "too old"),
        (walk(96, NOW - 96 * M15, 1), "48 hours without a gap"),
    ],
)
def test_candles_that_do_not_do_are_a_reason(klines: Klines, text: str) -> None:
    found = decide({"symbol": "BTCUSDT", "klines": {"15m": klines}})
    assert any(text in reason for reason in found["decision_reasons"])


def test_the_way_of_the_trend_is_said_and_turns_with_the_chart() -> None:
    klines = walk(300, NOW - 300 * M15, 5)
    bars = klines.bars.copy()
    bars[:, [0, 1, 2, 3]] = 10_000 / klines.bars[:, [0, 2, 1, 3]]
    mirrored = Klines(klines.symbol, klines.interval, klines.open_ms, bars)
    said = [
        next(
            reason
            for reason in decide({"symbol": "BTCUSDT", "klines": {"15m": part}})["decision_reasons"]
            if reason.startswith("The trend points")
        )
        for part in (klines, mirrored)
    ]
    assert sorted(said) == [
        "The trend points down: joining means short",
        "The trend points up: joining means long",
    ]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), extra=st.integers(1, 50))
def test_later_candles_change_no_decision(seed: int, extra: int) -> None:
    future = walk(300 + extra, NOW - 300 * M15, seed)
    past = future[:300]
    first, second = (
        decide({"symbol": "BTCUSDT", "klines": {"15m": part, "1h": part.resample(Interval.H1)}})
        for part in (past, future)
    )
    first.pop("klines")
    second.pop("klines")
    assert first == second


def stored(root: Path, **changes: Any) -> records.Prediction:
    call = prediction(**{"setup": Setup.BREAKOUT, "confidence": 0.9} | changes)
    path = Paths(root).prediction(call.symbol, parse_time(call.as_of))
    storage.write_document(path, call)
    return call


def loaded(root: Path, now: int = NOW) -> CvReading:
    return trader.find_cv_prediction("BTCUSDT", root=root, now_ms=now)


def test_the_newest_prediction_up_to_now_is_found(tmp_path: Path) -> None:
    for hours in (-2, -1, 0, 5):
        stored(tmp_path, as_of_ms=AS_OF + hours * H_MS)
    stored(tmp_path, symbol="BTCUSDTX", as_of_ms=AS_OF)
    call = trader.load_cv_prediction("btcusdt", root=tmp_path, now_ms=NOW)
    assert call is not None
    assert (call.symbol, parse_time(call.as_of)) == ("BTCUSDT", AS_OF)


def damage(root: Path) -> None:
    stored(root, as_of_ms=AS_OF - H_MS)  # an older one does not stand in
    stored(root)
    path = Paths(root).prediction("BTCUSDT", AS_OF)
    path.write_bytes(path.read_bytes()[:100])


def change_schema(root: Path) -> None:
    stored(root)
    path = Paths(root).prediction("BTCUSDT", AS_OF)
    path.write_text(path.read_text().replace('"schema_version": 1', '"schema_version": 2'))


def misplace(root: Path) -> None:
    stored(root, symbol="ETHUSDT")
    Paths(root).prediction("ETHUSDT", AS_OF).rename(Paths(root).prediction("BTCUSDT", AS_OF))


@pytest.mark.parametrize(
    ("prepare", "text"),
    [
        (lambda _: None, "there is no prediction"),
        (lambda root: stored(root, as_of_ms=AS_OF - 2 * H_MS), "is stale"),
        (lambda root: stored(root, as_of_ms=AS_OF + 5 * H_MS), "there is no prediction"),
        (lambda root: stored(root, abstained=True), "abstained"),
        (damage, "damaged"),
        (change_schema, "damaged"),
        (misplace, "damaged"),
    ],
)
def test_a_prediction_that_cannot_be_used_changes_nothing_and_says_why(
    tmp_path: Path, prepare, text: str
) -> None:
    prepare(tmp_path)
    assert trader.load_cv_prediction("BTCUSDT", root=tmp_path, now_ms=NOW) is None
    found = trader.simulate_trader_decision_advanced(context(), root=tmp_path, now_ms=NOW)
    assert found["final_score"] == decide(context())["final_score"]
    assert any(text in reason for reason in found["decision_reasons"])


def test_the_prediction_is_looked_up_under_the_data_root(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("VISION_AI_DATA", str(tmp_path))
    stored(tmp_path)
    found = trader.simulate_trader_decision_advanced(context(), now_ms=NOW)
    assert found["score_breakdown"]["cv_breakout"] == 0.1
    assert trader.simulate_trader_decision_advanced(context())["final_score"] == 0.5  # stale today


@pytest.mark.parametrize("symbol", ["../../x", "", "*", "BTC/USDT", "a" * 300])
def test_a_hostile_symbol_never_becomes_a_path(symbol: str) -> None:
    with pytest.raises(SymbolError):
        trader.load_cv_prediction(symbol)


def test_simulated_candles_are_named() -> None:
    found = decide(context(), said(Setup.BREAKOUT, 0.9, venue="simulated"))
    assert "simulated" in found["decision_reasons"][-1]
