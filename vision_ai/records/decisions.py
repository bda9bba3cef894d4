"""What was decided: a line of `data/vision_ai/decisions/{SYMBOL}_{YYYYMMDD}.jsonl`."""

from collections.abc import Mapping
from typing import Any, Literal

from vision_ai.domain import iso
from vision_ai.records.fields import Finite, IsoTime, LogLine, SymbolText


class Decision(LogLine):
    """What was decided of one symbol at one time, and why."""

    v: Literal[1] = 1
    symbol: SymbolText
    decided_at: IsoTime
    decision: Literal["join", "consider", "avoid"]
    final_score: Finite
    grade: str
    confidence: Finite
    score_breakdown: dict[str, Finite]
    decision_reasons: list[str]

    @classmethod
    def of(cls, ctx: Mapping[str, Any], now_ms: int) -> "Decision":
        """The line of a dict that `simulate_trader_decision_advanced` has returned."""
        names = cls.model_fields.keys() & ctx.keys()
        return cls(decided_at=iso(now_ms), **{name: ctx[name] for name in names})
