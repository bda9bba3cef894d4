"""Describing charts one request at a time: concurrent, within a budget, resumable.

Pictures are drawn by the caller's thread, requests wait in others. When the API asks for a pause,
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
from vision_ai.labels.gpt.limits import Budget, Gate
from vision_ai.labels.gpt.replies import (
    FATAL,
    PASSING,
    SETTLED,
    Attempt,
    Kind,
    Language,
    Reply,
    Subject,
)

GIVE_UP = 8
"""So many charts in a row without an answer end a run: the API is down, or refuses them all."""


_JITTER = random.SystemRandom()


class Sender(Protocol):
    """What a run needs of a client."""

    def send(self, body: Mapping[str, Any]) -> Reply:
        """Send one request."""
        ...


@dataclass(frozen=True)
class Task:
    """One chart to be described.

    Attributes:
        subject: which chart, and its label.
        label: the facts to be told.
        size: width and height of its picture in pixels.
        picture: draws or reads the PNG.
    """

    subject: Subject
    label: Label
    size: tuple[int, int]
    picture: Callable[[], bytes]

    @property
    def name(self) -> str:
        """The chart, for people."""
        return f"{self.subject.symbol} {self.subject.interval} {self.subject.as_of}"


@dataclass(frozen=True)
class Order:
    """What is asked of every chart of a run."""

    language: Language
    config: GptConfig

    def estimate(self, task: Task, *, batch: bool = False) -> tuple[int, int, float]:
        """Tokens in, tokens out and cost in US dollars that a chart will take, about."""
        interval = task.subject.interval
        inputs = prompt.input_tokens(task.label, interval, task.size, self.language, self.config)
        outputs = prompt.output_tokens(self.config)
        return inputs, outputs, prompt.price(inputs, outputs, self.config, batch=batch)

    def worst(self, task: Task, *, longest: int | None = None, batch: bool = False) -> float:
        """Cost of a chart whose answer is as long as is allowed."""
        inputs = self.estimate(task)[0]
        outputs = longest or self.config.max_output_tokens
        return prompt.price(inputs, outputs, self.config, batch=batch)

    def body(self, task: Task, png: bytes) -> dict[str, Any]:
        """The request about a chart."""
        return prompt.body(task.label, task.subject.interval, png, self.language, self.config)

    def attempt(
        self, subject: Subject, reply: Reply, *, seconds: float = 0.0, **extra: str
    ) -> Attempt:
        """The line of the ledger for a reply, once it has been held against the facts."""
        label = Label(subject.reading, subject.phase)
        said = reply.said
        found = claims.faults(said, label, self.language) if said else []
        contradicts = said is not None and any(f.text == said.description for f in found)
        inputs, outputs = reply.input_tokens, reply.output_tokens
        spent = None
        if inputs is not None or outputs is not None:
            batch = "batch" in extra
            spent = prompt.price(inputs or 0, outputs or 0, self.config, batch=batch)
        return Attempt(
            id=extra.pop("id", uuid.uuid4().hex),
            subject=subject,
            language=self.language,
            model=self.config.model,
            prompt=prompt.PROMPT_VERSION,
            kind=Kind.CONTRADICTS if contradicts else reply.kind,
            note=next((f.why for f in found if contradicts), reply.note),
            said=said,
            faults=found,
            input_tokens=inputs,
            output_tokens=outputs,
            cost=spent,
            seconds=round(seconds, 3),
            request_id=reply.request_id,
            at=iso(time.time_ns() // 1_000_000),
            **extra,
        )


@dataclass
class Done:
    """What a run came to.

    Attributes:
        attempts: the last request about each chart.
        requests: how many were sent.
        cost: US dollars, as far as the API told.
        left: why a chart has no description, by its name.
        stopped: why the run ended early; empty where it did not.
    """

    attempts: list[Attempt] = field(default_factory=list)
    requests: int = 0
    cost: float = 0.0
    left: dict[str, str] = field(default_factory=dict)
    stopped: str = ""


class Run:
    """One run over charts; use it once."""

    def __init__(
        self, order: Order, ledger: Ledger, client: Sender, *, max_cost: float | None = None
    ) -> None:
        self.order = order
        self.done = Done()
        self._ledger = ledger
        self._client = client
        self._budget = Budget(max_cost)
        self._gate = Gate()
        self._lock = threading.Lock()
        self._fruitless = 0
        self._waiting: dict[Future[Attempt | None], Task] = {}

    def over(self, tasks: Iterable[Task]) -> Done:
        """Describe charts; each is taken from `tasks` when its turn comes.

        Raises:
            ConfigError: key, model or quota has to be mended; what was finished is kept.
            StorageError: the ledger cannot be written.
        """
        workers = self.order.config.concurrency
        pool = ThreadPoolExecutor(workers, thread_name_prefix="describe")
        try:
            for task in tasks:
                self._make_room(workers - 1)
                self._start(task, pool)
            self._make_room(0)
        finally:
            self._gate.close()
            pool.shutdown(wait=True, cancel_futures=True)
        return self.done

    def _start(self, task: Task, pool: ThreadPoolExecutor) -> None:
        """Hand a chart to the pool, or say why it is left out."""
        reserved = None if self.done.stopped else self._reserve(task)
        if reserved is None:
            self.done.left[task.name] = self.done.stopped
            return
        try:
            body = self.order.body(task, task.picture())
        except VisionError as error:
            self._budget.settle(reserved, 0.0)
            self.done.left[task.name] = str(error)
            return
        self._waiting[pool.submit(self._describe, task, body, reserved)] = task

    def _reserve(self, task: Task) -> float | None:
        """Set money aside; where it is short, first see what those under way leave of theirs."""
        worst = self.order.worst(task)
        while (reserved := self._budget.reserve(worst)) is None and self._waiting:
            self._make_room(len(self._waiting) - 1)
        if reserved is None:
            self.done.stopped = f"the limit of {self._budget.limit:g} US dollars is reached"
        return reserved

    def _make_room(self, most: int) -> None:
        """Wait until no more than `most` charts are under way."""
        while len(self._waiting) > most:
            finished, _ = wait(self._waiting, return_when=FIRST_COMPLETED)
            for future in finished:
                self._finish(self._waiting.pop(future), future.result())

    def _finish(self, task: Task, last: Attempt | None) -> None:
        if last is None:
            self.done.left[task.name] = "stopped before it was asked about"
            return
        self.done.attempts.append(last)
        if last.kind is not Kind.DESCRIBED:
            self.done.left[task.name] = f"{last.kind}: {last.note}".rstrip(": ")
        self._fruitless = 0 if last.kind in SETTLED else self._fruitless + 1
        if self._fruitless >= GIVE_UP and not self.done.stopped:
            self.done.stopped = f"{GIVE_UP} charts in a row were not answered ({last.kind})"

    def _describe(self, task: Task, body: dict[str, Any], reserved: float) -> Attempt | None:
        """Ask until there is an answer or no use in asking; None where it was not asked."""
        last: Attempt | None = None
        delay, money = 0.0, reserved
        for number in range(self.order.config.attempts):
            if not self._gate.passes(delay):
                self._budget.settle(money, 0.0)
                return last
            begun = time.monotonic()
            reply = self._client.send(body)
            seconds = time.monotonic() - begun
            last = self.order.attempt(task.subject, reply, seconds=seconds)
            self._keep(last, money)
            if reply.kind in FATAL:
                self._gate.close()
                raise_fatal(reply)
            if not self._is_worth_another(reply):
                return last
            if reply.kind is Kind.CUT_OFF:
                body = {**body, "max_output_tokens": 2 * body["max_output_tokens"]}
            delay = self._pause(reply, number)
            worst = self.order.worst(task, longest=body["max_output_tokens"])
            more = self._budget.reserve(worst) if number + 1 < self.order.config.attempts else None
            if more is None:
                return last
            money = more
        return last

    def _is_worth_another(self, reply: Reply) -> bool:
        asked_s = reply.retry_after_s or 0.0
        return reply.kind in PASSING and asked_s <= self.order.config.patience_s

    def _pause(self, reply: Reply, number: int) -> float:
        """Seconds until the next attempt; where the API is busy, everybody waits so long."""
        config = self.order.config
        backoff = config.backoff_s * 2**number * _JITTER.uniform(0.75, 1.0)
        delay = min(backoff, config.patience_s)
        if reply.retry_after_s is not None:
            delay = reply.retry_after_s
        if reply.kind is Kind.RATE_LIMITED:
            self._gate.hold(delay)
        return 0.0 if reply.kind in {Kind.CUT_OFF, Kind.INVALID} else delay

    def _keep(self, attempt: Attempt, reserved: float) -> None:
        """Write a request down; one that timed out may have been charged all the same."""
        self._ledger.append(attempt)
        unknown = reserved if attempt.kind is Kind.TIMEOUT else 0.0
        self._budget.settle(reserved, unknown if attempt.cost is None else attempt.cost)
        with self._lock:
            self.done.requests += 1
            self.done.cost += attempt.cost or 0.0
