"""The candles of charts that are known, found again.

`Finder` looks for one chart by its hash, in the cached candles or off its picture. `Originals`
looks for the charts of an index, which keeps vectors, labels and outcomes but no candles: by
symbol, interval and time, and by volatility, as the same symbol may have traded on another venue.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray

from vision_ai.domain import (
    HORIZONS,
    WINDOW,
    Embeddings,
    Horizon,
    Interval,
    Ints,
    Klines,
    Outcomes,
    parse_time,
)
from vision_ai.errors import VisionError
from vision_ai.labels.gpt.replies import LabelledChart
from vision_ai.labels.review import Correction
from vision_ai.market import files
from vision_ai.measures import indicators, targets
from vision_ai.pipeline.workspace import Workspace

logger = logging.getLogger(__name__)

ChartAndOutcomes = tuple[NDArray[np.float64], Outcomes]
"""Candles (96, 5) of a chart, and what followed."""


@dataclass(frozen=True)
class Finder:
    """Looks charts up; each market's candles are read once."""

    workspace: Workspace
    _tables: dict[tuple[str, Interval], list[Klines]] = field(default_factory=dict)

    def chart(self, chart: Correction | LabelledChart) -> ChartAndOutcomes | None:
        """A chart's candles and outcomes; None where neither candles nor picture are here."""
        at = self.window(chart.symbol, chart.interval, parse_time(chart.as_of), chart.digest)
        if at is not None:
            klines, end = at
            ends = np.array([end])
            return klines.windows(ends)[0], targets.forward_outcomes(klines, ends)
        return self._off_picture(chart)

    def window(
        self, symbol: str, interval: Interval, as_of_ms: int, digest: str
    ) -> tuple[Klines, int] | None:
        """Stored candles, and the row at which the chart of that hash ends."""
        for klines in self._candles(symbol, interval):
            end = int(np.searchsorted(klines.close_ms, as_of_ms))
            if klines[max(end + 1 - WINDOW, 0) : end + 1].digest == digest:
                return klines, end
        return None

    def _candles(self, symbol: str, interval: Interval) -> list[Klines]:
        key = symbol, interval
        if key not in self._tables:
            try:
                tables = [
                    klines
                    for _, klines in files.read_folder(
                        self.workspace.paths.klines_folder, symbols={symbol}, intervals=(interval,)
                    )
                ]
            except VisionError as error:
                logger.info("no candles of %s %s: %s", symbol, interval, error)
                tables = []
            self._tables[key] = tables
        return self._tables[key]

    def _off_picture(self, chart: Correction | LabelledChart) -> ChartAndOutcomes | None:
        from vision_ai.charts import png
        from vision_ai.charts.screenshots import recovery

        end_ms = parse_time(chart.as_of)
        path = self.workspace.paths.chart(chart.symbol, chart.interval, end_ms)
        try:
            image = png.read(path)
            if image.meta is None or image.meta.klines != chart.digest:
                return None
            bars = recovery.read_bars(image)
        except VisionError as error:
            logger.info("no picture of %s %s: %s", chart.symbol, chart.as_of, error)
            return None
        nothing = np.full((1, len(HORIZONS)), np.nan)
        complete = np.array([[end_ms + horizon.ms for horizon in HORIZONS]], np.int64)
        scale = indicators.volatility(bars)
        return bars[0], Outcomes(nothing, nothing, nothing, scale, complete)


ALIKE = 1e-3
"""Greatest relative difference of two volatilities that are the same but for rounding."""


@dataclass(frozen=True, eq=False)
class Originals:
    """Where the candles of n indexed charts are.

    Attributes:
        tables: candles.
        table: int64 (n,), which of them; -1 where the candles are not at hand.
        end: int64 (n,), row of the chart's last candle.
    """

    tables: tuple[Klines, ...]
    table: Ints
    end: Ints

    @classmethod
    def find(cls, rows: Embeddings, tables: Iterable[Klines]) -> Self:
        """Look the charts up; tables of other symbols or intervals are not kept."""
        table = np.full(len(rows), -1, np.int64)
        end = np.zeros(len(rows), np.int64)
        used_tables: list[Klines] = []
        for klines in tables:
            mine = _of_market(rows, klines) & (table < 0)
            rows_found, ends = _same(rows, np.flatnonzero(mine), klines)
            if len(rows_found):
                table[rows_found], end[rows_found] = len(used_tables), ends
                used_tables.append(klines)
        return cls(tuple(used_tables), table, end)

    @property
    def found(self) -> Ints:
        """Rows whose candles are at hand."""
        return np.flatnonzero(self.table >= 0)

    def bars(self, rows: Ints) -> NDArray[np.float64]:
        """Candles of charts that were found: float64 (len(rows), 96, 5)."""
        out = np.empty((len(rows), WINDOW, 5))
        for number, klines in enumerate(self.tables):
            chart_rows = np.flatnonzero(self.table[rows] == number)
            out[chart_rows] = klines.windows(self.end[rows[chart_rows]])
        return out

    def with_after(self, row: int, horizon: Horizon) -> NDArray[np.float64]:
        """Candles of one chart and of what followed within `horizon`: float64 (96 + m, 5)."""
        klines, end = self.tables[self.table[row]], int(self.end[row])
        start_ms = int(klines.open_ms[end])
        stop = int(np.searchsorted(klines.open_ms, start_ms + horizon.ms, side="right"))
        return np.asarray(klines.bars[end + 1 - WINDOW : stop])


def _of_market(rows: Embeddings, klines: Klines) -> NDArray[np.bool_]:
    mine: NDArray[np.bool_] = (rows.symbol == klines.symbol) & (rows.interval == klines.interval)
    return mine


def _same(rows: Embeddings, candidates: Ints, klines: Klines) -> tuple[Ints, Ints]:
    whole = klines.window_ends()
    if not len(candidates) or not len(whole):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    position = np.searchsorted(klines.open_ms[whole], rows.last_ms[candidates])
    ends = whole[np.minimum(position, len(whole) - 1)]
    matches = klines.open_ms[ends] == rows.last_ms[candidates]
    candidates, ends = candidates[matches], ends[matches]
    scale = indicators.volatility(klines.windows(ends))
    alike = np.isclose(scale, rows.outcomes.scale[candidates], rtol=ALIKE, atol=0)
    return candidates[alike], ends[alike]
