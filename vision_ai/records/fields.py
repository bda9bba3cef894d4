"""What every stored form is made of: a frozen record, and the types of its fields."""

from typing import Annotated

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, StringConstraints

Probability = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
IsoTime = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$")]
SymbolText = Annotated[str, StringConstraints(pattern=r"^[A-Z0-9]{2,30}$")]


class Record(BaseModel):
    """A frozen document that refuses unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_by_name=True)


def renamed(new: str, old: str) -> AliasChoices:
    """The stored key of a field, and the one that version 0.1.0 wrote: both are read."""
    return AliasChoices(new, old)


class LogLine(Record):
    """A log line that holds its own number and checksum, so that edits and moves show."""

    line: int = Field(default=0, ge=0, description="its number in the file, from 1")
    check: str = Field(default="", description="SHA-256 of all other fields, 16 hex digits")


class BadLine(Record):
    """A line of a log that is kept but not counted, and why."""

    path: str
    number: int
    reason: str

    def __str__(self) -> str:
        return f"{self.path} line {self.number}: {self.reason}"
