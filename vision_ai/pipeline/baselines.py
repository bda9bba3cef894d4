"""Every baseline on the very charts that the model was measured on, under the same purge."""

import hashlib
import io
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from vision_ai import predict_cv_setup, storage
from vision_ai.charts import raster
from vision_ai.domain import CHART_INTERVALS, READINGS, Embeddings, Floats, Ints, Klines, Labels
from vision_ai.errors import InputError, install
from vision_ai.evaluation import baselines as plain
from vision_ai.evaluation import card
from vision_ai.evaluation.baselines import BaselineAnswers
from vision_ai.evaluation.card import ScoredCharts
from vision_ai.evaluation.sampling import ChartSample
from vision_ai.labels import rules
from vision_ai.market import files
from vision_ai.measures.purge import Eligibility, Spans
from vision_ai.pipeline import price_trends
from vision_ai.pipeline.lookup import Originals
from vision_ai.pipeline.reader import Reader
from vision_ai.pipeline.workspace import progress
from vision_ai.predict_cv_setup import Evidence

logger = logging.getLogger(__name__)

CHUNK = 256
SUBSET_SIZE = 1500
"""Charts, drawn at random, that the slow baselines answer; the model is measured on them too."""

WARPED_EXEMPLARS = 2000
"""Exemplars that dynamic time warping compares them with; more takes minutes."""

_OF_CANDLES = (
    "pixel_knn", "returns_knn", "dtw_knn", "untrained_tower_probe", "price_trends_cnn",
    "rule_facts",
)  # fmt: skip
"""Baselines that need candles of the model's training."""


@dataclass(frozen=True, eq=False)
class BaselineInputs:
    """What every baseline is asked: the charts, and what may be known of them.

    Networks that a baseline trains are kept in the folder `cache`, None keeps none.
    """

    reader: Reader
    sample: ChartSample
    vectors: NDArray[np.float32]
    evidence: Evidence
    eligibility: Eligibility
    charts: ScoredCharts
    cache: Path | None = None

    @property
    def exemplars(self) -> Embeddings:
        """The charts that may vote."""
        return self.reader.index.rows


@dataclass(frozen=True, eq=False)
class ChartSubset:
    """Some of the charts, for baselines that are slow: candles, times and the model's answers."""

    bars: NDArray[np.float64]
    spans: Spans
    charts: ScoredCharts

    @classmethod
    def of(cls, inputs: BaselineInputs) -> Self:
        """`SUBSET_SIZE` of them at most, drawn at random."""
        rows = _some(len(inputs.charts), SUBSET_SIZE)
        sample = inputs.sample
        return cls(sample.bars[rows], sample.spans.take(rows), inputs.charts.take(rows))


def baselines(inputs: BaselineInputs, learned_from: Path | None) -> dict[str, Any]:
    """Figures of every baseline that can be measured here; of the others, why they cannot."""
    measured: dict[str, Any] = {}
    missing: dict[str, str] = {}
    for name, answer in _from_vectors(inputs).items():
        _add(measured, missing, name, _scored(inputs.charts, answer))
    measured["same_regime"] = _same_regime(inputs)
    if learned_from is None:
        why = "needs the candles that the exemplars were drawn from: give --learned-from"
        missing.update(dict.fromkeys(_OF_CANDLES, why))
    else:
        _from_candles(inputs, learned_from, measured, missing)
    return {**measured, "not_measured": missing}


def _scored(
    charts: ScoredCharts, answer: Callable[[], BaselineAnswers]
) -> Callable[[], dict[str, Any]]:
    return lambda: card.compare_labels(charts, answer())


def _add(
    measured: dict[str, Any], missing: dict[str, str], name: str, work: Callable[[], Any]
) -> None:
    started = time.monotonic()
    try:
        measured[name] = work()
        logger.info("baseline measured name=%s s=%.1f", name, time.monotonic() - started)
    except InputError as error:
        logger.warning("baseline left out name=%s why=%s", name, error)
        missing[name] = str(error)


def _from_vectors(inputs: BaselineInputs) -> dict[str, Callable[[], BaselineAnswers]]:
    rows, evidence = inputs.exemplars, inputs.evidence
    scale = inputs.reader.model.manifest.scale
    return {
        "majority": lambda: _natural_majority(inputs),
        "zero_shot_prompts": lambda: plain.answer_by_prompts(
            evidence.text_reading, evidence.text_phase, scale
        ),
        "linear_probe": lambda: plain.answer_by_probe(
            rows.vectors,
            rows,
            inputs.vectors,
            _natural_weight(inputs.reader, rows),
        ),
    }


def _natural_majority(inputs: BaselineInputs) -> BaselineAnswers:
    weight = _natural_weight(inputs.reader, inputs.exemplars)
    n = len(inputs.charts)
    reading = np.bincount(inputs.exemplars.reading, weight).argmax()
    phase = np.bincount(inputs.exemplars.phase, weight).argmax()
    return BaselineAnswers(np.full(n, reading), np.full(n, phase), np.full(n, 1.0))


def _natural_weight(reader: Reader, rows: Embeddings) -> Floats:
    """Weights that give the exemplars' readings the shares that they have in the candles."""
    natural = np.array([reader.model.manifest.prior[r.name] for r in READINGS])
    chosen = np.bincount(rows.reading, minlength=len(READINGS)) / len(rows)
    weight: Floats = (natural / np.maximum(chosen, 1e-9))[rows.reading]
    return weight


def _same_regime(inputs: BaselineInputs) -> dict[str, Any]:
    neighbors = plain.draw_same_regime(
        inputs.exemplars,
        inputs.sample.spans,
        inputs.sample.outcomes.scale,
        eligibility=inputs.eligibility,
    )
    evidence = predict_cv_setup.gather(
        inputs.vectors,
        replace(
            neighbors, similarity=np.where(neighbors.rows >= 0, 1.0, -np.inf).astype(np.float32)
        ),
        inputs.exemplars,
        inputs.reader.prompts,
        interval=inputs.sample.spans.interval,
        scale=inputs.sample.outcomes.scale,
    )
    answers = predict_cv_setup.read(evidence, inputs.reader.calibration)
    return card.compare_outcomes(inputs.charts, answers.bands)


def _from_candles(
    inputs: BaselineInputs, folder: Path, measured: dict[str, Any], missing: dict[str, str]
) -> None:
    tables = tuple(_tables(folder))
    originals = Originals.find(inputs.exemplars, tables)
    rows = originals.found
    if not len(rows):
        why = f"{folder.name} holds none of the exemplars' candles"
        missing.update(dict.fromkeys(_OF_CANDLES, why))
        return
    known, exemplars = originals.bars(rows), inputs.exemplars.take(rows)
    sample, eligibility, subset = (
        inputs.sample,
        inputs.eligibility,
        ChartSubset.of(inputs),
    )
    logger.info("exemplars with candles found=%d of=%d", len(rows), len(inputs.exemplars))

    def nearest(features: NDArray[np.float32], theirs: NDArray[np.float32]) -> dict[str, Any]:
        guess = plain.answer_by_neighbors(
            exemplars, features, theirs, sample.spans, eligibility=eligibility
        )
        return card.compare_labels(inputs.charts, guess)

    def facts() -> dict[str, Any]:
        weight = _natural_weight(inputs.reader, exemplars)
        guess = plain.answer_by_trees(
            _facts(rules.label(known)), exemplars, _facts(sample.labels), weight
        )
        return card.compare_labels(inputs.charts, guess)

    work: dict[str, Callable[[], Any]] = {
        "pixel_knn": lambda: nearest(_pixels(known), _pixels(sample.bars)),
        "returns_knn": lambda: nearest(
            plain.return_features(known), plain.return_features(sample.bars)
        ),
        "dtw_knn": lambda: _warped(subset, inputs.eligibility, known, exemplars),
        "untrained_tower_probe": lambda: _untrained(inputs, subset, known, exemplars),
        "price_trends_cnn": lambda: _price_trends(inputs, subset, tables),
        "rule_facts": facts,
    }
    for name, call in progress(work.items(), total=len(work), what="Measuring baselines"):
        _add(measured, missing, name, call)


def _untrained(
    inputs: BaselineInputs, subset: ChartSubset, known: NDArray[np.float64], exemplars: Embeddings
) -> dict[str, Any]:
    """The linear probe on vectors of the same tower with the weights that training begins with.

    Those of the exemplars are kept beside the networks: one folder of candles has them made, and
    the others read them back.
    """
    try:
        from threadpoolctl import threadpool_limits

        from vision_ai.model.training import trainer
    except ModuleNotFoundError as error:
        raise InputError(
            f"{error.name} is not installed.", hint=install("train,evaluate")
        ) from error
    model = inputs.reader.model
    tower = trainer.create_model(trainer.Recipe(preset=model.manifest.preset, seed=0))

    def vectors(bars: NDArray[np.float64]) -> NDArray[np.float32]:
        starts = range(0, len(bars), CHUNK)
        with threadpool_limits(1):  # the probe turns the last bit of a vector into a figure
            return np.concatenate(
                [
                    trainer.embed_pictures(tower, raster.render(bars[at : at + CHUNK]))
                    for at in starts
                ]
            )

    digest = hashlib.sha256(f"{model.version}|{model.manifest.style}|".encode() + known.tobytes())
    cache = (
        None if inputs.cache is None else inputs.cache / f"untrained-{digest.hexdigest()[:16]}.npy"
    )
    weight = _natural_weight(inputs.reader, exemplars)
    learned_from = _once(cache, lambda: vectors(known))
    guess = plain.answer_by_probe(learned_from, exemplars, vectors(subset.bars), weight)
    return card.compare_labels(subset.charts, guess)


def _once(path: Path | None, make: Callable[[], NDArray[np.float32]]) -> NDArray[np.float32]:
    """An array that a file holds, or that is made and written there; a damaged file is replaced."""
    if path is None:
        return make()
    try:
        stored: NDArray[np.float32] = np.load(path, allow_pickle=False)
    except (OSError, ValueError):
        array, buffer = make(), io.BytesIO()
        np.save(buffer, array)
        storage.write_bytes(path, buffer.getvalue())
        return array
    return stored


def _price_trends(
    inputs: BaselineInputs, subset: ChartSubset, tables: tuple[Klines, ...]
) -> dict[str, Any]:
    training = price_trends.PriceTrendTraining(tables, inputs.reader.model.manifest, inputs.cache)
    predicted = price_trends.trends(training, subset.bars)
    return {
        **card.compare_answers(subset.charts, predicted.guess, predicted.up),
        **predicted.budget,
    }


def _tables(folder: Path) -> Iterator[Klines]:
    for interval in CHART_INTERVALS:
        for _, klines in files.read_folder(folder, intervals=[interval]):
            yield klines


def _pixels(bars: NDArray[np.float64]) -> NDArray[np.float32]:
    parts = [
        plain.pixel_features(raster.render(bars[at : at + CHUNK]))
        for at in range(0, len(bars), CHUNK)
    ]
    return np.concatenate(parts)


def _facts(labels: Labels) -> Floats:
    return np.stack([np.asarray(column, np.float64) for column in labels.facts.values()], axis=1)


def _warped(
    subset: ChartSubset, eligibility: Eligibility, known: Floats, exemplars: Embeddings
) -> dict[str, Any]:
    exemplar_rows = _some(len(exemplars), WARPED_EXEMPLARS)
    guess = plain.answer_by_warping(
        known[exemplar_rows],
        exemplars.take(exemplar_rows),
        subset.bars,
        subset.spans,
        eligibility=eligibility,
    )
    return card.compare_labels(subset.charts, guess)


def _some(n: int, most: int) -> Ints:
    return np.sort(np.random.default_rng(0).choice(n, min(n, most), replace=False))
