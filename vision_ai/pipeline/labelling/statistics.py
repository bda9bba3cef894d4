"""What the rule book sees in stored candles: how often, and what it looks like."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field

from vision_ai import storage
from vision_ai.charts import sheet
from vision_ai.domain import CLOSE, PHASES, READINGS, Interval, Klines, Label
from vision_ai.errors import InputError
from vision_ai.labels import facts, frequencies, rules
from vision_ai.market import files
from vision_ai.pipeline.workspace import Result, parse_intervals, progress
from vision_ai.records import Record

EXAMPLES = 24
PER_MARKET = 3
"""Examples of one market and interval on a sheet, so that no one market fills it."""

LOOKED_AT = 1500
"""Random windows of each market and interval that are searched for examples."""


class LabelShare(Record):
    """How often one label occurs in one interval, how clear it is and how long it lasts."""

    model_config = ConfigDict(from_attributes=True)

    interval: Interval
    facet: str
    name: str
    share: float
    clear: float
    median_bars: float
    runs: int


class LabelStatisticsResult(Result):
    """How often each label occurs in a folder of candles."""

    rules: str
    windows: dict[Interval, int]
    shares: list[LabelShare]


class SheetResult(Result):
    """A contact sheet that was drawn."""

    label: str
    sheet: str
    examples: list[str] = Field(description="symbol, interval and time of each chart")


@dataclass(frozen=True, eq=False)
class _Example:
    title: str
    bars: NDArray[np.float64]
    label: Label


def statistics(
    klines: Path, *, intervals: Sequence[str] | None, limit: int | None
) -> LabelStatisticsResult:
    """How often each label occurs in a folder of candles, how long it lasts, how clear it is.

    Raises:
        KlinesError: no candles in the folder.
        IntervalError: an interval has no chart.
    """
    chart_intervals = parse_intervals(intervals)
    paths = files.candle_files(klines)[:limit]
    read = (files.read_file(path) for path in paths)
    table = frequencies.count_labels(
        progress(read, total=len(paths), what="Labelling"), chart_intervals
    )
    return LabelStatisticsResult(
        rules=table.rules,
        windows=table.windows,
        shares=[LabelShare.model_validate(share) for share in table.shares],
    )


def contact_sheet(
    klines: Path,
    name: str,
    *,
    out: Path,
    intervals: Sequence[str] | None,
    limit: int | None,
    seed: int,
) -> SheetResult:
    """Draw up to 24 random real charts of one label with their facts, as a PNG.

    Raises:
        InputError: no such label, or no chart of it in these candles.
        StorageError: the picture could not be written.
    """
    matches = _matcher(name)
    sheet.refuse_other_names(out)
    rng = np.random.default_rng(seed)
    paths = files.candle_files(klines)
    order = rng.permutation(len(paths))[:limit]
    examples: list[_Example] = []
    for at in progress(order, total=len(order), what="Looking for examples"):
        candles = files.read_file(paths[at])
        for interval in parse_intervals(intervals):
            if interval.ms % candles.interval.ms == 0:
                examples += _examples(candles.resample(interval), matches, rng)
        if len(examples) >= EXAMPLES:
            break
    if not examples:
        raise InputError(
            f"No chart of {name!r} in {klines}.", hint="Give it more candles, or another --seed."
        )
    examples = examples[:EXAMPLES]
    picture = sheet.contact_sheet(
        np.stack([example.bars for example in examples]),
        [f"{example.title} | {facts.contact_sheet_caption(example.label)}" for example in examples],
        [facts.level_lines(example.label, float(example.bars[-1, CLOSE])) for example in examples],
    )
    storage.write_bytes(out, picture)
    titles = [example.title for example in examples]
    return SheetResult(label=name, sheet=str(out), examples=titles)


class _Matcher:
    """Whether labels are of the kind that was asked for."""

    def __init__(self, readings: set[int], phases: set[int]) -> None:
        self.readings = np.array(sorted(readings))
        self.phases = np.array(sorted(phases))

    def rows(self, reading: NDArray[np.int8], phase: NDArray[np.int8]) -> NDArray[np.int64]:
        """Rows of that kind."""
        return np.flatnonzero(np.isin(reading, self.readings) & np.isin(phase, self.phases))


def _matcher(name: str) -> _Matcher:
    every_reading, every_phase = set(range(len(READINGS))), set(range(len(PHASES)))
    readings = {c for c, r in enumerate(READINGS) if name in (r.name, r.setup)}
    phases = {c for c, p in enumerate(PHASES) if name == f"phase:{p}"}
    if readings:
        return _Matcher(readings, every_phase)
    if phases:
        return _Matcher(every_reading, phases)
    known = [r.name for r in READINGS] + [f"phase:{p}" for p in PHASES]
    raise InputError(
        f"Label {name[:40]!r} is not known.", hint=f"Use a setup, or one of {', '.join(known)}."
    )


def _examples(klines: Klines, kind: _Matcher, rng: np.random.Generator) -> Iterator[_Example]:
    ends = klines.window_ends()
    ends = np.sort(rng.choice(ends, min(len(ends), LOOKED_AT), replace=False))
    if not len(ends):
        return
    bars = klines.windows(ends)
    labels = rules.label(bars)
    rows = kind.rows(labels.reading, labels.phase)
    for row in rng.choice(rows, min(len(rows), PER_MARKET), replace=False):
        yield _Example(_title(klines, int(ends[row])), bars[row], labels[int(row)])


def _title(klines: Klines, end: int) -> str:
    when = np.datetime64(int(klines.close_ms[end]), "ms").astype("datetime64[m]")
    return f"{klines.symbol} {klines.interval} {str(when).replace('T', ' ')}"
