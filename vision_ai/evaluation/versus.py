"""A baseline's figures beside the model's: the same charts and the same draws for both."""

from dataclasses import replace
from typing import Any

import numpy as np

from vision_ai.domain import HORIZONS, Floats, Ints
from vision_ai.evaluation import card, metrics
from vision_ai.evaluation.baselines import Guess
from vision_ai.forecast.bands import Bands


def against(charts: card.Measured, guess: Guess) -> dict[str, Any]:
    """Macro-F1 of a baseline and of the model on the same charts, and the difference, by draws."""
    theirs = replace(charts, said=guess.reading, said_phase=guess.phase)
    facets = {"setup.macro_f1": card.setup_f1, "phase.macro_f1": card.phase_f1}
    names = [*facets, *(f"{side}.{name}" for side in ("model", "model_minus") for name in facets)]

    def measure(rows: Ints) -> list[float]:
        values = [figure(theirs.take(rows)) for figure in facets.values()]
        model = [figure(charts.take(rows)) for figure in facets.values()]
        less = [mine - other for mine, other in zip(model, values, strict=True)]
        return [*values, *model, *less]

    found = metrics.bootstrap_all(measure, charts.block, draws=card.DRAWS)
    return {"n": len(charts), **card.nested(dict(zip(names, found, strict=True)))}


def outcomes_against(charts: card.Measured, bands: Bands) -> dict[str, Any]:
    """Outcome figures of other bands, and how far the model's skill is above theirs."""
    theirs = replace(charts, up=bands.up, low=bands.low, high=bands.high)
    figures = {
        name: figure
        for name, figure in card.MAIN.items()
        if name.startswith(("outcome.", "bands.")) and ".adaptive." not in name
    }
    skills = {name: figure for name, figure in figures.items() if name.endswith("brier_skill")}
    names = [*figures, *(f"model_minus.{name}" for name in skills)]

    def measure(rows: Ints) -> list[float]:
        mine, other = charts.take(rows), theirs.take(rows)
        values = [figure(other) for figure in figures.values()]
        return [*values, *(figure(mine) - figure(other) for figure in skills.values())]

    found = metrics.bootstrap_all(
        measure, charts.block, draws=card.DRAWS, distances=card.distances(names)
    )
    return {"n": len(charts), **card.nested(dict(zip(names, found, strict=True)))}


def chances_against(charts: card.Measured, up: Floats) -> dict[str, Any]:
    """Skill of other chances of a rise (n, horizons), and how far the model's is above theirs.

    And how often the likelier side was right.
    """
    theirs = replace(charts, up=up)
    figures = {
        name: figure for name, figure in card.MAIN.items() if name.endswith("brier_skill")
    } | {
        f"outcome.{horizon}.side_accuracy": _side(column) for column, horizon in enumerate(HORIZONS)
    }
    names = [*figures, *(f"model_minus.{name}" for name in figures)]

    def measure(rows: Ints) -> list[float]:
        mine, other = charts.take(rows), theirs.take(rows)
        values = [figure(other) for figure in figures.values()]
        return [*values, *(figure(mine) - figure(other) for figure in figures.values())]

    found = metrics.bootstrap_all(measure, charts.block, draws=card.DRAWS)
    return card.nested(dict(zip(names, found, strict=True)))


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
