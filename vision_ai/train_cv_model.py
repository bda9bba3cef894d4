"""Labelled charts to a fine-tuned CLIP model: one call from candles to a model version.

Candles are cut into windows, windows are split so that neither a symbol nor an hour is shared
between training and validation, the rule book labels them, and the model learns from charts
that are drawn anew at each step. The run ends with both towers in ONNX, exemplars, vectors in
`data/vision_ai/embeddings/` and figures on the held-out windows. A run that is killed resumes
from its last checkpoint; a run that is finished is not run again.
"""

if __name__ == "__main__":  # before the imports below: `--help` answers without torch
    from vision_ai.cli import main

    main("train")

import hashlib
import logging
import tempfile
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from vision_ai import storage, training_data
from vision_ai.charts import raster
from vision_ai.config import Paths, Section
from vision_ai.domain import (
    CHART_INTERVALS,
    PHASES,
    READINGS,
    Bytes,
    Klines,
    iso,
)
from vision_ai.errors import StateError
from vision_ai.labels import review, rules
from vision_ai.labels.captions import Captions
from vision_ai.market import files
from vision_ai.model import registry, vectors
from vision_ai.model.embed import Embedder
from vision_ai.model.registry import Manifest, ModelFolder, TrainingCandles
from vision_ai.model.training import (
    batches,
    checkpoint,
    export,
    report,
    split,
    trainer,
)
from vision_ai.model.training.batches import Batches, Corpus
from vision_ai.model.training.fit import TrainingState, Validate, fit
from vision_ai.model.training.presets import ChartReader
from vision_ai.model.training.sampler import PrioritizedSampler
from vision_ai.model.training.split import Split, SplitConfig
from vision_ai.model.training.trainer import Device, PromptSet, Recipe, Trainer

logger = logging.getLogger(__name__)


ANNOTATION_WEIGHT = 4
"""How often training repeats a chart that a person annotated, and its weight as an exemplar."""


CLASS_NAMES = (*(reading.name for reading in READINGS), *(f"phase:{phase}" for phase in PHASES))
"""Each class's name in a manifest, in the order of the prompts."""


class TrainConfig(Section):
    """A whole training run; the defaults made the model that ships with the package."""

    recipe: Recipe = Recipe()
    split: SplitConfig = SplitConfig()
    validation: int = Field(default=1500, ge=1, description="charts of each validation")
    measured: int = Field(default=6000, ge=1, description="charts of the final figures")
    exemplars: int = Field(default=11_000, ge=1, description="charts kept to vote")


def train(
    config: TrainConfig,
    klines: Path,
    paths: Paths,
    *,
    device: str | None = None,
    weights: Path | None = None,
    quiet: bool = False,
) -> ModelFolder:
    """Train a model version and return it; the caller makes it the current one when it is ready.

    Args:
        config: what to train and how.
        klines: folder of Parquet or CSV candles, `venue_SYMBOL_interval.parquet`.
        paths: the data root.
        device: `cuda`, `mps` or `cpu`; None takes the first of these that is here.
        weights: local safetensors to start from, for presets that start from weights.
        quiet: show no progress bar.

    Raises:
        ConfigError: an unknown preset or device, or weights that may run code.
        KlinesError: too few candles to train and to validate.
        CorruptFileError: candles, weights or checkpoints are damaged.
        StateError: the same run is under way already, or a part of its version is in the way.
        StorageError: the disk is full or read-only.
    """
    where = trainer.pick_device(device)
    run = Run(config, paths, read_tables(klines), weights, training_data.read_captions(paths))
    return run_training(run, where, quiet=quiet)


def run_training(run: "Run", where: Device, *, quiet: bool = False) -> ModelFolder:
    """Train a run, or resume it; raises what `train` does."""
    with run.locked():
        if not run.is_done:
            run.check_target()
            trained = _train(run, where, quiet=quiet)
            _finish(run, trained)
        checkpoint.clear(run.folder)
    return registry.resolve(run.paths, run.version)


def read_tables(klines: Path) -> tuple[Klines, ...]:
    """Candles of both charted intervals of every file in a folder, coarser ones resampled."""
    return tuple(
        table
        for interval in CHART_INTERVALS
        for _, table in files.read_folder(klines, intervals=[interval])
    )


@dataclass(frozen=True, eq=False)
class Run:
    """A run's identity and folders: the same settings and candles are the same run."""

    config: TrainConfig
    paths: Paths
    tables: Sequence[Klines]
    weights: Path | None = None
    wording: Captions = field(default_factory=Captions)

    @property
    def data(self) -> str:
        """SHA-256 over all candles, in any order of their files."""
        return hashlib.sha256("".join(sorted(t.digest for t in self.tables)).encode()).hexdigest()

    @property
    def version(self) -> str:
        """Name of the model version that comes out."""
        parts = [self.config.model_dump_json(), self.data, rules.RULES_VERSION, raster.STYLE_HASH]
        if self.weights is not None and self.weights.is_file():
            parts.append(registry.sha256(self.weights))
        if self.wording:
            parts.append(self.wording.fingerprint)
        digest = hashlib.sha256("|".join(parts).encode()).hexdigest()
        return f"{self.config.recipe.preset}-{digest[:10]}"

    @property
    def folder(self) -> Path:
        """Where checkpoints are kept until the run is done."""
        return self.paths.models / f".run-{self.version}"

    @property
    def is_done(self) -> bool:
        """Whether the version exists already."""
        return (self.paths.models / self.version / "manifest.json").is_file()

    def check_target(self) -> None:
        """Refuse to train for hours what could not be published then.

        Raises:
            StateError: a folder without a manifest is where the version will be.
        """
        target = self.paths.models / self.version
        if target.exists():
            raise StateError(
                f"{target} is no whole model version: expected a manifest.json in it.",
                hint=f"Delete {target} and run the same command again.",
            )

    def locked(self) -> AbstractContextManager[None]:
        """Keep a second process out of the same run."""
        return checkpoint.alone(self.folder, f"Run {self.version}")


@dataclass(frozen=True, eq=False)
class _Trained:
    """What training passes to the export."""

    reader: ChartReader
    windows: Split
    state: TrainingState


def _train(run: Run, device: Device, *, quiet: bool) -> _Trained:
    config, recipe = run.config, run.config.recipe
    windows = _label_windows(run)
    reader = trainer.create_model(recipe, run.weights)
    prompts = training_data.make_prompts(reader)
    model = make_trainer(reader, prompts, recipe, device)
    logger.info(
        "training version=%s device=%s bf16=%s train=%d held_out=%d",
        run.version, device, model.bf16, len(windows.train), len(windows.held_out),
    )  # fmt: skip
    sampler = make_sampler(windows.train, recipe)
    factory = training_data.example_factory(run.wording)
    source = Batches(windows.train, factory, sampler, shown=model.shown)
    charts = training_data.render_charts(
        training_data.sample_rows(windows.held_out, config.validation, recipe.seed)
    )
    state = fit(model, source, run.folder, make_validation(model, charts), quiet=quiet)
    average = model.average.cpu()
    if average.preset.wise_ft_alpha < 1:
        start = trainer.create_model(recipe, run.weights)
        trainer.interpolate_weights(average, start, average.preset.wise_ft_alpha)
    return _Trained(average, windows, state)


def make_trainer(
    reader: ChartReader, prompts: PromptSet, recipe: Recipe, device: Device
) -> Trainer:
    """A model about to be trained on what `training_data.example_factory` draws and measures."""
    bf16 = recipe.precision == "bf16" or (
        recipe.precision == "auto" and trainer.is_bf16_faster(device)
    )
    return Trainer(reader, prompts, recipe, device, facts=training_data.FACTS, bf16=bf16)


def make_sampler(corpus: Corpus, recipe: Recipe) -> PrioritizedSampler:
    """The sampler of a corpus, with a recipe's settings."""
    return PrioritizedSampler(
        corpus.reading, size=recipe.batch, seed=recipe.seed, balance=recipe.balance,
        hard=recipe.hard,
    )  # fmt: skip


def make_validation(model: Trainer, charts: report.Charts) -> Validate:
    """What early stopping watches: how well prompts alone read `charts`."""

    def validate(average: ChartReader) -> dict[str, float]:
        vectors = trainer.embed_pictures(average, charts.pictures, bf16=model.bf16)
        prototypes = trainer.prototypes(average, model.prompts)
        figures = report.read_by_prompts(vectors, prototypes, charts)
        score = (figures["setup_macro_f1"] + figures["phase_macro_f1"]) / 2
        return {"score": score, **figures}

    return validate


def _finish(run: Run, trained: _Trained) -> None:
    """Export, measure and publish; nothing is visible until everything is written."""
    reader, windows, config = trained.reader, trained.windows, run.config
    with storage.writing(run.folder):
        staging = Path(tempfile.mkdtemp(prefix="staging-", dir=run.folder))
    staging.chmod(0o755)  # a model is for every user of the machine
    prompts = training_data.make_prompts(reader)
    exemplar_rows = training_data.sample_rows(
        windows.train, config.exemplars, config.recipe.seed, balance=0.5
    )
    held_out_rows = training_data.sample_rows(
        windows.held_out, config.measured, config.recipe.seed + 1
    )
    charts = training_data.render_charts(held_out_rows)
    sentences, labels = prompts.sentences(CLASS_NAMES)
    parity = write_towers(reader, prompts, staging, charts.pictures[:32])
    prototypes = trainer.prototypes(reader, prompts)
    manifest = _manifest(run, trained, prototypes_by_name(prototypes))
    embedder = Embedder(ModelFolder(staging, manifest))
    figures = report.measure_readers(
        embedder.images, prototypes, charts, training_data.render_charts(exemplar_rows)
    )
    manifest = manifest.model_copy(update={"figures": {**figures, "onnx_parity": parity}})
    exemplars = training_data.embed_charts(exemplar_rows, embedder.images, manifest)
    exemplars, _ = review.apply_corrections(exemplars, run.wording.corrections, ANNOTATION_WEIGHT)
    vectors.save(staging / "exemplars.parquet", exemplars)
    folder = run.paths.embeddings
    vectors.save(folder / f"{run.version}.parquet", exemplars)
    held_out = training_data.embed_charts(held_out_rows, embedder.images, manifest)
    vectors.save(folder / f"{run.version}-held-out.parquet", held_out)
    vectors.save_texts(
        folder / f"{run.version}-texts.parquet",
        vectors.TextVectors(sentences, labels, embedder.texts(sentences)),
        model=run.version,
    )
    registry.publish(run.paths, staging, manifest)


def write_towers(reader: ChartReader, prompts: PromptSet, folder: Path, pictures: Bytes) -> float:
    """Write a model's towers, weights and tokenizer; returns how closely ONNX and torch agree.

    Raises:
        StateError: they do not agree on `pictures` or on the prompts.
        StorageError: the disk is full or read-only.
    """
    export.export(reader, folder)
    storage.write_text(folder / "tokenizer.json", prompts.tokenizer.to_str())
    sentences, _ = prompts.sentences(CLASS_NAMES)
    return export.check_parity(reader, folder, pictures, prompts.tokens(sentences))


def prototypes_by_name(prototypes: NDArray[np.float32]) -> dict[str, list[float]]:
    """Prototypes as a manifest holds them."""
    rows = zip(CLASS_NAMES, prototypes.tolist(), strict=True)
    return {name: [round(x, 6) for x in row] for name, row in rows}


def _manifest(run: Run, trained: _Trained, prototypes: dict[str, list[float]]) -> Manifest:
    windows, recipe = trained.windows, run.config.recipe
    return Manifest(
        version=run.version,
        preset=recipe.preset,
        style=raster.STYLE_HASH,
        rules=rules.RULES_VERSION,
        dimension=len(next(iter(prototypes.values()))),
        context=trained.reader.context,
        created_at=iso(round(time.time() * 1000)),
        recipe=run.config.model_dump(mode="json"),
        data=TrainingCandles(
            klines=run.data,
            train_symbols=sorted(set(windows.train.symbol.tolist())),
            held_out_symbols=sorted(set(windows.held_out.symbol.tolist())),
            train_until=iso(windows.train_until_ms),
            held_out_from=iso(windows.held_out_from_ms),
            train_windows=len(windows.train),
            held_out_windows=len(windows.held_out),
        ),
        figures={},
        prior=batches.class_shares(windows.train),
        scale=float(trained.reader.scale.detach()),
        prototypes=prototypes,
        files={},
    )


def _label_windows(run: Run) -> Split:
    windows = split.divide(run.tables, run.config.split)
    cache = batches.LabelCache(
        run.paths.root / "vision_ai" / "labels", rules.label, rules.RULES_VERSION
    )
    train, held_out = cache.label(windows.train), cache.label(windows.held_out)
    if run.wording.corrections:
        train, held_out = (
            training_data.apply_annotations(train, run.wording.corrections, ANNOTATION_WEIGHT),
            training_data.apply_annotations(held_out, run.wording.corrections, 1),
        )
    return replace(windows, train=train, held_out=held_out)
