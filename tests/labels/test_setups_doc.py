import dataclasses
import re
from pathlib import Path

import pytest

from vision_ai.domain import PHASES, SETUPS
from vision_ai.labels.boxes import BOX_LENGTHS_BARS, FLOOR_SEGMENTS, MAX_BOX_AGE_BARS
from vision_ai.labels.leg_setups import MAX_LEG_BARS, RECENT_EXTREME_BARS
from vision_ai.labels.rules import PRIORITY, RULES_VERSION
from vision_ai.labels.thresholds import Thresholds

DOCS = Path(__file__).parents[2] / "docs"
PAGE = " ".join((DOCS / "setups.md").read_text(encoding="utf-8").split())


@pytest.mark.parametrize("name", [f.name for f in dataclasses.fields(Thresholds)])
def test_the_page_tells_the_number_in_force(name: str):
    told = re.findall(rf"(\d+(?:\.\d+)?)[^`\d]*\(`{name}`\)", PAGE)
    assert told, f"docs/setups.md does not tell {name}"
    assert {float(value) for value in told} == {getattr(Thresholds(), name)}


def test_the_page_names_no_number_that_is_gone():
    known = {f.name for f in dataclasses.fields(Thresholds)}
    assert set(re.findall(r"\(`(\w+_(?:atr|part|bars|volume|of_leg|of_chart))`\)", PAGE)) <= known


def test_the_page_tells_the_lengths_that_are_searched():
    *most, last = (str(bars) for bars in BOX_LENGTHS_BARS)
    assert (
        f"{', '.join(most)} or {last} bars that ended at most {MAX_BOX_AGE_BARS} bars ago" in PAGE
    )
    floors = sorted({bars for bars, _ in FLOOR_SEGMENTS}, reverse=True)
    ended = [ended for _, ended in FLOOR_SEGMENTS]
    assert (
        f"{floors[0]}, {floors[1]} or {floors[2]} bars that ended {min(ended)} to {max(ended)}"
        in PAGE
    )
    assert PAGE.count(f"within {MAX_LEG_BARS} bars") == 3
    assert f"soft high of the last {RECENT_EXTREME_BARS} bars" in PAGE


def test_the_page_tells_the_order_of_the_ladder():
    order = ", ".join(setup.value for setup, _ in PRIORITY)
    assert f"{order}, range, none." in PAGE


def test_every_setup_and_phase_is_defined_and_drawn():
    assert f"rule book version {RULES_VERSION}" in PAGE
    for setup in SETUPS:
        assert re.search(rf"### [\w, -]*{setup.value}", PAGE)
    assert all(f"| `{phase.value}` |" in PAGE for phase in PHASES)
    for picture in re.findall(r"\((img/[^)]+)\)", PAGE):
        assert (DOCS / picture).is_file()


def test_the_pictures_stay_small():
    assert sum(path.stat().st_size for path in (DOCS / "img" / "setups").glob("*.png")) < 600_000
