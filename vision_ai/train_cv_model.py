"""Labelled charts to a fine-tuned CLIP model: one call from candles to a model version.

Candles are cut into windows, windows are split so that neither a symbol nor an hour is shared
between training and validation, the rule book labels them, and the model learns from charts
that are drawn anew at each step. The run ends with both towers in ONNX, exemplars, vectors in
`data/vision_ai/embeddings/` and figures on the held-out windows. A run that is killed goes on
where its last checkpoint stands; a run that is finished is not run again.
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
from vision_ai.labels.captions import Wording
from vision_ai.market import files
from vision_ai.model import registry, vectors
from vision_ai.model.embed import Embedder
from vision_ai.model.registry import Data, Manifest, ModelFolder
from vision_ai.model.training import (
    batches,
    checkpoint,
    export,
    report,
    split,
    trainer,
)
from vision_ai.model.training.batches import Batches, Corpus
from vision_ai.model.training.fit import Course, Validate, fit
from vision_ai.model.training.presets import ChartReader
from vision_ai.model.training.sampler import Practice
from vision_ai.model.training.split import Split, SplitConfig
from vision_ai.model.training.trainer import Device, Learner, Recipe, Words

logger = logging.getLogger(__name__)


CORRECTED = 4
"""Times that a chart counts in training, and as an exemplar, once a person labelled it."""


NAMES = (*(reading.name for reading in READINGS), *(f"phase:{phase}" for phase in PHASES))
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
    run = Run(config, paths, read_tables(klines), weights, training_data.written(paths))
    return carry_out(run, where, quiet=quiet)


def carry_out(run: "Run", where: Device, *, quiet: bool = False) -> ModelFolder:
    """Train what a run says, or go on with it; raises what `train` does."""
    with run.locked():
        if not run.is_done:
            run.check_place()
            trained = _learn(run, where, quiet=quiet)
            _finish(run, trained)
        checkpoint.clear(run.folder)
    return registry.resolve(run.paths, run.version)


def read_tables(klines: Path) -> tuple[Klines, ...]:
    """Candles of both charted intervals of every file in a folder, coarser ones resampled."""
    return tuple(
        table for interval in CHART_INTERVALS for _, table in files.read_folder(klines, interval)
    )


@dataclass(frozen=True, eq=False)
class Run:
    """A run's identity and places: the same settings and candles are the same run."""

    config: TrainConfig
    paths: Paths
    tables: Sequence[Klines]
    weights: Path | None = None
    wording: Wording = field(default_factory=Wording)

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
        """Where checkpoints stand until the run is done."""
        return self.paths.models / f".run-{self.version}"

    @property
    def is_done(self) -> bool:
        """Whether the version stands already."""
        return (self.paths.models / self.version / "manifest.json").is_file()

    def check_place(self) -> None:
        """Refuse to train for hours what could not be published then.

        Raises:
            StateError: a folder without a manifest stands where the version will.
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
    """What training hands to the export."""

    reader: ChartReader
    parts: Split
    course: Course


def _learn(run: Run, where: Device, *, quiet: bool) -> _Trained:
    config, recipe = run.config, run.config.recipe
    parts = _labelled(run)
    reader = trainer.start(recipe, run.weights)
    words = training_data.words_of(reader)
    student = student_of(reader, words, recipe, where)
    logger.info(
        "training version=%s device=%s bf16=%s train=%d held_out=%d",
        run.version, where, student.bf16, len(parts.train), len(parts.held_out),
    )  # fmt: skip
    practice = practice_of(parts.train, recipe)
    source = Batches(parts.train, training_data.artist(run.wording), practice, shown=student.shown)
    charts = training_data.charts_of(
        training_data.sampled(parts.held_out, config.validation, recipe.seed)
    )
    course = fit(student, source, run.folder, watching(student, charts), quiet=quiet)
    average = student.average.cpu()
    if average.preset.kept:
        first = trainer.start(recipe, run.weights)
        trainer.blend(average, first, 1 - average.preset.kept)
    return _Trained(average, parts, course)


def student_of(reader: ChartReader, words: Words, recipe: Recipe, where: Device) -> Learner:
    """A model about to be trained on what `artist` draws and measures."""
    bf16 = recipe.precision == "bf16" or (recipe.precision == "auto" and trainer.bf16_pays(where))
    return Learner(reader, words, recipe, where, facts=training_data.FACTS, bf16=bf16)


def practice_of(corpus: Corpus, recipe: Recipe) -> Practice:
    """Which charts of a corpus come when, as a recipe has it."""
    return Practice(
        corpus.reading, size=recipe.batch, seed=recipe.seed, balance=recipe.balance,
        hard=recipe.hard,
    )  # fmt: skip


def watching(student: Learner, charts: report.Charts) -> Validate:
    """What early stopping watches: how well prompts alone read `charts`."""

    def validate(average: ChartReader) -> dict[str, float]:
        read = trainer.see(average, charts.pictures, bf16=student.bf16)
        found = report.by_prompts(read, trainer.prototypes(average, student.words), charts)
        return {"score": (found["setup_macro_f1"] + found["phase_macro_f1"]) / 2, **found}

    return validate


def _finish(run: Run, trained: _Trained) -> None:
    """Export, measure and publish; nothing is visible until all of it is there."""
    reader, parts, config = trained.reader, trained.parts, run.config
    with storage.writing(run.folder):
        staging = Path(tempfile.mkdtemp(prefix="staging-", dir=run.folder))
    staging.chmod(0o755)  # a model is for every user of the machine
    words = training_data.words_of(reader)
    known = training_data.sampled(parts.train, config.exemplars, config.recipe.seed, balance=0.5)
    unseen = training_data.sampled(parts.held_out, config.measured, config.recipe.seed + 1)
    charts = training_data.charts_of(unseen)
    sentences, meant = words.sentences(NAMES)
    parity = write_towers(reader, words, staging, charts.pictures[:32])
    prototypes = trainer.prototypes(reader, words)
    manifest = _manifest(run, trained, named(prototypes))
    embedder = Embedder(ModelFolder(staging, manifest))
    figures = report.figures(embedder.images, prototypes, charts, training_data.charts_of(known))
    manifest = manifest.model_copy(update={"figures": {**figures, "onnx_parity": parity}})
    exemplars = training_data.embeddings_of(known, embedder.images, manifest)
    exemplars, _ = review.apply(exemplars, run.wording.words, CORRECTED)
    vectors.save(staging / "exemplars.parquet", exemplars)
    folder = run.paths.embeddings
    vectors.save(folder / f"{run.version}.parquet", exemplars)
    held_out = training_data.embeddings_of(unseen, embedder.images, manifest)
    vectors.save(folder / f"{run.version}-held-out.parquet", held_out)
    vectors.save_texts(
        folder / f"{run.version}-texts.parquet",
        vectors.Texts(sentences, meant, embedder.texts(sentences)),
        model=run.version,
    )
    registry.publish(run.paths, staging, manifest)


def write_towers(reader: ChartReader, words: Words, folder: Path, pictures: Bytes) -> float:
    """Write a model's towers, weights and words; gives how closely ONNX and torch agree.

    Raises:
        StateError: they do not agree on `pictures` or on the prompts.
        StorageError: the disk is full or read-only.
    """
    export.export(reader, folder)
    storage.write_text(folder / "tokenizer.json", words.tokenizer.to_str())
    sentences, _ = words.sentences(NAMES)
    return export.check_parity(reader, folder, pictures, words.tokens(sentences))


def named(prototypes: NDArray[np.float32]) -> dict[str, list[float]]:
    """Prototypes as a manifest holds them."""
    rows = zip(NAMES, prototypes.tolist(), strict=True)
    return {name: [round(x, 6) for x in row] for name, row in rows}


def _manifest(run: Run, trained: _Trained, prototypes: dict[str, list[float]]) -> Manifest:
    parts, recipe = trained.parts, run.config.recipe
    return Manifest(
        version=run.version,
        preset=recipe.preset,
        style=raster.STYLE_HASH,
        rules=rules.RULES_VERSION,
        dimension=len(next(iter(prototypes.values()))),
        context=trained.reader.context,
        created_at=iso(round(time.time() * 1000)),
        recipe=run.config.model_dump(mode="json"),
        data=Data(
            klines=run.data,
            train_symbols=sorted(set(parts.train.symbol.tolist())),
            held_out_symbols=sorted(set(parts.held_out.symbol.tolist())),
            train_until=iso(parts.train_until_ms),
            held_out_from=iso(parts.held_out_from_ms),
            train_windows=len(parts.train),
            held_out_windows=len(parts.held_out),
        ),
        figures={},
        prior=batches.shares(parts.train),
        scale=float(trained.reader.scale.detach()),
        prototypes=prototypes,
        files={},
    )


def _labelled(run: Run) -> Split:
    parts = split.divide(run.tables, run.config.split)
    cache = batches.LabelCache(
        run.paths.root / "vision_ai" / "labels", rules.label, rules.RULES_VERSION
    )
    train, held_out = cache.label(parts.train), cache.label(parts.held_out)
    if run.wording.words:
        train, held_out = (
            training_data.heeded(train, run.wording.words, CORRECTED),
            training_data.heeded(held_out, run.wording.words, 1),
        )
    return replace(parts, train=train, held_out=held_out)
