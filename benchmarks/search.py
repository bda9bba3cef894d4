"""How fast a whole market is compared with the index and read, once its charts are embedded.

    python benchmarks/search.py

Made-up vectors: 1000 charts of one instant against 12,000 exemplars, all settled before, as on a
running desk with the shipped exemplars; then with exemplars up to the last hour, where the purge
has work to do. `ratio_vs_exact` is against the plain search in numpy, on a part of the charts.
Prints a table; the last line is one JSON object.
"""

import json
import platform
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from vision_ai import predict_cv_setup as predict
from vision_ai.calibration import fusion
from vision_ai.domain import HORIZONS, PHASES, READINGS, WINDOW, Embeddings, Interval, Outcomes
from vision_ai.index import ExactIndex, Index, PointInTimeFilter, Spans

CHARTS, EXEMPLARS, DIM, NEIGHBORS = 1000, 12_000, 256, 24
PART = 50
ROUNDS = 5
HOUR = 3_600_000
START = 472_000 * HOUR


def made_up(n: int, seed: int, hours: int) -> Embeddings:
    """Charts around one centre a reading, at random hours."""
    rng = np.random.default_rng(seed)
    reading = rng.integers(0, len(READINGS), n)
    centres = np.random.default_rng(0).normal(size=(len(READINGS), DIM))
    vectors = centres[reading] + rng.normal(size=(n, DIM))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    interval = np.array(["15m", "1h"])[np.arange(n) % 2]
    length = np.array([Interval(i).ms for i in interval], np.int64)
    last_ms = START + rng.integers(0, hours, n) * HOUR
    move = rng.normal(0, 0.01, (n, len(HORIZONS)))
    known = (last_ms + length)[:, None] + np.array([horizon.ms for horizon in HORIZONS])
    return Embeddings(
        vectors=vectors.astype(np.float32),
        symbol=np.array([f"S{i}USDT" for i in rng.integers(0, 70, n)]),
        interval=interval,
        last_ms=last_ms,
        reading=reading.astype(np.int8),
        phase=(reading % len(PHASES)).astype(np.int8),
        weight=np.ones(n, np.float32),
        outcomes=Outcomes(move, np.abs(move), -np.abs(move), np.full(n, 0.004), known),
        model="made-up",
        style="made-up",
        rules="made-up",
        data="made-up",
    )


def seconds(work: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Median seconds of each piece of work; the pieces take turns, so that noise hits all."""
    taken: dict[str, list[float]] = {name: [] for name in work}
    for turn in range(ROUNDS + 1):
        for name, call in work.items():
            start = time.perf_counter()
            call()
            if turn:  # the first turn loads FAISS and fills the shelves
                taken[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in taken.items()}


def records(answers: predict.Answers, exemplars: Embeddings) -> list[Any]:
    """The predictions of all symbols, two charts each."""
    by = predict.Provenance("made-up", "made-up", "made-up", "made-up", START)
    pair = [
        predict.Chart(i, START, START + (WINDOW - 1) * i.ms, 1.0, "made-up")
        for i in (Interval.M15, Interval.H1)
    ]
    return [
        predict.assemble("BTCUSDT", pair, answers.take(np.array([row, row + 1])), exemplars, by)
        for row in range(0, len(answers), 2)
    ]


def main() -> None:
    """Measure, print a table and one JSON line."""
    hours = 7000
    exemplars, asked = made_up(EXEMPLARS, 1, hours), made_up(CHARTS, 2, hours)
    index = Index(exemplars)
    names, intervals = asked.symbol.tolist(), asked.interval.tolist()
    settled = Spans.at(names, intervals, [START + 2 * hours * HOUR] * CHARTS)
    recent = Spans.at(names, intervals, [START + (hours + 8) * HOUR] * CHARTS)
    part = slice(0, PART)

    def search(spans: Spans, rows: slice) -> Any:
        spans = spans.take(rows)
        return index.search(
            asked.vectors[rows], spans, eligibility=PointInTimeFilter(), k=NEIGHBORS
        )

    found = search(settled, slice(None))
    rule = fusion.plain(exemplars, level=0.8)

    def read() -> predict.Answers:
        evidence = predict.gather(
            asked.vectors,
            found,
            exemplars,
            None,
            interval=asked.interval,
            scale=asked.outcomes.scale,
        )
        return predict.read(evidence, rule)

    answers = read()
    exact = ExactIndex(exemplars)
    took = seconds(
        {
            "search_s": lambda: search(settled, slice(None)),
            "search_recent_s": lambda: search(recent, slice(None)),
            "search_part_s": lambda: search(recent, part),
            "exact_part_s": lambda: exact.search(
                asked.vectors[part], recent.take(part), eligibility=PointInTimeFilter(), k=NEIGHBORS
            ),
            "read_s": read,
            "records_s": lambda: records(answers, exemplars),
        }
    )
    for name, value in took.items():
        print(f"{name:18s}{value:9.4f}")
    result = {
        "charts": CHARTS,
        "exemplars": EXEMPLARS,
        **{name: round(value, 4) for name, value in took.items()},
        "ratio_vs_exact": round(took["exact_part_s"] / took["search_part_s"], 1),
        "machine": platform.machine(),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
