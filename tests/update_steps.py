"""An update step in a whole data root, killed at each of its calls on the disk.

Run as a program by a test: python -m tests.update_steps ROOT WORK CASE EVERY

A child process runs the step; its audit hook, which Python calls ahead of every file that is
opened, renamed, removed or locked, kills it (SIGKILL) at the n-th such call on a file that the
step writes to. Then the step is run again at the same instant, and every file must be as after
one that nothing disturbed. Children are forked from a process that has done nothing yet.
"""

import faulthandler
import json
import os
import shutil
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from tests import standin
from tests.feedback.examples import AS_OF, H_MS, line, prediction
from vision_ai import feedback_loop_cv, index, storage
from vision_ai.config import Config, Paths
from vision_ai.domain import Interval
from vision_ai.feedback import journal as feedback_journal
from vision_ai.feedback_loop_cv import GateAttempt, Tuned, append
from vision_ai.market.simulate import simulate
from vision_ai.model import lineage, registry, vectors
from vision_ai.pipeline import reader
from vision_ai.pipeline.learning import reweight
from vision_ai.pipeline.workspace import Workspace

CASES = ("promoted", "not better", "finished later", "finetune")

DEADLINE_S = 120
"""A child that takes longer prints where it is, and fails."""

_DISK_CALLS = {
    "open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "os.truncate",
    "fcntl.flock", "tempfile.mkstemp", "tempfile.mkdtemp", "shutil.copyfile",
}  # fmt: skip


def make_root(root: Path, *, days: int = 100, narrow: float = 2.0) -> Workspace:
    """A stand-in model with an index and a call a day, whose bands are too narrow by a factor."""
    paths = Paths(root)
    standin.install(paths, [simulate("AAAUSDT", Interval.M15, 600, seed=1, end_ms=AS_OF)])
    index.build(paths.index, reader.exemplars(registry.resolve(paths)), now_ms=AS_OF)
    rng = np.random.default_rng(4)
    for day in range(days):
        at = AS_OF - (days - day) * 24 * H_MS
        call = prediction(symbol="S0USDT", as_of_ms=at, model_version=standin.VERSION)
        storage.write_document(paths.prediction(call.symbol, at), call)
        entry = line(
            symbol=call.symbol,
            as_of_ms=at,
            success=bool(rng.random() < 0.4),
            model_version=standin.VERSION,
            width_factor=float(abs(rng.normal()) * narrow),
        )
        append(paths, [entry])
    return Workspace(Config(), paths)


def run_step(workspace: Workspace, now_ms: int, case: str) -> None:
    """What `feedback update` does once it knows the time; training is a stand-in too."""
    champion = reweight.champion(workspace, now_ms)
    mode: feedback_loop_cv.UpdateMode = "finetune" if case == "finetune" else "reweight"
    if mode == "finetune":
        days = np.arange(30)
        found = Tuned(0.5, np.zeros(30), np.ones(30), days, {}, lambda a: trained(workspace, a))
        champion = replace(champion, tune=lambda _: found)
    feedback_loop_cv.update_cv_model_weights(workspace.paths, now_ms, mode, champion=champion)


def trained(workspace: Workspace, attempt: GateAttempt) -> str:
    """A version with another tower, so that it needs an index of its own."""
    parent = registry.resolve(workspace.paths, attempt.champion)
    version = lineage.child_name(parent.version, f"f{attempt.number}", "trained")
    if (workspace.paths.models / version / "manifest.json").is_file():
        return version
    rows = reader.exemplars(parent)
    own = {
        "image.onnx": standin.tower() + b"\x12\x00",  # an empty name of the maker
        parent.exemplars.name: vectors.reweight(parent.exemplars, rows.weight, model=version),
    }
    manifest = parent.manifest.model_copy(
        update={"version": version, "parents": [parent.version], "files": {}}
    )
    return lineage.derive(workspace.paths, parent, manifest, own).version


def forked(work: Callable[[], None], after: int, watched: Path) -> bool:
    """Work in a child that is killed at its call of that number; False if it came to its end."""
    number = os.fork()
    if not number:
        try:
            faulthandler.dump_traceback_later(DEADLINE_S, exit=True)
            if after:
                sys.addaudithook(_killer(after, str(watched)))
            work()
            os._exit(0)
        finally:  # reached by errors only; a child must never return into the parent's work
            traceback.print_exc()
            os._exit(1)
    _, status = os.waitpid(number, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        raise SystemExit("An update step failed.")
    return os.WIFSIGNALED(status)


def _killer(after: int, watched: str) -> Callable[[str, tuple[object, ...]], None]:
    left, writes = after, False

    def hook(event: str, args: tuple[object, ...]) -> None:
        nonlocal left, writes
        if event not in _DISK_CALLS or not (isinstance(args[0], int) or watched in str(args[0])):
            return
        if event == "open" and not writes:  # what only reads so far leaves nothing behind
            writes = bool(int(str(args[2])) & (os.O_WRONLY | os.O_RDWR))
            if not writes:
                return
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)

    return hook


def files(root: Path) -> dict[str, str]:
    """Every file but the staged ones of killed writers, whose names begin with a dot."""
    return {
        name: path.read_bytes().hex()
        for path in sorted(root.rglob("*"))
        if path.is_file() and "/." not in (name := f"/{path.relative_to(root).as_posix()}")
    }


def kill_and_repeat(origin: Path, work: Path, case: str, every: int) -> dict[str, object]:
    """Kill a step at every so many calls; how often, and which files differ afterwards."""
    start, whole, killed_root = work / "start", work / "whole", work / "killed"
    shutil.copytree(origin, start)
    now_ms = AS_OF
    if case == "finished later":
        _cut_short(start)
        now_ms += H_MS

    def take(root: Path, after: int = 0) -> bool:
        return forked(lambda: run_step(Workspace(Config(), Paths(root)), now_ms, case), after, root)

    shutil.copytree(start, whole)
    take(whole)
    expected = files(whole)
    different: set[str] = set()
    after, killed = 1, True
    while killed:  # the last one comes to its end, and is taken again at its instant all the same
        shutil.rmtree(killed_root, ignore_errors=True)
        shutil.copytree(start, killed_root)
        killed = take(killed_root, after)
        take(killed_root)
        found = files(killed_root)
        names = expected.keys() | found.keys()
        different |= {name for name in names if found.get(name) != expected.get(name)}
        after += every
    return {
        "kills": (after - 1) // every - 1,
        "different": sorted(different),
        "written": sorted(expected.keys() - files(start).keys()),
    }


def _cut_short(root: Path) -> None:
    """Kill steps until one has died right after it wrote its attempt down."""
    workspace, after, before = Workspace(Config(), Paths(root)), 1, files(root).keys()
    while not feedback_journal.read_attempts(workspace.paths)[0]:
        forked(lambda: run_step(workspace, AS_OF, "promoted"), after, root)
        found = files(root).keys()  # once the version stands, a step writes much less
        after, before = (1 if found != before else after + 1), found


if __name__ == "__main__":
    result = kill_and_repeat(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
    sys.stdout.write(json.dumps(result))
