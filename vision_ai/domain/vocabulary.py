"""What charts are called: intervals, setups, directions, phases, horizons, and their readings."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from vision_ai.errors import IntervalError, SymbolError

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.integer[Any]]
Bools = NDArray[np.bool_]
Bytes = NDArray[np.uint8]

WINDOW = 96
"""Candles in a chart: one day of 15m, four days of 1h."""

OPEN, HIGH, LOW, CLOSE, VOLUME = range(5)
"""Columns of a bars array, whose shape is (n, WINDOW, 5) or (n, 5): prices, then base volume."""


class Interval(StrEnum):
    """A candle length. Charts are drawn of `15m` and `1h`; the finer ones are only stored."""

    M1 = "1m"
    M5 = "5m"
    M15 = "15m"
    H1 = "1h"

    @property
    def ms(self) -> int:
        """Length in milliseconds."""
        return {"1m": 60_000, "5m": 300_000, "15m": 900_000, "1h": 3_600_000}[self.value]

    @property
    def bybit(self) -> str:
        """The name that Bybit's v5 API uses for this interval (minutes)."""
        return str(self.ms // 60_000)


CHART_INTERVALS = (Interval.M15, Interval.H1)


class Setup(StrEnum):
    """What the end of a chart shows. `none` is a legal answer and the commonest truth."""

    BREAKOUT = "breakout"
    BREAKOUT_CONTINUATION = "breakout-continuation"
    PULLBACK = "pullback"
    SUPPORT_RETEST = "support-retest"
    RESISTANCE_REJECTION = "resistance-rejection"
    FAKEOUT = "fakeout"
    TRAP = "trap"
    EXHAUSTION = "exhaustion"
    REVERSAL = "reversal"
    RANGE = "range"
    NONE = "none"

    @property
    def mirror(self) -> "Setup":
        """The setup that the chart shows when log price is negated."""
        return {
            Setup.SUPPORT_RETEST: Setup.RESISTANCE_REJECTION,
            Setup.RESISTANCE_REJECTION: Setup.SUPPORT_RETEST,
        }.get(self, self)


class Direction(StrEnum):
    """What a setup argues for: a failed break *up* argues `short`."""

    LONG = "long"
    SHORT = "short"
    NEUTRAL = "neutral"

    @property
    def mirror(self) -> "Direction":
        """The direction when log price is negated."""
        return {Direction.LONG: Direction.SHORT, Direction.SHORT: Direction.LONG}.get(self, self)

    @property
    def sign(self) -> int:
        """+1 for long, -1 for short, 0 for neutral."""
        return {Direction.LONG: 1, Direction.SHORT: -1, Direction.NEUTRAL: 0}[self]


class Phase(StrEnum):
    """The market phase that the whole chart is in."""

    MARKUP = "markup"
    MARKDOWN = "markdown"
    ACCUMULATION = "accumulation"
    DISTRIBUTION = "distribution"
    RANGE = "range"

    @property
    def mirror(self) -> "Phase":
        """The phase that the chart shows when log price is negated."""
        return {
            Phase.MARKUP: Phase.MARKDOWN,
            Phase.MARKDOWN: Phase.MARKUP,
            Phase.ACCUMULATION: Phase.DISTRIBUTION,
            Phase.DISTRIBUTION: Phase.ACCUMULATION,
        }.get(self, self)


class Horizon(StrEnum):
    """How long after the chart its outcome is measured."""

    H2 = "2h"
    H6 = "6h"

    @property
    def ms(self) -> int:
        """Length in milliseconds."""
        return {"2h": 7_200_000, "6h": 21_600_000}[self.value]

    def bars(self, interval: Interval) -> int:
        """Candles of `interval` in the horizon.

        >>> Horizon.H6.bars(Interval.M15)
        24
        """
        return self.ms // interval.ms


SETUPS = tuple(Setup)
DIRECTIONS = tuple(Direction)
PHASES = tuple(Phase)
HORIZONS = tuple(Horizon)
"""The order in which codes number each facet in arrays and in files."""


@dataclass(frozen=True, order=True)
class Reading:
    """A setup together with what it argues for, as the model classifies it."""

    setup: Setup
    direction: Direction

    @property
    def name(self) -> str:
        """Short key, such as `breakout:long`."""
        return f"{self.setup}:{self.direction}"

    @property
    def mirror(self) -> "Reading":
        """The reading of the chart whose log price is negated."""
        return Reading(self.setup.mirror, self.direction.mirror)


def _readings() -> tuple[Reading, ...]:
    only = {
        Setup.SUPPORT_RETEST: (Direction.LONG,),
        Setup.RESISTANCE_REJECTION: (Direction.SHORT,),
        Setup.RANGE: (Direction.NEUTRAL,),
        Setup.NONE: (Direction.NEUTRAL,),
    }
    both = (Direction.LONG, Direction.SHORT)
    return tuple(Reading(s, d) for s in SETUPS for d in only.get(s, both))


READINGS = _readings()
"""Every setup with every direction it can have: 18 in all. `Labels.reading` holds codes of it."""

_SYMBOL = re.compile(r"[A-Z0-9]{2,30}\Z")


def is_symbol(text: str) -> bool:
    """Whether a stored text is a symbol, unchanged.

    >>> is_symbol("BTCUSDT"), is_symbol("../x")
    (True, False)
    """
    return text.isascii() and bool(_SYMBOL.match(text))


def parse_symbol(text: str) -> str:
    """Check an untrusted symbol before it becomes a path or a request.

    >>> parse_symbol(" btcusdt ")
    'BTCUSDT'

    Raises:
        SymbolError: the text is not 2 to 30 letters and digits.
    """
    symbol = text.strip().upper()
    if not is_symbol(symbol):
        shortened = text if len(text) <= 40 else text[:37] + "..."
        raise SymbolError(
            f"Symbol {shortened!r} is not valid: expected 2 to 30 letters and digits.",
            hint="Write it as Bybit does, for example BTCUSDT.",
        )
    return symbol


def parse_interval(text: str) -> Interval:
    """Read the interval of a chart.

    Raises:
        IntervalError: charts are drawn of 15m and 1h only.
    """
    for interval in CHART_INTERVALS:
        if text.strip().lower() == interval.value:
            return interval
    raise IntervalError(
        f"Interval {text[:40]!r} has no chart: expected one of {', '.join(CHART_INTERVALS)}.",
        hint="Use --interval 15m or --interval 1h.",
    )


Verdict = Literal["target", "stop", "neither", "ambiguous"]
"""Which of two price levels came first; `ambiguous` where one candle reached both."""
