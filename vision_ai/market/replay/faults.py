"""What goes wrong on purpose: every way in which Bybit's server is known to fail, by seed.

Whether a request fails depends on the seed, the request itself and how often it was made before,
never on the order in which threads arrive; so a run with faults can be repeated.
"""

import hashlib
import json
import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from vision_ai.errors import ConfigError

SLOW_S = 1.0
"""Delay of a slow reply, where nothing else is said."""


class Fault(StrEnum):
    """One way to fail."""

    RATE_LIMIT = "10006"
    RATE_LIMIT_PAST = "10006-past"
    RATE_LIMIT_BARE = "10006-bare"
    PARAMS = "10001"
    SERVER_ERROR = "500"
    BAD_GATEWAY = "502"
    TOO_MANY = "429"
    FORBIDDEN = "403"
    DROPPED = "dropped"
    TRUNCATED = "truncated"
    SLOW = "slow"
    NOT_JSON = "not-json"
    CUT_JSON = "cut-json"
    WRONG_SHAPE = "wrong-shape"
    SCRAMBLED = "scrambled"


ALL = tuple(fault for fault in Fault if fault is not Fault.FORBIDDEN)
"""What `all` means. 403 is not in it: it tells a client to stop, so no scan can end complete."""


def parse_kinds(text: str) -> tuple[Fault, ...]:
    """Read `all` or a list such as `10006,500,slow`.

    Raises:
        ConfigError: no such fault.
    """
    kinds: list[Fault] = []
    for part in text.split(","):
        if part.strip() == "all":
            kinds.extend(ALL)
        elif part.strip() in set(Fault):
            kinds.append(Fault(part.strip()))
        else:
            raise ConfigError(
                f"Fault {part[:40]!r} is not known: expected all or some of {', '.join(Fault)}."
            )
    return tuple(dict.fromkeys(kinds))


@dataclass
class Faults:
    """Which requests fail, and how.

    Attributes:
        rate: share of requests that fail, 0 to 1.
        kinds: the ways they fail in, equally often.
        seed: the same seed fails the same requests.
        slow_s: delay of a slow reply.
    """

    rate: float = 0.0
    kinds: tuple[Fault, ...] = ALL
    seed: int = 0
    slow_s: float = SLOW_S
    _times: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def draw(self, request: str) -> Fault | None:
        """The fault of this request, or None where it is answered well."""
        if self.rate <= 0 or not self.kinds:
            return None
        with self._lock:
            self._times[request] += 1
            times = self._times[request]
        digest = hashlib.sha256(f"{self.seed}|{times}|{request}".encode()).digest()
        if int.from_bytes(digest[:8]) >= self.rate * 2**64:
            return None
        return self.kinds[int.from_bytes(digest[8:16]) % len(self.kinds)]


def faults_at_rate(
    rate: float, kinds: Iterable[Fault] = ALL, *, seed: int = 0, slow_s: float = SLOW_S
) -> Faults:
    """Faults at a rate.

    Raises:
        ConfigError: the rate is not between 0 and 1, or the delay not between 0 and 60 s.
    """
    if not 0 <= rate <= 1:
        raise ConfigError(f"Fault rate {rate:g} is out of range: expected 0 to 1.")
    if not 0 <= slow_s <= 60:
        raise ConfigError(f"Delay {slow_s:g} s is out of range: expected 0 to 60.")
    return Faults(rate, tuple(kinds), seed, slow_s)


def spoil(fault: Fault, reply: dict[str, Any]) -> bytes:
    """A body that arrives whole and says nonsense: NOT_JSON, CUT_JSON, WRONG_SHAPE, SCRAMBLED."""
    body = json.dumps(reply).encode()
    if fault is Fault.NOT_JSON:
        return b"<html><body>We are down for maintenance.</body></html>"
    if fault is Fault.CUT_JSON:
        return body[: len(body) * 2 // 3]
    if fault is Fault.WRONG_SHAPE:
        return b'["retCode", 0]'
    return json.dumps(reply | {"result": _scramble(reply["result"])}).encode()


def _scramble(result: dict[str, Any]) -> dict[str, Any]:
    rows = result.get("list")
    if not rows:
        return {"list": None}
    if isinstance(rows[0], dict):
        return result | {"list": [None, *rows]}
    rows_out = [rows[0], ["x", *rows[0][1:]], *rows[1:]]
    return result | {"list": rows_out if len(rows) < 2 else [*rows[::-1], rows[0]]}
