"""Kill a program at random instants and check what it leaves behind."""

import signal
import subprocess
import time
from collections.abc import Callable, Sequence

import numpy as np


def kill_at_random(
    command: Sequence[str],
    check: Callable[[], None],
    *,
    kills: int,
    seed: int,
    env: dict[str, str] | None = None,
    before: Callable[[], None] | None = None,
    reach: float = 1.0,
) -> int:
    """Run `command` `kills` times, each time killed (SIGKILL) at a random instant of its life.

    The program should print a line when its work begins, so that instants fall into the work and
    not into the start of Python. `before` runs ahead of each start, `check` after each kill.
    A program that goes on where it was killed has less work each time: `reach` below 1 aims at
    the first part of the measured life. Returns how many runs were really killed in their work;
    the first run is measured, not killed.
    """
    rng = np.random.default_rng(seed)
    if before:
        before()
    length_s, _ = _run(command, env, None)
    check()
    struck = 0
    for _ in range(kills):
        if before:
            before()
        struck += _run(command, env, float(rng.uniform(0, reach * length_s)))[1]
        check()
    return struck


def _run(
    command: Sequence[str], env: dict[str, str] | None, kill_after_s: float | None
) -> tuple[float, bool]:
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env, text=True
    ) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        begun = time.monotonic()
        try:
            process.wait(kill_after_s)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
        spent_s = time.monotonic() - begun
        killed = process.returncode == -signal.SIGKILL
        assert first, process.stderr.read() if process.stderr else ""
        assert killed or process.returncode == 0, process.stderr and process.stderr.read()
    return spent_s, killed
