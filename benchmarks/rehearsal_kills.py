"""Kill a simulation at random instants and compare what it writes with an undisturbed one.

    python benchmarks/rehearsal_kills.py --klines ../shared/klines/bench-bybit-5m --kills 200

Each child process works hours of the real loop (replay server, pybit, scan, feedback, update,
decide) and is killed with SIGKILL at a random instant; the next one resumes. After each kill every
file must be the beginning of the same file of the undisturbed simulation, and when the last hour
is done all files must be equal, byte by byte; then it starts anew until there were enough kills.
Children are forked from a process that has imported everything, so that kills fall into work.
Prints one JSON object.
"""

import argparse
import json
import os
import platform
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

from vision_ai.market.replay.listing import Listing
from vision_ai.pipeline.backtest import simulate
from vision_ai.pipeline.backtest.simulate import SimulateOptions, SimulationPlan
from vision_ai.pipeline.workspace import Workspace


def child(
    workspace: Workspace, listing: Listing, plan: SimulationPlan, root: Path
) -> tuple[int, int]:
    """Start a process that works every hour; its id, and the pipe it writes to after each."""
    reading, writing = os.pipe()
    number = os.fork()
    if number:
        os.close(writing)
        return number, reading
    try:
        for hour in simulate.run(workspace, listing, plan, root):
            os.write(writing, b"." if hour else b"")
        os._exit(0)
    finally:  # reached by errors only; a child must never return into the parent's work
        traceback.print_exc()
        os._exit(1)


def run_undisturbed(
    workspace: Workspace, listing: Listing, plan: SimulationPlan, root: Path
) -> tuple[float, float]:
    """Work everything undisturbed; seconds until the first hour is done, and of an hour."""
    started = time.perf_counter()
    number, reading = child(workspace, listing, plan, root)
    os.read(reading, 1)
    first_s = time.perf_counter() - started
    _settled(number, reading)
    return first_s, (time.perf_counter() - started - first_s) / max(plan.hours - 1, 1)


def kill_after(number: int, reading: int, after_s: float | None) -> bool:
    """Kill a child some time after its first sign, or let it finish; False if it was done."""
    os.read(reading, 1)
    if after_s is not None:
        time.sleep(after_s)
        os.kill(number, signal.SIGKILL)
    return os.WIFSIGNALED(_settled(number, reading))


def _settled(number: int, reading: int) -> int:
    _, status = os.waitpid(number, 0)
    os.close(reading)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        raise SystemExit("A simulation failed.")
    return status


def kill_and_resume(
    workspace: Workspace,
    listing: Listing,
    plan: SimulationPlan,
    *,
    kills: int,
    reach: float,
    seed: int,
) -> dict[str, int]:
    """Kill and resume, anew after each whole simulation, until there were enough kills.

    Args:
        workspace: whose model works.
        listing: the replayed candles.
        plan: which hours.
        kills: how many.
        reach: hours of work, after the first, until the latest instant.
        seed: of the instants.
    """
    rng = random.Random(seed)
    kill_count = rounds = lost = changed = 0
    before: dict[str, bytes] = {}
    with tempfile.TemporaryDirectory() as folder:
        first_s, hour_s = run_undisturbed(workspace, listing, plan, Path(folder) / "undisturbed")
        expected = simulate.read_files(Path(folder) / "undisturbed")
        root = Path(folder) / "killed"
        while kill_count < kills or root.exists():
            latest_s = first_s + reach * hour_s
            after_s = rng.uniform(0, latest_s) if kill_count < kills else None
            number, reading = child(workspace, listing, plan, root)
            killed = kill_after(number, reading, after_s)
            kill_count += killed
            found = simulate.read_files(root)
            lost += sum(not found.get(name, b"").startswith(was) for name, was in before.items())
            changed += sum(
                not expected.get(name, b"").startswith(content) for name, content in found.items()
            )
            before = found
            if not killed:
                lost += len(expected.keys() - found.keys())
                changed += sum(found[name] != expected[name] for name in found.keys() & expected)
                rounds, before = rounds + 1, {}
                shutil.rmtree(root)
            summary = f"{kill_count} kills, {rounds} rounds, {lost} lost, {changed} changed"
            print(summary, file=sys.stderr, flush=True)
    return {
        "kills": kill_count,
        "rounds": rounds,
        "hours": plan.hours,
        "files": len(expected),
        "lost": lost,
        "changed": changed,
    }


def main() -> None:
    """Kill, compare, report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--klines", type=Path, default=Path("../shared/klines/bench-bybit-5m"))
    parser.add_argument("--start")
    parser.add_argument("--days", type=int, default=1)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--reach", type=float, default=3.0, help="hours of work until the latest")
    parser.add_argument("--charts", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    started = time.perf_counter()
    options = SimulateOptions(
        klines=arguments.klines, start=arguments.start, days=arguments.days, charts=arguments.charts
    )
    listing, plan = simulate.plan_simulation(options)
    found = kill_and_resume(
        Workspace.open(),
        listing,
        plan,
        kills=arguments.kills,
        reach=arguments.reach,
        seed=arguments.seed,
    )
    seconds = round(time.perf_counter() - started, 1)
    print(json.dumps({**found, "seconds": seconds, "machine": platform.machine()}))


if __name__ == "__main__":
    main()
