"""The index of similar charts: built of a model's exemplars, other candles and people's labels.

No model is trained for a person's label: rows that are there are relabelled, charts that are not
are embedded. The label also counts for charts like it, as far as the model's calibration found
that it carries over; for a model whose calibration does not say so, the chart votes with a larger
weight instead.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from vision_ai import index
from vision_ai.charts import raster
from vision_ai.domain import CHART_INTERVALS, PHASES, READINGS, Embeddings, Klines, Outcomes
from vision_ai.errors import KlinesError, MissingModelError
from vision_ai.index import Index, IndexAnnotation
from vision_ai.labels import review, rules
from vision_ai.labels.review import Correction, CorrectionLog
from vision_ai.market import files
from vision_ai.measures import targets
from vision_ai.model import registry
from vision_ai.model.embed import Embedder
from vision_ai.model.registry import ModelFolder
from vision_ai.pipeline import reader
from vision_ai.pipeline.lookup import Finder
from vision_ai.pipeline.workspace import Result, Workspace, progress


class IndexResult(Result):
    """An index, and what it was made of."""

    version: str
    model: str
    charts: int
    symbols: int
    intervals: dict[str, int] = Field(description="charts of each interval")
    folder: str


def build(workspace: Workspace, *, klines: Path | None, stride: int) -> IndexResult:
    """Index the exemplars of the current model, and charts of other candles where given.

    Raises:
        MissingModelError: no such model.
        KlinesError: the folder holds no candles that make a chart.
        StorageError: the disk is full; the old index is kept.
    """
    settings = workspace.config.model
    model = registry.resolve(workspace.paths, settings.version)
    reader.check_style(model)
    parts = [reader.exemplars(model)]
    if klines is not None:
        embedder = Embedder(model, threads=settings.threads, batch=settings.batch)
        paths = files.candle_files(klines)
        for path in progress(paths, total=len(paths), what="Embedding charts"):
            parts += _embedded(embedder, files.read_file(path), stride)
    now = apply_annotations(workspace, model, _merged(parts))
    built = index.build(
        workspace.paths.index, now.rows, now_ms=workspace.clock(), annotations=now.annotations
    )
    return _describe(built, workspace)


def show(workspace: Workspace) -> IndexResult:
    """Say which index is in use and what it was made of.

    Raises:
        StateError: index and model do not belong together, or a file is damaged.
    """
    model = registry.resolve(workspace.paths, workspace.config.model.version)
    return _describe(reader.open_index(workspace.paths, model), workspace)


def _merged(parts: list[Embeddings]) -> Embeddings:
    """All rows, earlier parts first; pairs at a time, so that no part is copied again for each."""
    while len(parts) > 1:
        pairs = zip(parts[::2], parts[1::2], strict=False)
        odd = parts[-1:] if len(parts) % 2 else []
        parts = [index.merge(first, second) for first, second in pairs] + odd
    return parts[0]


def _embedded(embedder: Embedder, klines: Klines, stride: int) -> list[Embeddings]:
    parts = []
    for interval in CHART_INTERVALS:
        if interval.ms % klines.interval.ms:
            continue
        coarse = klines.resample(interval)
        ends = coarse.window_ends()[::stride]
        if not len(ends):
            continue
        bars = coarse.windows(ends)
        labels = rules.label(bars)
        parts.append(
            Embeddings(
                vectors=embedder.images(raster.render(bars)),
                symbol=np.full(len(ends), coarse.symbol),
                interval=np.full(len(ends), interval.value),
                last_ms=coarse.open_ms[ends],
                reading=labels.reading,
                phase=labels.phase,
                weight=np.ones(len(ends), np.float32),
                outcomes=targets.forward_outcomes(coarse, ends),
                model=embedder.model.version,
                style=raster.STYLE_HASH,
                rules=rules.RULES_VERSION,
                data=coarse.digest,
            )
        )
    if not parts:
        raise KlinesError(
            f"{klines.symbol} {klines.interval} makes no chart: expected candles of 1h or finer, "
            "96 of them without a gap.",
            hint="Leave that file out of the folder.",
        )
    return parts


def _describe(built: Index, workspace: Workspace) -> IndexResult:
    rows = built.rows
    return IndexResult(
        version=built.version,
        model=rows.model,
        charts=len(rows),
        symbols=len(np.unique(rows.symbol)),
        intervals={i.value: int((rows.interval == i.value).sum()) for i in CHART_INTERVALS},
        folder=str(workspace.paths.index),
    )


UNFITTED = (
    "The calibration of {model} does not say how far a person's label carries over: it votes as "
    "{weight:g} similar charts. vision-ai train fits it."
)


def refresh(workspace: Workspace) -> str:
    """Rebuild the index in use with every correction in force; what was done, in a sentence.

    Raises:
        StateError: index and model do not belong together, or a file is damaged.
        StorageError: the disk is full; the old index is kept.
    """
    try:
        model = registry.resolve(workspace.paths, workspace.config.model.version)
    except MissingModelError:
        return "No model is installed yet; the label will count once there is one."
    reader.check_style(model)
    old = reader.open_index(workspace.paths, model)
    now = apply_annotations(workspace, model, old.rows)
    if index.fingerprint(now.rows, now.annotations) == old.version:
        return f"Index {old.version} holds it already."
    built = index.build(
        workspace.paths.index, now.rows, now_ms=workspace.clock(), annotations=now.annotations
    )
    lines = [f"Index {built.version} of {len(built)} charts is in use."]
    if now.left_out:
        lines.append(f"{now.left_out} charts could not be found and are left out.")
    if not now.has_transfer:
        lines.append(UNFITTED.format(model=model.version, weight=workspace.config.review.weight))
    return " ".join(lines)


@dataclass(frozen=True, eq=False)
class AnnotatedExemplars:
    """Exemplars with every correction applied.

    Attributes:
        rows: all exemplars.
        annotations: who labelled which of them, and when.
        left_out: how many corrected charts could not be found.
        has_transfer: the model's calibration says how far people's labels carry over.
    """

    rows: Embeddings
    annotations: tuple[IndexAnnotation, ...]
    left_out: int
    has_transfer: bool


def apply_annotations(
    workspace: Workspace, model: ModelFolder, rows: Embeddings
) -> AnnotatedExemplars:
    """Exemplars with every correction in force.

    Raises:
        CorruptFileError: the model's calibration is damaged.
    """
    corrections = review.earliest_agreeing(CorrectionLog(workspace.paths.corrections).read()[0])
    has_transfer = bool(reader.calibration(model).transfer) if corrections else True
    annotation_weight = workspace.config.review.weight
    rows, absent = review.apply_corrections(
        rows, corrections, None if has_transfer else annotation_weight
    )
    rows, added = _with(workspace, model, rows, absent, 1.0 if has_transfer else annotation_weight)
    missing = {correction.digest for correction in absent} - {
        correction.digest for correction in added
    }
    indexed = [correction for correction in corrections if correction.digest not in missing]
    return AnnotatedExemplars(
        rows, tuple(_word(correction) for correction in indexed), len(missing), has_transfer
    )


def _word(correction: Correction) -> IndexAnnotation:
    return IndexAnnotation(
        symbol=correction.symbol,
        interval=correction.interval,
        as_of=correction.as_of,
        who=correction.who,
        at=correction.at,
    )


def _with(
    workspace: Workspace,
    model: ModelFolder,
    rows: Embeddings,
    absent: Sequence[Correction],
    weight: float,
) -> tuple[Embeddings, list[Correction]]:
    """The rows with corrected charts that they lacked, and which of those could be found."""
    finder = Finder(workspace)
    charts = [(correction, chart) for correction in absent if (chart := finder.chart(correction))]
    if not charts:
        return rows, []
    settings = workspace.config.model
    embedder = Embedder(model, threads=settings.threads, batch=settings.batch)
    bars = np.stack([chart[0] for _, chart in charts])
    vectors = embedder.images(raster.render(bars))
    for at, (correction, (_, known)) in enumerate(charts):
        rows = index.merge(rows, _row(rows, vectors[at : at + 1], correction, known, weight))
    return rows, [correction for correction, _ in charts]


def _row(
    rows: Embeddings,
    vector: NDArray[np.float32],
    correction: Correction,
    known: Outcomes,
    weight: float,
) -> Embeddings:
    symbol, interval, last_ms = correction.index_key
    return Embeddings(
        vectors=vector,
        symbol=np.array([symbol]),
        interval=np.array([interval]),
        last_ms=np.array([last_ms], np.int64),
        reading=np.array([READINGS.index(correction.reading)], np.int8),
        phase=np.array([PHASES.index(correction.phase)], np.int8),
        weight=np.array([weight], np.float32),
        outcomes=known,
        model=rows.model,
        style=rows.style,
        rules=rows.rules,
        data=rows.data,
    )
