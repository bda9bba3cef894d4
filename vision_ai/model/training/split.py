"""Which windows train and which are held out: no symbol and no hour in common.

The market moves together, so a window of another symbol at the same time would leak. Training
windows end, outcomes included, before one instant; held-out windows belong to other symbols and
start after a later one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import Field

from vision_ai.config import Section
from vision_ai.domain import VOLUME, WINDOW, Interval, Ints, Klines
from vision_ai.errors import KlinesError
from vision_ai.measures import purge
from vision_ai.measures.purge import Spans
from vision_ai.model.training.batches import Corpus

DAY_MS = 86_400_000


class SplitConfig(Section):
    """How candles are divided."""

    held_out_share: float = Field(default=0.2, gt=0, lt=1, description="of the symbols")
    train_share: float = Field(default=0.73, gt=0, lt=1, description="of the time, from its start")
    embargo_days: float = Field(default=9.0, ge=0, description="between training and held-out")
    stride_15m: int = Field(default=4, ge=1, description="candles between windows")
    stride_1h: int = Field(default=2, ge=1, description="candles between windows")
    seed: int = Field(default=0, ge=0)


@dataclass(frozen=True, eq=False)
class Split:
    """Windows, not labelled yet, on both sides of the wall.

    Attributes:
        train: windows to learn from.
        held_out: windows to measure on.
        train_until_ms: every training window and its outcome ended by then.
        held_out_from_ms: every held-out window starts then or later.
    """

    train: Corpus
    held_out: Corpus
    train_until_ms: int
    held_out_from_ms: int


def divide(tables: Sequence[Klines], config: SplitConfig) -> Split:
    """Cut tables of candles into windows and divide them.

    Raises:
        KlinesError: too few symbols or too short a time for both sides to have windows.
    """
    filled = tuple(table for table in tables if len(table))
    every = windows(filled, config)
    if not len(every):
        raise KlinesError(
            "The candles hold no window of 96 candles without a gap.",
            hint="Import longer histories.",
        )
    # medians: one symbol with a longer history must not move the wall for all
    start = int(np.median([table.open_ms[0] for table in filled]))
    end = int(np.median([table.close_ms[-1] for table in filled]))
    wall_ms = purge.day_wall(start, end, config.train_share, nearest=True)
    embargo_ms = round(config.embargo_days * DAY_MS)
    away = purge.held_out_symbols(
        [table.symbol for table in filled], config.held_out_share, config.seed
    )
    spans = Spans.at(every.symbol, every.interval, every.close_ms)
    folds = purge.hold_out(spans, wall_ms, embargo_ms, away)
    train, held_out = every.take(folds.train), every.take(folds.held_out)
    for name, part in (("training", train), ("validation", held_out)):
        if not len(part):
            symbols = len({table.symbol for table in filled})
            raise KlinesError(
                f"The candles leave no window for {name}: {symbols} symbols over "
                f"{(end - start) / DAY_MS:.0f} days.",
                hint="Import at least two symbols over at least 40 days.",
            )
    return Split(train, held_out, folds.until_ms, folds.from_ms)


def windows(tables: tuple[Klines, ...], config: SplitConfig) -> Corpus:
    """Windows of living markets at the strides of `config`, not labelled yet."""
    strides = {Interval.M15: config.stride_15m, Interval.H1: config.stride_1h}
    ends = [_moving(table, table.window_ends()[:: strides[table.interval]]) for table in tables]
    table = np.repeat(np.arange(len(tables), dtype=np.int32), [len(e) for e in ends])
    end = np.concatenate([np.empty(0, np.int32), *ends]).astype(np.int32)
    blank = np.full(len(end), -1, np.int8)
    return Corpus(tables, table, end, blank, blank)


def _moving(table: Klines, ends: Ints) -> Ints:
    """Ends of the windows in which most candles have trades: a halted market teaches nothing."""
    traded = np.r_[0, np.cumsum(table.bars[:, VOLUME] > 0)]
    alive: Ints = ends[traded[ends + 1] - traded[ends + 1 - WINDOW] > WINDOW // 2]
    return alive
