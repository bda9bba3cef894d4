"""What a text claims about a chart, so that one that contradicts the chart's facts is left out.

The table of each language is read in order; what one row has matched, no later row sees, so that
`failed breakout` is a fakeout and no breakout. A denied name (`not a breakout`) is no claim. The
tables rather catch too much than too little: a true text that is left out costs one caption, a
false one that passes teaches the model something false.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cache

from vision_ai.domain import Label, Setup
from vision_ai.labels.gpt.claim_tables import DENIALS, TABLES
from vision_ai.labels.gpt.replies import Contradiction, GptAnswer, Language

IMPLIED_SETUPS: dict[Setup, frozenset[Setup]] = {
    Setup.BREAKOUT_CONTINUATION: frozenset({Setup.BREAKOUT}),
    Setup.TRAP: frozenset({Setup.FAKEOUT}),
}
"""Setups that a text may name beside another one: a trap begins as a fakeout."""

_MAX_WORDS_AFTER_DENIAL = 2
"""Words between a denial and what it denies, at most."""


@dataclass(frozen=True)
class Claim:
    """One expression in a text that names a setup, a direction or a phase, or several at once."""

    words: str
    values: tuple[Enum, ...]


def find_contradictions(answer: GptAnswer, label: Label, language: Language) -> list[Contradiction]:
    """The texts of an answer that name another setup, direction or phase than the facts do."""
    reasons = ((text, explain_contradiction(text, label, language)) for text in answer.texts)
    return [Contradiction(text=text, why=why) for text, why in reasons if why]


def explain_contradiction(text: str, label: Label, language: Language) -> str:
    """What a text claims against its facts; empty where it agrees with them.

    >>> from vision_ai.domain import Direction, Phase, Reading
    >>> label = Label(Reading(Setup.FAKEOUT, Direction.SHORT), Phase.RANGE)
    >>> explain_contradiction("Failed breakout, argues short", label, Language.EN)
    ''
    >>> explain_contradiction("Clean breakout to the upside", label, Language.EN)
    'says breakout, long ("breakout to the upside")'
    """
    # a phase and a setup are both named `range` and would compare equal: go by identity
    setups = IMPLIED_SETUPS.get(label.setup, frozenset()) | {label.setup}
    allowed = {id(value) for value in (*setups, label.direction, label.phase)}
    for claim in find_claims(text, language):
        wrong = [value for value in claim.values if id(value) not in allowed]
        if wrong:
            return f'says {", ".join(str(value.value) for value in wrong)} ("{claim.words}")'
    return ""


def find_claims(text: str, language: Language) -> Iterator[Claim]:
    """Everything that a text claims, in the order of the tables."""
    remaining = normalize(text)
    denial = _denial(language)
    for pattern, values in _table(language):
        for match in list(pattern.finditer(remaining)):
            if values and not denial.search(remaining[: match.start()]):
                yield Claim(match[0], values)
            # blanked, so that later rows do not see it; same length, so that positions stay true
            blank = "_" * len(match[0])
            remaining = remaining[: match.start()] + blank + remaining[match.end() :]


def normalize(text: str) -> str:
    """Lower case, with hyphens and underscores as spaces, and single spaces."""
    return re.sub(r"[\s_\-\u2010-\u2015]+", " ", text.lower().replace("_", " ")).strip()


@cache
def _table(language: Language) -> tuple[tuple[re.Pattern[str], tuple[Enum, ...]], ...]:
    rows = TABLES[language]
    return tuple((re.compile(rf"\b(?:{words})(?!\w)"), values) for words, values in rows)


@cache
def _denial(language: Language) -> re.Pattern[str]:
    words = "|".join(DENIALS[language])
    return re.compile(rf"\b(?:{words})\s+(?:\w+\s+){{0,{_MAX_WORDS_AFTER_DENIAL}}}$")
