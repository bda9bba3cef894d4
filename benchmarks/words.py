"""What paraphrase variety does to zero-shot figures and to text search, at reading time.

A model is asked in the words of three writers: our own offline one, the facts' canonical words,
and the loopback writer of the tests, which stands in for GPT. No live GPT is asked and nothing is
trained: this measures how much the wording of a question matters to a given model.

    python benchmarks/words.py data/vision_ai/embeddings/chart-clip-...-held-out.parquet
"""

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vision_ai.config import Paths
from vision_ai.domain import PHASES, READINGS, SETUPS, Embeddings, Phase, Reading
from vision_ai.labels import descriptions
from vision_ai.measures.scores import macro_f1
from vision_ai.model import registry, vectors
from vision_ai.model.embed import Embedder

Code = Reading | Phase
Writer = Callable[[Code], list[str]]
DRAWS = 30
NEAREST = 10
SETUP_OF = np.array([SETUPS.index(reading.setup) for reading in READINGS])


def canonical(code: Code) -> list[str]:
    """The facts' own words, once."""
    return [f"{code.setup} {code.direction}" if isinstance(code, Reading) else f"{code} phase"]


def loopback(code: Code) -> list[str]:
    """The sentences that the server of the tests writes."""
    said = f"{code.setup}, {code.direction}" if isinstance(code, Reading) else f"{code} phase"
    return [f"The chart shows this: {said}.", f"{said} as measured", f"note: {said}"]


WRITERS: Mapping[str, Writer] = {
    "canonical": canonical,
    "loopback": loopback,
    "offline": descriptions.prompts,
    "offline and loopback": lambda code: [*descriptions.prompts(code), *loopback(code)],
}


def zero_shot(
    embedder: Embedder, charts: Embeddings, writer: Writer, variety: int, rng: np.random.Generator
) -> tuple[float, float]:
    """Macro-F1 of setups and of phases, with `variety` random phrases a class."""
    found = []
    for codes in (READINGS, PHASES):
        points = np.stack([_centre(embedder, writer(code), variety, rng) for code in codes])
        found.append((charts.vectors @ points.T).argmax(axis=1))
    setup = macro_f1(SETUP_OF[charts.reading], SETUP_OF[found[0]], len(SETUPS))
    return setup, macro_f1(charts.phase.astype(np.int64), found[1], len(PHASES))


def _centre(
    embedder: Embedder, texts: list[str], variety: int, rng: np.random.Generator
) -> NDArray[np.float32]:
    chosen = rng.choice(len(texts), min(variety, len(texts)), replace=False)
    mean = embedder.texts([texts[i] for i in chosen]).mean(axis=0)
    return np.asarray(mean / np.linalg.norm(mean), np.float32)


def search(embedder: Embedder, charts: Embeddings, writer: Writer) -> float:
    """Share of the ten nearest charts that show what one phrase asks for, over all phrases."""
    hits = []
    for code, reading in enumerate(READINGS):
        scores = embedder.texts(writer(reading)) @ charts.vectors.T
        nearest = np.argsort(-scores, axis=1)[:, :NEAREST]
        hits.append((charts.reading[nearest] == code).mean())
    return float(np.mean(hits))


def main() -> None:
    """Print a table and one line of JSON."""
    charts = vectors.load(Path(sys.argv[1]))
    model = registry.resolve(Paths(Path("data")), charts.model)
    embedder = Embedder(model, threads=1)
    rows = []
    for name, writer in WRITERS.items():
        most = len(writer(READINGS[0]))
        for variety in sorted({1, min(3, most), most}):
            draws = [
                zero_shot(embedder, charts, writer, variety, np.random.default_rng(seed))
                for seed in range(DRAWS if variety < most else 1)
            ]
            mean, spread = np.mean(draws, axis=0), np.std(draws, axis=0)
            row = {
                "writer": name,
                "phrases": variety,
                "setup_macro_f1": round(float(mean[0]), 4),
                "setup_sd": round(float(spread[0]), 4),
                "phase_macro_f1": round(float(mean[1]), 4),
                "phase_sd": round(float(spread[1]), 4),
                "search_p10": round(search(embedder, charts, writer), 4),
            }
            rows.append(row)
            print("  ".join(str(value) for value in row.values()), flush=True)
    print(json.dumps({"model": charts.model, "charts": len(charts), "rows": rows}))


if __name__ == "__main__":
    main()
