"""The rows of an index as one Parquet table: everything known of each chart but its vector."""

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vision_ai import storage
from vision_ai.domain import HORIZONS, PHASES, READINGS, Embeddings, Outcomes
from vision_ai.errors import CorruptFileError, VisionError

_PER_HORIZON = ("move", "best", "worst", "complete_ms")
_TYPES: dict[str, Any] = {
    "symbol": np.str_,
    "interval": np.str_,
    "last_ms": np.int64,
    "reading": np.int8,
    "phase": np.int8,
    "weight": np.float32,
    "scale": np.float64,
}


def pack(rows: Embeddings) -> bytes:
    """Write all columns of the rows but the vectors as Parquet."""
    import pyarrow as pa

    columns: dict[str, Any] = {name: getattr(rows, name) for name in _TYPES if name != "scale"}
    columns["scale"] = np.asarray(rows.outcomes.scale, np.float64)
    for name in _PER_HORIZON:
        for column, horizon in enumerate(HORIZONS):
            columns[f"{name}_{horizon}"] = getattr(rows.outcomes, name)[:, column]
    table = pa.table({name: pa.array(values) for name, values in columns.items()})
    codes = {"readings": [r.name for r in READINGS], "phases": [p.value for p in PHASES]}
    return storage.dump_table(table, {key: ",".join(codes[key]) for key in codes})


def unpack(
    payload: bytes, vectors: NDArray[np.float32], made_by: tuple[str, str, str, str], *, repair: str
) -> Embeddings:
    """Read rows back and join them with their vectors; `made_by` is model, style, rules, data.

    Raises:
        CorruptFileError: not such a table, or as many rows as there are vectors are not in it.
    """
    import pyarrow as pa

    try:
        table = storage.load_table(payload)
        columns = {name: table[name].to_numpy() for name in _names()}
    except (pa.ArrowException, KeyError, OSError) as error:
        raise CorruptFileError(f"rows.parquet is damaged: {error}.", hint=repair) from error
    if len(table) != len(vectors):
        raise CorruptFileError(
            f"rows.parquet has {len(table)} rows: expected {len(vectors)}.", hint=repair
        )
    plain: dict[str, Any] = {name: columns[name].astype(kind) for name, kind in _TYPES.items()}
    scale = plain.pop("scale")
    wide = {
        name: np.stack([columns[f"{name}_{horizon}"] for horizon in HORIZONS], axis=1)
        for name in _PER_HORIZON
    }
    return Embeddings(vectors, **plain, outcomes=Outcomes(scale=scale, **wide), **_made(made_by))


def merge(old: Embeddings, new: Embeddings, mismatch: type[VisionError]) -> Embeddings:
    """`old` followed by those rows of `new` that it lacks, by (symbol, interval, last candle).

    Merging the same rows again changes nothing, not even the order.

    Raises:
        VisionError: of the given kind, if another model, style or rule book made `new`.
    """
    for facet in ("model", "style", "rules"):
        was, expected = getattr(new, facet), getattr(old, facet)
        if was != expected:
            raise mismatch(
                f"Rows of {facet} {was!r} cannot join an index of {facet} {expected!r}.",
                hint="Run `vision-ai index build` to make the index anew.",
            )
    seen = set(old.keys)
    fresh = []
    for row, key in enumerate(new.keys):
        if key not in seen:
            seen.add(key)
            fresh.append(row)
    if not fresh:
        return old
    return _concatenate(old, new.take(np.array(fresh, np.int64)))


def _concatenate(old: Embeddings, new: Embeddings) -> Embeddings:
    def join(name: str) -> Any:
        return np.concatenate([getattr(old, name), getattr(new, name)])

    def join_outcomes(name: str) -> Any:
        return np.concatenate([getattr(old.outcomes, name), getattr(new.outcomes, name)])

    names = [name for name in _TYPES if name != "scale"]
    outcomes = Outcomes(**{name: join_outcomes(name) for name in (*_PER_HORIZON, "scale")})
    both = hashlib.sha256(f"{old.data}|{new.data}".encode()).hexdigest()
    data = old.data if old.data == new.data else both
    made_by = (old.model, old.style, old.rules, data)
    columns = {name: join(name) for name in names}
    return Embeddings(join("vectors"), **columns, outcomes=outcomes, **_made(made_by))


def _made(made_by: tuple[str, str, str, str]) -> dict[str, Any]:
    return dict(zip(("model", "style", "rules", "data"), made_by, strict=True))


def _names() -> list[str]:
    return [*_TYPES, *(f"{name}_{horizon}" for name in _PER_HORIZON for horizon in HORIZONS)]
