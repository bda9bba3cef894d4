"""Charts with everything that is measured once and shared by all rules and all strictnesses."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from numpy.typing import NDArray

from vision_ai.labels.boxes import FLOOR_SEGMENTS, Boxes, quarter_maxima
from vision_ai.labels.normalized_bars import Array, Mask, NormalizedBars
from vision_ai.labels.thresholds import Thresholds


@dataclass(frozen=True)
class SetupMatch:
    """On which charts one setup holds.

    Attributes:
        holds: whether it holds on each chart (n,).
        age: bars since its event (n,); meaningless where it does not hold.
        facts: what was measured, each (n,).
        segments: which boxes (m,), or which floor segments (n, k), it holds at; None for setups of
            a leg, whose position is their age.
    """

    holds: Mask
    age: NDArray[Any]
    facts: Mapping[str, NDArray[Any]]
    segments: Mask | None = None


@dataclass(frozen=True)
class MeasuredCharts:
    """The normalized bars of n charts in one orientation, and the boxes found in them."""

    bars: NormalizedBars
    boxes: Boxes

    @classmethod
    def of(cls, bars: NormalizedBars, loosest: Thresholds) -> "MeasuredCharts":
        """Measure charts for all thresholds that are no looser than the given ones."""
        return cls(bars, Boxes.find(bars, loosest))

    @cached_property
    def mirrored(self) -> "MeasuredCharts":
        """The same charts upside down."""
        return MeasuredCharts(self.bars.mirrored, self.boxes.mirrored)

    @cached_property
    def unit(self) -> Array:
        """One ATR (n,)."""
        return self.bars.unit

    @cached_property
    def floor_quarter_lows(self) -> Array:
        """Quarter lows of the segments in which a floor is searched for (n, k, 4)."""
        return -quarter_maxima(-self.bars.l, FLOOR_SEGMENTS)
