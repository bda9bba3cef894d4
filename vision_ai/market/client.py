"""One request through pybit: what came of it, or why nothing did.

The only file that imports pybit. pybit's own retries and sleeps are switched off, because they
miss half of what goes wrong (5xx, dropped bodies, reset times in the past) and sleep without
asking; every way in which it fails becomes a `Refusal`, and the caller decides.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit

from vision_ai.config import MarketConfig
from vision_ai.domain import END_MS
from vision_ai.errors import ExchangeUnavailableError
from vision_ai.market import wire
from vision_ai.market.retry import Refusal

Parsed = TypeVar("Parsed")
Reply = dict[str, Any]

IDENTITY = "replay"
"""The call that asks a server which is not Bybit's what it replays."""

RATE_CODES = frozenset({10006, 10009, 10018, 10429})
STOP_CODES = frozenset({10009, 10024})
"""retCodes: too many visits; and a banned address, or a country that Bybit does not serve."""

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True)
class Answer(Generic[Parsed]):
    """What one request brought, and the exchange's clock when it answered."""

    parsed: Parsed
    time_ms: int


class PybitClient:
    """pybit's client, pointed at the configured server and stripped of its own patience."""

    def __init__(self, config: MarketConfig, clock: Callable[[], float]) -> None:
        self._config = config
        self._clock = clock
        self._http = _connect(config)

    def close(self) -> None:
        """Give the connections back."""
        self._http.client.close()

    def ask(
        self, call: str, parse: Callable[[Reply], Parsed], params: dict[str, Any]
    ) -> Answer[Parsed] | Refusal:
        """Send one request and read the reply; `parse` raises where it makes no sense."""
        import requests
        from pybit.exceptions import FailedRequestError, InvalidRequestError

        try:
            reply = self._identity() if call == IDENTITY else getattr(self._http, call)(**params)
        except InvalidRequestError as error:
            return self._refusal_of_code(error)
        except FailedRequestError as error:
            return self._refusal_of_status(error)
        except requests.RequestException as error:
            return Refusal(f"the connection failed ({type(error).__name__})")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            # what pybit raises when a reply is JSON, but not of the shape that it expects
            return Refusal(f"the reply has another shape ({type(error).__name__})")
        try:
            return Answer(parse(reply), reply_time(reply))
        except ExchangeUnavailableError as error:
            return Refusal(error.message.rstrip("."))

    def _identity(self) -> Any:
        url = f"{self._http.endpoint}/replay"
        reply = self._http.client.get(url, timeout=self._config.timeout_s)
        try:
            return reply.json() if reply.status_code == 200 else {}
        except ValueError:
            return {}  # a mirror or a proxy that answers every path with a page

    def _refusal_of_code(self, error: Any) -> Refusal:
        code = error.status_code
        return Refusal(
            f"retCode {code}, {error.message!s:.80}",
            rate=code in RATE_CODES,
            stop=code in STOP_CODES,
            banned=code == 10009,
            params=code == 10001,
            wait_s=self._reset_in_s(error.resp_headers),
        )

    def _refusal_of_status(self, error: Any) -> Refusal:
        status = error.status_code
        if error.resp_headers is None:
            return Refusal("the reply is not JSON")
        return Refusal(
            f"HTTP {status}",
            rate=status in {403, 429},
            stop=status in {403, 404, 451},
            banned=status == 403,
            wait_s=self._reset_in_s(error.resp_headers),
        )

    def _reset_in_s(self, headers: Any) -> float:
        text = (headers or {}).get("X-Bapi-Limit-Reset-Timestamp", "")
        return max(int(text) / 1000 - self._clock(), 0.0) if text.isdecimal() else 0.0


def reply_time(reply: Any) -> int:
    """When the exchange answered, by its own clock; 0 where a reply does not say.

    Raises:
        ExchangeUnavailableError: the reply is no object, or its time is no time.
    """
    time_ms = reply.get("time", 0) if isinstance(reply, dict) else None
    if type(time_ms) is not int or not 0 <= time_ms < END_MS:
        raise wire.damaged(f"expected a time in milliseconds, was {time_ms!r:.40}")
    return time_ms


def _connect(config: MarketConfig) -> Any:
    from pybit.unified_trading import HTTP
    from requests.adapters import HTTPAdapter

    pybit_logger = logging.getLogger("pybit._http_manager")
    handlers = list(pybit_logger.handlers)
    http = HTTP(
        timeout=config.timeout_s,
        max_retries=1,  # attempts in all: pybit's own retries are off
        force_retry=False,
        retry_codes={0},  # an empty set would mean pybit's default, which sleeps on 10006
    )
    pybit_logger.handlers = handlers  # pybit writes to stderr where logging is not set up
    http.endpoint = config.base_url.rstrip("/")
    adapter = HTTPAdapter(pool_maxsize=config.workers)
    http.client.mount("https://", adapter)
    http.client.mount("http://", adapter)
    if urlsplit(config.base_url).hostname in LOOPBACK:
        http.client.trust_env = False  # a proxy cannot reach this machine's own ports
    return http
