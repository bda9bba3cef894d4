"""Model versions made by hand: a manifest and a few bytes, no torch and no training."""

from pathlib import Path

from vision_ai.config import Paths
from vision_ai.model import registry
from vision_ai.model.registry import Manifest, ModelFolder, TrainingCandles

FILES = ("image.onnx", "text.onnx", "tokenizer.json", "model.safetensors", "exemplars.parquet")


def manifest(name: str, **changes: object) -> Manifest:
    """What a version by that name says of itself."""
    content: dict[str, object] = {
        "version": name, "preset": "by-hand", "style": "s", "rules": "r", "dimension": 2,
        "context": 8, "created_at": "2026-01-01T00:00:00Z", "recipe": {}, "figures": {},
        "prior": {}, "scale": 1.0, "prototypes": {"range:neutral": [1.0, 0.0]}, "files": {},
        "data": TrainingCandles(
            klines="d", train_symbols=["A"], held_out_symbols=["B"], train_until="x",
            held_out_from="y", train_windows=1, held_out_windows=1,
        ),
    }  # fmt: skip
    return Manifest.model_validate(content | changes)


def staged(paths: Paths, name: str) -> Path:
    """A folder of files that could be published under that name."""
    folder = paths.models / f".staging-{name}"
    folder.mkdir(parents=True)
    for file in FILES:
        (folder / file).write_bytes(f"{file} of {name}".encode())
    return folder


def publish(paths: Paths, name: str, **changes: object) -> ModelFolder:
    """A whole version on disk."""
    return registry.publish(paths, staged(paths, name), manifest(name, **changes))
