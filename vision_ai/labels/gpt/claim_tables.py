"""Tables of expressions that name setups, directions and phases: English, Polish and German.

Each row is a regular expression on normalized text (`claims.normalize`: lower case, no hyphens)
and what it names. Rows are read from top to bottom, the special ones first; what one row has
matched, no later row sees.
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
"""Words that deny the name that follows them."""

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
"""Expressions that name something earlier, and so claim nothing about the chart as it is now."""


def _history_rows(language: Language) -> Iterator[Row]:
    """Rows that claim nothing."""
    return ((words, ()) for words in HISTORY[language])


def _canonical_rows() -> Iterator[Row]:
    """The canonical English names, the same in every language."""
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


def _sided_rows(rows: tuple[tuple[str, str, str], ...], setup: Setup) -> Iterator[Row]:
    """Rows whose `{0}` is one expression for the long side and another for the short one."""
    for words, long, short in rows:
        yield words.replace("{0}", f"(?:{long})"), (setup, LONG)
        yield words.replace("{0}", f"(?:{short})"), (setup, SHORT)


_UP = r"(?:above|up|higher|to the upside|of (?:the )?resistance|through (?:the )?resistance)"
_DOWN = r"(?:below|down|lower|to the downside|of (?:the )?support|through (?:the )?support)"
_FAILS = r"[^.;]{0,40}\b(?:did not hold|does not hold|failed|fails|(?:was |is )?rejected)"


def _english_rows() -> Iterator[Row]:
    """How English names setups, directions and phases."""
    yield from _sided_rows(
        (
            (r"(?:failed|false|fake) break ?(?:out|down)? {0}", _DOWN, _UP),
            (r"(?:failed|false|fake) {0}", "break ?down", "break ?(?:out|up)"),
            (r"fake ?outs? {0}", f"(?:{_DOWN}|at the (?:bottom|lows))", f"(?:{_UP}|at the top)"),
            (r"{0}" + _FAILS, f"break ?(?:down|out)? {_DOWN}", f"break ?(?:out)? {_UP}"),
            (r"{0}" + _FAILS, "break ?down", "break ?out"),
            (r"left the (?:range|box) to the {0} and (?:came|is) back", "downside", "upside"),
        ),
        Setup.FAKEOUT,
    )
    yield r"(?:failed|false|fake) (?:break\w*|move)|fake ?outs?|fakeouts?", (Setup.FAKEOUT,)
    yield r"bullish trap|bear trap", (Setup.TRAP, LONG)
    yield r"bearish trap|bull trap", (Setup.TRAP, SHORT)
    yield from _sided_rows(
        (
            (r"(?:late )?{0}\b[^.;]{0,15}\b(?:trapped|caught)", *_TRAPPED_PARTIES),
            (r"trapped {0}", *_TRAPPED_PARTIES),
            (r"(?:stop run|liquidity grab) {0}", "below", "above"),
            (r"break {0} was a trap", "(?:down|below)", "(?:up|above)"),
            (r"traps? {0}", "(?:at the (?:bottom|lows)|below)", "(?:at the (?:top|highs)|above)"),
        ),
        Setup.TRAP,
    )
    yield r"traps?", (Setup.TRAP,)
    yield from _sided_rows(
        (
            (r"breakout continuation {0}", _UP, _DOWN),
            (r"(?:the )?break {0} (?:holds and runs|keeps)", _UP, _DOWN),
            (r"keeps going {0} after the break(?:out)?", "higher", "lower"),
            (r"held {0} the broken range", "above", "below"),
            (r"{0} continuation", "bullish", "bearish"),
            (r"follow through after the break {0}", _UP, _DOWN),
        ),
        Setup.BREAKOUT_CONTINUATION,
    )
    yield (
        r"breakout continuations?|continuation (?:after|of) (?:a|the) break ?(?:out|down)?"
        r"|(?:breakout|breakdown) that keeps running|no look back since the break"
        r"|(?:follow through|goes on \w+) after the break\w*",
        (Setup.BREAKOUT_CONTINUATION,),
    )
    yield from _history_rows(Language.EN)
    yield from _sided_rows(
        (
            (r"break ?outs? {0}", _UP, _DOWN),
            (r"{0} breakouts?", "bullish|upside", "bearish|downside"),
            (r"(?:fresh|new|clean) break {0}", _UP, _DOWN),
            (r"clos(?:es|ed?|ing) {0} of the (?:range|box)", "above the top", "below the bottom"),
            (r"closes? {0} on volume", "above resistance", "below support"),
            (r"left its (?:range|box) to the {0}", "upside", "downside"),
            (r"(?:price|range|box|it) (?:breaks|broke|has broken) {0}", _UP, _DOWN),
            (r"push(?:es|ed)? price through {0}", "resistance", "support"),
        ),
        Setup.BREAKOUT,
    )
    yield r"(?:bearish )?break ?downs?", (Setup.BREAKOUT, SHORT)
    yield r"break ?outs?", (Setup.BREAKOUT,)
    yield from _sided_rows(
        (
            (r"(?:pull ?backs?|dip|retracement) (?:in|within) (?:an?|the) {0}", *_TRENDS),
            (r"(?:dip|pause|pullback|relief bounce) after a (?:strong )?leg {0}", "up", "down"),
            (r"retracement (?:of|within) the {0}", "(?:rally|move up)", "(?:decline|move down)"),
            (r"retraces a part of the {0}", "rally", "decline"),
            (r"(?:the )?{0} pauses", "rally", "decline"),
            (r"{0}", "buy the dip", "sell the rally"),
            (r"{0} may form", "higher low", "lower high"),
            (r"{0} pull ?back", "bullish", "bearish"),
        ),
        Setup.PULLBACK,
    )
    yield r"pull ?backs?|orderly retracement|relief bounce", (Setup.PULLBACK,)
    for level, side, setup in (
        ("(?:support|floor)", LONG, Setup.SUPPORT_RETEST),
        ("(?:resistance|ceiling)", SHORT, Setup.RESISTANCE_REJECTION),
    ):
        yield (
            rf"(?:re)?test(?:s|ed)? of (?:the |old )?{level}|{level} (?:re)?test(?:s|ed)?"
            rf"|{level} (?:holds|held)|(?:bounces?|turns away|reaction|rejection|rejected) "
            rf"(?:from|at|off) {level}|{level} rejection|defend(?:s|ed)? {level}"
            rf"|tests? a {level} that stood|to {level} and (?:bounces|turns away)",
            (setup, side),
        )
    yield from _sided_rows(
        (
            (r"{0} climax", "selling", "buying"),
            (r"{0}", "capitulation(?: low)?", "blow ?off(?: top)?"),
            (r"exhaust\w+ (?:of|after) (?:the|a) (?:long )?{0}", *_RUNS),
            (r"(?:the )?(?:overextended )?{0} (?:looks|is) exhausted", "decline", "rally"),
            (r"overextended {0}", "decline", "rally"),
            (r"{0} (?:run|ran) out of force", "sellers", "buyers"),
            (r"extended run {0}", "down", "up"),
            (r"climax at the {0}", "(?:lows|bottom)", "(?:highs|top)"),
        ),
        Setup.EXHAUSTION,
    )
    yield r"exhaust(?:ion|ed)|climax", (Setup.EXHAUSTION,)
    yield from _sided_rows(
        (
            (r"{0} reversal", "bullish", "bearish"),
            (r"reversal {0}", *_TURNS),
            (r"turns? {0} from the \w+", "up", "down"),
            (r"turns {0} and takes back", "up", "down"),
            (r"the {0} (?:has been reversed|turned around)", "decline", "rally"),
            (r"{0} take over after", "buyers", "sellers"),
        ),
        Setup.REVERSAL,
    )
    yield r"reversals?|reversed", (Setup.REVERSAL,)
    yield (
        r"(?:stuck|stays|remains|sits|sideways) in(?:side)? (?:a|the|its) (?:range|box)"
        r"|sideways range|trading range with both|range ?bound|no break yet"
        r"|consolidation between|balance between two|swings between the edges",
        (Setup.RANGE, NEUTRAL),
    )
    yield r"(?<!\w )(?<!\w)range(?=[,.;]|$)", (Setup.RANGE, NEUTRAL)
    yield (
        r"(?:no|without a) (?:clear |tradable |obvious )?(?:setup|pattern)|nothing to trade"
        r"|stand aside|noise without",
        (Setup.NONE, NEUTRAL),
    )
    yield from _english_phases()
    yield from _english_directions()


_TRAPPED_PARTIES = ("(?:sellers|shorts|bears)", "(?:buyers|longs|bulls)")
_TRENDS = ("(?:strong )?uptrend", "(?:strong )?downtrend")
_RUNS = ("(?:run down|decline)", "(?:run up|rally)")
_TURNS = (
    "(?:up|higher|from the lows|at the bottom|of the decline)",
    "(?:down|lower|from the highs|at the top|of the rally)",
)


def _english_phases() -> Iterator[Row]:
    yield (
        r"accumulation|basing after|builds a base|sideways after a (?:fall|markdown|decline)"
        r"|decline has stopped",
        (Phase.ACCUMULATION,),
    )
    yield (
        r"distribution|topping after|builds a top|sideways after a (?:rise|markup|rally)"
        r"|rally has stopped",
        (Phase.DISTRIBUTION,),
    )
    yield (
        r"mark ?up|up ?trend(?! line)|rising market|chart trends up|price advances through"
        r"|trend is up",
        (Phase.MARKUP,),
    )
    yield (
        r"mark ?down|down ?trend(?! line)|falling market|chart trends down"
        r"|price declines through|trend is down",
        (Phase.MARKDOWN,),
    )
    yield (
        r"range phase|neutral phase|(?:sideways|flat|ranging) market|trendless|no trend"
        r"|without direction|goes nowhere",
        (Phase.RANGE,),
    )


def _english_directions() -> Iterator[Row]:
    lean = (
        r"(?:argu\w+|favou?r\w*|bias\w*|direction|points?|leans?|lean|stance|case|good)"
        r"(?: is| for| to| the| toward| towards|:)*"
    )
    for side, words in (
        (LONG, r"(?:long|longs|buyers|bulls|higher(?: prices)?|upside|up)"),
        (SHORT, r"(?:short|shorts|sellers|bears|lower(?: prices)?|downside|down)"),
    ):
        yield rf"{lean} {words}", (side,)
        yield rf"{side.value} (?:setup|bias|side|signal|entry|trade|idea|case)", (side,)
        yield rf"(?:setup|, ?) ?{side.value}(?=[,.;]|$)", (side,)
    yield r"bullish|buyers in control|for (?:the )?(?:buyers|bulls|higher prices)", (LONG,)
    yield r"bearish|sellers in control|for (?:the )?(?:sellers|bears|lower prices)", (SHORT,)
    yield r"neutral|neither side|for no side|for patience", (NEUTRAL,)


def _polish_rows() -> Iterator[Row]:
    """How Polish names setups, directions and phases."""
    up, down = r"(?:górą|w górę|powyżej|ponad|do góry)", r"(?:dołem|w dół|poniżej)"
    yield from _sided_rows(
        (
            (r"(?:fałszyw\w+|nieudan\w+|pozorn\w+) (?:wybici\w+|przebici\w+) {0}", down, up),
            (r"wybici\w+ {0}[^.;]{0,25}\b(?:nieudane|nie utrzymał\w*|zanegowan\w+)", down, up),
        ),
        Setup.FAKEOUT,
    )
    yield r"(?:fałszyw\w+|nieudan\w+|pozorn\w+) (?:wybici\w+|przebici\w+)", (Setup.FAKEOUT,)
    yield r"pułapk\w+ (?:na )?(?:byk\w+|hoss\w+|kupując\w+|długie pozycje)", (Setup.TRAP, SHORT)
    yield (
        r"pułapk\w+ (?:na )?(?:niedźwied\w+|bess\w+|sprzedając\w+|krótkie pozycje)",
        (Setup.TRAP, LONG),
    )
    yield r"pułapk\w+", (Setup.TRAP,)
    yield r"kontynuacj\w+ (?:\w+ )?(?:wybici\w+|po wybiciu)", (Setup.BREAKOUT_CONTINUATION,)
    yield from _history_rows(Language.PL)
    yield from _sided_rows(((r"wybici\w+ (?:\w+ )?{0}", up, down),), Setup.BREAKOUT)
    yield r"wybici\w+", (Setup.BREAKOUT,)
    yield from _sided_rows(
        ((r"(?:cofnięci\w+|korekt\w+) w trendzie {0}", "wzrostowym", "spadkowym"),), Setup.PULLBACK
    )
    yield r"cofnięci\w+|korekt\w+", (Setup.PULLBACK,)
    for level, setup, side in (
        ("wsparci", Setup.SUPPORT_RETEST, LONG),
        ("opor", Setup.RESISTANCE_REJECTION, SHORT),
    ):
        nominative = {"opor": "opór", "wsparci": "wsparcie"}[level]
        yield (
            rf"(?:re)?test\w* {level}\w*|(?:odbici\w+|odrzuceni\w+) (?:od|na|przy) {level}\w*"
            rf"|obron\w+ {level}\w*|{nominative} (?:\w+ ){{0,2}}(?:utrzyma\w+|wytrzyma\w+|trzyma)",
            (setup, side),
        )
    yield from _sided_rows(
        (
            (r"(?:wyczerpani\w+|kulminacj\w+) (?:\w+ )?{0}", *_POLISH_RUNS),
            (r"{0}", "kapitulacj\\w+", "euforyczn\\w+ szczyt"),
        ),
        Setup.EXHAUSTION,
    )
    yield r"wyczerpani\w+|kulminacj\w+", (Setup.EXHAUSTION,)
    yield from _sided_rows(
        (
            (r"odwróceni\w+ (?:trendu )?{0}", *_POLISH_TURNS),
            (r"odwróceni\w+ (?:trendu )?{0}", "spad\\w+", "wzrost\\w+"),
        ),
        Setup.REVERSAL,
    )
    yield r"odwróceni\w+", (Setup.REVERSAL,)
    yield (
        r"(?:pozostaje|utknęł\w+|porusza się) w (?:konsolidacji|zakresie|przedziale|kanale)"
        r"|konsolidacj\w+ (?:po)?między",
        (Setup.RANGE, NEUTRAL),
    )
    yield (
        r"(?:brak|bez) (?:\w+ )?(?:układu|setupu|formacji|sygnału)|nic do (?:gry|handlu)",
        (Setup.NONE, NEUTRAL),
    )
    yield r"akumulacj\w+", (Phase.ACCUMULATION,)
    yield r"dystrybucj\w+", (Phase.DISTRIBUTION,)
    yield r"(?:faz\w+|trend\w*) wzrost\w+|rynek rosnący", (Phase.MARKUP,)
    yield r"(?:faz\w+|trend\w*) spadk\w+|rynek spadający", (Phase.MARKDOWN,)
    yield (
        r"(?:faz\w+|trend\w*|rynek) boczn\w+|(?:brak|bez) (?:wyraźnego )?trendu|faz\w+ range",
        (Phase.RANGE,),
    )
    argues_for = r"(?:przemawia za|wskazuje na|na korzyść|sprzyja|argument za)"
    yield rf"{argues_for} (?:wzrost\w+|kupując\w+|byk\w+)|bycz\w+|longi?|longa", (LONG,)
    yield (
        rf"{argues_for} (?:spadk\w+|sprzedając\w+|niedźwied\w+)|niedźwiedzi\w*|shorty?|shorta",
        (SHORT,),
    )
    yield r"neutral\w*|żadn\w+ stron\w*", (NEUTRAL,)


_POLISH_RUNS = (
    "(?:spadk\\w+|sprzedaż\\w*|podaż\\w*|wyprzedaż\\w*)",
    "(?:wzrost\\w+|kupn\\w+|zakup\\w+|popyt\\w*)",
)
_POLISH_TURNS = ("(?:w górę|na wzrost\\w+)", "(?:w dół|na spad\\w+)")


def _german_rows() -> Iterator[Row]:
    """How German names setups, directions and phases."""
    up = r"(?:nach oben|über|aufwärts|oberhalb)"
    down = r"(?:nach unten|unter|abwärts|unterhalb)"
    false = r"(?:fehl ?ausbr\w+|(?:gescheitert\w*|falsch\w*|missglückt\w*) ausbr\w+)"
    yield from _sided_rows(
        (
            (false + r" {0}", down, up),
            (r"ausbr\w+ {0}[^.;]{0,25}\b(?:scheiter\w*|gescheitert|hielt nicht)", down, up),
        ),
        Setup.FAKEOUT,
    )
    yield false, (Setup.FAKEOUT,)
    yield r"bullenfalle", (Setup.TRAP, SHORT)
    yield r"bärenfalle", (Setup.TRAP, LONG)
    yield r"falle", (Setup.TRAP,)
    yield (
        r"ausbruchs?fortsetzung|fortsetzung (?:des|nach dem|eines) ausbruch\w*",
        (Setup.BREAKOUT_CONTINUATION,),
    )
    yield from _history_rows(Language.DE)
    yield from _sided_rows(((r"ausbr\w+ (?:\w+ )?{0}", up, down),), Setup.BREAKOUT)
    yield r"ausbr[uü]ch\w*", (Setup.BREAKOUT,)
    yield from _sided_rows(
        ((r"(?:rücksetzer|rücklauf|korrektur) im {0}", "aufwärtstrend", "abwärtstrend"),),
        Setup.PULLBACK,
    )
    yield r"rücksetzer\w*|rücklauf|korrektur\w*", (Setup.PULLBACK,)
    for level, setup, side in (
        ("unterstützung", Setup.SUPPORT_RETEST, LONG),
        ("widerstand", Setup.RESISTANCE_REJECTION, SHORT),
    ):
        yield (
            rf"(?:re)?test\w* (?:der|des|einer|eines) (?:\w+ )?{level}\w*|{level}s?(?:re)?test\w*"
            rf"|(?:abprall\w*|abweisung|zurückweisung) (?:an|am|von|vom) (?:der )?{level}"
            rf"|{level} (?:\w+ ){{0,3}}(?:hält|gehalten|verteidigt)"
            rf"|am {level} (?:abgewiesen|abgeprallt|gescheitert)",
            (setup, side),
        )
    yield from _sided_rows(
        (
            (r"erschöpfung (?:des|der|nach) (?:\w+ ){0,2}{0}", *_GERMAN_RUNS),
            (r"{0}", "verkaufsklimax|kapitulation\\w*|ausverkauf", "kaufklimax"),
        ),
        Setup.EXHAUSTION,
    )
    yield r"erschöpf\w+|klimax", (Setup.EXHAUSTION,)
    yield from _sided_rows(
        (
            (r"(?:trend)?(?:umkehr|wende) {0}", "nach oben", "nach unten"),
            (
                r"(?:bodenbildung mit )?{0} (?:trend)?(?:umkehr|wende)",
                "bullisch\\w*",
                "bärisch\\w*",
            ),
        ),
        Setup.REVERSAL,
    )
    yield r"(?:trend)?umkehr\w*|trendwende\w*", (Setup.REVERSAL,)
    yield (
        r"(?:bleibt|gefangen|steckt|pendelt) in (?:der|einer) (?:spanne|box|range|handelsspanne)"
        r"|seitwärtsspanne",
        (Setup.RANGE, NEUTRAL),
    )
    yield (
        r"(?:kein\w*|ohne) (?:\w+ )?(?:setup|muster|signal)|nichts zu handeln",
        (Setup.NONE, NEUTRAL),
    )
    yield r"akkumulation\w*", (Phase.ACCUMULATION,)
    yield r"distribution\w*", (Phase.DISTRIBUTION,)
    yield r"aufwärts(?:trend|phase|markt)\w*|steigender markt", (Phase.MARKUP,)
    yield r"abwärts(?:trend|phase|markt)\w*|fallender markt", (Phase.MARKDOWN,)
    yield r"seitwärts(?:phase|trend|markt)\w*|trendlos\w*|(?:ohne|kein) trend", (Phase.RANGE,)
    argues_for = r"(?:spricht für|zugunsten|zeigt nach|argument für)(?: die| der| den)?"
    yield rf"{argues_for} (?:käufer|bullen|steigende kurse|oben)|bullisch\w*|long", (LONG,)
    yield rf"{argues_for} (?:verkäufer|bären|fallende kurse|unten)|bärisch\w*|short", (SHORT,)
    yield r"neutral\w*|keine seite", (NEUTRAL,)


_GERMAN_RUNS = (
    "(?:abverkauf\\w*|rückgang\\w*|abwärtsbewegung|verkäufer)",
    "(?:anstieg\\w*|rally|aufwärtsbewegung|käufer)",
)


TABLES: Mapping[Language, tuple[Row, ...]] = {
    Language.EN: (*_english_rows(), *_canonical_rows()),
    Language.PL: (*_polish_rows(), *_canonical_rows()),
    Language.DE: (*_german_rows(), *_canonical_rows()),
}
"""Rows of each language, then the canonical names."""
