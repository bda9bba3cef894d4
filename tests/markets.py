"""Candles that never traded, of a few markets, until half a day after `NOW`."""

from vision_ai.domain import Interval, Klines, parse_time
from vision_ai.market.simulate import simulate

NOW = "2025-06-15T12:00:00Z"
SYMBOLS = ("AAAUSDT", "BBBUSDT", "CCCUSDT", "DDDUSDT")


def candles(symbol: str, seed: int) -> Klines:
    end_ms = parse_time(NOW) + 12 * 3_600_000
    return simulate(symbol, Interval.M5, 6 * 288 + 144, seed=seed, end_ms=end_ms)
