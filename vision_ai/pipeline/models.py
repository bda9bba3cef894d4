"""Model versions: brought into use, taken back and compared."""

import numpy as np
from pydantic import Field

from vision_ai import index, storage
from vision_ai.domain import Embeddings
from vision_ai.errors import StaleIndexError, VisionError
from vision_ai.model import lineage, registry
from vision_ai.model.registry import Manifest, ModelFolder
from vision_ai.pipeline import index as indexing
from vision_ai.pipeline import reader
from vision_ai.pipeline.workspace import Result, Workspace
from vision_ai.predict_cv_setup import Calibration
from vision_ai.records import Record


class ModelRow(Record):
    """One installed model version."""

    version: str
    preset: str
    in_use: bool
    damage: str | None = Field(description="what is wrong with its calibration; null: nothing")
    created_at: str = Field(exclude=True)


class ModelsResult(Result):
    """The installed model versions."""

    models: list[ModelRow]


class ModelResult(Manifest, Result):
    """What a model version was made of and what it reached: its manifest, but for the vectors."""

    prototypes: dict[str, list[float]] = Field(exclude=True)
    folder: str = Field(exclude=True)


class ActiveModelResult(Result):
    """The version that is now in use."""

    version: str
    path: str
    fixed_at: str | None = Field(
        default=None, exclude=True, description="another version that the settings name"
    )
    index_problem: str | None = Field(
        default=None, exclude=True, description="why the index does not serve it"
    )


class ModelDiffResult(Result):
    """In what two versions differ: each value of the first beside that of the second."""

    first: str
    second: str
    fields: dict[str, list[str]]
    files: list[str]
    figures: dict[str, list[float | None]]
    weights: dict[str, float]
    bands: dict[str, list[float]]


def list_models(workspace: Workspace) -> ModelsResult:
    """List the installed models, the one in use marked."""
    in_use = registry.resolve(workspace.paths, workspace.config.model.version).version
    return ModelsResult(
        models=[
            ModelRow(
                version=folder.version,
                preset=folder.manifest.preset,
                in_use=folder.version == in_use,
                damage=_damage(folder),
                created_at=folder.manifest.created_at,
            )
            for folder in registry.versions(workspace.paths)
        ]
    )


def _damage(folder: ModelFolder) -> str | None:
    """What is wrong with a version's calibration; its other files are checked when it is used."""
    try:
        reader.calibration(folder)
    except VisionError as error:
        return str(error)
    return None


def show(workspace: Workspace, version: str) -> ModelResult:
    """Show what a model was made of and what it reached.

    Raises:
        MissingModelError: no such version.
        CorruptFileError: a file of it is damaged.
    """
    name = workspace.config.model.version if version == registry.CURRENT else version
    folder = registry.resolve(workspace.paths, name)
    return ModelResult(**folder.manifest.model_dump(), folder=str(folder.path))


def promote(workspace: Workspace, version: str) -> ActiveModelResult:
    """Make a version the current one.

    Raises:
        ConfigError: `current` names no version.
        MissingModelError: no such version.
        CorruptFileError: it is damaged; the current one stays.
    """
    lineage.activate(workspace.paths, version)
    return _in_use(workspace, registry.resolve(workspace.paths))


def take_over(workspace: Workspace, version: str, now_ms: int) -> None:
    """Bring a version that was made here into use, with an index of its own if it needs one.

    The index is written first and beside the one in use, which the earlier version keeps: killed
    in between, the earlier model stays in use.

    Raises:
        StateError: the version or the index is damaged.
        StorageError: the disk is full; the earlier version stays in use.
    """
    model = registry.resolve(workspace.paths, version)
    try:
        reader.open_index(workspace.paths, model)
    except StaleIndexError:
        now = indexing.apply_annotations(workspace, model, reader.exemplars(model))
        root = workspace.paths.index
        index.build(root, now.rows, now_ms=now_ms, annotations=now.annotations, activate=False)
    lineage.activate(workspace.paths, version, now_ms=now_ms)


def rollback(workspace: Workspace) -> ActiveModelResult:
    """Bring back the version that the current one replaced.

    Raises:
        StateError: it replaced none, or the earlier one is missing or damaged.
    """
    return _in_use(workspace, lineage.rollback(workspace.paths))


def _in_use(workspace: Workspace, model: ModelFolder) -> ActiveModelResult:
    workspace.reload_reader()
    configured = workspace.config.model.version
    index_problem = None
    try:
        reader.open_index(workspace.paths, model)
    except StaleIndexError as error:
        index_problem = str(error)
    return ActiveModelResult(
        version=model.version,
        path=str(model.path),
        fixed_at=None if configured in (registry.CURRENT, model.version) else configured,
        index_problem=index_problem,
    )


def diff(workspace: Workspace, first: str, second: str) -> ModelDiffResult:
    """In what two versions differ.

    Raises:
        MissingModelError: no such version.
        CorruptFileError: a file of one is damaged.
    """
    a, b = (registry.resolve(workspace.paths, name) for name in (first, second))
    return ModelDiffResult(
        first=a.version,
        second=b.version,
        fields=_fields(a, b),
        files=_files(a, b),
        figures=_figures(a, b),
        weights=_weights(reader.exemplars(a), reader.exemplars(b)),
        bands=_bands(a, b),
    )


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
    was, now = reader.weights(a), reader.weights(b)
    ratio = np.array([now[at] / was[at] for at in was.keys() & now.keys()] or [1.0])
    return {
        "exemplars_first": len(was),
        "exemplars_second": len(now),
        "exemplars_shared": len(was.keys() & now.keys()),
        "weights_changed": int((ratio != 1).sum()),
        "lowest_factor": round(float(ratio.min()), 6),
        "highest_factor": round(float(ratio.max()), 6),
    }


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
