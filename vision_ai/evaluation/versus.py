"""A baseline's figures beside the model's: the same charts and the same draws for both."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from vision_ai.calibration.bands import Bands
from vision_ai.domain import HORIZONS, Floats, Ints
from vision_ai.evaluation import card
from vision_ai.evaluation.baselines import Guess
from vision_ai.measures import significance


def against(charts: card.Measured, guess: Guess) -> dict[str, Any]:
    """Macro-F1 of a baseline and of the model on the same charts, and the difference, by draws."""
    theirs = replace(charts, said=guess.reading, said_phase=guess.phase)
    facets = {"setup.macro_f1": card.setup_f1, "phase.macro_f1": card.phase_f1}
    return _beside(charts, theirs, facets, model=True)


def outcomes_against(charts: card.Measured, bands: Bands) -> dict[str, Any]:
    """Outcome figures of other bands, and how far the model's skill is above theirs."""
    theirs = replace(charts, up=bands.up, low=bands.low, high=bands.high)
    figures = {
        name: figure
        for name, figure in card.MAIN.items()
        if name.startswith(("outcome.", "bands.")) and ".adaptive." not in name
    }
    return _beside(charts, theirs, figures, [name for name in figures if name.endswith(_SKILL)])


def chances_against(charts: card.Measured, up: Floats) -> dict[str, Any]:
    """Skill of other chances of a rise (n, horizons), and how far the model's is above theirs.

    And how often the likelier side was right.
    """
    figures = {name: figure for name, figure in card.MAIN.items() if name.endswith(_SKILL)} | {
        f"outcome.{horizon}.side_accuracy": _side(column) for column, horizon in enumerate(HORIZONS)
    }
    return _beside(charts, replace(charts, up=up), figures)


_SKILL = "brier_skill"


def _beside(
    charts: card.Measured,
    theirs: card.Measured,
    figures: Mapping[str, card.Figure],
    compared: Collection[str] | None = None,
    *,
    model: bool = False,
) -> dict[str, Any]:
    """Figures of a baseline's answers, and the model's less theirs, all from the same draws.

    Args:
        charts: the model's answers.
        theirs: the baseline's on the same charts.
        figures: what is measured.
        compared: of which the difference is told; None says all.
        model: whether the model's own are told as well.
    """
    shared = [name for name in figures if compared is None or name in compared]
    names = [*figures, *(f"model.{name}" for name in shared if model)]
    names += [f"model_minus.{name}" for name in shared]

    def measure(rows: Ints) -> list[float]:
        mine, other = charts.take(rows), theirs.take(rows)
        values = {name: figure(other) for name, figure in figures.items()}
        own = {name: figures[name](mine) for name in shared}
        told = list(own.values()) if model else []
        return [*values.values(), *told, *(own[name] - values[name] for name in shared)]

    found = significance.bootstrap_all(
        measure, charts.block, draws=card.DRAWS, distances=card.distances(names)
    )
    return {"n": len(charts), **card.nested(dict(zip(names, found, strict=True)))}


def both_against(charts: card.Measured, guess: Guess, up: Floats) -> dict[str, Any]:
    """What `against` and `chances_against` say, of a baseline that answers both questions."""
    labels, rises = against(charts, guess), chances_against(charts, up)
    return {**labels, **rises, "model_minus": labels["model_minus"] | rises["model_minus"]}


def _side(column: int) -> card.Figure:
    def accuracy(charts: card.Measured) -> float:
        move, up = charts.move[:, column], charts.up[:, column]
        known = np.isfinite(move) & np.isfinite(up)
        return card.mean((up > 0.5)[known] == (move > 0)[known])

    return accuracy
