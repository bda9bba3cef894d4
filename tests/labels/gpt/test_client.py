"""The client of the OpenAI API over a loopback server: files, batches, errors, keys."""

import pytest

from tests.labels.gpt_tasks import config, order, task
from tests.labels.openai_server import KEY, OpenAiServer, always
from vision_ai.errors import ConfigError, InputError, TransientError
from vision_ai.labels.gpt.client import GptClient, kind_of, raise_fatal
from vision_ai.labels.gpt.replies import FATAL, Reply, ReplyKind


@pytest.fixture
def server():
    with OpenAiServer() as running:
        yield running


@pytest.fixture
def client(server):
    with GptClient(config(), environ=server.environ) as opened:
        yield opened


def body() -> dict:
    return order().body(task(0), b"PNG")


def test_what_was_uploaded_is_downloaded_the_same(client) -> None:
    lines = b'{"custom_id": "a"}\n{"custom_id": "b"}\n'
    assert client.download(client.upload("requests.jsonl", lines)) == lines


def test_a_batch_is_found_by_the_name_that_it_was_submitted_under(client) -> None:
    file_id = client.upload("requests.jsonl", b"")
    assert client.find("mine") is None
    first = client.submit(file_id, "mine")
    second = client.submit(file_id, "other")
    assert (client.find("mine"), client.find("other")) == (first, second)
    assert client.find("nobody's") is None


def test_the_state_of_a_batch_comes_with_its_result_files(client, server) -> None:
    server.looks_until_done = 9
    batch_id = client.submit(client.upload("requests.jsonl", b""), "mine")
    assert client.status(batch_id) == ("in_progress", [])
    server.batches[batch_id]["output_file_id"] = "file-7"
    server.batches[batch_id]["error_file_id"] = None
    assert client.status(batch_id)[1] == ["file-7"]


def test_a_reply_carries_the_id_of_its_request(client, server) -> None:
    reply = client.send(body())
    assert reply.kind is ReplyKind.DESCRIBED
    assert reply.request_id == "req_1"
    assert reply.input_tokens == server.input_tokens


@pytest.mark.parametrize("content", [b"", b"[1]", b'"text"', b"null", b"\xff\xfe"])
def test_a_body_that_is_no_json_object_is_invalid(content, client, server) -> None:
    answer = server.answer
    server.answer = lambda asked: type(answer(asked))(200, content)
    reply = client.send(body())
    assert reply.kind is ReplyKind.INVALID
    assert "no JSON" in reply.note


@pytest.mark.parametrize(
    ("status", "error", "says"),
    [
        (401, ConfigError, "refused the key"),
        (403, ConfigError, "refused the key"),
        (404, ConfigError, "does not know the model"),
        (400, InputError, "refused the request"),
        (408, TransientError, "could not answer"),
        (429, TransientError, "could not answer"),
        (500, TransientError, "could not answer"),
    ],
)
def test_an_error_of_files_and_batches_says_who_must_act(status, error, says, server) -> None:
    with GptClient(config(), environ=server.environ) as client:
        server.add_file = lambda _: Refusal(status)
        with pytest.raises(error, match=says) as caught:
            client.upload("requests.jsonl", b"")
    # neither the library's own exception nor what it may repeat is carried along
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    if error is not InputError:
        assert caught.value.hint


class Refusal(dict):
    """A reply of the server's that is sent under another status."""

    def __init__(self, status: int) -> None:
        super().__init__(error={"message": f"no, {KEY}", "code": "no"})
        self.status = status


def test_a_server_that_hangs_up_on_an_upload_is_a_transient_error() -> None:
    environ = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}
    with (
        GptClient(config(), environ=environ) as client,
        pytest.raises(TransientError, match="cannot be reached") as caught,
    ):
        client.find("mine")
    assert "nothing is lost" in str(caught.value.hint)


@pytest.mark.parametrize("key", ["", "   "])
def test_an_empty_key_is_no_key(key) -> None:
    with pytest.raises(ConfigError, match="no key") as caught:
        GptClient(config(), environ={"OPENAI_API_KEY": key})
    assert "OPENAI_API_KEY" in str(caught.value.hint)


@pytest.mark.parametrize(
    "text",
    [KEY, f"key {KEY}.", "sk-other-0123456789", "Incorrect: sess-abcd1234", "sk-ab****wxyz"],
)
def test_whatever_looks_like_a_key_is_scrubbed(text, client) -> None:
    scrubbed = client.scrub(f"before {text} after")
    assert "[key]" in scrubbed
    assert "sk-" not in scrubbed
    assert "sess-" not in scrubbed
    assert scrubbed.startswith("before ")


def test_a_long_note_is_cut_after_it_was_scrubbed(client) -> None:
    note = client.scrub("x" * 195 + KEY)
    assert len(note) == 200
    assert KEY[:8] not in note


def test_a_key_in_the_error_of_a_batch_line_is_scrubbed(client) -> None:
    failed = {"status": "failed", "error": {"code": "x", "message": f"bad {KEY}"}}
    assert client.read(failed, "req").note == "bad [key]"


@pytest.mark.parametrize("kind", ReplyKind)
def test_only_fatal_kinds_raise(kind) -> None:
    if kind in FATAL:
        with pytest.raises(ConfigError) as caught:
            raise_fatal(Reply(kind, "note"))
        assert "note" in str(caught.value)
        assert caught.value.hint
    else:
        raise_fatal(Reply(kind, "note"))


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "", ReplyKind.REJECTED),
        (401, "", ReplyKind.UNAUTHORIZED),
        (404, "", ReplyKind.NO_MODEL),
        (409, "", ReplyKind.TIMEOUT),
        (413, "", ReplyKind.REJECTED),
        (429, "rate_limit_exceeded", ReplyKind.RATE_LIMITED),
        (429, "insufficient_quota", ReplyKind.NO_QUOTA),
        (500, "", ReplyKind.SERVER_ERROR),
        (529, "", ReplyKind.SERVER_ERROR),
    ],
)
def test_a_status_has_its_kind(status, code, kind) -> None:
    assert kind_of(status, code) is kind


def test_a_pause_that_the_server_asks_for_comes_with_the_reply(server) -> None:
    server.choose = always("429-after")
    with GptClient(config(), environ=server.environ) as client:
        reply = client.send(body())
    assert (reply.kind, reply.retry_after_s) == (ReplyKind.RATE_LIMITED, 0.06)
