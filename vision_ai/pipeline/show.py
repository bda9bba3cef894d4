"""Predictions as a few lines for a terminal."""

from collections.abc import Mapping
from pathlib import Path

from vision_ai.domain import Setup
from vision_ai.records import Band, IntervalReading, Prediction, Unadjusted


def prediction(found: Prediction, root: Path, path: Path | None) -> list[str]:
    """Everything a trader asks of one prediction, the lead first."""
    lines = [
        f"{found.symbol} as of {found.as_of} ({found.venue})",
        f"  Setup      {_setup(found.setup, found.direction)}",
        f"  Phase      {found.phase}",
        f"  Confidence {_confidence(found.confidence, abstained=found.abstained)}",
        "",
    ]
    for reading in found.intervals.values():
        lines += _interval(reading, leads=reading.interval is found.lead_interval)
    for reading in found.intervals.values():
        if reading.chart:
            lines.append(f"Chart      {root / reading.chart}")
    if path:
        lines.append(f"Prediction {path}")
    return lines


def table(found: Mapping[str, Prediction]) -> list[str]:
    """One line a symbol, the most confident setups first, with the interval that leads."""
    ranked = sorted(found.values(), key=lambda p: (p.setup is Setup.NONE, -p.confidence, p.symbol))
    wide = max([16, *(len(p.symbol) + 2 for p in ranked)])
    head = f"{'symbol':<{wide}}{'on':<5}{'setup':<30}{'phase':<14}{'confidence':<12}as of"
    return [head] + [
        f"{p.symbol:<{wide}}{p.lead_interval:<5}{_setup(p.setup, p.direction):<30}{p.phase:<14}"
        f"{_confidence(p.confidence, abstained=p.abstained):<12}{p.as_of}"
        for p in ranked
    ]


def _interval(reading: IntervalReading, *, leads: bool) -> list[str]:
    said = _setup(reading.setup, reading.direction)
    sure = _confidence(reading.confidence, abstained=reading.abstained)
    lines = [f"{reading.interval}{' (leads)' if leads else ''}: {said}, {reading.phase}, {sure}"]
    if reading.abstained_because:
        lines.append(f"  says nothing: {reading.abstained_because}")
    lines += _unadjusted(reading.unadjusted) if reading.unadjusted else []
    lines += [f"  {horizon}: {_band(band)}" for horizon, band in reading.outcome.items()]
    if reading.neighbors:
        lines.append("  look-alikes, and what price did in the next 2h and 6h:")
    for near in reading.neighbors:
        moves = "  ".join(
            f"{horizon} {'unknown' if move is None else f'{move:+.2%}'}"
            for horizon, move in near.moves.items()
        )
        lines.append(
            f"    {near.similarity:.3f}  {near.symbol:<12}{near.as_of}  "
            f"{_setup(near.setup, near.direction):<30}{moves}"
        )
    return [*lines, ""]


def _unadjusted(unadjusted: Unadjusted) -> list[str]:
    sure = _confidence(unadjusted.confidence, abstained=unadjusted.abstained)
    return [
        *(
            f"  {word.who} called {word.symbol} {word.as_of} ({word.similarity:.3f} alike) "
            f"{_setup(word.setup, word.direction)}: holds here with {word.transfer_probability:.0%}"
            for word in unadjusted.annotations
        ),
        f"  without people's words: {_setup(unadjusted.setup, unadjusted.direction)}, "
        f"{unadjusted.phase}, {sure}",
    ]


def _band(band: Band) -> str:
    return (
        f"{band.level:.0%} of outcomes between {band.low:+.2%} and {band.high:+.2%}, "
        f"up with {band.up_probability:.0%}"
    )


def _setup(setup: str, direction: str) -> str:
    return setup if direction == "neutral" else f"{setup} ({direction})"


def _confidence(confidence: float, *, abstained: bool) -> str:
    return "abstains" if abstained else f"{confidence:.0%}"
