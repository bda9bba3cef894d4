"""The main job on candles that never traded: no keys, no network."""

from pydantic import Field

from vision_ai import config
from vision_ai.config import Config, Paths
from vision_ai.domain import Interval, parse_time
from vision_ai.market.replay.listing import Listing
from vision_ai.market.replay.server import Clock, Replay
from vision_ai.market.simulate import simulate
from vision_ai.pipeline import predict
from vision_ai.pipeline.predict import SymbolResult
from vision_ai.pipeline.workspace import Workspace

SYMBOL = "SIMUSDT"
SEED = 7
NOW = "2025-06-15T12:00:00Z"
CANDLES = 6 * 288
"""Six days of 5m candles: the 1h chart takes four."""


class DemoResult(SymbolResult):
    """The prediction of a symbol that never traded."""

    simulated: bool = True
    seed: int = Field(exclude=True)


def run() -> DemoResult:
    """Serve simulated candles on this machine, draw the charts of one symbol and predict.

    Raises:
        VisionError: whatever would keep a real symbol from being read.
    """
    now_ms = parse_time(NOW)
    klines = simulate(SYMBOL, Interval.M5, CANDLES, seed=SEED, end_ms=now_ms)
    listing = Listing.from_klines(f"simulated-{SEED}", [klines])
    settings = config.load()
    with Replay(listing, Clock(now_ms, frozen=True)) as server:
        market = settings.market.model_copy(update={"base_url": server.url})
        local = Config(**{**dict(settings), "market": market})
        with Workspace(local, Paths(config.data_root())) as workspace:
            result = predict.predict(workspace, SYMBOL)
    return DemoResult(
        prediction=result.prediction,
        path=result.path,
        would_be_other=result.would_be_other,
        seed=SEED,
    )
