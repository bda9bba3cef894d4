"""The request to GPT: the picture, the facts, and the form of the answer; its tokens and cost."""

import base64
import json
import math
from typing import Any

from vision_ai.config import GptConfig
from vision_ai.domain import DIRECTIONS, PHASES, SETUPS, Label
from vision_ai.labels.facts import FACTS
from vision_ai.labels.gpt.replies import Language

PROMPT_VERSION = "1"
"""Stored with every description; any change of the texts below raises it."""

LANGUAGES = {Language.EN: "English", Language.PL: "Polish", Language.DE: "German"}

INSTRUCTIONS = """\
You write notes for a trader's chart library. You see one candlestick chart and facts that a strict
rule book measured on its last 96 candles.

1. setup, direction, phase, confidence: your own reading of the picture, made before you look at
   the facts. It may differ from them; it is kept as a second opinion.
2. description: one or two sentences in {language} that put the given facts into words. Use the
   facts' own words for setup, direction and phase ({canonical}) exactly as given, in English.
3. paraphrases: {count} short notes in {language}, each at most 15 words, as different traders
   would jot down the same facts; vary wording and which numbers are told.

Only tell what the facts say. Name no other setup, direction or phase, forecast nothing, and give
no advice. Distances are in ATR; bars are candles of {interval}.
"""

_CHARS_PER_TOKEN = 3.5
_PATCH_PIXELS = 32
_MAX_PATCHES = 1536
_EXPECTED_OUTPUT_TOKENS = 350
"""Tokens that an answer takes, for the estimate only."""


def schema() -> dict[str, Any]:
    """The JSON Schema of `replies.GptAnswer`, in the form that structured output asks for."""
    fields: dict[str, Any] = {
        "setup": {"type": "string", "enum": [setup.value for setup in SETUPS]},
        "direction": {"type": "string", "enum": [direction.value for direction in DIRECTIONS]},
        "phase": {"type": "string", "enum": [phase.value for phase in PHASES]},
        "confidence": {"type": "number", "description": "of your own reading, 0 to 1"},
        "description": {"type": "string"},
        "paraphrases": {"type": "array", "items": {"type": "string"}},
    }
    return {
        "type": "object",
        "properties": fields,
        "required": list(fields),
        "additionalProperties": False,
    }


def body(
    label: Label, interval: str, png: bytes, language: Language, config: GptConfig
) -> dict[str, Any]:
    """The whole request, the same for a live call and for a line of a batch."""
    url = "data:image/png;base64," + base64.b64encode(png).decode()
    content = [
        {"type": "input_image", "image_url": url, "detail": "high"},
        {"type": "input_text", "text": facts_text(label)},
    ]
    request: dict[str, Any] = {
        "model": config.model,
        "instructions": instructions(interval, language, config),
        "input": [{"role": "user", "content": content}],
        "max_output_tokens": config.max_output_tokens,
        "store": False,
        "text": {
            "format": {
                "type": "json_schema",
                "name": "chart_note",
                "strict": True,
                "schema": schema(),
            }
        },
    }
    if config.effort:
        request["reasoning"] = {"effort": config.effort}
    return request


def instructions(interval: str, language: Language, config: GptConfig) -> str:
    """The instructions of one request."""
    return INSTRUCTIONS.format(
        language=LANGUAGES[language],
        canonical="such as `fakeout`, `long`, `markup`",
        count=config.paraphrases,
        interval=interval,
    )


def facts_text(label: Label) -> str:
    """Label and measured facts as JSON, each number with what it is; zeros are left out."""
    measured = {
        name: {"is": FACTS[name], "value": round(value, 4)}
        for name, value in label.facts.items()
        if value and name in FACTS
    }
    facts = {
        "setup": label.setup.value,
        "direction": label.direction.value,
        "phase": label.phase.value,
        "measured": measured,
    }
    return "Facts: " + json.dumps(facts, ensure_ascii=False)


def input_tokens(
    label: Label, interval: str, size: tuple[int, int], language: Language, config: GptConfig
) -> int:
    """About how many tokens a request takes in: text by length, picture by 32 pixel patches.

    Args:
        label: label and facts of the chart.
        interval: candle length.
        size: width and height of the picture in pixels.
        language: of the description.
        config: model and its picture factor.
    """
    text = facts_text(label) + instructions(interval, language, config) + json.dumps(schema())
    patches = math.prod(math.ceil(side / _PATCH_PIXELS) for side in size)
    picture = min(patches, _MAX_PATCHES) * config.image_factor
    return math.ceil(len(text) / _CHARS_PER_TOKEN + picture)


def output_tokens(config: GptConfig) -> int:
    """About how many tokens an answer takes."""
    return min(_EXPECTED_OUTPUT_TOKENS, config.max_output_tokens)


def price(inputs: float, outputs: float, config: GptConfig, *, batch: bool = False) -> float:
    """Cost of tokens in US dollars.

    >>> price(1e6, 0, GptConfig(input_price=0.25)), price(1e6, 0, GptConfig(), batch=True)
    (0.25, 0.125)
    """
    full = (inputs * config.input_price + outputs * config.output_price) / 1e6
    return round(full * (config.batch_factor if batch else 1.0), 9)
