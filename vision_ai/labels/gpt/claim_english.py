"""How English names setups, directions and phases."""

from collections.abc import Iterator

from vision_ai.domain import Phase, Setup
from vision_ai.labels.gpt.claim_rows import LONG, NEUTRAL, SHORT, Row, history, sides
from vision_ai.labels.gpt.replies import Language

_UP = r"(?:above|up|higher|to the upside|of (?:the )?resistance|through (?:the )?resistance)"
_DOWN = r"(?:below|down|lower|to the downside|of (?:the )?support|through (?:the )?support)"
_FAILS = r"[^.;]{0,40}\b(?:did not hold|does not hold|failed|fails|(?:was |is )?rejected)"


def rows() -> Iterator[Row]:
    """Expressions, the special ones first."""
    yield from sides(
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
    yield from sides(
        (
            (r"(?:late )?{0}\b[^.;]{0,15}\b(?:trapped|caught)", *_PARTIES_LOSING),
            (r"trapped {0}", *_PARTIES_LOSING),
            (r"(?:stop run|liquidity grab) {0}", "below", "above"),
            (r"break {0} was a trap", "(?:down|below)", "(?:up|above)"),
            (r"traps? {0}", "(?:at the (?:bottom|lows)|below)", "(?:at the (?:top|highs)|above)"),
        ),
        Setup.TRAP,
    )
    yield r"traps?", (Setup.TRAP,)
    yield from sides(
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
    yield from history(Language.EN)
    yield from sides(
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
    yield from sides(
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
    yield from sides(
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
    yield from sides(
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


_PARTIES_LOSING = ("(?:sellers|shorts|bears)", "(?:buyers|longs|bulls)")
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
