"""The numbers of the decision: weights, thresholds, grades, and which rules apply."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.feedback.examples import prediction
from vision_ai.config import DecisionConfig, DecisionRule
from vision_ai.domain import Direction, Phase, Setup
from vision_ai.trader_decision import CV_RULES, GRADES, INVERTED, WEIGHTS, rules

scores = st.floats(-0.5, 1.5)


def test_weights_are_shares() -> None:
    assert sum(WEIGHTS.values()) == pytest.approx(1)
    assert set(WEIGHTS) >= INVERTED | rules.SIGNED


@given(scores, scores)
def test_a_higher_score_is_never_a_worse_decision_or_grade(one: float, other: float) -> None:
    low, high = sorted((one, other))
    order = ("avoid", "consider", "join")
    assert order.index(rules.decision(low)) <= order.index(rules.decision(high))
    names = ("very_poor", *(name for _, name in reversed(GRADES)))
    assert names.index(rules.grade(low)) <= names.index(rules.grade(high))


@given(scores)
def test_confidence_is_a_share(score: float) -> None:
    assert 0 <= rules.confidence(score) <= 1


@pytest.mark.parametrize(
    ("score", "expected"),
    [(1.1, 0.95), (0.8, 0.95), (0.7, 0.85), (0.6999, 0.5599), (0.45, 0.36), (0.44, 0.56),
     (0.0, 1.0), (-0.2, 1.0)],
)  # fmt: skip
def test_confidence_is_its_formula(score: float, expected: float) -> None:
    assert rules.confidence(score) == pytest.approx(expected, abs=1e-4)


def test_grades_fall_and_begin_where_decisions_do() -> None:
    lowest = [score for score, _ in GRADES]
    assert lowest == sorted(lowest, reverse=True)
    assert {rules.JOIN, rules.CONSIDER} <= set(lowest)


@pytest.mark.parametrize(("setup", "confidence", "names"), [
    (Setup.BREAKOUT, 0.8, []),
    (Setup.BREAKOUT, 0.8001, ["cv_breakout"]),
    (Setup.TRAP, 0.7, []),
    (Setup.TRAP, 0.7001, ["cv_trap"]),
    (Setup.BREAKOUT_CONTINUATION, 1.0, []),
    (Setup.FAKEOUT, 1.0, []),
])  # fmt: skip
def test_the_two_rules_of_the_user_are_exactly_theirs(setup, confidence, names) -> None:
    found = dict(rules.matching(prediction(setup=setup, confidence=confidence), DecisionConfig()))
    assert list(found) == names
    assert all(CV_RULES[name] is rule for name, rule in found.items())


def test_the_user_s_deltas_and_reasons_are_word_for_word() -> None:
    assert [(rule.delta, rule.reason) for rule in CV_RULES.values()] == [
        (0.1, "CV Model: breakout with high confidence"),
        (-0.1, "CV Model: possible trap"),
    ]


def configured(**conditions: object) -> DecisionConfig:
    rule = DecisionRule(min_confidence=0.5, delta=0.05, reason="mine", **conditions)
    return DecisionConfig(rules=(rule,))


@pytest.mark.parametrize(
    ("setup", "direction", "phase"),
    list(itertools.product((None, Setup.PULLBACK), (None, Direction.SHORT), (None, Phase.RANGE))),
)
def test_each_condition_that_is_given_must_hold(setup, direction, phase) -> None:
    config = configured(setup=setup, direction=direction, phase=phase)
    facts = [
        {"setup": Setup.PULLBACK, "direction": Direction.SHORT, "phase": Phase.RANGE},
        {"setup": Setup.RANGE, "direction": Direction.SHORT, "phase": Phase.RANGE},
        {"setup": Setup.PULLBACK, "direction": Direction.LONG, "phase": Phase.RANGE},
        {"setup": Setup.PULLBACK, "direction": Direction.SHORT, "phase": Phase.MARKUP},
    ]
    for fact in facts:
        wanted = {"setup": setup, "direction": direction, "phase": phase}
        holds = all(value is None or fact[name] is value for name, value in wanted.items())
        found = dict(rules.matching(prediction(confidence=0.6, **fact), config))
        assert ("cv_rule_1" in found) == holds


def test_rules_are_named_in_their_order_and_may_all_apply() -> None:
    every = tuple(DecisionRule(min_confidence=0.1 * n, delta=0.01, reason=str(n)) for n in range(3))
    found = rules.matching(prediction(confidence=0.9), DecisionConfig(rules=every))
    assert [name for name, _ in found] == ["cv_breakout", "cv_rule_1", "cv_rule_2", "cv_rule_3"]
