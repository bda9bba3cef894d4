"""Is everything here that a prediction needs, and does it agree?"""

import importlib.metadata
import os
import platform
from collections.abc import Callable, Sequence

from pydantic import Field

from vision_ai import __version__, feedback_loop_cv
from vision_ai.errors import ExchangeUnavailableError, StateError, VisionError, install
from vision_ai.feedback import journal as feedback_journal
from vision_ai.model import lineage
from vision_ai.pipeline.workspace import Result, Workspace
from vision_ai.records import BadLine, Record
from vision_ai.trader_decision import journal

_NEWEST = 1000
"""Predictions that are looked at: some seconds' worth."""

LIBRARIES = ("numpy", "pandas", "pyarrow", "pybit", "mplfinance", "onnxruntime", "faiss-cpu")
EXTRAS = {"train": ("torch", "open_clip_torch"), "gpt": ("openai",), "evaluate": ("lightgbm",)}


class Check(Record):
    """One thing that was looked at."""

    name: str
    ok: bool
    found: str = Field(description="what is there, or what is wrong and what to do")
    needed: bool = Field(default=True, description="false: an extra that may be missing")
    may_pass: bool = Field(default=False, description="true: a failure may pass by itself")


class DoctorResult(Result):
    """All checks."""

    ok: bool = Field(description="whether every needed thing is here and agrees")
    checks: list[Check]

    def raise_if_broken(self) -> None:
        """Raise an error where something needed is missing.

        Raises:
            StateError: naming what.
            ExchangeUnavailableError: nothing is missing but the exchange.
        """
        broken = [check for check in self.checks if check.needed and not check.ok]
        if broken:
            passing = all(check.may_pass for check in broken)
            kind = ExchangeUnavailableError if passing else StateError
            names = ", ".join(check.name for check in broken)
            raise kind(f"Not well: {names}.", hint="The lines above say what to do.")


def examine(workspace: Workspace) -> DoctorResult:
    """Look at libraries, data root, model, index, records and exchange; nothing is changed."""
    checks = [Check(name="vision-ai", ok=True, found=f"{__version__} on {platform.platform()}")]
    checks += [_library(name) for name in LIBRARIES]
    checks += [_extra(extra, names) for extra, names in EXTRAS.items()]
    checks.append(_attempt("data", lambda: _data(workspace)))
    checks.append(_attempt("model", lambda: _model(workspace)))
    checks.append(_attempt("predictions", lambda: _predictions(workspace)))
    checks.append(_attempt("feedback", lambda: _feedback(workspace)))
    checks.append(_attempt("decisions", lambda: _decisions(workspace)))
    checks.append(_attempt("gate", lambda: _gate(workspace)))
    checks.append(_attempt("exchange", lambda: _exchange(workspace), may_pass=True))
    return DoctorResult(ok=all(check.ok or not check.needed for check in checks), checks=checks)


def _library(name: str) -> Check:
    try:
        return Check(name=name, ok=True, found=importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        return Check(name=name, ok=False, found="not installed; run pip install vision-ai again")


def _extra(extra: str, names: tuple[str, ...]) -> Check:
    missing = []
    for name in names:
        try:
            importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    text = install(extra) if missing else ", ".join(names)
    return Check(name=extra, ok=not missing, found=text, needed=False)


def _attempt(name: str, look: Callable[[], str], *, may_pass: bool = False) -> Check:
    try:
        return Check(name=name, ok=True, found=look(), may_pass=may_pass)
    except VisionError as error:
        return Check(name=name, ok=False, found=str(error), may_pass=may_pass)


def _data(workspace: Workspace) -> str:
    root = workspace.paths.root
    existing = next((p for p in (root, *root.absolute().parents) if p.exists()), None)
    if existing is None or not os.access(existing, os.W_OK):
        raise StateError(
            f"{root} cannot be written.", hint="Set VISION_AI_DATA to a writable folder."
        )
    return str(root.absolute())


def _model(workspace: Workspace) -> str:
    reader = workspace.reader
    return (
        f"{reader.model.version}, index {reader.index.version} of {len(reader.index)} charts, "
        f"on {reader.embedder.providers[0]}"
    )


def _predictions(workspace: Workspace) -> str:
    files = feedback_loop_cv.prediction_files(workspace.paths)[-_NEWEST:]
    damaged = []
    for path in files:
        try:
            feedback_loop_cv.read_prediction(path)
        except VisionError as error:
            damaged.append(str(error))
    if damaged:
        raise StateError(f"{len(damaged)} of the newest {len(files)} are damaged: {damaged[0]}")
    return f"the newest {len(files)} are whole" if files else "none yet"


def _feedback(workspace: Workspace) -> str:
    lines, bad = feedback_loop_cv.read_logs(workspace.paths)
    _refuse(bad, "They are worked out again; keep the file, or move it away.")
    return f"{len(lines)} lines, all whole" if lines else "none yet"


def _decisions(workspace: Workspace) -> str:
    lines, bad = journal.read(workspace.paths)
    _refuse(bad, "They stay where they are; keep the file, or move it away.")
    return f"{len(lines)} lines, all whole" if lines else "none yet"


def _gate(workspace: Workspace) -> str:
    attempts, bad = feedback_journal.read_attempts(workspace.paths)
    _refuse(
        [*bad, *lineage.damaged_history(workspace.paths)],
        "Restore it from a backup: it says what the gate has spent and which model was in use.",
    )
    return f"{len(attempts)} attempts, all whole" if attempts else "never asked"


def _refuse(bad: Sequence[BadLine], hint: str) -> None:
    if bad:
        raise StateError(f"{len(bad)} lines are not counted: {bad[0]}.", hint=hint)


def _exchange(workspace: Workspace) -> str:
    workspace.exchange.server_time()
    return f"{workspace.config.market.base_url} ({workspace.exchange.venue()}) answers"
