"""A server on this machine that answers Bybit's v5 market endpoints from stored candles.

    GET  /v5/market/{kline,tickers,instruments-info,time}      in Bybit's form
    GET  /clock        POST /clock?now=ISO | ?advance=SECONDS | ?freeze=true|false
    GET  /faults       POST /faults?rate=0.2&kinds=all&seed=1&slow=1.0
    GET  /requests     POST /requests?reset=true               what was asked for so far
    GET  /replay       what is replayed

It shows nothing that lies after its clock. Faults touch the v5 endpoints only.
"""

import errno
import json
import logging
import math
import threading
import time
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any, ClassVar, Self
from urllib.parse import parse_qsl, urlsplit

from vision_ai.domain import END_MS, iso, parse_time
from vision_ai.errors import ConfigError, VisionError
from vision_ai.market.replay import faults, v5
from vision_ai.market.replay.faults import Fault, Faults
from vision_ai.market.replay.listing import Listing

logger = logging.getLogger(__name__)

RESET_S = 0.2
"""How far off the reset time of a simulated rate limit is."""


class Clock:
    """The replay's time: runs as fast as real time from a start, or is frozen.

    Args:
        now_ms: where it starts, UTC milliseconds.
        frozen: whether it stays until it is moved.
        monotonic: seconds that never go back.
    """

    def __init__(
        self,
        now_ms: int,
        *,
        frozen: bool = False,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._monotonic = monotonic
        self._base_ms = now_ms
        self._since = monotonic()
        self._frozen = frozen
        self._lock = threading.RLock()

    @property
    def is_frozen(self) -> bool:
        """Whether the time only moves when it is set."""
        return self._frozen

    def now_ms(self) -> int:
        """The time that the exchange believes it is."""
        with self._lock:
            passed_s = 0.0 if self._frozen else self._monotonic() - self._since
            return self._base_ms + round(passed_s * 1000)

    def set(self, now_ms: int) -> None:
        """Jump to a time, forth or back."""
        with self._lock:
            self._base_ms, self._since = now_ms, self._monotonic()

    def advance(self, seconds: float) -> None:
        """Jump forth by so many seconds."""
        with self._lock:
            self.set(self.now_ms() + round(seconds * 1000))

    def freeze(self, frozen: bool) -> None:
        """Stop the time, or let it run."""
        with self._lock:
            self.set(self.now_ms())
            self._frozen = frozen


class Replay:
    """The server; a context manager that answers in threads of its own while it is open.

    >>> from vision_ai.market.simulate import simulate
    >>> candles = simulate("BTCUSDT", "5m", 300, seed=7, end_ms=1_750_000_200_000)
    >>> with Replay(Listing.from_klines("simulated-7", [candles]), Clock(1_750_000_200_000)) as r:
    ...     r.url.startswith("http://127.0.0.1:")
    True
    """

    def __init__(
        self, markets: Listing, clock: Clock, *, host: str = "127.0.0.1", port: int = 0
    ) -> None:
        """Bind the port; 0 takes any free one.

        Raises:
            ConfigError: the port is taken, or may not be used.
        """
        self.markets = markets
        self.clock = clock
        self.faults = Faults()
        self.counts = Counts()
        try:
            self._server = _Server((host, port), _Handler)
        except (OSError, OverflowError) as error:
            why = (
                "is in use" if getattr(error, "errno", 0) == errno.EADDRINUSE else "cannot be used"
            )
            raise ConfigError(
                f"Port {port} of {host} {why}.", hint="Choose another with --port, or --port 0."
            ) from error
        self._server.replay = self
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Base URL, for VISION_AI_BYBIT_URL."""
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}"

    def serve_forever(self) -> None:
        """Answer until interrupted."""
        self._server.serve_forever(poll_interval=0.2)

    def __enter__(self) -> Self:
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), name="replay", daemon=True
        )
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop answering and free the port."""
        if self._thread:
            self._server.shutdown()
            self._thread.join()
            self._thread = None
        self._server.server_close()


class Counts:
    """What was asked for so far."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._paths: Counter[str] = Counter()
        self._klines: Counter[str] = Counter()
        self._faults: Counter[str] = Counter()

    def note(self, path: str, query: dict[str, str], fault: Fault | None) -> None:
        """Count one request."""
        with self._lock:
            self._paths[path] += 1
            if path.endswith("/kline"):
                self._klines[f"{query.get('symbol', '')} {query.get('interval', '')}"] += 1
            if fault:
                self._faults[fault.value] += 1

    def reset(self) -> None:
        """Begin again at nothing."""
        with self._lock:
            for counter in (self._paths, self._klines, self._faults):
                counter.clear()

    def as_dict(self) -> dict[str, Any]:
        """Requests in all, by path, by market and by fault."""
        with self._lock:
            return {
                "total": self._paths.total(),
                "paths": dict(self._paths),
                "klines": dict(self._klines),
                "faults": dict(self._faults),
            }


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    replay: Replay

    def server_bind(self) -> None:
        # HTTPServer looks its own name up, which can take seconds without a network
        TCPServer.server_bind(self)
        self.server_name, self.server_port = map(str, self.server_address[:2])  # type: ignore[assignment]

    def handle_error(self, request: Any, client_address: Any) -> None:
        # a client that hangs up is no event
        logger.debug("event=dropped client=%s", client_address, exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 60
    server: _Server
    controls: ClassVar[frozenset[str]] = frozenset({"/clock", "/faults", "/requests", "/replay"})

    def do_GET(self) -> None:
        self._dispatch(change=False)

    def do_POST(self) -> None:
        self._dispatch(change=True)

    def _dispatch(self, *, change: bool) -> None:
        url = urlsplit(self.path)
        query = dict(parse_qsl(url.query, max_num_fields=50))
        if self.headers.get("Content-Length", "0") != "0":
            self.close_connection = True  # bodies are not read: everything is in the query
        if url.path in self.controls:
            self._control(url.path, query, change=change)
        else:
            self._market(url.path, query)

    def _control(self, path: str, query: dict[str, str], *, change: bool) -> None:
        replay = self.server.replay
        try:
            if change:
                _change(replay, path, query)
            self._send_json(_state(replay, path))
        except VisionError as error:
            self._send_json({"error": str(error)}, status=400)

    def _market(self, path: str, query: dict[str, str]) -> None:
        replay = self.server.replay
        fault = replay.faults.draw(self.path)
        replay.counts.note(path, query, fault)
        try:
            reply = v5.answer(replay.markets, path, query, replay.clock.now_ms())
        except VisionError as error:
            logger.warning("event=damaged path=%s reason=%s", self.path[:200], error)
            self._send(b"Internal Server Error", 500, "text/plain")
            return
        if reply is None:
            self._send(b"404 page not found", 404, "text/plain")
        elif fault is None:
            self._send_json(reply)
        else:
            self._fail(fault, reply)

    def _fail(self, fault: Fault, reply: dict[str, Any]) -> None:
        body = json.dumps(reply).encode()
        now_ms = reply["time"]
        if fault is Fault.SLOW:
            time.sleep(self.server.replay.faults.slow_s)
            self._send(body)
        elif fault in {Fault.RATE_LIMIT, Fault.RATE_LIMIT_PAST, Fault.RATE_LIMIT_BARE}:
            self._send_json(
                v5.envelope({}, now_ms, 10006, "Too many visits!"), headers=_reset(fault)
            )
        elif fault is Fault.PARAMS:
            self._send_json(v5.envelope({}, now_ms, 10001, "Not supported symbols"))
        elif fault.isdecimal():
            self._send(f"{fault} error".encode(), int(fault), "text/plain")
        elif fault is Fault.DROPPED:
            self.close_connection = True
        elif fault is Fault.TRUNCATED:
            self._send(body[: len(body) // 2], claimed=len(body))
        else:
            self._send(faults.spoil(fault, reply))

    def _send_json(
        self, content: dict[str, Any], status: int = 200, headers: dict[str, str] | None = None
    ) -> None:
        self._send(json.dumps(content).encode(), status, headers=headers)

    def _send(
        self,
        body: bytes,
        status: int = 200,
        kind: str = "application/json; charset=utf-8",
        *,
        claimed: int | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body) if claimed is None else claimed))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if claimed is not None:
            self.close_connection = True
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        logger.debug("event=request %s", format % args)


def _reset(fault: Fault) -> dict[str, str]:
    # Real time, not the replay's: a client waits in real time.
    offset_s = {Fault.RATE_LIMIT: RESET_S, Fault.RATE_LIMIT_PAST: -5.0}.get(fault)
    if offset_s is None:
        return {}
    return {"X-Bapi-Limit-Reset-Timestamp": str(round((time.time() + offset_s) * 1000))}


def _state(replay: Replay, path: str) -> dict[str, Any]:
    now_ms = replay.clock.now_ms()
    if path == "/clock":
        return {"now": iso(now_ms), "now_ms": now_ms, "frozen": replay.clock.is_frozen}
    if path == "/faults":
        current_faults = replay.faults
        return {
            "rate": current_faults.rate,
            "kinds": [str(kind) for kind in current_faults.kinds],
            "seed": current_faults.seed,
            "slow_s": current_faults.slow_s,
        }
    if path == "/requests":
        return replay.counts.as_dict()
    symbols = sorted({symbol for _, symbol in replay.markets.markets})
    return {"source": replay.markets.source, "now": iso(now_ms), "symbols": symbols}


def _change(replay: Replay, path: str, query: dict[str, str]) -> None:
    if path == "/clock":
        if "now" in query:
            replay.clock.set(parse_time(query["now"]))
        if "advance" in query:
            moved_ms = replay.clock.now_ms() + round(_float(query, "advance", 0.0) * 1000)
            if not 0 <= moved_ms < END_MS:
                raise ConfigError(f"The clock stays between {iso(0)} and {iso(END_MS)}.")
            replay.clock.set(moved_ms)
        if "freeze" in query:
            replay.clock.freeze(_is_true(query["freeze"]))
    elif path == "/faults":
        replay.faults = faults.faults_at_rate(
            _float(query, "rate", 0.2),
            faults.parse_kinds(query.get("kinds", "all")),
            seed=round(_float(query, "seed", 0)),
            slow_s=_float(query, "slow", faults.SLOW_S),
        )
    elif path == "/requests" and _is_true(query.get("reset", "true")):
        replay.counts.reset()


def _float(query: dict[str, str], name: str, default: float) -> float:
    text = query.get(name, str(default))
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not abs(number) < 1e12:
        raise ConfigError(f"{name} is {text[:40]!r}: expected a number.")
    return number


def _is_true(text: str) -> bool:
    return text.strip().lower() in {"1", "true", "yes", "on", ""}
