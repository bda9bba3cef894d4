"""What the tables of every language share: rows, denials, and the facts' own words.

Each row is an expression on normalised text (`claims.normal`: lower case, no hyphens) and what it
claims. Rows are read from top to bottom, the special ones first.
"""

from collections.abc import Iterator, Mapping
from enum import Enum

from vision_ai.domain import Direction, Phase, Setup
from vision_ai.labels.gpt.replies import Language

Row = tuple[str, tuple[Enum, ...]]

LONG, SHORT, NEUTRAL = Direction.LONG, Direction.SHORT, Direction.NEUTRAL

DENIALS: Mapping[Language, tuple[str, ...]] = {
    Language.EN: ("no", "not", "without", "never", "nor", "neither", "rather than", "instead of"),
    Language.PL: ("nie", "bez", "brak", "ani", "zamiast"),
    Language.DE: ("kein\\w*", "nicht", "ohne", "weder", "statt"),
}
"""Words that take back what follows."""

HISTORY: Mapping[Language, tuple[str, ...]] = {
    Language.EN: (
        r"pull(?:s|ed|ing)? ?backs? (?:in)?to",
        r"(?:after|since|following|from|of) (?:the|a|an|its) (?:earlier |prior |old |recent )?"
        r"break ?(?:out|down)s?(?: level| point)?",
        r"(?:after|following|end of|against) (?:the|a|an) (?:\w+ )?(?:up|down)trend",
    ),
    Language.PL: (
        r"cofnięci\w+ do",
        r"(?:po|od) (?:wcześniejszym |dawnym )?wybici[ua]",
        r"po (?:\w+ )?trendzie (?:wzrostowym|spadkowym)",
    ),
    Language.DE: (
        r"(?:rücksetzer|rücklauf) (?:an|auf|zu[rm]?)",
        r"(?:nach|seit) (?:dem|einem) (?:früheren |alten )?ausbruch",
        r"nach (?:dem|einem) (?:\w+ )?(?:aufwärts|abwärts)trend",
    ),
}
"""Expressions that name something earlier, and so claim nothing of the chart as it is."""


def history(language: Language) -> Iterator[Row]:
    """Rows that claim nothing."""
    return ((words, ()) for words in HISTORY[language])


def canonical() -> Iterator[Row]:
    """The facts' own words, the same in every language."""
    yield r"breakout continuation", (Setup.BREAKOUT_CONTINUATION,)
    yield r"support retest", (Setup.SUPPORT_RETEST, LONG)
    yield r"resistance rejection", (Setup.RESISTANCE_REJECTION, SHORT)
    yield r"bull trap", (Setup.TRAP, SHORT)
    yield r"bear trap", (Setup.TRAP, LONG)
    yield r"range phase|phase:? range", (Phase.RANGE,)
    yield r"setup:? range|range setup", (Setup.RANGE, NEUTRAL)
    yield r"setup:? none", (Setup.NONE, NEUTRAL)
    for setup in (Setup.FAKEOUT, Setup.PULLBACK, Setup.TRAP, Setup.EXHAUSTION, Setup.REVERSAL):
        yield setup.value, (setup,)
    yield Setup.BREAKOUT.value, (Setup.BREAKOUT,)
    for phase in (Phase.MARKUP, Phase.MARKDOWN, Phase.ACCUMULATION, Phase.DISTRIBUTION):
        yield phase.value, (phase,)


def sides(rows: tuple[tuple[str, str, str], ...], setup: Setup) -> Iterator[Row]:
    """Rows whose `{0}` is one expression for the long side and another for the short one."""
    for words, long, short in rows:
        yield words.replace("{0}", f"(?:{long})"), (setup, LONG)
        yield words.replace("{0}", f"(?:{short})"), (setup, SHORT)
