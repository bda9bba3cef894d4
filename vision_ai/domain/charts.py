"""What is known of charts: labels, outcomes, vectors, and their nearest neighbors."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vision_ai.domain.vocabulary import (
    PHASES,
    READINGS,
    WINDOW,
    Bools,
    Direction,
    Floats,
    Interval,
    Ints,
    Phase,
    Reading,
    Setup,
)


@dataclass(frozen=True, eq=False)
class Labels:
    """Labels that the rule book gives to n windows, with the facts behind them.

    Attributes:
        reading: int8 (n,), codes of `READINGS`.
        phase: int8 (n,), codes of `PHASES`.
        clear: bool (n,), the label would be the same with every threshold 10 % away.
        facts: measured quantities, each float (n,): levels, touches, ATR distances, ...
        rules: version of the rule book that made the labels.
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
    """The label of one chart; a person's label takes precedence over the rule book's."""

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


ChartKey = tuple[str, str, int]
"""Which chart of an index: symbol, interval, open time of the last candle."""


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

    @classmethod
    def concatenate(cls, parts: Sequence["Outcomes"]) -> "Outcomes":
        """The outcomes of all parts, in their order; at least one part."""
        return cls(
            np.concatenate([part.move for part in parts]),
            np.concatenate([part.best for part in parts]),
            np.concatenate([part.worst for part in parts]),
            np.concatenate([part.scale for part in parts]),
            np.concatenate([part.complete_ms for part in parts]),
        )


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
    def keys(self) -> list[ChartKey]:
        """Which chart each row is of."""
        columns = (self.symbol.tolist(), self.interval.tolist(), self.last_ms.tolist())
        return list(zip(*columns, strict=True))

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
        rows: those rows, with the labels that people gave.
        who: str (n,), who gave the label.
        labelled_ms: int64 (n,), when.
    """

    at: NDArray[np.int64]
    rows: Embeddings
    who: NDArray[np.str_]
    labelled_ms: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.at)


@dataclass(frozen=True, eq=False)
class Neighbors:
    """Nearest charts of q queries, best first, padded with row -1.

    Attributes:
        rows: int64 (q, k), rows of the index; -1 where fewer than k may be shown.
        similarity: float32 (q, k), cosine; -inf where padded.
    """

    rows: NDArray[np.int64]
    similarity: NDArray[np.float32]
