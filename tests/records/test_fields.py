"""Stored forms: frozen, strict about their fields, and readable under the names of before."""

import pytest
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from vision_ai.records import BadLine, Finite, IsoTime, LogLine, Probability, Record, SymbolText
from vision_ai.records.fields import renamed


class Sample(Record):
    width_factor: float = Field(default=1.0, validation_alias=renamed("width_factor", "stretch"))


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Probability, 0.0),
        (Probability, 1.0),
        (Finite, -1e300),
        (IsoTime, "2025-06-15T12:00:00Z"),
        (SymbolText, "1000PEPEUSDT"),
        (SymbolText, "AB"),
    ],
)
def test_a_field_takes_what_it_is_for(kind: type, value: object) -> None:
    assert TypeAdapter(kind).validate_python(value) == value


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Probability, -1e-9),
        (Probability, 1.0000001),
        (Probability, float("nan")),
        (Finite, float("inf")),
        (Finite, float("nan")),
        (IsoTime, "2025-06-15 12:00:00"),
        (IsoTime, "2025-06-15T12:00:00+00:00"),
        (IsoTime, "2025-06-15T12:00Z"),
        (SymbolText, "BTC/USDT"),
        (SymbolText, "../BTCUSDT"),
        (SymbolText, "btcusdt"),
        (SymbolText, "B"),
        (SymbolText, "B" * 31),
        (SymbolText, "BTCUSDT\n"),
    ],
)
def test_a_field_refuses_everything_else(kind: type, value: object) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(kind).validate_python(value)


def test_a_record_cannot_be_changed_and_takes_no_unknown_field() -> None:
    sample = Sample(width_factor=2.0)
    with pytest.raises(ValidationError, match="frozen"):
        sample.width_factor = 3.0  # type: ignore[misc]
    with pytest.raises(ValidationError, match="Extra inputs"):
        Sample.model_validate({"width": 2.0})


@pytest.mark.parametrize("name", ["width_factor", "stretch"])
def test_a_renamed_field_is_read_under_both_names_and_written_under_the_new(name: str) -> None:
    read = Sample.model_validate_json(f'{{"{name}": 2.5}}')
    assert read == Sample(width_factor=2.5)
    assert read.model_dump() == {"width_factor": 2.5}
    assert list(Sample.model_json_schema()["properties"]) == ["width_factor"]


def test_a_line_begins_without_number_and_checksum() -> None:
    line = LogLine()
    assert (line.line, line.check) == (0, "")
    with pytest.raises(ValidationError):
        LogLine(line=-1)


def test_a_bad_line_names_its_file_and_number() -> None:
    bad = BadLine(path="logs/a.jsonl", number=3, reason="truncated")
    assert str(bad) == "logs/a.jsonl line 3: truncated"


def every_record(kind: type[BaseModel]) -> list[type[BaseModel]]:
    return [kind, *(other for child in kind.__subclasses__() for other in every_record(child))]


def test_every_stored_form_of_the_package_is_strict() -> None:
    import vision_ai.calibration.fusion
    import vision_ai.records

    assert vision_ai.calibration.fusion
    kinds = [k for k in every_record(Record) if k.__module__.startswith("vision_ai.records")]
    assert len(kinds) > 12
    loose = {k.__name__ for k in kinds if k.model_config["extra"] != "forbid"}
    assert loose == {"ExternalPrediction"}  # another program's file
    assert all(kind.model_config["frozen"] for kind in kinds)
