"""The line that a decision leaves."""

import pytest
from pydantic import ValidationError

from tests.feedback.examples import AS_OF
from vision_ai.domain import iso
from vision_ai.records import Decision
from vision_ai.trader_decision import WEIGHTS, CvReading, simulate_trader_decision_advanced


def decided(**extra: object) -> dict[str, object]:
    values = dict.fromkeys(WEIGHTS, 0.5)
    reading = CvReading(None, "not asked")
    return simulate_trader_decision_advanced({"symbol": "BTCUSDT", **values, **extra}, cv=reading)


def test_the_line_holds_what_the_dict_holds_and_no_more() -> None:
    ctx = decided(note="mine")
    line = Decision.of(ctx, AS_OF)
    assert line.decided_at == iso(AS_OF)
    kept = ("symbol", "decision", "final_score", "grade", "confidence", "score_breakdown")
    assert all(getattr(line, name) == ctx[name] for name in kept)
    assert line.decision_reasons == ctx["decision_reasons"]
    assert "note" not in line.model_dump()
    assert sum(line.score_breakdown.values()) == pytest.approx(line.final_score)


@pytest.mark.parametrize("missing", ["decision", "final_score", "decision_reasons", "symbol"])
def test_a_dict_that_was_not_decided_is_refused(missing: str) -> None:
    ctx = decided()
    del ctx[missing]
    with pytest.raises(ValidationError, match=missing):
        Decision.of(ctx, AS_OF)


def test_another_word_is_no_decision() -> None:
    with pytest.raises(ValidationError, match="join"):
        Decision.of(decided() | {"decision": "perhaps"}, AS_OF)
