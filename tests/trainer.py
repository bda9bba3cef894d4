"""A tiny training run over simulated candles: a program to be killed, and its settings."""

import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from vision_ai.config import Paths
from vision_ai.market.simulate import simulate

END_MS = 1_720_051_200_000
SYMBOLS = ("AAAUSDT", "BBBUSDT", "CCCUSDT")


def settings(**recipe: object) -> dict[str, object]:
    """Settings of a run of a few seconds."""
    tiny = {
        "preset": "chart-clip-tiny", "steps": 12, "batch": 8, "warmup": 2, "check_every": 4,
        "save_every": 2, "precision": "fp32", "average": 0.9,
    }  # fmt: skip
    return {
        "recipe": tiny | recipe,
        "split": {"held_out_share": 0.34, "embargo_days": 4, "stride_15m": 60, "stride_1h": 30},
        "validation": 20,
        "measured": 30,
        "exemplars": 40,
    }


def write_klines(folder: Path, days: int = 40) -> Path:
    """Write simulated candles as the training folder has them."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed, symbol in enumerate(SYMBOLS):
        klines = simulate(symbol, "15m", days * 96, seed=seed, end_ms=END_MS)
        columns = {"open_ms": klines.open_ms}
        names = ("open", "high", "low", "close", "volume")
        columns |= {name: klines.bars[:, i] for i, name in enumerate(names)}
        pq.write_table(pa.table(columns), folder / f"simulated_{symbol}_15m.parquet")
    return folder


def main() -> None:
    """Train; the first line printed says that the work begins."""
    import torch

    from vision_ai import train_cv_model

    torch.set_num_threads(1)
    klines, root = Path(sys.argv[1]), Path(sys.argv[2])
    config = train_cv_model.TrainConfig.model_validate(settings())
    sys.stdout.write("begun\n")
    sys.stdout.flush()
    train_cv_model.train(config, klines, Paths(root), device="cpu", quiet=True)


if __name__ == "__main__":
    main()
