"""The wall against a brute-force oracle: loops over all pairs of charts, in plain integers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.clusters import HOUR, START, embeddings
from vision_ai.domain import Interval
from vision_ai.errors import KlinesError, LeakError
from vision_ai.measures import purge
from vision_ai.measures.purge import (
    Extent,
    PointInTimeFilter,
    PurgeAndEmbargo,
    Spans,
    SplitRule,
    check,
    check_clear,
    hold_out,
    is_clear,
    split_at,
    split_by_time,
)

DAY = 24 * HOUR

quick = settings(max_examples=40, deadline=None)


@st.composite
def spans(draw, most: int = 12, hours: int = 400) -> Spans:
    """Charts of three symbols and both intervals, outcomes known after 0 to 6 hours."""
    n = draw(st.integers(1, most))
    some = lambda values: [draw(st.sampled_from(values)) for _ in range(n)]  # noqa: E731
    as_of = [START + draw(st.integers(0, hours)) * HOUR for _ in range(n)]
    known = [draw(st.integers(0, 6)) * HOUR for _ in range(n)]
    return Spans.at(some(["AAUSDT", "BBUSDT", "CCUSDT"]), some(["15m", "1h"]), as_of, known)


def many(seed: int = 0, n: int = 4000) -> Spans:
    return Spans.of(embeddings(n, seed=seed, symbols=30, hours=5000))


# ---- spans


def test_span_covers_96_candles_and_the_longest_horizon():
    one = Spans.at(["BTCUSDT"], ["15m"], [START])
    assert one.first_ms.tolist() == [START - 24 * HOUR]
    assert one.known_ms.tolist() == [START + 6 * HOUR]


def test_span_of_rows_ends_with_their_last_outcome():
    rows = embeddings(20)
    own = Spans.of(rows)
    np.testing.assert_array_equal(own.known_ms, rows.close_ms + 6 * HOUR)
    np.testing.assert_array_equal(own.first_ms, rows.first_ms)


def test_intervals_may_be_mixed_in_any_order():
    mixed = Spans.at(["A"] * 4, ["1h", "15m", "1h", "5m"], [START] * 4)
    hours = ((START - mixed.first_ms) // HOUR).tolist()
    assert hours == [96, 24, 96, 8]


def test_no_charts_have_spans_too():
    assert len(Spans.at([], [], [])) == 0


@quick
@given(spans(), spans(), spans())
def test_parts_are_joined_in_their_order(a, b, c):
    whole = Spans.concatenate([a, b, c])
    for name in ("symbol", "interval", "first_ms", "as_of_ms", "known_ms"):
        assert getattr(whole, name).tolist() == [
            value for part in (a, b, c) for value in getattr(part, name).tolist()
        ]


def test_spans_of_unequal_columns_are_refused():
    one, two = np.array([1]), np.array([1, 2])
    with pytest.raises(KlinesError, match="one length"):
        Spans(np.array(["A"]), np.array(["1h"]), one, two, two)
    with pytest.raises(KlinesError, match="ends before"):
        Spans(np.array(["A"]), np.array(["1h"]), np.array([2]), np.array([1]), np.array([3]))


@quick
@given(*[st.integers(0, 30)] * 4)
def test_two_times_overlap_where_they_share_an_hour(a, length_a, b, length_b):
    shared = set(range(a, a + length_a + 1)) & set(range(b, b + length_b + 1))
    assert purge.overlaps(a, a + length_a + 1, b, b + length_b + 1) == bool(shared)


# ---- which rows are evidence for which queries


@quick
@given(spans(), spans())
def test_point_in_time_filter_equals_its_definition_on_every_pair(rows, queries):
    found = PointInTimeFilter().eligible(rows, queries)
    for q in range(len(queries)):
        for row in range(len(rows)):
            known = rows.known_ms[row] <= queries.as_of_ms[q]
            itself = (
                rows.symbol[row] == queries.symbol[q] and rows.known_ms[row] > queries.first_ms[q]
            )
            assert found[q, row] == (known and not itself)


@quick
@given(spans(), spans(), st.integers(0, 120))
def test_purge_and_embargo_equals_its_definition_on_every_pair(rows, queries, embargo_h):
    found = PurgeAndEmbargo(embargo_h * HOUR).eligible(rows, queries)
    for q in range(len(queries)):
        # every hour that the query occupies, widened by the embargo on both sides
        first = int(queries.first_ms[q]) // HOUR - embargo_h
        taken = range(first, int(queries.known_ms[q]) // HOUR + embargo_h)
        for row in range(len(rows)):
            own = range(int(rows.first_ms[row]) // HOUR, int(rows.known_ms[row]) // HOUR)
            assert found[q, row] == (own.stop <= taken.start or taken.stop <= own.start)


@quick
@given(spans(), spans(), st.data(), st.booleans())
def test_annotations_count_from_their_chart_and_in_a_replay_from_their_own_time(
    rows, queries, data, is_replay
):
    delay = data.draw(st.lists(st.integers(-50, 50), min_size=len(rows), max_size=len(rows)))
    annotated = rows.as_of_ms + np.array(delay) * HOUR
    found = PointInTimeFilter(is_replay).eligible_annotations(rows, annotated, queries)
    for q in range(len(queries)):
        for row in range(len(rows)):
            allowed = rows.as_of_ms[row] <= queries.as_of_ms[q]
            if is_replay:
                allowed &= annotated[row] <= queries.as_of_ms[q]
            assert found[q, row] == allowed


def test_for_measuring_an_annotation_is_no_more_eligible_than_its_row():
    row, query = Spans.at(["A"], ["1h"], [START]), Spans.at(["B"], ["1h"], [START + HOUR])
    rule = PurgeAndEmbargo(0)
    assert not rule.eligible_annotations(row, np.array([0]), query).item()


@quick
@given(
    spans(hours=1000),
    spans(hours=1000),
    st.sampled_from([PointInTimeFilter(), PurgeAndEmbargo(0), PurgeAndEmbargo(30 * HOUR)]),
)
def test_the_short_cut_never_admits_more_than_the_rule(rows, queries, eligibility):
    if eligibility.all_eligible(rows, queries):
        assert eligibility.eligible(rows, queries).all()


@pytest.mark.parametrize("eligibility", [PointInTimeFilter(), PurgeAndEmbargo(30 * HOUR)])
def test_the_short_cut_is_taken_where_all_rows_are_long_settled(eligibility):
    rows = Spans.at(["AAUSDT"], ["1h"], [START])
    queries = Spans.at(["AAUSDT", "BBUSDT"], ["1h", "1h"], [START + 500 * HOUR] * 2)
    assert eligibility.all_eligible(rows, queries)
    assert not eligibility.all_eligible(rows, Spans.at(["AAUSDT"], ["1h"], [START + 101 * HOUR]))


def test_an_outcome_counts_the_instant_it_is_known():
    row = Spans.at(["AAUSDT"], ["1h"], [START])
    query = Spans.at(["BBUSDT"] * 2, ["1h"] * 2, [START + 6 * HOUR, START + 6 * HOUR - 1])
    assert PointInTimeFilter().eligible(row, query).tolist() == [[True], [False]]


@quick
@given(st.lists(st.integers(0, 20)), st.lists(st.integers(-1, 21)))
def test_known_outcomes_are_counted_one_by_one(known, at):
    counted = purge.count_known(np.sort(np.array(known, int)), np.array(at, int)).tolist()
    assert counted == [sum(one <= instant for one in known) for instant in at]


# ---- refusing folds that leak


@quick
@given(st.lists(spans(most=4), min_size=2, max_size=3), st.integers(0, 80), *[st.booleans()] * 2)
def test_the_check_refuses_exactly_the_folds_that_leak(folds, embargo_h, disjoint, in_order):
    def leaks(one: Spans, other: Spans) -> bool:
        """As the rule is written: a shared symbol, or too little time between the folds."""
        if disjoint and set(one.symbol) & set(other.symbol):
            return True
        gap = int(other.first_ms.min()) - int(one.known_ms.max())
        gap_back = int(one.first_ms.min()) - int(other.known_ms.max())
        return gap < embargo_h * HOUR and (in_order or gap_back < embargo_h * HOUR)

    rule = SplitRule(embargo_h * HOUR, disjoint_symbols=disjoint, in_order=in_order)
    extents = [Extent.of(str(i), fold) for i, fold in enumerate(folds)]
    expected = any(leaks(a, b) for i, a in enumerate(folds) for b in folds[i + 1 :])
    if expected:
        with pytest.raises(LeakError):
            check(extents, rule)
    else:
        check(extents, rule)


def test_the_same_hour_on_another_symbol_is_a_leak():
    train = Extent("train", frozenset({"AAUSDT"}), START, START + 100 * DAY)
    test = Extent("test", frozenset({"BBUSDT"}), START + 50 * DAY, START + 150 * DAY)
    with pytest.raises(LeakError, match=r"'test' begins at .*: expected at least 24 h after"):
        check([train, test], SplitRule(DAY))


def test_an_earlier_fold_is_refused_unless_folds_may_lie_in_any_order():
    train = Extent("train", frozenset({"AAUSDT"}), START, START + 10 * DAY)
    test = Extent("test", frozenset({"BBUSDT"}), START - 20 * DAY, START - 5 * DAY)
    with pytest.raises(LeakError):
        check([train, test], SplitRule(DAY))
    check([train, test], SplitRule(DAY, in_order=False))
    with pytest.raises(LeakError):
        check([train, test], SplitRule(6 * DAY, in_order=False))


def test_shared_symbols_are_named_the_first_three_of_them():
    names = frozenset(f"{c}USDT" for c in "ABCDE")
    train, test = (Extent(name, names, at, at + DAY) for name, at in (("a", 0), ("b", 9 * DAY)))
    with pytest.raises(LeakError, match="share AUSDT, BUSDT, CUSDT and 2 more: expected no symbol"):
        check([train, test], SplitRule(DAY))
    check([train, test], SplitRule(DAY, disjoint_symbols=False))


def test_a_fold_of_no_charts_is_refused():
    with pytest.raises(LeakError, match="'test' holds no chart"):
        Extent.of("test", Spans.at([], [], []))


@quick
@given(spans(), spans(), st.integers(0, 100), *[st.booleans()] * 2)
def test_a_chart_is_clear_exactly_if_it_passes_the_check_alone(
    seen, charts, embargo_h, disjoint, in_order
):
    rule = SplitRule(embargo_h * HOUR, disjoint_symbols=disjoint, in_order=in_order)
    folds = [Extent.of("training", seen.take([0])), Extent.of("calibration", seen)]
    clear = is_clear(folds, charts, rule)
    for row in range(len(charts)):
        one = Extent.of("chart", charts.take([row]))
        try:
            for fold in folds:
                check([fold, one], rule)
        except LeakError:
            assert not clear[row]
        else:
            assert clear[row]


@quick
@given(spans(hours=2000), spans(hours=300), st.integers(0, 100))
def test_clear_charts_pass_together_and_any_other_is_refused(charts, seen, embargo_h):
    rule = SplitRule(embargo_h * HOUR, disjoint_symbols=False, in_order=False)
    fold = Extent.of("training", seen)
    clear = is_clear([fold], charts, rule)
    check_clear([fold], charts.take(clear), rule)
    if not clear.all():
        with pytest.raises(LeakError, match="measured charts"):
            check_clear([fold], charts, rule)


# ---- cutting folds


@quick
@given(spans(), st.integers(-50, 450), st.integers(0, 100))
def test_sides_of_a_wall_equal_their_definition(charts, wall_h, embargo_h):
    wall, embargo = START + wall_h * HOUR, embargo_h * HOUR
    earlier, later = split_at(charts, wall, embargo)
    rows = range(len(charts))
    assert earlier.tolist() == [r for r in rows if charts.known_ms[r] <= wall]
    assert later.tolist() == [r for r in rows if charts.first_ms[r] >= wall + embargo]


@quick
@given(st.integers(0, 99), st.floats(0.1, 0.9))
def test_a_share_of_time_walls_off_that_share(seed, share):
    charts = many(seed, 300)
    earlier, later = split_by_time(charts, share)
    wall = np.quantile(charts.as_of_ms, share)
    assert (charts.known_ms[earlier] <= wall).all()
    assert (charts.first_ms[later] >= wall).all()
    assert abs(len(earlier) / len(charts) - share) < 0.05


@quick
@given(spans(), st.integers(0, 400), st.integers(0, 60), st.sets(st.sampled_from("ABC")))
def test_held_out_folds_equal_their_definition_and_pass_the_check(charts, wall_h, embargo_h, away):
    wall, embargo = START + wall_h * HOUR, embargo_h * HOUR
    symbols = {f"{name * 2}USDT" for name in away}
    folds = hold_out(charts, wall, embargo, symbols)
    train, held_out = folds.train, folds.held_out
    rows = range(len(charts))
    assert train.tolist() == [
        r for r in rows if charts.known_ms[r] <= wall and charts.symbol[r] not in symbols
    ]
    assert held_out.tolist() == [
        r for r in rows if charts.first_ms[r] >= wall + embargo and charts.symbol[r] in symbols
    ]
    assert (folds.until_ms, folds.from_ms) == (wall, wall + embargo)
    if len(train) and len(held_out):
        extents = [Extent.of("train", charts.take(train)), Extent.of("out", charts.take(held_out))]
        check(extents, SplitRule(embargo))


def test_a_chart_slipped_across_the_wall_is_refused():
    charts = many()
    wall, away = START + 2500 * HOUR, purge.held_out_symbols(charts.symbol.tolist(), 0.3, 0)
    folds = hold_out(charts, wall, DAY, away)
    train, held_out = folds.train, folds.held_out
    assert len(train) > 100
    assert len(held_out) > 100
    inside = Extent.of("train", charts.take(train))
    for row in train[:10]:
        leaky = Extent.of("test", charts.take(np.append(held_out, row)))
        for rule in (SplitRule(DAY), SplitRule(DAY, disjoint_symbols=False)):
            with pytest.raises(LeakError, match="'test'"):
                check([inside, leaky], rule)


def test_held_out_symbols_are_at_least_one_and_change_with_the_seed():
    names = [f"S{i}USDT" for i in range(30)]
    assert len(purge.held_out_symbols(names, 0.2, 3)) == 6
    assert len(purge.held_out_symbols(names, 0.001, 3)) == 1
    assert purge.held_out_symbols(names, 0.2, 3) != purge.held_out_symbols(names, 0.2, 4)
    more = purge.held_out_symbols([*names, "NEWUSDT"], 0.2, 3)
    assert len(more - purge.held_out_symbols(names, 0.2, 3)) <= 1  # one symbol more moves one


def test_walls_lie_at_the_start_of_a_day():
    assert purge.day_wall(5 * DAY, 9 * DAY, 0.5) == 7 * DAY
    assert purge.day_wall(5 * DAY + HOUR, 9 * DAY, 0.99) == 8 * DAY
    assert purge.day_wall(5 * DAY + HOUR, 9 * DAY, 0.99, nearest=True) == 9 * DAY


@quick
@given(st.sampled_from([Interval.M15, Interval.H1]), st.integers(0, 50))
def test_the_earliest_chart_after_a_wall_holds_no_candle_before_it(interval, embargo_h):
    as_of = purge.earliest_as_of(START, interval, embargo_h * HOUR)
    for late, expected in ((0, [0]), (-1, [])):
        one = Spans.at(["A"], [interval.value], [as_of + late])
        assert split_at(one, START, embargo_h * HOUR)[1].tolist() == expected


def test_only_settled_charts_are_settled():
    charts = Spans.at(["A"] * 3, ["1h"] * 3, [START] * 3, np.array([1, 2, 3]))
    assert purge.settled(charts, START + 2).tolist() == [True, True, False]
