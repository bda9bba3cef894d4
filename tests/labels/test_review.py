import json
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.clusters import embeddings
from tests.labels.gpt_tasks import task
from vision_ai.domain import PHASES, READINGS, Direction, Interval, Label, Phase, Reading, iso
from vision_ai.errors import InputError
from vision_ai.labels import review
from vision_ai.labels.review import Action, Correction, CorrectionLog, ReviewCase, SecondOpinion

AT = "2025-06-15T12:00:00Z"


def word(
    number: int, code: int = 3, *, action: Action = Action.CORRECT, at: str = AT
) -> Correction:
    label = Label(READINGS[code], Phase.RANGE)
    return review.make_correction(task(number).subject, action, label, who="anna", at=at)


def test_a_word_is_kept_once_with_who_and_when(tmp_path) -> None:
    desk = CorrectionLog(tmp_path / "corrections.jsonl")
    assert desk.write([word(1), word(2)]) == 2
    assert desk.write([word(1), word(3)]) == 1
    kept, bad = desk.read()
    assert not bad
    assert [(c.who, c.at, c.line) for c in kept] == [("anna", AT, n) for n in (1, 2, 3)]


def test_an_edited_word_does_not_count_and_is_named(tmp_path) -> None:
    desk = CorrectionLog(tmp_path / "corrections.jsonl")
    desk.write([word(1), word(2)])
    text = desk.path.read_text()
    desk.path.write_text(text.replace('"who":"anna"', '"who":"mallory"', 1))
    kept, bad = desk.read()
    assert len(kept) == 1
    assert bad[0].number == 1


def test_the_newest_word_counts_and_a_skip_takes_nothing_back() -> None:
    later = "2025-06-16T12:00:00Z"
    words = [word(1, 3), word(1, 5, at=later), word(1, 9, action=Action.SKIP, at=later)]
    standing = review.newest_corrections(words)
    assert standing[task(1).subject.digest].reading == READINGS[5]


def test_a_persons_label_stands_above_the_rule_books() -> None:
    subject = task(1).subject
    assert review.label_in_force(subject, {}).source == "rule"
    human = review.label_in_force(subject, review.newest_corrections([word(1, 7)]))
    assert (human.source, human.reading) == ("human", READINGS[7])


def test_a_direction_that_a_setup_cannot_have_is_refused() -> None:
    impossible = Label(Reading(READINGS[-1].setup, Direction.LONG), Phase.RANGE)
    with pytest.raises(InputError, match="expected neutral"):
        review.make_correction(task(1).subject, Action.CORRECT, impossible, who="anna", at=AT)


def test_disagreement_comes_before_doubt_and_doubt_before_agreement() -> None:
    subjects = [task(number).subject for number in range(4)]
    own = [
        SecondOpinion(s.reading, s.phase, sure)
        for s, sure in zip(subjects, (0.9, 0.4, 0.9, 0.9), strict=True)
    ]
    other = SecondOpinion(subjects[2].reading.mirror, subjects[2].phase.mirror, 0.9)
    cases = [
        ReviewCase(subjects[0], own[0], own[0]),
        ReviewCase(subjects[1], own[1], own[1]),
        ReviewCase(subjects[2], other, own[2]),
        ReviewCase(subjects[3], None, SecondOpinion(READINGS[0], subjects[3].phase, 0.99)),
    ]
    ordered = [cases.index(case) for case in review.review_queue(cases, [])]
    assert ordered == [2, 3, 1, 0]
    assert len(review.review_queue(cases, [word(2)])) == 3


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 40), st.integers(0, 10_000), st.floats(0.5, 50))
def test_exemplars_are_relabelled_where_they_stand_and_nowhere_else(n, seed, weight) -> None:
    rows = embeddings(n, seed=seed)
    chosen = np.random.default_rng(seed).integers(0, n)
    subject = task(0).subject.model_copy(
        update={
            "symbol": str(rows.symbol[chosen]),
            "interval": Interval(str(rows.interval[chosen])),
            "as_of": iso(int(rows.close_ms[chosen])),
        }
    )
    label = Label(READINGS[4], PHASES[2])
    said = review.make_correction(subject, Action.CORRECT, label, who="anna", at=AT)
    changed, absent = review.apply_corrections(rows, [said, word(1)], weight)
    assert absent == [word(1)]
    place = (rows.symbol == rows.symbol[chosen]) & (rows.interval == rows.interval[chosen])
    here = np.flatnonzero(place & (rows.last_ms == rows.last_ms[chosen]))[-1]
    assert (changed.reading[here], changed.phase[here]) == (4, 2)
    assert changed.weight[here] == np.float32(weight)
    others = np.arange(n) != here
    np.testing.assert_array_equal(changed.reading[others], rows.reading[others])
    np.testing.assert_array_equal(changed.weight[others], rows.weight[others])
    assert rows.weight[here] == 1


@pytest.mark.parametrize("as_csv", [True, False])
def test_what_was_dumped_is_read_back_the_same(as_csv) -> None:
    words = [word(1), word(2, 6).model_copy(update={"words": 'łamane, "świece"\nund Größe'})]
    text = review.export_text(words, as_csv=as_csv)
    good, bad = review.parse_corrections(text, as_csv=as_csv, who="ben", at=AT)
    assert (good, bad) == (words, {})


def test_a_table_made_by_hand_is_filled_in_and_its_bad_lines_are_named() -> None:
    subject = task(1).subject
    row = {
        "digest": subject.digest, "symbol": "BTCUSDT", "interval": "15m", "as_of": subject.as_of,
        "setup": "trap", "direction": "short", "phase": "range",
    }  # fmt: skip
    rows = [row, {**row, "setup": "moon"}, {**row, "direction": "neutral"}, {"symbol": "X"}]
    text = "".join(json.dumps(one) + "\n" for one in rows) + "no json\n"
    good, bad = review.parse_corrections(text, as_csv=False, who="ben", at=AT)
    assert [(c.who, c.reading.name) for c in good] == [("ben", "trap:short")]
    assert list(bad) == ["line 2", "line 3", "line 4", "line 5"]
    assert (
        review.parse_corrections(text, as_csv=False, who="ben", at="2026-01-01T00:00:00Z")[0][0].id
        == good[0].id
    )


DECISIONS = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, len(READINGS) - 1), st.sampled_from(list(Action))),
    max_size=12,
)


def corrections_of(decisions) -> list[Correction]:
    return [
        word(number, code, action=action, at=iso(1_750_000_000_000 + 1000 * second))
        for second, (number, code, action) in enumerate(decisions)
    ]


@settings(max_examples=50, deadline=None)
@given(DECISIONS)
def test_the_label_in_force_is_the_newest_persons_or_the_rule_books(decisions) -> None:
    newest = review.newest_corrections(corrections_of(decisions))
    for number in range(4):
        subject = task(number).subject
        codes = [c for n, c, action in decisions if n == number and action is not Action.SKIP]
        label = review.label_in_force(subject, newest)
        assert label.source == ("human" if codes else "rule")
        assert label.reading == (READINGS[codes[-1]] if codes else subject.reading)


@settings(max_examples=50, deadline=None)
@given(DECISIONS)
def test_agreeing_later_adds_nothing_and_disagreeing_starts_anew(decisions) -> None:
    corrections = corrections_of(decisions)
    first = {c.digest: c for c in review.earliest_agreeing(corrections)}
    newest = review.newest_corrections(corrections)
    assert first.keys() == newest.keys()
    for digest, correction in first.items():
        mine = [c for c in corrections if c.digest == digest and c.action is not Action.SKIP]
        assert correction.reading == newest[digest].reading
        after = mine[mine.index(correction) :]
        assert all(c.reading == correction.reading for c in after)
        before = mine[: mine.index(correction)]
        assert not before or before[-1].reading != correction.reading


@settings(max_examples=20, deadline=None)
@given(DECISIONS)
def test_the_log_only_grows_and_is_read_back_the_same(decisions) -> None:
    corrections = corrections_of(decisions)
    with TemporaryDirectory() as folder:
        log = CorrectionLog(Path(folder) / "corrections.jsonl")
        content = b""
        for correction in corrections:
            assert log.write([correction]) == 1
            assert log.write([correction]) == 0
            grown = log.path.read_bytes()
            assert grown.startswith(content)
            content = grown
        stored, bad = log.read()
    assert not bad
    ids = [correction.id for correction in corrections]
    assert [correction.id for correction in stored] == ids


def test_a_correction_of_version_0_1_is_intact(tmp_path) -> None:
    line = (
        '{"line":1,"check":"000de6df6a5aa78f","v":1,"id":"6c1a31cb712e798de8222ac98db2e1ec",'
        '"digest":"4e07408562bedb8b60ce05c1decfe3ad16b72230967de01f640b7e4729b49fce",'
        '"symbol":"BTCUSDT","interval":"15m","as_of":"2023-11-14T23:00:00Z",'
        '"look":"00000000000000000000000000000003","action":"correct",'
        '"setup":"breakout-continuation","direction":"short","phase":"distribution",'
        '"was":"breakout-continuation:short distribution","words":"note","who":"anna",'
        '"at":"2025-06-15T12:00:00Z"}\n'
    )
    path = tmp_path / "corrections.jsonl"
    path.write_text(line)
    (stored,), bad = CorrectionLog(path).read()
    assert not bad
    subject = task(3).subject
    label = Label(subject.reading, subject.phase)
    again = review.make_correction(subject, Action.CORRECT, label, who="anna", at=AT, words="note")
    assert again.id == stored.id  # the same decision is written once, whatever version wrote it
    assert CorrectionLog(path).write([again]) == 0


@pytest.mark.parametrize("who", ["", "   ", "x" * 65])
def test_a_reviewer_needs_a_name_of_at_most_64_letters(who) -> None:
    subject = task(1).subject
    label = Label(subject.reading, subject.phase)
    with pytest.raises(InputError, match="not valid: who"):
        review.make_correction(subject, Action.ACCEPT, label, who=who, at=AT)


def test_a_model_that_has_not_read_a_chart_counts_as_half_sure() -> None:
    subject = task(1).subject
    assert ReviewCase(subject).uncertainty == 0.5
    sure = SecondOpinion(subject.reading, subject.phase, 1.0)
    assert ReviewCase(subject, None, sure).uncertainty == 0
    other = SecondOpinion(subject.reading.mirror, subject.phase.mirror, 1.0)
    assert ReviewCase(subject, other, other).disagreements == 4
