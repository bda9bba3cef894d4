"""The request to GPT: its form, its facts, its size and its price."""

import base64
import hashlib
import json

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.labels.gpt_tasks import config
from vision_ai.domain import PHASES, READINGS, SETUPS, Label
from vision_ai.labels.examples import SETUP_EXAMPLES
from vision_ai.labels.facts import FACTS
from vision_ai.labels.gpt import prompt
from vision_ai.labels.gpt.replies import GptAnswer, Language
from vision_ai.labels.rules import label

LABELS = [label(draw()[None])[0] for draw in SETUP_EXAMPLES.values()]
PINNED = "7bd92c8dacf7d8122ef0eb1bab66bd50d145d8e990178377289aeb5f9dc3fe7f"


def facts_of(given: Label) -> dict:
    return json.loads(prompt.facts_text(given).removeprefix("Facts: "))


def test_another_wording_needs_another_prompt_version() -> None:
    """The texts of prompt version 1, pinned: whoever changes one raises PROMPT_VERSION."""
    texts = [prompt.PROMPT_VERSION, prompt.INSTRUCTIONS, json.dumps(FACTS)]
    texts.append(json.dumps(prompt.schema()))
    assert hashlib.sha256("\n".join(texts).encode()).hexdigest() == PINNED


@pytest.mark.parametrize("given", LABELS, ids=lambda given: given.reading.name)
def test_the_facts_are_the_measured_ones_and_zeros_are_left_out(given: Label) -> None:
    facts = facts_of(given)
    assert (facts["setup"], facts["direction"]) == (given.setup.value, given.direction.value)
    assert facts["phase"] == given.phase.value
    expected = {name: round(value, 4) for name, value in given.facts.items() if value}
    assert {name: one["value"] for name, one in facts["measured"].items()} == expected
    assert all(one["is"] == FACTS[name] for name, one in facts["measured"].items())


def test_a_label_without_facts_has_no_measured_ones() -> None:
    assert facts_of(Label(READINGS[0], PHASES[0]))["measured"] == {}


@pytest.mark.parametrize("language", Language)
def test_the_request_holds_the_picture_the_facts_and_the_language(language: Language) -> None:
    body = prompt.body(LABELS[0], "15m", b"\x89PNG", language, config())
    picture, text = body["input"][0]["content"]
    assert base64.b64decode(picture["image_url"].split(",")[1]) == b"\x89PNG"
    assert text["text"] == prompt.facts_text(LABELS[0])
    assert prompt.LANGUAGES[language] in body["instructions"]
    assert "candles of 15m" in body["instructions"]
    assert body["store"] is False
    assert json.loads(json.dumps(body)) == body


@pytest.mark.parametrize("effort", ["", "low"])
def test_effort_is_sent_only_where_it_is_set(effort) -> None:
    body = prompt.body(LABELS[0], "1h", b"", Language.EN, config(effort=effort))
    assert body.get("reasoning") == ({"effort": effort} if effort else None)


def test_the_schema_of_the_answer_accepts_what_the_record_accepts() -> None:
    answer = GptAnswer(
        setup=SETUPS[0], direction="long", phase=PHASES[0], confidence=0.5,
        description="a description", paraphrases=["a paraphrase"],
    )  # fmt: skip
    content = answer.model_dump(mode="json")
    jsonschema.validate(content, prompt.schema())
    assert set(prompt.schema()["required"]) == set(GptAnswer.model_fields)
    for name in GptAnswer.model_fields:
        missing = {key: value for key, value in content.items() if key != name}
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(missing, prompt.schema())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**content, "forecast": "up"}, prompt.schema())


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 3000), st.integers(1, 3000))
def test_a_larger_picture_never_takes_fewer_tokens_up_to_a_limit(width, height) -> None:
    def count(size: tuple[int, int]) -> int:
        return prompt.input_tokens(LABELS[0], "15m", size, Language.EN, config())

    assert count((width, height)) <= count((width + 32, height))
    assert count((width, height)) <= count((10_000, 10_000)) == count((20_000, 20_000))
    assert count((width, height)) == count((height, width))


def test_a_picture_counts_in_patches_of_32_pixels() -> None:
    def count(size: tuple[int, int]) -> int:
        return prompt.input_tokens(LABELS[0], "15m", size, Language.EN, config(image_factor=1.0))

    assert count((64, 64)) - count((32, 32)) == 3
    assert count((33, 32)) == count((64, 32))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**7), st.integers(0, 10**7))
def test_price_is_linear_and_a_batch_costs_its_factor(inputs, outputs) -> None:
    rates = config(input_price=0.25, output_price=2.0, batch_factor=0.5)
    full = prompt.price(inputs, outputs, rates)
    assert full == pytest.approx((inputs * 0.25 + outputs * 2.0) / 1e6, abs=1e-9)
    assert prompt.price(inputs, outputs, rates, batch=True) == pytest.approx(full / 2, abs=1e-9)


def test_the_expected_answer_is_never_longer_than_allowed() -> None:
    assert prompt.output_tokens(config(max_output_tokens=100)) == 100
    assert prompt.output_tokens(config(max_output_tokens=5000)) == 350
