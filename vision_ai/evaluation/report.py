"""Figures as a page: Markdown with its plots as SVG text beside it, and a few lines for a terminal.

The content is the object that `vision-ai evaluate --json` prints; nothing is measured here.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from vision_ai import reports, storage

FIGURES = {
    "setup.macro_f1": "setup macro-F1",
    "setup.accuracy": "setup accuracy",
    "reading.macro_f1": "setup with direction, macro-F1",
    "phase.macro_f1": "phase macro-F1",
    "phase.accuracy": "phase accuracy",
    "clear_cut.setup.macro_f1": "setup macro-F1, clear-cut charts",
    "clear_cut.phase.macro_f1": "phase macro-F1, clear-cut charts",
    "clear_cut.share": "share of charts that are clear-cut",
    "confidence.ece": "calibration error of confidence (ECE)",
    "confidence.ece_noise": "ECE that perfect calibration would show by chance",
    "abstention.accuracy_at_50": "accuracy of the surest half",
    "abstention.share": "share of charts on which it abstains",
    "retrieval.precision_at_1": "first similar chart has the chart's own label",
    "retrieval.precision_at_5": "of the first 5 similar charts",
    "retrieval.precision_at_24": "of 24 similar charts",
    "bands.coverage_error_max": "worst coverage error of the bands",
    "bands.coverage_noise": "worst coverage error that exact bands would show by chance",
    "bands.coverage.2h": "coverage of the band, 2h",
    "bands.coverage.6h": "coverage of the band, 6h",
    "bands.width.2h": "mean width of the band, 2h",
    "bands.width.6h": "mean width of the band, 6h",
    "bands.adaptive.coverage_error_max": "worst coverage error of bands that follow drift",
    "bands.adaptive.coverage.2h": "coverage of the band that follows drift, 2h",
    "bands.adaptive.coverage.6h": "coverage of the band that follows drift, 6h",
    "outcome.2h.brier_skill": "Brier skill of the chance of a rise, 2h",
    "outcome.6h.brier_skill": "Brier skill of the chance of a rise, 6h",
}
"""Every figure of all charts and its name for people."""

AIMS = {
    "setup.macro_f1": 0.85,
    "phase.macro_f1": 0.90,
    "clear_cut.setup.macro_f1": 0.95,
    "clear_cut.phase.macro_f1": 0.97,
    "confidence.ece": -0.03,
    "abstention.accuracy_at_50": 0.97,
    "bands.coverage_error_max": -0.02,
    "bands.adaptive.coverage_error_max": -0.02,
}
"""Targets of the figures: at least so much, or at most where negative."""

PART = (
    "setup.macro_f1",
    "phase.macro_f1",
    "clear_cut.setup.macro_f1",
    "confidence.ece",
    "confidence.ece_noise",
    "abstention.accuracy_at_50",
    "bands.coverage_error_max",
    "bands.coverage_noise",
)
"""Figures of every part, in the first table."""

OUTCOME_PART = (
    "bands.coverage.2h",
    "bands.coverage.6h",
    "bands.width.2h",
    "bands.width.6h",
    "bands.adaptive.coverage_error_max",
    "outcome.2h.brier_skill",
    "outcome.6h.brier_skill",
    "retrieval.precision_at_5",
)
"""More figures of every part, in a table of their own."""

DRIFT = """Bands that follow drift are the same bands, widened by a tracker of interval, horizon
and volatility from the outcomes that were complete when each chart was seen. They are a replay: a
stored version's bands move only where the feedback loop's gate allows it. Terciles in hindsight are
of all charts; those at the time are of the charts before each, which is all that a tracker can
know."""

BASELINES = {
    "majority": "the commonest label",
    "zero_shot_prompts": "prompts alone, zero shot",
    "pixel_knn": "similar charts by pixels",
    "returns_knn": "similar charts by z-scored returns",
    "dtw_knn": "similar charts by dynamic time warping",
    "linear_probe": "linear probe on the frozen tower",
    "untrained_tower_probe": "linear probe on the same tower, untrained",
    "price_trends_cnn": "CNN of price-trend images (Jiang, Kelly and Xiu 2023)",
    "rule_facts": "LightGBM on the rule book's facts (ceiling)",
}


BASELINE_RULES = """The difference is the model less the baseline on the same charts and draws. All
learn from, or vote with, the same exemplars under the same purge. The probe and the trees weigh
them by how often each reading occurs in the candles. Time warping, the untrained tower and the
price-trend CNN are slow: they answer a random part of the charts, and the model is measured beside
them on that part; time warping looks at a random part of the exemplars as well."""


def find_figure(content: Mapping[str, Any], name: str) -> Any:
    """One figure by the dots of its name; None where it is not there."""
    value: Any = content
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def summary(content: Mapping[str, Any]) -> list[str]:
    """A few lines for a terminal."""
    method = content["method"]
    wide = max(map(len, FIGURES.values())) + 2
    rows = [
        f"{label:<{wide}}{format_estimate(find_figure(content, name))}"
        for name, label in FIGURES.items()
        if find_figure(content, name) is not None
    ]
    return [
        f"{content['n']} charts of {len(method['symbols'])} symbols in {method['klines']}, "
        f"{method['first'][:10]} to {method['until'][:10]}; "
        f"{method['windows_leaking']} of {method['windows']} windows left out (seen in training).",
        f"Model {method['model']}, index {method['index'][:12]}.",
        *verdict(content),
        "",
        *rows,
    ]


def verdict(content: Mapping[str, Any]) -> list[str]:
    """The first sentences: whether outcome forecasts beat chance, and which aims were missed."""
    sentences = []
    for horizon in ("2h", "6h"):
        skill = find_figure(content, f"outcome.{horizon}.brier_skill")
        if not skill or skill["low"] is None:
            continue
        estimate = format_estimate(skill, 4)
        if skill["low"] > 0:
            sentences.append(f"Outcome skill at {horizon} is above zero: {estimate}.")
        elif skill["high"] < 0:
            sentences.append(
                f"Outcome chances at {horizon} are worse than the base rate: {estimate}."
            )
        else:
            sentences.append(f"Outcome skill at {horizon} is not different from zero: {estimate}.")
    if missed := list(_missed(content)):
        sentences.append(f"Aims missed: {'; '.join(missed)}.")
    return sentences


def _missed(content: Mapping[str, Any]) -> Iterable[str]:
    for name, aim in AIMS.items():
        if (estimate := find_figure(content, name)) is not None:
            bound, reached = check_aim(aim, estimate)
            if reached == "no":
                yield f"{FIGURES[name]} {format_estimate(estimate, 4)}, aimed for {bound}"


def write(folder: Path, content: Mapping[str, Any]) -> Path:
    """Write `report.md`, `reliability.svg` and `risk_coverage.svg`; returns the first.

    Raises:
        StorageError: a file could not be written.
    """
    for name, plot in plots(content).items():
        storage.write_text(folder / f"{name}.svg", plot)
    page = "# How well charts are read\n\n" + section(content)
    storage.write_text(folder / "report.md", page)
    return folder / "report.md"


def plots(content: Mapping[str, Any]) -> dict[str, str]:
    """SVG text of the reliability plot and of the risk-coverage curve, by name."""
    curves = content["curves"]
    reliability = [(bin_["said"], bin_["right"]) for bin_ in curves["reliability"]]
    risk = [(point["coverage"], point["accuracy"]) for point in curves["risk_coverage"]]
    return {
        "reliability": reports.plot(
            "confidence",
            "right",
            [
                reports.line([(0, 0), (1, 1)], reports.GRAY, dashed=True),
                reports.line(reliability),
            ],
        ),
        "risk_coverage": reports.plot("share of charts answered", "right", [reports.line(risk)]),
    }


def section(content: Mapping[str, Any], *, plot: str = "") -> str:
    """Everything measured on one folder as Markdown.

    Args:
        content: what was measured.
        plot: what the names of the plots begin with.
    """
    parts = [
        *verdict(content),
        "### Figures",
        reports.table(["figure", "value (95 % interval)", "aim", "reached"], _figures(content)),
        "### Against the baselines",
        BASELINE_RULES,
        _budgets(content),
        reports.table(
            ["baseline", "charts", *(f"{f}{c}" for f in ("setup", "phase") for c in _COLUMNS)],
            _baseline_rows(content),
        ),
        _outcome_table(content),
        _not_measured(content),
        "### Parts",
        reports.table(["part", "charts", *(FIGURES[name] for name in PART)], _parts(content)),
        reports.table(
            ["part", "charts", *(FIGURES[name] for name in OUTCOME_PART)],
            _parts(content, OUTCOME_PART),
        ),
        "### Classes",
        reports.table(["class", "precision", "recall", "F1", "charts"], _classes(content)),
        "### Bands",
        reports.table(
            [
                "terciles",
                "horizon",
                "interval",
                "volatility",
                "charts",
                "meant",
                "held",
                "width",
                "held, following drift",
                "width",
            ],
            _bands(content),
        ),
        DRIFT,
        "### Confidence",
        f"![confidence against how often it was right]({plot}reliability.svg)",
        f"![accuracy as ever less sure answers are added]({plot}risk_coverage.svg)",
        "### Method",
        reports.table(["what", "value"], method(content)),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def format_estimate(estimate: Any, digits: int = 3) -> str:
    """A figure with its interval, as text."""
    if not isinstance(estimate, Mapping) or estimate.get("value") is None:
        return "-"
    value, low, high = (
        ""
        if estimate[part] is None
        else f"{round(estimate[part], digits) + 0.0:.{digits}f}"  # no -0.0
        for part in ("value", "low", "high")
    )
    return f"{value} ({low} to {high})" if low else value


def _figures(content: Mapping[str, Any]) -> Iterable[Sequence[str]]:
    for name, label in FIGURES.items():
        if (estimate := find_figure(content, name)) is not None:
            yield (
                label,
                format_estimate(estimate),
                *(check_aim(AIMS[name], estimate) if name in AIMS else ("", "")),
            )


def check_aim(aim: float, estimate: Mapping[str, float | None]) -> tuple[str, str]:
    """What was aimed for and whether it was reached; a negative aim is a bound from above.

    >>> check_aim(0.97, {"value": 0.98}), check_aim(-0.03, {"value": 0.05})
    (('at least 0.97', 'yes'), ('at most 0.03', 'no'))
    """
    bound = f"at least {aim:g}" if aim > 0 else f"at most {-aim:g}"
    value = estimate["value"]
    if value is None:
        return bound, "-"
    return bound, "yes" if (value >= aim if aim > 0 else value <= -aim) else "no"


_COLUMNS = ("", ": this model", ": difference")


def _baseline_rows(content: Mapping[str, Any]) -> Iterable[Sequence[str]]:
    for name, label in BASELINES.items():
        if (baseline := content["baselines"].get(name)) is None:
            continue
        cells = [
            format_estimate(find_figure(baseline, f"{side}{facet}.macro_f1"))
            for facet in ("setup", "phase")
            for side in ("", "model.", "model_minus.")
        ]
        yield label, str(baseline["n"]), *cells


def _outcome_table(content: Mapping[str, Any]) -> str:
    columns = {
        "similar charts": content,
        "random charts of the same volatility": content["baselines"].get("same_regime"),
        "price-trend CNN": content["baselines"].get("price_trends_cnn"),
    }
    there = {name: column for name, column in columns.items() if column is not None}
    if len(there) < 2:
        return ""
    names = ("outcome.2h.brier_skill", "outcome.6h.brier_skill", "bands.coverage_error_max",
             "bands.width.2h", "bands.width.6h")  # fmt: skip
    rows = [
        (
            FIGURES[name],
            *(format_estimate(find_figure(column, name), 4) for column in there.values()),
        )
        for name in names
    ]
    return reports.table(["outcome", *there], rows)


def _budgets(content: Mapping[str, Any]) -> str:
    """What the trained baseline cost, without which its figure says little."""
    cnn = content["baselines"].get("price_trends_cnn")
    if cnn is None:
        return ""
    return (
        f"The price-trend CNN ({cnn['parameters']:,} parameters) learned each of its two tasks, "
        f"labels and rises, from {cnn['charts_seen']:,} pictures of the model's training windows, "
        "in the paper's own format of 3 columns a candle, 96 x 288. The paper's nets are 16 times "
        "as heavy and saw millions."
    )


def _not_measured(content: Mapping[str, Any]) -> str:
    missing = content["baselines"].get("not_measured", {})
    if not missing:
        return ""
    return "Not measured: " + "; ".join(f"{name} ({why})" for name, why in missing.items()) + "."


def _parts(content: Mapping[str, Any], names: Sequence[str] = PART) -> Iterable[Sequence[str]]:
    for facet, values in content["by"].items():
        for value, part in values.items():
            yield (
                f"{facet} {value}",
                str(part["n"]),
                *(format_estimate(find_figure(part, n)) for n in names),
            )


def _classes(content: Mapping[str, Any]) -> Iterable[Sequence[str]]:
    for facet, rows in content["classes"].items():
        for row in rows:
            cells = [f"{row[key]:.3f}" for key in ("precision", "recall", "f1")]
            yield f"{facet} {row['name']}", *cells, str(row["support"])


def _bands(content: Mapping[str, Any]) -> Iterable[Sequence[str]]:
    for row in content["coverage"]:
        yield (
            row["terciles"],
            row["horizon"],
            row["interval"],
            row["volatility"],
            str(row["n"]),
            f"{row['meant']:.0%}",
            format_estimate(row["held"]),
            _percent(row["width"]),
            format_estimate(row["held_adaptive"]),
            _percent(row["width_adaptive"]),
        )


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.2%}"


def method(content: Mapping[str, Any]) -> Iterable[Sequence[str]]:
    """What was measured on what, how it was split and drawn, and by which version."""
    facts = content["method"]
    seen = "; ".join(
        f"{s['what']}: {s['symbols']} symbols, {s['first'][:10]} to {s['until'][:10]}"
        for s in facts["seen"]
    )
    yield "candles", f"{facts['klines']}, SHA-256 {facts['data'][:16]}"
    yield "symbols", ", ".join(facts["symbols"])
    yield "time", f"{facts['first']} to {facts['until']}"
    yield "charts", ", ".join(f"{count} of {name}" for name, count in facts["intervals"].items())
    yield "seen by the model", seen
    yield (
        "left out",
        f"{facts['windows_leaking']} of {facts['windows']} windows that share time with what the "
        f"model has seen, {facts['embargo_h']:g} h of embargo around it, whatever the symbol",
    )
    yield "drawn", f"at random, seed {facts['seed']}, at most {facts['limit']}"
    yield (
        "similar charts",
        f"{facts['exemplars']} charts; none that shares time with a chart, its outcome or "
        f"{facts['embargo_h']:g} h around them",
    )
    yield (
        "intervals",
        f"95 %, {facts['draws']} resamples of {facts['blocks']} blocks (a symbol's week)",
    )
    yield "model", facts["model"]
    yield "index", facts["index"][:16]
    yield "calibration", facts["calibration"]
    yield "rule book", f"version {facts['rules']}"
