"""How fast charts are drawn, side by side with mplfinance on the same candles.

    python benchmarks/render.py

Prints a table; the last line is one JSON object.
"""

import io
import json
import logging
import platform
import statistics
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vision_ai.charts import mpl, raster, style
from vision_ai.config import ChartConfig
from vision_ai.domain import WINDOW, Interval, Klines

BATCH = 512
ROUNDS = 9
SIDE = 224
PNGS = 20


def simulate(n: int, seed: int) -> NDArray[np.float64]:
    """Bars (n, 96, 5) of random walks with log-normal volume."""
    rng = np.random.default_rng(seed)
    path = np.cumsum(rng.normal(0, 0.004, (n, WINDOW + 1)), axis=1)
    opens, closes = path[:, :-1], path[:, 1:]
    highs = np.maximum(opens, closes) + np.abs(rng.normal(0, 0.002, opens.shape))
    lows = np.minimum(opens, closes) - np.abs(rng.normal(0, 0.002, opens.shape))
    prices = 100 * np.exp(np.stack([opens, highs, lows, closes], axis=2))
    volume = rng.lognormal(3, 1, (n, WINDOW, 1))
    return np.concatenate([prices, volume], axis=2)


def seconds(work: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median seconds of each piece of work; the pieces take turns, so that noise hits all."""
    taken: dict[str, list[float]] = {name: [] for name in work}
    for turn in range(rounds + 1):
        for name, call in work.items():
            start = time.perf_counter()
            call()
            if turn:  # the first turn warms caches and fonts
                taken[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in taken.items()}


def plain_mplfinance(frame: pd.DataFrame) -> bytes:
    """What `mpf.plot` draws by default."""
    import mplfinance as mpf

    buffer = io.BytesIO()
    mpf.plot(frame, type="candle", volume=True, savefig=buffer)
    return buffer.getvalue()


def main() -> None:
    """Measure and report."""
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # its default style names no font here
    bars = simulate(BATCH, 1)
    styles = style.sample(BATCH, np.random.default_rng(2))
    times = 1_750_000_500_000 + np.arange(WINDOW) * Interval.M15.ms
    klines = Klines("BTCUSDT", Interval.M15, times, bars[0])
    frame = pd.DataFrame(
        bars[0],
        columns=["Open", "High", "Low", "Close", "Volume"],
        index=pd.to_datetime(times, unit="ms"),
    )
    config = ChartConfig()
    batched = seconds(
        {
            "model view": lambda: raster.render(bars),
            "model view, random styles": lambda: raster.render(bars, styles),
        },
        ROUNDS,
    )
    single = seconds(
        {
            "model view as 224x224 PNG": lambda: [
                raster.to_png(raster.render(bars[i : i + 1])[0], SIDE) for i in range(PNGS)
            ],
            "human view, 1200x800 PNG": lambda: mpl.draw(klines, config),
            "mpf.plot default": lambda: plain_mplfinance(frame),
        },
        ROUNDS,
    )
    print(f"{'what':32} {'ms a chart':>12} {'charts/s':>12}")
    single["model view as 224x224 PNG"] /= PNGS
    per_chart = {name: value / BATCH for name, value in batched.items()} | single
    for name, value in per_chart.items():
        print(f"{name:32} {value * 1e3:12.3f} {1 / value:12.0f}")
    plain = single["mpf.plot default"]
    small = single["model view as 224x224 PNG"]
    human = single["human view, 1200x800 PNG"]
    result = {
        "benchmark": "render",
        "model_view_per_s": round(BATCH / batched["model view"]),
        "styled_view_per_s": round(BATCH / batched["model view, random styles"]),
        "png_ms": round(small * 1e3, 3),
        "ratio_vs_mplfinance": round(plain / small, 1),
        "human_png_ms": round(human * 1e3, 1),
        "human_ratio_vs_mpf_plot": round(human / plain, 3),
        "machine": f"{platform.machine()} {platform.system()} python {platform.python_version()}",
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
