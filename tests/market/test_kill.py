import sys
from pathlib import Path

import numpy as np
import pytest

from tests.kills import kill_at_random
from tests.market.replays import NOW, candles, client, replay
from vision_ai.config import Paths
from vision_ai.domain import Interval, Klines
from vision_ai.market.store import Store

M5 = Interval.M5
SYMBOLS = ("BTCUSDT", "ETHUSDT")


@pytest.mark.slow
def test_a_fetch_killed_at_any_instant_loses_no_candle_and_can_be_finished(tmp_path: Path) -> None:
    store = Store(Paths(tmp_path), "simulated-7-linear")
    truth = {k.symbol: k.until(NOW) for k in candles()}
    seen: dict[str, Klines] = {s: Klines.empty(s, M5) for s in SYMBOLS}
    first = int(candles()[0].open_ms[0])

    def check() -> None:
        for symbol in SYMBOLS:
            now = store.load(symbol, M5)
            held = np.isin(truth[symbol].open_ms, now.open_ms)
            assert np.array_equal(truth[symbol].bars[held], now.bars)
            assert np.isin(seen[symbol].open_ms, now.open_ms).all()
            seen[symbol] = now

    def begin_again() -> None:
        if len(seen["ETHUSDT"]) == len(truth["ETHUSDT"]):  # nothing would be left to be killed in
            for symbol in SYMBOLS:
                store.path(symbol, M5).unlink()
                seen[symbol] = Klines.empty(symbol, M5)

    with replay() as server:
        command = [sys.executable, "-m", "tests.market.fetcher", server.url, str(tmp_path)]
        command += [str(first), str(NOW)]
        struck = kill_at_random(command, check, kills=24, seed=3, before=begin_again)
        assert struck >= 15
        with client(server) as exchange:
            for symbol in SYMBOLS:
                whole = store.sync(exchange, symbol, M5, first, NOW)
                assert whole.digest == truth[symbol].digest
    left = sorted(p.name for p in (tmp_path / "vision_ai" / "klines").iterdir())
    assert [name for name in left if not name.endswith(".lock")] == [
        f"simulated-7-linear_{symbol}_5m.parquet" for symbol in SYMBOLS
    ]
