"""The records of a request to GPT: the chart, the answer, and how a request ended."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, StringConstraints, ValidationError

from vision_ai.domain import Direction, Interval, Label, Phase, Reading, Setup
from vision_ai.records import Finite, IsoTime, LogLine, Probability, Record, SymbolText

Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=3, max_length=800)]
Short = Annotated[str, StringConstraints(strip_whitespace=True, min_length=3, max_length=240)]


class Language(StrEnum):
    """A language that descriptions are written in; the words for facts stay English."""

    EN = "en"
    PL = "pl"
    DE = "de"


class ReplyKind(StrEnum):
    """How one request ended."""

    DESCRIBED = "described"
    CONTRADICTS = "contradicts"
    REFUSED = "refused"
    CUT_OFF = "cut-off"
    INVALID = "invalid"
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    RATE_LIMITED = "rate-limited"
    SERVER_ERROR = "server-error"
    REJECTED = "rejected"
    EXPIRED = "expired"
    UNAUTHORIZED = "unauthorized"
    NO_MODEL = "no-model"
    NO_QUOTA = "no-quota"


ANSWERED = frozenset({ReplyKind.DESCRIBED, ReplyKind.CONTRADICTS, ReplyKind.REFUSED})
"""Asking again would cost the same and answer the same: such a chart is not asked about again."""

RETRYABLE = frozenset(
    {
        ReplyKind.CUT_OFF,
        ReplyKind.INVALID,
        ReplyKind.TIMEOUT,
        ReplyKind.UNREACHABLE,
        ReplyKind.RATE_LIMITED,
    }
    | {ReplyKind.SERVER_ERROR}
)
"""Worth another attempt."""

FATAL = frozenset({ReplyKind.UNAUTHORIZED, ReplyKind.NO_MODEL, ReplyKind.NO_QUOTA})
"""Every further request would end the same way."""


class LabelledChart(Record):
    """One chart with the label that the rule book gave it: what a request asks about."""

    digest: Digest = Field(description="of the candles; of the pixels, for a foreign picture")
    symbol: SymbolText
    interval: Interval
    as_of: IsoTime
    setup: Setup
    direction: Direction
    phase: Phase
    clear: bool
    rules: str
    look: str = Field(description="hash of the bare prices and volumes, as training sees them")
    chart: str | None = Field(default=None, description="path of its PNG, where one exists")

    @property
    def reading(self) -> Reading:
        """Setup and direction."""
        return Reading(self.setup, self.direction)

    def has_label(self, label: Label) -> bool:
        """Whether `label` is the one that this chart was described under."""
        return self.reading == label.reading and self.phase is label.phase


def hash_bars(bars: NDArray[np.float64]) -> str:
    """Hash of the raw values of one window (96, 5): the same chart at any time and symbol."""
    return hashlib.sha256(np.ascontiguousarray(bars, "<f8").tobytes()).hexdigest()[:32]


class GptAnswer(Record):
    """The JSON that GPT fills in: texts about the facts, and its own reading of the picture."""

    setup: Setup
    direction: Direction
    phase: Phase
    confidence: Probability
    description: Text
    paraphrases: list[Short] = Field(min_length=1, max_length=20)

    @property
    def texts(self) -> list[str]:
        """Description and paraphrases."""
        return [self.description, *self.paraphrases]


class Contradiction(Record):
    """A text that contradicts the facts, and how."""

    text: str
    why: str


class Attempt(LogLine):
    """One request and how it ended: a line of the ledger. `said` is GPT's answer."""

    v: Literal[1] = 1
    id: str = Field(description="unique; a batch's lines are named by the batch")
    subject: LabelledChart
    language: Language
    model: str
    prompt: str = Field(description="version of the prompt")
    kind: ReplyKind
    note: str = ""
    said: GptAnswer | None = None
    faults: list[Contradiction] = Field(default_factory=list)
    input_tokens: int | None = Field(default=None, ge=0, description="null: not given by the API")
    output_tokens: int | None = Field(default=None, ge=0)
    cost: Finite | None = Field(default=None, ge=0, description="US dollars")
    seconds: Finite = 0.0
    request_id: str | None = None
    batch: str | None = None
    at: IsoTime

    @property
    def key(self) -> tuple[str, Language]:
        """A chart in a language: never paid for twice."""
        return self.subject.digest, self.language

    @property
    def captions(self) -> list[str]:
        """The texts that agree with the facts; none where the description itself does not."""
        if self.kind is not ReplyKind.DESCRIBED or self.said is None:
            return []
        wrong = {fault.text for fault in self.faults}
        return [text for text in self.said.texts if text not in wrong]


@dataclass(frozen=True)
class Reply:
    """How one request ended, before its answer is compared with the facts."""

    kind: ReplyKind
    note: str = ""
    answer: GptAnswer | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    request_id: str | None = None
    retry_after_s: float | None = None

    @classmethod
    def of(cls, response: Mapping[str, Any], request_id: str | None = None) -> Self:
        """Read the JSON of a response object, of a live call or of a line of a batch."""
        kind, note, answer = _read(response)
        usage = response.get("usage")
        usage = usage if isinstance(usage, Mapping) else {}
        return cls(
            kind,
            note,
            answer,
            _tokens(usage.get("input_tokens")),
            _tokens(usage.get("output_tokens")),
            request_id,
        )


_FAILURES = {"rate_limit_exceeded": ReplyKind.RATE_LIMITED, "server_error": ReplyKind.SERVER_ERROR}


def _read(response: Mapping[str, Any]) -> tuple[ReplyKind, str, GptAnswer | None]:
    status = response.get("status")
    if status == "incomplete":
        reason = str((response.get("incomplete_details") or {}).get("reason"))
        return (
            (ReplyKind.REFUSED if reason == "content_filter" else ReplyKind.CUT_OFF),
            reason,
            None,
        )
    if status == "failed":
        error = response.get("error") or {}
        kind = _FAILURES.get(str(error.get("code")), ReplyKind.REJECTED)
        return kind, str(error.get("message", ""))[:200], None
    texts = []
    for part in _parts(response):
        if part.get("type") == "refusal":
            return ReplyKind.REFUSED, str(part.get("refusal", ""))[:200], None
        if part.get("type") == "output_text":
            texts.append(str(part.get("text", "")))
    return _parse_answer("".join(texts))


def _parts(response: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    output = response.get("output")
    messages = [m for m in output if isinstance(m, Mapping)] if isinstance(output, list) else []
    contents = [m.get("content") for m in messages if m.get("type") == "message"]
    lists = [content for content in contents if isinstance(content, list)]
    return [part for content in lists for part in content if isinstance(part, Mapping)]


def _parse_answer(text: str) -> tuple[ReplyKind, str, GptAnswer | None]:
    try:
        return ReplyKind.DESCRIBED, "", GptAnswer.model_validate(json.loads(text))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        return ReplyKind.INVALID, f"{where}: {first['msg']}"[:200], None
    except (ValueError, RecursionError):
        return ReplyKind.INVALID, "the text is no JSON", None


def _tokens(value: object) -> int | None:
    return value if isinstance(value, int) and value >= 0 else None
