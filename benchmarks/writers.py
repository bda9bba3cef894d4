"""What a second writer in training does to wordings that no writer used.

Trains `chart-clip` twice from the same seed, candles and number of steps: once on the offline
writer's words alone, once with half of the captions by the loopback writer, in place of
GPT. Each is then asked in the words of every writer of `benchmarks/words.py`, and in wordings
that neither was trained on. No live GPT is asked.

    python benchmarks/writers.py --klines candles/ --out build/writers --steps 1500

A run that is killed resumes where it was; a few hundred steps say little.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from words import NEAREST, WRITERS, Code, loopback, search, zero_shot

from vision_ai import train_cv_model
from vision_ai.config import Paths
from vision_ai.domain import READINGS, Labels, Reading, Setup
from vision_ai.labels.captions import WRITTEN_SHARE, Captions
from vision_ai.model import vectors
from vision_ai.model.embed import Embedder
from vision_ai.model.registry import ModelFolder
from vision_ai.model.training import trainer
from vision_ai.train_cv_model import Run, TrainConfig


class Mixed(Captions):
    """Half of the captions by the loopback writer, the others by our own."""

    @property
    def fingerprint(self) -> str:
        """Another run than that of the offline writer."""
        return "offline and loopback"

    def __bool__(self) -> bool:
        return True

    def describe(
        self, bars: NDArray[np.float64], labels: Labels, rng: np.random.Generator
    ) -> list[str]:
        """A sentence for each window, true of its label."""
        ours = Captions().describe(bars, labels, rng)
        theirs = [
            [f"{first}, {second}" for first, second in zip(
                loopback(label.reading), loopback(label.phase), strict=True
            )]
            for label in labels
        ]  # fmt: skip
        chosen = rng.integers(0, [len(texts) for texts in theirs])
        use = rng.random(len(ours)) < WRITTEN_SHARE
        return [
            texts[place] if written else own
            for own, texts, place, written in zip(ours, theirs, chosen, use, strict=True)
        ]


def unseen(code: Code) -> list[str]:
    """Words of a third writer, whom nobody learnt from."""
    if not isinstance(code, Reading):
        return [f"price is in {code}", f"{code} market", f"this is {code} now"]
    if code.setup is Setup.NONE:
        return ["there is no setup here", "nothing to trade", "no clear setup now"]
    return [
        f"{code.direction} setup: {code.setup}",
        f"this is a {code.setup}, it argues {code.direction}",
        f"{code.setup} for a {code.direction}",
    ]


def asked(model: ModelFolder, paths: Paths) -> dict[str, dict[str, float]]:
    """How the model reads and finds, asked in the words of every writer."""
    charts = vectors.load(paths.embeddings / f"{model.version}-held-out.parquet")
    embedder = Embedder(model, threads=1)
    figures = {}
    for name, writer in {**WRITERS, "unseen": unseen}.items():
        some = min(len(writer(code)) for code in READINGS)
        setup, phase = zero_shot(embedder, charts, writer, some, np.random.default_rng(0))
        found = {"setup_macro_f1": setup, "phase_macro_f1": phase}
        found[f"search_p{NEAREST}"] = search(embedder, charts, writer)
        figures[name] = {key: round(value, 4) for key, value in found.items()}
    return figures


def main() -> None:
    """Print one line of JSON for each of the two models."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--klines", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--seed", type=int, default=0)
    wanted = parser.parse_args()
    plain = TrainConfig()
    recipe = plain.recipe.model_copy(update={"steps": wanted.steps, "seed": wanted.seed})
    config = plain.model_copy(update={"recipe": recipe})
    paths, tables = Paths(wanted.out), train_cv_model.read_tables(wanted.klines)
    for name, wording in (("offline", Captions()), ("offline and loopback", Mixed())):
        run = Run(config, paths, tables, None, wording)
        model = train_cv_model.run_training(run, trainer.pick_device())
        row = {"trained_on": name, "steps": wanted.steps, "seed": wanted.seed}
        row |= {"model": model.version, "asked_by": asked(model, paths)}
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
