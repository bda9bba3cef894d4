"""A program that syncs one market again and again until it is complete; killed by a test.

Usage: python -m tests.market.fetcher URL DATA FIRST_OPEN_MS AS_OF_MS
"""

import sys
from pathlib import Path

from vision_ai.config import MarketConfig, Paths
from vision_ai.domain import Interval
from vision_ai.market.bybit import Bybit
from vision_ai.market.store import Store


def main(url: str, data: str, first_ms: str, as_of_ms: str) -> None:
    with Bybit(MarketConfig(base_url=url, backoff_s=0.01)) as exchange:
        store = Store(Paths(Path(data)), exchange.venue())
        sys.stdout.write("begun\n")
        sys.stdout.flush()
        for symbol in ("BTCUSDT", "ETHUSDT"):
            store.sync(exchange, symbol, Interval.M5, int(first_ms), int(as_of_ms))


if __name__ == "__main__":
    main(*sys.argv[1:])
