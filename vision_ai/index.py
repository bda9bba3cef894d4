"""The index of known charts, and the search for those most similar to a query.

`ExactIndex` is the plain search that anybody can check: it compares everything with everything.
`Index` gives the same answers through FAISS, fast enough for a whole market. In both, charts that
are not eligible as evidence for a query are removed *before* ranking (`measures.purge`), and
overlapping charts of one market count once: only the most similar of them is kept.

Similarities are rounded to `STEP` and equal ones are ordered by row, so that the same charts give
the same neighbors on every machine.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from vision_ai.domain import Bools, Embeddings, Ints, Neighbors, iso
from vision_ai.errors import CorruptFileError, EmptyIndexError, StaleIndexError
from vision_ai.measures.purge import (
    Eligibility,
    PointInTimeFilter,
    PurgeAndEmbargo,
    Spans,
    overlaps,
)
from vision_ai.retrieval import store, table
from vision_ai.retrieval.annotations import (
    IndexAnnotation,
    IndexAnnotations,
    find_annotated,
    nearest_annotated,
)
from vision_ai.retrieval.store import REPAIR, IndexManifest

Vectors = NDArray[np.float32]

STEP = 1e-6
"""Similarities closer than this are ties: far above rounding noise, far below any meaning."""

_FAISS_ERROR = 1e-5
"""How far FAISS's single-precision scores may lie from the exact ones."""

_MAX_SHARED_ROWS = 512
"""Rows fetched per query up to which one matrix product for all queries is the faster way."""

_CHUNK = 256
"""Queries ranked at once: the gathered candidates stay below 50 MB."""


class ExactIndex:
    """Brute force over rows: the oracle that `Index` must equal."""

    def __init__(self, rows: Embeddings) -> None:
        self.rows = rows

    def search(
        self,
        vectors: Vectors,
        queries: Spans,
        *,
        eligibility: Eligibility,
        k: int,
        any_interval: bool = False,
    ) -> Neighbors:
        """The same as `Index.search`, one query at a time."""
        spans = Spans.of(self.rows)
        neighbors = _empty_neighbors(len(queries), k)
        for i in range(len(queries)):
            query = queries.take(slice(i, i + 1))
            allowed = eligibility.eligible(spans, query)[0]
            if not any_interval:
                allowed &= self.rows.interval == query.interval
            exact = self.rows.vectors.astype(np.float64) @ vectors[i].astype(np.float64)
            similarity = np.round(exact / STEP) * STEP
            ranked = np.lexsort((np.arange(len(exact)), -similarity))
            kept: list[int] = []
            for row in ranked[allowed[ranked]]:
                if len(kept) < k and not any(_overlap(spans, row, other) for other in kept):
                    kept.append(int(row))
            neighbors.rows[i, : len(kept)] = kept
            neighbors.similarity[i, : len(kept)] = similarity[kept]
        return neighbors


class Index:
    """Rows that can be searched, held in memory.

    Attributes:
        rows: what is known of each chart; `Neighbors.rows` point into it.
        annotations: people's labels of some of them.
        annotated: those charts; None where there are none.
        version: hash of rows and annotations: the same ones give the same version.
    """

    def __init__(self, rows: Embeddings, annotations: Sequence[IndexAnnotation] = ()) -> None:
        if len(rows) == 0:
            raise EmptyIndexError("An index of no charts cannot answer.", hint=REPAIR)
        self.rows = rows
        self.annotations = tuple(annotations)
        self.annotated = (
            find_annotated(annotations, rows, repair=REPAIR) if len(annotations) else None
        )
        self.version = fingerprint(rows, annotations)
        self._spans = Spans.of(rows)
        self._of_interval: dict[str, _IntervalIndex] = {}

    def __len__(self) -> int:
        return len(self.rows)

    def search(
        self,
        vectors: Vectors,
        queries: Spans,
        *,
        eligibility: Eligibility,
        k: int,
        any_interval: bool = False,
    ) -> Neighbors:
        """The k most similar rows that are eligible for each query, best first.

        Args:
            vectors: float32 (q, d), unit length, made by the model that made the rows.
            queries: whose charts they are and when they were seen.
            eligibility: `PointInTimeFilter()` for predictions, `PurgeAndEmbargo(embargo_ms)` for
                measuring.
            k: how many; fewer are found where fewer are eligible.
            any_interval: let 15m charts be neighbors of 1h charts and the other way round.

        Raises:
            StaleIndexError: the vectors are not of the index's dimension.
        """
        vectors = self._check(vectors, queries)
        neighbors = _empty_neighbors(len(queries), k)
        # queries of one interval see the rows of that interval; with `any_interval` all see all
        for name in [""] if any_interval else np.unique(queries.interval):
            of_interval = np.flatnonzero((queries.interval == name) | any_interval)
            interval_index = self._interval_index(str(name))
            for start in range(0, len(of_interval), _CHUNK) if len(interval_index) else ():
                chunk = of_interval[start : start + _CHUNK]
                eligible = interval_index.eligible(eligibility, queries.take(chunk))
                rows, similarity = interval_index.rank(vectors[chunk], eligible, k)
                neighbors.rows[chunk], neighbors.similarity[chunk] = rows, similarity
        return neighbors

    def search_annotated(
        self, vectors: Vectors, queries: Spans, *, eligibility: Eligibility, k: int
    ) -> tuple[Neighbors, Bools] | None:
        """The k nearest charts that people labelled; None where nobody labelled any.

        See `retrieval.annotations.nearest_annotated`.

        Raises:
            StaleIndexError: the vectors are not of the index's dimension.
        """
        if self.annotated is None:
            return None
        vectors = self._check(vectors, queries)
        return nearest_annotated(
            self.annotated, vectors, queries, eligibility=eligibility, k=k, step=STEP
        )

    def _interval_index(self, interval: str) -> "_IntervalIndex":
        if interval not in self._of_interval:
            on_it = (self.rows.interval == interval) | (interval == "")
            self._of_interval[interval] = _IntervalIndex.of(
                self.rows, self._spans, np.flatnonzero(on_it)
            )
        return self._of_interval[interval]

    def _check(self, vectors: Vectors, queries: Spans) -> Vectors:
        expected = (len(queries), self.rows.vectors.shape[1])
        if vectors.shape != expected:
            raise StaleIndexError(
                f"Query vectors: expected shape {expected}, was {vectors.shape}; the index holds "
                f"vectors of model {self.rows.model!r}.",
                hint=REPAIR,
            )
        return np.ascontiguousarray(vectors, np.float32)


@dataclass(frozen=True, eq=False)
class _IntervalIndex:
    """The rows of one interval, as FAISS holds them."""

    numbers: Ints  # rows of the whole index
    vectors: Vectors  # of the whole index
    spans: Spans
    market: Ints  # code of symbol and interval
    flat: Any

    @classmethod
    def of(cls, rows: Embeddings, spans: Spans, numbers: Ints) -> Self:
        own = spans.take(numbers)
        names = np.char.add(np.char.add(own.symbol, " "), own.interval)
        market = np.unique(names, return_inverse=True)[1] if len(own) else np.empty(0, np.int64)
        flat = _make_flat(rows.vectors[numbers])
        return cls(numbers, rows.vectors, own, market.astype(np.int64), flat)

    def __len__(self) -> int:
        return len(self.numbers)

    def eligible(self, eligibility: Eligibility, queries: Spans) -> Bools:
        """Bool (q, n): which rows may be neighbors of which queries."""
        if eligibility.all_eligible(self.spans, queries):
            return np.ones((len(queries), len(self)), np.bool_)
        return eligibility.eligible(self.spans, queries)

    def rank(self, vectors: Vectors, eligible: Bools, k: int) -> tuple[Ints, Vectors]:
        """Rows (q, k) of the whole index, and their similarity, best first."""
        rows = np.full((len(vectors), k), -1, np.int64)
        similarity = np.full((len(vectors), k), -np.inf, np.float32)
        open_queries = np.flatnonzero(eligible.any(axis=1))
        # fetch some candidates more than k, as overlapping ones are dropped; four times as many
        # for the queries that this leaves with too few
        fetched = 2 * k + 16
        while len(open_queries):
            fetched = min(fetched, len(self))
            ranked, scores, sure = self._fetch(
                vectors[open_queries], eligible[open_queries], fetched
            )
            kept = self._distinct(ranked, sure, k)
            # a query is done with k neighbors, or when every eligible row was looked at
            exhausted = sure.all(axis=1) & (fetched >= eligible[open_queries].sum(axis=1))
            done = (kept[:, -1] >= 0) | exhausted
            at = np.maximum(kept[done], 0)
            here = open_queries[done]
            rows[here] = np.where(kept[done] >= 0, np.take_along_axis(ranked[done], at, 1), -1)
            similarity[here] = np.where(
                kept[done] >= 0, np.take_along_axis(scores[done], at, 1), -np.inf
            )
            open_queries = open_queries[~done]
            fetched *= 4
        return np.where(rows >= 0, self.numbers[rows], -1), similarity

    def _fetch(self, vectors: Vectors, eligible: Bools, m: int) -> tuple[Ints, Vectors, Bools]:
        """Candidates (q, m) in exact order, and which surely precede every row not fetched."""
        rows, scores = self._nearest(vectors, eligible, m)
        # a row that was not fetched scores at most as the worst that was, within FAISS's error
        left = m < eligible.sum(axis=1)
        worst = np.where(left, scores[:, -1] + _FAISS_ERROR, -np.inf)
        # score the candidates again in double precision; ties go by row
        exact = np.einsum(
            "qmd,qd->qm",
            self.vectors[self.numbers[rows]],
            vectors,
            dtype=np.float64,
            casting="safe",
        )
        exact = np.where(rows >= 0, np.round(exact / STEP) * STEP, -np.inf)
        order = np.lexsort((rows, -exact), axis=1)
        rows = np.take_along_axis(rows, order, 1)
        exact = np.take_along_axis(exact, order, 1)
        return rows, exact.astype(np.float32), (exact > worst[:, None]) | (rows < 0)

    def _nearest(self, vectors: Vectors, eligible: Bools, m: int) -> tuple[Ints, Vectors]:
        """The m eligible rows with the highest FAISS scores, padded with -1, and those scores.

        Where few rows are ineligible, all queries share one matrix product that fetches as many
        rows more, and those are dropped: of the best m + b rows at most b are ineligible. Else
        FAISS skips them itself, for each group of queries with the same eligible rows.
        """
        ineligible = int((~eligible).sum(axis=1).max())
        if m + ineligible <= _MAX_SHARED_ROWS:
            scores, rows = _search_flat(self.flat, vectors, min(m + ineligible, len(self)), None)
            # a stable sort moves the ineligible behind the others and keeps their order
            dropped = ~np.take_along_axis(eligible, rows, 1)
            first = np.argsort(dropped, axis=1, kind="stable")[:, :m]
            rows, scores = np.where(dropped, -1, rows), np.where(dropped, -np.inf, scores)
            return np.take_along_axis(rows, first, 1), np.take_along_axis(scores, first, 1)
        rows = np.full((len(vectors), m), -1, np.int64)
        scores = np.full((len(vectors), m), -np.inf, np.float32)
        for bitmap, group in _group_by_eligible(eligible):
            scores[group], rows[group] = _search_flat(self.flat, vectors[group], m, bitmap)
        return rows, scores

    def _distinct(self, ranked: Ints, sure: Bools, k: int) -> Ints:
        """Columns (q, k) of `ranked` that remain when overlapping rows of a market count once."""
        q = np.arange(len(ranked))
        kept = np.full((len(ranked), k), -1, np.int64)
        kept_rows = np.full((len(ranked), k), -1, np.int64)
        count = np.zeros(len(ranked), np.int64)
        first, known = self.spans.first_ms, self.spans.known_ms
        # from the best column to the worst, for all queries at once
        for column in range(ranked.shape[1]):
            row = ranked[:, column]
            candidate = (row >= 0) & sure[:, column] & (count < k)
            if not candidate.any():
                break
            # drop a row whose time overlaps that of a better one of the same market
            clash = (
                (kept_rows >= 0)
                & (self.market[kept_rows] == self.market[row][:, None])
                & overlaps(
                    first[kept_rows], known[kept_rows], first[row][:, None], known[row][:, None]
                )
            ).any(axis=1)
            take = q[candidate & ~clash]
            kept[take, count[take]] = column
            kept_rows[take, count[take]] = row[take]
            count[take] += 1
        return kept


def fingerprint(rows: Embeddings, annotations: Sequence[IndexAnnotation] = ()) -> str:
    """Sixteen hex digits over everything in rows and annotations: the version of their index."""
    h = hashlib.sha256("|".join((rows.model, rows.style, rows.rules, rows.data)).encode())
    outcomes = rows.outcomes
    for column in (rows.vectors, rows.last_ms, rows.reading, rows.phase, rows.weight):
        h.update(np.ascontiguousarray(column).tobytes())
    for column in (outcomes.move, outcomes.best, outcomes.worst, outcomes.scale):
        h.update(np.ascontiguousarray(column, np.float64).tobytes())
    h.update(np.ascontiguousarray(outcomes.complete_ms).tobytes())
    h.update("|".join([*rows.symbol.tolist(), *rows.interval.tolist()]).encode())
    for annotation in annotations:
        h.update(annotation.model_dump_json().encode())
    return h.hexdigest()[:16]


def build(
    root: Path,
    rows: Embeddings,
    *,
    now_ms: int,
    annotations: Sequence[IndexAnnotation] = (),
    activate: bool = True,
) -> Index:
    """Write an index of the rows under `root` and make it current; the same rows add nothing.

    Args:
        root: where indexes are kept.
        rows: the charts.
        now_ms: when it is made.
        annotations: people's labels of some of them.
        activate: make it the current one; off, it is kept beside that, for a model that is not
            active yet.

    Raises:
        EmptyIndexError: there are no rows.
        StorageError: the disk is full or the folder may not be written.
    """
    index = Index(rows, annotations)
    manifest = IndexManifest(
        version=index.version,
        model=rows.model,
        style=rows.style,
        rules=rows.rules,
        data=rows.data,
        count=len(rows),
        dim=rows.vectors.shape[1],
        files={},
        created_at=iso(now_ms),
    )
    files = {"index.faiss": _serialize(rows.vectors), "rows.parquet": table.pack(rows)}
    if annotations:
        files["words.json"] = (
            IndexAnnotations(words=list(annotations)).model_dump_json(indent=2).encode()
        )
    store.publish(root, manifest, files, activate=activate)
    return index


def version_for(root: Path, model: str) -> str:
    """The version that serves a model: the current one, or its own newest if another made that.

    Raises:
        EmptyIndexError: none was built yet.
        CorruptFileError: the pointer is damaged.
    """
    return store.version_for(root, model)


def load(
    root: Path, *, model: str | None = None, style: str | None = None, version: str | None = None
) -> Index:
    """Read an index, by default the current one, and check that `model` and `style` made it.

    Raises:
        EmptyIndexError: none was built yet.
        CorruptFileError: a file of it is missing, truncated or altered.
        StaleIndexError: another model or style made it.
    """
    manifest, files = store.read(root, version or store.current_version(root))
    _check_maker("model", manifest.model, model)
    _check_maker("style", manifest.style, style)
    made_by = (manifest.model, manifest.style, manifest.rules, manifest.data)
    try:
        vectors = _deserialize(files["index.faiss"])
        rows = table.unpack(files["rows.parquet"], vectors, made_by, repair=REPAIR)
    except KeyError as error:
        raise CorruptFileError(f"The manifest in {root} lacks {error}.", hint=REPAIR) from error
    index = Index(rows, _read_annotations(root, files.get("words.json")))
    if index.version != manifest.version:
        raise CorruptFileError(
            f"Index {manifest.version} in {root} holds the rows of {index.version}.", hint=REPAIR
        )
    return index


def add(root: Path, rows: Embeddings, *, now_ms: int) -> Index:
    """Add rows to the current index, by (symbol, interval, last candle); known ones are skipped.

    Raises:
        StaleIndexError: another model, style or rule book made the rows.
    """
    old = load(root)
    return build(root, merge(old.rows, rows), now_ms=now_ms, annotations=old.annotations)


def merge(old: Embeddings, new: Embeddings) -> Embeddings:
    """`old` followed by the rows of `new` that it lacks; merging twice changes nothing.

    Raises:
        StaleIndexError: another model, style or rule book made `new`.
    """
    return table.merge(old, new, StaleIndexError)


def _read_annotations(root: Path, payload: bytes | None) -> Sequence[IndexAnnotation]:
    if payload is None:
        return ()
    try:
        return IndexAnnotations.model_validate_json(payload).words
    except ValidationError as error:
        raise CorruptFileError(f"words.json in {root} is damaged.", hint=REPAIR) from error


def _check_maker(facet: str, was: str, expected: str | None) -> None:
    if expected is not None and was != expected:
        raise StaleIndexError(
            f"The index was built by {facet} {was!r}: expected {expected!r}.", hint=REPAIR
        )


def _empty_neighbors(q: int, k: int) -> Neighbors:
    return Neighbors(np.full((q, k), -1, np.int64), np.full((q, k), -np.inf, np.float32))


def _overlap(spans: Spans, a: int, b: int) -> bool:
    return bool(
        spans.symbol[a] == spans.symbol[b]
        and spans.interval[a] == spans.interval[b]
        and overlaps(spans.first_ms[a], spans.known_ms[a], spans.first_ms[b], spans.known_ms[b])
    )


def _group_by_eligible(eligible: Bools) -> Iterator[tuple[NDArray[np.uint8] | None, Ints]]:
    """Queries with equal eligible rows: a bitmap of those (None: all rows), and their numbers."""
    bitmaps = np.packbits(eligible, axis=1, bitorder="little")
    groups: dict[bytes, list[int]] = {}
    for i, bitmap in enumerate(bitmaps):
        groups.setdefault(bitmap.tobytes(), []).append(i)
    for members in groups.values():
        all_eligible = eligible[members[0]].all()
        yield (None if all_eligible else bitmaps[members[0]]), np.array(members, np.int64)


def _make_flat(vectors: Vectors) -> Any:
    flat = _faiss().IndexFlatIP(vectors.shape[1])
    flat.add(np.ascontiguousarray(vectors, np.float32))
    return flat


def _search_flat(
    flat: Any, vectors: Vectors, m: int, bitmap: NDArray[np.uint8] | None
) -> tuple[Vectors, Ints]:
    faiss = _faiss()
    seen = None if bitmap is None else faiss.SearchParameters(sel=faiss.IDSelectorBitmap(bitmap))
    scores, ids = flat.search(vectors, m, params=seen)
    return scores, ids


def _serialize(vectors: Vectors) -> bytes:
    return bytes(_faiss().serialize_index(_make_flat(vectors)).tobytes())


def _deserialize(payload: bytes) -> Vectors:
    try:
        flat = _faiss().deserialize_index(np.frombuffer(payload, np.uint8))
    except RuntimeError as error:
        raise CorruptFileError("index.faiss is no FAISS index.", hint=REPAIR) from error
    vectors: Vectors = flat.reconstruct_n(0, flat.ntotal)
    return vectors


def _faiss() -> Any:
    """The one door to FAISS, which takes a third of a second to load and ships no types."""
    import faiss

    return faiss


__all__ = [
    "REPAIR",
    "STEP",
    "Eligibility",
    "ExactIndex",
    "Index",
    "IndexAnnotation",
    "PointInTimeFilter",
    "PurgeAndEmbargo",
    "Spans",
    "add",
    "build",
    "fingerprint",
    "load",
    "merge",
    "version_for",
]
