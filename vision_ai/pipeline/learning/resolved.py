"""Charts that may be learned from: found again in candles, and labelled as training labels them."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from vision_ai.config import Paths
from vision_ai.domain import Embeddings, Interval, Ints, Klines, parse_time
from vision_ai.errors import KlinesError
from vision_ai.labels.captions import Captions
from vision_ai.market import files
from vision_ai.measures import purge
from vision_ai.measures.purge import Spans
from vision_ai.model.training import split
from vision_ai.model.training.batches import Corpus
from vision_ai.model.training.split import SplitConfig
from vision_ai.pipeline.lookup import Finder, Originals
from vision_ai.records import Feedback, Prediction


def charts(
    lines: Iterable[Feedback], predictions: Iterable[Prediction], finder: Finder, captions: Captions
) -> Corpus:
    """The charts of resolved calls, both intervals of each, those whose candles are still here.

    A chart that several calls share counts once.
    """
    calls = {(p.symbol, p.as_of): p for p in predictions if p.source == "klines"}
    predictions_of_lines = [
        calls[key] for line in lines if (key := (line.symbol, line.as_of)) in calls
    ]
    keys = dict.fromkeys(
        (call.symbol, interval, parse_time(reading.last_candle), reading.klines_hash)
        for call in predictions_of_lines
        for interval, reading in sorted(call.intervals.items())
    )
    located = [at for chart in keys if (at := _find_window(finder, *chart))]
    tables = {id(klines): klines for klines, _ in located}
    table_number = {name: number for number, name in enumerate(tables)}
    return labelled(
        tuple(tables.values()),
        np.array([table_number[id(klines)] for klines, _ in located], np.int32),
        np.array([end for _, end in located], np.int32),
        captions,
    )


def _find_window(
    finder: Finder, symbol: str, interval: Interval, last_ms: int, digest: str
) -> tuple[Klines, int] | None:
    return finder.window(symbol, interval, last_ms + interval.ms, digest)


def labelled(tables: tuple[Klines, ...], table: Ints, end: Ints, captions: Captions) -> Corpus:
    """Windows sorted by table, with a person's labels where there are some, else the rule book's.

    Args:
        tables: candles.
        table: int (n,), which table each window is of.
        end: int (n,), row of its last candle.
        captions: people's labels, by the hash of the chart.
    """
    order = np.argsort(table, kind="stable")
    blank = np.zeros(len(end), np.int8)
    corpus = Corpus(
        tables, table[order].astype(np.int32), end[order].astype(np.int32), blank, blank
    )
    if not len(corpus):
        return corpus
    labels = captions.label(corpus.bars(np.arange(len(corpus))))
    return replace(corpus, reading=labels.reading, phase=labels.phase)


def tables(paths: Paths, klines: Path | None) -> list[Klines]:
    """Cached candles and those of a folder, in both charted intervals.

    Raises:
        KlinesError: `klines` is no folder of candles.
        CorruptFileError: a file is damaged.
    """
    folder_tables = [] if klines is None else [table for _, table in files.read_folder(klines)]
    try:
        return [*folder_tables, *(table for _, table in files.read_folder(paths.klines_folder))]
    except KlinesError:  # nothing was ever fetched
        return folder_tables


def originals(rows: Embeddings, candles: Sequence[Klines], captions: Captions) -> Corpus:
    """The indexed charts whose candles are at hand, labelled anew."""
    sources = Originals.find(rows, candles)
    rows_with_candles = sources.found
    return labelled(
        sources.tables, sources.table[rows_with_candles], sources.end[rows_with_candles], captions
    )


def windows(
    candles: Sequence[Klines], until_ms: int, count: int, captions: Captions, *, seed: int
) -> Corpus:
    """Up to `count` random windows that were settled, outcomes included, at `until_ms`."""
    whole = tuple(part for table in candles if len(part := table.until(until_ms)))
    if not whole:
        return joined([])
    candidates = split.windows(whole, SplitConfig())
    spans = Spans.at(candidates.symbol, candidates.interval, candidates.close_ms)
    rows_settled = np.flatnonzero(purge.settled(spans, until_ms))
    rng = np.random.default_rng([seed, count])
    rows = np.sort(rng.choice(rows_settled, min(count, len(rows_settled)), replace=False))
    return labelled(whole, candidates.table[rows], candidates.end[rows], captions)


def distinct(corpus: Corpus) -> Corpus:
    """Each chart once: the first of those of one symbol, interval and last candle."""
    seen: dict[tuple[str, str, int], int] = {}
    columns = (corpus.symbol.tolist(), corpus.interval.tolist(), corpus.last_ms.tolist())
    for row, key in enumerate(zip(*columns, strict=True)):
        seen.setdefault(key, row)
    return corpus.take(np.array(list(seen.values()), np.int64))


def joined(parts: Sequence[Corpus]) -> Corpus:
    """Several corpora as one, the rows of each in their order."""
    filled = [part for part in parts if len(part)]
    starts = np.cumsum([0, *(len(part.tables) for part in filled)])[:-1]
    blank = [np.empty(0, np.int32)]
    codes = [np.empty(0, np.int8)]
    table = [part.table + start for part, start in zip(filled, starts, strict=True)]
    return Corpus(
        tuple(table for part in filled for table in part.tables),
        np.concatenate([*blank, *table]).astype(np.int32),
        np.concatenate([*blank, *(part.end for part in filled)]),
        np.concatenate([*codes, *(part.reading for part in filled)]),
        np.concatenate([*codes, *(part.phase for part in filled)]),
    )
