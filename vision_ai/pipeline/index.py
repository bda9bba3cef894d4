"""Indexes and models: build, list, show."""

from pathlib import Path

import numpy as np
from pydantic import Field

from vision_ai import index
from vision_ai.charts import raster
from vision_ai.domain import CHART_INTERVALS, Embeddings, Klines
from vision_ai.errors import KlinesError
from vision_ai.index import Index
from vision_ai.labels import rules
from vision_ai.market import files
from vision_ai.measures import targets
from vision_ai.model import registry
from vision_ai.model.embed import Embedder
from vision_ai.pipeline import annotations, reader
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
        StorageError: the disk is full; the old index stands.
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
    now = annotations.corrected(workspace, model, _merged(parts))
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
        parts = [index.merge(left, right) for left, right in pairs] + odd
    return parts[0]


def _embedded(embedder: Embedder, klines: Klines, stride: int) -> list[Embeddings]:
    made = []
    for interval in CHART_INTERVALS:
        if interval.ms % klines.interval.ms:
            continue
        coarse = klines.resample(interval)
        ends = coarse.window_ends()[::stride]
        if not len(ends):
            continue
        bars = coarse.windows(ends)
        labels = rules.label(bars)
        made.append(
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
    if not made:
        raise KlinesError(
            f"{klines.symbol} {klines.interval} makes no chart: expected candles of 1h or finer, "
            "96 of them without a gap.",
            hint="Leave that file out of the folder.",
        )
    return made


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
