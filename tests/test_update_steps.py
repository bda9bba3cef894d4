"""An update step that is killed and run again at the same instant leaves the same files."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests import update_steps

BOUNDS_HOLD = 1 / 1.2816
"""Standard normal moves need bands of this many half widths to hold four times of five."""


@pytest.fixture(scope="module")
def roots(tmp_path_factory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("roots")
    update_steps.make_root(root / "narrow")
    update_steps.make_root(root / "fair", narrow=BOUNDS_HOLD)
    return {
        case: root / ("fair" if case == "not better" else "narrow") for case in update_steps.CASES
    }


def kills(roots: dict[str, Path], work: Path, case: str, every: int) -> int:
    """Kill a step of a case at every so many calls on the disk; how often it was killed."""
    command = [
        sys.executable,
        "-m",
        "tests.update_steps",
        str(roots[case]),
        str(work),
        case,
        str(every),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["different"] == []
    kinds = {name.split("/")[2] for name in result["written"]}
    assert kinds >= {"proposals"} | ({"models"} if case != "finished later" else set())
    return result["kills"]


@pytest.mark.parametrize(
    ("case", "every"),
    [pytest.param("promoted", 13, marks=pytest.mark.slow), ("not better", 9)],
)
def test_a_killed_step_that_is_run_again_leaves_the_same_files(
    roots: dict[str, Path], tmp_path: Path, case: str, every: int
) -> None:
    assert kills(roots, tmp_path, case, every) >= 1


@pytest.mark.slow
@pytest.mark.parametrize("case", update_steps.CASES)
def test_a_step_may_be_killed_at_every_call_on_the_disk(
    roots: dict[str, Path], tmp_path: Path, case: str
) -> None:
    assert kills(roots, tmp_path, case, 1) >= 10
