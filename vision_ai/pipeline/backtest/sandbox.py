"""A data root with a copy of the model in use, for a run that must not touch the real one."""

import shutil
import tempfile
from pathlib import Path

from vision_ai import storage
from vision_ai.config import Config, Paths
from vision_ai.model import lineage, registry
from vision_ai.pipeline.workspace import Workspace

_PARTIAL = ".borrowed-"


def copy_model(workspace: Workspace, root: Path, now_ms: int) -> Workspace:
    """Copy the model and the index in use into `root`; what is there already is kept.

    Args:
        workspace: whose model is copied.
        root: the other data root.
        now_ms: when the copy comes into use, for its history.

    Returns:
        The same settings on that root, where the copied model is the current one.

    Raises:
        MissingModelError: there is no such model.
        CorruptFileError: it is damaged.
        StorageError: it could not be copied.
    """
    paths = Paths(root)
    model = registry.resolve(workspace.paths, workspace.config.model.version)
    if model.path != registry.SHIPPED:
        _copy(model.path, paths.models / model.version)
        if not (paths.models / registry.CURRENT).exists():
            lineage.activate(paths, model.version, now_ms=now_ms)
    if workspace.paths.index.is_dir():
        _copy(workspace.paths.index, paths.index)
    return workspace.at(paths, at_current(workspace.config))


def at_current(config: Config) -> Config:
    """The settings, with whatever model is current: one that is fixed could not be replaced."""
    return config.model_copy(
        update={"model": config.model.model_copy(update={"version": registry.CURRENT})}
    )


def sweep(root: Path) -> None:
    """Remove what killed writers left under a root that nobody else writes to."""
    for path in root.rglob(".*.tmp"):
        path.unlink(missing_ok=True)
    for pattern in (f"{_PARTIAL}*", ".derived-*"):
        for path in root.rglob(pattern):
            shutil.rmtree(path, ignore_errors=True)


def _copy(source: Path, target: Path) -> None:
    """Copy a folder in one step: killed at any instant, it is there or not."""
    if target.exists():
        return
    with storage.writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(dir=target.parent, prefix=_PARTIAL))
        shutil.copytree(source, partial, dirs_exist_ok=True)
        partial.chmod(0o755)
        partial.replace(target)
