"""The published forms of the files that this program writes."""

from typing import Any

from vision_ai.errors import InputError
from vision_ai.predict_cv_setup import prediction_schema
from vision_ai.records import Feedback


def schema(name: str) -> dict[str, Any]:
    """JSON Schema of `prediction` or `feedback`.

    Raises:
        InputError: there is no such file.
    """
    if name == "prediction":
        return prediction_schema()
    if name == "feedback":
        head = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
        return {**head, **Feedback.model_json_schema()}
    raise InputError(
        f"Schema {name[:40]!r} is not known: expected prediction or feedback.",
        hint="Try: vision-ai schema prediction",
    )
