"""A review as Markdown, with its plots as SVG text: no drawing library is needed for two lines."""

from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path

from vision_ai import storage
from vision_ai.feedback.figures import Bin, Call, Coverage, Rate, Review

_WIDTH, _HEIGHT, _MARGIN = 480, 320, 44
_COLOURS = {"2h": "#2563eb", "6h": "#d97706"}


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
        "Confidence speaks of the setup, not of the target; the gap is shown, not corrected.",
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
        _table(["reason", "lines"], ([k, str(v)] for k, v in review.unjudged.items())),
        "## Not counted",
        _table(["file", "line", "reason"], ([b.path, str(b.number), b.reason] for b in review.bad)),
    ]
    return "\n\n".join(parts) + "\n"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    body = ["| " + " | ".join(_cell(cell) for cell in row) + " |" for row in rows]
    if not body:
        return "None."
    return "\n".join(["| " + " | ".join(head) + " |", "|" + "---|" * len(head), *body])


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _rate(rate: Rate) -> str:
    if rate.rate is None:
        return "-"
    return f"{rate.rate:.1%} ({rate.low:.1%} to {rate.high:.1%})"


def _cut_table(review: Review) -> str:
    head = ["slice", "horizon", "calls", "days", "hit rate", "confidence", "first"]
    return _table(
        head,
        (
            [
                cut.value if cut.facet == "all" else f"{cut.facet} {cut.value}",
                cut.horizon.value,
                str(cut.hits.n),
                str(cut.days),
                _rate(cut.hits),
                f"{cut.confidence:.2f}",
                ", ".join(f"{name} {count}" for name, count in cut.verdicts.items()),
            ]
            for cut in review.cuts
        ),
    )


def _bin_table(bins: list[Bin]) -> str:
    rows = (
        [b.horizon.value, f"{b.low:.1f}-{b.high:.1f}", f"{b.confidence:.2f}", _rate(b.hits)]
        for b in bins
    )
    return _table(["horizon", "confidence", "mean", "hit rate"], rows)


def _coverage_table(coverage: list[Coverage]) -> str:
    rows = (
        [c.horizon.value, f"{c.nominal:.0%}", str(c.covered.n), _rate(c.covered)]
        for c in coverage
        if c.day == "all"
    )
    return _table(["horizon", "meant", "bands", "held"], rows)


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
    return _table(head, rows)


def calibration_plot(bins: list[Bin]) -> str:
    """Hit rate over confidence, one line per horizon, the diagonal dashed: SVG text."""
    marks = [_line([(0, 0), (1, 1)], "#9ca3af", dashed=True)]
    for name, colour in _COLOURS.items():
        points = [(b.confidence, b.hits.rate or 0.0) for b in bins if b.horizon == name]
        marks.append(_line(points, colour))
    return _plot("confidence", "hit rate", marks)


def coverage_plot(coverage: list[Coverage]) -> str:
    """Share of bands that held, day by day, the nominal level dashed: SVG text.

    Days stand where they lie in time; pointing at one says how many bands it rests on.
    """
    daily = [c for c in coverage if c.day != "all"]
    days = sorted({date.fromisoformat(c.day) for c in daily})
    length = max(1, (days[-1] - days[0]).days) if days else 1
    marks = [
        _line([(0, level), (1, level)], "#9ca3af", dashed=True)
        for level in sorted({c.nominal for c in daily})
    ]
    for name, colour in _COLOURS.items():
        own = [c for c in daily if c.horizon == name]
        places = [(date.fromisoformat(c.day) - days[0]).days / length for c in own]
        rates = [c.covered.rate or 0.0 for c in own]
        said = [
            f"<title>{c.day}: {rate:.0%} of {c.covered.n}</title>"
            for c, rate in zip(own, rates, strict=True)
        ]
        marks.append(_line(list(zip(places, rates, strict=True)), colour, said=said))
    span = f"{days[0]} to {days[-1]}" if days else "no days"
    return _plot(span, "coverage", marks)


def _line(
    points: list[tuple[float, float]],
    colour: str,
    *,
    dashed: bool = False,
    said: Sequence[str] = (),
) -> str:
    """A line with a dot at each point; `said` is what each dot holds, such as a title."""
    places = [
        (_MARGIN + x * (_WIDTH - 2 * _MARGIN), _HEIGHT - _MARGIN - y * (_HEIGHT - 2 * _MARGIN))
        for x, y in points
    ]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    dash = ' stroke-dasharray="5 4"' if dashed else ""
    line = f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>'
    if dashed:
        return line
    dots = (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}">{what}</circle>'
        for (x, y), what in zip(places, said or [""] * len(places), strict=True)
    )
    return "\n".join([line, *dots])


def _plot(across: str, up: str, marks: list[str]) -> str:
    box = _WIDTH - 2 * _MARGIN, _HEIGHT - 2 * _MARGIN
    legend = (
        f'<text x="{_WIDTH - _MARGIN - 70 + 36 * i}" y="{_MARGIN - 12}" fill="{c}">{name}</text>'
        for i, (name, c) in enumerate(_COLOURS.items())
    )
    ticks = (
        f'<text x="8" y="{_HEIGHT - _MARGIN - y * box[1] + 4:.0f}">{y:.1f}</text>'
        for y in (0.0, 0.5, 1.0)
    )
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
            'font-family="sans-serif" font-size="12">',
            '<rect width="100%" height="100%" fill="white"/>',
            f'<rect x="{_MARGIN}" y="{_MARGIN}" width="{box[0]}" height="{box[1]}" '
            'fill="none" stroke="#d1d5db"/>',
            f'<text x="{_WIDTH / 2:.0f}" y="{_HEIGHT - 12}" text-anchor="middle">{across}</text>',
            f'<text x="{_MARGIN}" y="{_MARGIN - 12}">{up}</text>',
            *legend,
            *ticks,
            *marks,
            "</svg>",
            "",
        ]
    )
