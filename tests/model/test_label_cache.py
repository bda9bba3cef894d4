import numpy as np
import pytest

from tests.model import making
from vision_ai.model.training.label_cache import LabelCache


class Counted:
    """A rule book that counts how often it is asked."""

    def __init__(self):
        self.asked = 0

    def __call__(self, bars):
        self.asked += 1
        return making.rules(bars)


def test_labels_are_made_once_and_kept(tmp_path):
    book, corpus = Counted(), making.corpus()
    first = LabelCache(tmp_path, book, "1").label(corpus)
    again = LabelCache(tmp_path, book, "1").label(corpus)
    assert book.asked == 1
    assert np.array_equal(first.reading, corpus.reading)
    assert np.array_equal(first.reading, again.reading)
    assert np.array_equal(first.phase, again.phase)


@pytest.mark.parametrize("what", ["rules", "candles", "windows"])
def test_other_rules_candles_or_windows_have_other_labels(tmp_path, what):
    book = Counted()
    LabelCache(tmp_path, book, "1").label(making.corpus())
    version = "2" if what == "rules" else "1"
    corpus = making.corpus(seed=9) if what == "candles" else making.corpus()
    corpus = corpus.take(np.arange(5)) if what == "windows" else corpus
    LabelCache(tmp_path, book, version).label(corpus)
    assert book.asked == 2


@pytest.mark.parametrize("damage", ["truncate", "empty", "nonsense", "deflate", "method", "codes"])
def test_damaged_labels_are_made_again(tmp_path, damage):
    book, corpus = Counted(), making.corpus()
    cache = LabelCache(tmp_path, book, "1")
    cache.label(corpus)
    (path,) = tmp_path.iterdir()
    if damage == "codes":
        bad = np.full(len(corpus), 99, np.int8)
        np.savez(path, reading=bad, phase=bad)
    else:
        payload = path.read_bytes()
        part = {"truncate": payload[: len(payload) // 2], "empty": b"", "nonsense": b"x" * 99}
        part["deflate"] = payload[:61] + b"\xff" * 20 + payload[81:]
        part["method"] = payload.replace(b"\x08\x00", b"\x63\x00")
        path.write_bytes(part[damage])
    assert np.array_equal(cache.label(corpus).reading, corpus.reading)
    assert book.asked == 2
