"""What people said of charts of an index: whose label it is, since when, and which charts it nears.

People's labels are few, so they are compared with every query, without an index of their own.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vision_ai.domain import Bools, Embeddings, Interval, Ints, Labelled, Neighbors, parse_time
from vision_ai.errors import CorruptFileError
from vision_ai.measures.purge import Eligibility, Spans, overlaps
from vision_ai.records import IsoTime, Record, SymbolText


class Word(Record):
    """Who labelled a chart of the index, and when; the label itself stands in the index's row."""

    symbol: SymbolText
    interval: Interval
    as_of: IsoTime
    who: str
    at: IsoTime

    @property
    def place(self) -> tuple[str, str, int]:
        """Where the chart stands in an index: symbol, interval, open of its last candle."""
        return self.symbol, self.interval.value, parse_time(self.as_of) - self.interval.ms


class WordList(Record):
    """`words.json` of an index: every chart in it that a person labelled."""

    schema_version: Literal[1] = 1
    words: list[Word]


def find(said: Sequence[Word], rows: Embeddings, *, repair: str) -> Labelled:
    """The charts that people labelled, among the rows of an index.

    Raises:
        CorruptFileError: a word is about a chart that is not there; `repair` is the hint.
    """
    columns = (rows.symbol.tolist(), rows.interval.tolist(), rows.last_ms.tolist())
    number = {place: row for row, place in enumerate(zip(*columns, strict=True))}
    missing = [word for word in said if word.place not in number]
    if missing:
        first = missing[0]
        raise CorruptFileError(
            f"The index lacks {first.symbol} {first.interval} {first.as_of}, which {first.who} "
            "labelled.",
            hint=repair,
        )
    at = np.array([number[word.place] for word in said], np.int64)
    who = np.array([word.who for word in said], np.str_)
    said_ms = np.array([parse_time(word.at) for word in said], np.int64)
    return Labelled(at, rows.take(at), who, said_ms)


def near(
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
    candles with each other only the nearest counts, as for all look-alikes.

    Args:
        labelled: the charts that people labelled.
        vectors: float32 (q, d), unit length.
        queries: whose charts they are and when they were seen.
        eligibility: what may speak.
        k: how many at most.
        step: similarities are rounded to this, as those of the index.
    """
    spans = Spans.of(labelled.rows)
    allowed = eligibility.eligible_annotations(spans, labelled.said_ms, queries)
    allowed &= spans.interval == queries.interval[:, None]
    exact = vectors.astype(np.float64) @ labelled.rows.vectors.astype(np.float64).T
    similarity = np.where(allowed, np.round(exact / step) * step, -np.inf)
    ranked = np.argsort(-similarity, axis=1, kind="stable")
    found = np.full((len(queries), k), -1, np.int64)
    for query in np.flatnonzero(allowed.any(axis=1)):
        kept: list[int] = []
        for word in ranked[query, : int(allowed[query].sum())].tolist():
            if len(kept) == k:
                break
            if not any(_together(spans, word, other) for other in kept):
                kept.append(word)
        found[query, : len(kept)] = kept
    alike = np.where(found >= 0, np.take_along_axis(similarity, found, 1), -np.inf)
    return Neighbors(found, alike.astype(np.float32)), _shared(spans, found, queries)


def _together(spans: Spans, a: int, b: int) -> bool:
    return bool(
        spans.symbol[a] == spans.symbol[b]
        and overlaps(spans.first_ms[a], spans.as_of_ms[a], spans.first_ms[b], spans.as_of_ms[b])
    )


def _shared(spans: Spans, found: Ints, queries: Spans) -> Bools:
    """Bool (q, k): the chart is of the query's own market and shares candles with it."""
    shared: Bools = (
        (found >= 0)
        & (spans.symbol[found] == queries.symbol[:, None])
        & overlaps(
            spans.first_ms[found],
            spans.as_of_ms[found],
            queries.first_ms[:, None],
            queries.as_of_ms[:, None],
        )
    )
    return shared
