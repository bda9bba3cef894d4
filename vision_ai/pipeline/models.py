"""Model versions: brought into use, taken back and compared."""

import numpy as np

from vision_ai import index, storage
from vision_ai.domain import Embeddings
from vision_ai.errors import StaleIndexError
from vision_ai.model import lineage, registry
from vision_ai.model.registry import ModelFolder
from vision_ai.pipeline import annotations, reader
from vision_ai.pipeline.workspace import Report, Workspace
from vision_ai.predict_cv_setup import Calibration


def promote(workspace: Workspace, version: str) -> Report:
    """Make a version the current one.

    Raises:
        ConfigError: `current` names no version.
        MissingModelError: no such version.
        CorruptFileError: it is damaged; the current one stays.
    """
    registry.activate(workspace.paths, version)
    return _in_use(workspace, registry.resolve(workspace.paths))


def take_over(workspace: Workspace, version: str, now_ms: int) -> None:
    """Bring a version that was made here into use, with an index of its own if it needs one.

    The index is written first and beside the one in use, which the earlier version keeps: killed
    in between, the earlier model goes on as before.

    Raises:
        StateError: the version or the index is damaged.
        StorageError: the disk is full; the earlier version stays in use.
    """
    model = registry.resolve(workspace.paths, version)
    try:
        reader.open_index(workspace, model)
    except StaleIndexError:
        now = annotations.corrected(workspace, model, reader.exemplars(model))
        root = workspace.paths.index
        index.build(root, now.rows, now_ms=now_ms, said=now.said, in_use=False)
    registry.activate(workspace.paths, version, now_ms=now_ms)


def rollback(workspace: Workspace) -> Report:
    """Bring back the version that the current one replaced.

    Raises:
        StateError: it replaced none, or the earlier one is missing or damaged.
    """
    return _in_use(workspace, lineage.rollback(workspace.paths))


def _in_use(workspace: Workspace, model: ModelFolder) -> Report:
    lines = [f"Model {model.version} is now the current one."]
    named = workspace.config.model.version
    if named not in (registry.CURRENT, model.version):
        lines.append(f"The settings fix the model at {named}: remove model.version to use it.")
    try:
        reader.open_index(workspace, model)
    except StaleIndexError as error:
        lines.append(str(error))
    return Report({"version": model.version, "path": str(model.path)}, lines)


def diff(workspace: Workspace, first: str, second: str) -> Report:
    """In what two versions differ.

    Raises:
        MissingModelError: no such version.
        CorruptFileError: a file of one is damaged.
    """
    a, b = (registry.resolve(workspace.paths, name) for name in (first, second))
    fields, files, figures, bands = _fields(a, b), _files(a, b), _figures(a, b), _bands(a, b)
    weights = _weights(reader.exemplars(a), reader.exemplars(b))
    lines = [f"{a.version} to {b.version}"]
    lines += [f"  {name:<40}{was} -> {now}" for name, (was, now) in fields.items()]
    lines += [f"  {name:<40}differs" for name in files]
    lines += [f"  {name:<40}{was} -> {now}" for name, (was, now) in figures.items()]
    lines += [f"  {name:<40}{value:g}" for name, value in weights.items()]
    lines += [f"  bands {name:<34}{was} -> {now}" for name, (was, now) in bands.items()]
    content = {
        "first": a.version,
        "second": b.version,
        "fields": fields,
        "files": files,
        "figures": figures,
        "weights": weights,
        "bands": bands,
    }
    return Report(content, lines)


def _fields(a: ModelFolder, b: ModelFolder) -> dict[str, list[str]]:
    names = ("preset", "style", "rules", "dimension", "created_at", "parents")
    pairs = {name: [str(getattr(m.manifest, name)) for m in (a, b)] for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _files(a: ModelFolder, b: ModelFolder) -> list[str]:
    was, now = a.manifest.files, b.manifest.files
    return sorted(name for name in was.keys() & now.keys() if was[name] != now[name])


def _figures(a: ModelFolder, b: ModelFolder) -> dict[str, list[float | None]]:
    was, now = a.manifest.figures, b.manifest.figures
    names = sorted(was.keys() | now.keys())
    return {n: [was.get(n), now.get(n)] for n in names if was.get(n) != now.get(n)}


def _weights(a: Embeddings, b: Embeddings) -> dict[str, float]:
    was, now = _by_place(a), _by_place(b)
    ratio = np.array([now[at] / was[at] for at in was.keys() & now.keys()] or [1.0])
    return {
        "exemplars_first": len(was),
        "exemplars_second": len(now),
        "exemplars_shared": len(was.keys() & now.keys()),
        "weights_changed": int((ratio != 1).sum()),
        "lowest_factor": round(float(ratio.min()), 6),
        "highest_factor": round(float(ratio.max()), 6),
    }


def _by_place(rows: Embeddings) -> dict[tuple[str, str, int], float]:
    columns = (rows.symbol.tolist(), rows.interval.tolist(), rows.last_ms.tolist())
    return dict(zip(zip(*columns, strict=True), rows.weight.tolist(), strict=True))


def _bands(a: ModelFolder, b: ModelFolder) -> dict[str, list[float]]:
    was, now = _stretches(a), _stretches(b)
    return {n: [was[n], now[n]] for n in was.keys() & now.keys() if was[n] != now[n]}


def _stretches(model: ModelFolder) -> dict[str, float]:
    calibration = storage.read_document(
        model.path / reader.CALIBRATION, Calibration, repair="Run vision-ai train again."
    )
    return {
        f"{interval} {horizon}": rule.width_factor
        for interval, rules in calibration.bands.items()
        for horizon, rule in rules.items()
    }
