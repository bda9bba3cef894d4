"""Months of resolved calls of a tiny model, fine-tuned by a program that a test kills."""

import shutil
import sys
from pathlib import Path

import numpy as np

from tests import trainer
from tests.feedback.examples import H_MS, line, prediction, reading
from vision_ai import storage
from vision_ai.config import Config, ModelConfig, Paths
from vision_ai.domain import WINDOW, Direction, Interval, Klines, Setup, iso
from vision_ai.feedback_loop_cv import append
from vision_ai.market import files
from vision_ai.pipeline.workspace import Workspace

DAYS = 80
CALLS_FROM = 12
DAY_MS = 24 * H_MS


def now_ms() -> int:
    return trainer.END_MS


def champion(folder: Path) -> Path:
    """A data root with a tiny model that sees little, calibrated and in use, and its calls."""
    from vision_ai import train_cv_model
    from vision_ai.pipeline.learning import train

    workspace = Workspace(Config(model=ModelConfig(threads=1)), Paths(folder))
    candles = trainer.write_klines(folder / "candles", days=DAYS)
    settings = trainer.settings(steps=1, rate=1e-9) | {"measured": 300, "exemplars": 150}
    settings["split"] = {"held_out_share": 0.34, "train_share": 0.5, "stride_15m": 16}
    config = train_cv_model.TrainConfig.model_validate(settings)
    weights = dim(folder / "dim.safetensors")
    model = train_cv_model.train(
        config, candles, workspace.paths, device="cpu", weights=weights, quiet=True
    )
    train.activate_trained(workspace, model)
    shutil.copytree(candles, workspace.paths.klines_folder)
    calls(workspace, candles, model.version)
    return folder


def dim(path: Path) -> Path:
    """Weights that a little training improves: every picture points one of two ways."""
    import safetensors.torch
    import torch

    from vision_ai.model.training import presets

    torch.manual_seed(0)
    weights = presets.create(presets.resolve("chart-clip-tiny")).clip.state_dict()
    last = [name for name, value in weights.items() if "visual.head" in name and value.ndim > 1][-1]
    u, s, v = torch.linalg.svd(weights[last])
    weights[last] = u[:, :1] * s[0] @ v[:1] + 1e-4 * weights[last]
    safetensors.torch.save_file({k: value.contiguous() for k, value in weights.items()}, path)
    return path


def calls(workspace: Workspace, candles: Path, version: str) -> None:
    """Two calls of each symbol a day, and what followed."""
    for path in files.candle_files(candles):
        fine = files.read_file(path)
        tables = {interval: fine.resample(interval) for interval in (Interval.M15, Interval.H1)}
        first = int(fine.open_ms[0]) // DAY_MS * DAY_MS + CALLS_FROM * DAY_MS
        for at in range(first, int(fine.close_ms[-1]) - 8 * H_MS, 12 * H_MS):
            _call(workspace, tables, at, version)


def _call(workspace: Workspace, tables: dict[Interval, Klines], at: int, version: str) -> None:
    symbol = tables[Interval.M15].symbol
    intervals = {}
    for interval, table in tables.items():
        window = table.until(at)[-WINDOW:]
        plain = reading(interval, at, 1.0, Setup.BREAKOUT, Direction.LONG)
        last = iso(int(window.open_ms[-1]))
        changes = {"klines_hash": window.digest, "last_candle": last}
        intervals[interval] = plain.model_copy(update=changes)
    call = prediction(symbol=symbol, as_of_ms=at, intervals=intervals, model_version=version)
    storage.write_document(workspace.paths.prediction(symbol, at), call)
    append(workspace.paths, [line(symbol=symbol, as_of_ms=at, model_version=version)])


def settings(**recipe: object):
    """A challenger of seconds; more steps learn more, a rate of nearly nothing learns nothing."""
    from vision_ai.pipeline.learning import curriculum

    config = curriculum.TuneConfig(
        replay=300, exemplars=400, tried_on=150, tried_with=150, mixes=(0.5, 1.0)
    )
    tiny = {"steps": 60, "batch": 24, "rate": 5e-3, "warmup": 5, "check_every": 20}
    tiny |= {"save_every": 4, "precision": "fp32", "average": 0.9}
    changed = config.recipe.model_validate(config.recipe.model_dump() | tiny | recipe)
    return config.model_copy(update={"recipe": changed})


def tune(root: Path, *, later_ms: int = 0, **recipe: object):
    """One turn at the mode `finetune`, some time after the last candle."""
    from vision_ai.pipeline.learning import finetune

    workspace = Workspace(Config(model=ModelConfig(threads=1)), Paths(root))
    return finetune.update(workspace, now_ms() + later_ms, settings(**recipe), device="cpu")


def main() -> None:
    """Take a turn; the first line printed says that the work begins."""
    import torch

    torch.set_num_threads(1)
    root = Path(sys.argv[1])
    np.seterr(all="raise", under="ignore")
    sys.stdout.write("begun\n")
    sys.stdout.flush()
    tune(root, steps=int(sys.argv[2]))


if __name__ == "__main__":
    main()
