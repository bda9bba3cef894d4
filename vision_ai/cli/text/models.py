"""Models, indexes and checks of the installation as lines for a terminal."""

from collections.abc import Iterator

from vision_ai.pipeline.doctor import DoctorResult
from vision_ai.pipeline.index import IndexResult
from vision_ai.pipeline.learning.train import TrainResult
from vision_ai.pipeline.models import (
    ActiveModelResult,
    ModelDiffResult,
    ModelResult,
    ModelsResult,
)

APPROXIMATE = (
    "Confidence was calibrated for the model's own exemplars; with other charts beside them it is "
    "an approximation. vision-ai evaluate tells how good a one."
)


def format_index(result: IndexResult, *, other_charts: bool = False) -> list[str]:
    """What an index holds; a caution where charts beside the model's own are in it."""
    counts = ", ".join(f"{count} of {name}" for name, count in result.intervals.items())
    line = (
        f"Index {result.version}: {result.charts} charts of {result.symbols} symbols ({counts}), "
        f"vectors by {result.model}."
    )
    return [line, APPROXIMATE] if other_charts else [line]


def format_models(result: ModelsResult) -> list[str]:
    """A line a version, the one in use marked."""
    lines = []
    for row in result.models:
        mark = "*" if row.in_use else " "
        lines.append(f"{mark} {row.version:<32}{row.preset:<16}{row.created_at}")
        lines += [f"    {row.damage}"] if row.damage else []
    return lines


def format_model(result: ModelResult) -> list[str]:
    """What a version was made of, and its figures."""
    return [
        f"{result.version} ({result.preset}), made {result.created_at}",
        f"folder  {result.folder}",
        f"rules   version {result.rules}",
        f"style   {result.style[:16]}",
        *_origin(result),
        *(f"{name:<40}{value:.4f}" for name, value in sorted(result.figures.items())),
    ]


def format_active_model(result: ActiveModelResult) -> list[str]:
    """Which version is in use, and what keeps it from being used."""
    lines = [f"Model {result.version} is now the current one."]
    if result.fixed_at is not None:
        lines.append(
            f"The settings fix the model at {result.fixed_at}: remove model.version to use it."
        )
    if result.index_problem is not None:
        lines.append(result.index_problem)
    return lines


def format_model_diff(result: ModelDiffResult) -> list[str]:
    """Each difference on a line."""
    lines = [f"{result.first} to {result.second}"]
    lines += [f"  {name:<40}{a} -> {b}" for name, (a, b) in result.fields.items()]
    lines += [f"  {name:<40}differs" for name in result.files]
    lines += [f"  {name:<40}{a} -> {b}" for name, (a, b) in result.figures.items()]
    lines += [f"  {name:<40}{value:g}" for name, value in result.weights.items()]
    lines += [f"  bands {name:<34}{a} -> {b}" for name, (a, b) in result.bands.items()]
    return lines


def format_train(result: TrainResult) -> list[str]:
    """The new version and its figures."""
    return [
        f"Model {result.version} in {result.path} is now the current one.",
        *(f"{name:<40}{value:.4f}" for name, value in sorted(result.figures.items())),
    ]


def format_doctor(result: DoctorResult) -> list[str]:
    """A line a check."""
    return [
        f"{'ok  ' if check.ok else 'FAIL' if check.needed else 'none'}  "
        f"{check.name:<12}{check.found}"
        for check in result.checks
    ]


def _origin(result: ModelResult) -> Iterator[str]:
    """What a version was made of, where it was made of another one."""
    changes = result.changes
    if result.parents:
        yield f"parents {', '.join(result.parents)}"
    if "by" in changes:
        mix = f", mix {changes['mix']:g} of the trained weights" if "mix" in changes else ""
        yield f"made by {changes['by']}{mix}"
