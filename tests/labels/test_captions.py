from dataclasses import replace

import numpy as np
import pytest

from tests.labels.gpt_tasks import order
from vision_ai.domain import READINGS, Interval, Label, Phase
from vision_ai.labels import descriptions, review, rules
from vision_ai.labels.captions import Captions
from vision_ai.labels.gpt.replies import Attempt, GptAnswer, Reply, ReplyKind, hash_bars
from vision_ai.labels.review import Action
from vision_ai.market.simulate import simulate
from vision_ai.pipeline.labelling import select

AT = "2025-06-15T12:00:00Z"
TEXT = "a note by gpt of this chart"


@pytest.fixture(scope="module")
def windows():
    klines = simulate("AAAUSDT", Interval.M15, 600, seed=4, end_ms=1_740_000_600_000)
    return [klines[end - 95 : end + 1] for end in range(120, 560, 40)]


def subject(window):
    return select.subject_of(window, rules.label(window.bars[None])[0])


def attempt(window, texts=("breakout of this chart",), description="chart and market") -> Attempt:
    about = subject(window)
    said = GptAnswer(
        setup=about.setup, direction=about.direction, phase=about.phase, confidence=1,
        description=description, paraphrases=list(texts),
    )  # fmt: skip
    return order().attempt(about, Reply(ReplyKind.DESCRIBED, answer=said))


def corrected(window, code, words=None):
    label = Label(READINGS[code], Phase.MARKUP)
    return review.make_correction(
        subject(window), Action.CORRECT, label, who="anna", at=AT, words=words
    )


def told(wording: Captions, window, times=60) -> set[str]:
    bars = np.repeat(window.bars[None], times, axis=0)
    return set(wording.describe(bars, wording.label(bars), np.random.default_rng(0)))


def test_without_anything_written_words_and_labels_are_the_rule_books(windows) -> None:
    bars = np.stack([window.bars for window in windows])
    labels, nothing = rules.label(bars), Captions()
    assert not nothing
    np.testing.assert_array_equal(nothing.label(bars).reading, labels.reading)
    ours, rng = np.random.default_rng(3), np.random.default_rng(3)
    expected = [descriptions.describe(label, ours)[0] for label in labels]
    assert nothing.describe(bars, labels, rng) == expected


def test_written_words_and_our_own_take_turns_for_their_chart_alone(windows) -> None:
    wording = Captions.of(
        [attempt(windows[0], [TEXT.replace("gpt", "now")], "price and chart")], []
    )
    said = told(wording, windows[0])
    assert "price and chart" in said
    assert len(said) > 3
    assert "price and chart" not in told(wording, windows[1])


def test_words_that_the_model_cannot_read_are_left_out(windows) -> None:
    polish = attempt(windows[0], ["wybicie górą z konsolidacji"], "nieudane wybicie dołem")
    assert not Captions.of([polish], [])


def test_a_contradicting_description_is_never_learnt_from(windows) -> None:
    own = subject(windows[0]).reading
    other = next(r for r in READINGS if r.setup != own.setup and r.setup.value != "none")
    wrong = attempt(windows[0], ["price and chart"], descriptions.prompts(other)[0])
    assert wrong.kind is ReplyKind.CONTRADICTS
    assert not Captions.of([wrong], [])


def test_a_persons_label_replaces_the_rule_books_and_silences_gpts_words(windows) -> None:
    code = next(c for c, r in enumerate(READINGS) if r != subject(windows[0]).reading)
    wording = Captions.of(
        [attempt(windows[0], ["price and chart"], "chart and market")],
        [corrected(windows[0], code)],
    )
    bars = np.stack([window.bars for window in windows])
    labels, ruled = wording.label(bars), rules.label(bars)
    assert (labels.reading[0], labels[0].phase) == (code, Phase.MARKUP)
    np.testing.assert_array_equal(labels.reading[1:], ruled.reading[1:])
    said = told(wording, windows[0])
    assert "chart and market" not in said
    allowed = [*descriptions.prompts(READINGS[code])]
    assert all(any(phrase in text for phrase in allowed) or "," in text for text in said)


def test_a_persons_own_words_come_first(windows) -> None:
    code = 3
    gpt = attempt(windows[0], ["price and chart"], "chart and market")
    person = corrected(windows[0], code, words="high of the box and back")
    said = told(Captions.of([gpt], [person]), windows[0])
    assert "high of the box and back" in said
    assert "chart and market" not in said


def test_other_words_make_another_fingerprint(windows) -> None:
    one = Captions.of([attempt(windows[0])], [])
    two = Captions.of([attempt(windows[0]), attempt(windows[1])], [])
    three = Captions.of([attempt(windows[0])], [corrected(windows[2], 5)])
    again = Captions.of([attempt(windows[0])], [])
    assert len({Captions().fingerprint, one.fingerprint, two.fingerprint, three.fingerprint}) == 4
    assert again.fingerprint == one.fingerprint


def test_a_look_is_the_same_at_any_time_and_symbol(windows) -> None:
    moved = replace(windows[0], symbol="BBBUSDT", open_ms=windows[0].open_ms + 900_000)
    assert hash_bars(moved.bars) == hash_bars(windows[0].bars)
    assert hash_bars(windows[1].bars) != hash_bars(windows[0].bars)
