"""How long it takes to read a whole market, candles in memory to predictions.

    python benchmarks/scan.py [--symbols 500] [--linear]

Simulated 15m candles of 500 symbols; both intervals of each are charted, drawn, embedded, compared
with the index, weighed and put into one prediction a symbol. Nothing is fetched and nothing is
written. `--linear` measures 500, 1000 and 2000 symbols (4000 charts) and says by how much the cost
of a chart, in seconds of the processor, grows. Prints a table; the last line is one JSON object.
"""

import argparse
import json
import os
import platform
import resource
import sys
import time
from pathlib import Path

import numpy as np

from vision_ai import predict_cv_setup
from vision_ai.config import Config, Paths
from vision_ai.domain import CHART_INTERVALS, Interval, Klines
from vision_ai.labels import rules
from vision_ai.market.simulate import simulate
from vision_ai.pipeline import batch
from vision_ai.pipeline.reader import Reader, spans_of
from vision_ai.predict_cv_setup import Chart, Provenance
from vision_ai.records import Prediction

CANDLES = 400
END = 485_000 * 3_600_000
DISTINCT = 50
"""Walks that are simulated; further symbols take segments of them."""


def markets(count: int) -> list[Klines]:
    """15m candles of so many symbols."""
    walks = [
        simulate("AAAUSDT", Interval.M15, CANDLES + 40 * 40, seed=seed, end_ms=END)
        for seed in range(min(count, DISTINCT))
    ]
    made = []
    for number in range(count):
        walk, shift = walks[number % len(walks)], 40 * (number // len(walks))
        bars = walk.bars[len(walk) - CANDLES - shift : len(walk) - shift]
        open_ms = END + (np.arange(CANDLES, dtype=np.int64) - CANDLES) * Interval.M15.ms
        made.append(Klines(f"S{number}USDT", Interval.M15, open_ms, bars))
    return made


def scan(reader: Reader, found: list[Klines], timings: dict[str, float]) -> list[Prediction]:
    """Read every market; what each part took is added to `timings`."""
    started = time.perf_counter()
    windows = [batch.windows_of(klines, END, CHART_INTERVALS) for klines in found]
    every = [window for pair in windows for window in pair]
    spans = spans_of(
        [w.symbol for w in every], [w.interval for w in every], [int(w.close_ms[-1]) for w in every]
    )
    bars = np.stack([window.bars for window in every])
    cut = time.perf_counter()
    answers = reader.answers(bars, spans)
    answered = time.perf_counter()
    model = reader.model
    made_by = Provenance(
        model.version, reader.index.version, model.manifest.style, rules.RULES_VERSION, END
    )
    size = len(CHART_INTERVALS)
    predictions = [
        predict_cv_setup.assemble(
            pair[0].symbol,
            [Chart.of(window) for window in pair],
            answers.take(np.arange(size * row, size * row + size)),
            reader.index.rows,
            made_by,
        )
        for row, pair in enumerate(windows)
    ]
    done = time.perf_counter()
    for name, seconds in (
        ("windows", cut - started),
        ("draw_embed_search_read", answered - cut),
        ("records", done - answered),
    ):
        timings[name] = timings.get(name, 0.0) + seconds
    return predictions


def peak_mb() -> float:
    """The most memory this process has held, in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def main() -> None:
    """Measure, print a table and one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--symbols", type=int, default=500)
    parser.add_argument("--linear", action="store_true")
    asked = parser.parse_args()
    reader = Reader.open(Config(), Paths(Path("no-data-root")))
    scan(reader, markets(8), {})  # loads FAISS and warms the towers
    sizes = (
        [asked.symbols, 2 * asked.symbols, 4 * asked.symbols] if asked.linear else [asked.symbols]
    )
    rows = []
    for size in sizes:
        found, timings = markets(size), dict[str, float]()
        started, busy = time.perf_counter(), time.process_time()
        predictions = scan(reader, found, timings)
        seconds, busy = time.perf_counter() - started, time.process_time() - busy
        charts = len(CHART_INTERVALS) * len(predictions)
        parts = "  ".join(f"{name} {value:.2f} s" for name, value in timings.items())
        print(f"{charts:6d} charts{seconds:9.2f} s{busy:9.2f} cpu s{peak_mb():9.0f} MB   {parts}")
        rows.append((charts, seconds, busy, peak_mb()))
    charts, seconds, busy, peak = rows[0]
    per_chart = [b / n for n, _, b, _ in rows]
    result = {
        "charts": charts,
        "seconds": round(seconds, 2),
        "cpu_seconds": round(busy, 2),
        "peak_mb": round(peak),
        "largest": rows[-1][0],
        "cost_growth": round(per_chart[-1] / per_chart[0], 2),
        "model": reader.model.version,
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "machine": platform.machine(),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
