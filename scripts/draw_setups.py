#!/usr/bin/env python3
"""Draw the worked pictures of docs/setups.md: hand-drawn charts, labelled by the rule book."""

import argparse
from pathlib import Path

import numpy as np

from vision_ai.charts.sheet import contact_sheet
from vision_ai.domain import CLOSE, PHASES
from vision_ai.labels import examples, facts, rules
from vision_ai.labels.normalized_bars import Array
from vision_ai.storage import write_bytes

FOLDER = Path(__file__).parents[1] / "docs" / "img" / "setups"


def pictures() -> dict[str, list[Array]]:
    """The charts of each picture, by file name."""
    drawn: dict[str, list[Array]] = {}
    for reading, draw in examples.SETUP_EXAMPLES.items():
        chart = draw()
        sides = [chart] if reading.mirror == reading else [chart, examples.mirrored(chart)]
        drawn[reading.setup.value] = sides
    floor = examples.retest_of_floor()
    drawn["support-retest"].insert(1, floor)
    drawn["phases"] = [examples.phase_example(phase) for phase in PHASES]
    return drawn


def draw(charts: list[Array]) -> bytes:
    """One row of charts, each with its label and facts."""
    bars = np.stack(charts)
    labels = list(rules.label(bars))
    return contact_sheet(
        bars,
        [facts.contact_sheet_caption(label) for label in labels],
        [
            facts.level_lines(label, chart[-1, CLOSE])
            for label, chart in zip(labels, bars, strict=True)
        ],
        columns=len(charts),
    )


def main() -> None:
    """Write every picture."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    for name, charts in pictures().items():
        write_bytes(FOLDER / f"{name}.png", draw(charts))
        print(FOLDER / f"{name}.png")


if __name__ == "__main__":
    main()
