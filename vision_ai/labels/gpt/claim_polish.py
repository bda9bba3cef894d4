"""How Polish names setups, directions and phases."""

from collections.abc import Iterator

from vision_ai.domain import Phase, Setup
from vision_ai.labels.gpt.claim_rows import LONG, NEUTRAL, SHORT, Row, history, sides
from vision_ai.labels.gpt.replies import Language


def rows() -> Iterator[Row]:
    """Expressions, the special ones first."""
    up, down = r"(?:górą|w górę|powyżej|ponad|do góry)", r"(?:dołem|w dół|poniżej)"
    yield from sides(
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
    yield from history(Language.PL)
    yield from sides(((r"wybici\w+ (?:\w+ )?{0}", up, down),), Setup.BREAKOUT)
    yield r"wybici\w+", (Setup.BREAKOUT,)
    yield from sides(
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
    yield from sides(
        (
            (r"(?:wyczerpani\w+|kulminacj\w+) (?:\w+ )?{0}", *_POLISH_RUNS),
            (r"{0}", "kapitulacj\\w+", "euforyczn\\w+ szczyt"),
        ),
        Setup.EXHAUSTION,
    )
    yield r"wyczerpani\w+|kulminacj\w+", (Setup.EXHAUSTION,)
    yield from sides(
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
    speaks = r"(?:przemawia za|wskazuje na|na korzyść|sprzyja|argument za)"
    yield rf"{speaks} (?:wzrost\w+|kupując\w+|byk\w+)|bycz\w+|longi?|longa", (LONG,)
    yield (
        rf"{speaks} (?:spadk\w+|sprzedając\w+|niedźwied\w+)|niedźwiedzi\w*|shorty?|shorta",
        (SHORT,),
    )
    yield r"neutral\w*|żadn\w+ stron\w*", (NEUTRAL,)


_POLISH_RUNS = (
    "(?:spadk\\w+|sprzedaż\\w*|podaż\\w*|wyprzedaż\\w*)",
    "(?:wzrost\\w+|kupn\\w+|zakup\\w+|popyt\\w*)",
)
_POLISH_TURNS = ("(?:w górę|na wzrost\\w+)", "(?:w dół|na spad\\w+)")
