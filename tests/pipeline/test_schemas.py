"""The published forms: each is a valid JSON Schema that its own records pass."""

import json
from typing import Any

import jsonschema
import pytest

from tests.feedback.examples import AS_OF, line, prediction
from vision_ai.domain import iso
from vision_ai.errors import InputError
from vision_ai.pipeline import schemas
from vision_ai.pipeline.candles import CandleCount, FetchedCandles, FetchResult
from vision_ai.pipeline.learning.train import TrainResult
from vision_ai.pipeline.models import ActiveModelResult
from vision_ai.pipeline.workspace import Result
from vision_ai.records import Decision


def is_valid(name: str, content: Any) -> bool:
    try:
        jsonschema.validate(content, schemas.schema(name))
    except jsonschema.ValidationError:
        return False
    return True


def test_names_are_listed_once_with_files_first() -> None:
    names = schemas.names()
    assert len(set(names)) == len(names)
    assert names[:3] == ["prediction", "feedback", "decision"]
    assert all(name.endswith("-result") for name in names[3:])


@pytest.mark.parametrize("name", schemas.names())
def test_every_schema_is_valid_and_describes_an_object(name: str) -> None:
    schema = schemas.schema(name)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["type"] == "object"
    assert json.loads(json.dumps(schema)) == schema


@pytest.mark.parametrize("name", schemas.RESULTS)
def test_every_result_says_what_is_missing_and_hides_what_is_for_the_terminal(name: str) -> None:
    kind = schemas.RESULTS[name]
    assert issubclass(kind, Result)
    shown = schemas.schema(name)["properties"]
    hidden = {key for key, field in kind.model_fields.items() if field.exclude}
    assert "missing" in shown
    assert not hidden & set(shown)
    assert set(shown) >= set(kind.model_fields) - hidden


def test_a_prediction_passes_its_schema_and_a_changed_one_does_not() -> None:
    content = json.loads(prediction().model_dump_json())
    assert is_valid("prediction", content)
    assert not is_valid("prediction", {**content, "confidence": 1.5})
    assert not is_valid("prediction", {**content, "setup": "moon"})
    assert not is_valid("prediction", {k: v for k, v in content.items() if k != "as_of"})
    assert not is_valid("prediction", {**content, "more": 1})


def test_a_line_of_feedback_passes_its_schema_and_a_changed_one_does_not() -> None:
    content = json.loads(line().model_dump_json())
    assert is_valid("feedback", content)
    assert not is_valid("feedback", {**content, "horizon": "3h"})
    assert not is_valid("feedback", {**content, "covered": "yes"})


def test_a_decision_passes_its_schema() -> None:
    decided = {
        "symbol": "BTCUSDT", "final_score": 0.5, "score_breakdown": {"trend": 0.5},
        "decision": "consider", "grade": "B", "confidence": 0.5, "decision_reasons": ["why"],
        "missing": {},
    }  # fmt: skip
    content = json.loads(Decision.of(decided, AS_OF).model_dump_json())
    assert content["decided_at"] == iso(AS_OF)
    assert is_valid("decision", content)
    assert not is_valid("decision", {**content, "decision": "perhaps"})


def test_a_result_passes_its_schema_as_it_is_printed() -> None:
    span = {"candles": 0, "first": None, "until": None, "gaps": 0}
    result = FetchResult(fetched=[FetchedCandles(symbol="BTCUSDT", venue="v", **span)])
    assert is_valid("fetch-result", result.payload())
    assert not is_valid("fetch-result", {**result.payload(), "more": 1})
    assert "last_gap" in CandleCount.model_fields
    assert "last_gap" not in result.payload()["fetched"][0]


def test_a_promotion_prints_the_version_and_its_path() -> None:
    result = ActiveModelResult(version="a", path="b", fixed_at="c", index_problem="d")
    assert result.payload() == {"version": "a", "path": "b", "missing": {}}
    assert is_valid("models-promote-result", result.payload())


def test_a_trained_version_prints_its_figures() -> None:
    result = TrainResult(version="a", path="b", figures={"loss": 0.5})
    assert is_valid("train-result", result.payload())
    assert not is_valid("train-result", {**result.payload(), "figures": {"loss": "low"}})


@pytest.mark.parametrize("name", ["", "Prediction", "scan", "x" * 300, "../prediction"])
def test_an_unknown_name_is_refused_with_all_that_are_known(name: str) -> None:
    with pytest.raises(InputError) as refusal:
        schemas.schema(name)
    text = str(refusal.value)
    assert repr(name[:40]) in text
    assert all(known in text for known in schemas.names())
    assert len(text) < 1500
