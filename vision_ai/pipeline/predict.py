"""Candles to pictures and predictions on disk: one symbol, a whole market, or a picture.

A file that exists is never written again: the same candles give the same picture and the same
prediction, so a second run adds nothing.
"""

import hashlib
from collections.abc import Iterator, Sequence, Sized
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from vision_ai import predict_cv_setup, storage
from vision_ai.config import Paths
from vision_ai.domain import (
    CHART_INTERVALS,
    Interval,
    Klines,
    iso,
    parse_interval,
    parse_symbol,
    parse_time,
)
from vision_ai.errors import (
    CorruptFileError,
    InputError,
    StaleIndexError,
    TransientError,
    VisionError,
)
from vision_ai.pipeline import batch, candles
from vision_ai.pipeline.batch import Windows
from vision_ai.pipeline.reader import Reader, spans_of
from vision_ai.pipeline.workspace import Result, Workspace, parse_intervals, progress
from vision_ai.predict_cv_setup import UNNAMED, Chart
from vision_ai.records import Prediction

SYMBOLS_PER_PART = 16
"""Symbols that are drawn and read before their predictions are written."""

UNSTORED = (
    "Stored 15m candles of {venue} do not hold all before --as-of that are asked for "
    "(market.history): import more, or check the connection."
)

CONFIDENCE_TOLERANCE = 0.005
"""Confidence that two readings of one chart may differ by: the last bits depend on the batch."""


class SnapshotResult(Result):
    """Charts that were drawn."""

    venue: str
    charts: dict[str, list[str]] = Field(description="paths of the PNGs, by symbol")


class PredictResult(Result):
    """One prediction."""

    prediction: Prediction
    path: str | None = Field(description="file of the prediction; null: a picture was read")


class SymbolResult(PredictResult):
    """The prediction of a symbol, new or as it was stored."""

    would_be_other: bool = Field(
        description="whether it was stored earlier and would be another prediction now"
    )


class ScanResult(Result):
    """The predictions of many symbols."""

    venue: str
    charts: int = Field(description="how many PNGs were drawn or found")
    predictions: dict[str, str] = Field(description="file of each prediction, by symbol")
    would_be_other: list[str] = Field(
        description="symbols whose stored prediction would be another one now"
    )
    documents: dict[str, Prediction] = Field(
        default={}, exclude=True, description="the predictions themselves, by symbol"
    )


@dataclass(frozen=True)
class MarketCharts:
    """The charts of several symbols, from one venue at one time.

    The time is the venue's, or ours where only stored candles of the past are read.
    """

    venue: str
    now_ms: int
    windows: Windows
    failed: dict[str, VisionError]

    @property
    def missing(self) -> dict[str, str]:
        """What could not be charted, and why."""
        return {symbol: str(error) for symbol, error in self.failed.items()}


def snapshot(
    workspace: Workspace,
    symbols: Sequence[str],
    *,
    intervals: Sequence[str] | None = None,
    as_of: str | None = None,
) -> SnapshotResult:
    """Draw the newest charts of the symbols; those that exist are kept.

    Raises:
        SymbolError: a symbol is not valid.
        IntervalError: an interval has no chart.
        TransientError: the exchange cannot be asked at all.
    """
    charts = _read_market(
        workspace, [parse_symbol(s) for s in symbols], None, as_of, parse_intervals(intervals)
    )
    paths = _draw_all(workspace, charts)
    _raise_if_none(charts, paths)
    return SnapshotResult(
        venue=charts.venue,
        charts={
            name: [str(workspace.paths.root / path) for path in paths_of_symbol]
            for name, paths_of_symbol in paths.items()
        },
        missing=charts.missing,
    )


def predict(workspace: Workspace, symbol: str, *, as_of: str | None = None) -> SymbolResult:
    """Predict one symbol and say everything about it.

    Raises:
        VisionError: whatever keeps the symbol from being read.
    """
    checked = parse_symbol(symbol)
    charts = _read_market(workspace, [checked], None, as_of, CHART_INTERVALS)
    reader = workspace.reader
    predictions, outdated = _predict_all(workspace, reader, charts, _draw_all(workspace, charts))
    _raise_if_none(charts, predictions)
    prediction = predictions[checked]
    path = workspace.paths.prediction(checked, parse_time(prediction.as_of))
    return SymbolResult(prediction=prediction, path=str(path), would_be_other=bool(outdated))


def scan(
    workspace: Workspace,
    symbols: Sequence[str] | None,
    *,
    top: int | None = None,
    as_of: str | None = None,
    draw_charts: bool = True,
) -> ScanResult:
    """Predict many symbols; what cannot be read is named, the rest is kept.

    Raises:
        SymbolError: a symbol is not valid.
        TransientError: the exchange cannot be asked at all.
    """
    checked = [parse_symbol(s) for s in symbols] if symbols else None
    reader = workspace.reader
    charts = _read_market(workspace, checked, top, as_of, CHART_INTERVALS)
    paths: dict[str, list[str]] = {}
    predictions: dict[str, Prediction] = {}
    outdated: set[str] = set()
    for part in _in_parts(charts):
        paths |= _draw_all(workspace, part) if draw_charts else {}
        part_predictions, part_outdated = _predict_all(workspace, reader, part, paths)
        predictions |= part_predictions
        outdated |= part_outdated
    _raise_if_none(charts, predictions)
    return ScanResult(
        venue=charts.venue,
        charts=sum(len(paths_of_symbol) for paths_of_symbol in paths.values()),
        predictions={
            name: str(workspace.paths.prediction(name, parse_time(prediction.as_of)))
            for name, prediction in predictions.items()
        },
        would_be_other=sorted(outdated),
        documents=predictions,
        missing=charts.missing,
    )


def predict_image(
    workspace: Workspace, path: Path, *, symbol: str | None = None, interval: str | None = None
) -> PredictResult:
    """Read a picture of a chart: one of ours, or anybody's.

    A picture of ours says itself which candles it shows; of another one, symbol and interval are
    what the caller says, and there is no price scale, so no outcome bands.

    Raises:
        ImageError: the picture shows no 96 candles that could be made out.
    """
    from vision_ai.charts import png
    from vision_ai.charts.screenshots import recovery

    image = png.read(path)
    bars = recovery.read_bars(image)
    meta = image.meta
    length = meta.interval if meta else parse_interval(interval or Interval.M15)
    name = meta.symbol if meta else (parse_symbol(symbol) if symbol else UNNAMED)
    now_ms = workspace.clock()
    last_ms = meta.last_open_ms if meta else now_ms // length.ms * length.ms - length.ms
    chart = Chart(
        interval=length,
        first_ms=last_ms - (bars.shape[1] - 1) * length.ms,
        last_ms=last_ms,
        last_close=float(bars[0, -1, 3]) if meta else None,
        klines_hash=meta.klines if meta else hashlib.sha256(image.pixels.tobytes()).hexdigest(),
    )
    reader = workspace.reader
    spans = spans_of([name], [length], [chart.as_of_ms])
    answers = reader.answers(bars, spans, has_scale=meta is not None)
    provenance = batch.provenance(reader, "image", now_ms, source="image")
    prediction = predict_cv_setup.assemble(
        name, [chart], answers, reader.index.rows, provenance, shown=workspace.config.predict.shown
    )
    return PredictResult(prediction=prediction, path=None)


def _read_market(
    workspace: Workspace,
    symbols: Sequence[str] | None,
    top: int | None,
    as_of: str | None,
    intervals: Sequence[Interval],
) -> MarketCharts:
    asked_ms = None if as_of is None else parse_time(as_of)
    exchange = workspace.exchange
    # Stored candles of the past need no exchange: an import can be read without a connection.
    is_past = asked_ms is not None and exchange.is_long_past(asked_ms)
    now_ms = workspace.clock() if is_past else exchange.server_time()
    if asked_ms is not None and asked_ms > now_ms:
        raise InputError(
            f"--as-of {iso(asked_ms)} lies ahead: the exchange's clock says {iso(now_ms)}.",
            hint="Leave it out to read the newest candles.",
        )
    as_of_ms = now_ms if asked_ms is None else asked_ms
    names = list(symbols) if symbols is not None else exchange.universe(top)
    if not names:
        raise InputError(
            f"{exchange.venue()} lists no USDT market at {iso(as_of_ms)}.",
            hint="Check market.category and VISION_AI_BYBIT_URL.",
        )
    fetched = candles.sync(workspace, names, as_of_ms)
    venue = exchange.venue()
    windows: Windows = {}
    failed: dict[str, VisionError] = {}
    for symbol, result in fetched.items():
        try:
            if is_past and isinstance(result, TransientError):
                raise type(result)(result.message, hint=UNSTORED.format(venue=venue))
            if isinstance(result, VisionError):
                raise result
            windows[symbol] = batch.windows_of(result, as_of_ms, intervals)
        except VisionError as error:
            failed[symbol] = error
    charts = MarketCharts(venue, now_ms, windows, failed)
    _raise_if_none(charts, windows)
    return charts


def _raise_if_none(charts: MarketCharts, done: Sized) -> None:
    """Raise the reason, or all of them, where nothing at all could be done."""
    if done or not charts.failed:
        return
    first = next(iter(charts.failed.values()))
    if len(charts.failed) == 1:
        raise first
    reasons = "; ".join(f"{symbol}: {why}" for symbol, why in charts.missing.items())
    raise type(first)(f"None of {len(charts.failed)} could be read: {reasons}")


def _in_parts(charts: MarketCharts) -> Iterator[MarketCharts]:
    """A few symbols at a time, so that a scan that is stopped keeps what it has read."""
    symbols = list(charts.windows)
    for first in range(0, len(symbols), SYMBOLS_PER_PART):
        part = symbols[first : first + SYMBOLS_PER_PART]
        windows = {symbol: charts.windows[symbol] for symbol in part}
        yield MarketCharts(charts.venue, charts.now_ms, windows, charts.failed)


def _draw_all(workspace: Workspace, charts: MarketCharts) -> dict[str, list[str]]:
    """Paths of the pictures, relative to the data root, in the order of each symbol's windows."""
    windows_by_symbol = [
        (symbol, window) for symbol, windows in charts.windows.items() for window in windows
    ]
    paths: dict[str, list[str]] = {symbol: [] for symbol in charts.windows}
    for symbol, window in progress(
        windows_by_symbol, total=len(windows_by_symbol), what="Drawing charts"
    ):
        try:
            path = _draw(workspace, window)
        except StaleIndexError as error:  # the file of one symbol
            charts.failed[symbol] = error
            continue
        paths[symbol].append(path.relative_to(workspace.paths.root).as_posix())
    for symbol in charts.failed.keys() & paths.keys():
        del charts.windows[symbol], paths[symbol]
    return paths


def _draw(workspace: Workspace, window: Klines) -> Path:
    """The picture of a window; one that exists is kept if it shows the same candles."""
    from vision_ai.charts import mpl, png

    path = _chart_path(workspace.paths, window)
    if not path.exists():
        storage.write_bytes(path, mpl.draw(window, workspace.config.chart))
        return path
    meta = png.peek(path)
    if meta is None or meta.klines != window.digest:
        raise StaleIndexError(
            f"{path} shows other candles, or is damaged.",
            hint="Move it away and run the same command again, or set VISION_AI_DATA.",
        )
    return path


def _predict_all(
    workspace: Workspace, reader: Reader, charts: MarketCharts, paths: dict[str, list[str]]
) -> tuple[dict[str, Prediction], set[str]]:
    """The predictions on disk, and the symbols whose earlier one would be another now."""
    provenance = batch.provenance(reader, charts.venue, charts.now_ms)
    predictions, outdated = {}, set()
    for answer in batch.read_symbols(reader, charts.windows, paths):
        try:
            new = answer.prediction(
                reader, provenance, neighbor_count=workspace.config.predict.shown
            )
            stored = _store(workspace, new)
            predictions[answer.symbol] = stored
            if not _says_the_same(stored, new):
                outdated.add(answer.symbol)
        except (CorruptFileError, StaleIndexError) as error:  # the file of one symbol
            charts.failed[answer.symbol] = error
    return predictions, outdated


def _store(workspace: Workspace, prediction: Prediction) -> Prediction:
    """Write a prediction; one that was stored earlier is returned as it is."""
    path = workspace.paths.prediction(prediction.symbol, parse_time(prediction.as_of))
    if path.exists():
        repair = f"Move {path} away and run the same command again."
        stored = storage.read_document(path, Prediction, repair=repair)
        _refuse_other_candles(stored, prediction, path, repair)
        return stored
    storage.write_document(path, prediction)
    return prediction


def _refuse_other_candles(stored: Prediction, new: Prediction, path: Path, repair: str) -> None:
    """Two venues may close a candle of one symbol at one time: neither speaks for the other."""
    hashes = {interval: reading.klines_hash for interval, reading in stored.intervals.items()}
    if hashes != {interval: reading.klines_hash for interval, reading in new.intervals.items()}:
        raise StaleIndexError(
            f"{path} was made from other candles, of {stored.venue}: these are of {new.venue}.",
            hint=f"Set VISION_AI_DATA to another folder for them. {repair}",
        )


def _says_the_same(stored: Prediction, new: Prediction) -> bool:
    """Whether both say the same, by the same model and index."""
    if (stored.model_version, stored.index_version) != (new.model_version, new.index_version):
        return False
    return all(
        (was.setup, was.direction, was.phase, was.abstained)
        == (now.setup, now.direction, now.phase, now.abstained)
        and abs(was.confidence - now.confidence) < CONFIDENCE_TOLERANCE
        for was, now in ((was, new.intervals[name]) for name, was in stored.intervals.items())
    )


def _chart_path(paths: Paths, window: Klines) -> Path:
    return paths.chart(window.symbol, window.interval, int(window.close_ms[-1]))
