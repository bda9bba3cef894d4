"""A turn of the gate that is killed and taken again at the same instant leaves the same files."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests import turns

BOUNDS_HOLD = 1 / 1.2816
"""Standard normal moves need bands of this many half widths to hold four times of five."""


@pytest.fixture(scope="module")
def desks(tmp_path_factory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("desks")
    turns.desk(root / "narrow")
    turns.desk(root / "fair", narrow=BOUNDS_HOLD)
    return {case: root / ("fair" if case == "not better" else "narrow") for case in turns.CASES}


def struck(desks: dict[str, Path], work: Path, case: str, every: int) -> int:
    """Kill a turn of a case at every so many touches of the disk; how often it was killed."""
    command = [sys.executable, "-m", "tests.turns", str(desks[case]), str(work), case, str(every)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["different"] == []
    kinds = {name.split("/")[2] for name in told["written"]}
    assert kinds >= {"proposals"} | ({"models"} if case != "finished later" else set())
    return told["kills"]


@pytest.mark.parametrize(("case", "every"), [("promoted", 13), ("not better", 4)])
def test_a_killed_turn_that_is_taken_again_leaves_the_same_files(
    desks: dict[str, Path], tmp_path: Path, case: str, every: int
) -> None:
    assert struck(desks, tmp_path, case, every) > 2


@pytest.mark.slow
@pytest.mark.parametrize("case", turns.CASES)
def test_a_turn_may_be_killed_at_every_touch_of_the_disk(
    desks: dict[str, Path], tmp_path: Path, case: str
) -> None:
    assert struck(desks, tmp_path, case, 1) >= 10
