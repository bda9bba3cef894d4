"""Windows of candles to predictions in memory: what a scan writes down and a backtest keeps."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from vision_ai import predict_cv_setup
from vision_ai.domain import Interval, Klines, iso
from vision_ai.errors import KlinesError
from vision_ai.labels import rules
from vision_ai.measures.purge import Eligibility
from vision_ai.pipeline.reader import LIVE, Reader, spans_of
from vision_ai.predict_cv_setup import Answers, Chart, Provenance
from vision_ai.records import Prediction

LATE = 2
"""Candles that an exchange may be late with before a market counts as halted."""

Windows = dict[str, list[Klines]]
"""The charts of several symbols: one window of candles an interval."""


def windows_of(klines: Klines, as_of_ms: int, intervals: Sequence[Interval]) -> list[Klines]:
    """The newest chart of each interval that was complete at `as_of_ms`.

    Raises:
        KlinesError: too few candles, a gap, a market without movement, or one that has stopped.
    """
    windows = []
    for interval in intervals:
        window = klines.resample(interval).last_window(as_of_ms)
        last_ms = int(window.close_ms[-1])
        if as_of_ms - last_ms >= (1 + LATE) * interval.ms:
            raise KlinesError(
                f"{klines.symbol} {interval}: the newest candle closed at {iso(last_ms)}, expected "
                f"one close to {iso(as_of_ms)}.",
                hint="The market is halted or delisted, or the time asked for is not in the data.",
            )
        windows.append(window)
    return windows


def provenance(
    reader: Reader, venue: str, now_ms: int, *, source: Literal["klines", "image"] = "klines"
) -> Provenance:
    """What makes a prediction, and when: `now_ms` is the clock that the candles were read by."""
    return Provenance(
        model_version=reader.model.version,
        index_version=reader.index.version,
        style_hash=reader.model.manifest.style,
        rules_version=rules.RULES_VERSION,
        created_ms=now_ms,
        venue=venue,
        source=source,
    )


@dataclass(frozen=True)
class SymbolAnswer:
    """One symbol's charts and what the model says of them."""

    symbol: str
    charts: list[Chart]
    answers: Answers

    def prediction(
        self, reader: Reader, provenance: Provenance, *, neighbor_count: int
    ) -> Prediction:
        """The record; up to `neighbor_count` similar charts are listed."""
        return predict_cv_setup.assemble(
            self.symbol,
            self.charts,
            self.answers,
            reader.index.rows,
            provenance,
            shown=neighbor_count,
        )


def read_symbols(
    reader: Reader,
    windows: Windows,
    pictures: Mapping[str, Sequence[str]] | None = None,
    *,
    eligibility: Eligibility = LIVE,
) -> Iterator[SymbolAnswer]:
    """Read the charts of all symbols at once; the answers come symbol by symbol.

    Args:
        reader: the model, its index and its calibration.
        windows: the charts.
        pictures: where their pictures are, relative to the data root; none where left out.
        eligibility: which charts are evidence; `PointInTimeFilter(is_replay=True)` replays the
            past, people's labels included.
    """
    all_windows = [window for symbol_windows in windows.values() for window in symbol_windows]
    if not all_windows:
        return
    spans = spans_of(
        [w.symbol for w in all_windows],
        [w.interval for w in all_windows],
        [int(w.close_ms[-1]) for w in all_windows],
    )
    answers = reader.answers(
        np.stack([w.bars for w in all_windows]), spans, eligibility=eligibility
    )
    at = 0
    for symbol, symbol_windows in windows.items():
        rows = np.arange(at, at + len(symbol_windows))
        at += len(symbol_windows)
        paths: list[str | None] = [*(pictures or {}).get(symbol, [None] * len(symbol_windows))]
        charts = [
            Chart.of(window, path) for window, path in zip(symbol_windows, paths, strict=True)
        ]
        yield SymbolAnswer(symbol, charts, answers.take(rows))
