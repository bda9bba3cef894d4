"""What the outcomes would change in the model, and what of that is better by the gate."""

from dataclasses import dataclass
from pathlib import Path

from vision_ai import errors, feedback_loop_cv
from vision_ai.errors import InputError
from vision_ai.feedback_loop_cv import UpdateProposal
from vision_ai.pipeline.learning import reweight
from vision_ai.pipeline.workspace import Result, Workspace

UPDATE_MODES = feedback_loop_cv.UPDATE_MODES


@dataclass(frozen=True)
class Training:
    """What the mode `finetune` leaves to the caller.

    Attributes:
        klines: folder of candles to replay beside the cached ones.
        device: `cuda`, `mps` or `cpu`; None takes the first of these that is here.
        steps: instead of the usual ones.
    """

    klines: Path | None = None
    device: str | None = None
    steps: int | None = None


class UpdateResult(Result):
    """What the outcomes would change in the model, or what they have changed."""

    proposal: UpdateProposal
    path: str


def update(
    workspace: Workspace, *, mode: str = "log-only", training: Training = Training()
) -> UpdateResult:
    """What the outcomes so far would change in the model; the other modes change what is better.

    Raises:
        InputError: no such mode, the settings name a fixed model, or training is not installed.
        TransientError: the exchange's clock cannot be read.
        StateError: the model in use is damaged.
        StorageError: something could not be written; the model in use stays.
    """
    if mode not in UPDATE_MODES:
        raise InputError(f"No such mode: {mode[:40]!r}.", hint=f"Known: {', '.join(UPDATE_MODES)}.")
    now_ms = workspace.exchange.server_time()
    paths = workspace.paths
    if mode == "finetune":
        proposal = _finetune(workspace, now_ms, training)
    elif mode == "reweight":
        champion = reweight.champion(workspace, now_ms)
        proposal = feedback_loop_cv.update_cv_model_weights(
            paths, now_ms, "reweight", champion=champion
        )
    else:
        proposal = feedback_loop_cv.update_cv_model_weights(paths, now_ms)
    workspace.reload_reader()  # another version may be in use now
    return UpdateResult(proposal=proposal, path=str(paths.proposal(now_ms)))


def _finetune(workspace: Workspace, now_ms: int, training: Training) -> UpdateProposal:
    try:
        from vision_ai.pipeline.learning import finetune
    except ModuleNotFoundError as error:
        raise errors.missing("The mode finetune", "train", error) from error
    return finetune.update(
        workspace, now_ms, klines=training.klines, device=training.device, steps=training.steps
    )
