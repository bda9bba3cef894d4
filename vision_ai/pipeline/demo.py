"""The main job on candles that never traded: no keys, no network."""

from vision_ai import config
from vision_ai.config import Config, Paths
from vision_ai.domain import Interval, parse_time
from vision_ai.market.listing import Listing
from vision_ai.market.replay import Clock, Replay
from vision_ai.market.simulate import simulate
from vision_ai.pipeline import predict
from vision_ai.pipeline.workspace import Report, Workspace

SYMBOL = "SIMUSDT"
SEED = 7
NOW = "2025-06-15T12:00:00Z"
CANDLES = 6 * 288
"""Six days of 5m candles: the 1h chart takes four."""


def run() -> Report:
    """Serve simulated candles on this machine, draw the charts of one symbol and predict.

    Raises:
        VisionError: whatever would keep a real symbol from being read.
    """
    now_ms = parse_time(NOW)
    simulated = simulate(SYMBOL, Interval.M5, CANDLES, seed=SEED, end_ms=now_ms)
    markets = Listing.from_klines(f"simulated-{SEED}", [simulated])
    settings = config.load()
    with Replay(markets, Clock(now_ms, frozen=True)) as server:
        market = settings.market.model_copy(update={"base_url": server.url})
        local = Config(**{**dict(settings), "market": market})
        report = predict.predict(Workspace(local, Paths(config.data_root())), SYMBOL)
    said = f"These candles are simulated (seed {SEED}): nothing here ever traded."
    return Report({"simulated": True, **report.content}, [said, "", *report.lines])
