"""What every use case works with: settings, the data root, the clock, the exchange, the reader.

A `Workspace` is opened once for a command or a service and closed once. Nothing else in the
pipeline asks a clock, connects to an exchange or loads a model, so that a simulation or a test
hands in its own.
"""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar

from pydantic import Field

from vision_ai import config
from vision_ai.config import Config, MarketConfig, Paths
from vision_ai.domain import CHART_INTERVALS, Interval, parse_interval
from vision_ai.market.bybit import Bybit
from vision_ai.market.store import Store
from vision_ai.pipeline.reader import Reader
from vision_ai.records import Record

Item = TypeVar("Item")

Clock = Callable[[], int]
"""Gives the time in UTC milliseconds."""


def read_system_clock() -> int:
    """The time of this machine, UTC milliseconds."""
    return time.time_ns() // 1_000_000


class Result(Record):
    """What a use case returns: every field is a key of `--json`.

    Text for the terminal is made of it in `cli/`.
    """

    missing: dict[str, str] = Field(
        default={}, description="what could not be done, by name, and why"
    )

    def payload(self) -> dict[str, Any]:
        """The JSON object that `--json` prints, `missing` last."""
        content = self.model_dump(mode="json")
        content["missing"] = content.pop("missing")
        return content


@dataclass(eq=False)
class Workspace:
    """Settings and data root of one run, with the clock, the exchange and the reader it uses.

    The exchange and the reader are opened when they are first asked for, and kept; leaving the
    `with` block closes them.

    Attributes:
        config: settings.
        paths: where everything lies under the data root.
        clock: the time of this machine. Which candle is closed is the exchange's clock to say.
        connect: opens the exchange for the market settings.
        load_reader: loads the model in use with its index and calibration.
    """

    config: Config
    paths: Paths
    clock: Clock = read_system_clock
    connect: Callable[[MarketConfig], Bybit] = Bybit
    load_reader: Callable[[Config, Paths], Reader] = Reader.open
    _exchange: Bybit | None = field(default=None, init=False, repr=False)
    _reader: Reader | None = field(default=None, init=False, repr=False)

    @classmethod
    def open(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """Read settings and the data root from the environment and the current folder.

        Raises:
            ConfigError: a setting is unknown or out of range.
        """
        return cls(config.load(environ=environ), Paths(config.data_root(environ)))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give connections back and forget the reader; what is asked for again is opened again."""
        if self._exchange is not None:
            self._exchange.close()
        self._exchange = None
        self._reader = None

    @property
    def exchange(self) -> Bybit:
        """The exchange of the market settings; no request is sent by opening it."""
        if self._exchange is None:
            self._exchange = self.connect(self.config.market)
        return self._exchange

    @property
    def store(self) -> Store:
        """The cached candles of that exchange's venue.

        Raises:
            TransientError: the venue of a replay server is asked for, and it cannot be reached.
        """
        return Store(self.paths, self.exchange.venue())

    @property
    def reader(self) -> Reader:
        """The model in use with its index and calibration.

        Raises:
            MissingModelError: no such version.
            CorruptFileError: a file is damaged.
            StaleIndexError: model, style, index and calibration do not belong together.
        """
        if self._reader is None:
            self._reader = self.load_reader(self.config, self.paths)
        return self._reader

    def reload_reader(self) -> None:
        """Load the reader anew when next asked for: another version or index may be in use."""
        self._reader = None

    def at(self, paths: Paths, settings: Config | None = None) -> "Workspace":
        """A workspace on another data root, with other settings where given: a sandbox."""
        return Workspace(settings or self.config, paths, self.clock, self.connect, self.load_reader)


def parse_intervals(texts: Sequence[str] | None) -> tuple[Interval, ...]:
    """Check the intervals that were asked for, one a text or several by commas; or both.

    Raises:
        IntervalError: charts are drawn of 15m and 1h only.
    """
    if not texts:
        return CHART_INTERVALS
    names = [part for text in texts for part in text.split(",")]
    return tuple(dict.fromkeys(parse_interval(name) for name in names))


def progress(items: Iterable[Item], *, total: int, what: str) -> Iterator[Item]:
    """Show a progress bar on stderr where a person watches; pass the items through."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    if console.is_terminal:
        items = track(items, description=what, total=total, console=console, transient=True)
    yield from items
