"""The tokenizer of `chart-clip`: word-level, of our own vocabulary, kept in `tokenizer.json`.

The words come from `labels.descriptions`, so that every description and prompt is made of known
words; anything else becomes `[UNK]`. The end token has the highest number, which is where
open_clip's text tower reads its result.
"""

import gzip
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

from vision_ai import storage
from vision_ai.errors import CorruptFileError

CONTEXT = 40
"""Tokens of a text, start and end included; longer texts are cut."""

PAD, UNKNOWN, START, END = "[PAD]", "[UNK]", "[SOS]", "[EOS]"


def build(words: Iterable[str]) -> Tokenizer:
    """A tokenizer that knows `words`; equal words make an equal tokenizer.

    >>> tokenizer = build(["breakout", "of", "a", "range"])
    >>> encode(tokenizer, ["Breakout, of a range"], context=8).tolist()
    [[2, 5, 3, 6, 4, 7, 8, 0]]
    """
    split = pre_tokenizers.Whitespace()
    parts = {part for word in words for part, _ in split.pre_tokenize_str(word.lower())}
    names = [PAD, UNKNOWN, START, *sorted(parts | {","}), END]
    codes = {name: code for code, name in enumerate(names)}
    tokenizer = Tokenizer(models.WordLevel(codes, unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = split
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{START} $A {END}", special_tokens=[(START, codes[START]), (END, codes[END])]
    )
    return tokenizer


def encode(tokenizer: Tokenizer, texts: Sequence[str], context: int = CONTEXT) -> NDArray[np.int64]:
    """Tokens of texts: int64 (n, context), padded with 0; a long text keeps its end token."""
    tokens = np.zeros((len(texts), context), np.int64)
    for row, encoding in zip(tokens, tokenizer.encode_batch(list(texts)), strict=True):
        codes = encoding.ids
        if len(codes) > context:
            codes = [*codes[: context - 1], codes[-1]]
        row[: len(codes)] = codes
    return tokens


def unknown_words(tokenizer: Tokenizer, text: str) -> list[str]:
    """The words of a text that the tokenizer does not know, each once, as they were written.

    >>> unknown_words(build(["breakout", "of"]), "Breakout of dogecoin")
    ['dogecoin']
    """
    encoding = tokenizer.encode(text, add_special_tokens=False)
    parts = zip(encoding.tokens, encoding.offsets, strict=True)
    return list(dict.fromkeys(text[a:b] for token, (a, b) in parts if token == UNKNOWN))


def load(path: Path, *, repair: str) -> Tokenizer:
    """Read `tokenizer.json`.

    Raises:
        CorruptFileError: the file is missing or damaged; `repair` is the hint.
    """
    content = storage.read_json(path, repair=repair)
    if not {"model", "pre_tokenizer", "post_processor"} <= set(content):
        raise CorruptFileError(f"{path} is damaged: expected a tokenizer.", hint=repair)
    return Tokenizer.from_str(json.dumps(content))


def clip_byte_pairs(merges: Path) -> Tokenizer:
    """CLIP's own tokenizer, made from the merges file that open_clip carries.

    Args:
        merges: `bpe_simple_vocab_16e6.txt.gz`.
    """
    lines = gzip.decompress(merges.read_bytes()).decode().split("\n")[1 : 49152 - 256 - 2 + 1]
    pairs = [(left, right) for left, _, right in (line.partition(" ") for line in lines)]
    letters = list(_byte_letters().values())
    names = [*letters, *(letter + _WORD_END for letter in letters)]
    names += [left + right for left, right in pairs]
    start, end = "<start_of_text>", "<end_of_text>"
    codes = {name: code for code, name in enumerate([*names, start, end])}
    tokenizer = Tokenizer(models.BPE(codes, pairs, end_of_word_suffix=_WORD_END))
    tokenizer.normalizer = normalizers.Lowercase()
    words = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(words), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{start} $A {end}", special_tokens=[(start, codes[start]), (end, codes[end])]
    )
    return tokenizer


_WORD_END = "</w>"


def _byte_letters() -> dict[int, str]:
    """A printable letter for each byte, in the order that CLIP numbers them."""
    printable = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [byte for byte in range(256) if byte not in printable]
    letters = [*printable, *range(256, 256 + len(hidden))]
    return {byte: chr(code) for byte, code in zip([*printable, *hidden], letters, strict=True)}
