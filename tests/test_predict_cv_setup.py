import json
from dataclasses import replace

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.clusters import HOUR, START, around, centres, embeddings, with_rows
from vision_ai import predict_cv_setup as predict
from vision_ai.calibration import fusion as calibrations
from vision_ai.calibration.fitting import fit
from vision_ai.domain import HORIZONS, PHASES, READINGS, Embeddings, Interval, Setup
from vision_ai.errors import KlinesError, StaleIndexError
from vision_ai.index import Index, PointInTimeFilter, PurgeAndEmbargo, Spans
from vision_ai.measures.fitting import isotonic_regression
from vision_ai.records import IntervalReading, Prediction

DIM = 32
LATER = START + 100_000 * HOUR
MADE_BY = predict.Provenance("model-1", "index-1", "style-1", "rules-1", LATER)


def noisy(rows: Embeddings, seed: int, share: float = 0.2) -> Embeddings:
    """Some labels are wrong, so that confidence has something to be honest about."""
    rng = np.random.default_rng(seed)
    wrong = rng.random(len(rows)) < share
    reading = np.where(wrong, rng.integers(0, len(READINGS), len(rows)), rows.reading)
    return with_rows(rows, reading=reading.astype(np.int8))


def charts_of(n: int, seed: int, start_ms: int) -> Embeddings:
    return noisy(embeddings(n, seed=seed, dim=DIM, symbols=40, start_ms=start_ms, noise=0.12), seed)


def prompts() -> predict.Prototypes:
    points = centres(DIM)
    phases = [points[code :: len(PHASES)] for code in range(len(PHASES))]
    return predict.prototypes([point[None] for point in points], phases)


def gathered(
    rows: Embeddings, index: Index, eligibility: object = PurgeAndEmbargo(24 * HOUR)
) -> predict.Evidence:
    neighbors = index.search(rows.vectors, Spans.of(rows), eligibility=eligibility, k=16)
    return predict.gather(
        rows.vectors,
        neighbors,
        index.rows,
        prompts(),
        interval=rows.interval,
        scale=rows.outcomes.scale,
    )


@pytest.fixture(scope="module")
def index() -> Index:
    return Index(charts_of(1500, 1, START))


@pytest.fixture(scope="module")
def fitted(index) -> predict.Calibration:
    fold = charts_of(1500, 2, START + 5000 * HOUR)
    return fit(gathered(fold, index), fold, index.rows, level=0.8)


@pytest.fixture(scope="module")
def unseen(index) -> tuple[Embeddings, predict.Evidence]:
    rows = charts_of(1500, 3, START + 9000 * HOUR)
    return rows, gathered(rows, index)


@pytest.fixture(scope="module")
def large() -> tuple[Index, predict.Calibration, Embeddings, predict.Evidence]:
    """Twice as many charts, for what is measured with a narrow tolerance."""
    index = Index(charts_of(3000, 1, START))
    fold = charts_of(3000, 2, START + 5000 * HOUR)
    rows = charts_of(3000, 3, START + 9000 * HOUR)
    calibration = fit(gathered(fold, index), fold, index.rows, level=0.8)
    return index, calibration, rows, gathered(rows, index)


def charts(first: Interval = Interval.M15) -> list[predict.Chart]:
    second = Interval.H1 if first is Interval.M15 else Interval.M15
    return [
        predict.Chart(i, LATER - 96 * i.ms, LATER - i.ms, 101.5, "hash", None)
        for i in (first, second)
    ]


def pair(answers: predict.Answers) -> predict.Answers:
    """One 15m and one 1h answer."""
    interval = answers.evidence.interval
    return answers.take(np.array([(interval == "15m").argmax(), (interval == "1h").argmax()]))


@pytest.mark.slow
def test_confidence_is_as_often_right_as_it_says(large):
    _, fitted, rows, evidence = large
    answers = predict.read(evidence, fitted)
    live = ~answers.abstained
    right = (answers.code == rows.reading)[live]
    said = answers.confidence[live]
    bins = np.array_split(np.argsort(said), 10)
    error = sum(abs(right[b].mean() - said[b].mean()) * len(b) for b in bins) / len(said)
    assert right.mean() > 0.75
    assert error < 0.04


def test_bands_of_unseen_charts_cover_what_they_say(fitted, unseen):
    rows, evidence = unseen
    bands = predict.read(evidence, fitted).bands
    happened = np.expm1(rows.outcomes.move)
    covered = (bands.low <= happened) & (happened <= bands.high)
    assert np.abs(covered.mean(axis=0) - 0.8).max() < 0.03


@pytest.mark.slow
def test_a_volatile_fold_widens_bands_less_where_exemplars_are_used_too(large):
    index, _, rows, evidence = large
    fold = charts_of(600, 2, START + 5000 * HOUR)
    wild = with_rows(fold, outcomes=replace(fold.outcomes, move=2 * fold.outcomes.move))
    asked = gathered(wild, index)
    alone = fit(asked, wild, index.rows, level=0.8)
    together = fit(asked, wild, index.rows, level=0.8, earlier=gathered(index.rows, index))

    def covered(calibration):
        bands = predict.read(evidence, calibration).bands
        move = np.expm1(rows.outcomes.move)
        known = np.isfinite(move)
        return ((bands.low <= move) & (move <= bands.high))[known].mean()

    assert covered(alone) > 0.9
    assert abs(covered(together) - 0.8) < 0.07
    names = set(type(alone).model_fields) - {"bands"}
    assert all(getattr(alone, name) == getattr(together, name) for name in names)


def test_probabilities_sum_to_one_and_name_the_reading_shown(fitted, unseen):
    answers = predict.read(unseen[1], fitted)
    np.testing.assert_allclose(answers.probabilities.reading.sum(axis=1), 1)
    np.testing.assert_allclose(answers.probabilities.phase.sum(axis=1), 1)
    live = ~answers.abstained
    shown = answers.probabilities.reading[np.arange(len(answers)), answers.code]
    np.testing.assert_array_equal(shown[live], answers.confidence[live])


def test_charts_unlike_all_known_ones_are_abstained_from(fitted, index):
    strange = embeddings(200, seed=9, dim=DIM, start_ms=START + 9000 * HOUR)
    rng = np.random.default_rng(0)
    strange = with_rows(strange, vectors=around(np.zeros((200, DIM)), 1.0, rng))
    answers = predict.read(gathered(strange, index), fitted)
    assert answers.abstained.mean() > 0.9
    known = predict.read(gathered(charts_of(200, 8, START + 9000 * HOUR), index), fitted)
    assert known.abstained.mean() < 0.06


def test_distance_alone_is_enough_to_abstain(index):
    """Without prompts there is no second opinion."""
    fold = charts_of(1000, 2, START + 5000 * HOUR)
    blank = np.zeros((1, len(READINGS)))

    def wordless(rows: Embeddings) -> predict.Evidence:
        evidence = gathered(rows, index)
        return replace(evidence, text_reading=blank.repeat(len(rows), axis=0))

    calibration = fit(wordless(fold), fold, index.rows, level=0.8)
    strange = embeddings(200, seed=9, dim=DIM, start_ms=START + 9000 * HOUR)
    vectors = around(np.zeros((200, DIM)), 1.0, np.random.default_rng(0))
    strange = with_rows(strange, vectors=vectors)
    assert predict.read(wordless(strange), calibration).abstained.mean() > 0.9
    assert predict.read(wordless(fold), calibration).abstained.mean() < 0.03


def test_abstention_claims_nothing_and_says_why(fitted, index):
    strange = with_rows(embeddings(2, dim=DIM), interval=np.array(["15m", "1h"]))
    strange = with_rows(strange, vectors=-strange.vectors)
    answers = predict.read(gathered(strange, index, PointInTimeFilter()), fitted)
    prediction = predict.assemble("BTCUSDT", charts(), pair(answers), index.rows, MADE_BY)
    for reading in prediction.intervals.values():
        assert (reading.abstained, reading.setup, reading.confidence) == (True, Setup.NONE, 0.0)
        assert reading.abstained_because
    assert prediction.lead_interval is Interval.H1


def test_without_a_calibration_fold_the_votes_still_read(index, unseen):
    rows, evidence = unseen
    answers = predict.read(evidence, calibrations.plain(index.rows, level=0.8))
    assert (answers.code == rows.reading).mean() > 0.7
    assert not answers.abstained.any()


@settings(max_examples=25, deadline=None)
@given(
    top=st.floats(0.2, 0.99),
    knots=st.lists(st.floats(0.01, 0.99), min_size=2, max_size=5),
)
def test_probabilities_after_the_reliability_map_keep_their_first(top, knots):
    p = np.array([[top, *([(1 - top) / 9] * 9)]])
    p[:, 0] = max(top, 0.11)
    p /= p.sum()
    curve = calibrations.ReliabilityMap(
        predicted=np.linspace(0, 1, len(knots)).tolist(), observed=sorted(knots)
    )
    straight = calibrations.apply_reliability(p, curve)
    assert straight[0, 0] >= straight[0, 1:].max() - 1e-9
    np.testing.assert_allclose(straight.sum(), 1)


def test_a_reliability_map_that_lowers_the_first_keeps_it_first() -> None:
    curve = calibrations.ReliabilityMap(predicted=[0.2, 0.9], observed=[0.1, 0.5])
    p = np.random.default_rng(4).dirichlet(np.ones(18), 500)
    p[0, :3], p[0, 3:] = (0.5, 0.3, 0.2), 0.0
    straight = calibrations.apply_reliability(p, curve)
    assert (straight.argmax(axis=1) == p.argmax(axis=1)).all()


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=30))
def test_isotonic_values_never_fall_and_keep_their_mean(values):
    found = isotonic_regression(np.array(values), np.ones(len(values)))
    assert (np.diff(found) >= -1e-12).all()
    np.testing.assert_allclose(found.mean(), np.mean(values), atol=1e-9)


def test_fit_takes_the_same_course_every_time(index):
    fold = charts_of(300, 2, START + 5000 * HOUR)
    evidence = gathered(fold, index)
    first = fit(evidence, fold, index.rows, level=0.8)
    assert first == fit(evidence, fold, index.rows, level=0.8)
    assert predict.Calibration.model_validate_json(first.model_dump_json()) == first


def test_a_fold_too_small_is_refused(index):
    fold = charts_of(20, 2, START)
    with pytest.raises(KlinesError, match="at least 50"):
        fit(gathered(fold, index), fold, index.rows, level=0.8)


def test_a_calibration_of_another_model_is_refused(index, fitted):
    predict.check_maker(fitted, index.rows)
    with pytest.raises(StaleIndexError, match="vision-ai train"):
        predict.check_maker(fitted, with_rows(index.rows, model="model-2"))


def test_a_calibration_without_the_interval_is_refused(unseen, fitted):
    hourly = {Interval.H1: fitted.temperature[Interval.H1]}
    with pytest.raises(StaleIndexError, match="without 15m charts"):
        predict.read(unseen[1], fitted.model_copy(update={"temperature": hourly}))


def test_later_exemplars_change_no_prediction(index, fitted):
    now = START + 1000 * HOUR
    asked = embeddings(40, seed=11, dim=DIM, symbols=3)
    queries = Spans.at(asked.symbol.tolist(), asked.interval.tolist(), [now] * 40)
    past = index.rows.take(index.rows.outcomes.complete_ms.max(axis=1) <= now)

    def predicted(known: Index) -> list[str]:
        neighbors = known.search(asked.vectors, queries, eligibility=PointInTimeFilter(), k=16)
        evidence = predict.gather(
            asked.vectors,
            neighbors,
            known.rows,
            prompts(),
            interval=asked.interval,
            scale=asked.outcomes.scale,
        )
        answers = predict.read(evidence, fitted)
        return [
            predict.assemble(
                "BTCUSDT",
                [predict.Chart(Interval(str(asked.interval[i])), now - HOUR, now, 1.0, "h")],
                answers.take(np.array([i])),
                known.rows,
                MADE_BY,
            ).model_dump_json()
            for i in range(40)
        ]

    assert predicted(index) == predicted(Index(past))


def test_prediction_holds_both_intervals_and_repeats_the_lead(index, fitted, unseen):
    answers = pair(predict.read(unseen[1], fitted))
    prediction = predict.assemble("BTCUSDT", charts(), answers, index.rows, MADE_BY, shown=3)
    assert set(prediction.intervals) == {Interval.M15, Interval.H1}
    lead = prediction.intervals[prediction.lead_interval]
    for name in ("setup", "direction", "phase", "confidence", "abstained", "outcome"):
        assert getattr(prediction, name) == getattr(lead, name)
    assert [n.similarity for n in lead.neighbors] == sorted(
        (n.similarity for n in lead.neighbors), reverse=True
    )
    assert len(lead.neighbors) == 3
    assert set(lead.outcome) == set(HORIZONS)
    assert sum(lead.probabilities.values()) == pytest.approx(1, abs=1e-4)
    assert Prediction.model_validate_json(prediction.model_dump_json()) == prediction


@pytest.mark.parametrize("scale", [np.nan, 0.0])
def test_a_chart_without_volatility_gets_no_bands(index, unseen, scale):
    rows, _ = unseen
    one = rows.take(np.array([0]))
    neighbors = index.search(one.vectors, Spans.of(one), eligibility=PointInTimeFilter(), k=16)
    evidence = predict.gather(
        one.vectors, neighbors, index.rows, None, interval=one.interval, scale=np.array([scale])
    )
    answers = predict.read(evidence, calibrations.plain(index.rows, level=0.8))
    interval = Interval(str(one.interval[0]))
    chart = predict.Chart(interval, START, START + 95 * interval.ms, None, "hash of the picture")
    by = predict.Provenance("m", "i", "s", "r", LATER, source="image")
    prediction = predict.assemble(predict.UNNAMED, [chart], answers, index.rows, by)
    assert (prediction.source, prediction.outcome) == ("image", {})
    jsonschema.validate(prediction.model_dump(mode="json"), predict.prediction_schema())


def test_no_chart_is_no_prediction(index, fitted, unseen):
    with pytest.raises(KlinesError, match="as many answers as charts"):
        predict.assemble("BTCUSDT", [], predict.read(unseen[1], fitted), index.rows, MADE_BY)


def reading(
    interval: Interval, setup: Setup, confidence: float, abstained: bool
) -> IntervalReading:
    example = predict.prediction_schema()["examples"][0]["intervals"]["15m"]
    changed = {
        "interval": interval,
        "setup": setup,
        "confidence": confidence,
        "abstained": abstained,
    }
    return IntervalReading.model_validate({**example, **changed})


@pytest.mark.parametrize(
    ("quarter", "hour", "lead"),
    [
        ((Setup.TRAP, 0.9, False), (Setup.PULLBACK, 0.8, False), "15m"),  # the more confident
        ((Setup.TRAP, 0.8, False), (Setup.PULLBACK, 0.8, False), "1h"),  # a tie
        ((Setup.TRAP, 0.3, False), (Setup.NONE, 0.9, False), "15m"),  # a setup before none
        ((Setup.NONE, 0.3, False), (Setup.NONE, 0.0, True), "15m"),  # an answer before silence
        ((Setup.NONE, 0.0, True), (Setup.NONE, 0.0, True), "1h"),  # silence on both
        ((Setup.NONE, 0.9, False), (Setup.NONE, 0.8, False), "15m"),  # none on both
    ],
)
def test_the_lead_is_the_more_confident_setup(quarter, hour, lead):
    both = [reading(Interval.M15, *quarter), reading(Interval.H1, *hour)]
    assert predict.lead_of(both).interval == lead
    assert predict.lead_of(both[::-1]).interval == lead


def test_schema_carries_a_complete_example_that_it_accepts():
    schema = json.loads(json.dumps(predict.prediction_schema()))
    jsonschema.Draft202012Validator.check_schema(schema)
    for example in schema["examples"]:
        jsonschema.validate(example, schema)
        assert set(example) == set(schema["properties"])
        for interval in example["intervals"].values():
            assert set(interval) == set(IntervalReading.model_fields)


def test_schema_refuses_what_no_prediction_holds():
    schema = predict.prediction_schema()
    example = schema["examples"][0]
    for harm in ({"symbol": "../x"}, {"confidence": 1.5}, {"surprise": 1}, {"setup": "moon"}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**example, **harm}, schema)
