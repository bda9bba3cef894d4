"""Words or a chart to the charts of the index that are most like them, and what followed each."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vision_ai import storage
from vision_ai.charts import raster, sheet
from vision_ai.domain import (
    CLOSE,
    HORIZONS,
    PHASES,
    READINGS,
    WINDOW,
    Embeddings,
    Horizon,
    Interval,
    Klines,
    Neighbors,
    iso,
    parse_interval,
    parse_symbol,
)
from vision_ai.errors import EmptyIndexError, InputError, VisionError
from vision_ai.index import Index
from vision_ai.labels import describe
from vision_ai.market import files
from vision_ai.market.bybit import Bybit
from vision_ai.measures.purge import PointInTimeFilter, Spans
from vision_ai.model import registry
from vision_ai.model.embed import Embedder
from vision_ai.pipeline import batch, candles
from vision_ai.pipeline import reader as readers
from vision_ai.pipeline.originals import Originals
from vision_ai.pipeline.workspace import Report, Workspace

COLUMNS = 3


@dataclass(frozen=True)
class Wanted:
    """What is looked for.

    Attributes:
        words: a description; None where a symbol's newest chart is the query.
        like: a symbol whose newest chart is the query; None where words are.
        symbol: only charts of this one.
        interval: only charts of this one; a chart is always compared with its own interval.
        k: how many.
        sheet: PNG to draw query and finds on.
        klines: folder of candles to draw the finds from; None looks in the cache.
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
    vector: NDArray[np.float32]
    spans: Spans
    said: str
    title: str = ""
    window: Klines | None = None


def search(workspace: Workspace, wanted: Wanted) -> Report:
    """Find the charts of the index that are most like words, or like a symbol's newest chart.

    Raises:
        InputError: neither words nor a symbol, or both; no word that the model knows; or a sheet
            that is no PNG.
        EmptyIndexError: the index holds no chart of that symbol or interval.
        StateError: model and index do not belong together.
        TransientError: the exchange cannot be asked for the newest chart.
    """
    if wanted.sheet is not None:
        sheet.refuse_other_names(wanted.sheet)
    if (wanted.words is None) == (wanted.like is None):
        raise InputError(
            "What to look for is not clear: expected either words or --like SYMBOL.",
            hint='Try: vision-ai search "failed breakout at the top of a range"',
        )
    settings = workspace.config.model
    model = registry.resolve(workspace.paths, settings.version)
    readers.check_style(model)
    embedder = Embedder(model, threads=settings.threads, batch=settings.batch)
    rows = _asked_rows(readers.open_index(workspace, model).rows, wanted)
    if wanted.like is None:
        query = _words(embedder, rows, wanted)
    else:
        query = _like(workspace, embedder, wanted)
    found = Index(rows).search(
        query.vector,
        query.spans,
        eligibility=PointInTimeFilter(),
        k=wanted.k,
        any_interval=wanted.interval is None and query.window is None,
    )
    finds = _finds(rows, found)
    lines = [query.said, *_lines(finds)]
    content: dict[str, Any] = {
        "query": wanted.words or wanted.like,
        "model": model.version,
        "found": finds,
        "sheet": None,
    }
    if wanted.sheet is not None:
        drawn = _draw(workspace, wanted, query, rows, found, finds)
        content.update(sheet=str(wanted.sheet), drawn=drawn)
        lines.append(f"{wanted.sheet}: candles of {drawn} of {len(finds)} were here")
    return Report(content, lines)


def _asked_rows(rows: Embeddings, wanted: Wanted) -> Embeddings:
    keep = np.ones(len(rows), np.bool_)
    if wanted.symbol is not None:
        keep &= rows.symbol == parse_symbol(wanted.symbol)
    if wanted.interval is not None:
        keep &= rows.interval == parse_interval(wanted.interval).value
    if not keep.any():
        named = " ".join(part for part in (wanted.symbol, wanted.interval) if part)
        raise EmptyIndexError(
            f"The index holds no chart of {named[:60]}.",
            hint="Add charts with vision-ai index build --klines DIR, or leave the filter out.",
        )
    return rows.take(keep)


def _words(embedder: Embedder, rows: Embeddings, wanted: Wanted) -> _Query:
    text = describe.normalise(wanted.words or "")
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
    # after everything in the index, so that every chart may speak
    later = int(spans.known_ms.max()) + 2 * WINDOW * Interval.H1.ms
    said = f"Charts most like {text!r}"
    if unknown:
        said += f" (unknown words, not understood: {', '.join(unknown)})"
    interval = wanted.interval or str(rows.interval[0])
    return _Query(embedder.texts([text]), Spans.at([""], [interval], [later]), said + ":")


def _like(workspace: Workspace, embedder: Embedder, wanted: Wanted) -> _Query:
    symbol = parse_symbol(wanted.like or "")
    interval = parse_interval(wanted.interval or Interval.M15)
    with Bybit(workspace.config.market) as exchange:
        now_ms = exchange.server_time()
        fetched = candles.sync(workspace, exchange, [symbol], now_ms)[symbol]
    if isinstance(fetched, VisionError):
        raise fetched
    window = batch.windows_of(fetched, now_ms, [interval])[0]
    as_of_ms = int(window.close_ms[-1])
    spans = Spans.at([symbol], [interval.value], [as_of_ms])
    vector = embedder.images(raster.render(window.bars[None]))
    said = f"Charts most like {symbol} {interval} as of {iso(as_of_ms)}:"
    title = f"THE QUERY: {symbol} {interval} {iso(as_of_ms)[:16]}Z\nits newest closed candles"
    return _Query(vector, spans, said, title, window)


def _finds(rows: Embeddings, found: Neighbors) -> list[dict[str, Any]]:
    finds = []
    for row, similarity in zip(found.rows[0].tolist(), found.similarity[0].tolist(), strict=True):
        if row < 0:
            continue
        shows = READINGS[int(rows.reading[row])]
        moves = np.expm1(rows.outcomes.move[row])
        finds.append(
            {
                "similarity": round(similarity, 4),
                "symbol": str(rows.symbol[row]),
                "interval": str(rows.interval[row]),
                "as_of": iso(int(rows.close_ms[row])),
                "setup": shows.setup.value,
                "direction": shows.direction.value,
                "phase": PHASES[int(rows.phase[row])].value,
                "moves": {
                    horizon.value: round(float(move), 6) if np.isfinite(move) else None
                    for horizon, move in zip(HORIZONS, moves, strict=True)
                },
            }
        )
    return finds


def _lines(finds: Sequence[dict[str, Any]]) -> Iterator[str]:
    for found in finds:
        yield (
            f"  {found['similarity']:.3f}  {found['symbol']:<12}{found['interval']:<4} "
            f"{found['as_of']}  {_shown(found):<30}{found['phase']:<14}{_moves(found['moves'])}"
        )


def _shown(found: dict[str, Any]) -> str:
    """Setup and direction as people write them."""
    side = "" if found["direction"] == "neutral" else f" ({found['direction']})"
    return f"{found['setup']}{side}"


def _moves(moves: dict[str, float | None]) -> str:
    return "  ".join(
        f"{horizon} {'unknown' if move is None else f'{move:+.2%}'}"
        for horizon, move in moves.items()
    )


def _draw(
    workspace: Workspace,
    wanted: Wanted,
    query: _Query,
    rows: Embeddings,
    found: Neighbors,
    finds: Sequence[dict[str, Any]],
) -> int:
    """Write the sheet; how many finds are on it."""
    near = rows.take(found.rows[0][found.rows[0] >= 0])
    originals = Originals.find(near, _tables(workspace, wanted, near))
    charts: list[NDArray[np.float64]] = []
    captions: list[str] = []
    marks: list[list[sheet.Level]] = []
    if query.window is not None:
        charts.append(query.window.bars)
        captions.append(query.title)
        marks.append([])
    for row in originals.found.tolist():
        chart = originals.with_after(row, Horizon.H6)
        charts.append(chart)
        captions.append(_caption(finds[row]))
        last = float(chart[WINDOW - 1, CLOSE])
        marks.append([(last, float(WINDOW), float(len(chart)))])
    if not charts:
        raise InputError(
            "The candles of none of these charts are here.",
            hint="Name a folder that holds them: --klines DIR.",
        )
    storage.write_bytes(
        wanted.sheet or Path("sheet.png"),
        sheet.contact_sheet(charts, captions, marks, columns=COLUMNS, known=WINDOW),
    )
    return len(originals.found)


def _caption(found: dict[str, Any]) -> str:
    head = (
        f"{found['symbol']} {found['interval']} {found['as_of'][:16]}Z  {found['similarity']:.3f}"
    )
    return (
        f"{head}\n{_shown(found)}, {found['phase']}\nafter the dotted line {_moves(found['moves'])}"
    )


def _tables(workspace: Workspace, wanted: Wanted, near: Embeddings) -> Iterator[Klines]:
    """Candles of the finds' symbols, in the intervals that they were drawn in."""
    folder = wanted.klines or workspace.paths.root / "vision_ai" / "klines"
    if wanted.klines is None and not any(folder.glob("*.parquet")):
        return
    symbols = set(near.symbol.tolist())
    for path in files.candle_files(folder):
        if files.parse_name(path).symbol not in symbols:
            continue
        klines = files.read_file(path)
        for interval in np.unique(near.interval):
            length = Interval(str(interval))
            if length.ms % klines.interval.ms == 0:
                yield klines.resample(length)
