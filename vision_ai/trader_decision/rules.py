"""The numbers of the decision: weights, thresholds, grades, and the two rules of the model.

The weights, thresholds, grades and the sign of each feature are those of the decision engine that
this one replaces, so that its callers get the scores they are used to.
"""

from collections.abc import Iterator

from vision_ai.config import DecisionConfig, DecisionRule
from vision_ai.domain import Setup
from vision_ai.records import ExternalPrediction, Prediction

WEIGHTS: dict[str, float] = {
    "trend_strength": 0.25,
    "pullback_quality": 0.20,
    "support_reaction": 0.15,
    "liquidity_pattern_score": 0.10,
    "psych_score": 0.10,
    "htf_supportive_score": 0.10,
    "market_phase_modifier": 0.10,
}
"""Share of each feature in the score; they sum to 1."""

INVERTED = frozenset({"psych_score"})
"""Features that argue against joining: 1 minus the value counts."""

SIGNED = frozenset({"market_phase_modifier"})
"""Features that a caller may give in [-1, 1]; all others lie in [0, 1]."""

JOIN, CONSIDER = 0.70, 0.45
"""Scores from which on to join, or to consider; anything below is to be avoided."""

GRADES: tuple[tuple[float, str], ...] = (
    (0.80, "excellent"),
    (0.70, "strong"),
    (0.60, "good"),
    (0.45, "neutral-watch"),
    (0.30, "weak"),
)
"""Lowest score of each grade; anything below is `very_poor`."""

CV_RULES: dict[str, DecisionRule] = {
    "cv_breakout": DecisionRule(
        setup=Setup.BREAKOUT,
        min_confidence=0.8,
        delta=0.1,
        reason="CV Model: breakout with high confidence",
    ),
    "cv_trap": DecisionRule(
        setup=Setup.TRAP,
        min_confidence=0.7,
        delta=-0.1,
        reason="CV Model: possible trap",
    ),
}
"""The two rules that always hold, by their name in the score breakdown."""


def decision(score: float) -> str:
    """What to do at a score.

    >>> decision(0.70), decision(0.45), decision(0.44)
    ('join', 'consider', 'avoid')
    """
    if score >= JOIN:
        return "join"
    return "consider" if score >= CONSIDER else "avoid"


def grade(score: float) -> str:
    """The grade of a score.

    >>> grade(0.65), grade(-0.1)
    ('good', 'very_poor')
    """
    return next((name for lowest, name in GRADES if score >= lowest), "very_poor")


def confidence(score: float) -> float:
    """How sure the decision at a score is, 0 to 1.

    >>> confidence(0.7), confidence(0.5), confidence(0.2)
    (0.85, 0.4, 0.8)
    """
    if score >= JOIN:
        sure = min(0.95, score + 0.15)
    elif score >= CONSIDER:
        sure = score * 0.8
    else:
        sure = min(1.0, max(0.1, 1 - score))
    return round(sure, 4)


def matching(
    prediction: Prediction | ExternalPrediction, config: DecisionConfig
) -> Iterator[tuple[str, DecisionRule]]:
    """The rules that a prediction meets, by name: the two fixed ones, then the configured."""
    named = {f"cv_rule_{n}": rule for n, rule in enumerate(config.rules, start=1)}
    for name, rule in (CV_RULES | named).items():
        if _meets(prediction, rule):
            yield name, rule


def _meets(prediction: Prediction | ExternalPrediction, rule: DecisionRule) -> bool:
    return (
        rule.setup in (None, prediction.setup)
        and rule.direction in (None, prediction.direction)
        and rule.phase in (None, prediction.phase)
        and prediction.confidence > rule.min_confidence
    )
