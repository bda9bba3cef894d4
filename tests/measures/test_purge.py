import numpy as np
import pytest

from tests.clusters import HOUR, START, embeddings
from vision_ai.errors import KlinesError
from vision_ai.measures.purge import Evaluation, Live, Spans


def test_span_covers_96_candles_and_the_longest_horizon():
    spans = Spans.at(["BTCUSDT"], ["15m"], [START])
    assert spans.first_ms.tolist() == [START - 24 * HOUR]
    assert spans.known_ms.tolist() == [START + 6 * HOUR]


def test_span_of_rows_ends_with_their_last_outcome():
    rows = embeddings(20)
    spans = Spans.of(rows)
    np.testing.assert_array_equal(spans.known_ms, rows.close_ms + 6 * HOUR)
    np.testing.assert_array_equal(spans.first_ms, rows.first_ms)


def test_live_law_counts_an_outcome_the_instant_it_is_known():
    row = Spans.at(["AAUSDT"], ["1h"], [START])
    query = Spans.at(["BBUSDT"] * 2, ["1h"] * 2, [START + 6 * HOUR, START + 6 * HOUR - 1])
    assert Live().admits(row, query).tolist() == [[True], [False]]


def test_live_law_forbids_a_chart_to_witness_itself():
    row = Spans.at(["AAUSDT"], ["15m"], [START])
    query = Spans.at(["AAUSDT", "BBUSDT"], ["1h", "1h"], [START + 50 * HOUR] * 2)
    assert Live().admits(row, query).tolist() == [[False], [True]]


@pytest.mark.parametrize(("shift_h", "admitted"), [(0, False), (101, False), (102, True)])
def test_evaluation_law_reaches_the_embargo_and_no_further(shift_h, admitted):
    row = Spans.at(["AAUSDT"], ["1h"], [START])
    query = Spans.at(["BBUSDT"], ["1h"], [START + shift_h * HOUR + 10 * HOUR])
    assert Evaluation(10 * HOUR).admits(row, query).item() is admitted


@pytest.mark.parametrize("purge", [Live(), Evaluation(0), Evaluation(30 * HOUR)])
def test_the_short_cut_never_admits_more_than_the_law(purge):
    rng = np.random.default_rng(3)
    for _ in range(50):
        rows = Spans.at(
            ["AAUSDT"] * 3, ["1h"] * 3, (START + rng.integers(0, 99, 3) * HOUR).tolist()
        )
        late = START + int(rng.integers(0, 400)) * HOUR
        queries = Spans.at(["AAUSDT", "BBUSDT"], ["1h", "15m"], [late, late + HOUR])
        if purge.admits_all(rows, queries):
            assert purge.admits(rows, queries).all()


@pytest.mark.parametrize("purge", [Live(), Evaluation(30 * HOUR)])
def test_the_short_cut_is_taken_where_all_rows_are_long_settled(purge):
    rows = Spans.at(["AAUSDT"], ["1h"], [START])
    queries = Spans.at(["AAUSDT", "BBUSDT"], ["1h", "1h"], [START + 500 * HOUR] * 2)
    assert purge.admits_all(rows, queries)
    assert not purge.admits_all(rows, Spans.at(["AAUSDT"], ["1h"], [START + 101 * HOUR]))


def test_spans_of_unequal_columns_are_refused():
    one, two = np.array([1]), np.array([1, 2])
    with pytest.raises(KlinesError, match="one length"):
        Spans(np.array(["A"]), np.array(["1h"]), one, two, two)
    with pytest.raises(KlinesError, match="ends before"):
        Spans(np.array(["A"]), np.array(["1h"]), np.array([2]), np.array([1]), np.array([3]))
