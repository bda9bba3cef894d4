"""Indexes and models: build, list, show."""

import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from vision_ai import index
from vision_ai.charts import raster
from vision_ai.domain import CHART_INTERVALS, Embeddings, Klines
from vision_ai.errors import KlinesError, VisionError
from vision_ai.index import Index
from vision_ai.labels import rules
from vision_ai.market import files
from vision_ai.measures import targets
from vision_ai.model import registry
from vision_ai.model.embed import Embedder
from vision_ai.model.registry import Manifest, ModelFolder
from vision_ai.pipeline import annotations, reader
from vision_ai.pipeline.workspace import Report, Workspace, progress

CAVEAT = (
    "Confidence was calibrated for the model's own exemplars; with other charts beside them it is "
    "an approximation. vision-ai evaluate tells how good a one."
)


def build(workspace: Workspace, *, klines: Path | None, stride: int) -> Report:
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
    now_ms = time.time_ns() // 1_000_000
    built = index.build(workspace.paths.index, now.rows, now_ms=now_ms, said=now.said)
    report = _described(built, workspace)
    return report if klines is None else replace(report, lines=[*report.lines, CAVEAT])


def show(workspace: Workspace) -> Report:
    """Say which index is in use and what it was made of.

    Raises:
        StateError: index and model do not belong together, or a file is damaged.
    """
    model = registry.resolve(workspace.paths, workspace.config.model.version)
    return _described(reader.open_index(workspace, model), workspace)


def models(workspace: Workspace) -> Report:
    """List the installed models, the one in use marked."""
    in_use = registry.resolve(workspace.paths, workspace.config.model.version).version
    rows, lines = [], []
    for found in registry.versions(workspace.paths):
        manifest, mark = found.manifest, "*" if found.version == in_use else " "
        damage = _damage(found)
        rows.append(
            {
                "version": found.version,
                "preset": manifest.preset,
                "in_use": mark == "*",
                "damage": damage,
            }
        )
        lines.append(f"{mark} {found.version:<32}{manifest.preset:<16}{manifest.created_at}")
        lines += [f"    {damage}"] if damage else []
    return Report({"models": rows}, lines)


def _damage(found: ModelFolder) -> str | None:
    """What is wrong with a version's calibration; its other files are checked when it is used."""
    try:
        reader.calibration(found)
    except VisionError as error:
        return str(error)
    return None


def model(workspace: Workspace, version: str) -> Report:
    """Show what a model was made of and what it reached.

    Raises:
        MissingModelError: no such version.
        CorruptFileError: a file of it is damaged.
    """
    named = workspace.config.model.version if version == registry.CURRENT else version
    found = registry.resolve(workspace.paths, named)
    content = found.manifest.model_dump(mode="json", exclude={"prototypes"})
    lines = [
        f"{found.version} ({found.manifest.preset}), made {found.manifest.created_at}",
        f"folder  {found.path}",
        f"rules   version {found.manifest.rules}",
        f"style   {found.manifest.style[:16]}",
        *_origin(found.manifest),
        *(f"{name:<40}{value:.4f}" for name, value in sorted(found.manifest.figures.items())),
    ]
    return Report(content, lines)


def _origin(manifest: Manifest) -> list[str]:
    """What a version was made of, where it was made of another one."""
    changes, lines = manifest.changes, []
    if manifest.parents:
        lines.append(f"parents {', '.join(manifest.parents)}")
    if "by" in changes:
        mix = f", mix {changes['mix']:g} of the trained weights" if "mix" in changes else ""
        lines.append(f"made by {changes['by']}{mix}")
    return lines


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


def _described(built: Index, workspace: Workspace) -> Report:
    rows = built.rows
    per_interval = {i.value: int((rows.interval == i.value).sum()) for i in CHART_INTERVALS}
    symbols = len(np.unique(rows.symbol))
    content = {
        "version": built.version,
        "model": rows.model,
        "charts": len(rows),
        "symbols": symbols,
        "intervals": per_interval,
        "folder": str(workspace.paths.index),
    }
    counted = ", ".join(f"{count} of {name}" for name, count in per_interval.items())
    line = f"Index {built.version}: {len(rows)} charts of {symbols} symbols ({counted}), "
    return Report(content, [f"{line}vectors by {rows.model}."])
