import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.clusters import HOUR, START, embeddings
from vision_ai.errors import LeakError
from vision_ai.measures.purge import Extent, Rule, Spans, admits, check, divide

DAY = 24 * HOUR


def spans(seed: int = 0, n: int = 4000) -> Spans:
    return Spans.of(embeddings(n, seed=seed, symbols=30, hours=5000))


def extents(rows: Spans, split) -> list[Extent]:
    parts = (split.train, split.calibrate, split.test)
    return [Extent.of(str(i), rows.take(part)) for i, part in enumerate(parts)]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 99), embargo_h=st.integers(0, 240))
def test_divided_folds_share_no_symbol_and_no_hour(seed, embargo_h):
    rows = spans()
    rule = Rule(embargo_h * HOUR)
    split = divide(rows, rule, seed=seed)
    parts = [rows.take(part) for part in (split.train, split.calibrate, split.test)]
    for earlier, later in [(0, 1), (0, 2), (1, 2)]:
        a, b = parts[earlier], parts[later]
        assert not set(a.symbol) & set(b.symbol)
        assert b.first_ms.min() >= a.known_ms.max() + rule.embargo_ms


def planted(rows: Spans, split, row: int) -> list[Extent]:
    """The folds after one chart of another fold was slipped into the test fold."""
    leaky = np.append(split.test, row)
    parts = (split.train, split.calibrate, leaky)
    names = ("train", "calibrate", "test")
    return [Extent.of(n, rows.take(p)) for n, p in zip(names, parts, strict=True)]


@pytest.mark.parametrize("unseen", [True, False])
def test_a_planted_leak_is_refused(unseen):
    rows, rule = spans(), Rule(DAY, unseen=unseen)
    split = divide(rows, rule)
    check(extents(rows, split), rule)
    for row in (*split.train[:5], *split.calibrate[:5]):
        with pytest.raises(LeakError, match=r"'test'"):
            check(planted(rows, split, int(row)), rule)


def test_the_same_hour_on_another_symbol_is_a_leak():
    train = Extent("train", frozenset({"AAUSDT"}), START, START + 100 * DAY)
    test = Extent("test", frozenset({"BBUSDT"}), START + 50 * DAY, START + 150 * DAY)
    with pytest.raises(LeakError, match="24 h after"):
        check([train, test], Rule(DAY))


def test_the_same_symbol_later_is_a_leak_unless_allowed():
    train = Extent("train", frozenset({"AAUSDT"}), START, START + 10 * DAY)
    test = Extent("test", frozenset({"AAUSDT", "BBUSDT"}), START + 12 * DAY, START + 15 * DAY)
    with pytest.raises(LeakError, match="share AAUSDT"):
        check([train, test], Rule(DAY))
    check([train, test], Rule(DAY, unseen=False))


def test_earlier_time_is_refused_unless_it_is_asked_for():
    train = Extent("train", frozenset({"AAUSDT"}), START, START + 10 * DAY)
    test = Extent("test", frozenset({"BBUSDT"}), START - 20 * DAY, START - 5 * DAY)
    with pytest.raises(LeakError):
        check([train, test], Rule(DAY))
    check([train, test], Rule(DAY, later=False))
    with pytest.raises(LeakError):
        check([train, test], Rule(6 * DAY, later=False))


@settings(max_examples=25, deadline=None)
@given(later=st.booleans(), unseen=st.booleans(), embargo_h=st.integers(0, 100))
def test_what_is_admitted_passes_the_check(later, unseen, embargo_h):
    rule = Rule(embargo_h * HOUR, unseen=unseen, later=later)
    rows = spans(1)
    middle = START + np.array([2000, 3000]) * HOUR
    inside = (rows.first_ms > middle[0]) & (rows.known_ms < middle[1])
    seen = Extent.of("train", rows.take(inside & (rows.symbol < "S2")))
    allowed = admits(seen, rows, rule)
    assert allowed.any()
    for row in np.flatnonzero(allowed)[::50]:
        check([seen, Extent.of("test", rows.take(np.array([row])))], rule)
    for row in np.flatnonzero(~allowed)[::50]:
        with pytest.raises(LeakError):
            check([seen, Extent.of("test", rows.take(np.array([row])))], rule)


def test_too_little_for_three_folds_is_refused():
    with pytest.raises(LeakError, match="holds no chart"):
        divide(spans(n=3), Rule(DAY))
