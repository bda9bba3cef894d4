"""Describe charts one request at a time: concurrent, within a spending limit, resumable.

Pictures are drawn in the caller's thread, requests wait in others. When the API asks for a pause,
all of them pause. Each request is written to the ledger before the next one of its chart.
"""

import random
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any, Protocol

from vision_ai.config import GptConfig
from vision_ai.domain import Label, iso
from vision_ai.errors import VisionError
from vision_ai.labels.gpt import claims, prompt
from vision_ai.labels.gpt.client import raise_fatal
from vision_ai.labels.gpt.ledger import Ledger
from vision_ai.labels.gpt.replies import (
    ANSWERED,
    FATAL,
    RETRYABLE,
    Attempt,
    LabelledChart,
    Language,
    Reply,
    ReplyKind,
)

MAX_UNANSWERED_CHARTS = 8
"""Charts in a row without an answer that end a run: the API is down, or refuses them all."""

_JITTER = random.SystemRandom()


class Sender(Protocol):
    """What a run needs of a client."""

    def send(self, body: Mapping[str, Any]) -> Reply:
        """Send one request."""
        ...


@dataclass(frozen=True)
class ChartTask:
    """One chart to be described.

    Attributes:
        subject: which chart, and its label.
        label: its label and facts.
        size: width and height of its picture in pixels.
        picture: draws or reads the PNG.
    """

    subject: LabelledChart
    label: Label
    size: tuple[int, int]
    picture: Callable[[], bytes]

    @property
    def name(self) -> str:
        """Symbol, interval and time, for error texts."""
        return f"{self.subject.symbol} {self.subject.interval} {self.subject.as_of}"


@dataclass(frozen=True)
class DescriptionOptions:
    """Language and settings of every request of a run."""

    language: Language
    config: GptConfig

    def estimate(self, task: ChartTask, *, batch: bool = False) -> tuple[int, int, float]:
        """About how many tokens in, tokens out and US dollars a chart takes."""
        interval = task.subject.interval
        inputs = prompt.input_tokens(task.label, interval, task.size, self.language, self.config)
        outputs = prompt.output_tokens(self.config)
        return inputs, outputs, prompt.price(inputs, outputs, self.config, batch=batch)

    def worst_cost(
        self, task: ChartTask, *, longest: int | None = None, batch: bool = False
    ) -> float:
        """US dollars of a chart whose answer is as long as is allowed."""
        inputs = self.estimate(task)[0]
        outputs = longest or self.config.max_output_tokens
        return prompt.price(inputs, outputs, self.config, batch=batch)

    def body(self, task: ChartTask, png: bytes) -> dict[str, Any]:
        """The body of the request about a chart."""
        return prompt.body(task.label, task.subject.interval, png, self.language, self.config)

    def attempt(
        self, subject: LabelledChart, reply: Reply, *, seconds: float = 0.0, **extra: str
    ) -> Attempt:
        """The ledger line of a reply, after comparing its texts with the facts."""
        label = Label(subject.reading, subject.phase)
        answer = reply.answer
        found = claims.find_contradictions(answer, label, self.language) if answer else []
        # a wrong paraphrase costs itself alone, a wrong description the whole answer
        contradicts = answer is not None and any(f.text == answer.description for f in found)
        inputs, outputs = reply.input_tokens, reply.output_tokens
        cost = None
        if inputs is not None or outputs is not None:
            batch = "batch" in extra
            cost = prompt.price(inputs or 0, outputs or 0, self.config, batch=batch)
        return Attempt(
            id=extra.pop("id", uuid.uuid4().hex),
            subject=subject,
            language=self.language,
            model=self.config.model,
            prompt=prompt.PROMPT_VERSION,
            kind=ReplyKind.CONTRADICTS if contradicts else reply.kind,
            note=next((f.why for f in found if contradicts), reply.note),
            said=answer,
            faults=found,
            input_tokens=inputs,
            output_tokens=outputs,
            cost=cost,
            seconds=round(seconds, 3),
            request_id=reply.request_id,
            at=iso(time.time_ns() // 1_000_000),
            **extra,
        )


@dataclass
class RunResult:
    """The result of a run.

    Attributes:
        attempts: the last request about each chart.
        requests: how many were sent.
        cost: US dollars, as far as the API stated them.
        undescribed: why a chart has no description, by its name.
        stop_reason: why the run ended early; empty where it did not.
    """

    attempts: list[Attempt] = field(default_factory=list)
    requests: int = 0
    cost: float = 0.0
    undescribed: dict[str, str] = field(default_factory=dict)
    stop_reason: str = ""


class SpendingLimit:
    """US dollars that a run may spend: requests under way count at their worst cost."""

    def __init__(self, limit: float | None) -> None:
        self.limit = limit
        self._committed = 0.0
        self._overrun_factor = 1.0
        self._lock = threading.Lock()

    def reserve(self, worst: float) -> float | None:
        """Set aside the worst cost of a request; None where the limit does not allow it."""
        with self._lock:
            amount = worst * self._overrun_factor
            if self.limit is not None and self._committed + amount > self.limit:
                return None
            self._committed += amount
            return amount

    def record(self, reserved: float, cost: float) -> None:
        """Replace a reservation by the real cost; one above its worst raises later reservations."""
        with self._lock:
            self._committed += cost - reserved
            if 0 < reserved < cost:
                self._overrun_factor *= cost / reserved


class PauseGate:
    """Holds back all requests while the API asks for a pause."""

    def __init__(self) -> None:
        self._until = 0.0
        self._lock = threading.Lock()
        self._closed = threading.Event()

    def pause(self, seconds: float) -> None:
        """Hold all requests back for that many seconds."""
        with self._lock:
            self._until = max(self._until, time.monotonic() + seconds)

    def close(self) -> None:
        """Hold all requests back for good: the run ends."""
        self._closed.set()

    def wait(self, delay_s: float = 0.0) -> bool:
        """Wait until the pause ends, and at least `delay_s`; False once the gate is closed."""
        own_end = time.monotonic() + delay_s
        while (remaining_s := max(self._until, own_end) - time.monotonic()) > 0:
            if self._closed.wait(remaining_s):
                return False
        return not self._closed.is_set()


class DescriptionRun:
    """One run over charts; use it once."""

    def __init__(
        self,
        order: DescriptionOptions,
        ledger: Ledger,
        client: Sender,
        *,
        max_cost: float | None = None,
    ) -> None:
        self.order = order
        self.result = RunResult()
        self._ledger = ledger
        self._client = client
        self._budget = SpendingLimit(max_cost)
        self._gate = PauseGate()
        self._lock = threading.Lock()
        self._unanswered = 0
        self._pending: dict[Future[Attempt | None], ChartTask] = {}

    def describe(self, tasks: Iterable[ChartTask]) -> RunResult:
        """Describe charts; each is taken from `tasks` when a request is free for it.

        Raises:
            ConfigError: key, model or quota must be fixed; what was finished is stored.
            StorageError: the ledger cannot be written.
        """
        workers = self.order.config.concurrency
        pool = ThreadPoolExecutor(workers, thread_name_prefix="describe")
        try:
            for task in tasks:
                self._wait_until(workers - 1)
                self._start(task, pool)
            self._wait_until(0)
        finally:
            self._gate.close()
            pool.shutdown(wait=True, cancel_futures=True)
        return self.result

    def _start(self, task: ChartTask, pool: ThreadPoolExecutor) -> None:
        """Submit a chart to the pool, or record why it is left out."""
        reserved = None if self.result.stop_reason else self._reserve(task)
        if reserved is None:
            self.result.undescribed[task.name] = self.result.stop_reason
            return
        try:
            body = self.order.body(task, task.picture())
        except VisionError as error:
            self._budget.record(reserved, 0.0)
            self.result.undescribed[task.name] = str(error)
            return
        self._pending[pool.submit(self._request, task, body, reserved)] = task

    def _reserve(self, task: ChartTask) -> float | None:
        """Set money aside; where it is short, wait for requests under way to release theirs."""
        worst = self.order.worst_cost(task)
        while (reserved := self._budget.reserve(worst)) is None and self._pending:
            self._wait_until(len(self._pending) - 1)
        if reserved is None:
            self.result.stop_reason = f"the limit of {self._budget.limit:g} US dollars is reached"
        return reserved

    def _wait_until(self, most: int) -> None:
        """Wait until no more than `most` charts are under way."""
        while len(self._pending) > most:
            finished, _ = wait(self._pending, return_when=FIRST_COMPLETED)
            for future in finished:
                self._finish(self._pending.pop(future), future.result())

    def _finish(self, task: ChartTask, last: Attempt | None) -> None:
        if last is None:
            self.result.undescribed[task.name] = "the run ended before it was asked about"
            return
        self.result.attempts.append(last)
        if last.kind is not ReplyKind.DESCRIBED:
            self.result.undescribed[task.name] = f"{last.kind}: {last.note}".rstrip(": ")
        self._unanswered = 0 if last.kind in ANSWERED else self._unanswered + 1
        if self._unanswered >= MAX_UNANSWERED_CHARTS and not self.result.stop_reason:
            self.result.stop_reason = (
                f"{MAX_UNANSWERED_CHARTS} charts in a row were not answered ({last.kind})"
            )

    def _request(self, task: ChartTask, body: dict[str, Any], reserved: float) -> Attempt | None:
        """Send until there is an answer or no use in another; None where nothing was sent."""
        last: Attempt | None = None
        delay_s, amount = 0.0, reserved
        for number in range(self.order.config.attempts):
            if not self._gate.wait(delay_s):
                self._budget.record(amount, 0.0)
                return last
            started = time.monotonic()
            reply = self._client.send(body)
            seconds = time.monotonic() - started
            last = self.order.attempt(task.subject, reply, seconds=seconds)
            self._store(last, amount)
            if reply.kind in FATAL:
                self._gate.close()
                raise_fatal(reply)
            if not self._is_retryable(reply):
                return last
            if reply.kind is ReplyKind.CUT_OFF:  # the answer gets twice the room
                body = {**body, "max_output_tokens": 2 * body["max_output_tokens"]}
            delay_s = self._pause(reply, number)
            worst = self.order.worst_cost(task, longest=body["max_output_tokens"])
            more = self._budget.reserve(worst) if number + 1 < self.order.config.attempts else None
            if more is None:
                return last
            amount = more
        return last

    def _is_retryable(self, reply: Reply) -> bool:
        pause_s = reply.retry_after_s or 0.0
        return reply.kind in RETRYABLE and pause_s <= self.order.config.patience_s

    def _pause(self, reply: Reply, number: int) -> float:
        """Seconds until the next attempt; after a rate limit all requests wait as long."""
        config = self.order.config
        backoff = config.backoff_s * 2**number * _JITTER.uniform(0.75, 1.0)
        delay = min(backoff, config.patience_s)
        if reply.retry_after_s is not None:
            delay = reply.retry_after_s
        if reply.kind is ReplyKind.RATE_LIMITED:
            self._gate.pause(delay)
        return 0.0 if reply.kind in {ReplyKind.CUT_OFF, ReplyKind.INVALID} else delay

    def _store(self, attempt: Attempt, reserved: float) -> None:
        """Append a request to the ledger; one that timed out may have been charged all the same."""
        self._ledger.append(attempt)
        unknown = reserved if attempt.kind is ReplyKind.TIMEOUT else 0.0
        self._budget.record(reserved, unknown if attempt.cost is None else attempt.cost)
        with self._lock:
            self.result.requests += 1
            self.result.cost += attempt.cost or 0.0
