"""The nouns that travel between the stages: candles, windows, labels, outcomes, embeddings.

Columnar and immutable: one array per attribute, checked once when made. Times are UTC
integer milliseconds, everywhere. Nothing here reads or writes a file or knows a library
beyond numpy.

vocabulary.py  intervals, setups, directions, phases, horizons, readings, symbols
time.py        UTC milliseconds and ISO text
candles.py     `Klines`
charts.py      `Labels`, `Outcomes`, `Embeddings`, `Neighbors`
"""

from vision_ai.domain.candles import LARGEST, Klines
from vision_ai.domain.charts import (
    ChartKey,
    Embeddings,
    Label,
    Labelled,
    Labels,
    Neighbors,
    Outcomes,
)
from vision_ai.domain.time import END_MS, iso, parse_time, stamp
from vision_ai.domain.vocabulary import (
    CHART_INTERVALS,
    CLOSE,
    DIRECTIONS,
    HIGH,
    HORIZONS,
    LOW,
    OPEN,
    PHASES,
    READINGS,
    SETUPS,
    VOLUME,
    WINDOW,
    Bools,
    Bytes,
    Direction,
    Floats,
    Horizon,
    Interval,
    Ints,
    Phase,
    Reading,
    Setup,
    Verdict,
    is_symbol,
    parse_interval,
    parse_symbol,
)

__all__ = [
    "CHART_INTERVALS",
    "CLOSE",
    "DIRECTIONS",
    "END_MS",
    "HIGH",
    "HORIZONS",
    "LARGEST",
    "LOW",
    "OPEN",
    "PHASES",
    "READINGS",
    "SETUPS",
    "VOLUME",
    "WINDOW",
    "Bools",
    "Bytes",
    "ChartKey",
    "Direction",
    "Embeddings",
    "Floats",
    "Horizon",
    "Interval",
    "Ints",
    "Klines",
    "Label",
    "Labelled",
    "Labels",
    "Neighbors",
    "Outcomes",
    "Phase",
    "Reading",
    "Setup",
    "Verdict",
    "is_symbol",
    "iso",
    "parse_interval",
    "parse_symbol",
    "parse_time",
    "stamp",
]
