"""The prediction as it is stored and published."""

import json
from typing import Any

import jsonschema
import pytest
from pydantic import ValidationError

from tests.feedback.examples import prediction
from vision_ai.domain import PHASES, READINGS
from vision_ai.records import (
    ExternalPrediction,
    IntervalReading,
    Prediction,
    Unadjusted,
    prediction_schema,
)
from vision_ai.records.predictions import example

OLD_NAMES = {"unadjusted": "heard", "annotations": "words", "transfer_probability": "trust"}


def old(content: Any) -> Any:
    if isinstance(content, dict):
        return {OLD_NAMES.get(key, key): old(value) for key, value in content.items()}
    return [old(value) for value in content] if isinstance(content, list) else content


def test_the_example_is_whole_and_agrees_with_itself() -> None:
    shown = example()
    lead = shown.intervals[shown.lead_interval]
    for name in ("setup", "phase", "direction", "confidence", "abstained", "neighbors", "outcome"):
        assert getattr(shown, name) == getattr(lead, name), name
    for reading in shown.intervals.values():
        assert set(reading.probabilities) == {reading.name for reading in READINGS}
        assert sum(reading.probabilities.values()) == pytest.approx(1, abs=1e-4)
        assert set(reading.phase_probabilities) == set(PHASES)
        assert sum(reading.phase_probabilities.values()) == pytest.approx(1)
        for band in reading.outcome.values():
            assert band.low < band.median < band.high
        assert (reading.abstained_because is not None) == reading.abstained


@pytest.mark.parametrize("call", [example(), prediction()], ids=["example", "plain"])
def test_what_is_written_is_read_back_equal(call: Prediction) -> None:
    assert Prediction.model_validate_json(call.model_dump_json()) == call


def test_a_document_under_the_old_names_is_the_same_prediction() -> None:
    written = example().model_dump(mode="json")
    before = old(written)
    assert before != written
    assert Prediction.model_validate(before) == example()
    assert '"heard"' not in Prediction.model_validate(before).model_dump_json()


def test_the_schema_accepts_what_is_written_and_refuses_what_is_not() -> None:
    schema = json.loads(json.dumps(prediction_schema()))
    jsonschema.Draft202012Validator.check_schema(schema)
    written = example().model_dump(mode="json")
    jsonschema.validate(written, schema)
    for change in ({"confidence": 1.5}, {"setup": "moon"}, {"extra": 1}, {"as_of": "noon"}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(written | change, schema)


def test_every_description_of_the_schema_speaks_of_todays_fields() -> None:
    text = json.dumps(prediction_schema()["$defs"])
    assert not any(word in text for word in ("look-alike", "heard", "trust", "speak"))


@pytest.mark.parametrize(
    ("kind", "missing"),
    [(IntervalReading, "klines_hash"), (Prediction, "rules_version"), (Unadjusted, "annotations")],
)
def test_a_missing_field_is_named(kind: type, missing: str) -> None:
    documents = {
        Prediction: example(),
        IntervalReading: example().intervals[example().lead_interval],
        Unadjusted: example().intervals[example().lead_interval].unadjusted,
    }
    content = documents[kind].model_dump(mode="json")
    del content[missing]
    with pytest.raises(ValidationError, match=missing):
        kind.model_validate(content)


def test_fields_answer_by_name_and_nothing_else_does() -> None:
    call = example()
    assert all(call[name] == getattr(call, name) for name in Prediction.model_fields)
    assert all(call.get(name) == call[name] for name in Prediction.model_fields)
    for name in ("model_dump", "get", "__class__", "heard", ""):
        assert call.get(name) is None
        assert name not in call
        with pytest.raises(KeyError):
            call[name]


def test_another_programs_file_needs_three_keys() -> None:
    named = {"symbol": "JSTUSDT", "as_of": "2025-06-23T10:45:00Z"}
    bare = {"setup": "trap", "phase": "range", "confidence": 0.75}
    found = ExternalPrediction.model_validate(named | bare)
    assert (found.direction, found.abstained, found.venue) == (None, False, "unknown")
    for key in bare:
        with pytest.raises(ValidationError, match=key):
            ExternalPrediction.model_validate({k: v for k, v in (named | bare).items() if k != key})
