"""Vectors of charts in one Parquet file, with the label and outcome of each chart.

Vectors are half floats: a cosine moves by less than 0.001, the file halves. Model, style, rule
book and data are kept in the schema's metadata, so that a file cannot be taken for another's.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from vision_ai import storage
from vision_ai.domain import (
    CHART_INTERVALS,
    HORIZONS,
    PHASES,
    READINGS,
    Embeddings,
    Floats,
    Outcomes,
    is_symbol,
)
from vision_ai.errors import CorruptFileError

FORMAT = "vision_ai.embeddings.1"
"""Written into each file; another one is refused."""

TEXT_COLUMN_TYPESAT = "vision_ai.texts.1"
"""Format of vectors of sentences."""

METADATA = ("model", "style", "rules", "data")


def save(path: Path, embeddings: Embeddings) -> None:
    """Replace the file at `path` in one step.

    Raises:
        StorageError: the disk is full or read-only.
    """
    storage.write_bytes(path, dump(embeddings))


def dump(embeddings: Embeddings) -> bytes:
    """The bytes of such a file; equal embeddings give equal bytes."""
    outcomes = embeddings.outcomes
    columns: dict[str, Any] = {
        "vector": _half_floats(embeddings.vectors),
        "symbol": pa.array(embeddings.symbol.tolist(), pa.string()).dictionary_encode(),
        "interval": pa.array(embeddings.interval.tolist(), pa.string()).dictionary_encode(),
        "last_ms": pa.array(embeddings.last_ms, pa.int64()),
        "reading": pa.array(embeddings.reading, pa.int8()),
        "phase": pa.array(embeddings.phase, pa.int8()),
        "weight": pa.array(embeddings.weight, pa.float32()),
        "scale": pa.array(np.asarray(outcomes.scale, np.float32)),
    }
    for code, horizon in enumerate(HORIZONS):
        for name in ("move", "best", "worst"):
            values = np.asarray(getattr(outcomes, name)[:, code], np.float32)
            columns[f"{name}_{horizon}"] = pa.array(values)
        columns[f"complete_ms_{horizon}"] = pa.array(outcomes.complete_ms[:, code], pa.int64())
    metadata = {"format": FORMAT} | {key: getattr(embeddings, key) for key in METADATA}
    return storage.dump_table(pa.table(columns), metadata)


def load(
    path: Path, *, repair: str = "Run vision-ai train, or install vision-ai again."
) -> Embeddings:
    """Read such a file.

    Raises:
        CorruptFileError: missing, truncated, of another format, or with codes out of range.
    """
    try:
        table = storage.load_table(path.read_bytes())
        metadata = {k.decode(): v.decode() for k, v in (table.schema.metadata or {}).items()}
        if metadata.get("format") != FORMAT:
            raise CorruptFileError(
                f"{path} is of format {metadata.get('format')!r}: expected {FORMAT}.", hint=repair
            )
        _check_columns(table, path, repair)
        embeddings = _from_table(table, metadata)
    except FileNotFoundError as error:
        raise CorruptFileError(f"{path} is missing.", hint=repair) from error
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        raise CorruptFileError(f"{path} is damaged: {str(error)[:200]}.", hint=repair) from error
    _check_values(embeddings, path, repair)
    return embeddings


def reweight(path: Path, weight: NDArray[np.float32], *, model: str) -> bytes:
    """The bytes of the same file with other exemplar weights, marked as of version `model`.

    Vectors are carried over bit for bit.

    Args:
        path: a file that `load` reads.
        weight: float32 (n,), in the order of its rows.
        model: version that the copy belongs to.
    """
    table = storage.load_table(path.read_bytes())
    metadata = {k.decode(): v.decode() for k, v in (table.schema.metadata or {}).items()}
    column = table.schema.get_field_index("weight")
    table = table.set_column(column, "weight", pa.array(np.asarray(weight, np.float32)))
    return storage.dump_table(table, metadata | {"model": model})


@dataclass(frozen=True, eq=False)
class TextVectors:
    """Vectors of n sentences.

    Attributes:
        sentences: the texts.
        labels: what each means, `setup:direction` or `phase:...`.
        vectors: float32 (n, d), unit length.
    """

    sentences: list[str]
    labels: list[str]
    vectors: NDArray[np.float32]


def save_texts(path: Path, texts: TextVectors, *, model: str) -> None:
    """Replace the file at `path` with vectors of sentences, made by version `model`.

    Raises:
        StorageError: the disk is full or read-only.
    """
    columns = {
        "vector": _half_floats(texts.vectors),
        "sentence": pa.array(texts.sentences, pa.string()),
        "label": pa.array(texts.labels, pa.string()),
    }
    storage.write_bytes(
        path, storage.dump_table(pa.table(columns), {"format": TEXT_COLUMN_TYPESAT, "model": model})
    )


def _half_floats(vectors: NDArray[np.float32]) -> pa.Array:
    half = np.ascontiguousarray(vectors, np.float16)
    return pa.FixedSizeListArray.from_arrays(pa.array(half.ravel(), pa.float16()), half.shape[1])


_TEXT_TYPES = (pa.string(), pa.dictionary(pa.int32(), pa.string()))
_COLUMN_TYPES: dict[str, tuple[pa.DataType, ...]] = {
    "symbol": _TEXT_TYPES,
    "interval": _TEXT_TYPES,
    "last_ms": (pa.int64(),),
    "reading": (pa.int8(),),
    "phase": (pa.int8(),),
    "weight": (pa.float32(),),
    "scale": (pa.float32(),),
    **{f"{name}_{h}": (pa.float32(),) for name in ("move", "best", "worst") for h in HORIZONS},
    **{f"complete_ms_{h}": (pa.int64(),) for h in HORIZONS},
}


def _check_columns(table: pa.Table, path: Path, repair: str) -> None:
    """Refuse columns of another type or with holes in them, as a hand-made file may have."""
    vector = table.schema.field("vector").type
    is_half_vector = pa.types.is_fixed_size_list(vector) and vector.value_type == pa.float16()
    wrong = [] if is_half_vector and vector.list_size else ["vector"]
    wrong += [
        name for name, kinds in _COLUMN_TYPES.items() if table.schema.field(name).type not in kinds
    ]
    wrong += [name for name in ("vector", *_COLUMN_TYPES) if table.column(name).null_count]
    if wrong:
        raise CorruptFileError(
            f"{path} is damaged: column {wrong[0]} is not of the form {FORMAT}.", hint=repair
        )


def _from_table(table: pa.Table, metadata: dict[str, str]) -> Embeddings:
    n = len(table)
    lists = table.column("vector").combine_chunks()
    half = lists.values.to_numpy(zero_copy_only=False).reshape(n, lists.type.list_size)
    vectors = half.astype(np.float32)
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return Embeddings(
        vectors=vectors / np.maximum(length, 1e-12),
        symbol=_texts(table, "symbol"),
        interval=_texts(table, "interval"),
        last_ms=table.column("last_ms").to_numpy(),
        reading=table.column("reading").to_numpy(),
        phase=table.column("phase").to_numpy(),
        weight=table.column("weight").to_numpy(),
        outcomes=Outcomes(
            move=_horizons(table, "move"),
            best=_horizons(table, "best"),
            worst=_horizons(table, "worst"),
            scale=table.column("scale").to_numpy(),
            complete_ms=_horizons(table, "complete_ms"),
        ),
        model=metadata["model"],
        style=metadata["style"],
        rules=metadata["rules"],
        data=metadata["data"],
    )


def _texts(table: pa.Table, name: str) -> NDArray[np.str_]:
    return np.array(table.column(name).to_pylist(), np.str_)


def _horizons(table: pa.Table, name: str) -> Any:
    columns: list[Floats] = [table.column(f"{name}_{horizon}").to_numpy() for horizon in HORIZONS]
    return np.stack(columns, axis=1)


def _check_values(embeddings: Embeddings, path: Path, repair: str) -> None:
    problems = {
        "a vector that is not finite": not np.isfinite(embeddings.vectors).all(),
        "a reading out of range": not _is_within(embeddings.reading, len(READINGS)),
        "a phase out of range": not _is_within(embeddings.phase, len(PHASES)),
        "an interval without charts": not set(embeddings.interval.tolist()) <= set(CHART_INTERVALS),
        "a symbol that is none": not all(map(is_symbol, set(embeddings.symbol.tolist()))),
        "a weight that is no number": not _is_weight(embeddings.weight),
    }
    for what, is_present in problems.items():
        if is_present:
            raise CorruptFileError(f"{path} is damaged: it holds {what}.", hint=repair)


def _is_weight(weight: NDArray[np.float32]) -> bool:
    return bool((np.isfinite(weight) & (weight >= 0)).all())


def _is_within(codes: NDArray[np.int8], size: int) -> bool:
    return bool(((codes >= 0) & (codes < size)).all())
