import re

import pytest

from vision_ai.labels.synonyms import (
    PHASE_PHRASES,
    SEARCH_WORDS,
    SETUP_PHRASES,
    SIDES,
    fill_sides,
)

PHRASES = [text for group in (*SETUP_PHRASES.values(), *PHASE_PHRASES.values()) for text in group]


@pytest.mark.parametrize("phrase", PHRASES)
def test_a_phrase_has_both_sides_and_no_field_that_is_unknown(phrase):
    assert set(re.findall(r"\{([^{}]+)\}", phrase)) <= set(SIDES)
    long, short = (fill_sides(phrase, mirrored=side) for side in (False, True))
    assert "{" not in long + short
    assert (long != short) == ("{" in phrase)
    assert long == phrase.replace("{", "").replace("}", "")


def test_search_words_are_plain_and_lower_case():
    words = SEARCH_WORDS.split()
    assert all(re.fullmatch(r"[a-z]+", word) for word in words)
