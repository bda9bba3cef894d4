"""The candles that indexed charts were drawn from, found again in folders of candles.

An index keeps vectors, labels and outcomes, no candles. A chart is found by symbol, interval and
time, and taken for the same one only if it is as volatile as the index says: the same symbol may
have traded on another venue.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from vision_ai.domain import WINDOW, Embeddings, Horizon, Ints, Klines
from vision_ai.measures import indicators

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
        kept: list[Klines] = []
        for klines in tables:
            mine = _of_market(rows, klines) & (table < 0)
            found, ends = _same(rows, np.flatnonzero(mine), klines)
            if len(found):
                table[found], end[found] = len(kept), ends
                kept.append(klines)
        return cls(tuple(kept), table, end)

    @property
    def found(self) -> Ints:
        """Rows whose candles are at hand."""
        return np.flatnonzero(self.table >= 0)

    def bars(self, rows: Ints) -> NDArray[np.float64]:
        """Candles of charts that were found: float64 (len(rows), 96, 5)."""
        out = np.empty((len(rows), WINDOW, 5))
        for number, klines in enumerate(self.tables):
            here = np.flatnonzero(self.table[rows] == number)
            out[here] = klines.windows(self.end[rows[here]])
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


def _same(rows: Embeddings, asked: Ints, klines: Klines) -> tuple[Ints, Ints]:
    whole = klines.window_ends()
    if not len(asked) or not len(whole):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    place = np.searchsorted(klines.open_ms[whole], rows.last_ms[asked])
    ends = whole[np.minimum(place, len(whole) - 1)]
    there = klines.open_ms[ends] == rows.last_ms[asked]
    asked, ends = asked[there], ends[there]
    scale = indicators.volatility(klines.windows(ends))
    alike = np.isclose(scale, rows.outcomes.scale[asked], rtol=ALIKE, atol=0)
    return asked[alike], ends[alike]
