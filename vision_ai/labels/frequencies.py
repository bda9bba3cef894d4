"""How often each label occurs in real candles, how long it lasts and how clear it is."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vision_ai.domain import CHART_INTERVALS, PHASES, READINGS, SETUPS, Interval, Klines
from vision_ai.labels.rules import RULES_VERSION, label

BATCH_WINDOWS = 4096
"""Windows that are copied out of the candles at a time."""

SETUP_OF = np.array([SETUPS.index(reading.setup) for reading in READINGS], np.int8)
FACETS = {
    "setup": [setup.value for setup in SETUPS],
    "reading": [reading.name for reading in READINGS],
    "phase": [phase.value for phase in PHASES],
}


@dataclass(frozen=True)
class LabelFrequency:
    """One label in one interval.

    Attributes:
        interval: candle length.
        facet: `setup`, `reading` (setup and direction) or `phase`.
        name: the label.
        share: part of all windows that show it.
        clear: part of its windows that keep their whole label with thresholds a tenth away.
        runs: how often it appeared.
        median_bars: how many bars it lasted, in the median run.
    """

    interval: Interval
    facet: str
    name: str
    share: float
    clear: float
    runs: int
    median_bars: float


@dataclass(frozen=True)
class LabelFrequencies:
    """All shares, by interval, facet and label, with the windows counted in each interval."""

    rules: str
    windows: dict[Interval, int]
    shares: tuple[LabelFrequency, ...]


@dataclass
class _Tally:
    """Windows and runs of each label of one facet."""

    size: int
    windows: NDArray[np.int64] = field(init=False)
    clear: NDArray[np.int64] = field(init=False)
    runs: list[list[int]] = field(init=False)

    def __post_init__(self) -> None:
        self.windows, self.clear = np.zeros((2, self.size), np.int64)
        self.runs = [[] for _ in range(self.size)]

    def add(
        self, codes: NDArray[np.int8], clear: NDArray[np.bool_], ends: NDArray[np.int64]
    ) -> None:
        """Count labels of windows that end at the given rows; a skipped row ends a run."""
        self.windows += np.bincount(codes, minlength=self.size)
        self.clear += np.bincount(codes[clear], minlength=self.size)
        cuts = np.flatnonzero((np.diff(codes) != 0) | (np.diff(ends) != 1)) + 1
        edges = np.r_[0, cuts, len(codes)]
        for code, bars in zip(codes[edges[:-1]], np.diff(edges), strict=True):
            self.runs[code].append(int(bars))


def count_labels(
    klines: Iterable[Klines], intervals: Sequence[Interval] = CHART_INTERVALS
) -> LabelFrequencies:
    """Label every window of some candles, resampled to each interval that they can make.

    Example: `count_labels([klines], [Interval.M15]).shares`
    """
    tallies = {i: {facet: _Tally(len(names)) for facet, names in FACETS.items()} for i in intervals}
    for candles in klines:
        for interval in intervals:
            if interval.ms % candles.interval.ms == 0:
                _count(candles.resample(interval), tallies[interval])
    windows = {i: int(tally["phase"].windows.sum()) for i, tally in tallies.items()}
    shares = (
        _frequency(interval, facet, code, tally)
        for interval in intervals
        for facet, tally in tallies[interval].items()
        for code in range(tally.size)
        if windows[interval]
    )
    return LabelFrequencies(RULES_VERSION, windows, tuple(shares))


def _count(klines: Klines, tallies: dict[str, _Tally]) -> None:
    ends = klines.window_ends()
    if not len(ends):
        return
    parts = [
        label(klines.windows(ends[at : at + BATCH_WINDOWS]))
        for at in range(0, len(ends), BATCH_WINDOWS)
    ]
    reading, phase = (np.concatenate([getattr(p, n) for p in parts]) for n in ("reading", "phase"))
    clear = np.concatenate([part.clear for part in parts])
    for facet, codes in (("setup", SETUP_OF[reading]), ("reading", reading), ("phase", phase)):
        tallies[facet].add(codes, clear, ends)


def _frequency(interval: Interval, facet: str, code: int, tally: _Tally) -> LabelFrequency:
    seen, runs = int(tally.windows[code]), tally.runs[code]
    return LabelFrequency(
        interval=interval,
        facet=facet,
        name=FACETS[facet][code],
        share=seen / int(tally.windows.sum()),
        clear=int(tally.clear[code]) / max(seen, 1),
        runs=len(runs),
        median_bars=float(np.median(runs)) if runs else 0.0,
    )
