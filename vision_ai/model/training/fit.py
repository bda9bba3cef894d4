"""The training loop: batches ahead of time, checkpoints, validation, early stopping.

Everything that a later step depends on is in the checkpoint or follows from the step's number,
so that an interrupted run ends where an uninterrupted one does.
"""

import logging
import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor

from vision_ai.model.training import checkpoint
from vision_ai.model.training.batches import Batch, Batches
from vision_ai.model.training.checkpoint import Checkpoint
from vision_ai.model.training.presets import ChartReader
from vision_ai.model.training.trainer import Learner

logger = logging.getLogger(__name__)

Validate = Callable[[ChartReader], dict[str, float]]
"""A model to figures; `score` is the one that early stopping watches."""


@dataclass
class Course:
    """What a run has seen so far.

    Attributes:
        step: steps done.
        losses: training loss of each step.
        checks: figures of each validation, with its step.
        best: weights' average at the best validation.
    """

    step: int = 0
    losses: list[float] = field(default_factory=list)
    checks: list[dict[str, float]] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)

    @property
    def best_score(self) -> float:
        """The best validation so far, minus infinity before the first."""
        return max((check["score"] for check in self.checks), default=-math.inf)

    def is_stale(self, patience: int) -> bool:
        """Whether the last `patience` validations brought nothing better."""
        earlier = [check["score"] for check in self.checks[:-patience]]
        later = [check["score"] for check in self.checks[-patience:]]
        return bool(earlier) and max(earlier) >= max(later)


def fit(
    learner: Learner, source: Batches, folder: Path, validate: Validate, *, quiet: bool = False
) -> Course:
    """Train until the recipe's last step, or until validation stops getting better.

    Args:
        learner: the model; left with the best average in `learner.average`.
        source: where batches come from.
        folder: where checkpoints are kept; those of an interrupted run are taken up.
        validate: measures the average of the weights.
        quiet: show no progress bar.

    Raises:
        CorruptFileError: there are checkpoints, but none can be read.
        StorageError: the disk is full or read-only; earlier checkpoints stand.
    """
    recipe = learner.recipe
    course = _resume(learner, source, folder)
    with _board(recipe.steps, quiet=quiet) as show:
        for step, batch in _ahead(source, course.step, recipe.steps):
            started = time.monotonic()
            lesson = learner.learn(batch, step)
            source.practice.heed(batch.rows, lesson.missed)
            course.losses.append(lesson.loss)
            course.step = step + 1
            last = course.step == recipe.steps
            if last or course.step % recipe.check_every == 0:
                _check(learner, course, validate)
                last = last or course.is_stale(recipe.patience)
            if last or course.step % recipe.save_every == 0:
                _save(learner, source, course, folder)
            show(course, len(batch) / (time.monotonic() - started))
            if last:
                break
    if course.best:
        learner.average.load_state_dict(course.best)
    return course


def _ahead(source: Batches, start: int, stop: int) -> Iterator[tuple[int, Batch]]:
    """Steps with their batches; the next batch is drawn while one is learned from.

    Its rows are chosen before that, so that they never hang on which of the two is faster.
    """
    with ThreadPoolExecutor(max_workers=1) as pool:

        def ask(step: int) -> Future[Batch]:
            return pool.submit(source.draw, step, source.practice.rows(step))

        coming = ask(start) if start < stop else None
        for step in range(start, stop):
            assert coming is not None
            batch = coming.result()
            if step + 1 < stop:
                coming = ask(step + 1)
            yield step, batch


def _check(learner: Learner, course: Course, validate: Validate) -> None:
    figures = validate(learner.average)
    if figures["score"] > course.best_score:
        course.best = {k: v.detach().clone() for k, v in learner.average.state_dict().items()}
    course.checks.append({"step": float(course.step), **figures})
    told = " ".join(f"{name}={value:.4f}" for name, value in figures.items())
    logger.info("validation step=%d loss=%.4f %s", course.step, course.losses[-1], told)


def _save(learner: Learner, source: Batches, course: Course, folder: Path) -> None:
    best = {f"best/{name}": tensor.cpu() for name, tensor in course.best.items()}
    notes: dict[str, Any] = {
        "losses": course.losses,
        "checks": course.checks,
        "bf16": learner.bf16,
    }
    practice = {f"practice/{k}": torch.from_numpy(v) for k, v in source.practice.state().items()}
    tensors = learner.state() | practice | best
    checkpoint.save(folder, Checkpoint(course.step, tensors, notes))


def _resume(learner: Learner, source: Batches, folder: Path) -> Course:
    saved = checkpoint.load(folder)
    if saved is None:
        return Course()
    learner.restore(saved.tensors)
    source.practice.restore(
        {k: v.numpy() for k, v in checkpoint.part(saved.tensors, "practice/").items()}
    )
    learner.bf16 = bool(saved.notes["bf16"])
    best = checkpoint.part(saved.tensors, "best/")
    logger.info("resumed step=%d folder=%s", saved.step, folder)
    return Course(saved.step, list(saved.notes["losses"]), list(saved.notes["checks"]), best)


@contextmanager
def _board(steps: int, *, quiet: bool) -> Iterator[Callable[[Course, float], None]]:
    """A progress bar on stderr, where a person watches: throughput and the last validation."""
    console = Console(stderr=True)
    bar = Progress(
        TextColumn("training"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[told]}"),
        TimeRemainingColumn(),
        console=console,
        disable=quiet or not console.is_terminal,
    )
    with bar:
        task = bar.add_task("training", total=steps, told="")

        def show(course: Course, charts_per_s: float) -> None:
            told = f"loss {course.losses[-1]:.3f}, {charts_per_s:.0f} charts/s"
            if course.checks:
                check = course.checks[-1]
                told += (
                    f", setups {check['setup_macro_f1']:.3f}, phases {check['phase_macro_f1']:.3f}"
                )
            bar.update(task, completed=course.step, told=told)

        yield show
