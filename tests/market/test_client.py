"""One request through pybit: what each reply on the wire becomes."""

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, ClassVar

import pytest

from tests.market.replays import NOW, free_port
from vision_ai.config import MarketConfig
from vision_ai.errors import ExchangeUnavailableError
from vision_ai.market import instruments, wire
from vision_ai.market.client import IDENTITY, Answer, PybitClient, reply_time
from vision_ai.market.retry import Refusal

CLOCK_S = 1000.0
RESET = "X-Bapi-Limit-Reset-Timestamp"


class Scripted(BaseHTTPRequestHandler):
    """Answers every request with one status, header and body, and remembers what was asked."""

    status: ClassVar[int] = 200
    body: ClassVar[bytes] = b""
    extra: ClassVar[dict[str, str]] = {}
    paths: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.paths.append(self.path)
        self.send_response(self.status)
        for name, value in self.extra.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextlib.contextmanager
def answering(
    body: object, status: int = 200, **headers: str
) -> Iterator[tuple[PybitClient, list[str]]]:
    """A client of a loopback server that always gives the same answer, and the paths it saw."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    paths: list[str] = []
    extra = {name.replace("_", "-"): value for name, value in headers.items()}
    facts = {"status": status, "body": raw, "extra": extra, "paths": paths}
    server = HTTPServer(("127.0.0.1", 0), type("Handler", (Scripted,), facts))
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    config = MarketConfig(base_url=f"http://127.0.0.1:{server.server_port}/", timeout_s=2.0)
    client = PybitClient(config, lambda: CLOCK_S)
    try:
        yield client, paths
    finally:
        client.close()
        server.shutdown()
        server.server_close()


def good(**changes: object) -> dict[str, object]:
    return {"retCode": 0, "retMsg": "OK", "result": {"n": 5}, "time": NOW, **changes}


def read_n(reply: dict[str, Any]) -> int:
    number = instruments.read_result(reply).get("n")
    if not isinstance(number, int):
        raise wire.damaged(f"expected n, was {number!r}")
    return number


def refusal_of(body: object, status: int = 200, **headers: str) -> Refusal:
    with answering(body, status, **headers) as (client, paths):
        outcome = client.ask("get_server_time", read_n, {})
    assert isinstance(outcome, Refusal)
    assert len(paths) == 1  # pybit's own retries are off
    return outcome


def test_an_answer_is_parsed_with_the_exchanges_time() -> None:
    with answering(good()) as (client, paths):
        assert client.ask("get_server_time", read_n, {}) == Answer(5, NOW)
    assert paths == ["/v5/market/time"]


def test_parameters_travel_in_the_query() -> None:
    with answering(good()) as (client, paths):
        client.ask("get_kline", read_n, {"symbol": "BTCUSDT", "interval": "15", "limit": 3})
    path, _, query = paths[0].partition("?")
    assert path == "/v5/market/kline"
    assert set(query.split("&")) == {"symbol=BTCUSDT", "interval=15", "limit=3"}


def test_a_reply_that_the_parser_refuses_is_no_answer() -> None:
    refusal = refusal_of(good(result={"n": "five"}))
    assert "expected n, was 'five'" in refusal.what
    assert refusal == Refusal(refusal.what)


@pytest.mark.parametrize(
    ("code", "flags"),
    [
        (10001, {"params"}),
        (10006, {"rate"}),
        (10018, {"rate"}),
        (10429, {"rate"}),
        (10009, {"rate", "stop", "banned"}),
        (10024, {"stop"}),
        (10016, set()),
        (-1, set()),
    ],
)
def test_each_code_of_bybit_says_what_to_do_next(code: int, flags: set[str]) -> None:
    refusal = refusal_of(good(retCode=code, retMsg="why not"))
    assert refusal.what == f"retCode {code}, why not"
    raised = {name for name in ("rate", "stop", "banned", "params") if getattr(refusal, name)}
    assert raised == flags


@pytest.mark.parametrize(
    ("status", "flags"),
    [
        (403, {"rate", "stop", "banned"}),
        (429, {"rate"}),
        (404, {"stop"}),
        (451, {"stop"}),
        (500, set()),
        (502, set()),
        (503, set()),
    ],
)
def test_each_http_status_says_what_to_do_next(status: int, flags: set[str]) -> None:
    refusal = refusal_of(b"no", status)
    assert refusal.what == f"HTTP {status}"
    raised = {name for name in ("rate", "stop", "banned", "params") if getattr(refusal, name)}
    assert raised == flags


@pytest.mark.parametrize(
    ("text", "wait_s"),
    [("1002500", 2.5), ("1000000", 0.0), ("900000", 0.0), ("soon", 0.0), ("", 0.0), ("-5", 0.0)],
)
def test_the_reset_time_is_a_wait_by_our_clock_and_never_negative(text: str, wait_s: float) -> None:
    limited = good(retCode=10006, retMsg="Too many visits!")
    refusal = refusal_of(limited, **{RESET.replace("-", "_"): text})
    assert refusal.wait_s == pytest.approx(wait_s)
    refusal = refusal_of(b"slow down", 429, **{RESET.replace("-", "_"): text})
    assert refusal.wait_s == pytest.approx(wait_s)


def test_a_long_message_of_the_exchange_is_cut() -> None:
    refusal = refusal_of(good(retCode=7, retMsg="x" * 500))
    assert refusal.what == f"retCode 7, {'x' * 80}"


@pytest.mark.parametrize("body", [b"<html>", b"{", b"\xff\xfe", b""])
def test_what_is_not_json_is_named(body: bytes) -> None:
    assert "not JSON" in refusal_of(body).what


@pytest.mark.parametrize("body", [[], "text", 5, None, [1, 2]], ids=str)
def test_json_of_another_shape_is_named(body: object) -> None:
    assert "another shape" in refusal_of(body).what


def test_a_server_that_is_not_there_is_a_failed_connection() -> None:
    config = MarketConfig(base_url=f"http://127.0.0.1:{free_port()}", timeout_s=1.0)
    client = PybitClient(config, lambda: CLOCK_S)
    outcome = client.ask("get_server_time", read_n, {})
    client.close()
    assert isinstance(outcome, Refusal)
    assert outcome.what == "the connection failed (ConnectionError)"
    assert not outcome.stop


def test_the_identity_of_a_replay_server_is_its_json() -> None:
    with answering({"source": "simulated-7"}) as (client, paths):
        answer = client.ask(IDENTITY, lambda reply: reply["source"], {})
    assert answer == Answer("simulated-7", 0)
    assert paths == ["/replay"]


@pytest.mark.parametrize(("body", "status"), [(b"<html>", 200), (b'{"a":1}', 404), (b"", 500)])
def test_a_server_without_an_identity_has_an_empty_one(body: bytes, status: int) -> None:
    with answering(body, status) as (client, _):
        assert client.ask(IDENTITY, lambda reply: reply, {}) == Answer({}, 0)


@pytest.mark.parametrize(("reply", "time_ms"), [({"time": NOW}, NOW), ({"time": 0}, 0), ({}, 0)])
def test_the_time_of_a_reply_is_read(reply: dict[str, Any], time_ms: int) -> None:
    assert reply_time(reply) == time_ms


@pytest.mark.parametrize(
    "reply", [None, [], "x", {"time": "5"}, {"time": -1}, {"time": 1.5}, {"time": True},
              {"time": 10**20}, {"time": None}], ids=str,
)  # fmt: skip
def test_a_time_that_is_none_is_refused(reply: object) -> None:
    with pytest.raises(ExchangeUnavailableError, match="expected a time in milliseconds"):
        reply_time(reply)


def test_no_proxy_stands_between_us_and_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    with answering(good()) as (client, _):
        assert client.ask("get_server_time", read_n, {}) == Answer(5, NOW)
