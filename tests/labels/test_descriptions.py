import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.labels.walks import walks
from vision_ai.domain import PHASES, READINGS, Direction, Label, Phase, Reading
from vision_ai.labels.descriptions import MAX_NUMBER, VOCABULARY, describe, normalize, prompts
from vision_ai.labels.examples import SETUP_EXAMPLES, mirrored
from vision_ai.labels.rules import label
from vision_ai.labels.synonyms import SIDES

CODES = (*READINGS, *PHASES)
KNOWN = set(VOCABULARY)
LONGEST = 38
"""Words that the model's text tower can take, beside its two marks."""


def labels_of(seed: int) -> list[Label]:
    drawn = [draw() for draw in SETUP_EXAMPLES.values()]
    return list(label(np.concatenate([drawn, mirrored(np.stack(drawn)), walks(30, seed)])))


def true_numbers(facts: dict[str, float]) -> set[str]:
    """Every number that may be told of these facts, in words."""
    atr = max(facts["atr"], 1e-12)
    distances = [abs(facts["level"]) / atr, (facts["box_top"] - facts["box_bottom"]) / atr]
    distances += [facts[name] for name in ("furthest_atr", "leg_atr", "chart_atr")]
    told = {f"{round(abs(d) * 2) / 2:g}" for d in distances} | {f"{MAX_NUMBER}"}
    counts = ("box_bars", "bars_since", "volume_ratio", "leg_bars", "touches_top", "touches_bottom")
    told |= {f"{round(facts[name])}" for name in counts}
    return told | {f"{round(facts['touches_top'] + facts['touches_bottom'])}"}


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_descriptions_tell_only_facts_in_known_words(seed: int):
    rng = np.random.default_rng(seed)
    for shown in labels_of(seed):
        for text in describe(shown, rng, 5):
            words = normalize(text).split()
            assert set(words) <= KNOWN, text
            assert len(words) <= LONGEST, text
            percents = re.findall(r"(\d+) percent", text)
            numbers = re.findall(r"\d+(?:\.\d+)?(?! percent)\b", text)
            assert set(numbers) - set(percents) <= true_numbers(dict(shown.facts)), text
            for percent in percents:
                assert abs(int(percent) / 100 - shown.facts["retraced"]) <= 0.026


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_descriptions_never_contradict_the_label(seed: int):
    rng = np.random.default_rng(seed)
    wrong = {
        Direction.LONG: r"argues (short|for (sellers|lower|the bears|neither|no side|patience))",
        Direction.SHORT: r"argues (long|for (buyers|higher|the bulls|neither|no side|patience))",
        Direction.NEUTRAL: r"argues (long|short|for (buyers|sellers|higher|lower|the b))",
    }
    for shown in labels_of(seed):
        others = [
            p for code in CODES for p in prompts(code) if code not in (shown.reading, shown.phase)
        ]
        for text in describe(shown, rng, 5):
            assert not re.search(wrong[shown.direction], text)
            clauses = text.split(", ")
            assert not set(clauses) & set(others), text


def test_the_mirror_is_told_with_the_opposite_words():
    for reading in READINGS:
        if reading.direction is Direction.LONG:
            for mine, theirs in zip(prompts(reading), prompts(reading.mirror), strict=True):
                assert mine != theirs


@pytest.mark.parametrize("code", CODES, ids=lambda c: getattr(c, "name", c))
def test_every_class_has_its_own_prompts(code: Reading | Phase):
    mine = prompts(code)
    assert len(set(mine)) == len(mine) >= 8
    others = {p for other in CODES if other != code for p in prompts(other)}
    assert not set(mine) & others
    assert all(set(normalize(p).split()) <= KNOWN for p in mine)


@pytest.mark.parametrize(
    "query",
    [
        "failed breakout at the top of a range",
        "Bull trap after a fakeout above resistance",
        "pullback in an uptrend, buy the dip",
        "support-retest that holds",
        "breakout-continuation with 3 times the usual volume",
        "capitulation and a V shaped reversal",
        "sideways consolidation, no trend",
        "short squeeze out of a tight range",
        "accumulation after a long markdown",
    ],
)
def test_free_search_text_is_known(query: str):
    assert set(normalize(query).split()) <= KNOWN


def test_the_vocabulary_is_closed_and_small():
    assert len(VOCABULARY) < 1500
    assert list(VOCABULARY) == sorted(KNOWN)
    assert all(word == normalize(word) for word in VOCABULARY)


def test_normalising_twice_changes_nothing():
    text = "Breakout-continuation, 2.5 ATR above (v. strong)!"
    assert normalize(normalize(text)) == normalize(text)


def test_a_label_without_facts_can_be_described():
    human = Label(READINGS[0], PHASES[0], source="human")
    assert all(describe(human, np.random.default_rng(0), 20))


def test_descriptions_vary():
    shown = label(SETUP_EXAMPLES[READINGS[0]]()[None])[0]
    assert len(set(describe(shown, np.random.default_rng(0), 200))) > 60


def test_equal_seeds_tell_equal_stories():
    shown = label(SETUP_EXAMPLES[READINGS[0]]()[None])[0]
    one, two = (describe(shown, np.random.default_rng(3), 9) for _ in range(2))
    assert one == two


def test_every_side_word_turns_back():
    for upright, turned in SIDES.values():
        assert upright != turned
