"""A simulated exchange for tests of the whole program."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.markets import NOW, SYMBOLS, candles
from vision_ai.domain import parse_time
from vision_ai.market.replay.listing import Listing
from vision_ai.market.replay.server import Clock, Replay


@pytest.fixture(scope="session")
def listing() -> Listing:
    markets = [candles(symbol, seed) for seed, symbol in enumerate(SYMBOLS)]
    return Listing.from_klines("simulated-pipeline", markets)


@pytest.fixture
def server(listing: Listing, tmp_path: Path, monkeypatch) -> Iterator[Replay]:
    with Replay(listing, Clock(parse_time(NOW), frozen=True)) as replay:
        monkeypatch.setenv("VISION_AI_BYBIT_URL", replay.url)
        monkeypatch.setenv("VISION_AI_DATA", str(tmp_path / "data"))
        monkeypatch.chdir(tmp_path)
        yield replay
