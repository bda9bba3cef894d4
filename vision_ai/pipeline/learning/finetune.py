"""A challenger trained from the champion's weights on resolved charts, and mixed with them.

The signal is what charts *show*: labels of the rule book, or of a person, on charts that the
champion met in use. Earlier charts are replayed beside them against forgetting. Outcomes decide
when a chart may be learned from and what its exemplar tells of moves; they are never a label.
Trained and old weights are then mixed (WiSE-FT: Wortsman et al. 2022) and both models read the
latest charts, which neither has learned from. Needs the `train` extra.
"""

import copy
import hashlib
import logging
import tempfile
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from vision_ai import (
    feedback_loop_cv,
    index,
    predict_cv_setup,
    storage,
    train_cv_model,
    training_data,
)
from vision_ai.domain import Embeddings, Floats, iso
from vision_ai.feedback.challenge import DAY_MS
from vision_ai.feedback_loop_cv import GateAttempt, Stages, Tuned, UpdateProposal
from vision_ai.index import Index
from vision_ai.labels import review, rules
from vision_ai.measures.scores import quadratic_score
from vision_ai.model import lineage, registry, vectors, vocabulary
from vision_ai.model.embed import Embedder
from vision_ai.model.registry import Manifest, ModelFolder
from vision_ai.model.training import checkpoint, presets, trainer
from vision_ai.model.training.batches import Batches, Corpus
from vision_ai.model.training.fit import fit
from vision_ai.model.training.presets import ChartReader
from vision_ai.model.training.trainer import PromptSet, Recipe
from vision_ai.pipeline import reader
from vision_ai.pipeline.learning import curriculum, reweight, train
from vision_ai.pipeline.learning.curriculum import Curriculum, TuneConfig
from vision_ai.pipeline.reader import Reader
from vision_ai.pipeline.workspace import Workspace, progress
from vision_ai.predict_cv_setup import Answers, Calibration, Prototypes

logger = logging.getLogger(__name__)

_SLICE = 1024
_REPAIR = "Run vision-ai train again."


def update(
    workspace: Workspace,
    now_ms: int,
    config: TuneConfig | None = None,
    *,
    klines: Path | None = None,
    device: str | None = None,
    steps: int | None = None,
) -> UpdateProposal:
    """One update in the mode `finetune`; one that was killed resumes at its last checkpoint.

    Raises:
        InputError: the champion cannot be trained, or the settings fix a model.
        StateError: another fine-tuning is under way, or a file is damaged.
        StorageError: something could not be written; the model in use stays.
    """
    model = registry.resolve(workspace.paths, workspace.config.model.version)
    folder = workspace.paths.models / ".finetune"
    settings = _settings(config or TuneConfig(), model.manifest.preset, steps)
    tuner = Tuner(workspace, model, settings, folder, klines, device)
    champion = replace(reweight.champion(workspace, now_ms), tune=tuner)
    with checkpoint.alone(folder, "A fine-tuning"):
        proposal = feedback_loop_cv.update_cv_model_weights(
            workspace.paths, now_ms, "finetune", champion=champion
        )
        checkpoint.clear(folder)
    return proposal


def _settings(config: TuneConfig, preset: str, steps: int | None) -> TuneConfig:
    chosen = {"preset": preset} | ({} if steps is None else {"steps": steps})
    recipe = Recipe.model_validate(config.recipe.model_dump() | chosen)
    return config.model_copy(update={"recipe": recipe})


@dataclass(frozen=True, eq=False)
class _Challenger:
    """A mix with everything that it needs to read charts."""

    folder: ModelFolder
    rows: Embeddings
    calibration: Calibration


@dataclass(frozen=True)
class Tuner:
    """Makes a challenger of one champion."""

    workspace: Workspace
    model: ModelFolder
    config: TuneConfig
    folder: Path
    klines: Path | None
    device: str | None

    def __call__(self, folds: Stages) -> Tuned | str:
        """Train, mix and judge; or a sentence on what is missing."""
        opened = self.workspace.reader
        material = curriculum.prepare(
            self.workspace, self.config, folds, opened.index.rows, self.klines
        )
        if isinstance(material, str):
            return material
        start, prompt_set = self._champion()
        trained = self._train(material, prompt_set)
        scores = self._sweep(material, start, trained, prompt_set)
        mix = max(scores, key=lambda tried: (scores[tried], -tried))
        # a tiny change of the weights flips a choice here and there: that is no gain
        if scores[mix] < scores[0.0] + self.config.least_gain:
            mix = 0.0
        logger.info("mixes tried %s chosen=%.2f", scores, mix)
        if not mix:
            return Tuned(0.0, np.empty(0), np.empty(0), np.empty(0, np.int64), {}, lambda _: "")
        trainer.interpolate_weights(trained, start, mix)
        challenger = self._package(material, folds, trained, prompt_set, opened.calibration)
        tried = {f"mix_{share:.2f}": round(score, 6) for share, score in scores.items()}
        return self._judge(material, folds, opened, challenger, mix, tried)

    def _champion(self) -> tuple[ChartReader, PromptSet]:
        """The champion's weights and prompts."""
        preset = presets.resolve(self.config.recipe.preset)
        start = presets.create(preset, pretrained=False)
        presets.load_weights(start, self.model.weights, repair=_REPAIR)
        tokenizer = vocabulary.load(self.model.tokenizer, repair=_REPAIR)
        return start, training_data.make_prompts(start, tokenizer)

    def _train(self, material: Curriculum, prompt_set: PromptSet) -> ChartReader:
        """The champion's weights after training; a killed run of the same resumes."""
        recipe = self.config.recipe
        work = self.folder / self._fingerprint(material)
        for other in self.folder.iterdir():
            if other.is_dir() and other != work:
                checkpoint.clear(other)
        trainer.set_seed(recipe.seed)
        where = trainer.pick_device(self.device)
        student = train_cv_model.make_trainer(self._champion()[0], prompt_set, recipe, where)
        sampler = train_cv_model.make_sampler(material.training, recipe)
        artist = training_data.example_factory(material.captions)
        source = Batches(material.training, artist, sampler, shown=student.shown)
        charts = training_data.render_charts(
            curriculum.some(material.choosing, self.config.tried_on, recipe.seed)
        )
        watch = train_cv_model.make_validation(student, charts)
        fit(student, source, work, watch)
        return student.average.cpu()

    def _fingerprint(self, material: Curriculum) -> str:
        text = f"{self.model.version}|{self.config.model_dump_json()}|{material.fingerprint}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def _sweep(
        self, material: Curriculum, start: ChartReader, trained: ChartReader, prompt_set: PromptSet
    ) -> dict[float, float]:
        """Mean score of each mix on the choosing charts, the champion's own weights as mix 0.

        Each has the same exemplars and a calibration fitted alike, so only weights differ.
        """
        config, settings = self.config, self.workspace.config
        known = curriculum.some(material.known, config.tried_with, config.recipe.seed)
        choosing = curriculum.some(material.choosing, config.tried_on, config.recipe.seed)
        voting_charts, choosing_charts = (
            training_data.render_charts(known),
            training_data.render_charts(choosing),
        )
        manifest = self.model.manifest
        rows, charts = (
            training_data.embed_charts(part, partial(trainer.embed_pictures, start), manifest)
            for part in (known, choosing)
        )
        scores = {}
        mixes = (0.0, *config.mixes)
        for mix in progress(mixes, total=len(mixes), what="Trying mixes"):
            mixed = copy.deepcopy(trained)
            trainer.interpolate_weights(mixed, start, mix)
            voters = Index(
                replace(rows, vectors=trainer.embed_pictures(mixed, voting_charts.pictures))
            )
            queries = replace(
                charts, vectors=trainer.embed_pictures(mixed, choosing_charts.pictures)
            )
            prompts = _prompts(mixed, prompt_set)
            evidence = train.gather(voters, queries, prompts, settings.index)
            fitted = predict_cv_setup.fit(
                evidence, queries, voters.rows, level=settings.predict.level
            )
            answers = predict_cv_setup.read(evidence, fitted)
            scores[mix] = round(float(_scores(answers, queries).mean()), 6)
        return scores

    def _package(
        self,
        material: Curriculum,
        folds: Stages,
        mixed: ChartReader,
        prompt_set: PromptSet,
        was: Calibration,
    ) -> _Challenger:
        """The mix as files, its exemplars embedded and its readings calibrated; not in use.

        Bands, and how far people's annotations carry over, stay the champion's: this mode learned
        nothing about them.
        """
        with storage.writing(self.folder):
            staging = Path(tempfile.mkdtemp(prefix="staging-", dir=self.folder))
        staging.chmod(0o755)
        some = training_data.render_charts(curriculum.some(material.choosing, 32, 0))
        parity = train_cv_model.write_towers(mixed, prompt_set, staging, some.pictures)
        manifest = self._manifest(material, folds, mixed, prompt_set, parity)
        folder = ModelFolder(staging, manifest)
        rows = self._embed_exemplars(material, folder)
        vectors.save(folder.exemplars, rows)
        settings = self.workspace.config
        images = Embedder(folder, threads=settings.model.threads).images
        charts = training_data.embed_charts(material.choosing, images, manifest)
        evidence = train.gather(Index(rows), charts, reader.prompts(folder), settings.index)
        fitted = predict_cv_setup.fit(evidence, charts, rows, level=settings.predict.level)
        own_fields = {name: getattr(was, name) for name in ("bands", "transfer", "human_error")}
        fitted = fitted.model_copy(update=own_fields)
        storage.write_document(staging / reader.CALIBRATION, fitted)
        return _Challenger(folder, rows, fitted)

    def _manifest(
        self,
        material: Curriculum,
        folds: Stages,
        mixed: ChartReader,
        prompt_set: PromptSet,
        parity: float,
    ) -> Manifest:
        was = self.model.manifest
        digest = hashlib.sha256(self._fingerprint(material).encode())
        for tensor in mixed.state_dict().values():
            digest.update(tensor.numpy().tobytes())
        data = was.data.model_copy(
            update={
                "klines": _digest(material.training),
                "train_symbols": sorted(
                    {*was.data.train_symbols, *material.training.symbol.tolist()}
                ),
                "held_out_symbols": sorted(
                    {*was.data.held_out_symbols, *material.choosing.symbol.tolist()}
                ),
                "train_until": max(was.data.train_until, iso(folds.until_ms)),
                "held_out_until": max(was.data.held_out_until, iso(folds.chosen_until_ms)),
                "train_windows": len(material.training),
                "held_out_windows": len(material.choosing),
            }
        )
        prototypes = trainer.prototypes(mixed, prompt_set)
        return was.model_copy(
            update={
                "version": lineage.child_name(
                    self.model.version, f"f{folds.number}", digest.hexdigest()
                ),
                "rules": rules.RULES_VERSION,
                "created_at": iso(folds.now_ms),
                "recipe": {**was.recipe, "finetune": self.config.model_dump(mode="json")},
                "data": data,
                "figures": {"onnx_parity": parity},
                "scale": float(mixed.scale.detach()),
                "prototypes": train_cv_model.prototypes_by_name(prototypes),
                "parents": [self.model.version, *was.parents],
                "files": {},
            }
        )

    def _embed_exemplars(self, material: Curriculum, folder: ModelFolder) -> Embeddings:
        """The exemplars, with the weights that the champion's carried and people's labels."""
        settings = self.workspace.config.model
        images = Embedder(folder, threads=settings.threads, batch=settings.batch).images
        starts = range(0, len(material.known), _SLICE)
        parts = [
            training_data.embed_charts(
                material.known.take(np.arange(at, min(at + _SLICE, len(material.known)))),
                images,
                folder.manifest,
            )
            for at in progress(starts, total=len(starts), what="Embedding exemplars")
        ]
        rows = parts[0]
        for part in parts[1:]:
            rows = index.merge(rows, part)
        carried = reader.weights(reader.exemplars(self.model))
        weight = [carried.get(at, 1.0) for at in rows.keys]
        rows = replace(rows, weight=np.array(weight, np.float32))
        return review.apply_corrections(
            rows, material.captions.corrections, train_cv_model.ANNOTATION_WEIGHT
        )[0]

    def _judge(
        self,
        material: Curriculum,
        folds: Stages,
        opened: Reader,
        challenger: _Challenger,
        mix: float,
        tried: dict[str, float],
    ) -> Tuned:
        """Both models on the latest charts, the champion as it is in use."""
        settings = self.workspace.config
        folder = challenger.folder
        embedder = Embedder(folder, threads=settings.model.threads, batch=settings.model.batch)
        sides = {
            "champion": (opened.embedder, opened.index, opened.prompts, opened.calibration),
            "challenger": (
                embedder, Index(challenger.rows), reader.prompts(folder), challenger.calibration
            ),
        }  # fmt: skip
        scores: dict[str, Floats] = {}
        figures: dict[str, float] = {}
        for side, (seer, voters, prompts, calibration) in sides.items():
            charts = training_data.embed_charts(material.judging, seer.images, seer.model.manifest)
            evidence = train.gather(voters, charts, prompts, settings.index)
            scores[side] = _scores(predict_cv_setup.read(evidence, calibration), charts)
            measured = train.measure(evidence, charts, calibration)
            figures |= {f"{side}_{name}": round(value, 6) for name, value in measured.items()}
            at_ms = charts.close_ms
        publish = partial(self._publish, challenger, figures, tried, mix)
        finite_figures = {name: value for name, value in figures.items() if np.isfinite(value)}
        day = at_ms // DAY_MS
        return Tuned(mix, scores["champion"], scores["challenger"], day, finite_figures, publish)

    def _publish(
        self,
        challenger: _Challenger,
        figures: dict[str, float],
        tried: dict[str, float],
        mix: float,
        attempt: GateAttempt,
    ) -> str:
        folder = challenger.folder
        version = folder.version
        if (self.workspace.paths.models / version / "manifest.json").is_file():
            return registry.resolve(self.workspace.paths, version).version
        changes = {
            "by": "feedback, mode finetune",
            "mix": mix,
            "mixes": tried,
            "gate": reweight.verdict(attempt),
        }
        own = {name: value for name, value in figures.items() if np.isfinite(value)}
        manifest = folder.manifest.model_copy(
            update={"changes": changes, "figures": {**folder.manifest.figures, **own}}
        )
        return registry.publish(self.workspace.paths, folder.path, manifest).version


def _scores(answers: Answers, charts: Embeddings) -> Floats:
    """How well each chart's setup and phase were read, together."""
    reading = quadratic_score(answers.probabilities.reading, charts.reading)
    return reading + quadratic_score(answers.probabilities.phase, charts.phase)


def _prompts(mixed: ChartReader, prompt_set: PromptSet) -> Prototypes:
    return reader.prompts_from(
        train_cv_model.prototypes_by_name(trainer.prototypes(mixed, prompt_set))
    )


def _digest(corpus: Corpus) -> str:
    text = "".join(sorted(table.digest for table in corpus.tables))
    return hashlib.sha256(text.encode()).hexdigest()
