"""The exchange: Bybit's public v5 market data, turned into `Klines`, with retries and rate limits.

`client.py` asks once; here it is decided whether to ask again. Market data needs no key, so nothing
secret passes here.
"""

import logging
import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

import numpy as np

from vision_ai.config import MarketConfig
from vision_ai.domain import Interval, Klines, parse_symbol
from vision_ai.errors import (
    ExchangeUnavailableError,
    RateLimitedError,
    SymbolError,
    TransientError,
    VisionError,
)
from vision_ai.market import instruments, wire
from vision_ai.market.client import IDENTITY, PybitClient, Reply, reply_time
from vision_ai.market.gather import gather
from vision_ai.market.retry import Backoff, Pace, Refusal

logger = logging.getLogger(__name__)

Parsed = TypeVar("Parsed")

BAN_S = 600.0
"""How long Bybit bans an address that went over its limit (HTTP 403)."""

BREAK_AFTER = 3
"""Calls in a row that used up their attempts before the next ones get one attempt each."""

SURELY_PAST_MS = 2 * 86_400_000
"""How far behind our own clock a time must lie to be past by any clock of the world."""

MOST_PAGES = 50
"""Pages of instruments that are read before a cursor that never ends is given up."""


@dataclass(frozen=True)
class KlineRequest:
    """Candles of one market that open at or after `start_ms` and are closed at `end_ms`."""

    symbol: str
    interval: Interval
    start_ms: int
    end_ms: int


@dataclass(frozen=True)
class Page:
    """Candles of one reply: all that open in [start_ms, end_ms), as known at `answered_ms`."""

    klines: Klines
    start_ms: int
    end_ms: int
    answered_ms: int


class Bybit:
    """A polite, patient client of the public market endpoints, safe to share between threads.

    Args:
        config: where to ask, and how patiently.
        clock: seconds since the epoch; read to honour reset times and to space requests.
        sleep: waits that many seconds.
    """

    def __init__(
        self,
        config: MarketConfig,
        *,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.config = config
        self._clock = clock
        self._sleep = sleep
        self._client = PybitClient(config, clock)
        self._pace = Pace(clock, sleep)
        self._backoff = Backoff(config.backoff_s, np.random.default_rng())
        self._seen_ms = 0
        self._failures = 0
        self._banned_until = -math.inf
        self._venue = ""
        self._venue_lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back."""
        self._client.close()

    def server_time(self) -> int:
        """The exchange's clock, UTC milliseconds: the only clock that says which candle is closed.

        Raises:
            TransientError: no usable answer after all retries.
        """
        self._ask("get_server_time", lambda _: None)
        return self._seen_ms

    def is_long_past(self, time_ms: int) -> bool:
        """Whether a time is over by any clock, so that the exchange need not be asked for its own.

        Only Bybit lives in our time: a replay server has a clock that may stand in any year.
        """
        return bool(instruments.bybit_host(self._host)) and (
            time_ms < self._clock() * 1000 - SURELY_PAST_MS
        )

    def venue(self) -> str:
        """Where the candles come from, for file names: `bybit-linear`, `simulated-7-linear`.

        Bybit itself is known by its host name; any other server is asked what it replays, so
        that candles of different origin never share a file.

        Raises:
            TransientError: that server cannot be reached.
        """
        with self._venue_lock:
            if not self._venue:
                source = instruments.bybit_host(self._host) or self._ask(IDENTITY, _source)
                self._venue = f"{source or _slug(self.config.base_url)}-{self.config.category}"
            return self._venue

    def pages(self, symbol: str, interval: Interval, start_ms: int, end_ms: int) -> Iterator[Page]:
        """Closed candles page by page, the newest page first, so that each can be saved at once.

        Raises:
            SymbolError: the exchange does not list the symbol.
            TransientError: no usable answer after all retries; earlier pages stand.
        """
        symbol = parse_symbol(symbol)
        # The time is read before the candles are, so a candle that closes meanwhile stays out.
        closed_ms = end_ms if end_ms <= self._seen_ms else min(end_ms, self.server_time())
        first = math.ceil(start_ms / interval.ms) * interval.ms
        last = (closed_ms // interval.ms - 1) * interval.ms
        while last >= first:
            page = self._page(symbol, interval, first, last)
            yield page
            last = page.start_ms - interval.ms

    def klines(self, symbol: str, interval: Interval, start_ms: int, end_ms: int) -> Klines:
        """Candles that open at or after `start_ms` and are closed at `end_ms`; gaps are kept.

        Raises:
            SymbolError: the exchange does not list the symbol.
            TransientError: no usable answer after all retries.
        """
        parts = [page.klines for page in self.pages(symbol, interval, start_ms, end_ms)][::-1]
        parts.append(Klines.empty(parse_symbol(symbol), interval))
        return Klines.concatenate(parts)

    def fetch_many(
        self, requests: Iterable[KlineRequest]
    ) -> dict[KlineRequest, Klines | VisionError]:
        """Several requests at once: the candles of each, or the error of each."""
        return gather(
            requests,
            lambda r: self.klines(r.symbol, r.interval, r.start_ms, r.end_ms),
            workers=self.config.workers,
        )

    def instruments(self) -> dict[str, instruments.Instrument]:
        """Every instrument of the category that is open for trading, by symbol.

        Raises:
            TransientError: no usable answer after all retries.
        """
        listed: dict[str, instruments.Instrument] = {}
        cursor: str | None = None
        for _ in range(MOST_PAGES):
            page, cursor = self._ask(
                "get_instruments_info",
                instruments.read_instruments,
                category=self.config.category,
                limit=wire.PAGE,
                cursor=cursor,
            )
            listed.update(page)
            if not cursor:
                break
        return listed

    def universe(self, top: int | None = None) -> list[str]:
        """USDT markets that trade now, the largest turnover of the last 24 hours first.

        Perpetuals where the category is `linear`, pairs where it is `spot`. Symbols that are not
        2 to 30 letters and digits (dated contracts, oddities) are left out.

        Raises:
            TransientError: no usable answer after all retries.
        """
        turnover = self._ask(
            "get_tickers", instruments.read_turnover, category=self.config.category
        )
        open_now = {s for s, instrument in self.instruments().items() if instrument.is_usdt_market}
        ranked = sorted(turnover.keys() & open_now, key=lambda s: (-turnover[s], s))
        return ranked[:top]

    def _page(self, symbol: str, interval: Interval, first: int, last: int) -> Page:
        def parse(reply: Reply) -> Page:
            return _read_page(reply, symbol, interval, (first, last))

        return self._ask(
            "get_kline",
            parse,
            category=self.config.category,
            symbol=symbol,
            interval=interval.bybit,
            start=first,
            end=last,
            limit=wire.PAGE,
        )

    def _ask(self, call: str, parse: Callable[[Reply], Parsed], **params: Any) -> Parsed:
        attempts = self.config.attempts if self._failures < BREAK_AFTER else 1
        refusal = Refusal("it was not asked")
        for attempt in range(attempts):
            self._refuse_while_banned()
            self._pace.wait()
            outcome = self._client.ask(call, parse, params)
            if not isinstance(outcome, Refusal):
                self._failures = 0
                self._seen_ms = max(self._seen_ms, outcome.time_ms)
                return outcome.parsed
            refusal = outcome
            logger.info(
                "event=refused call=%s symbol=%s attempt=%d reason=%s",
                call,
                params.get("symbol", "-"),
                attempt + 1,
                refusal.what,
            )
            if refusal.banned:
                self._banned_until = self._clock() + BAN_S
            if refusal.stop:
                break
            if refusal.params and "symbol" in params:
                self._require_listed(params["symbol"])
            if attempt + 1 < attempts:
                self._sleep(self._backoff.wait_s(attempt, refusal.wait_s))
        self._failures += 1
        raise self._gave_up(call, refusal)

    def _refuse_while_banned(self) -> None:
        left_s = self._banned_until - self._clock()
        if left_s > 0:
            raise RateLimitedError(
                f"{self._host} refuses this address (HTTP 403): it was asked too often, or from a "
                f"country that it does not serve. No request is sent for {math.ceil(left_s)} s.",
                hint="Wait 10 minutes, then run the same command again.",
            )

    def _require_listed(self, symbol: str) -> None:
        # A parameter error may be a hiccup; the list of instruments knows.
        listed = self.instruments()
        if symbol not in listed:
            raise SymbolError(
                f"{self._host} does not list {symbol} as a {self.config.category} market.",
                hint=instruments.suggest(symbol, listed),
            )

    def _gave_up(self, name: str, refusal: Refusal) -> TransientError:
        if refusal.rate:
            self._refuse_while_banned()
            return RateLimitedError(
                f"{self._host} asks us to slow down ({refusal.what}), after all retries of {name}.",
                hint="Wait a minute and run the same command again; fetched candles are kept.",
            )
        return ExchangeUnavailableError(
            f"{self._host} gave no usable answer to {name}, after all retries: {refusal.what}.",
            hint="Check the connection and VISION_AI_BYBIT_URL, then run the same command again; "
            "fetched candles are kept.",
        )

    @property
    def _host(self) -> str:
        return urlsplit(self.config.base_url).hostname or "the exchange"


def _read_page(reply: Reply, symbol: str, interval: Interval, opens: tuple[int, int]) -> Page:
    result = instruments.read_result(reply)
    if result.get("symbol") != symbol:
        raise wire.damaged(f"candles of {result.get('symbol')!r:.40} came for {symbol}")
    klines = wire.read_rows(result.get("list"), symbol, interval)
    first, last = opens
    if len(klines) and not first <= klines.open_ms[0] <= klines.open_ms[-1] <= last:
        raise wire.damaged(f"candles outside the span that was asked for came for {symbol}")
    start = int(klines.open_ms[0]) if len(klines) >= wire.PAGE else first
    # a server whose clock was set back answers with fewer closed candles than it knew of
    end = min(last + interval.ms, reply_time(reply) // interval.ms * interval.ms)
    return Page(klines.until(end), start, max(start, end), reply_time(reply))


def _source(reply: Any) -> str:
    source = reply.get("source", "") if isinstance(reply, dict) else ""
    slug = _slug(source) if isinstance(source, str) else ""
    # whatever another server calls itself, its candles never join Bybit's own
    return f"replay-{slug}" if slug.startswith("bybit") else slug


def _slug(text: str) -> str:
    netloc = urlsplit(text).netloc.rpartition("@")[2] or text
    letters = "".join(c if c.isascii() and c.isalnum() else "-" for c in netloc.lower())
    return letters.strip("-")[:40]
