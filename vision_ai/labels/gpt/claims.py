"""What a text claims a chart shows, so that one that contradicts its facts is kept out.

A table of expressions for each language is read in order; what one has matched, no later one sees,
so that `failed breakout` is a fakeout and no breakout. A name that is denied (`not a breakout`)
is no claim. The tables rather catch too much than too little: a text too many is a text lost, a
text too few teaches the model something false.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cache

from vision_ai.domain import Label, Setup
from vision_ai.labels.gpt.claim_rows import DENIALS
from vision_ai.labels.gpt.claim_words import TABLES
from vision_ai.labels.gpt.replies import Fault, Language, Said

NATURAL: dict[Setup, frozenset[Setup]] = {
    Setup.BREAKOUT_CONTINUATION: frozenset({Setup.BREAKOUT}),
    Setup.TRAP: frozenset({Setup.FAKEOUT}),
}
"""Setups that belong to the story of another one: a trap begins as a fakeout."""

_WORDS_BETWEEN = 2
"""So many words may stand between a denial and what it denies."""


@dataclass(frozen=True)
class Claim:
    """One thing that a text says: a setup, a direction or a phase, or several at once."""

    words: str
    values: tuple[Enum, ...]


def faults(said: Said, label: Label, language: Language) -> list[Fault]:
    """The texts of a reply that name another setup, direction or phase than the facts do."""
    found = ((text, contradiction(text, label, language)) for text in said.texts)
    return [Fault(text=text, why=why) for text, why in found if why]


def contradiction(text: str, label: Label, language: Language) -> str:
    """What a text says against its facts; empty where it says nothing against them.

    >>> from vision_ai.domain import Direction, Phase, Reading
    >>> label = Label(Reading(Setup.FAKEOUT, Direction.SHORT), Phase.RANGE)
    >>> contradiction("Failed breakout, argues short", label, Language.EN)
    ''
    >>> contradiction("Clean breakout to the upside", label, Language.EN)
    'says breakout, long ("breakout to the upside")'
    """
    setups = NATURAL.get(label.setup, frozenset()) | {label.setup}
    right = {id(value) for value in (*setups, label.direction, label.phase)}
    for claim in claims(text, language):
        # a phase and a setup are both called `range` and would be equal as texts
        wrong = [value for value in claim.values if id(value) not in right]
        if wrong:
            return f'says {", ".join(str(value.value) for value in wrong)} ("{claim.words}")'
    return ""


def claims(text: str, language: Language) -> Iterator[Claim]:
    """Everything that a text claims, in the order of the tables."""
    left = normal(text)
    denial = _denial(language)
    for pattern, values in _table(language):
        for match in list(pattern.finditer(left)):
            if values and not denial.search(left[: match.start()]):
                yield Claim(match[0], values)
            left = left[: match.start()] + "_" * len(match[0]) + left[match.end() :]


def normal(text: str) -> str:
    """Lower case, hyphens as spaces, single spaces."""
    return re.sub(r"[\s_\-\u2010-\u2015]+", " ", text.lower().replace("_", " ")).strip()


@cache
def _table(language: Language) -> tuple[tuple[re.Pattern[str], tuple[Enum, ...]], ...]:
    rows = TABLES[language]
    return tuple((re.compile(rf"\b(?:{words})(?!\w)"), values) for words, values in rows)


@cache
def _denial(language: Language) -> re.Pattern[str]:
    words = "|".join(DENIALS[language])
    return re.compile(rf"\b(?:{words})\s+(?:\w+\s+){{0,{_WORDS_BETWEEN}}}$")


__all__ = ["Claim", "claims", "contradiction", "faults", "normal"]
