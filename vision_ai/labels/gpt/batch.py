"""Describe charts through the Batch API: half the price, done within a day.

A batch is a plan on disk before anything is sent, so that a program that is killed at any instant
finds its batches again: submitted, half submitted or done. Plans are stored beside the ledger:
`batches/<name>.json`, and `<name>.jsonl` until its requests are submitted.
"""

import json
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from vision_ai import storage
from vision_ai.errors import CorruptFileError
from vision_ai.labels.gpt.client import GptClient, kind_of
from vision_ai.labels.gpt.ledger import Ledger
from vision_ai.labels.gpt.replies import Attempt, LabelledChart, Language, Reply, ReplyKind
from vision_ai.labels.gpt.run import ChartTask, DescriptionOptions
from vision_ai.records import Record

FINAL_STATES = frozenset({"completed", "failed", "expired", "cancelled"})
"""States of a batch that the API has stopped working on."""


class BatchPlan(Record):
    """One batch: which charts it asks about, and its state."""

    schema_version: Literal[1] = 1
    name: str
    language: Language
    model: str
    subjects: list[LabelledChart]
    file_id: str | None = None
    batch_id: str | None = None
    state: str = "planned"

    @property
    def is_open(self) -> bool:
        """Whether its results are still to be collected."""
        return self.state != "collected"


@dataclass(frozen=True)
class BatchQueue:
    """Plans, submits and collects the batches of a data root.

    Attributes:
        order: language and settings of the requests.
        ledger: where answers are stored.
        client: the API.
    """

    order: DescriptionOptions
    ledger: Ledger
    client: GptClient

    def plan(self, tasks: Iterable[ChartTask]) -> list[BatchPlan]:
        """Draw the charts and write their requests to disk, in batches of the configured size.

        Raises:
            StorageError: the disk is full.
        """
        return [self._write(part) for part in self._parts(tasks)]

    def submit(self, plan: BatchPlan) -> BatchPlan:
        """Submit a plan to the API, or find that it has been submitted already.

        Raises:
            ConfigError: key, model or quota must be fixed.
            CorruptFileError: its requests are gone from the disk.
            TransientError: it can be tried again; nothing is sent twice.
        """
        if plan.batch_id:
            return plan
        requests = self._path(plan.name, ".jsonl")
        if plan.file_id is None:
            try:
                lines = requests.read_bytes()
            except FileNotFoundError as error:
                raise CorruptFileError(
                    f"{requests} is missing: the batch cannot be submitted.",
                    hint=f"Delete {requests.with_suffix('.json')}: its charts are asked anew.",
                ) from error
            file_id = self.client.upload(requests.name, lines)
            plan = self._save(plan, file_id=file_id)
        batch_id = self.client.find(plan.name)
        if batch_id is None:
            batch_id = self.client.submit(str(plan.file_id), plan.name)
        plan = self._save(plan, batch_id=batch_id, state="submitted")
        requests.unlink(missing_ok=True)
        return plan

    def collect(self, plan: BatchPlan) -> tuple[BatchPlan, list[Attempt]]:
        """Fetch the state of a batch; once it has ended, append its answers to the ledger.

        Collecting twice writes nothing twice.

        Raises:
            ConfigError: key, model or quota must be fixed.
            TransientError: it can be tried again.
        """
        state, files = self.client.status(str(plan.batch_id))
        if state not in FINAL_STATES:
            return self._save(plan, state=state), []
        by_id = {custom_id(subject): subject for subject in plan.subjects}
        attempts = []
        for file_id in files:
            for line in _lines(self.client.download(file_id)):
                subject = by_id.pop(str(line.get("custom_id")), None)
                if subject is not None:
                    attempts.append(self._store(plan, subject, self._reply(line)))
        for subject in by_id.values():
            reply = Reply(ReplyKind.EXPIRED, f"the batch ended as {state} without an answer")
            attempts.append(self._store(plan, subject, reply))
        return self._save(plan, state="collected"), attempts

    def _store(self, plan: BatchPlan, subject: LabelledChart, reply: Reply) -> Attempt:
        name = str(plan.batch_id)
        order = DescriptionOptions(
            plan.language, self.order.config.model_copy(update={"model": plan.model})
        )
        attempt = order.attempt(subject, reply, id=f"{name}:{subject.digest}", batch=name)
        self.ledger.append(attempt)
        return attempt

    def _reply(self, line: Mapping[str, Any]) -> Reply:
        """Parse one line of a result file."""
        response = line.get("response")
        if not isinstance(response, Mapping):
            error = line.get("error") or {}
            expired = error.get("code") == "batch_expired"
            note = self.client.scrub(str(error.get("message", "")))
            return Reply(ReplyKind.EXPIRED if expired else ReplyKind.REJECTED, note)
        request_id, body = str(response.get("request_id", "")), response.get("body")
        status = response.get("status_code")
        if not isinstance(body, Mapping):
            return Reply(ReplyKind.INVALID, "the reply is no JSON object", request_id=request_id)
        if status != 200:
            error = body.get("error") or {}
            kind = kind_of(int(status or 500), str(error.get("code", "")))
            note = self.client.scrub(f"{status}: {error.get('message', '')}")
            return Reply(kind, note, request_id=request_id)
        return self.client.read(body, request_id)

    def _parts(self, tasks: Iterable[ChartTask]) -> Iterator[list[tuple[LabelledChart, bytes]]]:
        part: list[tuple[LabelledChart, bytes]] = []
        size = 0
        for task in tasks:
            line = self._line(task)
            if part and size + len(line) > self.order.config.batch_bytes:
                yield part
                part, size = [], 0
            part.append((task.subject, line))
            size += len(line)
        if part:
            yield part

    def _line(self, task: ChartTask) -> bytes:
        request = {
            "custom_id": custom_id(task.subject),
            "method": "POST",
            "url": "/v1/responses",
            "body": self.order.body(task, task.picture()),
        }
        return json.dumps(request, separators=(",", ":")).encode() + b"\n"

    def _write(self, part: list[tuple[LabelledChart, bytes]]) -> BatchPlan:
        plan = BatchPlan(
            name=uuid.uuid4().hex,
            language=self.order.language,
            model=self.order.config.model,
            subjects=[subject for subject, _ in part],
        )
        storage.write_bytes(self._path(plan.name, ".jsonl"), b"".join(line for _, line in part))
        return self._save(plan)

    def _save(self, plan: BatchPlan, **changes: str) -> BatchPlan:
        changed = plan.model_copy(update=changes)
        storage.write_document(self._path(plan.name, ".json"), changed)
        return changed

    def _path(self, name: str, suffix: str) -> Path:
        return folder(self.ledger) / f"{name}{suffix}"


def folder(ledger: Ledger) -> Path:
    """The folder of the plans."""
    return ledger.folder / "batches"


def open_plans(ledger: Ledger) -> list[BatchPlan]:
    """The batches whose results are still to be collected.

    Raises:
        CorruptFileError: a plan is damaged.
    """
    paths = sorted(folder(ledger).glob("*.json"))
    repair = "Delete that file: the charts of its batch are asked about again."
    plans = [storage.read_document(path, BatchPlan, repair=repair) for path in paths]
    return [plan for plan in plans if plan.is_open]


def custom_id(subject: LabelledChart) -> str:
    """The name of a chart's line in a batch.

    The API allows 64 characters at most.
    """
    return subject.digest[:48]


def _lines(payload: bytes) -> Iterator[Mapping[str, Any]]:
    for raw in payload.splitlines():
        try:
            line = json.loads(raw)
        except ValueError:
            continue  # its chart is reported as unanswered
        if isinstance(line, dict):
            yield line
