"""People's labels of charts in an index: whose, since when, and which queries they are near.

Annotated charts are few, so they are compared with every query, without an index of their own.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vision_ai.domain import Bools, Embeddings, Interval, Ints, Labelled, Neighbors, parse_time
from vision_ai.errors import CorruptFileError
from vision_ai.measures.purge import Eligibility, Spans, overlaps
from vision_ai.records import IsoTime, Record, SymbolText


class IndexAnnotation(Record):
    """Who labelled a chart of the index, and when; the label itself is in the index's row."""

    symbol: SymbolText
    interval: Interval
    as_of: IsoTime
    who: str
    at: IsoTime

    @property
    def key(self) -> tuple[str, str, int]:
        """Which row of an index it is: symbol, interval, open of the last candle."""
        return self.symbol, self.interval.value, parse_time(self.as_of) - self.interval.ms


class IndexAnnotations(Record):
    """`words.json` of an index: every chart in it that a person labelled."""

    schema_version: Literal[1] = 1
    words: list[IndexAnnotation]


def find_annotated(
    annotations: Sequence[IndexAnnotation], rows: Embeddings, *, repair: str
) -> Labelled:
    """The charts that people labelled, among the rows of an index.

    Raises:
        CorruptFileError: an annotation is of a chart that is not there; `repair` is the hint.
    """
    row_of = {key: row for row, key in enumerate(rows.keys)}
    missing = [annotation for annotation in annotations if annotation.key not in row_of]
    if missing:
        first = missing[0]
        raise CorruptFileError(
            f"The index lacks {first.symbol} {first.interval} {first.as_of}, which {first.who} "
            "labelled.",
            hint=repair,
        )
    at = np.array([row_of[annotation.key] for annotation in annotations], np.int64)
    who = np.array([annotation.who for annotation in annotations], np.str_)
    annotated_ms = np.array([parse_time(annotation.at) for annotation in annotations], np.int64)
    return Labelled(at, rows.take(at), who, annotated_ms)


def nearest_annotated(
    labelled: Labelled,
    vectors: NDArray[np.float32],
    queries: Spans,
    *,
    eligibility: Eligibility,
    k: int,
    step: float,
) -> tuple[Neighbors, Bools]:
    """The k labelled charts most similar to each query, and which of them share its candles.

    `Neighbors.rows` are numbers of `labelled`. Of labelled charts of one market that share
    candles with each other only the nearest counts, as for all neighbors.

    Args:
        labelled: the charts that people labelled.
        vectors: float32 (q, d), unit length.
        queries: whose charts they are and when they were seen.
        eligibility: which of them count for which query.
        k: how many at most.
        step: similarities are rounded to this, as those of the index.
    """
    spans = Spans.of(labelled.rows)
    allowed = eligibility.eligible_annotations(spans, labelled.labelled_ms, queries)
    allowed &= spans.interval == queries.interval[:, None]
    exact = vectors.astype(np.float64) @ labelled.rows.vectors.astype(np.float64).T
    similarity = np.where(allowed, np.round(exact / step) * step, -np.inf)
    ranked = np.argsort(-similarity, axis=1, kind="stable")
    neighbors = np.full((len(queries), k), -1, np.int64)
    for query in np.flatnonzero(allowed.any(axis=1)):
        kept: list[int] = []
        for row in ranked[query, : int(allowed[query].sum())].tolist():
            if len(kept) == k:
                break
            if not any(_share_candles(spans, row, other) for other in kept):
                kept.append(row)
        neighbors[query, : len(kept)] = kept
    similarities = np.where(neighbors >= 0, np.take_along_axis(similarity, neighbors, 1), -np.inf)
    return Neighbors(neighbors, similarities.astype(np.float32)), _shared(spans, neighbors, queries)


def _share_candles(spans: Spans, a: int, b: int) -> bool:
    return bool(
        spans.symbol[a] == spans.symbol[b]
        and overlaps(spans.first_ms[a], spans.as_of_ms[a], spans.first_ms[b], spans.as_of_ms[b])
    )


def _shared(spans: Spans, neighbors: Ints, queries: Spans) -> Bools:
    """Bool (q, k): the chart is of the query's own market and shares candles with it."""
    shared: Bools = (
        (neighbors >= 0)
        & (spans.symbol[neighbors] == queries.symbol[:, None])
        & overlaps(
            spans.first_ms[neighbors],
            spans.as_of_ms[neighbors],
            queries.first_ms[:, None],
            queries.as_of_ms[:, None],
        )
    )
    return shared
