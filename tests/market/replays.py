"""Replay servers and clients for tests: simulated candles, real sockets, the real pybit client."""

import contextlib
import functools
import socket
from collections.abc import Iterator

import numpy as np

from vision_ai.config import MarketConfig
from vision_ai.domain import Interval, Klines
from vision_ai.market.bybit import Bybit
from vision_ai.market.replay import faults
from vision_ai.market.replay.faults import Fault
from vision_ai.market.replay.listing import Listing
from vision_ai.market.replay.server import Clock, Replay
from vision_ai.market.simulate import simulate_many

NOW = 1_750_000_500_000  # 2025-06-15T15:15:00Z
SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT")


@functools.cache
def candles(n: int = 9000) -> tuple[Klines, ...]:
    """5m candles that go on for a day after NOW: a month in all."""
    return tuple(simulate_many(SYMBOLS, Interval.M5, n, seed=7, end_ms=NOW + 86_400_000))


def with_gap(klines: Klines, first: int, after: int) -> Klines:
    keep = np.r_[np.arange(first), np.arange(after, len(klines))]
    return Klines(klines.symbol, klines.interval, klines.open_ms[keep], klines.bars[keep])


@contextlib.contextmanager
def replay(*klines: Klines, now_ms: int = NOW, category: str = "linear") -> Iterator[Replay]:
    markets = Listing.from_klines("simulated-7", klines or candles(), category)
    with Replay(markets, Clock(now_ms, frozen=True)) as server:
        yield server


def config(server: Replay, **changes: object) -> MarketConfig:
    quick = {"base_url": server.url, "backoff_s": 0.002, "timeout_s": 2.0}
    return MarketConfig.model_validate({**quick, **changes})


@contextlib.contextmanager
def client(server: Replay, **changes: object) -> Iterator[Bybit]:
    with Bybit(config(server, **changes)) as exchange:
        yield exchange


def break_replies(server: Replay, *kinds: Fault, rate: float = 1.0, seed: int = 1) -> None:
    server.faults = faults.faults_at_rate(rate, kinds or faults.ALL, seed=seed, slow_s=0.05)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
