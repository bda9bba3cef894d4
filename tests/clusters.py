"""Made-up embeddings: charts of one reading lie near each other, and their times are free."""

from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from vision_ai.domain import HORIZONS, READINGS, WINDOW, Embeddings, Interval, Outcomes

HOUR = 3_600_000
START = 1_700_000_000_000 // HOUR * HOUR
HORIZON_MS = np.array([horizon.ms for horizon in HORIZONS])


def embeddings(
    n: int,
    *,
    seed: int = 0,
    dim: int = 16,
    symbols: int = 5,
    hours: int = 2000,
    noise: float = 0.25,
    start_ms: int = START,
) -> Embeddings:
    """Charts whose vectors lie around the centre of their reading, at random hours."""
    rng = np.random.default_rng(seed)
    reading = rng.integers(0, len(READINGS), n)
    interval = np.array(["15m", "1h"])[rng.integers(0, 2, n)]
    length = np.array([Interval(i).ms for i in interval], np.int64)
    last_ms = start_ms + rng.integers(0, hours, n) * HOUR
    scale = rng.uniform(0.001, 0.01, n)
    move = rng.normal(size=(n, 2)) * scale[:, None] * 3
    return Embeddings(
        vectors=around(centres(dim)[reading], noise, rng),
        symbol=np.array([f"S{i}USDT" for i in rng.integers(0, symbols, n)]),
        interval=interval,
        last_ms=last_ms.astype(np.int64),
        reading=reading.astype(np.int8),
        phase=(reading % 5).astype(np.int8),
        weight=np.ones(n, np.float32),
        outcomes=Outcomes(
            move, np.abs(move), -np.abs(move), scale, (last_ms + length)[:, None] + HORIZON_MS
        ),
        model="model-1",
        style="style-1",
        rules="rules-1",
        data="data-1",
    )


def centres(dim: int = 16) -> np.ndarray:
    """One direction a reading."""
    drawn = np.random.default_rng(99).normal(size=(len(READINGS), dim))
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def around(points: np.ndarray, noise: float, rng: np.random.Generator) -> np.ndarray:
    """Unit vectors near the given ones."""
    vectors = points + noise * rng.normal(size=points.shape)
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def with_rows(rows: Embeddings, **columns: object) -> Embeddings:
    """The same rows with columns replaced."""
    return replace(rows, **columns)  # type: ignore[arg-type]


@st.composite
def crowded(draw: st.DrawFn, max_size: int = 60) -> Embeddings:
    """Few markets, few days and few distinct vectors: overlaps and ties everywhere."""
    n = draw(st.integers(1, max_size))
    seed = draw(st.integers(0, 10_000))
    rows = embeddings(
        n,
        seed=seed,
        dim=4,
        symbols=draw(st.integers(1, 3)),
        hours=draw(st.integers(1, 40)) * WINDOW // 8 + 1,
        noise=draw(st.sampled_from([0.0, 0.3])),
    )
    return with_rows(rows, vectors=np.ascontiguousarray(rows.vectors))
