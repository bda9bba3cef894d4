"""Labels of windows, kept per table of candles so that the rule book speaks once.

The key is the candles' digest, the rule book's version and the windows' rows. A damaged file is
made again.
"""

import hashlib
import io
import logging
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vision_ai import storage
from vision_ai.domain import PHASES, READINGS, Klines, Labels
from vision_ai.model.training.batches import Corpus

logger = logging.getLogger(__name__)

_DAMAGE = (
    OSError, ValueError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip
"""What numpy and zipfile raise over damaged bytes; NotImplementedError is a RuntimeError."""

Codes = tuple[NDArray[np.int8], NDArray[np.int8]]


@dataclass(frozen=True)
class LabelCache:
    """A folder of labels.

    Attributes:
        folder: one npz file a table.
        rule_book: bars to labels.
        version: names the rule book; another version has other files.
    """

    folder: Path
    rule_book: Callable[[NDArray[np.float64]], Labels]
    version: str

    def label(self, corpus: Corpus) -> Corpus:
        """The same windows with reading and phase filled in.

        Raises:
            StorageError: the disk is full or read-only.
        """
        reading, phase = corpus.reading.copy(), corpus.phase.copy()
        for code in np.unique(corpus.table):
            here = np.flatnonzero(corpus.table == code)
            reading[here], phase[here] = self._of(corpus.tables[code], corpus.end[here])
        return replace(corpus, reading=reading, phase=phase)

    def _of(self, table: Klines, ends: NDArray[np.int32]) -> Codes:
        key = hashlib.sha256(f"{table.digest}|{self.version}|".encode())
        key.update(ends.astype("<i8").tobytes())
        path = self.folder / f"{table.symbol}_{table.interval}_{key.hexdigest()[:24]}.npz"
        if path.is_file() and (kept := _read(path, len(ends))) is not None:
            return kept
        labels = self.rule_book(table.windows(ends))
        payload = io.BytesIO()
        np.savez_compressed(payload, reading=labels.reading, phase=labels.phase)
        storage.write_bytes(path, payload.getvalue())
        return labels.reading, labels.phase


def _read(path: Path, count: int) -> Codes | None:
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as kept:
            reading, phase = kept["reading"], kept["phase"]
    except _DAMAGE as error:
        logger.warning("labels unreadable path=%s error=%s", path, error)
        return None
    if not (_fits(reading, count, len(READINGS)) and _fits(phase, count, len(PHASES))):
        logger.warning("labels damaged path=%s", path)
        return None
    return reading, phase


def _fits(codes: NDArray[np.int8], count: int, classes: int) -> bool:
    whole = codes.shape == (count,) and codes.dtype == np.int8
    return whole and bool(((codes >= 0) & (codes < classes)).all())
