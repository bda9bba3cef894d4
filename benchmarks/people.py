"""What people's annotations do to unseen charts, where the people are simulated.

The held-out charts of a model are halved in time as training halves them: how likely annotations
hold for other charts is fitted on the earlier half, and measured on the later. There, some random
charts are "annotated by people": with the rule book's own label, or, at a stated rate, with a wrong
one. Every other chart of the half is read twice, with and without those annotations, under the
point-in-time filter: no later annotation counts. `near` are the charts that some annotation
changes, per draw. `doubtful` charts are those that the review desk shows first; `exemplars` are the
model's own.

    python benchmarks/people.py data/vision_ai/embeddings/chart-clip-...-held-out.parquet
"""

import itertools
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vision_ai import predict_cv_setup
from vision_ai.calibration import annotations
from vision_ai.calibration.fusion import Calibration, Probabilities
from vision_ai.config import Config, Paths
from vision_ai.domain import PHASES, READINGS, Embeddings, Floats, Ints, Labelled
from vision_ai.index import STEP, Index, PointInTimeFilter, Spans
from vision_ai.measures import scores
from vision_ai.model import registry, vectors
from vision_ai.pipeline import reader
from vision_ai.pipeline.learning import train
from vision_ai.predict_cv_setup import Evidence, NearbyAnnotations
from vision_ai.retrieval import annotations as retrieved

HOW = ("random", "doubtful", "exemplars")
SHARES = (0.01, 0.05)
DRAWS = 20
WRONG = (0.0, 0.1)


def labelled(charts: Embeddings, chosen: Ints, wrong: float, rng: np.random.Generator) -> Labelled:
    """The chosen charts as people labelled them, a share of them wrong."""
    rows = charts.take(chosen)
    reading, phase = rows.reading.copy(), rows.phase.copy()
    err = rng.random(len(rows)) < wrong
    reading[err] = (reading[err] + rng.integers(1, len(READINGS), err.sum())) % len(READINGS)
    phase[err] = (phase[err] + rng.integers(1, len(PHASES), err.sum())) % len(PHASES)
    annotated = Embeddings(**{**vars(rows), "reading": reading, "phase": phase})
    return Labelled(
        chosen.astype(np.int64), annotated, np.full(len(rows), "simulated"), rows.close_ms
    )


def doubtful(probabilities: Probabilities, charts: Embeddings, count: int) -> Ints:
    """The charts that the desk would show first: the model differs from the rule book, unsure."""
    wrong = probabilities.reading.argmax(axis=1) != charts.reading
    return np.argsort(-(wrong + 1 - probabilities.reading.max(axis=1)), kind="stable")[:count]


def figures_of(reading: Floats, truth: Ints) -> tuple[float, float, float]:
    """Accuracy, calibration error and mean log loss."""
    right, sure = reading.argmax(axis=1) == truth, reading.max(axis=1)
    of_truth = reading[np.arange(len(truth)), truth]
    return float(right.mean()), scores.ece(sure, right), float(-np.log(of_truth).mean())


@dataclass(frozen=True, eq=False)
class Fold:
    """Unseen charts with the evidence about them and the model's calibration."""

    charts: Embeddings
    evidence: Evidence
    fitted: Calibration
    exemplars: Embeddings

    @property
    def probabilities(self) -> Probabilities:
        """The model's own probabilities, without annotations."""
        return predict_cv_setup.read(self.evidence, self.fitted).probabilities

    def annotated(self, how: str, share: float, wrong: float, seed: int) -> Labelled:
        """A random share of charts, labelled by simulated people."""
        rng = np.random.default_rng(seed)
        source = self.exemplars if how == "exemplars" else self.charts
        count = round(share * len(source))
        choices: Ints = np.arange(len(source))
        if how == "doubtful":
            choices = doubtful(self.probabilities, self.charts, 2 * count)
        return labelled(source, np.sort(rng.choice(choices, count, replace=False)), wrong, rng)

    def read(self, how: str, given: Labelled) -> tuple[Floats, Floats, Ints]:
        """Probabilities of all charts without an annotation, before and after; and the truth."""
        every = np.arange(len(self.charts))
        rest = every if how == "exemplars" else np.setdiff1d(every, given.at)
        asked = self.charts.take(rest)
        found = retrieved.nearest_annotated(
            given,
            asked.vectors,
            Spans.of(asked),
            eligibility=PointInTimeFilter(),
            k=reader.MOST_ANNOTATIONS,
            step=STEP,
        )
        nearby = NearbyAnnotations.of(given, *found)
        answers = predict_cv_setup.read(self.evidence.take(rest), self.fitted, nearby)
        assert answers.unadjusted is not None
        truth = asked.reading.astype(np.int64)
        return answers.unadjusted.reading, answers.probabilities.reading, truth


def measure(draws: list[tuple[Floats, Floats, Ints]]) -> dict[str, float]:
    """Figures before and after: of all charts of all draws, and of those an annotation changes."""
    before, after, truth = (np.concatenate(column) for column in zip(*draws, strict=True))
    near = (before != after).any(axis=1)
    figures = {"near": round(near.sum() / len(draws), 1)}
    for name, rows in (("all", np.full(len(truth), fill_value=True)), ("near", near)):
        old, new = figures_of(before[rows], truth[rows]), figures_of(after[rows], truth[rows])
        for figure, was, now in zip(("accuracy", "ece", "log_loss"), old, new, strict=True):
            figures[f"{name}_{figure}"] = round(was, 4)
            figures[f"{name}_{figure}_heard"] = round(now, 4)
    return figures


def fold(path: Path) -> tuple[str, Fold]:
    """The later half of held-out charts, with a calibration fitted on the earlier half."""
    charts = vectors.load(path)
    model = registry.resolve(Paths(Path("data")), charts.model)
    settings = Config()
    index = Index(reader.exemplars(model))
    evidence = train.gather(index, charts, reader.prompts(model), settings.index)
    earlier, later = train.halves(charts)
    fitted = predict_cv_setup.fit(
        evidence.take(earlier), charts.take(earlier), index.rows, level=settings.predict.level
    )
    return model.version, Fold(charts.take(later), evidence.take(later), fitted, index.rows)


def main() -> None:
    """Print a table and one line of JSON."""
    version, unseen = fold(Path(sys.argv[1]))
    rows = []
    for how, share, wrong in itertools.product(HOW, SHARES, WRONG):
        given = [unseen.annotated(how, share, wrong, seed) for seed in range(DRAWS)]
        row: dict[str, object] = {"labelled": how, "share": share, "wrong": wrong}
        row |= measure([unseen.read(how, one) for one in given])
        rows.append(row)
        print("  ".join(str(value) for value in row.values()), flush=True)
    curves = {i.value: trust.model_dump() for i, trust in unseen.fitted.transfer.items()}
    content = {
        "model": version,
        "charts": len(unseen.charts),
        "error": annotations.HUMAN_ERROR_RATE,
    }
    print(json.dumps({**content, "draws": DRAWS, "trust": curves, "rows": rows}))


if __name__ == "__main__":
    main()
