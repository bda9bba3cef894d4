"""Captions of a label, written offline in a trader's words: many ways, each of them true.

The words are a closed set, `VOCABULARY`, so that a small model can learn them all.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache

import numpy as np

from vision_ai.domain import Direction, Label, Phase, Reading, Setup
from vision_ai.labels.synonyms import PHASE_PHRASES, SEARCH_WORDS, SETUP_PHRASES, SIDES, fill_sides

MAX_NUMBER = 30
"""Larger numbers are written as `more than 30`."""

CLAUSES: Mapping[str, tuple[str, ...]] = {
    "break now": ("broke {up} on the last bar", "the last bar broke {up}"),
    "break ago": ("broke {up} {n} bars ago", "{n} bars since the break"),
    "beyond": ("now {n} atr {above} the level", "trades {n} atr {above} the edge"),
    "furthest": ("got {n} atr {above} the range", "reached {n} atr beyond the edge"),
    "excursion": ("went {n} atr {below} the range", "poked {n} atr {below} the {bottom}"),
    "left": ("left the range {n} bars ago", "{n} bars since the failed break"),
    "volume": ("on {n} times the usual volume", "volume at {n} times normal"),
    "volume heavy": ("on heavy volume", "with strong volume"),
    "box": ("range of {n} bars", "box lasted {n} bars"),
    "tall": ("range {n} atr tall", "box {n} atr high"),
    "top touches": ("top touched {n} times", "{n} touches of the top"),
    "bottom touches": ("bottom touched {n} times", "{n} touches of the bottom"),
    "flipped": ("old {resistance} turned {support}", "back at the {top} of the broken range"),
    "level touches": ("level touched {n} times before", "{support} with {n} earlier touches"),
    "above level": ("now {n} atr {above} {support}", "holds {n} atr {above} the level"),
    "leg": ("leg of {n} atr", "{n} atr move before it"),
    "leg bars": ("leg lasted {n} bars", "{n} bars of leg"),
    "given back": ("about {n} percent given back", "retraced {n} percent"),
    "taken back": ("about {n} percent taken back", "retraced {n} percent"),
    "extreme": ("extreme {n} bars ago", "{n} bars since the extreme"),
    "chart": ("chart {n} atr tall", "chart spans {n} atr"),
}
"""Phrases for each fact; `{n}` is the number."""

SENTENCE_TEMPLATES = (
    "{setup}",
    "{setup}, {phase}",
    "{phase}, {setup}",
    "{setup}, {fact}",
    "{setup}, {fact}, {phase}",
    "{setup}, {fact}, {other}",
    "{setup}, argues {side}",
    "{setup}, {fact}, argues {side}",
    "{phase}, {setup}, {fact}, {other}",
)
"""Templates of a description."""

SIDE_PHRASES: Mapping[Direction, tuple[str, ...]] = {
    Direction.LONG: ("long", "for buyers", "for higher prices", "for the bulls"),
    Direction.SHORT: ("short", "for sellers", "for lower prices", "for the bears"),
    Direction.NEUTRAL: ("for neither side", "neutral", "for no side", "for patience"),
}
"""What a setup argues for."""


def describe(label: Label, rng: np.random.Generator, n: int = 1) -> list[str]:
    """Describe a label, `n` times; every number is one of its facts.

    >>> label = Label(Reading(Setup.FAKEOUT, Direction.SHORT), Phase.RANGE)
    >>> len(describe(label, np.random.default_rng(0), 3))
    3
    """
    return [_sentence(label, rng) for _ in range(n)]


@cache
def _prompts(code: Reading | Phase) -> tuple[str, ...]:
    if isinstance(code, Phase):
        return tuple(_phase_phrases(code))
    return tuple(_setup_phrases(code))


def prompts(code: Reading | Phase) -> list[str]:
    """Class prompts of a reading or a phase, at least 8, each naming it and no other.

    >>> prompts(Reading(Setup.FAKEOUT, Direction.SHORT))[1]
    'failed breakout at the top of a range'
    """
    return list(_prompts(code))


def normalize(text: str) -> str:
    """Lower case, with words, numbers and punctuation separated by spaces.

    >>> normalize("Breakout-continuation, 2.5 ATR!")
    'breakout - continuation , 2 . 5 atr !'
    """
    return " ".join(re.findall(r"\w+|[^\w\s]+", text.lower()))


def _sentence(label: Label, rng: np.random.Generator) -> str:
    facts = list(_facts(label))
    templates = [s for s in SENTENCE_TEMPLATES if len(facts) >= ("{fact}" in s) + ("{other}" in s)]
    rng.shuffle(facts)
    parts = {
        "setup": _one(_prompts(label.reading), rng),
        "phase": _one(_prompts(label.phase), rng),
        "side": _one(SIDE_PHRASES[label.direction], rng),
        "fact": _one(facts[0], rng) if facts else "",
        "other": _one(facts[1], rng) if len(facts) > 1 else "",
    }
    return _one(templates, rng).format(**parts)


def _one(choices: tuple[str, ...] | list[str], rng: np.random.Generator) -> str:
    return choices[int(rng.integers(len(choices)))]


def _setup_phrases(reading: Reading) -> Iterator[str]:
    mirrored = reading.direction is Direction.SHORT
    setup = Setup.SUPPORT_RETEST if reading.setup is Setup.RESISTANCE_REJECTION else reading.setup
    return (fill_sides(phrase, mirrored=mirrored) for phrase in SETUP_PHRASES[setup])


def _phase_phrases(phase: Phase) -> Iterator[str]:
    mirrored = phase not in PHASE_PHRASES
    upright = phase.mirror if mirrored else phase
    return (fill_sides(phrase, mirrored=mirrored) for phrase in PHASE_PHRASES[upright])


def _facts(label: Label) -> Iterator[tuple[str, ...]]:
    """The clauses that are true of a label, each in all its phrases."""
    mirrored = label.direction is Direction.SHORT
    for clause, number in _measured(label):
        yield tuple(
            fill_sides(p.replace("{n}", number), mirrored=mirrored) for p in CLAUSES[clause]
        )


def _measured(label: Label) -> Iterator[tuple[str, str]]:
    """Clauses and their numbers; a distance that rounds to zero is left out."""
    if not label.facts:
        return
    for clause, number in (*CLAUSES_OF_SETUP[label.setup](label.facts), *_chart(label.facts)):
        if number != "0":
            yield clause, number


Facts = Mapping[str, float]
Clauses = Iterator[tuple[str, str]]


def _half(value: float) -> str:
    """A distance to the nearest half, as text."""
    value = round(abs(value) * 2) / 2
    if value > MAX_NUMBER:
        return f"more than {MAX_NUMBER}"
    return "half an" if value == 0.5 else f"{value:g}"


def _count(value: float) -> str:
    return f"more than {MAX_NUMBER}" if value > 99 else f"{round(value)}"


def _percent(value: float) -> str:
    return f"{round(value * 20) * 5}"


def _distance(facts: Facts) -> str:
    return _half(facts["level"] / facts["atr"])


def _chart(facts: Facts) -> Clauses:
    yield "chart", _half(facts["chart_atr"])


def _volume(facts: Facts) -> Clauses:
    if facts["volume_ratio"] >= 1.5:
        yield "volume", _count(facts["volume_ratio"])
    if facts["volume_ratio"] >= 2.5:
        yield "volume heavy", ""


def _box(facts: Facts) -> Clauses:
    yield "box", _count(facts["box_bars"])
    yield "tall", _half((facts["box_top"] - facts["box_bottom"]) / facts["atr"])


def _break(facts: Facts) -> Clauses:
    ago = round(facts["bars_since"])
    if ago != 1:
        yield ("break ago", _count(ago)) if ago else ("break now", "")
    yield "beyond", _distance(facts)
    yield "furthest", _half(facts["furthest_atr"])
    yield from _volume(facts)
    yield from _box(facts)


def _failure(facts: Facts) -> Clauses:
    if facts["bars_since"] > 1:
        yield "left", _count(facts["bars_since"])
    yield "excursion", _half(facts["furthest_atr"])
    yield from _volume(facts)
    yield from _box(facts)


def _retest(facts: Facts) -> Clauses:
    yield "above level", _distance(facts)
    if facts["box_bars"] > 0:
        yield "flipped", ""
        yield from _box(facts)
    else:
        yield "level touches", _count(facts["touches_bottom"] + facts["touches_top"])


def _leg(facts: Facts) -> Clauses:
    yield "leg", _half(facts["leg_atr"])
    yield "leg bars", _count(facts["leg_bars"])
    if facts["bars_since"] > 1:
        yield "extreme", _count(facts["bars_since"])


def _pullback(facts: Facts) -> Clauses:
    yield "given back", _percent(facts["retraced"])
    yield from _leg(facts)


def _reversal(facts: Facts) -> Clauses:
    if facts["retraced"] < 0.97:
        yield "taken back", _percent(facts["retraced"])
    yield from _leg(facts)


def _exhaustion(facts: Facts) -> Clauses:
    yield from _volume(facts)
    yield from _leg(facts)


def _range(facts: Facts) -> Clauses:
    for edge in ("top", "bottom"):
        if facts[f"touches_{edge}"] > 1:
            yield f"{edge} touches", _count(facts[f"touches_{edge}"])
    yield from _box(facts)


def _nothing(_: Facts) -> Clauses:
    yield from ()


CLAUSES_OF_SETUP: Mapping[Setup, Callable[[Facts], Clauses]] = {
    Setup.BREAKOUT: _break,
    Setup.BREAKOUT_CONTINUATION: _break,
    Setup.PULLBACK: _pullback,
    Setup.SUPPORT_RETEST: _retest,
    Setup.RESISTANCE_REJECTION: _retest,
    Setup.FAKEOUT: _failure,
    Setup.TRAP: _failure,
    Setup.EXHAUSTION: _exhaustion,
    Setup.REVERSAL: _reversal,
    Setup.RANGE: _range,
    Setup.NONE: _nothing,
}
"""The facts that are worth naming for each setup."""


def _all_texts() -> Iterator[str]:
    phrases = [*CLAUSES.values(), *SETUP_PHRASES.values(), *PHASE_PHRASES.values()]
    for phrase in (phrase for group in phrases for phrase in group):
        for mirrored in (False, True):
            yield fill_sides(phrase.replace("{n}", ""), mirrored=mirrored)
    yield from (shape.format_map(_Blank()) for shape in SENTENCE_TEMPLATES)
    yield from (phrase for group in SIDE_PHRASES.values() for phrase in group)
    yield from (word for pair in SIDES.values() for word in pair)
    yield from (name.value for kind in (Setup, Direction, Phase) for name in kind)
    yield from (f"{number}" for number in range(100))
    yield f"half an, more than {MAX_NUMBER}. 2.5 - : ; % ( ) ? ! ' /"
    yield SEARCH_WORDS


class _Blank(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return ""


VOCABULARY = tuple(sorted({word for text in _all_texts() for word in normalize(text).split()}))
"""Every word that a description, a prompt or a usual search can hold, in order."""
