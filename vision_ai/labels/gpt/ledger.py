"""Descriptions on disk: every request is a line, and a chart that was paid for is known again.

`descriptions/<first two digits of the chart's hash>.jsonl`, sealed lines, only appended. Reply
and cost are one line, so a kill can part neither from the other.
"""

import fcntl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from vision_ai import checksummed_log, storage
from vision_ai.errors import StateError
from vision_ai.labels.gpt.replies import SETTLED, Attempt, Kind, Language
from vision_ai.records import BadLine


@dataclass(frozen=True)
class Ledger:
    """A folder of descriptions.

    Attributes:
        folder: `data/vision_ai/descriptions`.
    """

    folder: Path

    def append(self, attempt: Attempt) -> None:
        """Write down one request; the same id is written once.

        Raises:
            StorageError: nothing was written.
        """
        path = self.folder / f"{attempt.subject.digest[:2]}.jsonl"
        checksummed_log.append_once(path, [attempt], key=_id)

    def read(self) -> tuple[list[Attempt], list[BadLine]]:
        """Every request so far, oldest first; damaged lines are named and not counted."""
        good: list[Attempt] = []
        bad: list[BadLine] = []
        for path in sorted(self.folder.glob("[0-9a-f][0-9a-f].jsonl")):
            lines, damaged = checksummed_log.read(path, Attempt, key=_id)
            good += lines
            bad += damaged
        return sorted(good, key=lambda attempt: attempt.at), bad

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep a second process from paying for the same charts.

        Raises:
            StateError: another process describes charts here.
        """
        with storage.writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = (self.folder / ".lock").open("a")
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise StateError(
                    "Another process describes charts into this data root.",
                    hint="Wait for it, or stop it.",
                ) from error
            yield


def settled(
    attempts: Iterable[Attempt], *, again: bool = False
) -> dict[tuple[str, Language], Attempt]:
    """The newest final answer for each chart and language; `again` counts good ones alone."""
    final = {Kind.DESCRIBED} if again else SETTLED
    return {attempt.key: attempt for attempt in attempts if attempt.kind in final}


def _id(attempt: Attempt) -> str:
    return attempt.id
