"""When to ask an exchange again, and how fast: plain numbers, no network."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

LONGEST_WAIT_S = 30.0
"""Bybit's limits reset within seconds; a longer wait that a reply names is a clock gone wrong."""

REQUESTS_PER_S = 60.0
"""Half of what Bybit allows one address (600 in 5 s), so that other programs have room too."""


@dataclass(frozen=True)
class Refusal:
    """Why one request brought nothing.

    Attributes:
        what: a few words for the log and for the last sentence.
        rate: the exchange asks us to slow down.
        stop: asking again would make it worse, or is pointless.
        banned: the exchange refuses this address for a while.
        params: the exchange dislikes the parameters; often a symbol that it does not list.
        wait_s: how long the exchange wants us to wait; 0 where it does not say.
    """

    what: str
    rate: bool = False
    stop: bool = False
    banned: bool = False
    params: bool = False
    wait_s: float = 0.0


@dataclass(frozen=True)
class Backoff:
    """Waits that double, with jitter so that many clients do not come back at one instant."""

    first_s: float
    rng: np.random.Generator

    def wait_s(self, attempt: int, asked_s: float = 0.0) -> float:
        """Seconds to wait after failed attempt number `attempt`, counted from 0.

        >>> 0.25 <= Backoff(0.5, np.random.default_rng(1)).wait_s(0) <= 0.5
        True
        """
        own = min(self.first_s * 2.0**attempt, LONGEST_WAIT_S)
        own *= float(self.rng.uniform(0.5, 1.0))
        return max(own, min(asked_s, LONGEST_WAIT_S))


class Pace:
    """Spaces the requests of all threads evenly, below the exchange's limit."""

    def __init__(
        self,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
        *,
        per_s: float = REQUESTS_PER_S,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._gap_s = 1.0 / per_s
        self._next = 0.0
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Return when this thread may send one request."""
        with self._lock:
            now = self._clock()
            # a clock that was set back must not turn into a long wait
            start = min(max(now, self._next), now + LONGEST_WAIT_S)
            self._next = start + self._gap_s
        if start > now:
            self._sleep(start - now)
