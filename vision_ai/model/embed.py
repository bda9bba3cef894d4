"""Charts and texts to vectors, on ONNX Runtime. The only door to that library.

Runs on the best provider that is installed (CUDA, CoreML, then CPU) and needs no torch.
"""

import logging
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as state
from tokenizers import Tokenizer

from vision_ai.domain import Bytes
from vision_ai.errors import ConfigError, CorruptFileError
from vision_ai.model import vocabulary
from vision_ai.model.registry import ModelFolder

logger = logging.getLogger(__name__)

PROVIDERS = ("CUDAExecutionProvider", "CoreMLExecutionProvider", "CPUExecutionProvider")
"""Tried in this order; the last one is always there."""

_LOAD_ERRORS = (
    state.Fail,
    state.InvalidArgument,
    state.InvalidGraph,
    state.InvalidProtobuf,
    state.NoModel,
    state.NotImplemented,
    state.RuntimeException,
)
"""Errors of ONNX Runtime that mean a file is no model; they share no base but Exception."""

PICTURE_SHAPE = (192, 96, 3)
"""Shape of one picture of the model view."""


class Embedder:
    """Both towers of a model version, loaded once and reused.

    Attributes:
        model: the version it reads from.
    """

    def __init__(
        self,
        model: ModelFolder,
        *,
        threads: int = 0,
        batch: int = 32,
        providers: Sequence[str] | None = None,
    ) -> None:
        """Load the image tower; the text tower is loaded when it is first needed.

        Args:
            model: an opened version.
            threads: 0 lets ONNX Runtime choose.
            batch: pictures at a time.
            providers: ONNX Runtime's names; None takes the best ones here.

        Raises:
            CorruptFileError: a file is no model that ONNX Runtime can run.
        """
        self.model = model
        self._threads = threads
        self._batch = batch
        available = onnxruntime.get_available_providers()
        self._providers = list(providers or [name for name in PROVIDERS if name in available])
        self._image = self._open_session(model.image)
        self._text: onnxruntime.InferenceSession | None = None

    @property
    def providers(self) -> list[str]:
        """The providers in use, best first."""
        return list(self._image.get_providers())

    def images(self, pictures: Bytes) -> NDArray[np.float32]:
        """Unit vectors of pictures of the model view.

        Args:
            pictures: uint8 (n, 192, 96, 3); n may be 0.

        Returns:
            float32 (n, d).

        Raises:
            ConfigError: another shape or type.
        """
        if pictures.dtype != np.uint8 or pictures.shape[1:] != PICTURE_SHAPE:
            raise ConfigError(
                f"Pictures must be uint8 of shape (n, 192, 96, 3), were {pictures.dtype} of "
                f"{pictures.shape}."
            )
        return self._run(self._image, "pictures", pictures)

    def texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors of sentences: float32 (n, d)."""
        if self._text is None:
            self._text = self._open_session(self.model.text)
        tokens = vocabulary.encode(self._tokenizer, texts, self.model.manifest.context)
        return self._run(self._text, "tokens", tokens)

    def unknown_words(self, text: str) -> list[str]:
        """The words of a text that this model has no vector for, each once."""
        return vocabulary.unknown_words(self._tokenizer, text)

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        repair = "Run vision-ai models to pick another version, or vision-ai train."
        return vocabulary.load(self.model.tokenizer, repair=repair)

    def _run(
        self, session: onnxruntime.InferenceSession, name: str, rows: NDArray[np.generic]
    ) -> NDArray[np.float32]:
        out = np.empty((len(rows), self.model.manifest.dimension), np.float32)
        for start in range(0, len(rows), self._batch):
            part = np.ascontiguousarray(rows[start : start + self._batch])
            out[start : start + self._batch] = session.run(None, {name: part})[0]
        return out

    def _open_session(self, path: Path) -> onnxruntime.InferenceSession:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.log_severity_level = 3  # errors only: a fallback to another provider is no error
        try:
            session = onnxruntime.InferenceSession(
                path.read_bytes(), options, providers=self._providers
            )
        except _LOAD_ERRORS as error:
            raise CorruptFileError(
                f"{path} cannot be loaded by ONNX Runtime: {str(error)[:200]}.",
                hint="Run vision-ai models to pick another version, or vision-ai train.",
            ) from error
        logger.debug("model loaded path=%s providers=%s", path, session.get_providers())
        return session
