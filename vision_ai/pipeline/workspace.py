"""What every job needs: settings, the data root, and a way to report."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar

from vision_ai import config
from vision_ai.config import Config, Paths
from vision_ai.domain import CHART_INTERVALS, Interval, parse_interval

Item = TypeVar("Item")


@dataclass(frozen=True)
class Workspace:
    """Settings and places of one run."""

    config: Config
    paths: Paths

    @classmethod
    def open(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """Read settings and the data root from the environment and the current folder.

        Raises:
            ConfigError: a setting is unknown or out of range.
        """
        return cls(config.load(environ=environ), Paths(config.data_root(environ)))


@dataclass(frozen=True)
class Report:
    """The result of a job: for programs, for people, and what could not be done."""

    content: Mapping[str, Any]
    lines: Sequence[str]
    missing: dict[str, str] = field(default_factory=dict)

    def payload(self) -> dict[str, Any]:
        """One JSON object."""
        return {**self.content, "missing": self.missing}

    def text(self) -> str:
        """A few lines for a terminal."""
        return "\n".join(self.lines)


def intervals(wanted: Sequence[str] | None) -> tuple[Interval, ...]:
    """Check the intervals that were asked for, one a text or several by commas; or both.

    Raises:
        IntervalError: charts are drawn of 15m and 1h only.
    """
    if not wanted:
        return CHART_INTERVALS
    named = [part for text in wanted for part in text.split(",")]
    return tuple(dict.fromkeys(parse_interval(text) for text in named))


def progress(items: Iterable[Item], *, total: int, what: str) -> Iterator[Item]:
    """Show a progress bar on stderr where a person watches; pass the items through."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    if console.is_terminal:
        items = track(items, description=what, total=total, console=console, transient=True)
    yield from items
