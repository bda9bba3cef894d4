import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vision_ai.domain import PHASES, READINGS
from vision_ai.errors import CorruptFileError
from vision_ai.labels import descriptions
from vision_ai.model import vocabulary

OWN = vocabulary.build(descriptions.VOCABULARY)
UNKNOWN = OWN.token_to_id(vocabulary.UNKNOWN)
LAST = OWN.token_to_id(vocabulary.END)


def test_every_prompt_is_made_of_known_words():
    for code in (*READINGS, *PHASES):
        tokens = vocabulary.encode(OWN, descriptions.prompts(code))
        assert not (tokens == UNKNOWN).any(), descriptions.prompts(code)


def test_the_end_mark_has_the_highest_number():
    assert OWN.get_vocab_size() - 1 == LAST


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=400))
def test_any_text_becomes_one_row_with_one_end_mark(text):
    tokens = vocabulary.encode(OWN, [text])
    assert tokens.shape == (1, vocabulary.CONTEXT)
    assert tokens.dtype == np.int64
    assert (tokens == LAST).sum() == 1
    assert tokens.max() == LAST


def test_a_long_text_keeps_its_end_mark():
    tokens = vocabulary.encode(OWN, ["breakout " * 200])
    assert tokens[0, -1] == LAST


def test_no_texts_are_no_rows():
    assert vocabulary.encode(OWN, []).shape == (0, vocabulary.CONTEXT)


def test_equal_words_make_equal_tokenizers():
    words = list(descriptions.VOCABULARY)
    assert vocabulary.build(words[::-1]).to_str() == OWN.to_str()


def test_a_saved_tokenizer_is_the_same(tmp_path):
    path = tmp_path / "tokenizer.json"
    path.write_text(OWN.to_str(), encoding="utf-8")
    loaded = vocabulary.load(path, repair="")
    texts = descriptions.prompts(READINGS[0])
    assert np.array_equal(vocabulary.encode(loaded, texts), vocabulary.encode(OWN, texts))


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", json.dumps({"model": 1})])
def test_a_damaged_tokenizer_names_the_repair(tmp_path, text):
    path = tmp_path / "tokenizer.json"
    path.write_text(text)
    with pytest.raises(CorruptFileError) as caught:
        vocabulary.load(path, repair="mend it")
    assert caught.value.hint == "mend it"


def test_a_missing_tokenizer_names_the_repair(tmp_path):
    with pytest.raises(CorruptFileError):
        vocabulary.load(tmp_path / "none.json", repair="mend it")


WORDS = st.lists(st.sampled_from(sorted(descriptions.VOCABULARY)[:200]), max_size=30)


@settings(max_examples=50, deadline=None)
@given(WORDS)
def test_known_words_come_back_from_their_tokens(words):
    sentence = " ".join(word for word in words if word.isalpha())
    tokens = vocabulary.encode(OWN, [sentence])[0]
    content = [token for token in tokens.tolist() if token not in (0, LAST)][1:]
    decoded = [OWN.id_to_token(token) for token in content]
    assert decoded == sentence.lower().split()[: vocabulary.CONTEXT - 2]


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=80), st.integers(3, 60))
def test_a_shorter_context_cuts_and_pads_the_same_tokens(text, context):
    long = vocabulary.encode(OWN, [text], 200)[0]
    row = vocabulary.encode(OWN, [text], context)[0]
    length = int((long != 0).sum())
    if length <= context:
        assert np.array_equal(row[:length], long[:length])
        assert (row[length:] == 0).all()
    else:
        assert np.array_equal(row[:-1], long[: context - 1])
        assert row[-1] == LAST


@pytest.mark.parametrize(
    ("text", "unknown"),
    [("", []), ("breakout", []), ("Breakout of DogeCoin, dogecoin", ["DogeCoin", "dogecoin"])],
)
def test_unknown_words_are_named_as_they_were_written(text, unknown):
    assert vocabulary.unknown_words(OWN, text) == unknown
