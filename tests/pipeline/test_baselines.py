"""Baselines on the charts that the model was measured on: which are measured, and under what."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.calibration import folds
from tests.charts.candles import windows
from tests.clusters import with_rows
from vision_ai import predict_cv_setup
from vision_ai.charts import raster
from vision_ai.config import Paths
from vision_ai.domain import READINGS, WINDOW, Embeddings, Interval
from vision_ai.errors import InputError, KlinesError
from vision_ai.evaluation import baselines as plain
from vision_ai.evaluation.card import ScoredCharts
from vision_ai.evaluation.sampling import ChartSample
from vision_ai.index import Index
from vision_ai.labels import rules
from vision_ai.market.simulate import simulate
from vision_ai.market.store import Store
from vision_ai.measures.purge import PurgeAndEmbargo, Spans
from vision_ai.pipeline import baselines, evaluate
from vision_ai.pipeline.baselines import BaselineInputs, ChartSubset

CHARTS = 60
EMBARGO_MS = 24 * 3_600_000


def inputs_of(exemplars: Embeddings, rows: Embeddings, prior: np.ndarray) -> BaselineInputs:
    """What evaluation hands over, with vectors in place of a tower."""
    evidence = folds.evidence(rows, exemplars)
    fitted = predict_cv_setup.fit(evidence, rows, exemplars, level=0.8)
    reader = SimpleNamespace(
        model=SimpleNamespace(
            manifest=SimpleNamespace(
                prior={r.name: float(p) for r, p in zip(READINGS, prior, strict=True)}, scale=20.0
            )
        ),
        index=Index(exemplars),
        prompts=folds.prompts(),
        calibration=fitted,
    )
    labels = SimpleNamespace(
        reading=rows.reading, phase=rows.phase, clear=np.ones(len(rows), np.bool_)
    )
    sample = ChartSample(
        windows(len(rows), seed=1), Spans.of(rows), np.full(len(rows), "bybit-linear"), labels,
        rows.outcomes, len(rows), 0, "data",
    )  # fmt: skip
    answers = predict_cv_setup.read(evidence, fitted)
    charts = evaluate.measured(sample, evidence, answers)
    eligibility = PurgeAndEmbargo(EMBARGO_MS)
    return BaselineInputs(reader, sample, rows.vectors, evidence, eligibility, charts)


PRIOR = np.arange(1.0, len(READINGS) + 1) / np.arange(1.0, len(READINGS) + 1).sum()


@pytest.fixture(scope="module")
def inputs() -> BaselineInputs:
    exemplars, rows = folds.charts(400, seed=1), folds.charts(CHARTS, seed=2, start_h=9000)
    return inputs_of(exemplars, rows, PRIOR)


@pytest.fixture(scope="module")
def measured(inputs: BaselineInputs) -> dict:
    return baselines.baselines(inputs, None)


# Without candles of the training.


def test_what_needs_only_vectors_is_measured_and_the_rest_says_what_it_needs(measured) -> None:
    assert {"majority", "zero_shot_prompts", "same_regime"} <= measured.keys()
    not_measured = measured["not_measured"]
    assert {"pixel_knn", "returns_knn", "dtw_knn", "rule_facts"} <= not_measured.keys()
    assert "price_trends_cnn" in not_measured
    assert "--learned-from" in not_measured["pixel_knn"]
    assert measured.keys().isdisjoint(not_measured)
    assert list(measured)[-1] == "not_measured"


def test_every_baseline_is_measured_on_every_chart_beside_the_model(measured) -> None:
    for name in ("majority", "zero_shot_prompts"):
        assert measured[name]["n"] == CHARTS
        assert {"setup", "phase"} <= measured[name]["model_minus"].keys()


def test_the_majority_is_the_commonest_reading_of_the_market_not_of_the_exemplars(
    inputs: BaselineInputs,
) -> None:
    """Exemplars hold rare setups as often as common ones; candles do not."""
    guess = baselines._natural_majority(inputs)
    assert set(guess.reading.tolist()) == {len(READINGS) - 1}  # of the greatest prior
    assert len(guess.reading) == len(guess.phase) == CHARTS
    counts = np.bincount(inputs.exemplars.reading)
    weight = PRIOR[inputs.exemplars.reading] / counts[inputs.exemplars.reading]
    phases = [weight[inputs.exemplars.phase == code].sum() for code in range(5)]
    assert set(guess.phase.tolist()) == {int(np.argmax(phases))}


def test_prompts_alone_answer_with_the_nearest_prompt(inputs: BaselineInputs) -> None:
    guess = baselines._from_vectors(inputs)["zero_shot_prompts"]()
    cosine = inputs.evidence.text_reading
    assert np.array_equal(guess.reading, cosine.argmax(axis=1))
    sure = np.exp(20 * cosine)
    sure = (sure / sure.sum(axis=1, keepdims=True)).max(axis=1)
    assert np.allclose(guess.confidence, sure)


def test_weights_give_exemplars_the_shares_of_the_candles(inputs: BaselineInputs) -> None:
    rows = inputs.exemplars
    weight = baselines._natural_weight(inputs.reader, rows)
    shares = np.bincount(rows.reading, weight, minlength=len(READINGS)) / len(rows)
    assert np.allclose(shares, PRIOR)
    few = rows.take(rows.reading < 3)  # readings without an exemplar have no share to give
    weight = baselines._natural_weight(inputs.reader, few)
    shares = np.bincount(few.reading, weight, minlength=len(READINGS)) / len(few)
    assert np.allclose(shares[:3], PRIOR[:3])
    assert not shares[3:].any()


def test_the_same_regime_votes_without_looking_at_pictures(inputs, measured) -> None:
    """Other vectors of the same times change nothing in it."""
    shuffled = replace(
        inputs.exemplars, vectors=np.ascontiguousarray(inputs.exemplars.vectors[::-1])
    )
    reader = SimpleNamespace(**{**vars(inputs.reader), "index": Index(shuffled)})
    again = baselines._same_regime(replace(inputs, reader=reader))
    assert again == measured["same_regime"]


# What is left out.


def test_a_baseline_without_its_library_is_left_out_with_the_reason() -> None:
    measured: dict = {}
    missing: dict[str, str] = {}

    def without_library() -> None:
        raise InputError("lightgbm is not installed.", hint="Install vision-ai[evaluate].")

    baselines._add(measured, missing, "rule_facts", without_library)
    baselines._add(measured, missing, "majority", lambda: {"n": 1})
    assert measured == {"majority": {"n": 1}}
    assert missing == {"rule_facts": "lightgbm is not installed. Install vision-ai[evaluate]."}


def test_an_error_of_the_program_is_not_a_baseline_left_out() -> None:
    def broken() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        baselines._add({}, {}, "majority", broken)


def test_candles_that_hold_no_exemplar_are_named(inputs: BaselineInputs, tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    end_ms = 1_740_000_600_000 // 900_000 * 900_000
    Store(paths, "simulated-1-linear").add(
        simulate("ELSEUSDT", Interval.M15, WINDOW, seed=1, end_ms=end_ms)
    )
    measured: dict = {}
    missing: dict[str, str] = {}
    baselines._from_candles(inputs, paths.klines_folder, measured, missing)
    assert measured == {}
    assert set(missing) == set(baselines._OF_CANDLES)
    assert missing["pixel_knn"] == "klines holds none of the exemplars' candles"


def test_a_folder_without_candles_is_refused(inputs: BaselineInputs, tmp_path: Path) -> None:
    with pytest.raises(KlinesError, match=tmp_path.name):
        baselines.baselines(inputs, tmp_path)


# Some of the charts, for what is slow.


@given(n=st.integers(0, 60), most=st.integers(0, 40))
def test_some_rows_are_distinct_sorted_and_the_same_every_time(n: int, most: int) -> None:
    rows = baselines._some(n, most)
    assert len(rows) == min(n, most)
    assert (np.diff(rows) > 0).all()
    assert set(rows.tolist()) <= set(range(n))
    assert np.array_equal(rows, baselines._some(n, most))


def test_a_subset_keeps_candles_times_and_answers_together(inputs, monkeypatch) -> None:
    monkeypatch.setattr(baselines, "SUBSET_SIZE", 20)
    subset = ChartSubset.of(inputs)
    assert len(subset.bars) == len(subset.spans) == len(subset.charts) == 20
    rows = baselines._some(CHARTS, 20)
    assert np.array_equal(subset.bars, inputs.sample.bars[rows])
    assert np.array_equal(subset.spans.as_of_ms, inputs.sample.spans.as_of_ms[rows])
    assert np.array_equal(subset.charts.confidence, inputs.charts.confidence[rows])
    assert isinstance(subset.charts, ScoredCharts)


def test_few_charts_are_all_answered(inputs: BaselineInputs) -> None:
    assert len(ChartSubset.of(inputs).bars) == CHARTS


# Features.


def test_pixels_of_chunks_are_those_of_all_at_once(monkeypatch) -> None:
    bars = windows(5, seed=3)
    whole = plain.pixel_features(raster.render(bars))
    monkeypatch.setattr(baselines, "CHUNK", 2)
    assert np.array_equal(baselines._pixels(bars), whole)


def test_facts_are_the_rule_books_numbers_chart_by_chart() -> None:
    labels = rules.label(windows(4, seed=4))
    facts = baselines._facts(labels)
    assert facts.shape == (4, len(labels.facts))
    for column, values in enumerate(labels.facts.values()):
        assert np.array_equal(facts[:, column], np.asarray(values, np.float64), equal_nan=True)


# Arrays that are made once.


def make(calls: list[int]) -> np.ndarray:
    calls.append(1)
    return np.arange(6, dtype=np.float32).reshape(2, 3)


def test_an_array_is_made_once_and_read_back(tmp_path: Path) -> None:
    calls: list[int] = []
    path = tmp_path / "networks" / "vectors.npy"
    first = baselines._once(path, lambda: make(calls))
    assert np.array_equal(baselines._once(path, lambda: make(calls)), first)
    assert len(calls) == 1


def test_a_damaged_array_is_made_anew(tmp_path: Path) -> None:
    calls: list[int] = []
    path = tmp_path / "vectors.npy"
    baselines._once(path, lambda: make(calls))
    path.write_bytes(path.read_bytes()[:-5])
    assert baselines._once(path, lambda: make(calls)).shape == (2, 3)
    assert len(calls) == 2
    assert np.load(path).shape == (2, 3)


def test_without_a_folder_an_array_is_made_each_time() -> None:
    calls: list[int] = []
    for _ in range(2):
        baselines._once(None, lambda: make(calls))
    assert len(calls) == 2


def test_votes_of_warping_are_cast_under_the_purge(inputs: BaselineInputs) -> None:
    """With every exemplar of the charts' own time, nobody may vote."""
    pytest.importorskip("dtaidistance")
    subset = ChartSubset.of(inputs)
    few = ChartSubset(
        subset.bars[:3], subset.spans.take(slice(0, 3)), subset.charts.take(np.arange(3))
    )
    now = int(few.spans.as_of_ms[0])
    own_time = with_rows(inputs.exemplars.take(np.arange(4)), last_ms=np.full(4, now))
    answer = baselines._warped(few, PurgeAndEmbargo(10**12), windows(4, seed=5), own_time)
    assert answer["n"] == 3
