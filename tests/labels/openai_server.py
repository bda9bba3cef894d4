"""A server on this machine that speaks as the OpenAI API does: responses, files and batches.

It words charts with the facts that it is told, so that whole runs can be checked without a live
model, and it can go wrong in every way that the API can. By itself it runs as

    python -m tests.labels.openai_server --port 8790 --faults 0.2 --seed 7

and says at http://127.0.0.1:8790/tally what it was asked and what it delivered.
"""

import argparse
import hashlib
import json
import re
import select
import socket
import sys
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

KEY = "sk-test-0123456789abcdefghijKLMNOP"
FAULTS = (
    "refusal", "cut-off", "invalid", "no-json", "wrong-form", "slow", "429", "429-after", "500",
    "503", "hang-up",
)  # fmt: skip

Choose = Callable[[int, str], str]
"""Number of the request and its chart to the name of a fault, or nothing."""


def never(_: int, __: str) -> str:
    return ""


def always(fault: str) -> Choose:
    return lambda _, __: fault


def mixed(share: float, seed: int, faults: tuple[str, ...] = FAULTS) -> Choose:
    rng = np.random.default_rng(seed)
    lock = threading.Lock()

    def choose(_: int, __: str) -> str:
        with lock:
            return str(rng.choice(faults)) if rng.random() < share else ""

    return choose


class OpenAiServer:
    """Requests that came in, tokens that were delivered, batches under way.

    A slow reply waits for `slow_s`, or until nobody waits for it any more.
    """

    def __init__(self, choose: Choose = never, *, slow_s: float = 30.0, port: int = 0) -> None:
        self.choose = choose
        self.slow_s = slow_s
        self.write: Callable[[dict], dict] = honest
        self.key = KEY
        self.echo_key = False
        self.requests: list[dict] = []
        self.charts: Counter[str] = Counter()
        self.answered: Counter[str] = Counter()
        self.input_tokens = self.output_tokens = 0
        self.active = self.most_active = 0
        self.files: dict[str, bytes] = {}
        self.batches: dict[str, dict] = {}
        self.looks_until_done = 1
        self.lock = threading.RLock()
        self._http = ThreadingHTTPServer(
            ("127.0.0.1", port), type("Bound", (Handler,), {"said": self})
        )
        self._http.daemon_threads = True
        self.environ = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": self.url}
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}/v1"

    def __enter__(self) -> "OpenAiServer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    @contextmanager
    def counted(self):
        with self.lock:
            self.active += 1
            self.most_active = max(self.most_active, self.active)
        try:
            yield
        finally:
            with self.lock:
                self.active -= 1

    def answer(self, body: dict) -> "Answer":
        """The reply to one request; without content it hangs up."""
        chart = hashlib.sha256(json.dumps(body["input"]).encode()).hexdigest()
        with self.lock:
            self.requests.append(body)
            self.charts[chart] += 1
            fault = self.choose(len(self.requests), chart)
        if fault == "hang-up":
            return Answer(0, None)
        if fault in ERRORS:
            status, code, headers = ERRORS[fault]
            return Answer(status, self._error(code, fault), headers)
        if fault == "no-json":
            return Answer(200, b"<html>It works!</html>")
        reply = self._response(body, fault)
        whole = chart if fault in ("", "slow") else ""
        wait_s = self.slow_s if fault == "slow" else 0.0
        return Answer(200, json.dumps(reply).encode(), {}, reply["usage"], whole, wait_s)

    def delivered(self, answer: "Answer") -> None:
        """Count what a caller has got, late or not; what nobody waited for is not counted."""
        if answer.usage is None:
            return
        with self.lock:
            self.input_tokens += answer.usage["input_tokens"]
            self.output_tokens += answer.usage["output_tokens"]
            if answer.whole:
                self.answered[answer.whole] += 1

    def tally(self) -> dict:
        """What it was asked and what it delivered."""
        with self.lock:
            return {
                "requests": len(self.requests),
                "charts": len(self.charts),
                "answered": len(self.answered),
                "answered_twice": sum(n > 1 for n in self.answered.values()),
                "input_tokens": self.input_tokens,
                "output_tokens": self.output_tokens,
                "most_at_once": self.most_active,
            }

    def _error(self, code: str, fault: str) -> bytes:
        key = f" for key {self.key}" if self.echo_key else ""
        return json.dumps({"error": {"message": f"{fault}{key}", "code": code}}).encode()

    def _response(self, body: dict, fault: str) -> dict:
        text = json.dumps(self.write(body), ensure_ascii=False)
        part: dict = {"type": "output_text", "text": text, "annotations": []}
        if fault == "refusal":
            part = {"type": "refusal", "refusal": "I can't help with that."}
        elif fault == "invalid":
            part["text"] = text[: len(text) // 2]
        elif fault == "wrong-form":
            part["text"] = text.replace('"setup"', '"set_up"')
        elif fault == "cut-off":
            part["text"] = text[:40]
        return {
            "id": "resp_1",
            "object": "response",
            "created_at": 1_750_000_000,
            "model": body["model"],
            "status": "incomplete" if fault == "cut-off" else "completed",
            "incomplete_details": {"reason": "max_output_tokens"} if fault == "cut-off" else None,
            "error": None,
            "output": [
                {"type": "reasoning", "id": "rs_1", "summary": []},
                {"type": "message", "id": "msg_1", "role": "assistant", "content": [part]},
            ],
            "usage": {
                "input_tokens": 1200 + len(facts_text(body)) // 4,
                "input_tokens_details": {"cached_tokens": 0},
                "output_tokens": len(part.get("text", "")) // 4 + 10,
                "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": 0,
            },
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
        }

    def add_file(self, content: bytes) -> dict:
        with self.lock:
            name = f"file-{len(self.files)}"
            self.files[name] = content
            return {
                "id": name, "object": "file", "bytes": len(content), "purpose": "batch",
                "created_at": 1, "filename": name, "status": "processed",
            }  # fmt: skip

    def add_batch(self, wanted: dict) -> dict:
        with self.lock:
            name = f"batch_{len(self.batches)}"
            self.batches[name] = {
                "id": name, "object": "batch", "endpoint": wanted["endpoint"], "created_at": 1,
                "input_file_id": wanted["input_file_id"], "completion_window": "24h",
                "status": "in_progress", "metadata": wanted.get("metadata"), "looks": 0,
            }  # fmt: skip
            return self.batches[name]

    def look(self, name: str) -> dict:
        with self.lock:
            batch = self.batches[name]
            batch["looks"] += 1
            if batch["status"] == "in_progress" and batch["looks"] > self.looks_until_done:
                self._work(batch)
            return batch

    def _work(self, batch: dict) -> None:
        good, bad = [], []
        for line in self.files[batch["input_file_id"]].splitlines():
            asked = json.loads(line)
            answer = self.answer(asked["body"])
            self.delivered(answer)
            status = answer.status
            try:
                body = json.loads(answer.content or b"{}")
            except ValueError:
                body = {}
            response = {"status_code": status or 500, "request_id": "req_b", "body": body}
            row = {"id": "x", "custom_id": asked["custom_id"], "response": response, "error": None}
            (good if status == 200 else bad).append(json.dumps(row).encode())
        batch["status"] = "completed"
        batch["output_file_id"] = self.add_file(b"\n".join(good))["id"] if good else None
        batch["error_file_id"] = self.add_file(b"\n".join(bad))["id"] if bad else None


@dataclass(frozen=True)
class Answer:
    """One reply: status, content, headers, its tokens, the chart that it words whole, its delay."""

    status: int
    content: bytes | None
    headers: dict[str, str] = field(default_factory=dict)
    usage: dict | None = None
    whole: str = ""
    wait_s: float = 0.0


class Handler(BaseHTTPRequestHandler):
    said: OpenAiServer  # set on a class of its own for each server
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None: ...

    def send(self, status: int, content: bytes, headers: dict | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("content-type", "application/json")
        self.send_header("x-request-id", f"req_{len(self.said.requests)}")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def allowed(self) -> bool:
        if self.headers["authorization"] == f"Bearer {self.said.key}":
            return True
        shown = self.headers["authorization"].removeprefix("Bearer ")
        error = {"message": f"Incorrect API key provided: {shown}.", "code": "bad"}
        self.send(401, json.dumps({"error": error}).encode())
        return False

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["content-length"]))
        if not self.allowed():
            return
        if self.path == "/v1/responses":
            with self.said.counted():
                self.respond(json.loads(content))
        elif self.path == "/v1/files":
            found = re.search(rb'filename="[^"]*"\r\n.*?\r\n\r\n(.*)\r\n--', content, re.S)
            assert found is not None
            reply = self.said.add_file(found[1])
            self.send(getattr(reply, "status", 200), json.dumps(reply).encode())
        elif self.path == "/v1/batches":
            self.send(200, json.dumps(self.said.add_batch(json.loads(content))).encode())
        else:
            self.send(404, b'{"error": {"message": "no such page"}}')

    def respond(self, body: dict) -> None:
        answer = self.said.answer(body)
        if answer.content is None or self.is_gone(answer.wait_s):
            self.close_connection = True
            return
        # counted first: the caller may look at the figures as soon as it has the reply
        self.said.delivered(answer)
        try:
            self.send(answer.status, answer.content, answer.headers)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def is_gone(self, within_s: float) -> bool:
        """Whether the caller has hung up, or does so within a time that is waited for."""
        readable, _, _ = select.select([self.connection], [], [], within_s)
        if not readable:
            return False
        try:
            return self.connection.recv(1, socket.MSG_PEEK) == b""
        except ConnectionResetError:
            return True

    def do_GET(self) -> None:
        if self.path == "/tally":
            self.send(200, json.dumps(self.said.tally()).encode())
            return
        if not self.allowed():
            return
        path = self.path.split("?")[0]
        if path == "/v1/batches":
            listed = {"object": "list", "data": list(self.said.batches.values())}
            self.send(200, json.dumps({**listed, "has_more": False}).encode())
        elif path.startswith("/v1/batches/"):
            self.send(200, json.dumps(self.said.look(path.split("/")[3])).encode())
        else:
            self.send(200, self.said.files[path.split("/")[3]])


ERRORS = {
    "429": (429, "rate_limit_exceeded", {}),
    "429-after": (429, "rate_limit_exceeded", {"retry-after-ms": "60"}),
    "429-long": (429, "rate_limit_exceeded", {"retry-after": "3600"}),
    "quota": (429, "insufficient_quota", {}),
    "500": (500, "server_error", {}),
    "503": (503, "overloaded", {}),
    "400": (400, "invalid_image", {}),
    "401": (401, "invalid_api_key", {}),
    "404": (404, "model_not_found", {}),
}


def facts_text(body: dict) -> str:
    (message,) = body["input"]
    return next(part["text"] for part in message["content"] if part["type"] == "input_text")


def facts(body: dict) -> dict:
    return json.loads(facts_text(body).removeprefix("Facts: "))


def honest(body: dict) -> dict:
    """Words that agree with the facts, in the facts' own words; reads every third one wrong."""
    told = facts(body)
    third = int(hashlib.sha256(facts_text(body).encode()).hexdigest(), 16) % 3 == 0
    said = f"{told['setup']}, {told['direction']}, {told['phase']} phase"
    if told["setup"] == "none":
        said = f"no setup, {told['direction']}, {told['phase']} phase"
    return {
        "setup": "none" if third else told["setup"],
        "direction": "neutral" if third else told["direction"],
        "phase": told["phase"],
        "confidence": 0.7,
        "description": f"The chart shows this: {said}.",
        "paraphrases": [f"{said} as measured", f"note: {said}"],
    }


def main() -> None:
    """Serve until stopped."""
    parser = argparse.ArgumentParser(description="Play the OpenAI API on this machine.")
    parser.add_argument("--port", type=int, default=8790)
    parser.add_argument("--faults", type=float, default=0.0, help="share of replies that go wrong")
    parser.add_argument("--seed", type=int, default=0, help="which replies go wrong")
    parser.add_argument("--slow", type=float, default=30.0, help="seconds of a slow reply")
    wanted = parser.parse_args()
    choose = mixed(wanted.faults, wanted.seed)
    with OpenAiServer(choose, slow_s=wanted.slow, port=wanted.port) as server:
        sys.stdout.write(f"OPENAI_BASE_URL={server.url} OPENAI_API_KEY={server.key}\n")
        sys.stdout.flush()
        threading.Event().wait()


if __name__ == "__main__":
    main()
