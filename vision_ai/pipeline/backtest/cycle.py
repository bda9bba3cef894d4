"""One hour of the loop: predict every chart, resolve outcomes, update the model, decide.

A simulation does it over a socket and onto disk, the backtest in memory. Both take the order of the
steps and the hours of updates from here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from vision_ai.domain import iso
from vision_ai.errors import InputError

H_MS = 3_600_000

DAY_H = 24


class CycleSteps(Protocol):
    """The steps of an hour. None may look at anything later than `now_ms`."""

    def scan(self, now_ms: int) -> Sequence[str]:
        """Predict every symbol that has whole charts; returns those, sorted."""
        ...

    def resolve_outcomes(self, now_ms: int) -> None:
        """Resolve every horizon that is over."""
        ...

    def learn(self, now_ms: int) -> None:
        """Ask the gate whether the outcomes change the model."""
        ...

    def decide(self, symbol: str, now_ms: int) -> None:
        """Join, consider or avoid."""
        ...


@dataclass(frozen=True)
class Schedule:
    """Which hours are worked, and at which of them the gate is asked for an update.

    Attributes:
        first_ms: the first hour, UTC milliseconds on the hour.
        hours: how many.
        learn_every_h: hours of the UTC calendar between two updates, such as 24 for
            midnight; 0 never asks.

    Raises:
        InputError: the start is not on the hour, or a number is out of range.
    """

    first_ms: int
    hours: int
    learn_every_h: int = DAY_H

    def __post_init__(self) -> None:
        if self.first_ms % H_MS:
            raise InputError(
                f"Expected a start on the hour such as 2025-06-16T00:00:00Z, "
                f"was {iso(self.first_ms)}.",
                hint="Leave out minutes and seconds.",
            )
        if self.hours < 1 or self.learn_every_h < 0:
            raise InputError(
                f"Expected at least one hour, and 0 or more hours between updates, "
                f"was {self.hours} and {self.learn_every_h}.",
                hint="Give --days of 1 or more; 0 hours between updates never ask the gate.",
            )

    def at(self, number: int) -> int:
        """The clock in the hour of that number, from 0."""
        return self.first_ms + number * H_MS

    def is_update_due(self, now_ms: int) -> bool:
        """Whether the gate is asked in that hour."""
        return self.learn_every_h > 0 and now_ms // H_MS % self.learn_every_h == 0


def run_hour(steps: CycleSteps, schedule: Schedule, now_ms: int) -> None:
    """Do one hour's work; doing it again must add nothing."""
    symbols = steps.scan(now_ms)
    steps.resolve_outcomes(now_ms)
    if schedule.is_update_due(now_ms):
        steps.learn(now_ms)
    for symbol in symbols:
        steps.decide(symbol, now_ms)
