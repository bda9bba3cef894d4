"""The figures of the report card, of all charts and of every part of them.

All figures of one set of charts come from the same resampled blocks, so that they can be compared
with each other and with the baselines.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from vision_ai.calibration.bands import Bands
from vision_ai.domain import HORIZONS, PHASES, READINGS, SETUPS, Bools, Floats, Ints
from vision_ai.evaluation.baselines import BaselineAnswers
from vision_ai.measures import scores, significance
from vision_ai.measures.significance import Estimate

SETUP_OF = np.array([SETUPS.index(reading.setup) for reading in READINGS])
"""Code of `SETUPS` for each code of `READINGS`."""

DRAWS = 300
"""Resamples of each interval."""

TOP = (1, 5, 24)
"""How many neighbors the retrieval figures count."""


@dataclass(frozen=True, eq=False)
class ScoredCharts:
    """What n charts show, what the model predicted of them and what followed.

    Attributes:
        block: int64 (n,), charts of one block are resampled together.
        reading, phase: int (n,), what the rule book says.
        clear: bool (n,), the rule book says so with every threshold 10 % away.
        predicted, predicted_phase: int (n,), what the model says; `none` where it abstains.
        confidence: float (n,), 0 where it abstains.
        abstained: bool (n,).
        neighbor_reading: int (n, k), readings of the neighbors, -1 where there are fewer.
        move: float (n, horizons), simple return that followed, NaN where unknown.
        up, low, high: float (n, horizons), chance of a rise and the band.
        level: float, how often the band is meant to hold.
        cell: int (n,), interval and volatility tercile, in which coverage is looked at.
        regime: int (n,), the same with terciles of the charts seen before each.
        tracked_low, tracked_high: float (n, horizons), the band that followed drift (`adaptive`).
    """

    block: Ints
    reading: Ints
    phase: Ints
    clear: Bools
    predicted: Ints
    predicted_phase: Ints
    confidence: Floats
    abstained: Bools
    neighbor_reading: Ints
    move: Floats
    up: Floats
    low: Floats
    high: Floats
    level: Floats
    cell: Ints
    regime: Ints
    tracked_low: Floats
    tracked_high: Floats

    def __len__(self) -> int:
        return len(self.block)

    def take(self, rows: Ints | Bools) -> Self:
        """Only the given charts (indices or mask), repeats allowed."""
        return type(self)(**{name: column[rows] for name, column in vars(self).items()})

    @property
    def tracked(self) -> Self:
        """The same charts with the bands that followed drift, in the regimes known at the time."""
        return replace(self, low=self.tracked_low, high=self.tracked_high, cell=self.regime)

    @property
    def right(self) -> Bools:
        """Bool (n,): the reading, direction included, is the rule book's."""
        return np.asarray(self.predicted == self.reading, np.bool_)


Figure = Callable[[ScoredCharts], float]


def setup_f1(charts: ScoredCharts) -> float:
    """Macro-F1 of the setup; an abstention counts as the answer `none`."""
    return scores.macro_f1(SETUP_OF[charts.reading], SETUP_OF[charts.predicted], len(SETUPS))


def reading_f1(charts: ScoredCharts) -> float:
    """Macro-F1 of setup and direction together."""
    return scores.macro_f1(charts.reading, charts.predicted, len(READINGS))


def phase_f1(charts: ScoredCharts) -> float:
    """Macro-F1 of the phase."""
    return scores.macro_f1(charts.phase, charts.predicted_phase, len(PHASES))


def setup_accuracy(charts: ScoredCharts) -> float:
    """Share of charts whose setup is the rule book's."""
    return mean(SETUP_OF[charts.reading] == SETUP_OF[charts.predicted])


def phase_accuracy(charts: ScoredCharts) -> float:
    """Share of charts whose phase is the rule book's."""
    return mean(charts.phase == charts.predicted_phase)


def ece(charts: ScoredCharts) -> float:
    """Calibration error of the confidence of the answers; an abstention is none."""
    answered = charts.take(~charts.abstained)
    return scores.ece(answered.confidence, answered.right) if len(answered) else float("nan")


def accuracy_at_50(charts: ScoredCharts) -> float:
    """Accuracy of the surest half of all charts; abstentions are the least sure."""
    return scores.accuracy_at(charts.confidence, charts.right, 0.5)


def clear_share(charts: ScoredCharts) -> float:
    """Share of charts whose facts lie far from every threshold of the rule book."""
    return mean(charts.clear)


def abstained(charts: ScoredCharts) -> float:
    """Share of charts on which the model abstains."""
    return mean(charts.abstained)


def band_hits(charts: ScoredCharts) -> Floats:
    """Whether each band held, (n, horizons); see `scores.band_hits`."""
    return scores.band_hits(charts.low, charts.high, charts.move)


def coverage_error(charts: ScoredCharts) -> float:
    """Greatest distance of coverage from its level, over horizons, intervals and terciles."""
    return (
        scores.coverage_error(band_hits(charts), charts.cell, charts.level[0])
        if len(charts)
        else np.nan
    )


def noise(charts: ScoredCharts) -> dict[str, Estimate]:
    """What chance alone would make of the figures that are distances from zero."""
    return {
        "confidence.ece_noise": scores.ece_noise(charts.confidence[~charts.abstained]),
        "bands.coverage_noise": scores.coverage_noise(band_hits(charts), charts.cell, charts.block),
    }


def _at_horizon(column: int) -> dict[str, Figure]:
    def skill(charts: ScoredCharts) -> float:
        move = charts.move[:, column]
        rose = np.where(np.isfinite(move), move > 0, np.nan)
        known = np.isfinite(rose)
        base = float(rose[known].mean()) if known.any() else float("nan")
        return scores.brier_skill(charts.up[:, column], rose, base)

    def share_held(charts: ScoredCharts) -> float:
        return mean(band_hits(charts)[:, column])

    def width(charts: ScoredCharts) -> float:
        return mean((charts.high - charts.low)[:, column])

    horizon = HORIZONS[column]
    return {
        f"outcome.{horizon}.brier_skill": skill,
        f"bands.coverage.{horizon}": share_held,
        f"bands.width.{horizon}": width,
    }


def _precision(k: int) -> Figure:
    return lambda charts: scores.retrieval_precision(charts.neighbor_reading, charts.reading, k)


def _clear(figure: Figure) -> Figure:
    return lambda charts: figure(charts.take(charts.clear))


def _tracked(figure: Figure) -> Figure:
    return lambda charts: figure(charts.tracked)


_BANDS: Mapping[str, Figure] = {
    name: figure for column in range(len(HORIZONS)) for name, figure in _at_horizon(column).items()
}


MAIN: Mapping[str, Figure] = {
    "setup.macro_f1": setup_f1,
    "phase.macro_f1": phase_f1,
    "clear_cut.setup.macro_f1": _clear(setup_f1),
    "clear_cut.phase.macro_f1": _clear(phase_f1),
    "confidence.ece": ece,
    "abstention.accuracy_at_50": accuracy_at_50,
    "bands.coverage_error_max": coverage_error,
    **_BANDS,
    "bands.adaptive.coverage_error_max": _tracked(coverage_error),
    **{
        name.replace("bands.", "bands.adaptive."): _tracked(figure)
        for name, figure in _BANDS.items()
        if name.startswith("bands.")
    },
    **{f"retrieval.precision_at_{k}": _precision(k) for k in TOP},
}
"""Figures of every part of the charts."""

DISTANCES = frozenset(
    {"confidence.ece", "bands.coverage_error_max", "bands.adaptive.coverage_error_max"}
)
"""Figures that are distances from zero, which resampling makes greater."""

ALL: Mapping[str, Figure] = {
    **MAIN,
    "setup.accuracy": setup_accuracy,
    "phase.accuracy": phase_accuracy,
    "reading.macro_f1": reading_f1,
    "clear_cut.share": clear_share,
    "abstention.share": abstained,
}
"""Figures of all charts together."""


def estimates(
    charts: ScoredCharts, figures: Mapping[str, Figure] = ALL, *, draws: int = DRAWS
) -> dict[str, Estimate]:
    """Every figure with its interval."""

    def measure(rows: Ints) -> list[float]:
        drawn = charts.take(rows)
        return [figure(drawn) for figure in figures.values()]

    values = significance.bootstrap_all(
        measure, charts.block, draws=draws, distances=distances(list(figures))
    )
    return dict(zip(figures, values, strict=True))


def distances(names: Sequence[str]) -> set[int]:
    """Which of the figures, by number, are distances."""
    return {number for number, name in enumerate(names) if name in DISTANCES}


def measure_groups(charts: ScoredCharts, groups: Mapping[str, NDArray[np.str_]]) -> dict[str, Any]:
    """The main figures, classes and curves of every group: `{facet: {value: {"n": ..., ...}}}`."""
    return {
        facet: {
            str(value): _measure_group(charts.take(column == value)) for value in np.unique(column)
        }
        for facet, column in groups.items()
    }


def _measure_group(charts: ScoredCharts) -> dict[str, Any]:
    return {
        "n": len(charts),
        **nest(estimates(charts, MAIN, draws=DRAWS // 2) | noise(charts)),
        "classes": class_rows(charts),
        "curves": curves(charts),
    }


def class_rows(charts: ScoredCharts) -> dict[str, list[dict[str, Any]]]:
    """Precision, recall, F1 and support of every setup and phase."""
    setups = scores.per_class(SETUP_OF[charts.reading], SETUP_OF[charts.predicted], len(SETUPS))
    phases = scores.per_class(charts.phase, charts.predicted_phase, len(PHASES))
    return {
        facet: [
            {
                "name": str(name),
                "precision": rounded(table.precision[code]),
                "recall": rounded(table.recall[code]),
                "f1": rounded(table.f1[code]),
                "support": int(table.support[code]),
            }
            for code, name in enumerate(names)
        ]
        for facet, names, table in (("setup", SETUPS, setups), ("phase", PHASES, phases))
    }


def curves(charts: ScoredCharts, points: int = 40) -> dict[str, list[dict[str, Any]]]:
    """Reliability and risk-coverage, as few points as a plot needs."""
    answered = charts.take(~charts.abstained)
    table = scores.reliability(answered.confidence, answered.right)
    coverage, accuracy = scores.risk_coverage(charts.confidence, charts.right)
    plotted = np.unique(
        np.linspace(max(len(charts) // points, 1) - 1, len(charts) - 1, points, dtype=int)
    )
    return {
        "reliability": [
            {"said": rounded(said), "right": rounded(right), "n": int(count)}
            for said, right, count in zip(
                table.confidence, table.accuracy, table.count, strict=True
            )
        ],
        "risk_coverage": [
            {"coverage": rounded(coverage[at]), "accuracy": rounded(accuracy[at])} for at in plotted
        ],
    }


def compare_labels(charts: ScoredCharts, answers: BaselineAnswers) -> dict[str, Any]:
    """Macro-F1 of a baseline and of the model on the same charts, and the difference, by draws."""
    baseline = replace(charts, predicted=answers.reading, predicted_phase=answers.phase)
    figures = {"setup.macro_f1": setup_f1, "phase.macro_f1": phase_f1}
    return _compare(charts, baseline, figures, with_model=True)


def compare_outcomes(charts: ScoredCharts, bands: Bands) -> dict[str, Any]:
    """Outcome figures of other bands, and how far the model's skill is above theirs."""
    baseline = replace(charts, up=bands.up, low=bands.low, high=bands.high)
    figures = {
        name: figure
        for name, figure in MAIN.items()
        if name.startswith(("outcome.", "bands.")) and ".adaptive." not in name
    }
    return _compare(charts, baseline, figures, [name for name in figures if name.endswith(_SKILL)])


def compare_chances(charts: ScoredCharts, up: Floats) -> dict[str, Any]:
    """Skill of other chances of a rise (n, horizons), and how far the model's is above theirs.

    And how often the likelier side was right.
    """
    figures = {name: figure for name, figure in MAIN.items() if name.endswith(_SKILL)} | {
        f"outcome.{horizon}.side_accuracy": _side(column) for column, horizon in enumerate(HORIZONS)
    }
    return _compare(charts, replace(charts, up=up), figures)


_SKILL = "brier_skill"


def _compare(
    charts: ScoredCharts,
    baseline: ScoredCharts,
    figures: Mapping[str, Figure],
    compared: Collection[str] | None = None,
    *,
    with_model: bool = False,
) -> dict[str, Any]:
    """Figures of a baseline, and the model's less the baseline's, all from the same draws.

    Args:
        charts: the model's answers.
        baseline: the baseline's answers on the same charts.
        figures: what is measured.
        compared: figures whose difference is given; None gives all.
        with_model: whether the model's own figures are given as well.
    """
    shared = [name for name in figures if compared is None or name in compared]
    names = [*figures, *(f"model.{name}" for name in shared if with_model)]
    names += [f"model_minus.{name}" for name in shared]

    def measure(rows: Ints) -> list[float]:
        drawn, drawn_baseline = charts.take(rows), baseline.take(rows)
        of_baseline = {name: figure(drawn_baseline) for name, figure in figures.items()}
        of_model = {name: figures[name](drawn) for name in shared}
        return [
            *of_baseline.values(),
            *(of_model.values() if with_model else ()),
            *(of_model[name] - of_baseline[name] for name in shared),
        ]

    estimates = significance.bootstrap_all(
        measure, charts.block, draws=DRAWS, distances=distances(names)
    )
    return {"n": len(charts), **nest(dict(zip(names, estimates, strict=True)))}


def compare_answers(charts: ScoredCharts, answers: BaselineAnswers, up: Floats) -> dict[str, Any]:
    """Both `compare_labels` and `compare_chances`, of a baseline that answers both questions."""
    labels, rises = compare_labels(charts, answers), compare_chances(charts, up)
    return {**labels, **rises, "model_minus": labels["model_minus"] | rises["model_minus"]}


def _side(column: int) -> Figure:
    def accuracy(charts: ScoredCharts) -> float:
        move, up = charts.move[:, column], charts.up[:, column]
        known = np.isfinite(move) & np.isfinite(up)
        return mean((up > 0.5)[known] == (move > 0)[known])

    return accuracy


def nest(estimates_by_name: Mapping[str, Estimate]) -> dict[str, Any]:
    """Figures as a tree by the dots of their names, ready for JSON.

    >>> nest({"setup.macro_f1": Estimate(0.5, 0.4, float("nan"))})
    {'setup': {'macro_f1': {'value': 0.5, 'low': 0.4, 'high': None}}}
    """
    tree: dict[str, Any] = {}
    for name, estimate in estimates_by_name.items():
        *path, last = name.split(".")
        branch = tree
        for part in path:
            branch = branch.setdefault(part, {})
        branch[last] = to_json(estimate)
    return tree


def to_json(estimate: Estimate) -> dict[str, float | None]:
    """A figure and its interval as JSON has them."""
    return {key: rounded(value) for key, value in vars(estimate).items()}


def rounded(value: float, digits: int = 4) -> float | None:
    """A figure as JSON has it; None where it is undefined."""
    return round(float(value), digits) if np.isfinite(value) else None


def mean(values: NDArray[Any]) -> float:
    """Mean of what is known; NaN where nothing is."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")
