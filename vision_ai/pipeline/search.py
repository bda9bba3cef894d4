"""Words or a chart to the charts of the index that are most like them, and what followed each."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from vision_ai import storage
from vision_ai.charts import raster, sheet
from vision_ai.domain import (
    CLOSE,
    HORIZONS,
    PHASES,
    READINGS,
    WINDOW,
    Direction,
    Embeddings,
    Horizon,
    Interval,
    Klines,
    Neighbors,
    Phase,
    Setup,
    iso,
    parse_interval,
    parse_symbol,
)
from vision_ai.errors import EmptyIndexError, InputError, VisionError
from vision_ai.index import Index
from vision_ai.labels import descriptions
from vision_ai.market import files
from vision_ai.measures.purge import PointInTimeFilter, Spans
from vision_ai.model import registry
from vision_ai.model.embed import Embedder
from vision_ai.pipeline import batch, candles
from vision_ai.pipeline import reader as readers
from vision_ai.pipeline.lookup import Originals
from vision_ai.pipeline.workspace import Result, Workspace
from vision_ai.records import IsoTime, Record

COLUMNS = 3


@dataclass(frozen=True)
class SearchOptions:
    """What is looked for.

    Attributes:
        words: a description; None where a symbol's newest chart is the query.
        like: a symbol whose newest chart is the query; None where words are.
        symbol: only charts of this one.
        interval: only charts of this one; a chart is always compared with its own interval.
        k: how many.
        sheet: PNG to draw the query and the charts found on.
        klines: folder of candles to draw them from; None looks in the cache.
    """

    words: str | None = None
    like: str | None = None
    symbol: str | None = None
    interval: str | None = None
    k: int = 8
    sheet: Path | None = None
    klines: Path | None = None


@dataclass(frozen=True, eq=False)
class _Query:
    """What is compared with the charts of the index.

    Attributes:
        text: the words, or the symbol.
        vector: float32 (1, d).
        spans: the time that it occupies.
        unknown_words: words that the model does not know.
        window: the chart, where a symbol is the query.
    """

    text: str
    vector: NDArray[np.float32]
    spans: Spans
    unknown_words: list[str] = field(default_factory=list)
    window: Klines | None = None


class SimilarChart(Record):
    """A chart of the index, and what followed it."""

    similarity: float
    symbol: str
    interval: Interval
    as_of: IsoTime
    setup: Setup
    direction: Direction
    phase: Phase
    moves: dict[Horizon, float | None] = Field(description="simple return; null: not known")


class SearchResult(Result):
    """Charts most like words, or like a chart."""

    query: str
    model: str
    found: list[SimilarChart] = Field(description="the most similar first")
    sheet: str | None = Field(description="PNG that was drawn")
    drawn: int | None = Field(default=None, description="charts on it whose candles are here")
    as_of: IsoTime | None = Field(default=None, exclude=True)
    interval: Interval | None = Field(default=None, exclude=True)
    unknown_words: list[str] = Field(default=[], exclude=True)

    def payload(self) -> dict[str, Any]:
        """The JSON object that `--json` prints; `drawn` only beside a sheet."""
        content = super().payload()
        if self.sheet is None:
            del content["drawn"]
        return content


def search(workspace: Workspace, options: SearchOptions) -> SearchResult:
    """Find the charts of the index that are most like words, or like a symbol's newest chart.

    Raises:
        InputError: neither words nor a symbol, or both; no word that the model knows; or a sheet
            that is no PNG.
        EmptyIndexError: the index holds no chart of that symbol or interval.
        StateError: model and index do not belong together.
        TransientError: the exchange cannot be asked for the newest chart.
    """
    if options.sheet is not None:
        sheet.refuse_other_names(options.sheet)
    if (options.words is None) == (options.like is None):
        raise InputError(
            "What to look for is not clear: expected either words or --like SYMBOL.",
            hint='Try: vision-ai search "failed breakout at the top of a range"',
        )
    settings = workspace.config.model
    model = registry.resolve(workspace.paths, settings.version)
    readers.check_style(model)
    embedder = Embedder(model, threads=settings.threads, batch=settings.batch)
    rows = _eligible_rows(readers.open_index(workspace.paths, model).rows, options)
    if options.like is None:
        query = _query_of_words(embedder, rows, options)
    else:
        query = _query_of_symbol(workspace, embedder, options)
    neighbors = Index(rows).search(
        query.vector,
        query.spans,
        eligibility=PointInTimeFilter(),
        k=options.k,
        any_interval=options.interval is None and query.window is None,
    )
    charts = _charts(rows, neighbors)
    drawn = None
    if options.sheet is not None:
        drawn = _draw(workspace, options, query, rows, neighbors, charts)
    window = query.window
    return SearchResult(
        query=query.text,
        model=model.version,
        found=charts,
        sheet=None if options.sheet is None else str(options.sheet),
        drawn=drawn,
        as_of=None if window is None else iso(int(window.close_ms[-1])),
        interval=None if window is None else window.interval,
        unknown_words=query.unknown_words,
    )


def _eligible_rows(rows: Embeddings, options: SearchOptions) -> Embeddings:
    keep = np.ones(len(rows), np.bool_)
    if options.symbol is not None:
        keep &= rows.symbol == parse_symbol(options.symbol)
    if options.interval is not None:
        keep &= rows.interval == parse_interval(options.interval).value
    if not keep.any():
        named = " ".join(part for part in (options.symbol, options.interval) if part)
        raise EmptyIndexError(
            f"The index holds no chart of {named[:60]}.",
            hint="Add charts with vision-ai index build --klines DIR, or leave the filter out.",
        )
    return rows.take(keep)


def _query_of_words(embedder: Embedder, rows: Embeddings, options: SearchOptions) -> _Query:
    text = descriptions.normalize(options.words or "")
    unknown = embedder.unknown_words(text)
    if not text:
        raise InputError(
            "There are no words to search for.",
            hint='Try: vision-ai search "failed breakout at the top of a range"',
        )
    if len(unknown) == len(text.split()):
        raise InputError(
            f"No word of {text[:60]!r} is known to the model.",
            hint="Describe a chart, such as: failed breakout at the top of a range.",
        )
    spans = Spans.of(rows)
    # after everything in the index, so that every chart is eligible
    as_of_ms = int(spans.known_ms.max()) + 2 * WINDOW * Interval.H1.ms
    interval = options.interval or str(rows.interval[0])
    query_spans = Spans.at([""], [interval], [as_of_ms])
    return _Query(options.words or "", embedder.texts([text]), query_spans, list(unknown))


def _query_of_symbol(workspace: Workspace, embedder: Embedder, options: SearchOptions) -> _Query:
    symbol = parse_symbol(options.like or "")
    interval = parse_interval(options.interval or Interval.M15)
    now_ms = workspace.exchange.server_time()
    klines = candles.sync(workspace, [symbol], now_ms)[symbol]
    if isinstance(klines, VisionError):
        raise klines
    window = batch.windows_of(klines, now_ms, [interval])[0]
    spans = Spans.at([symbol], [interval.value], [int(window.close_ms[-1])])
    vector = embedder.images(raster.render(window.bars[None]))
    return _Query(options.like or "", vector, spans, window=window)


def _charts(rows: Embeddings, neighbors: Neighbors) -> list[SimilarChart]:
    charts = []
    for row, similarity in zip(
        neighbors.rows[0].tolist(), neighbors.similarity[0].tolist(), strict=True
    ):
        if row < 0:
            continue
        reading = READINGS[int(rows.reading[row])]
        moves = np.expm1(rows.outcomes.move[row])
        charts.append(
            SimilarChart(
                similarity=round(similarity, 4),
                symbol=str(rows.symbol[row]),
                interval=Interval(str(rows.interval[row])),
                as_of=iso(int(rows.close_ms[row])),
                setup=reading.setup,
                direction=reading.direction,
                phase=PHASES[int(rows.phase[row])],
                moves={
                    horizon: round(float(move), 6) if np.isfinite(move) else None
                    for horizon, move in zip(HORIZONS, moves, strict=True)
                },
            )
        )
    return charts


def _draw(
    workspace: Workspace,
    options: SearchOptions,
    query: _Query,
    rows: Embeddings,
    neighbors: Neighbors,
    similar: Sequence[SimilarChart],
) -> int:
    """Write the sheet; how many of the similar charts are on it."""
    rows_found = rows.take(neighbors.rows[0][neighbors.rows[0] >= 0])
    originals = Originals.find(rows_found, _tables(workspace, options, rows_found))
    charts: list[NDArray[np.float64]] = []
    captions: list[str] = []
    marks: list[list[sheet.Level]] = []
    if query.window is not None:
        charts.append(query.window.bars)
        as_of = iso(int(query.window.close_ms[-1]))[:16]
        captions.append(
            f"THE QUERY: {query.window.symbol} {query.window.interval} {as_of}Z\n"
            "its newest closed candles"
        )
        marks.append([])
    for row in originals.found.tolist():
        chart = originals.with_after(row, Horizon.H6)
        charts.append(chart)
        captions.append(_caption(similar[row]))
        last = float(chart[WINDOW - 1, CLOSE])
        marks.append([(last, float(WINDOW), float(len(chart)))])
    if not charts:
        raise InputError(
            "The candles of none of these charts are here.",
            hint="Name a folder that holds them: --klines DIR.",
        )
    storage.write_bytes(
        options.sheet or Path("sheet.png"),
        sheet.contact_sheet(charts, captions, marks, columns=COLUMNS, known=WINDOW),
    )
    return len(originals.found)


def _caption(chart: SimilarChart) -> str:
    side = "" if chart.direction is Direction.NEUTRAL else f" ({chart.direction})"
    moves = "  ".join(
        f"{horizon} {'unknown' if move is None else f'{move:+.2%}'}"
        for horizon, move in chart.moves.items()
    )
    return (
        f"{chart.symbol} {chart.interval} {chart.as_of[:16]}Z  {chart.similarity:.3f}\n"
        f"{chart.setup}{side}, {chart.phase}\nafter the dotted line {moves}"
    )


def _tables(workspace: Workspace, options: SearchOptions, charts: Embeddings) -> Iterator[Klines]:
    """Candles of the charts' symbols, in the intervals that they were drawn in."""
    folder = options.klines or workspace.paths.root / "vision_ai" / "klines"
    if options.klines is None and not any(folder.glob("*.parquet")):
        return
    intervals = [Interval(str(interval)) for interval in np.unique(charts.interval)]
    symbols = set(charts.symbol.tolist())
    for _, klines in files.read_folder(folder, symbols=symbols, intervals=intervals):
        yield klines
