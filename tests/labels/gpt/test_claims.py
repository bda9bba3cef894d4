import numpy as np
import pytest

from vision_ai.domain import PHASES, READINGS, Direction, Label, Phase, Reading, Setup
from vision_ai.labels import descriptions
from vision_ai.labels.gpt.claims import IMPLIED_SETUPS, explain_contradiction
from vision_ai.labels.gpt.replies import Language

EN, PL, DE = Language


def label(setup: str, direction: str, phase: str) -> Label:
    return Label(Reading(Setup(setup), Direction(direction)), Phase(phase))


@pytest.mark.parametrize("reading", READINGS, ids=lambda reading: reading.name)
def test_no_phrase_of_ours_contradicts_the_label_that_it_names(reading: Reading) -> None:
    for phase in PHASES:
        true = Label(reading, phase)
        for text in [*descriptions.prompts(reading), *descriptions.prompts(phase)]:
            assert explain_contradiction(text, true, EN) == ""


@pytest.mark.parametrize("reading", READINGS, ids=lambda reading: reading.name)
def test_every_phrase_that_names_another_reading_is_caught(reading: Reading) -> None:
    for other in READINGS:
        natural = IMPLIED_SETUPS.get(reading.setup, frozenset()) | {reading.setup}
        if other.setup in natural:
            continue
        for text in descriptions.prompts(other):
            assert explain_contradiction(text, Label(reading, Phase.RANGE), EN), (text, other.name)


def test_the_other_direction_of_the_same_setup_is_caught() -> None:
    sided = [r for r in READINGS if r.setup == r.mirror.setup and r != r.mirror]
    texts = [(r, text) for r in sided for text in descriptions.prompts(r.mirror)]
    missed = [
        text for r, text in texts if not explain_contradiction(text, Label(r, Phase.RANGE), EN)
    ]
    assert len(missed) / len(texts) < 0.1, missed


@pytest.mark.parametrize("phase", PHASES)
def test_every_phrase_that_names_another_phase_is_caught(phase: Phase) -> None:
    for other in PHASES:
        for text in descriptions.prompts(other) if other is not phase else ():
            assert explain_contradiction(text, label("none", "neutral", phase.value), EN), text


def test_descriptions_of_our_own_are_never_caught() -> None:
    rng = np.random.default_rng(0)
    for reading in READINGS:
        for phase in PHASES:
            true = Label(reading, phase)
            for text in descriptions.describe(true, rng, 20):
                assert explain_contradiction(text, true, EN) == "", text


AGREE = [
    (
        EN,
        "Broke above the 40-bar range 2 bars ago; breakout, long, markup.",
        "breakout:long:markup",
    ),
    (EN, "Not a breakout: this fakeout above the range argues short.", "fakeout:short:range"),
    (EN, "A long wick after a long run up: exhaustion, short.", "exhaustion:short:markup"),
    (EN, "Held the floor after the breakout; support-retest, long.", "support-retest:long:markup"),
    (PL, "Nieudane wybicie górą (fakeout), na korzyść spadków.", "fakeout:short:range"),
    (PL, "Wybicie górą z konsolidacji, faza wzrostowa, long.", "breakout:long:markup"),
    (PL, "Cofnięcie w trendzie wzrostowym, pullback, long.", "pullback:long:markup"),
    (PL, "Odwrócenie trendu spadkowego, reversal, long.", "reversal:long:accumulation"),
    (PL, "To nie jest wybicie, cena pozostaje w konsolidacji.", "range:neutral:range"),
    (PL, "Brak układu, trend boczny.", "none:neutral:range"),
    (DE, "Fehlausbruch nach oben aus der Spanne, spricht für Verkäufer.", "fakeout:short:range"),
    (DE, "Rücksetzer im Aufwärtstrend, pullback, long, markup.", "pullback:long:markup"),
    (DE, "Unterstützung wurde getestet und hält, long.", "support-retest:long:range"),
    (DE, "Bärenfalle am Tief, trap.", "trap:long:accumulation"),
    (DE, "Kein Setup, trendlos.", "none:neutral:range"),
]
AGAINST = [
    (EN, "Clean breakout to the upside.", "fakeout:short:range"),
    (EN, "Support retest that held, argues for buyers.", "resistance-rejection:short:range"),
    (EN, "Fakeout above the range, bullish.", "fakeout:short:range"),
    (EN, "Fakeout at the top in a markdown.", "fakeout:short:markup"),
    (EN, "No setup here.", "breakout:long:markup"),
    (PL, "Wybicie górą z konsolidacji.", "fakeout:short:range"),
    (PL, "Wybicie dołem, short.", "breakout:long:markup"),
    (PL, "Pułapka na byki przy szczycie.", "fakeout:short:range"),
    (PL, "Wyczerpanie wzrostów, kupujący słabną.", "reversal:short:markup"),
    (PL, "Wybicie górą, faza dystrybucji.", "breakout:long:markup"),
    (PL, "Test oporu nieudany.", "support-retest:long:range"),
    (DE, "Ausbruch nach oben.", "fakeout:short:range"),
    (DE, "Ausbruch nach unten, short.", "breakout:long:markup"),
    (DE, "Am Widerstand abgewiesen.", "support-retest:long:range"),
    (DE, "Trendumkehr nach oben.", "pullback:long:markup"),
    (DE, "Bullenfalle, Abwärtstrend.", "trap:long:range"),
]


@pytest.mark.parametrize(("language", "text", "name"), AGREE)
def test_what_agrees_passes_in_every_language(language: Language, text: str, name: str) -> None:
    assert explain_contradiction(text, label(*name.split(":")), language) == ""


@pytest.mark.parametrize(("language", "text", "name"), AGAINST)
def test_what_contradicts_is_caught_in_every_language(
    language: Language, text: str, name: str
) -> None:
    assert explain_contradiction(text, label(*name.split(":")), language)


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("reading", READINGS, ids=lambda reading: reading.name)
def test_the_facts_own_words_mean_the_same_in_every_language(
    reading: Reading, language: Language
) -> None:
    for phase in PHASES:
        named = "no setup" if reading.setup is Setup.NONE else f"{reading.setup} setup"
        text = f"{named}, {reading.direction}, {phase} phase"
        assert explain_contradiction(text, Label(reading, phase), language) == ""
        turned = f"{named}, {reading.direction}, {phase.mirror} phase"
        if phase is not phase.mirror:
            assert explain_contradiction(turned, Label(reading, phase), language)
