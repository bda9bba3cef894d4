"""How German names setups, directions and phases."""

from collections.abc import Iterator

from vision_ai.domain import Phase, Setup
from vision_ai.labels.gpt.claim_rows import LONG, NEUTRAL, SHORT, Row, history, sides
from vision_ai.labels.gpt.replies import Language


def rows() -> Iterator[Row]:
    """Expressions, the special ones first."""
    up = r"(?:nach oben|über|aufwärts|oberhalb)"
    down = r"(?:nach unten|unter|abwärts|unterhalb)"
    false = r"(?:fehl ?ausbr\w+|(?:gescheitert\w*|falsch\w*|missglückt\w*) ausbr\w+)"
    yield from sides(
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
    yield from history(Language.DE)
    yield from sides(((r"ausbr\w+ (?:\w+ )?{0}", up, down),), Setup.BREAKOUT)
    yield r"ausbr[uü]ch\w*", (Setup.BREAKOUT,)
    yield from sides(
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
    yield from sides(
        (
            (r"erschöpfung (?:des|der|nach) (?:\w+ ){0,2}{0}", *_GERMAN_RUNS),
            (r"{0}", "verkaufsklimax|kapitulation\\w*|ausverkauf", "kaufklimax"),
        ),
        Setup.EXHAUSTION,
    )
    yield r"erschöpf\w+|klimax", (Setup.EXHAUSTION,)
    yield from sides(
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
    speaks = r"(?:spricht für|zugunsten|zeigt nach|argument für)(?: die| der| den)?"
    yield rf"{speaks} (?:käufer|bullen|steigende kurse|oben)|bullisch\w*|long", (LONG,)
    yield rf"{speaks} (?:verkäufer|bären|fallende kurse|unten)|bärisch\w*|short", (SHORT,)
    yield r"neutral\w*|keine seite", (NEUTRAL,)


_GERMAN_RUNS = (
    "(?:abverkauf\\w*|rückgang\\w*|abwärtsbewegung|verkäufer)",
    "(?:anstieg\\w*|rally|aufwärtsbewegung|käufer)",
)
