"""Days of the whole loop on past candles, over a real socket: scan, feedback, update, decide.

A replay server on this machine plays the exchange; its clock is moved from hour to hour and is
the only clock that anything written comes from, so that a second run writes the same bytes. A run
that was killed resumes in the hour that it had not finished: doing an hour again adds nothing.
"""

import contextlib
import hashlib
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import Field

from vision_ai import feedback_loop_cv, storage
from vision_ai.config import Config, Paths
from vision_ai.domain import iso, parse_time
from vision_ai.errors import InputError, TransientError
from vision_ai.market.replay import faults
from vision_ai.market.replay.listing import Listing
from vision_ai.market.replay.server import Clock, Replay
from vision_ai.model import registry
from vision_ai.pipeline import decide, feedback, predict
from vision_ai.pipeline.backtest import cycle, sandbox
from vision_ai.pipeline.backtest.cycle import DAY_H, H_MS, Schedule
from vision_ai.pipeline.learning import update
from vision_ai.pipeline.workspace import Result, Workspace, progress
from vision_ai.records import Decision, IsoTime, Probability, Record
from vision_ai.records.fields import renamed
from vision_ai.trader_decision import journal

PATIENCE = 20
"""How often a step is tried again while the exchange gives out."""

SLOW_S = 0.05
"""Delay of a slow reply among those that go wrong."""

Done = TypeVar("Done")


class SimulationPlan(Record):
    """What is simulated: `rehearsal.json` in the folder that it is simulated in."""

    schema_version: Literal[1] = 1
    source: str = Field(description="name of the replayed candles")
    first: IsoTime
    hours: int
    learn_every_h: int = DAY_H
    mode: str = Field(default="reweight", validation_alias=renamed("mode", "rung"))
    charts: bool = Field(default=True, description="whether pictures are drawn")
    fault_rate: Probability = Field(default=0.0, description="share of replies that go wrong")
    seed: int = Field(default=0, description="which replies go wrong")
    settings: str = Field(default="", description="hash of what changes a prediction")
    done: int = Field(default=0, ge=0, description="hours that are finished")
    unread: dict[IsoTime, dict[str, str]] = Field(
        default={}, description="of the finished hours: what could not be read, and why"
    )

    @property
    def schedule(self) -> Schedule:
        """Which hours, and at which of them the gate is asked."""
        return Schedule(parse_time(self.first), self.hours, self.learn_every_h)

    def is_same_run(self, other: "SimulationPlan") -> bool:
        """Whether it simulates the same; more hours of the same are the same."""
        free = {"hours", "done", "unread"}
        return self.model_dump(exclude=free) == other.model_dump(exclude=free)


@dataclass(frozen=True)
class SimulateOptions:
    """What the caller of `simulate` may choose.

    Attributes:
        klines: folder of candles.
        out: data root of the simulation; None takes `rehearsal` under the real one.
        start: ISO time of the first hour; None takes the last `days` of the candles.
        days: how many.
        learn_every_h: hours between two asks of the gate; 0 never asks.
        mode: how far an update may go.
        charts: whether pictures are drawn.
        fault_rate: share of replies that go wrong.
        seed: which.
    """

    klines: Path
    out: Path | None = None
    start: str | None = None
    days: int = 7
    learn_every_h: int = DAY_H
    mode: str = "reweight"
    charts: bool = True
    fault_rate: float = 0.0
    seed: int = 0


class WrittenFiles(Record):
    """Files of one kind that a simulation wrote."""

    files: int
    sha256: str = Field(description="over names and contents")


class SimulateResult(Result):
    """What came of simulated days."""

    out: str
    source: str
    first: IsoTime
    hours: int
    seed: int
    outcomes: int
    decisions: dict[str, int]
    not_counted: list[str] = Field(description="damaged lines")
    hours_missing: dict[str, int] = Field(description="what could not be read, in how many hours")
    logs: dict[str, WrittenFiles]
    seconds: float


def simulate(workspace: Workspace, options: SimulateOptions) -> SimulateResult:
    """Work every hour of some days as live commands would, and count what came of it.

    Raises:
        InputError: no candles, a start that is not on the hour, or a folder that holds another
            simulation or other files.
        StateError: it is under way in another process, or the model is damaged.
        TransientError: too many replies went wrong.
    """
    started = time.monotonic()
    listing, plan = plan_simulation(options)
    root = options.out or workspace.paths.root / "rehearsal"
    hours = run(workspace, listing, plan, root)
    reports = list(progress(hours, total=plan.hours, what="Simulating hours"))
    return _result(plan, root, reports, time.monotonic() - started)


def plan_simulation(options: SimulateOptions) -> tuple[Listing, SimulationPlan]:
    """The candles and the plan that options ask for.

    Raises:
        InputError: no candles, no such mode, or days that the candles do not hold.
    """
    if options.mode not in update.UPDATE_MODES:
        raise InputError(
            f"No such mode: {options.mode[:40]!r}.",
            hint=f"Known: {', '.join(update.UPDATE_MODES)}.",
        )
    listing = Listing.from_folder(options.klines)
    last_ms = listing.last_close_ms()
    first_ms = (last_ms - options.days * DAY_H * H_MS) // H_MS * H_MS
    if options.start is not None:
        first_ms = parse_time(options.start)
    if first_ms < (begun_ms := listing.first_open_ms()):
        raise InputError(
            f"{options.days} days begin before the candles do, at {iso(begun_ms)}.",
            hint="Start later, or ask for fewer days.",
        )
    plan = SimulationPlan(
        source=listing.source,
        first=iso(first_ms),
        hours=options.days * DAY_H,
        learn_every_h=options.learn_every_h,
        mode=options.mode,
        charts=options.charts,
        fault_rate=options.fault_rate,
        seed=options.seed,
    )
    if plan.schedule.at(plan.hours - 1) > last_ms:
        raise InputError(
            f"{options.days} days from {plan.first} end after the candles do, at {iso(last_ms)}.",
            hint="Start earlier, or ask for fewer days.",
        )
    return listing, plan


@dataclass(frozen=True)
class Hour:
    """What became of an hour, in this run or in an earlier one."""

    now_ms: int
    missing: dict[str, str] = field(default_factory=dict)


def run(workspace: Workspace, listing: Listing, plan: SimulationPlan, root: Path) -> Iterator[Hour]:
    """Work the hours of a plan under `root`, one at each step.

    Raises:
        InputError: the folder holds another simulation, or other files.
        StateError: it is under way in another process, or the model is damaged.
        TransientError: too many replies went wrong.
    """
    schedule = plan.schedule
    _refuse_other_files(root)
    # a damaged or missing model is refused before a note with these settings is written
    registry.resolve(workspace.paths, workspace.config.model.version)
    busy = f"The simulation in {root} is under way in another process."
    with storage.locked(root / ".lock", busy=busy):
        plan = plan.model_copy(update={"settings": _settings(workspace.config)})
        note = _read_note(plan, root)
        sandbox.sweep(root)
        local = sandbox.copy_model(workspace, root, schedule.first_ms)
        clock = Clock(schedule.first_ms, frozen=True)
        with Replay(listing, clock) as server:
            server.faults = faults.faults_at_rate(plan.fault_rate, seed=plan.seed, slow_s=SLOW_S)
            with _at(local, server.url, plan) as sandboxed:
                worker = _LiveCycle(sandboxed, plan)
                for number in range(plan.hours):
                    now_ms = schedule.at(number)
                    if number >= note.done:
                        worker.missing = {}
                        clock.set(now_ms)
                        cycle.run_hour(worker, schedule, now_ms)
                        gaps = {iso(now_ms): worker.missing} if worker.missing else {}
                        changes = {"done": number + 1, "unread": note.unread | gaps}
                        note = plan.model_copy(update=changes)
                        storage.write_document(_note(root), note)
                    yield Hour(now_ms, note.unread.get(iso(now_ms), {}))


def _settings(config: Config) -> str:
    """Hash of every setting that changes what is written; the address does not."""
    text = config.model_dump_json(exclude={"market": {"base_url"}})
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _note(root: Path) -> Path:
    return root / "rehearsal.json"


def _read_note(plan: SimulationPlan, root: Path) -> SimulationPlan:
    """The plan as it was left, or as it begins."""
    if not _note(root).exists():
        storage.write_document(_note(root), plan)
        return plan
    note = storage.read_document(
        _note(root), SimulationPlan, repair=f"Delete {root} and simulate anew."
    )
    if not note.is_same_run(plan):
        raise InputError(
            f"{root} holds another simulation, of {note.source} from {note.first}.",
            hint="Name another folder with --out, or delete that one.",
        )
    return note


def _refuse_other_files(root: Path) -> None:
    """Refuse a folder that is no simulation: a simulation sweeps and counts all in it as its own.

    What a start leaves that is killed before it has written its note is no other file.
    """
    if not root.is_dir() or _note(root).exists():
        return
    own = re.compile(rf"\.lock|\.{_note(root).name}\..*\.tmp|\.DS_Store")
    others = sorted(path.name for path in root.iterdir() if not own.fullmatch(path.name))
    if others:
        raise InputError(
            f"{root} holds {others[0]!r} and is no simulation: expected a folder of its own.",
            hint="Name a new folder with --out.",
        )


def _at(local: Workspace, url: str, plan: SimulationPlan) -> Workspace:
    """The same settings, but for the address; patient where replies go wrong on purpose."""
    changes: dict[str, Any] = {"base_url": url}
    if plan.fault_rate:
        changes |= {"attempts": PATIENCE, "backoff_s": 0.01, "timeout_s": 2.0}
    market = local.config.market.model_copy(update=changes)
    settings: Config = local.config.model_copy(update={"market": market})
    return local.at(local.paths, settings)


@dataclass
class _LiveCycle:
    """The steps of an hour as the commands do them: over HTTP, onto disk."""

    workspace: Workspace
    plan: SimulationPlan
    missing: dict[str, str] = field(default_factory=dict)

    def scan(self, now_ms: int) -> Sequence[str]:
        """`vision-ai scan --all`."""
        del now_ms  # the exchange's clock gives it
        try:
            result = _patiently(
                lambda: predict.scan(self.workspace, None, draw_charts=self.plan.charts)
            )
        except InputError as error:  # nothing at all can be read in this hour
            self.missing["all"] = str(error)
            return []
        self.missing |= result.missing
        return sorted(result.predictions)

    def resolve_outcomes(self, now_ms: int) -> None:
        """`vision-ai feedback run`."""
        del now_ms
        self.missing |= _patiently(lambda: feedback.run(self.workspace)).missing

    def learn(self, now_ms: int) -> None:
        """`vision-ai feedback update`; what is written down already is not asked again."""
        if not self.workspace.paths.proposal(now_ms).exists():
            _patiently(lambda: update.update(self.workspace, mode=self.plan.mode))

    def decide(self, symbol: str, now_ms: int) -> None:
        """`vision-ai decide`, written down."""
        result = _patiently(lambda: decide.decide(self.workspace, symbol))
        journal.append(self.workspace.paths, Decision.of(result.payload(), now_ms))


def _patiently(step: Callable[[], Done]) -> Done:
    for _ in range(PATIENCE - 1):
        with contextlib.suppress(TransientError):
            return step()
    return step()


def logs(paths: Paths) -> dict[str, list[Path]]:
    """Every file that a simulation leaves for good, by kind."""
    models = paths.models
    return {
        "predictions": sorted(paths.predictions.glob("*.json")),
        "feedback": sorted(paths.feedback_logs.glob("*.jsonl")),
        "decisions": sorted(paths.decisions.glob("*.jsonl")),
        "updates": [
            *sorted(paths.proposals.glob("*.json")),
            *(
                path
                for name in ("attempts", "history")
                if (path := models / f"{name}.jsonl").exists()
            ),
        ],
        "charts": sorted((paths.root / "charts").rglob("*.png")),
    }


def read_files(root: Path) -> dict[str, bytes]:
    """Every such file by its name below the root."""
    paths = (path for paths_of_kind in logs(Paths(root)).values() for path in paths_of_kind)
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in paths}


def digest(paths: Paths, files: Sequence[Path]) -> str:
    """SHA-256 over names and contents, so that two simulations can be compared at a glance."""
    h = hashlib.sha256()
    for path in files:
        content = path.read_bytes()
        h.update(f"{path.relative_to(paths.root).as_posix()} {len(content)}\n".encode())
        h.update(content)
    return h.hexdigest()


def _result(
    plan: SimulationPlan, root: Path, hours: Sequence[Hour], seconds: float
) -> SimulateResult:
    paths = Paths(root)
    lines, bad = feedback_loop_cv.read_logs(paths)
    decisions, bad_decisions = journal.read(paths)
    reasons = Counter(
        f"{name}: {why}" for hour in hours for name, why in sorted(hour.missing.items())
    )
    return SimulateResult(
        out=str(root),
        source=plan.source,
        first=plan.first,
        hours=plan.hours,
        seed=plan.seed,
        outcomes=len(lines),
        decisions=dict(sorted(Counter(d.decision for d in decisions).items())),
        not_counted=[str(line) for line in [*bad, *bad_decisions]],
        hours_missing=dict(reasons.most_common(20)),
        logs={
            kind: WrittenFiles(files=len(files), sha256=digest(paths, files))
            for kind, files in logs(paths).items()
        },
        seconds=round(seconds, 1),
        missing={f"{iso(h.now_ms)} {name}": why for h in hours for name, why in h.missing.items()},
    )
