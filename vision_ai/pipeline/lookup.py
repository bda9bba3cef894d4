"""A chart that is known by its hash, found again: in the cached candles, or off its picture."""

import logging
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vision_ai.domain import HORIZONS, WINDOW, Interval, Klines, Outcomes, parse_time
from vision_ai.errors import VisionError
from vision_ai.labels.gpt.replies import Subject
from vision_ai.labels.review import Correction
from vision_ai.market import files
from vision_ai.measures import indicators, targets
from vision_ai.pipeline.workspace import Workspace

logger = logging.getLogger(__name__)

Shown = tuple[NDArray[np.float64], Outcomes]
"""Candles (96, 5) of a chart, and what followed."""


@dataclass(frozen=True)
class Finder:
    """Looks charts up; each market's candles are read once."""

    workspace: Workspace
    _tables: dict[tuple[str, Interval], list[Klines]] = field(default_factory=dict)

    def shown(self, chart: Correction | Subject) -> Shown | None:
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
                found = list(
                    files.charts_candles(self.workspace.paths.klines_folder, {symbol}, (interval,))
                )
            except VisionError as error:
                logger.info("no candles of %s %s: %s", symbol, interval, error)
                found = []
            self._tables[key] = found
        return self._tables[key]

    def _off_picture(self, chart: Correction | Subject) -> Shown | None:
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
