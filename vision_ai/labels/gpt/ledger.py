"""Requests to GPT on disk: each is one line, so that no chart is paid for twice; and their totals.

`descriptions/<first two digits of the chart's hash>.jsonl`, checksummed lines, only appended. Reply
and cost are one line, so that a kill cannot separate them.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from vision_ai import checksummed_log, storage
from vision_ai.domain import PHASES, SETUPS
from vision_ai.labels.gpt.replies import ANSWERED, Attempt, Language, ReplyKind
from vision_ai.records import BadLine


@dataclass(frozen=True)
class Ledger:
    """The folder of requests that were sent.

    Attributes:
        folder: `data/vision_ai/descriptions`.
    """

    folder: Path

    def append(self, attempt: Attempt) -> None:
        """Append one request; the same id is written once.

        Raises:
            StorageError: nothing was written.
        """
        path = self.folder / f"{attempt.subject.digest[:2]}.jsonl"
        checksummed_log.append_once(path, [attempt], key=_id)

    def read(self) -> tuple[list[Attempt], list[BadLine]]:
        """Every request so far, oldest first; damaged lines are named and not counted."""
        good: list[Attempt] = []
        bad: list[BadLine] = []
        for path in sorted(self.folder.glob("[0-9a-f][0-9a-f].jsonl")):
            lines, damaged = checksummed_log.read(path, Attempt, key=_id)
            good += lines
            bad += damaged
        return sorted(good, key=lambda attempt: attempt.at), bad

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock that keeps a second process from paying for the same charts.

        Raises:
            StateError: another process is describing charts of this data root.
        """
        busy = "Another process is describing charts of this data root."
        with storage.locked(self.folder / ".lock", busy=busy):
            yield


def answered_charts(
    attempts: Iterable[Attempt], *, again: bool = False
) -> dict[tuple[str, Language], Attempt]:
    """The newest final answer for each chart and language; with `again` descriptions only."""
    final = {ReplyKind.DESCRIBED} if again else ANSWERED
    return {attempt.key: attempt for attempt in attempts if attempt.kind in final}


def _id(attempt: Attempt) -> str:
    return attempt.id


@dataclass(frozen=True)
class LabelAgreement:
    """NormalizedBars that the rule book gives one label, and how many of them GPT reads alike."""

    facet: str
    value: str
    n: int
    agree: int


@dataclass(frozen=True)
class Spending:
    """Sums over the whole ledger; cost in US dollars, `unknown` requests that timed out."""

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
        described = self.kinds.get(ReplyKind.DESCRIBED.value, 0)
        return 1000 * self.cost / described if described else None


def agreement_by_label(attempts: Sequence[Attempt]) -> list[LabelAgreement]:
    """Agreement by setup, by direction and by phase, of the newest reply about each chart."""
    newest = {a.subject.digest: a for a in attempts if a.said is not None}
    # (which charts, their label, which field is compared)
    groups = [("all", field, field) for field in ("setup", "direction", "phase")]
    groups += [("setup", setup.value, "setup") for setup in SETUPS]
    groups += [("phase", phase.value, "phase") for phase in PHASES]
    rows = []
    for facet, value, field in groups:
        members = [a for a in newest.values() if facet == "all" or _rule(a, facet) == value]
        agree = sum(_rule(a, field) == _gpt(a, field) for a in members)
        rows.append(LabelAgreement(facet, value, len(members), agree))
    return [row for row in rows if row.n]


def total_spending(attempts: Sequence[Attempt]) -> Spending:
    """Count requests, tokens and money; `unknown` are timed-out requests that may have cost."""
    return Spending(
        requests=len(attempts),
        charts=len({attempt.subject.digest for attempt in attempts}),
        kinds=dict(Counter(attempt.kind.value for attempt in attempts)),
        input_tokens=sum(attempt.input_tokens or 0 for attempt in attempts),
        output_tokens=sum(attempt.output_tokens or 0 for attempt in attempts),
        cost=sum(attempt.cost or 0.0 for attempt in attempts),
        unknown=sum(attempt.kind is ReplyKind.TIMEOUT for attempt in attempts),
    )


def _rule(attempt: Attempt, field: str) -> str:
    return str(getattr(attempt.subject, field).value)


def _gpt(attempt: Attempt, field: str) -> str:
    return str(getattr(attempt.said, field).value)
