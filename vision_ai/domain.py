"""The nouns that travel between the stages: candles, windows, labels, outcomes, embeddings.

Columnar and immutable: one array per attribute, checked once when made. Times are UTC
integer milliseconds, everywhere. Nothing here reads or writes a file or knows a library
beyond numpy.
"""

import datetime as dt
import hashlib
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from vision_ai.errors import IntervalError, KlinesError, SymbolError

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
    """Whether a stored text is a symbol as it stands.

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
        shown = text if len(text) <= 40 else text[:37] + "..."
        raise SymbolError(
            f"Symbol {shown!r} is not valid: expected 2 to 30 letters and digits.",
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


END_MS = 7_258_118_400_000
"""The year 2200: times from here on are units mistaken for each other, and hardly printable."""


def iso(ms: int) -> str:
    """Write UTC milliseconds as ISO text.

    >>> iso(1_750_000_500_000)
    '2025-06-15T15:15:00Z'
    """
    return dt.datetime.fromtimestamp(ms / 1000, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def stamp(ms: int) -> str:
    """Write UTC milliseconds as the `YYYYMMDD_HHMM` of file names.

    >>> stamp(1_750_000_500_000)
    '20250615_1515'
    """
    return dt.datetime.fromtimestamp(ms / 1000, dt.UTC).strftime("%Y%m%d_%H%M")


def parse_time(text: str) -> int:
    """Read ISO text as UTC milliseconds; a time without a zone is taken as UTC.

    >>> parse_time("2025-06-15T15:15:00Z")
    1750000500000

    Raises:
        KlinesError: the text is no ISO time, or lies before 1970 or far ahead.
    """
    try:
        when = dt.datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise KlinesError(
            f"Time {text[:40]!r} cannot be read: expected ISO 8601.",
            hint="Write it like 2025-06-15T12:00:00Z.",
        ) from error
    if when.tzinfo is None:
        when = when.replace(tzinfo=dt.UTC)
    ms = round(when.timestamp() * 1000)
    if not 0 <= ms < END_MS:
        raise KlinesError(
            f"Time {text[:40]!r} is out of range: expected one from {iso(0)} to {iso(END_MS)}.",
            hint="Write it like 2025-06-15T12:00:00Z.",
        )
    return ms


@dataclass(frozen=True, eq=False)
class Klines:
    """Closed candles of one symbol, oldest first, gaps left as gaps.

    Attributes:
        symbol: checked symbol, such as `BTCUSDT`.
        interval: candle length.
        open_ms: int64 (n,), open time of each candle, on the interval's grid, increasing.
        bars: float64 (n, 5), columns open, high, low, close, volume.

    Raises:
        KlinesError: a value breaks the rules of candles; the text says which and where.
    """

    symbol: str
    interval: Interval
    open_ms: NDArray[np.int64]
    bars: NDArray[np.float64]

    def __post_init__(self) -> None:
        object.__setattr__(self, "open_ms", np.ascontiguousarray(self.open_ms, dtype=np.int64))
        object.__setattr__(self, "bars", np.ascontiguousarray(self.bars, dtype=np.float64))
        if self.bars.shape != (len(self.open_ms), 5):
            raise KlinesError(
                f"Candles of {self.symbol}: expected bars of shape ({len(self.open_ms)}, 5), "
                f"was {self.bars.shape}."
            )
        self.open_ms.setflags(write=False)
        self.bars.setflags(write=False)
        _check_times(self)
        _check_prices(self)

    def __len__(self) -> int:
        return len(self.open_ms)

    def __getitem__(self, rows: slice) -> "Klines":
        return Klines(self.symbol, self.interval, self.open_ms[rows], self.bars[rows])

    @classmethod
    def empty(cls, symbol: str, interval: Interval) -> Self:
        """No candles yet."""
        return cls(symbol, interval, np.empty(0, np.int64), np.empty((0, 5)))

    @property
    def close_ms(self) -> NDArray[np.int64]:
        """When each candle closes: its open time plus the interval."""
        return self.open_ms + self.interval.ms

    @property
    def digest(self) -> str:
        """SHA-256 over symbol, interval, times and values: the identity of these candles."""
        h = hashlib.sha256(f"{self.symbol}|{self.interval}|{len(self)}|".encode())
        h.update(self.open_ms.astype("<i8").tobytes())
        h.update(self.bars.astype("<f8").tobytes())
        return h.hexdigest()

    def until(self, as_of_ms: int) -> "Klines":
        """The candles that were closed at `as_of_ms`."""
        return self[: int(np.searchsorted(self.close_ms, as_of_ms, side="right"))]

    def gaps(self) -> list[tuple[int, int]]:
        """Missing spans as (first missing open_ms, first open_ms after the gap)."""
        steps = np.flatnonzero(np.diff(self.open_ms) > self.interval.ms)
        return [(int(self.open_ms[i]) + self.interval.ms, int(self.open_ms[i + 1])) for i in steps]

    def window_ends(self, size: int = WINDOW) -> NDArray[np.int64]:
        """Rows at which a window of `size` candles without a gap ends."""
        if len(self) < size:
            return np.empty(0, np.int64)
        span = self.open_ms[size - 1 :] - self.open_ms[: len(self) - size + 1]
        return np.flatnonzero(span == (size - 1) * self.interval.ms) + size - 1

    def windows(self, ends: Ints, size: int = WINDOW) -> NDArray[np.float64]:
        """Bars of the windows that end at the given rows: float64 (len(ends), size, 5)."""
        rows = np.asarray(ends, np.int64)[:, None] + np.arange(1 - size, 1)
        return np.asarray(self.bars[rows])

    def last_window(self, as_of_ms: int, size: int = WINDOW) -> "Klines":
        """The newest `size` candles closed at `as_of_ms`.

        Raises:
            KlinesError: too few candles, a gap inside the window, or a market that stood still.
        """
        closed = self.until(as_of_ms)
        if len(closed) < size:
            raise KlinesError(
                f"{self.symbol} {self.interval} has {len(closed)} closed candles at "
                f"{iso(as_of_ms)}: expected at least {size}.",
                hint="Fetch more history, or pick a symbol that has traded longer.",
            )
        window = closed[len(closed) - size :]
        if gaps := window.gaps():
            first, after = gaps[0]
            raise KlinesError(
                f"{self.symbol} {self.interval} lacks candles from {iso(first)} to {iso(after)}: "
                f"expected {size} candles without a gap.",
                hint="Fetch again; after a halt, wait until the gap has left the chart.",
            )
        _check_alive(window)
        return window

    def resample(self, interval: Interval) -> "Klines":
        """Coarser candles made of these; a candle with a missing part is left out.

        Raises:
            IntervalError: the target is not a whole multiple of the source.
        """
        if interval is self.interval:
            return self
        if interval.ms % self.interval.ms:
            raise IntervalError(f"Candles of {self.interval} cannot be resampled to {interval}.")
        parts = interval.ms // self.interval.ms
        bucket = self.open_ms // interval.ms
        starts = np.flatnonzero(np.r_[True, np.diff(bucket) > 0]) if len(self) else np.empty(0, int)
        counts = np.diff(np.r_[starts, len(self)])
        starts = starts[counts == parts]
        rows = starts[:, None] + np.arange(parts)
        part = self.bars[rows]
        bars = np.stack(
            [
                part[:, 0, OPEN] if len(rows) else np.empty(0),
                part[:, :, HIGH].max(1, initial=-math.inf),
                part[:, :, LOW].min(1, initial=math.inf),
                part[:, -1, CLOSE] if len(rows) else np.empty(0),
                part[:, :, VOLUME].sum(1),
            ],
            axis=1,
        )
        return Klines(self.symbol, interval, bucket[starts] * interval.ms, bars)


def _check_times(klines: Klines) -> None:
    name = f"{klines.symbol} {klines.interval}"
    outside = np.flatnonzero((klines.open_ms < 0) | (klines.open_ms >= END_MS))
    if len(outside):
        row = int(outside[0])
        raise KlinesError(
            f"{name}: candle {row} opens at {klines.open_ms[row]} ms, expected a time from "
            f"{iso(0)} to {iso(END_MS)}.",
            hint="Check that the file holds UTC open times as ISO text or epoch numbers.",
        )
    off_grid = np.flatnonzero(klines.open_ms % klines.interval.ms)
    if len(off_grid):
        row = int(off_grid[0])
        raise KlinesError(
            f"{name}: candle {row} opens at {klines.open_ms[row]} ms, expected a multiple of "
            f"{klines.interval.ms} ms.",
            hint="Check that the file holds UTC open times of that interval.",
        )
    unsorted = np.flatnonzero(np.diff(klines.open_ms) <= 0)
    if len(unsorted):
        row = int(unsorted[0]) + 1
        raise KlinesError(
            f"{name}: candle {row} at {iso(int(klines.open_ms[row]))} does not follow the one "
            "before it: expected increasing, unique open times.",
            hint="Sort the candles by time and drop duplicates.",
        )


LARGEST = 1e30
"""No market has such a price, nor one below its inverse; squares of the others are numbers yet."""


def _check_prices(klines: Klines) -> None:
    name = f"{klines.symbol} {klines.interval}"
    o, h, low, c, v = klines.bars.T
    prices = klines.bars[:, :VOLUME]
    problems = (
        (~np.isfinite(klines.bars).all(axis=1), "a value that is not a finite number"),
        ((prices <= 0).any(axis=1), "a price of zero or below"),
        (v < 0, "a negative volume"),
        ((prices > LARGEST).any(axis=1), f"a price above {LARGEST:g}"),
        ((prices < 1 / LARGEST).any(axis=1), f"a price below {1 / LARGEST:g}"),
        ((h < np.maximum(o, c)) | (low > np.minimum(o, c)), "a body outside its high and low"),
    )
    for bad, what in problems:
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            raise KlinesError(
                f"{name}: the candle at {iso(int(klines.open_ms[row]))} has {what}: "
                f"{klines.bars[row].tolist()}.",
                hint="Mend or drop that candle and import the file again.",
            )


def _check_alive(window: Klines) -> None:
    name, span = f"{window.symbol} {window.interval}", f"the {len(window)} candles"
    if window.bars[:, HIGH].max() == window.bars[:, LOW].min():
        raise KlinesError(
            f"{name}: {span} until {iso(int(window.close_ms[-1]))} all stand at "
            f"{window.bars[-1, CLOSE]:g}: expected a price that moves.",
            hint="The market is halted or delisted; pick another symbol or time.",
        )
    if not window.bars[:, VOLUME].any():
        raise KlinesError(
            f"{name}: {span} until {iso(int(window.close_ms[-1]))} have zero volume: expected "
            "at least one trade.",
            hint="The market is halted, or the file lacks volume; pick another source.",
        )


@dataclass(frozen=True, eq=False)
class Labels:
    """What the rule book says of n windows, and why.

    Attributes:
        reading: int8 (n,), codes of `READINGS`.
        phase: int8 (n,), codes of `PHASES`.
        clear: bool (n,), the label would be the same with every threshold 10 % away.
        facts: measured quantities, each float (n,): levels, touches, ATR distances, ...
        rules: version of the rule book that spoke.
    """

    reading: NDArray[np.int8]
    phase: NDArray[np.int8]
    clear: Bools
    facts: Mapping[str, Floats]
    rules: str

    def __len__(self) -> int:
        return len(self.reading)

    def __getitem__(self, row: int) -> "Label":
        return Label(
            reading=READINGS[self.reading[row]],
            phase=PHASES[self.phase[row]],
            clear=bool(self.clear[row]),
            facts={name: float(column[row]) for name, column in self.facts.items()},
            source="rule",
            rules=self.rules,
        )

    def __iter__(self) -> Iterator["Label"]:
        return (self[row] for row in range(len(self)))


@dataclass(frozen=True)
class Label:
    """The label of one chart. Precedence of sources: human, then rule; GPT only writes words."""

    reading: Reading
    phase: Phase
    clear: bool = True
    facts: Mapping[str, float] = field(default_factory=dict)
    source: str = "rule"
    rules: str = ""

    @property
    def setup(self) -> Setup:
        """The setup facet."""
        return self.reading.setup

    @property
    def direction(self) -> Direction:
        """The direction facet."""
        return self.reading.direction


@dataclass(frozen=True, eq=False)
class Outcomes:
    """What happened after n windows. Made by `labels.outcomes` only, never drawn.

    Attributes:
        move: float (n, len(HORIZONS)), log return from the last close; NaN where unknown.
        best: float (n, len(HORIZONS)), highest high against the last close, log, >= move.
        worst: float (n, len(HORIZONS)), lowest low against the last close, log, <= move.
        scale: float (n,), expected log move of one candle inside the window (volatility).
        complete_ms: int64 (n, len(HORIZONS)), when each outcome became known.
    """

    move: Floats
    best: Floats
    worst: Floats
    scale: Floats
    complete_ms: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.scale)


@dataclass(frozen=True, eq=False)
class Embeddings:
    """Vectors of n charts with what is known of each: the rows that an index searches.

    Attributes:
        vectors: float32 (n, d), unit length.
        symbol: str (n,).
        interval: str (n,), values of `Interval`.
        last_ms: int64 (n,), open time of each chart's last candle.
        reading: int8 (n,), codes of `READINGS`.
        phase: int8 (n,), codes of `PHASES`.
        weight: float32 (n,), how much each exemplar's vote counts.
        outcomes: what followed each chart.
        model: version of the model that made the vectors.
        style: hash of the model view they were drawn in.
        rules: version of the rule book that labelled them.
        data: hash of the candles they were drawn from.
    """

    vectors: NDArray[np.float32]
    symbol: NDArray[np.str_]
    interval: NDArray[np.str_]
    last_ms: NDArray[np.int64]
    reading: NDArray[np.int8]
    phase: NDArray[np.int8]
    weight: NDArray[np.float32]
    outcomes: Outcomes
    model: str
    style: str
    rules: str
    data: str

    def __len__(self) -> int:
        return len(self.vectors)

    def take(self, rows: Ints | Bools) -> "Embeddings":
        """Only the given rows (indices or mask)."""
        o = self.outcomes
        return Embeddings(
            self.vectors[rows],
            self.symbol[rows],
            self.interval[rows],
            self.last_ms[rows],
            self.reading[rows],
            self.phase[rows],
            self.weight[rows],
            Outcomes(o.move[rows], o.best[rows], o.worst[rows], o.scale[rows], o.complete_ms[rows]),
            self.model,
            self.style,
            self.rules,
            self.data,
        )

    @property
    def interval_ms(self) -> NDArray[np.int64]:
        """Candle length of each row."""
        return np.array([Interval(i).ms for i in self.interval], np.int64)

    @property
    def first_ms(self) -> NDArray[np.int64]:
        """Open time of each chart's first candle."""
        return self.last_ms - (WINDOW - 1) * self.interval_ms

    @property
    def close_ms(self) -> NDArray[np.int64]:
        """When each chart was complete: its as-of time."""
        return self.last_ms + self.interval_ms


@dataclass(frozen=True, eq=False)
class Labelled:
    """Charts of an index that people labelled: whose label each is, and since when.

    Attributes:
        at: int64 (n,), rows of the index.
        rows: those rows, with people's labels.
        who: str (n,), who gave the label.
        said_ms: int64 (n,), when.
    """

    at: NDArray[np.int64]
    rows: Embeddings
    who: NDArray[np.str_]
    said_ms: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.at)


@dataclass(frozen=True, eq=False)
class Neighbors:
    """Look-alikes of q queries, best first, padded with row -1.

    Attributes:
        rows: int64 (q, k), rows of the index; -1 where fewer than k may be shown.
        similarity: float32 (q, k), cosine; -inf where padded.
    """

    rows: NDArray[np.int64]
    similarity: NDArray[np.float32]
