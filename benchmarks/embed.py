"""How fast charts become vectors, side by side with ViT-B-16 on the same processor.

    python benchmarks/embed.py [--threads 2] [--rounds 5]

`chart-clip` runs on ONNX Runtime as it does in use; ViT-B-16 in eager torch, as open_clip makes
it (its weights do not change its speed, so they are random). Both take batches of 32 and take
turns. Prints a table; the last line is one JSON object.
"""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable

import numpy as np
import open_clip
import torch

from vision_ai.model import registry
from vision_ai.model.embed import Embedder

BATCH = 32
"""Charts at a time, for both."""

REPEATS = 8
"""Batches of chart-clip a round: one alone is too short to be timed well."""


def seconds(work: Callable[[], object]) -> float:
    """How long one call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    embedder = Embedder(
        registry.open_folder(registry.SHIPPED),
        threads=given.threads,
        batch=BATCH,
        providers=["CPUExecutionProvider"],
    )
    rng = np.random.default_rng(0)
    charts = rng.integers(0, 255, (BATCH, 192, 96, 3), dtype=np.uint8)
    peer = open_clip.create_model("ViT-B-16").visual.eval()
    photos = torch.from_numpy(rng.normal(size=(BATCH, 3, 224, 224)).astype(np.float32))

    def ours() -> None:
        for _ in range(REPEATS):
            embedder.images(charts)

    @torch.no_grad()
    def theirs() -> None:
        peer(photos)

    ours()
    theirs()
    rounds = [(seconds(ours) / REPEATS, seconds(theirs)) for _ in range(given.rounds)]
    mine = statistics.median(first for first, _ in rounds)
    peers = statistics.median(second for _, second in rounds)
    ratio = statistics.median(second / first for first, second in rounds)
    print(f"chart-clip, ONNX Runtime   {BATCH / mine:10.1f} charts/s")
    print(f"ViT-B-16, eager torch      {BATCH / peers:10.1f} charts/s")
    result = {
        "benchmark": "embed",
        "charts_per_s": round(BATCH / mine, 1),
        "vit_b16_per_s": round(BATCH / peers, 2),
        "ratio_vs_vit_b16": round(ratio, 1),
        "batch": BATCH,
        "threads": given.threads,
        "rounds": given.rounds,
        "model": embedder.model.version,
        "torch": torch.__version__,
        "machine": f"{platform.machine()} {platform.system()} python {platform.python_version()}",
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
