"""How often GPT's own reading of a picture is the rule book's, and what descriptions cost.

GPT is told the facts in the same request, so its reading leans to them: the figures are an upper
bound of what it sees by itself.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from vision_ai.domain import PHASES, SETUPS
from vision_ai.labels.gpt.replies import Attempt, Kind


@dataclass(frozen=True)
class Share:
    """Charts that the rule book gives one label, and how many of them GPT reads alike."""

    facet: str
    value: str
    n: int
    agree: int


@dataclass(frozen=True)
class Totals:
    """The whole ledger in numbers; cost in US dollars."""

    requests: int
    charts: int
    kinds: dict[str, int]
    input_tokens: int
    output_tokens: int
    cost: float
    unknown: int

    @property
    def per_thousand(self) -> float | None:
        """Cost of 1000 described charts, failures paid for included."""
        described = self.kinds.get(Kind.DESCRIBED.value, 0)
        return 1000 * self.cost / described if described else None


def shares(attempts: Sequence[Attempt]) -> list[Share]:
    """Agreement by setup, by direction and by phase, of the newest reply about each chart."""
    newest = {a.subject.digest: a for a in attempts if a.said is not None}
    made = [("all", "setup", "setup"), ("all", "direction", "direction"), ("all", "phase", "phase")]
    made += [("setup", setup.value, "setup") for setup in SETUPS]
    made += [("phase", phase.value, "phase") for phase in PHASES]
    found = []
    for facet, value, field in made:
        mine = [a for a in newest.values() if facet == "all" or _rule(a, facet) == value]
        agree = sum(_rule(a, field) == _gpt(a, field) for a in mine)
        found.append(Share(facet, value, len(mine), agree))
    return [share for share in found if share.n]


def totals(attempts: Sequence[Attempt]) -> Totals:
    """Count requests, tokens and money; `unknown` are timed-out requests that may have cost."""
    return Totals(
        requests=len(attempts),
        charts=len({attempt.subject.digest for attempt in attempts}),
        kinds=dict(Counter(attempt.kind.value for attempt in attempts)),
        input_tokens=sum(attempt.input_tokens or 0 for attempt in attempts),
        output_tokens=sum(attempt.output_tokens or 0 for attempt in attempts),
        cost=sum(attempt.cost or 0.0 for attempt in attempts),
        unknown=sum(attempt.kind is Kind.TIMEOUT for attempt in attempts),
    )


def _rule(attempt: Attempt, field: str) -> str:
    return str(getattr(attempt.subject, field).value)


def _gpt(attempt: Attempt, field: str) -> str:
    return str(getattr(attempt.said, field).value)
