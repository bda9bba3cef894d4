"""Charts that somebody should look at: out of stored candles, or out of a folder of pictures.

Readings take turns, so that the first hundred charts hold the rare setups too; within a reading
the order is random and the same every time.
"""

import hashlib
import itertools
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vision_ai import storage
from vision_ai.config import Paths
from vision_ai.domain import WINDOW, Interval, Klines, Label, iso, parse_symbol, parse_time
from vision_ai.errors import InputError, KlinesError, VisionError
from vision_ai.labels import rules
from vision_ai.labels.gpt.replies import LabelledChart, hash_bars
from vision_ai.labels.gpt.run import ChartTask
from vision_ai.market import files
from vision_ai.pipeline.workspace import Workspace, parse_intervals, progress
from vision_ai.predict_cv_setup import UNNAMED

SEED = 0


@dataclass(frozen=True)
class ChartSelection:
    """Which charts.

    Attributes:
        symbols: only these; all where empty.
        since_ms: charts complete then or later.
        until_ms: charts complete then or earlier.
        intervals: candle lengths.
        stride: candles from one chart to the next; `WINDOW` shares none.
        klines: folder of candles; None takes the cache.
        charts: folder of pictures, instead of candles.
    """

    symbols: frozenset[str] = frozenset()
    since_ms: int = 0
    until_ms: int = 1 << 53
    intervals: tuple[Interval, ...] = (Interval.M15, Interval.H1)
    stride: int = WINDOW
    klines: Path | None = None
    charts: Path | None = None

    @classmethod
    def of(
        cls,
        symbols: Sequence[str] | None,
        since: str | None,
        until: str | None,
        interval: Sequence[str] | None,
        **rest: Path | int | None,
    ) -> "ChartSelection":
        """Check what was asked for.

        Raises:
            InputError: a symbol, a time or an interval is not valid.
        """
        return cls(
            frozenset(parse_symbol(symbol) for symbol in symbols or ()),
            parse_time(since) if since else 0,
            parse_time(until) if until else 1 << 53,
            parse_intervals(interval),
            **rest,  # type: ignore[arg-type]
        )

    def holds(self, symbol: str, interval: Interval, as_of_ms: int) -> bool:
        """Whether a chart is asked for."""
        return (
            (not self.symbols or symbol in self.symbols)
            and interval in self.intervals
            and self.since_ms <= as_of_ms <= self.until_ms
        )


@dataclass(frozen=True)
class SelectedCharts:
    """Charts, and what could not be read."""

    tasks: list[ChartTask]
    missing: dict[str, str]


def find(
    workspace: Workspace,
    selection: ChartSelection,
    *,
    known: Container[str] = (),
    limit: int | None = None,
) -> SelectedCharts:
    """Up to `limit` charts whose digest is not among the known ones.

    Raises:
        KlinesError: the folder holds no candles, or none of a symbol that is asked for.
        InputError: the folder holds no pictures.
    """
    missing: dict[str, str] = {}
    if selection.charts is not None:
        candidates = _in_turn(_pictures(selection.charts, selection, missing))
    else:
        folder = selection.klines or workspace.paths.klines_folder
        _refuse_unknown(folder, selection.symbols)
        candidates = _in_turn(_windows(workspace, folder, selection))
    seen: set[str] = set()
    tasks: list[ChartTask] = []
    for task in candidates:
        digest = task.subject.digest
        if limit is not None and len(tasks) >= limit:
            break
        if digest not in known and digest not in seen:
            tasks.append(task)
            seen.add(digest)
    return SelectedCharts(tasks, missing)


def _refuse_unknown(folder: Path, symbols: frozenset[str]) -> None:
    stored_symbols = {files.parse_name(path).symbol for path in files.candle_files(folder)}
    if unknown := sorted(symbols - stored_symbols):
        raise KlinesError(
            f"{folder} holds no candles of {', '.join(unknown)}.",
            hint="Fetch or import them, or leave them out.",
        )


def subject_of(
    window: Klines, label: Label, *, digest: str = "", chart: str | None = None
) -> LabelledChart:
    """A window of candles with its label, as it is written down."""
    return LabelledChart(
        digest=digest or window.digest,
        symbol=window.symbol,
        interval=window.interval,
        as_of=iso(int(window.close_ms[-1])),
        setup=label.setup,
        direction=label.direction,
        phase=label.phase,
        clear=label.clear,
        rules=label.rules,
        look=hash_bars(window.bars),
        chart=chart,
    )


def draw(workspace: Workspace, window: Klines) -> bytes:
    """The chart of a window: the picture that lies on disk, or a new one that is put there."""
    from vision_ai.charts import mpl, png

    path = chart_path(workspace.paths, window)
    if path.exists():
        meta = png.read(path).meta
        if meta is not None and meta.klines == window.digest:
            return path.read_bytes()
        return mpl.draw(window, workspace.config.chart)  # other candles of the same name
    payload = mpl.draw(window, workspace.config.chart)
    storage.write_bytes(path, payload)
    return payload


def chart_path(paths: Paths, window: Klines) -> Path:
    """Where the chart of a window lies."""
    return paths.chart(window.symbol, window.interval, int(window.close_ms[-1]))


def _windows(workspace: Workspace, folder: Path, selection: ChartSelection) -> Iterator[ChartTask]:
    paths = files.candle_files(folder)
    for _, klines in progress(
        files.read_folder(folder, symbols=selection.symbols, intervals=selection.intervals),
        total=2 * len(paths),
        what="Looking for charts",
    ):
        ends = klines.window_ends()
        as_of = klines.close_ms[ends]
        ends = ends[(as_of >= selection.since_ms) & (as_of <= selection.until_ms)]
        ends = ends[:: -selection.stride]
        if len(ends):
            labels = rules.label(klines.windows(ends))
            yield from (
                task
                for end, label in zip(ends.tolist(), labels, strict=True)
                if (task := _task(workspace, klines[end + 1 - WINDOW : end + 1], label))
            )


def _task(workspace: Workspace, window: Klines, label: Label) -> ChartTask | None:
    try:
        window.last_window(int(window.close_ms[-1]))
    except KlinesError:
        return None  # a market that stood still shows nothing
    config = workspace.config.chart
    chart = chart_path(workspace.paths, window).relative_to(workspace.paths.root).as_posix()
    return ChartTask(
        subject_of(window, label, chart=chart),
        label,
        (config.width, config.height),
        lambda: draw(workspace, window),
    )


def _pictures(
    folder: Path, selection: ChartSelection, missing: dict[str, str]
) -> Iterator[ChartTask]:
    paths = sorted(folder.rglob("*.png")) if folder.is_dir() else []
    if not paths:
        raise InputError(f"{folder} holds no PNG files.", hint="Name a folder of charts.")
    for path in progress(paths, total=len(paths), what="Reading charts"):
        try:
            task = _picture(path)
        except VisionError as error:
            missing[str(path)] = str(error)
            continue
        subject = task.subject
        if selection.holds(subject.symbol, subject.interval, parse_time(subject.as_of)):
            yield task


def _picture(path: Path) -> ChartTask:
    """A picture with the label of the candles that it shows.

    Raises:
        ImageError: it shows no 96 candles that could be made out.
    """
    from vision_ai.charts import png
    from vision_ai.charts.screenshots import recovery

    image = png.read(path)
    bars: NDArray[np.float64] = recovery.read_bars(image)
    label, meta = rules.label(bars)[0], image.meta
    interval = meta.interval if meta else Interval.M15
    written_ms = int(path.stat().st_mtime) * 1000
    as_of_ms = meta.last_open_ms + interval.ms if meta else written_ms
    pixels = hashlib.sha256(image.pixels.tobytes()).hexdigest()
    subject = LabelledChart(
        digest=meta.klines if meta else pixels,
        symbol=meta.symbol if meta else UNNAMED,
        interval=interval,
        as_of=iso(as_of_ms),
        setup=label.setup,
        direction=label.direction,
        phase=label.phase,
        clear=label.clear,
        rules=label.rules,
        look=hash_bars(bars[0]),
        chart=str(path),
    )
    height, width = image.pixels.shape[:2]
    return ChartTask(subject, label, (width, height), path.read_bytes)


def _in_turn(tasks: Iterable[ChartTask]) -> Iterator[ChartTask]:
    """One chart of each reading, then a second one of each, and so on."""
    by_reading: dict[str, list[ChartTask]] = defaultdict(list)
    for task in tasks:
        by_reading[task.subject.reading.name].append(task)
    rng = np.random.default_rng(SEED)
    queues = [
        [mine[i] for i in rng.permutation(len(mine))] for _, mine in sorted(by_reading.items())
    ]
    for turn in itertools.zip_longest(*queues):
        yield from (task for task in turn if task is not None)
