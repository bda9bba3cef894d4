"""The forms of what is written to disk for people and other programs: documents and log lines.

Every document carries `schema_version`, every log line its line number and its checksum.

fields.py       the frozen record, and the types of its fields
predictions.py  `Prediction`, what it holds, and its published JSON Schema
feedback.py     `Feedback` lines, what they would change, and every time the gate was asked
decisions.py    `Decision` lines
"""

from vision_ai.records.decisions import Decision
from vision_ai.records.feedback import (
    UPDATE_MODES,
    ConfidenceShift,
    ExemplarFactor,
    Feedback,
    GateAttempt,
    PartName,
    PartVerdict,
    UpdateMode,
    UpdateProposal,
)
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
    AnnotationRecord,
    Band,
    ExternalPrediction,
    IntervalReading,
    NeighborRecord,
    Prediction,
    Unadjusted,
    prediction_schema,
)

__all__ = [
    "UPDATE_MODES",
    "AnnotationRecord",
    "BadLine",
    "Band",
    "ConfidenceShift",
    "Decision",
    "ExemplarFactor",
    "ExternalPrediction",
    "Feedback",
    "Finite",
    "GateAttempt",
    "IntervalReading",
    "IsoTime",
    "LogLine",
    "NeighborRecord",
    "PartName",
    "PartVerdict",
    "Prediction",
    "Probability",
    "Record",
    "SymbolText",
    "Unadjusted",
    "UpdateMode",
    "UpdateProposal",
    "prediction_schema",
]
