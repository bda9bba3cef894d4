"""Many charts read at once, and the record of one of them."""

import numpy as np
import pytest

from tests.calibration.folds import charts, evidence
from tests.clusters import START
from vision_ai.calibration import answers, fusion
from vision_ai.calibration.annotations import AnnotationTransfer, NearbyAnnotations, TransferCurve
from vision_ai.calibration.answers import Chart, interval_reading, read
from vision_ai.domain import (
    CHART_INTERVALS,
    HORIZONS,
    PHASES,
    READINGS,
    Interval,
    Labelled,
    Neighbors,
    Setup,
    iso,
)

CURVE = TransferCurve(similarity=[0.5, 1.0], reading=[0.5, 1.0], phase=[0.0, 1.0])
TRANSFER = AnnotationTransfer(pairs=9, shared=TransferCurve(), other=CURVE)


@pytest.fixture(scope="module")
def exemplars():
    return charts(400, 1)


@pytest.fixture(scope="module")
def seen(exemplars):
    return evidence(charts(40, 2, start_h=5000), exemplars)


@pytest.fixture(scope="module")
def calibration(exemplars):
    plain = fusion.plain(exemplars, level=0.8)
    return plain.model_copy(update={"transfer": dict.fromkeys(CHART_INTERVALS, TRANSFER)})


def annotated(n: int, similarity: float, code: int) -> NearbyAnnotations:
    """One annotated chart, as similar to each of n others."""
    labelled_row = charts(1, 7)
    labelled_row.reading[:] = code
    labelled = Labelled(
        np.array([0]), labelled_row, np.array(["anna"]), labelled_row.close_ms + 60_000
    )
    near = Neighbors(np.zeros((n, 1), np.int64), np.full((n, 1), similarity, np.float32))
    return NearbyAnnotations.of(labelled, near, np.zeros((n, 1), np.bool_))


def chart(interval: Interval) -> Chart:
    last_ms = START + 5000 * 3_600_000
    return Chart(interval, last_ms - 95 * interval.ms, last_ms, 101.5, "hash", "chart.png")


def test_without_annotations_nothing_is_adjusted(seen, calibration) -> None:
    found = read(seen, calibration)
    assert (found.nearby, found.unadjusted) == (None, None)
    np.testing.assert_array_equal(found.code, found.probabilities.reading.argmax(axis=1))
    np.testing.assert_allclose(found.confidence, found.probabilities.reading.max(axis=1))
    np.testing.assert_array_equal(found.phase, found.probabilities.phase.argmax(axis=1))
    assert found.bands is found.probabilities.bands
    assert len(found) == len(seen)


def test_an_annotation_changes_the_answer_and_the_unadjusted_one_is_kept(seen, calibration) -> None:
    code = 3
    found = read(seen, calibration, annotated(len(seen), 1.0, code))
    plain = read(seen, calibration)
    assert (found.code == code).all()
    assert found.unadjusted is not None
    np.testing.assert_array_equal(found.unadjusted.reading, plain.probabilities.reading)
    assert (found.confidence > 0.9).all()


def test_abstained_charts_have_no_reading_and_no_confidence(seen, calibration) -> None:
    none_code = next(i for i, r in enumerate(READINGS) if r.setup is Setup.NONE)
    far = fusion.OutOfDistribution(similarity=2.0, tail=0.01)
    strict = calibration.model_copy(
        update={"out_of_distribution": dict.fromkeys(CHART_INTERVALS, far)}
    )
    found = read(seen, strict)
    assert found.abstained.all()
    assert (found.code == none_code).all()
    assert not found.confidence.any()
    record = interval_reading(chart(Interval.M15), found, 0, charts(400, 1), 3)
    assert record.abstained_because is not None
    assert "farther away" in record.abstained_because
    assert sum(record.probabilities.values()) == pytest.approx(1, abs=1e-4)  # still shown


@pytest.mark.parametrize("how", ["mask", "numbers"])
def test_taking_charts_takes_all_of_them(how: str, seen, calibration) -> None:
    found = read(seen, calibration, annotated(len(seen), 0.8, 3))
    rows = np.array([5, 2]) if how == "numbers" else np.isin(np.arange(len(seen)), [2, 5])
    order = [5, 2] if how == "numbers" else [2, 5]
    part = found.take(rows)
    assert len(part) == 2
    np.testing.assert_array_equal(part.code, found.code[order])
    np.testing.assert_array_equal(part.bands.low, found.bands.low[order])
    assert part.nearby is not None
    assert part.unadjusted is not None
    np.testing.assert_array_equal(part.nearby.similarity, found.nearby.similarity[order])
    np.testing.assert_array_equal(part.unadjusted.reading, found.unadjusted.reading[order])


def test_the_record_holds_what_the_columns_hold(seen, calibration, exemplars) -> None:
    found = read(seen, calibration)
    for row in range(10):
        interval = Interval(str(seen.interval[row]))
        record = interval_reading(chart(interval), found, row, exemplars, 4)
        reading = READINGS[found.code[row]]
        assert (record.setup, record.direction) == (reading.setup, reading.direction)
        assert record.phase is PHASES[found.phase[row]]
        assert record.confidence == pytest.approx(found.confidence[row], abs=1e-6)
        assert record.probabilities[reading.name] == max(record.probabilities.values())
        assert len(record.neighbors) == 4
        assert [n.similarity for n in record.neighbors] == pytest.approx(
            seen.similarity[row, :4], abs=1e-6
        )
        assert 0 < sum(n.weight for n in record.neighbors) <= 1 + 1e-6
        assert record.unadjusted is None
        for column, horizon in enumerate(HORIZONS):
            band = record.outcome[horizon]
            assert band.low == pytest.approx(found.bands.low[row, column], abs=1e-6)
            assert band.low <= band.median <= band.high
            assert band.level == 0.8


def test_neighbors_are_named_as_the_index_names_them(seen, calibration, exemplars) -> None:
    found = read(seen, calibration)
    record = interval_reading(chart(Interval.M15), found, 0, exemplars, 1)
    row = int(seen.rows[0, 0])
    first = record.neighbors[0]
    reading = READINGS[exemplars.reading[row]]
    assert (first.symbol, first.setup, first.direction) == (
        exemplars.symbol[row], reading.setup, reading.direction,
    )  # fmt: skip
    assert first.as_of == iso(int(exemplars.close_ms[row]))
    moves = np.expm1(exemplars.outcomes.move[row])
    assert [first.moves[h] for h in HORIZONS] == pytest.approx(moves, abs=1e-6)
    assert first.by is None


def test_padding_is_not_listed_as_a_neighbor(seen, calibration, exemplars) -> None:
    few = seen.take(np.arange(len(seen)))
    few.rows[:, 2:] = -1
    few.weight[:, 2:] = 0
    record = interval_reading(chart(Interval.M15), read(few, calibration), 0, exemplars, 5)
    assert len(record.neighbors) == 2
    assert sum(n.weight for n in record.neighbors) == pytest.approx(1, abs=1e-5)


def test_the_annotations_that_changed_a_reading_are_listed(seen, calibration, exemplars) -> None:
    code = 3
    nearby = annotated(len(seen), 0.8, code)
    found = read(seen, calibration, nearby)
    record = interval_reading(chart(Interval.M15), found, 0, exemplars, 2)
    assert record.unadjusted is not None
    annotation = record.unadjusted.annotations[0]
    assert (annotation.who, annotation.symbol) == ("anna", nearby.labelled.rows.symbol[0])
    assert annotation.setup is READINGS[code].setup
    expected = (1 - calibration.human_error) * np.interp(0.8, CURVE.similarity, CURVE.reading)
    assert annotation.transfer_probability == pytest.approx(expected, abs=1e-4)
    plain = read(seen, calibration)
    assert record.unadjusted.confidence == pytest.approx(plain.confidence[0], abs=1e-6)
    assert record.unadjusted.setup is READINGS[plain.code[0]].setup


def test_annotations_that_change_nothing_are_not_listed(seen, calibration, exemplars) -> None:
    found = read(seen, calibration, annotated(len(seen), 0.3, 3))  # below the first knot
    plain = read(seen, calibration)
    record = interval_reading(chart(Interval.M15), found, 0, exemplars, 2)
    assert record.unadjusted is None
    assert record == interval_reading(chart(Interval.M15), plain, 0, exemplars, 2)


def test_who_labelled_a_neighbor_is_named(seen, calibration, exemplars) -> None:
    nearby = annotated(len(seen), 0.8, 3)
    nearby.labelled.at[0] = seen.rows[0, 0]
    record = interval_reading(chart(Interval.M15), read(seen, calibration, nearby), 0, exemplars, 2)
    assert [neighbor.by for neighbor in record.neighbors] == ["anna", None]


def test_a_chart_names_its_window() -> None:
    from tests.feedback.examples import AS_OF, flat

    window = flat(96, AS_OF - 96 * Interval.M15.ms)
    made = Chart.of(window, "a.png")
    assert made.as_of_ms == AS_OF
    assert (made.interval, made.klines_hash, made.path) == (Interval.M15, window.digest, "a.png")
    assert (made.first_ms, made.last_close) == (int(window.open_ms[0]), 100.0)


def test_predicted_takes_the_likeliest_where_nothing_abstains() -> None:
    reading = np.array([[0.2, 0.8], [0.9, 0.1]])
    found = answers.predicted(
        fusion.Probabilities(reading, reading, np.array([0, 2]), None)  # type: ignore[arg-type]
    )
    assert found[1].tolist() == [0.8, 0.0]
    assert found[0][0] == 1
