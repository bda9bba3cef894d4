"""Predictions, scans, decisions and searches as lines for a terminal."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from vision_ai.domain import Direction, Horizon, Setup
from vision_ai.pipeline.decide import DecideResult
from vision_ai.pipeline.demo import DemoResult
from vision_ai.pipeline.predict import PredictResult, ScanResult, SnapshotResult, SymbolResult
from vision_ai.pipeline.search import SearchResult, SimilarChart
from vision_ai.records import Band, IntervalReading, Prediction
from vision_ai.trader_decision import INVERTED

KEPT_AS_STORED = (
    "is kept as it was stored, though it would be another now: predictions are never rewritten. "
    "Other settings, and what was learned since, count from the next candle on."
)


def format_snapshot(result: SnapshotResult) -> list[str]:
    """The path of each picture."""
    return [path for paths in result.charts.values() for path in paths]


def format_symbol(result: SymbolResult, root: Path) -> list[str]:
    """Everything about one symbol; `root` is the data root that charts lie under."""
    lines = _format_prediction(result.prediction, root, result.path)
    if result.would_be_other:
        lines.append(f"The prediction of {result.prediction.created_at} {KEPT_AS_STORED}")
    return lines


def format_demo(result: DemoResult, root: Path) -> list[str]:
    """The prediction of a simulated symbol, said to be simulated first."""
    return [
        f"These candles are simulated (seed {result.seed}): nothing here ever traded.",
        "",
        *format_symbol(result, root),
    ]


def format_image(result: PredictResult, root: Path, *, interval_given: bool) -> list[str]:
    """What a picture shows; a bare one has neither dates nor prices."""
    prediction = result.prediction
    lines = _format_prediction(prediction, root, None)
    reading = prediction.intervals[prediction.lead_interval]
    if reading.last_close is None:
        source = "as given" if interval_given else "a guess: give it with --interval"
        lines += [
            f"Read off a bare picture: {reading.interval} is {source}; it has no dates and no "
            "price scale, so",
            "the time is now and there are no outcome bands. Lossy pictures (JPEG) can mislead.",
        ]
    return lines


def format_scan(result: ScanResult) -> list[str]:
    """One line a symbol, the most confident setups first, with the interval that leads."""
    ranked = sorted(
        result.documents.values(), key=lambda p: (p.setup is Setup.NONE, -p.confidence, p.symbol)
    )
    width = max([16, *(len(p.symbol) + 2 for p in ranked)])
    lines = [f"{'symbol':<{width}}{'on':<5}{'setup':<30}{'phase':<14}{'confidence':<12}as of"]
    lines += [
        f"{p.symbol:<{width}}{p.lead_interval:<5}{_setup(p.setup, p.direction):<30}{p.phase:<14}"
        f"{_confidence(p.confidence, abstained=p.abstained):<12}{p.as_of}"
        for p in ranked
    ]
    if result.would_be_other:
        lines.append(f"{', '.join(result.would_be_other)}: each {KEPT_AS_STORED}")
    return lines


def format_decision(result: DecideResult) -> list[str]:
    """The decision, its contributions and its reasons."""
    return [
        f"{result.symbol}: {result.decision}, score {result.final_score:.2f}, grade {result.grade}",
        *(_contribution(name, part) for name, part in result.score_breakdown.items()),
        "Because:",
        *(f"  {reason}" for reason in result.decision_reasons),
    ]


def format_search(result: SearchResult) -> list[str]:
    """The query, then one line a chart."""
    if result.as_of is None:
        query = repr(result.query)
        if result.unknown_words:
            query += f" (unknown words, not understood: {', '.join(result.unknown_words)})"
    else:
        query = f"{result.query.strip().upper()} {result.interval} as of {result.as_of}"
    lines = [f"Charts most like {query}:", *map(_similar, result.found)]
    if result.sheet is not None:
        count = len(result.found)
        lines.append(f"{result.sheet}: the candles of {result.drawn} of {count} were here")
    return lines


def _format_prediction(prediction: Prediction, root: Path, path: str | None) -> list[str]:
    """Everything a trader asks of one prediction, the lead first."""
    lines = [
        f"{prediction.symbol} as of {prediction.as_of} ({prediction.venue})",
        f"  Setup      {_setup(prediction.setup, prediction.direction)}",
        f"  Phase      {prediction.phase}",
        f"  Confidence {_confidence(prediction.confidence, abstained=prediction.abstained)}",
        "",
    ]
    for reading in prediction.intervals.values():
        lines += _interval(reading, leads=reading.interval is prediction.lead_interval)
    for reading in prediction.intervals.values():
        if reading.chart:
            lines.append(f"Chart      {root / reading.chart}")
    if path:
        lines.append(f"Prediction {path}")
    return lines


def _interval(reading: IntervalReading, *, leads: bool) -> list[str]:
    setup = _setup(reading.setup, reading.direction)
    confidence = _confidence(reading.confidence, abstained=reading.abstained)
    head = f"{reading.interval}{' (leads)' if leads else ''}"
    lines = [f"{head}: {setup}, {reading.phase}, {confidence}"]
    if reading.abstained_because:
        lines.append(f"  abstains because {reading.abstained_because}")
    lines += _annotations(reading)
    lines += [f"  {horizon}: {_band(band)}" for horizon, band in reading.outcome.items()]
    if reading.neighbors:
        lines.append("  similar charts, and what price did in the next 2h and 6h:")
    for neighbor in reading.neighbors:
        lines.append(
            f"    {neighbor.similarity:.3f}  {neighbor.symbol:<12}{neighbor.as_of}  "
            f"{_setup(neighbor.setup, neighbor.direction):<30}{_moves(neighbor.moves)}"
        )
    return [*lines, ""]


def _annotations(reading: IntervalReading) -> Iterator[str]:
    effect = reading.unadjusted
    if effect is None:
        return
    for note in effect.annotations:
        yield (
            f"  {note.who} called {note.symbol} {note.as_of} (similarity {note.similarity:.3f}) "
            f"{_setup(note.setup, note.direction)}: holds here with {note.transfer_probability:.0%}"
        )
    confidence = _confidence(effect.confidence, abstained=effect.abstained)
    setup = _setup(effect.setup, effect.direction)
    yield f"  without people's annotations: {setup}, {effect.phase}, {confidence}"


def _band(band: Band) -> str:
    return (
        f"{band.level:.0%} of outcomes between {band.low:+.2%} and {band.high:+.2%}, "
        f"up with {band.up_probability:.0%}"
    )


def _similar(chart: SimilarChart) -> str:
    setup = _setup(chart.setup, chart.direction)
    return (
        f"  {chart.similarity:.3f}  {chart.symbol:<12}{chart.interval:<4} "
        f"{chart.as_of}  {setup:<30}{chart.phase:<14}{_moves(chart.moves)}"
    )


def _contribution(name: str, part: float) -> str:
    note = "  (pressure against the trend: the less, the more it adds)" if name in INVERTED else ""
    return f"  {name:<28}{part:+.3f}{note}"


def _moves(moves: Mapping[Horizon, float | None]) -> str:
    return "  ".join(
        f"{horizon} {'unknown' if move is None else f'{move:+.2%}'}"
        for horizon, move in moves.items()
    )


def _setup(setup: Setup, direction: Direction) -> str:
    return setup.value if direction is Direction.NEUTRAL else f"{setup} ({direction})"


def _confidence(confidence: float, *, abstained: bool) -> str:
    return "abstains" if abstained else f"{confidence:.0%}"
