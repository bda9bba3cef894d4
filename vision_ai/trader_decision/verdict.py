"""From a context to a decision, every contribution and every reason named."""

from pathlib import Path
from typing import Any

from vision_ai.config import DecisionConfig
from vision_ai.trader_decision import context, rules
from vision_ai.trader_decision.context import Context, Loader
from vision_ai.trader_decision.prediction import CvReading, find_cv_prediction, wall_ms
from vision_ai.trader_decision.rules import INVERTED, WEIGHTS

_DIGITS = 6
"""Digits of a contribution: rounded so that they sum to the score as printed."""

_STRONG_CONTRIBUTION = 0.08
"""Contributions above this are named in the reasons."""


def simulate_trader_decision_advanced(
    ctx: dict[str, Any],
    *,
    cv: CvReading | None = None,
    root: Path | None = None,
    config: DecisionConfig | None = None,
    loader: Loader | None = None,
    now_ms: int | None = None,
) -> dict[str, Any]:
    """Score a trade and say whether to join, to consider or to avoid it.

    Args:
        ctx: `symbol`, any of the features of `WEIGHTS`, and optionally
            `klines: {"15m": Klines, "1h": Klines}` to compute those that are absent or None.
        cv: the model's reading; looked up in `root` where left out.
        root: data root; `VISION_AI_DATA` or `data` where left out.
        config: staleness and further rules.
        loader: fetches candles that are not given.
        now_ms: the clock, UTC milliseconds; nothing later is looked at.

    Returns:
        The same dict, with `final_score`, `score_breakdown` (contributions that sum to it),
        `decision`, `grade`, `confidence` and `decision_reasons` set and nothing else changed.

    Raises:
        InputError: the context cannot be used; it is left as it was.
    """
    config = config or DecisionConfig()
    now = wall_ms() if now_ms is None else now_ms
    known = context.read(ctx, loader, now, config.stale_after_h)
    if cv is None:
        cv = find_cv_prediction(known.symbol, root=root, config=config, now_ms=now)
    breakdown = {name: _contribution(name, known.values.get(name)) for name in WEIGHTS}
    cv_reasons = _apply_rules(cv, config, breakdown)
    score = round(sum(breakdown.values()), _DIGITS)
    ctx["final_score"] = score
    ctx["score_breakdown"] = breakdown
    ctx["decision"] = rules.decision(score)
    ctx["grade"] = rules.grade(score)
    ctx["confidence"] = rules.confidence(score)
    ctx["decision_reasons"] = [*_reasons(score, breakdown, known), *cv_reasons]
    return ctx


def _contribution(name: str, value: float | None) -> float:
    """Weight times value; a feature that is not known adds nothing."""
    if value is None:
        return 0.0
    return round(WEIGHTS[name] * (1 - value if name in INVERTED else value), _DIGITS)


def _apply_rules(cv: CvReading, config: DecisionConfig, breakdown: dict[str, float]) -> list[str]:
    """Add the rules that the prediction meets; tell what it changed, or why it changed nothing."""
    prediction = cv.prediction
    if prediction is None:
        return [f"CV Model: not counted, {cv.reason or 'no prediction was given'}"]
    reasons: list[str] = []
    for name, rule in rules.matching(prediction, config):
        breakdown[name] = round(rule.delta, _DIGITS)
        reasons.append(rule.reason)
    if not reasons:
        shown = " ".join(filter(None, (prediction.setup, prediction.direction)))
        reasons.append(f"CV Model: {shown} at {prediction.confidence:.2f} meets no rule")
    if prediction.venue == "simulated":
        reasons.append("CV Model: the prediction was made of simulated candles")
    return reasons


def _reasons(score: float, breakdown: dict[str, float], known: Context) -> list[str]:
    decision = rules.decision(score)
    reasons = [
        f"Score {score:.2f}: {decision} (join from {rules.JOIN}, consider from {rules.CONSIDER})"
    ]
    strongest = sorted(WEIGHTS, key=lambda name: (-breakdown[name], name))[:3]
    reasons += [
        f"Strong {name.replace('_', ' ')}: {breakdown[name]:+.2f}"
        for name in strongest
        if breakdown[name] > _STRONG_CONTRIBUTION
    ]
    if known.values.get("psych_score", 0.0) > 0.5:
        reasons.append("Pressure against the trend is high")
    if known.values.get("htf_supportive_score", 1.0) < 0.3:
        reasons.append("The higher timeframe does not support it")
    return reasons + known.reasons
