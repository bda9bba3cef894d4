"""What the logs say: hit rates, calibration, coverage, the best and the worst calls.

Horizons are never mixed: the 2h and the 6h outcome of one prediction are no two experiments.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from pathlib import Path

from pydantic import Field

from vision_ai import reports, storage
from vision_ai.domain import HORIZONS, Horizon, Interval
from vision_ai.measures.significance import wilson_interval
from vision_ai.records import BadLine, Feedback, Finite, IsoTime, Probability, Record, SymbolText

BINS = 10
"""Confidence bins of equal width."""

_COLORS = {"2h": reports.BLUE, "6h": reports.ORANGE}


class Rate(Record):
    """A share with its 95 % Wilson interval; null where nothing was counted."""

    n: int = Field(ge=0)
    hits: int = Field(ge=0)
    rate: Probability | None
    low: Probability | None
    high: Probability | None


class Cut(Record):
    """Verdicts of one slice of the logs at one horizon."""

    facet: str
    value: str
    horizon: Horizon
    hits: Rate
    verdicts: dict[str, int] = Field(description="target, stop, neither, ambiguous")
    confidence: Probability | None = Field(description="mean of the calls that were judged")
    days: int = Field(description="distinct UTC days: overlapping calls are not independent")


class Bin(Record):
    """Calls whose confidence lies in [low, high)."""

    horizon: Horizon
    low: Probability
    high: Probability
    confidence: Probability = Field(description="mean confidence of the calls in it")
    hits: Rate


class Coverage(Record):
    """How often the outcome band held the price, in one UTC day or in all."""

    day: str
    horizon: Horizon
    nominal: Probability
    covered: Rate


class Call(Record):
    """One judged call with where to look at its chart."""

    symbol: SymbolText
    as_of: IsoTime
    horizon: Horizon
    interval: Interval
    setup: str
    direction: str
    confidence: Probability
    gain: Finite = Field(description="move in the setup's direction at the horizon's end")
    first: str
    chart: str | None


class Filters(Record):
    """Which lines are looked at; fields left out match anything. Times bound `as_of`."""

    symbols: tuple[SymbolText, ...] = ()
    since: IsoTime | None = None
    until: IsoTime | None = Field(default=None, description="exclusive")
    horizon: Horizon | None = None
    interval: Interval | None = None

    def match(self, line: Feedback) -> bool:
        """Whether a line is looked at."""
        return (
            (not self.symbols or line.symbol in self.symbols)
            and (self.since is None or line.as_of >= self.since)
            and (self.until is None or line.as_of < self.until)
            and self.horizon in (None, line.horizon)
            and self.interval in (None, line.interval)
        )


class Review(Record):
    """What the logs say, as one document."""

    filters: Filters
    lines: int
    predictions: int
    unjudged: dict[str, int] = Field(description="lines without a verdict, by reason")
    cuts: list[Cut]
    calibration: list[Bin]
    calibration_error: dict[Horizon, Probability] = Field(
        description="mean |confidence - hit rate| over bins, weighted by calls"
    )
    coverage: list[Coverage] = Field(description="by day, and `all`")
    best: list[Call]
    worst: list[Call]
    bad: list[BadLine] = Field(description="lines that were not counted")


def wilson(hits: int, n: int) -> Rate:
    """Share of hits with its 95 % interval (Wilson 1927), which stays inside [0, 1].

    >>> wilson(8, 10).low, wilson(8, 10).high
    (0.4902, 0.9433)
    """
    if not n:
        return Rate(n=0, hits=0, rate=None, low=None, high=None)
    low, high = wilson_interval(hits, n)
    return Rate(n=n, hits=hits, rate=round(hits / n, 4), low=round(low, 4), high=round(high, 4))


def review(
    lines: Iterable[Feedback],
    filters: Filters | None = None,
    *,
    bad: Sequence[BadLine] = (),
    calls: int = 5,
) -> Review:
    """Sum up the logs.

    Args:
        lines: intact lines, as `read_logs` gives them.
        filters: which of them to look at.
        bad: lines that are not counted; they are named in the result.
        calls: how many best and worst calls to list.
    """
    filters = filters or Filters()
    chosen = [line for line in lines if filters.match(line)]
    judged = [line for line in chosen if line.success is not None]
    unjudged = Counter(_short(line.reason) for line in chosen if line.success is None)
    ranked = sorted((_call(line) for line in judged if line.move is not None), key=_gain)
    bins = _bins(judged)
    return Review(
        filters=filters,
        lines=len(chosen),
        predictions=len({(line.symbol, line.as_of) for line in chosen}),
        unjudged=dict(sorted(unjudged.items())),
        cuts=_cuts(judged),
        calibration=bins,
        calibration_error={h: _error(bins, h) for h in _horizons(judged)},
        coverage=_coverage(chosen),
        best=[call for call in ranked[::-1] if call.gain > 0][:calls],
        worst=[call for call in ranked if call.gain < 0][:calls],
        bad=list(bad),
    )


_FACETS: dict[str, Callable[[Feedback], str]] = {
    "all": lambda _: "all",
    "setup": lambda line: line.setup.value,
    "direction": lambda line: line.direction.value,
    "phase": lambda line: line.phase.value,
    "interval": lambda line: line.interval.value,
    "confidence": lambda line: _bin_name(bin_of(line.confidence)),
    "model": lambda line: line.model_version,
}


def _cuts(judged: list[Feedback]) -> list[Cut]:
    slices: dict[tuple[str, str, Horizon], list[Feedback]] = {}
    for line in judged:
        for facet, value in _FACETS.items():
            slices.setdefault((facet, value(line), line.horizon), []).append(line)
    order = list(_FACETS)
    names = sorted(slices, key=lambda name: (order.index(name[0]), name[1], name[2]))
    return [_cut(name, slices[name]) for name in names]


def _cut(name: tuple[str, str, Horizon], lines: list[Feedback]) -> Cut:
    facet, value, horizon = name
    return Cut(
        facet=facet,
        value=value,
        horizon=horizon,
        hits=_hits(lines),
        verdicts=dict(sorted(Counter(str(line.first) for line in lines).items())),
        confidence=_mean_confidence(lines),
        days=len({line.as_of[:10] for line in lines}),
    )


def _hits(lines: Sequence[Feedback]) -> Rate:
    return wilson(sum(bool(line.success) for line in lines), len(lines))


def _mean_confidence(lines: Sequence[Feedback]) -> float:
    return round(math.fsum(line.confidence for line in lines) / len(lines), 4)


def bin_of(confidence: float) -> int:
    """Number of the confidence bin, from 0; exactly 1.0 falls into the last."""
    return min(BINS - 1, int(confidence * BINS + 1e-9))


def _bin_name(number: int) -> str:
    return f"{number / BINS:.1f}-{(number + 1) / BINS:.1f}"


def _bins(judged: list[Feedback]) -> list[Bin]:
    slices: dict[tuple[Horizon, int], list[Feedback]] = {}
    for line in judged:
        slices.setdefault((line.horizon, bin_of(line.confidence)), []).append(line)
    return [
        Bin(
            horizon=horizon,
            low=number / BINS,
            high=(number + 1) / BINS,
            confidence=_mean_confidence(slices[horizon, number]),
            hits=_hits(slices[horizon, number]),
        )
        for horizon, number in sorted(slices)
    ]


def _error(bins: list[Bin], horizon: Horizon) -> float:
    own = [b for b in bins if b.horizon is horizon]
    total = sum(b.hits.n for b in own)
    gaps = sum(abs(b.confidence * b.hits.n - b.hits.hits) for b in own)
    return float(round(gaps / total, 4))


def _horizons(lines: list[Feedback]) -> list[Horizon]:
    present = {line.horizon for line in lines}
    return [horizon for horizon in HORIZONS if horizon in present]


def _coverage(lines: list[Feedback]) -> list[Coverage]:
    slices: dict[tuple[str, Horizon, float], list[Feedback]] = {}
    for line in lines:
        if line.covered is not None and line.level is not None:
            for day in (line.as_of[:10], "all"):
                slices.setdefault((day, line.horizon, line.level), []).append(line)
    return [
        Coverage(
            day=day,
            horizon=horizon,
            nominal=level,
            covered=wilson(sum(bool(line.covered) for line in own), len(own)),
        )
        for (day, horizon, level), own in sorted(slices.items())
    ]


def _call(line: Feedback) -> Call:
    return Call(
        symbol=line.symbol,
        as_of=line.as_of,
        horizon=line.horizon,
        interval=line.interval,
        setup=line.setup,
        direction=line.direction,
        confidence=line.confidence,
        gain=line.direction.sign * (line.move or 0.0),
        first=str(line.first),
        chart=line.chart,
    )


def _gain(call: Call) -> tuple[float, str, str, str]:
    return call.gain, call.symbol, call.as_of, call.horizon


def _short(reason: str) -> str:
    return reason.split(":", maxsplit=1)[0]


def write(folder: Path, review: Review, *, data_root: str = "../..") -> Path:
    """Write `report.md`, `calibration.svg` and `coverage.svg`; returns the path of the first.

    Args:
        folder: where to write.
        review: what to write.
        data_root: how chart pictures are reached from `folder`.

    Raises:
        StorageError: a file could not be written.
    """
    storage.write_text(folder / "calibration.svg", calibration_plot(review.calibration))
    storage.write_text(folder / "coverage.svg", coverage_plot(review.coverage))
    storage.write_text(folder / "report.md", markdown(review, data_root=data_root))
    return folder / "report.md"


def markdown(review: Review, *, data_root: str = "../..") -> str:
    """The review as one Markdown page; its two plots are expected beside it."""
    parts = [
        "# What became of the predictions",
        f"{review.predictions} predictions, {review.lines} lines. A hit reached its target before "
        "its stop. Intervals are 95 % Wilson; calls of the same days overlap, so the truth is "
        "less certain than they say.",
        "## Hit rate",
        _cut_table(review),
        "## Calibration",
        "Confidence is about the setup, not about the target; the gap is shown, not corrected.",
        "![confidence against hit rate](calibration.svg)",
        _bin_table(review.calibration),
        "## Coverage of the outcome bands",
        "![coverage by day](coverage.svg)",
        _coverage_table(review.coverage),
        "## Best calls",
        _call_table(review.best, data_root),
        "## Worst calls",
        _call_table(review.worst, data_root),
        "## Not judged",
        reports.table(["reason", "lines"], ([k, str(v)] for k, v in review.unjudged.items())),
        "## Not counted",
        reports.table(
            ["file", "line", "reason"], ([b.path, str(b.number), b.reason] for b in review.bad)
        ),
    ]
    return "\n\n".join(parts) + "\n"


def _share(rate: Rate) -> str:
    if rate.rate is None:
        return "-"
    return f"{rate.rate:.1%} ({rate.low:.1%} to {rate.high:.1%})"


def _cut_table(review: Review) -> str:
    head = ["slice", "horizon", "calls", "days", "hit rate", "confidence", "first"]
    return reports.table(
        head,
        (
            [
                cut.value if cut.facet == "all" else f"{cut.facet} {cut.value}",
                cut.horizon.value,
                str(cut.hits.n),
                str(cut.days),
                _share(cut.hits),
                f"{cut.confidence:.2f}",
                ", ".join(f"{name} {count}" for name, count in cut.verdicts.items()),
            ]
            for cut in review.cuts
        ),
    )


def _bin_table(bins: list[Bin]) -> str:
    rows = (
        [b.horizon.value, f"{b.low:.1f}-{b.high:.1f}", f"{b.confidence:.2f}", _share(b.hits)]
        for b in bins
    )
    return reports.table(["horizon", "confidence", "mean", "hit rate"], rows)


def _coverage_table(coverage: list[Coverage]) -> str:
    rows = (
        [c.horizon.value, f"{c.nominal:.0%}", str(c.covered.n), _share(c.covered)]
        for c in coverage
        if c.day == "all"
    )
    return reports.table(["horizon", "meant", "bands", "held"], rows)


def _call_table(calls: list[Call], data_root: str) -> str:
    rows = (
        [
            f"{call.symbol} {call.as_of}",
            call.horizon.value,
            f"{call.setup} {call.direction}",
            f"{call.confidence:.2f}",
            f"{call.gain:+.2%}",
            call.first,
            f"[{call.interval}]({data_root}/{call.chart})" if call.chart else "-",
        ]
        for call in calls
    )
    head = ["call", "horizon", "setup", "confidence", "gain", "first", "chart"]
    return reports.table(head, rows)


def calibration_plot(bins: list[Bin]) -> str:
    """Hit rate over confidence, one line per horizon, the diagonal dashed: SVG text."""
    lines = [reports.line([(0, 0), (1, 1)], reports.GRAY, dashed=True)]
    for name, color in _COLORS.items():
        points = [(b.confidence, b.hits.rate or 0.0) for b in bins if b.horizon == name]
        lines.append(reports.line(points, color))
    return reports.plot("confidence", "hit rate", lines, legend=_COLORS)


def coverage_plot(coverage: list[Coverage]) -> str:
    """Share of bands that held the price, by day, the nominal level dashed: SVG text.

    Days lie on the x axis by date; a pointer on a dot shows how many bands it rests on.
    """
    daily = [c for c in coverage if c.day != "all"]
    days = sorted({date.fromisoformat(c.day) for c in daily})
    length = max(1, (days[-1] - days[0]).days) if days else 1
    lines = [
        reports.line([(0, level), (1, level)], reports.GRAY, dashed=True)
        for level in sorted({c.nominal for c in daily})
    ]
    for name, color in _COLORS.items():
        own = [c for c in daily if c.horizon == name]
        dates = [(date.fromisoformat(c.day) - days[0]).days / length for c in own]
        rates = [c.covered.rate or 0.0 for c in own]
        titles = [
            f"{c.day}: {rate:.0%} of {c.covered.n}" for c, rate in zip(own, rates, strict=True)
        ]
        points = list(zip(dates, rates, strict=True))
        lines.append(reports.line(points, color, titles=titles))
    span = f"{days[0]} to {days[-1]}" if days else "no days"
    return reports.plot(span, "coverage", lines, legend=_COLORS, x_ticks=False)
