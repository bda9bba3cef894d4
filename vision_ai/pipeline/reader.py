"""Everything that reads charts, opened once and checked to belong together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from vision_ai import index, predict_cv_setup, storage
from vision_ai.charts import raster
from vision_ai.config import Config, Paths
from vision_ai.domain import PHASES, READINGS, ChartKey, Embeddings, Floats, Interval
from vision_ai.errors import (
    CorruptFileError,
    EmptyIndexError,
    MissingModelError,
    StaleIndexError,
)
from vision_ai.index import Index
from vision_ai.measures import indicators
from vision_ai.measures.purge import Eligibility, PointInTimeFilter, Spans
from vision_ai.model import registry, vectors
from vision_ai.model.embed import Embedder
from vision_ai.model.registry import ModelFolder
from vision_ai.predict_cv_setup import Answers, Calibration, Evidence, NearbyAnnotations, Prototypes

CALIBRATION = "calibration.json"
"""Beside the model it was fitted for."""

MOST_ANNOTATIONS = 8
"""Charts labelled by people that may count for one chart."""

LIVE = PointInTimeFilter()

CHUNK = 256
"""Charts drawn and embedded at a time: their pictures take 14 MB."""


@dataclass(frozen=True, eq=False)
class Reader:
    """A model with the index and the calibration that were made for it.

    Attributes:
        model: the version in use.
        embedder: pictures to vectors.
        index: the charts that may vote.
        prompts: where each class's descriptions point.
        calibration: how the evidence is weighed.
        neighbors: how many similar charts vote.
    """

    model: ModelFolder
    embedder: Embedder
    index: Index
    prompts: Prototypes
    calibration: Calibration
    neighbors: int

    @classmethod
    def open(cls, config: Config, paths: Paths) -> Self:
        """Load the configured model with the index and the calibration that were made for it.

        Raises:
            MissingModelError: no such version.
            CorruptFileError: a file is damaged.
            StaleIndexError: model, style, index and calibration do not belong together.
        """
        model = registry.resolve(paths, config.model.version)
        check_style(model)
        embedder = Embedder(model, threads=config.model.threads, batch=config.model.batch)
        search_index = open_index(paths, model)
        fitted_calibration = calibration(model)
        predict_cv_setup.check_maker(fitted_calibration, search_index.rows)
        return cls(
            model,
            embedder,
            search_index,
            prompts(model),
            fitted_calibration,
            config.index.neighbors,
        )

    def vectors(self, bars: NDArray[np.float64]) -> NDArray[np.float32]:
        """Draw and embed charts (n, 96, 5), a chunk of pictures in memory at a time."""
        parts = (bars[start : start + CHUNK] for start in range(0, max(len(bars), 1), CHUNK))
        return np.concatenate([self.embedder.images(raster.render(part)) for part in parts])

    def evidence(
        self,
        bars: NDArray[np.float64],
        spans: Spans,
        *,
        eligibility: Eligibility,
        has_scale: bool = True,
    ) -> Evidence:
        """Draw, embed and search charts: bars (n, 96, 5), each with the time it occupies."""
        chart_vectors = self.vectors(bars)
        return weigh(
            self,
            chart_vectors,
            spans,
            _scale(bars) if has_scale else _unknown(len(bars)),
            eligibility,
        )

    def answers(
        self,
        bars: NDArray[np.float64],
        spans: Spans,
        *,
        has_scale: bool = True,
        eligibility: Eligibility = LIVE,
    ) -> Answers:
        """What charts show, as could be known when each was seen, with what people said of others.

        A simulation of the past gives `PointInTimeFilter(is_replay=True)`: then people's labels
        count from the time at which they were given.
        """
        chart_vectors = self.vectors(bars)
        scale = _scale(bars) if has_scale else _unknown(len(bars))
        return read(self, chart_vectors, spans, scale, eligibility)


def read(
    reader: Reader,
    vectors: NDArray[np.float32],
    spans: Spans,
    scale: Floats,
    eligibility: Eligibility,
) -> Answers:
    """What embedded charts show, with what people said of charts like them."""
    evidence = weigh(reader, vectors, spans, scale, eligibility)
    nearby = reader.index.search_annotated(
        vectors, spans, eligibility=eligibility, k=MOST_ANNOTATIONS
    )
    if nearby is None or reader.index.annotated is None:
        return predict_cv_setup.read(evidence, reader.calibration)
    annotations = NearbyAnnotations.of(reader.index.annotated, *nearby)
    return predict_cv_setup.read(evidence, reader.calibration, annotations)


def weigh(
    reader: Reader,
    vectors: NDArray[np.float32],
    spans: Spans,
    scale: Floats,
    eligibility: Eligibility,
) -> Evidence:
    """Search for the neighbors of embedded charts and collect the evidence."""
    neighbors = reader.index.search(vectors, spans, eligibility=eligibility, k=reader.neighbors)
    return predict_cv_setup.gather(
        vectors, neighbors, reader.index.rows, reader.prompts, interval=spans.interval, scale=scale
    )


def check_style(model: ModelFolder) -> None:
    """Refuse a model that learned from pictures drawn otherwise than they are drawn now.

    Raises:
        StaleIndexError: the styles differ.
    """
    if model.manifest.style != raster.STYLE_HASH:
        raise StaleIndexError(
            f"Model {model.version} reads pictures of style {model.manifest.style[:12]}: this "
            f"version draws style {raster.STYLE_HASH[:12]}.",
            hint="Use the shipped model, or run vision-ai train.",
        )


def open_index(paths: Paths, model: ModelFolder) -> Index:
    """The index that was built here; where none was, the exemplars that came with the model.

    Of several the current one counts if this model made it, else this model's newest. An index of
    a version that draws the same vectors serves too, with this model's weights.

    Raises:
        StaleIndexError: the built index belongs to another model or style.
        CorruptFileError: it is damaged.
    """
    try:
        version = index.version_for(paths.index, model.version)
        built = index.load(paths.index, style=raster.STYLE_HASH, version=version)
    except EmptyIndexError:
        return Index(exemplars(model))
    if built.rows.model == model.version:
        return built
    return Index(_with_weights_of(paths, built.rows, model), built.annotations)


def _with_weights_of(paths: Paths, rows: Embeddings, model: ModelFolder) -> Embeddings:
    """Rows of another version as those of `model`: same vectors, other exemplar weights."""
    try:
        maker = registry.resolve(paths, rows.model)
    except MissingModelError:
        maker = None
    if maker is None or maker.image_hash != model.image_hash:
        raise StaleIndexError(
            f"The index was built by model {rows.model!r}: expected {model.version!r}.",
            hint=index.REPAIR,
        )
    was, now = weights(exemplars(maker)), weights(exemplars(model))
    factor = [now[at] / was[at] if at in now and at in was else 1.0 for at in rows.keys]
    weight = (rows.weight * np.array(factor)).astype(np.float32)
    return replace(rows, model=model.version, weight=weight)


def weights(rows: Embeddings) -> dict[ChartKey, float]:
    """How much the vote of each chart counts."""
    return dict(zip(rows.keys, rows.weight.tolist(), strict=True))


def exemplars(model: ModelFolder) -> Embeddings:
    """The labelled charts that came with a model.

    Raises:
        StaleIndexError: another model made them.
    """
    rows = vectors.load(model.exemplars)
    if rows.model != model.version:
        raise StaleIndexError(
            f"Exemplars in {model.path} were made by {rows.model!r}: expected {model.version!r}.",
            hint=model.repair,
        )
    if rows.vectors.shape[1] != model.manifest.dimension:
        raise CorruptFileError(
            f"{model.exemplars} holds vectors of {rows.vectors.shape[1]} numbers: expected "
            f"{model.manifest.dimension}.",
            hint=model.repair,
        )
    return rows


def calibration(model: ModelFolder) -> Calibration:
    """How a model's evidence is weighed.

    Raises:
        CorruptFileError: it is missing or damaged.
    """
    return storage.read_document(model.path / CALIBRATION, Calibration, repair=model.repair)


def prompts(model: ModelFolder) -> Prototypes:
    """Where the descriptions of each class point, as stored with the model."""
    try:
        return prompts_from(model.manifest.prototypes)
    except KeyError as error:
        raise CorruptFileError(
            f"The manifest in {model.path} has no prototype of {error}.",
            hint=model.repair,
        ) from error


def prompts_from(stored: Mapping[str, Sequence[float]]) -> Prototypes:
    """Where the descriptions of each class point, by the names that a manifest gives them."""

    def stack(names: Sequence[str]) -> NDArray[np.float32]:
        return np.array([stored[name] for name in names], np.float32)

    return Prototypes(stack([r.name for r in READINGS]), stack([f"phase:{p}" for p in PHASES]))


def spans_of(
    symbols: Sequence[str], intervals: Sequence[Interval], as_of_ms: Sequence[int]
) -> Spans:
    """The time that charts occupy whose last candles closed at `as_of_ms`."""
    return Spans.at(symbols, [interval.value for interval in intervals], as_of_ms)


def _scale(bars: NDArray[np.float64]) -> Floats:
    return indicators.volatility(bars)


def _unknown(n: int) -> Floats:
    return np.full(n, np.nan)
