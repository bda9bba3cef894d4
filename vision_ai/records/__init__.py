"""The forms of what is written to disk for people and other programs: documents and log lines.

Every document carries `schema_version`, every log line its line number and its checksum.

fields.py       the frozen record, and the types of its fields
predictions.py  `Prediction` and what it holds
feedback.py     `Feedback`
"""

from vision_ai.records.feedback import Feedback
from vision_ai.records.fields import (
    BadLine,
    Finite,
    IsoTime,
    LogLine,
    Probability,
    Record,
    SymbolText,
)
from vision_ai.records.predictions import (
    Band,
    Heard,
    IntervalReading,
    NeighborRecord,
    Prediction,
    WordRecord,
)

__all__ = [
    "BadLine",
    "Band",
    "Feedback",
    "Finite",
    "Heard",
    "IntervalReading",
    "IsoTime",
    "LogLine",
    "NeighborRecord",
    "Prediction",
    "Probability",
    "Record",
    "SymbolText",
    "WordRecord",
]
