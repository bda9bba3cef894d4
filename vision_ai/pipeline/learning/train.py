"""Train a model, then fit its calibration on charts of other symbols and a later time."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vision_ai import errors, predict_cv_setup, storage
from vision_ai.config import IndexConfig
from vision_ai.domain import HORIZONS, PHASES, READINGS, Embeddings, Ints, iso
from vision_ai.errors import InputError
from vision_ai.index import Index
from vision_ai.measures import scores
from vision_ai.measures.purge import PurgeAndEmbargo, Spans, split_by_time
from vision_ai.model import lineage, vectors
from vision_ai.model.registry import ModelFolder
from vision_ai.pipeline import reader
from vision_ai.pipeline.workspace import Result, Workspace
from vision_ai.predict_cv_setup import Answers, Calibration, Evidence, Prototypes

FIT_SHARE = 0.5
"""Share of the held-out time that the calibration is fitted on; the rest measures it."""


class TrainResult(Result):
    """The version that was trained and is now in use."""

    version: str
    path: str
    figures: dict[str, float]


@dataclass(frozen=True)
class TrainOptions:
    """What the caller of `train` may choose; the rest is the recipe of the shipped model."""

    preset: str
    weights: Path | None
    device: str | None
    seed: int
    steps: int | None
    rate: float | None = None


def train(workspace: Workspace, klines: Path, options: TrainOptions) -> TrainResult:
    """Train on a folder of candles, export, embed and calibrate; a killed run resumes.

    Raises:
        InputError: the training stack is not installed.
        KlinesError: too few candles to train and to validate.
        StateError: the same run is under way, or a file is damaged.
    """
    try:
        from vision_ai import train_cv_model
    except ModuleNotFoundError as error:
        raise errors.missing("Training", "train", error) from error
    settings = train_cv_model.TrainConfig()
    chosen: dict[str, object] = {"preset": options.preset, "seed": options.seed}
    if options.steps is not None:
        chosen["steps"] = options.steps
    if options.rate is not None:
        chosen["rate"] = options.rate
    recipe = type(settings.recipe).model_validate({**dict(settings.recipe), **chosen})
    model = train_cv_model.train(
        settings.model_copy(update={"recipe": recipe}),
        klines,
        workspace.paths,
        device=options.device,
        weights=options.weights,
    )
    figures = {**model.manifest.figures, **activate_trained(workspace, model)}
    workspace.reload_reader()
    return TrainResult(version=model.version, path=str(model.path), figures=figures)


def activate_trained(workspace: Workspace, model: ModelFolder) -> dict[str, float]:
    """Calibrate a trained model and only then make it the current one.

    Raises:
        CorruptFileError: the held-out vectors are missing or damaged.
        InputError: too few held-out charts; the model that was in use stays so.
    """
    figures = calibrate(workspace, model)
    lineage.activate(workspace.paths, model.version)
    return figures


def calibrate(workspace: Workspace, model: ModelFolder) -> dict[str, float]:
    """Fit the calibration on the earlier half of the held-out charts; measure it on the later.

    Bands are fitted on what followed the exemplars as well, each under the purge.

    The halves lie far enough apart that no window or outcome reaches from one into the other.

    Raises:
        CorruptFileError: the held-out vectors are missing or damaged.
        KlinesError: too few held-out charts.
    """
    settings = workspace.config
    index = Index(reader.exemplars(model))
    charts = vectors.load(workspace.paths.embeddings / f"{model.version}-held-out.parquet")
    evidence = gather(index, charts, reader.prompts(model), settings.index)
    earlier, later = halves(charts)
    fitted = predict_cv_setup.fit(
        evidence.take(earlier),
        charts.take(earlier),
        index.rows,
        level=settings.predict.level,
        earlier=gather(index, index.rows, reader.prompts(model), settings.index),
    )
    storage.write_document(model.path / reader.CALIBRATION, fitted)
    return measure(evidence.take(later), charts.take(later), fitted)


def measure(evidence: Evidence, charts: Embeddings, fitted: Calibration) -> dict[str, float]:
    """How right and how sure calibrated answers are on charts with known labels."""
    answers = predict_cv_setup.read(evidence, fitted)
    best = answers.probabilities.reading.argmax(axis=1)
    right, sure = best == charts.reading, answers.probabilities.reading.max(axis=1)
    return {
        "calibrated_n": float(len(charts)),
        "calibrated_accuracy": float(right.mean()),
        "calibrated_reading_macro_f1": scores.macro_f1(charts.reading, best, len(READINGS)),
        "calibrated_phase_macro_f1": scores.macro_f1(charts.phase, answers.phase, len(PHASES)),
        "calibrated_ece": scores.ece(sure, right),
        "calibrated_accuracy_at_50": scores.accuracy_at(sure, right, 0.5),
        "abstained": float(answers.abstained.mean()),
        **_coverage(answers, charts),
    }


def _coverage(answers: Answers, charts: Embeddings) -> dict[str, float]:
    bands, move = answers.bands, np.expm1(charts.outcomes.move)
    known = np.isfinite(move)
    inside = (bands.low <= move) & (move <= bands.high)
    return {
        f"band_coverage_{horizon}": float(inside[known[:, column], column].mean())
        for column, horizon in enumerate(HORIZONS)
    }


def gather(
    index: Index, charts: Embeddings, prompts: Prototypes, settings: IndexConfig
) -> Evidence:
    """The evidence about charts under purge and embargo: no neighbor shares time with them."""
    spans = Spans.of(charts)
    eligibility = PurgeAndEmbargo(round(settings.embargo_h * 3_600_000))
    neighbors = index.search(charts.vectors, spans, eligibility=eligibility, k=settings.neighbors)
    return predict_cv_setup.gather(
        charts.vectors,
        neighbors,
        index.rows,
        prompts,
        interval=spans.interval,
        scale=charts.outcomes.scale,
    )


def halves(charts: Embeddings) -> tuple[Ints, Ints]:
    """Rows of held-out charts to fit on and to measure with, the earlier and the later.

    Raises:
        InputError: their time is too short to be halved.
    """
    earlier, later = split_by_time(Spans.of(charts), FIT_SHARE)
    if not len(later):
        raise InputError(
            f"The held-out charts end at {iso(int(charts.close_ms.max()))}: too short a time to "
            "fit a calibration and to measure it.",
            hint="Give training a longer time of candles.",
        )
    return earlier, later
