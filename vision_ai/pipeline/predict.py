"""Candles to pictures and predictions on disk: one symbol, a whole market, or a picture.

A file that stands is never written again: the same candles give the same picture and the same
prediction, so a second run adds nothing.
"""

import hashlib
import time
from collections.abc import Iterator, Sequence, Sized
from dataclasses import dataclass
from pathlib import Path

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
from vision_ai.market.bybit import Bybit
from vision_ai.pipeline import batch, candles, show
from vision_ai.pipeline.batch import Windows
from vision_ai.pipeline.reader import Reader, spans_of
from vision_ai.pipeline.workspace import Report, Workspace, progress
from vision_ai.pipeline.workspace import intervals as chosen
from vision_ai.predict_cv_setup import UNNAMED, Chart
from vision_ai.records import Prediction

TOGETHER = 16
"""Symbols that are drawn and read before their predictions are written."""

KEPT = (
    "stands as it was made, though it would be another now: predictions are never "
    "rewritten. Other settings, and what was learned since, count from the next candle on."
)

UNSTORED = (
    "Stored 15m candles of {venue} do not hold all before --as-of that are asked for "
    "(market.history): import more, or check the connection."
)

ALIKE = 0.005
"""Confidence that two readings of one chart may differ by: the last bits depend on the batch."""


@dataclass(frozen=True)
class Found:
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
) -> Report:
    """Draw the newest charts of the symbols; those that stand are kept.

    Raises:
        SymbolError: a symbol is not valid.
        IntervalError: an interval has no chart.
        TransientError: the exchange cannot be asked at all.
    """
    wanted = chosen(intervals)
    found = _find(workspace, [parse_symbol(s) for s in symbols], None, as_of, wanted)
    drawn = _draw_all(workspace, found)
    _refuse_nothing(found, drawn)
    charts = {
        name: [str(workspace.paths.root / path) for path in made] for name, made in drawn.items()
    }
    lines = [path for made in charts.values() for path in made]
    return Report({"venue": found.venue, "charts": charts}, lines, found.missing)


def predict(workspace: Workspace, symbol: str, *, as_of: str | None = None) -> Report:
    """Predict one symbol and say everything about it.

    Raises:
        VisionError: whatever keeps the symbol from being read.
    """
    checked = parse_symbol(symbol)
    found = _find(workspace, [checked], None, as_of, CHART_INTERVALS)
    reader = Reader.open(workspace)
    predictions, aged = _predict_all(workspace, reader, found, _draw_all(workspace, found))
    _refuse_nothing(found, predictions)
    prediction = predictions[checked]
    path = workspace.paths.prediction(checked, parse_time(prediction.as_of))
    content = {
        "prediction": prediction.model_dump(mode="json"),
        "path": str(path),
        "would_be_other": bool(aged),
    }
    lines = show.prediction(prediction, workspace.paths.root, path)
    if aged:
        lines.append(f"Made at {prediction.created_at}, it {KEPT}")
    return Report(content, lines)


def scan(
    workspace: Workspace,
    symbols: Sequence[str] | None,
    *,
    top: int | None = None,
    as_of: str | None = None,
    charts: bool = True,
    reader: Reader | None = None,
) -> Report:
    """Predict many symbols; what cannot be read is named, the rest is kept.

    Whoever scans again and again hands over the `reader`; it is opened where left out.

    Raises:
        SymbolError: a symbol is not valid.
        TransientError: the exchange cannot be asked at all.
    """
    checked = [parse_symbol(s) for s in symbols] if symbols else None
    reader = reader or Reader.open(workspace)
    found = _find(workspace, checked, top, as_of, CHART_INTERVALS)
    drawn: dict[str, list[str]] = {}
    predictions: dict[str, Prediction] = {}
    aged: set[str] = set()
    for part in _parts(found):
        drawn |= _draw_all(workspace, part) if charts else {}
        made, old = _predict_all(workspace, reader, part, drawn)
        predictions |= made
        aged |= old
    _refuse_nothing(found, predictions)
    content = {
        "venue": found.venue,
        "charts": sum(len(made) for made in drawn.values()),
        "predictions": {
            name: str(workspace.paths.prediction(name, parse_time(prediction.as_of)))
            for name, prediction in predictions.items()
        },
        "would_be_other": sorted(aged),
    }
    lines = show.table(predictions)
    if aged:
        lines.append(f"{', '.join(sorted(aged))}: each {KEPT}")
    return Report(content, lines, found.missing)


def predict_image(
    workspace: Workspace, path: Path, *, symbol: str | None = None, interval: str | None = None
) -> Report:
    """Read a picture of a chart: one of ours, or anybody's.

    A picture of ours says itself which candles it shows; of another one, symbol and interval are
    what the caller says, and there is no price scale, so no outcome bands.

    Raises:
        ImageError: the picture shows no 96 candles that could be made out.
    """
    from vision_ai.charts import png, screen

    image = png.read(path)
    bars = screen.read_bars(image)
    meta = image.meta
    length = meta.interval if meta else parse_interval(interval or Interval.M15)
    name = meta.symbol if meta else (parse_symbol(symbol) if symbol else UNNAMED)
    last_ms = meta.last_open_ms if meta else _now_ms() // length.ms * length.ms - length.ms
    shown = Chart(
        interval=length,
        first_ms=last_ms - (bars.shape[1] - 1) * length.ms,
        last_ms=last_ms,
        last_close=float(bars[0, -1, 3]) if meta else None,
        klines_hash=meta.klines if meta else hashlib.sha256(image.pixels.tobytes()).hexdigest(),
    )
    reader = Reader.open(workspace)
    spans = spans_of([name], [length], [shown.as_of_ms])
    answers = reader.answers(bars, spans, has_scale=meta is not None)
    made_by = batch.provenance(reader, "image", _now_ms(), source="image")
    prediction = predict_cv_setup.assemble(
        name, [shown], answers, reader.index.rows, made_by, shown=workspace.config.predict.shown
    )
    content = {"prediction": prediction.model_dump(mode="json"), "path": None}
    lines = show.prediction(prediction, workspace.paths.root, None)
    if meta is None:
        guess = "as told" if interval else "a guess: say it with --interval"
        lines += [
            f"Read off a bare picture: {length} is {guess}; it has no dates and no price scale, so",
            "the time is now and there are no outcome bands. Lossy pictures (JPEG) can mislead.",
        ]
    return Report(content, lines)


def _find(
    workspace: Workspace,
    symbols: Sequence[str] | None,
    top: int | None,
    as_of: str | None,
    intervals: Sequence[Interval],
) -> Found:
    asked_ms = None if as_of is None else parse_time(as_of)
    with Bybit(workspace.config.market) as exchange:
        # Stored candles of the past need no exchange: an import can be read without a connection.
        is_past = asked_ms is not None and exchange.is_long_past(asked_ms)
        now_ms = _now_ms() if is_past else exchange.server_time()
        if asked_ms is not None and asked_ms > now_ms:
            raise InputError(
                f"--as-of {iso(asked_ms)} lies ahead: the exchange's clock says {iso(now_ms)}.",
                hint="Leave it out to read the newest candles.",
            )
        as_of_ms = now_ms if asked_ms is None else asked_ms
        wanted = list(symbols) if symbols is not None else exchange.universe(top)
        if not wanted:
            raise InputError(
                f"{exchange.venue()} lists no USDT market at {iso(as_of_ms)}.",
                hint="Check market.category and VISION_AI_BYBIT_URL.",
            )
        fetched = candles.sync(workspace, exchange, wanted, as_of_ms)
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
    found = Found(venue, now_ms, windows, failed)
    _refuse_nothing(found, windows)
    return found


def _refuse_nothing(found: Found, done: Sized) -> None:
    """Leave with the reason, or all of them, where nothing at all could be done."""
    if done or not found.failed:
        return
    first = next(iter(found.failed.values()))
    if len(found.failed) == 1:
        raise first
    named = "; ".join(f"{symbol}: {why}" for symbol, why in found.missing.items())
    raise type(first)(f"None of {len(found.failed)} could be read: {named}")


def _parts(found: Found) -> Iterator[Found]:
    """A few symbols at a time, so that a scan that is stopped keeps what it has read."""
    symbols = list(found.windows)
    for at in range(0, len(symbols), TOGETHER):
        windows = {symbol: found.windows[symbol] for symbol in symbols[at : at + TOGETHER]}
        yield Found(found.venue, found.now_ms, windows, found.failed)


def _draw_all(workspace: Workspace, found: Found) -> dict[str, list[str]]:
    """Paths of the pictures, relative to the data root, in the order of each symbol's windows."""
    every = [(symbol, window) for symbol, made in found.windows.items() for window in made]
    drawn: dict[str, list[str]] = {symbol: [] for symbol in found.windows}
    for symbol, window in progress(every, total=len(every), what="Drawing charts"):
        try:
            path = _draw(workspace, window)
        except StaleIndexError as error:  # the file of one symbol
            found.failed[symbol] = error
            continue
        drawn[symbol].append(path.relative_to(workspace.paths.root).as_posix())
    for symbol in found.failed.keys() & drawn.keys():
        del found.windows[symbol], drawn[symbol]
    return drawn


def _draw(workspace: Workspace, window: Klines) -> Path:
    """The picture of a window; one that stands is kept, but not passed off as another's."""
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
    workspace: Workspace, reader: Reader, found: Found, drawn: dict[str, list[str]]
) -> tuple[dict[str, Prediction], set[str]]:
    """The predictions on disk, and the symbols whose earlier one would be another now."""
    made_by = batch.provenance(reader, found.venue, found.now_ms)
    predictions, aged = {}, set()
    for asked in batch.ask(reader, found.windows, drawn):
        try:
            prediction = asked.prediction(reader, made_by, shown=workspace.config.predict.shown)
            kept = _keep(workspace, prediction)
            predictions[asked.symbol] = kept
            if not _is_alike(kept, prediction):
                aged.add(asked.symbol)
        except (CorruptFileError, StaleIndexError) as error:  # the file of one symbol
            found.failed[asked.symbol] = error
    return predictions, aged


def _keep(workspace: Workspace, prediction: Prediction) -> Prediction:
    path = workspace.paths.prediction(prediction.symbol, parse_time(prediction.as_of))
    if path.exists():
        repair = f"Move {path} away and run the same command again."
        kept = storage.read_document(path, Prediction, repair=repair)
        _refuse_other_candles(kept, prediction, path, repair)
        return kept
    storage.write_document(path, prediction)
    return prediction


def _refuse_other_candles(kept: Prediction, new: Prediction, path: Path, repair: str) -> None:
    """Two venues may close a candle of one symbol at one time: neither speaks for the other."""
    hashes = {interval: reading.klines_hash for interval, reading in kept.intervals.items()}
    if hashes != {interval: reading.klines_hash for interval, reading in new.intervals.items()}:
        raise StaleIndexError(
            f"{path} was made from other candles, of {kept.venue}: these are of {new.venue}.",
            hint=f"Set VISION_AI_DATA to another folder for them. {repair}",
        )


def _is_alike(kept: Prediction, new: Prediction) -> bool:
    """Whether both say the same, by the same model and index."""
    if (kept.model_version, kept.index_version) != (new.model_version, new.index_version):
        return False
    return all(
        (was.setup, was.direction, was.phase, was.abstained)
        == (now.setup, now.direction, now.phase, now.abstained)
        and abs(was.confidence - now.confidence) < ALIKE
        for was, now in ((was, new.intervals[name]) for name, was in kept.intervals.items())
    )


def _chart_path(paths: Paths, window: Klines) -> Path:
    return paths.chart(window.symbol, window.interval, int(window.close_ms[-1]))


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
