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
from vision_ai.model.training.trainer import Trainer

logger = logging.getLogger(__name__)

Validate = Callable[[ChartReader], dict[str, float]]
"""A model to figures; `score` is the one that early stopping watches."""


@dataclass
class TrainingState:
    """How far a run has come.

    Attributes:
        step: steps done.
        losses: training loss of each step.
        checks: figures of each validation, with its step.
        best: averaged weights at the best validation.
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
        """Whether the last `patience` validations brought no improvement."""
        earlier = [check["score"] for check in self.checks[:-patience]]
        later = [check["score"] for check in self.checks[-patience:]]
        return bool(earlier) and max(earlier) >= max(later)


def fit(
    trainer: Trainer, source: Batches, folder: Path, validate: Validate, *, quiet: bool = False
) -> TrainingState:
    """Train until the recipe's last step, or until validation stops getting better.

    Args:
        trainer: the model, its optimizer and its average; left with the best average.
        source: where batches come from.
        folder: where checkpoints are kept; an interrupted run resumes from them.
        validate: measures the average of the weights.
        quiet: show no progress bar.

    Raises:
        CorruptFileError: there are checkpoints, but none can be read.
        StorageError: the disk is full or read-only; earlier checkpoints stay.
    """
    recipe = trainer.recipe
    state = _resume(trainer, source, folder)
    with _progress_bar(recipe.steps, quiet=quiet) as show:
        for step, batch in _prefetch(source, state.step, recipe.steps):
            started = time.monotonic()
            result = trainer.train_step(batch, step)
            source.sampler.update_errors(batch.rows, result.errors)
            state.losses.append(result.loss)
            state.step = step + 1
            last = state.step == recipe.steps
            if last or state.step % recipe.check_every == 0:
                _validate(trainer, state, validate)
                last = last or state.is_stale(recipe.patience)
            if last or state.step % recipe.save_every == 0:
                _save(trainer, source, state, folder)
            show(state, len(batch) / (time.monotonic() - started))
            if last:
                break
    if state.best:
        trainer.average.load_state_dict(state.best)
    return state


def _prefetch(source: Batches, start: int, stop: int) -> Iterator[tuple[int, Batch]]:
    """Steps with their batches; the next batch is drawn while a step is taken.

    Its rows are chosen before that, so that they do not depend on which of the two is faster.
    """
    with ThreadPoolExecutor(max_workers=1) as pool:

        def submit(step: int) -> Future[Batch]:
            return pool.submit(source.draw, step, source.sampler.rows(step))

        pending = submit(start) if start < stop else None
        for step in range(start, stop):
            assert pending is not None
            batch = pending.result()
            if step + 1 < stop:
                pending = submit(step + 1)
            yield step, batch


def _validate(trainer: Trainer, state: TrainingState, validate: Validate) -> None:
    figures = validate(trainer.average)
    if figures["score"] > state.best_score:
        state.best = {k: v.detach().clone() for k, v in trainer.average.state_dict().items()}
    state.checks.append({"step": float(state.step), **figures})
    text = " ".join(f"{name}={value:.4f}" for name, value in figures.items())
    logger.info("validation step=%d loss=%.4f %s", state.step, state.losses[-1], text)


def _save(trainer: Trainer, source: Batches, state: TrainingState, folder: Path) -> None:
    best = {f"best/{name}": tensor.cpu() for name, tensor in state.best.items()}
    notes: dict[str, Any] = {
        "losses": state.losses,
        "checks": state.checks,
        "bf16": trainer.bf16,
    }
    sampler = {f"practice/{k}": torch.from_numpy(v) for k, v in source.sampler.state().items()}
    tensors = trainer.state() | sampler | best
    checkpoint.save(folder, Checkpoint(state.step, tensors, notes))


def _resume(trainer: Trainer, source: Batches, folder: Path) -> TrainingState:
    saved = checkpoint.load(folder)
    if saved is None:
        return TrainingState()
    trainer.restore(saved.tensors)
    source.sampler.restore(
        {k: v.numpy() for k, v in checkpoint.part(saved.tensors, "practice/").items()}
    )
    trainer.bf16 = bool(saved.notes["bf16"])
    best = checkpoint.part(saved.tensors, "best/")
    logger.info("resumed step=%d folder=%s", saved.step, folder)
    return TrainingState(saved.step, list(saved.notes["losses"]), list(saved.notes["checks"]), best)


@contextmanager
def _progress_bar(steps: int, *, quiet: bool) -> Iterator[Callable[[TrainingState, float], None]]:
    """A progress bar on stderr, where a person watches: throughput and the last validation."""
    console = Console(stderr=True)
    bar = Progress(
        TextColumn("training"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[status]}"),
        TimeRemainingColumn(),
        console=console,
        disable=quiet or not console.is_terminal,
    )
    with bar:
        task = bar.add_task("training", total=steps, status="")

        def show(state: TrainingState, charts_per_s: float) -> None:
            status = f"loss {state.losses[-1]:.3f}, {charts_per_s:.0f} charts/s"
            if state.checks:
                check = state.checks[-1]
                status += (
                    f", setups {check['setup_macro_f1']:.3f}, phases {check['phase_macro_f1']:.3f}"
                )
            bar.update(task, completed=state.step, status=status)

        yield show
