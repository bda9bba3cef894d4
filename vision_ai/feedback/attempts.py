"""Every time the gate was asked, in `attempts.jsonl` beside the models: what it spent and said.

The error rate holds over all attempts ever made, so each is written down, passed or not, and no
fold that was judged on is judged on again.
"""

from pathlib import Path
from typing import Literal, get_args

from pydantic import Field

from vision_ai import checksummed_log
from vision_ai.config import Paths
from vision_ai.domain import Horizon
from vision_ai.records import BadLine, Finite, IsoTime, LogLine, Probability, Record

PartName = Literal["exemplars", "bands 2h", "bands 6h", "readings"]

Rung = Literal["log-only", "reweight", "finetune"]
"""How far an update goes: written down only, or made into a version if the gate says better."""

RUNGS: tuple[Rung, ...] = get_args(Rung)


class Part(Record):
    """The gate's verdict on one part of a challenger. Blocks are days."""

    name: PartName
    cases: int = Field(ge=0, description="what was judged: pairs of a hit and a miss, or bands")
    wins: int
    losses: int
    ties: int
    p_value: Probability
    level: Probability = Field(description="what this part may spend of the error rate")
    better: bool
    figures: dict[str, Finite] = Field(description="of the later fold, champion and challenger")


class Attempt(LogLine):
    """One challenge: learned until one time, judged on what came later."""

    v: Literal[1] = 1
    number: int = Field(ge=1, description="over all champions: each spends less")
    rung: Rung = "reweight"
    made_at: IsoTime
    champion: str
    horizon: Horizon
    alpha: Probability
    learned_until: IsoTime
    judged_from: IsoTime
    judged_until: IsoTime
    learned: int = Field(description="lines")
    judged: int = Field(description="lines")
    days: int
    parts: list[Part]
    promote: bool
    version: str | None = Field(default=None, description="what was made of it, if it passed")


def read(paths: Paths) -> tuple[list[Attempt], list[BadLine]]:
    """Every intact attempt, in order, and the lines that are damaged: each of them spent too."""
    return checksummed_log.read(_path(paths), Attempt, _number)


def append(paths: Paths, attempt: Attempt) -> bool:
    """Write an attempt down; False if another run made one of that number meanwhile.

    Raises:
        StorageError: nothing was written.
    """
    return bool(checksummed_log.append_once(_path(paths), [attempt], _number))


def _path(paths: Paths) -> Path:
    return paths.models / "attempts.jsonl"


def _number(attempt: Attempt) -> int:
    return attempt.number
