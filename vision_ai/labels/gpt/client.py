"""The client of the OpenAI API: a request goes out, a `Reply` of some kind comes back.

The only file that imports `openai`. Texts of the API leave it without anything that looks like a
key, and the library's own exceptions end here: some servers repeat the key in their error texts.
"""

import email.utils
import json
import os
import re
import time
from collections.abc import Callable, Mapping
from typing import Any, Self, TypeVar

from vision_ai import errors
from vision_ai.config import GptConfig
from vision_ai.errors import ConfigError, InputError, TransientError
from vision_ai.labels.gpt.replies import Reply, ReplyKind

Result = TypeVar("Result")

_KEY = re.compile(r"\b(?:sk|sess)-[A-Za-z0-9_*\-]{4,}")
_MAX_NOTE_CHARS = 200


class GptClient:
    """A connection to the OpenAI API, or to a server with the same interface.

    Safe to share between threads. Retries are up to the caller: each call is one request.
    """

    def __init__(self, config: GptConfig, *, environ: Mapping[str, str] = os.environ) -> None:
        """Take the key from `OPENAI_API_KEY` and the address from `OPENAI_BASE_URL`.

        Raises:
            ConfigError: no key.
            InputError: the library is not installed.
        """
        key = environ.get("OPENAI_API_KEY", "").strip()
        if not key:
            raise ConfigError(
                "There is no key for the OpenAI API.",
                hint="Set OPENAI_API_KEY, or count first with --dry-run.",
            )
        try:
            import openai
        except ModuleNotFoundError as error:
            raise errors.missing("Describing with GPT", "gpt", error) from error
        self._key = key
        self._openai = openai
        self._api = openai.OpenAI(
            api_key=key,
            base_url=environ.get("OPENAI_BASE_URL") or None,
            timeout=config.timeout_s,
            max_retries=0,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._api.close()

    def send(self, body: Mapping[str, Any]) -> Reply:
        """Send one request of the Responses API; every outcome, errors included, is a `Reply`."""
        openai = self._openai
        try:
            raw = self._api.responses.with_raw_response.create(**body)
            content = json.loads(raw.text)
        except openai.APITimeoutError:
            return Reply(ReplyKind.TIMEOUT, "no answer in time")
        except openai.APIStatusError as error:
            return self._refused(error)
        except openai.APIConnectionError as error:
            return Reply(ReplyKind.UNREACHABLE, self.scrub(str(error.__cause__ or error)))
        except ValueError:
            return Reply(ReplyKind.INVALID, "the reply is no JSON")
        if not isinstance(content, dict):
            return Reply(ReplyKind.INVALID, "the reply is no JSON object")
        reply = Reply.of(content, raw.headers.get("x-request-id"))
        return self._scrubbed(reply)

    def read(self, content: Mapping[str, Any], request_id: str | None) -> Reply:
        """Read the response object of one line of a batch."""
        return self._scrubbed(Reply.of(content, request_id))

    def upload(self, name: str, lines: bytes) -> str:
        """Upload the requests of a batch; the file's id.

        Raises:
            VisionError: the API cannot be reached, or refuses.
        """
        return self._call(lambda: self._api.files.create(file=(name, lines), purpose="batch").id)

    def submit(self, file_id: str, name: str) -> str:
        """Start a batch of uploaded requests under a name of ours; the batch's id."""
        return self._call(
            lambda: (
                self._api.batches.create(
                    input_file_id=file_id,
                    endpoint="/v1/responses",
                    completion_window="24h",
                    metadata={"vision_ai": name},
                ).id
            )
        )

    def find(self, name: str) -> str | None:
        """The id of the batch that was submitted under `name`, if there is one."""

        def search() -> str | None:
            for batch in self._api.batches.list(limit=100):
                if (batch.metadata or {}).get("vision_ai") == name:
                    return batch.id
            return None

        return self._call(search)

    def status(self, batch_id: str) -> tuple[str, list[str]]:
        """State of a batch, and the ids of its result files."""
        batch = self._call(lambda: self._api.batches.retrieve(batch_id))
        files = [batch.output_file_id, batch.error_file_id]
        return batch.status, [file for file in files if file]

    def download(self, file_id: str) -> bytes:
        """The content of a result file."""
        return self._call(lambda: self._api.files.content(file_id).content)

    def scrub(self, text: str) -> str:
        """The text without anything that looks like a key, and short."""
        return _KEY.sub("[key]", text.replace(self._key, "[key]"))[:_MAX_NOTE_CHARS]

    def _scrubbed(self, reply: Reply) -> Reply:
        return Reply(**{**vars(reply), "note": self.scrub(reply.note)})

    def _refused(self, error: Any) -> Reply:
        """The reply that a status other than 200 means."""
        kind = kind_of(error.status_code, str(error.code or ""))
        return Reply(
            kind,
            self.scrub(f"{error.status_code}: {_message(error)}"),
            request_id=error.request_id,
            retry_after_s=retry_after(error.response.headers),
        )

    def _call(self, request: Callable[[], Result]) -> Result:
        """Make a request, and turn the library's exceptions into ours.

        Raises:
            ConfigError: key, model or quota must be fixed.
            InputError: the API refuses the request.
            TransientError: it can be tried again later.
        """
        openai = self._openai
        try:
            return request()
        except openai.APIStatusError as error:
            reply = self._refused(error)
        except openai.APIConnectionError as error:
            reply = Reply(ReplyKind.UNREACHABLE, self.scrub(str(error)))
        # raised after the handlers, so that ours do not carry the library's exceptions as their
        # context: those may repeat the key
        raise_fatal(reply)
        if reply.kind is ReplyKind.REJECTED:
            raise InputError(f"The OpenAI API refused the request: {reply.note}")
        what = "cannot be reached" if reply.kind is ReplyKind.UNREACHABLE else "could not answer"
        raise TransientError(
            f"The OpenAI API {what}: {reply.note}",
            hint="Run the same command again later; nothing is lost.",
        )


def raise_fatal(reply: Reply) -> None:
    """Raise where every further request would end like this one.

    Raises:
        ConfigError: key, model or quota must be fixed.
    """
    hints = {
        ReplyKind.UNAUTHORIZED: ("refused the key", "Check OPENAI_API_KEY and its project."),
        ReplyKind.NO_MODEL: ("does not know the model or address", "Set `model` under [gpt]."),
        ReplyKind.NO_QUOTA: ("has no quota left for this key", "Add credit, then run it again."),
    }
    if reply.kind in hints:
        what, hint = hints[reply.kind]
        raise ConfigError(f"The OpenAI API {what} ({reply.note}).", hint=hint)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that a server asks to wait, from `retry-after-ms` or either form of `retry-after`.

    >>> retry_after({"retry-after": "2"}), retry_after({"retry-after-ms": "250"})
    (2.0, 0.25)
    """
    try:
        if "retry-after-ms" in headers:
            return max(float(headers["retry-after-ms"]) / 1000, 0.0)
        return max(float(headers["retry-after"]), 0.0)
    except KeyError:
        return None
    except ValueError:
        when = email.utils.parsedate_tz(headers.get("retry-after", ""))
        return max(email.utils.mktime_tz(when) - time.time(), 0.0) if when else None


def kind_of(status: int, code: str) -> ReplyKind:
    """What an HTTP status and the API's own code mean.

    >>> kind_of(429, "insufficient_quota").value, kind_of(503, "").value
    ('no-quota', 'server-error')
    """
    if status in {401, 403}:
        return ReplyKind.UNAUTHORIZED
    if status == 404:
        return ReplyKind.NO_MODEL
    if status == 429:
        return ReplyKind.NO_QUOTA if code == "insufficient_quota" else ReplyKind.RATE_LIMITED
    if status in {408, 409}:
        return ReplyKind.TIMEOUT
    return ReplyKind.SERVER_ERROR if status >= 500 else ReplyKind.REJECTED


def _message(error: Any) -> str:
    body = error.body
    return str(body.get("message", "")) if isinstance(body, dict) else str(body or error.message)
