"""Predictions and candles to test feedback on."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vision_ai.domain import Direction, Horizon, Interval, Klines, Phase, Setup, iso
from vision_ai.records import Band, Feedback, IntervalReading, NeighborRecord, Prediction

AS_OF = 1_750_000_500_000 // 900_000 * 900_000
M15 = Interval.M15.ms
H_MS = 3_600_000

KLINES = Path(
    os.environ.get("VISION_AI_KLINES", Path(__file__).parents[2].parent / "shared" / "klines")
)


def band(half: float = 0.01) -> Band:
    return Band(low=-half, median=0.0, high=half, level=0.8, up_probability=0.5, samples=20)


def reading(
    interval: Interval, end_ms: int, close: float | None, setup: Setup, direction: Direction
) -> IntervalReading:
    return IntervalReading(
        interval=interval,
        first_candle=iso(end_ms - 96 * interval.ms),
        last_candle=iso(end_ms - interval.ms),
        last_close=close,
        klines_hash="0" * 64,
        chart=f"charts/BTCUSDT/{interval}/BTCUSDT_{interval}.png",
        setup=setup,
        direction=direction,
        phase=Phase.MARKUP,
        confidence=0.7,
        abstained=False,
        probabilities={f"{setup}:{direction}": 1.0},
        phase_probabilities={Phase.MARKUP: 1.0},
        similarity=0.9,
        neighbors=[],
        outcome={horizon: band() for horizon in Horizon},
    )


def neighbor(
    symbol: str = "ETHUSDT",
    weight: float = 1.0,
    setup: Setup = Setup.BREAKOUT,
    direction: Direction = Direction.LONG,
) -> NeighborRecord:
    return NeighborRecord(
        symbol=symbol,
        interval=Interval.M15,
        as_of="2024-01-01T00:00:00Z",
        similarity=0.9,
        weight=weight,
        setup=setup,
        direction=direction,
        phase=Phase.MARKUP,
        moves={},
    )


def prediction(
    *,
    symbol: str = "BTCUSDT",
    as_of_ms: int = AS_OF,
    close: float | None = 100.0,
    setup: Setup = Setup.BREAKOUT,
    direction: Direction = Direction.LONG,
    lead: Interval = Interval.M15,
    **changes: object,
) -> Prediction:
    hour_end = as_of_ms // H_MS * H_MS
    content = Prediction(
        symbol=symbol,
        as_of=iso(as_of_ms),
        lead_interval=lead,
        setup=setup,
        phase=Phase.MARKUP,
        direction=direction,
        confidence=0.7,
        abstained=False,
        probabilities={f"{setup}:{direction}": 1.0},
        neighbors=[neighbor()],
        outcome={horizon: band() for horizon in Horizon},
        intervals={
            Interval.M15: reading(Interval.M15, as_of_ms, close, setup, direction),
            Interval.H1: reading(Interval.H1, hour_end, close, setup, direction),
        },
        model_version="m1",
        index_version="i1",
        style_hash="s",
        rules_version="r",
        created_at=iso(as_of_ms),
    )
    return content.model_copy(update=changes)


def flat(
    count: int,
    first_ms: int,
    *,
    interval: Interval = Interval.M15,
    price: float = 100.0,
    symbol: str = "BTCUSDT",
) -> Klines:
    """Candles that hardly move around one price."""
    bars = np.tile([price, price * 1.001, price * 0.999, price, 10.0], (count, 1))
    return Klines(symbol, interval, first_ms + np.arange(count) * interval.ms, bars)


def with_candle(klines: Klines, row: int, candle: Sequence[float]) -> Klines:
    """The same candles with one replaced: open, high, low, close."""
    bars = klines.bars.copy()
    bars[row, :4] = candle
    return Klines(klines.symbol, klines.interval, klines.open_ms, bars)


def walk(
    count: int,
    first_ms: int,
    seed: int,
    *,
    interval: Interval = Interval.M15,
    step: float = 0.005,
    start: float = 100.0,
    symbol: str = "BTCUSDT",
) -> Klines:
    """A seeded random walk, each candle opening at the last close."""
    rng = np.random.default_rng(seed)
    closes = start * np.exp(np.cumsum(rng.normal(0, step, count)))
    opens = np.r_[start, closes[:-1]]
    reach = np.exp(np.abs(rng.normal(0, step, (2, count))))
    bars = np.stack(
        [
            opens,
            np.maximum(opens, closes) * reach[0],
            np.minimum(opens, closes) / reach[1],
            closes,
            rng.uniform(1, 9, count),
        ],
        axis=1,
    )
    return Klines(symbol, interval, first_ms + np.arange(count) * interval.ms, bars)


def line(
    *,
    symbol: str = "BTCUSDT",
    as_of_ms: int = AS_OF,
    horizon: Horizon = Horizon.H6,
    success: bool | None = True,
    confidence: float = 0.7,
    **changes: object,
) -> Feedback:
    content = Feedback(
        symbol=symbol,
        as_of=iso(as_of_ms),
        horizon=horizon,
        interval=Interval.M15,
        setup=Setup.BREAKOUT,
        direction=Direction.LONG,
        phase=Phase.MARKUP,
        confidence=confidence,
        abstained=False,
        model_version="m1",
        index_version="i1",
        move=0.01 if success else -0.01,
        best=0.02,
        worst=-0.02,
        first="target" if success else "stop",
        resolved_on="15m",
        success=success,
        covered=True,
        reason="target +2.00% came first",
        checked_at=iso(as_of_ms + horizon.ms),
        level=0.8,
        width_factor=0.5,
    )
    return content.model_copy(update=changes)
