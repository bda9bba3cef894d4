"""Both towers of a trained model to ONNX, and the proof that nothing changed on the way.

The graph takes the pictures as they are drawn (uint8, rows first) and returns unit vectors, so
that a reader needs neither torch nor arithmetic of its own.
"""

import warnings
from pathlib import Path
from typing import cast

import numpy as np
import onnxruntime
import safetensors.torch
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vision_ai import storage
from vision_ai.domain import Bytes, Ints
from vision_ai.errors import StateError
from vision_ai.model.training.presets import ChartReader

OPSET = 17
"""Old enough for ONNX Runtime 1.18, new enough for LayerNormalization."""

LEAST_COSINE = 0.999
"""Vectors of torch and of ONNX Runtime agree at least this well, or the export fails."""


class _Images(nn.Module):
    """The image side as one graph."""

    def __init__(self, reader: ChartReader) -> None:
        super().__init__()
        self.reader = reader

    def forward(self, pictures: Tensor) -> Tensor:
        return self.reader.images(pictures)


class _Texts(nn.Module):
    """The text side as one graph."""

    def __init__(self, reader: ChartReader) -> None:
        super().__init__()
        self.reader = reader

    def forward(self, tokens: Tensor) -> Tensor:
        return self.reader.texts(tokens)


def export(reader: ChartReader, folder: Path) -> None:
    """Write `image.onnx`, `text.onnx` and `model.safetensors` of a model on the CPU.

    Raises:
        StorageError: the disk is full or read-only.
    """
    reader = reader.eval()
    # two rows: an example of one would be taken for a constant
    pictures = torch.zeros((2, 192, 96, 3), dtype=torch.uint8)
    tokens = torch.zeros((2, reader.context), dtype=torch.int64)
    tokens[:, 1] = 1
    weights = {name: _half(t).contiguous() for name, t in reader.clip.state_dict().items()}
    storage.write_bytes(folder / "model.safetensors", safetensors.torch.save(weights))
    _graph(_Images(reader), pictures, folder / "image.onnx", "pictures")
    _graph(_Texts(reader), tokens, folder / "text.onnx", "tokens")


def _half(tensor: Tensor) -> Tensor:
    """Half floats are exact enough to go on training from, and half as large."""
    return tensor.half() if tensor.is_floating_point() else tensor


def _graph(side: nn.Module, example: Tensor, path: Path, name: str) -> None:
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # its one big operator has no ONNX form
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the tracer's remarks about constants that are meant
        try:
            torch.onnx.export(
                side.eval(),
                (example,),
                str(path),
                input_names=[name],
                output_names=["vectors"],
                dynamic_axes={name: {0: "n"}, "vectors": {0: "n"}},
                opset_version=OPSET,
                dynamo=False,
            )
        finally:
            torch.backends.mha.set_fastpath_enabled(fused)


def check_parity(reader: ChartReader, folder: Path, pictures: Bytes, tokens: Ints) -> float:
    """The lowest cosine between torch's vectors and ONNX Runtime's, over charts and texts.

    Raises:
        StateError: it is below `LEAST_COSINE`.
    """
    reader = reader.eval()
    with torch.no_grad():
        images = reader.images(torch.from_numpy(pictures)).numpy()
        texts = reader.texts(torch.from_numpy(np.asarray(tokens, np.int64))).numpy()
    least = min(
        _least_cosine(images, _run(folder / "image.onnx", "pictures", pictures)),
        _least_cosine(texts, _run(folder / "text.onnx", "tokens", tokens)),
    )
    if least < LEAST_COSINE:
        raise StateError(
            f"The exported model disagrees with torch: cosine {least:.5f}, expected at least "
            f"{LEAST_COSINE}.",
            hint="Upgrade torch and onnxruntime, and run vision-ai train again.",
        )
    return least


def _run(path: Path, name: str, rows: NDArray[np.generic]) -> NDArray[np.float32]:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return cast("NDArray[np.float32]", session.run(None, {name: rows})[0])


def _least_cosine(left: NDArray[np.float32], right: NDArray[np.float32]) -> float:
    return float((left * right).sum(axis=1).min())
