"""Charts with all that is measured once and shared by every setup and every strictness."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vision_ai.labels.box import FLOORS, Boxes, quarters
from vision_ai.labels.measure import Array, Charts, Mask, since
from vision_ai.labels.thresholds import Thresholds


@dataclass(frozen=True)
class Form:
    """Where one setup holds: mask (n,), its age in bars (n,), and facts, each (n,).

    `places` says where on the chart: a mask of the scene's boxes (m,), or of its floors (n, k);
    None for setups whose place is their age.
    """

    holds: Mask
    age: NDArray[Any]
    facts: Mapping[str, NDArray[Any]]
    places: Mask | None = None


@dataclass(frozen=True)
class Scene:
    """n charts in one orientation. In `*_since`, column a covers the last a + 1 bars."""

    charts: Charts
    boxes: Boxes

    @classmethod
    def of(cls, charts: Charts, loosest: Thresholds) -> "Scene":
        """Measure charts for all thresholds that are no looser than the given ones."""
        return cls(charts, Boxes.of(charts, loosest))

    @cached_property
    def mirrored(self) -> "Scene":
        """The same charts upside down."""
        return Scene(self.charts.mirrored, self.boxes.mirrored)

    @cached_property
    def unit(self) -> Array:
        """One ATR (n,)."""
        return self.charts.unit

    @cached_property
    def high_since(self) -> Array:
        """Highest high."""
        return since(self.charts.h, np.maximum)

    @cached_property
    def low_since(self) -> Array:
        """Lowest low."""
        return since(self.charts.l, np.minimum)

    @cached_property
    def soft_low_since(self) -> Array:
        """Lowest middle between low and close."""
        return since(self.charts.soft_l, np.minimum)

    @cached_property
    def close_high_since(self) -> Array:
        """Highest close."""
        return since(self.charts.c, np.maximum)

    @cached_property
    def close_low_since(self) -> Array:
        """Lowest close."""
        return since(self.charts.c, np.minimum)

    @cached_property
    def volume_since(self) -> Array:
        """Highest volume, in parts of the chart's mean."""
        return since(self.charts.v, np.maximum)

    @cached_property
    def range_since(self) -> Array:
        """Widest true range."""
        return since(self.charts.true_range, np.maximum)

    @cached_property
    def path(self) -> Array:
        """Way that closes went, summed from the first bar."""
        steps = np.abs(np.diff(self.charts.c, axis=1, prepend=self.charts.c[:, :1]))
        return np.cumsum(steps, axis=1)

    @cached_property
    def floor_lows(self) -> Array:
        """Quarter lows of the stretches in which a floor is looked for (n, k, 4)."""
        return -quarters(-self.charts.l, FLOORS)
