"""Small corpora, models and folders that the tests of `model` share."""

import numpy as np

from vision_ai.domain import PHASES, READINGS, Embeddings, Interval, Klines, Labels, Outcomes
from vision_ai.market.simulate import simulate
from vision_ai.model.training import anchors
from vision_ai.model.training.batches import Corpus, ExampleFactory

END_MS = 1_720_051_200_000


def klines(symbol="AAAUSDT", interval=Interval.M15, n=400, seed=1):
    return simulate(symbol, interval, n, seed=seed, end_ms=END_MS)


def rules(bars):
    """A rule book of one line: did the close rise, and by how much."""
    rise = np.log(bars[:, -1, 3] / bars[:, 0, 3])
    up = rise > 0
    return Labels(
        reading=np.where(up, 0, 1).astype(np.int8),
        phase=np.where(up, 0, 1).astype(np.int8),
        clear=np.ones(len(bars), np.bool_),
        facts={"rise": rise},
        rules="test",
    )


def draw(bars, rng):
    """Columns filled up to the close: enough for a tower to learn from."""
    logs = np.log(bars[..., 3])
    low, high = logs.min(1, keepdims=True), logs.max(1, keepdims=True)
    height = ((logs - low) / np.maximum(high - low, 1e-9) * 150).astype(int)
    filled = np.arange(191, -1, -1)[None, :, None] < height[:, None, :]
    return np.repeat(filled[..., None], 3, axis=3).astype(np.uint8) * 200


def describe(_, labels, rng):
    return [
        f"{label.setup} {label.direction} phase {label.phase} {rng.integers(3)}" for label in labels
    ]


def measure(labels):
    return labels.facts["rise"][:, None].astype(np.float32)


def locate(bars):
    """One place on a rising chart, its mirror on a falling one."""
    rises = rules(bars).reading == 0
    stretches = np.zeros(
        (len(bars), 2, len(anchors.SEGMENT_ANCHORS), anchors.IS_CANDIDATE + 1), np.bool_
    )
    turns = np.zeros((len(bars), 2, anchors.SWING_BARS, anchors.SWING_CLASSES), np.bool_)
    stretches[:, 0, 3, 1] = turns[:, 0, 5, 0] = rises
    stretches[:, 1, 3, 1] = turns[:, 1, 5, 0] = ~rises
    stretches[:, :, 3, anchors.IS_CANDIDATE] = True
    return stretches, turns


ARTIST = ExampleFactory(draw, rules, describe, measure, locate)
WORDS = ["phase", *(str(n) for n in range(3))]
WORDS += [word for r in READINGS for word in (r.setup.value, r.direction.value)]
WORDS += [phase.value for phase in PHASES]


def corpus(count=40, seed=1):
    table = klines(seed=seed)
    ends = table.window_ends()[:: max(1, len(table.window_ends()) // count)][:count]
    labels = rules(table.windows(ends))
    return Corpus(
        (table,),
        np.zeros(len(ends), np.int32),
        ends.astype(np.int32),
        labels.reading,
        labels.phase,
    )


def embeddings(n=7, d=8, seed=0):
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(n, d)).astype(np.float32)
    moves = rng.normal(size=(n, 2))
    moves[:1] = np.nan
    return Embeddings(
        vectors=vectors / np.linalg.norm(vectors, axis=1, keepdims=True),
        symbol=np.array([f"S{i}USDT" for i in range(n)], np.str_),
        interval=np.array(["15m", "1h"] * n, np.str_)[:n],
        last_ms=np.arange(n, dtype=np.int64) * 3_600_000,
        reading=(np.arange(n) % len(READINGS)).astype(np.int8),
        phase=(np.arange(n) % len(PHASES)).astype(np.int8),
        weight=np.ones(n, np.float32),
        outcomes=Outcomes(
            move=moves,
            best=moves + 1,
            worst=moves - 1,
            scale=np.abs(moves[:, 0]) + 1,
            complete_ms=np.arange(2 * n, dtype=np.int64).reshape(n, 2),
        ),
        model="m",
        style="s",
        rules="r",
        data="d",
    )


def empty_klines(symbol="AAAUSDT"):
    return Klines.empty(symbol, Interval.M15)
