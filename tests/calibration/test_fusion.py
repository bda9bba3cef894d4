"""From evidence to probabilities and abstentions, by laws and by hand."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

import vision_ai
from tests.calibration.folds import charts, evidence
from vision_ai.calibration import fusion
from vision_ai.calibration.fusion import (
    ABSTAIN_REASONS,
    LEAST_NEIGHBORS,
    Calibration,
    OutOfDistribution,
    ReliabilityMap,
    TemperatureScaling,
)
from vision_ai.domain import CHART_INTERVALS, HORIZONS, PHASES, READINGS, Interval
from vision_ai.errors import StaleIndexError

SHIPPED = Path(vision_ai.__file__).parent / "assets" / "chart-clip" / "calibration.json"
OLD_NAMES = ("sharpness", "curve", "familiarity", "trust", "trust_up", "stretch", "said", "right")


@pytest.fixture(scope="module")
def exemplars():
    return charts(400, 1)


@pytest.fixture(scope="module")
def seen(exemplars):
    return evidence(charts(60, 2, start_h=5000), exemplars)


@pytest.fixture(scope="module")
def plain(exemplars) -> Calibration:
    return fusion.plain(exemplars, level=0.8)


def changed(plain: Calibration, **updates: object) -> Calibration:
    return plain.model_copy(update=updates)


def everywhere(value: object) -> dict[Interval, object]:
    return dict.fromkeys(CHART_INTERVALS, value)


def test_the_shipped_calibration_is_read_under_its_old_names() -> None:
    text = SHIPPED.read_text()
    content = json.loads(text)
    assert "sharpness" in content
    loaded = Calibration.model_validate_json(text)
    interval = Interval.M15
    assert loaded.temperature[interval].log_scale == content["sharpness"]["15m"]["log_scale"]
    assert loaded.reliability[interval].predicted == content["curve"]["15m"]["said"]
    assert loaded.reliability[interval].observed == content["curve"]["15m"]["right"]
    tail = content["familiarity"]["15m"]["tail"]
    assert loaded.out_of_distribution[interval].tail == tail
    assert loaded.transfer[interval].pairs == content["trust"]["15m"]["pairs"]
    rule = content["bands"]["1h"]["6h"]
    read = loaded.bands[Interval.H1][HORIZONS[1]]
    assert (read.neighbor_weight, read.neighbor_weight_up) == (rule["trust"], rule["trust_up"])
    assert read.width_factor == rule["stretch"]


def test_what_is_written_has_todays_names_and_is_read_back_equal() -> None:
    loaded = Calibration.model_validate_json(SHIPPED.read_text())
    written = loaded.model_dump_json()
    assert not any(f'"{name}"' in written for name in OLD_NAMES)
    assert Calibration.model_validate_json(written) == loaded


def test_the_digest_is_the_one_that_the_report_card_names() -> None:
    card = json.loads((Path(vision_ai.__file__).parents[1] / "docs/report-card.json").read_text())
    named = set(re.findall(r'"calibration": "(\w+)"', json.dumps(card)))
    loaded = Calibration.model_validate_json(SHIPPED.read_text())
    assert named == {loaded.digest[:16]}
    assert loaded.model_copy(update={"n": loaded.n + 1}).digest != loaded.digest


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"reading": {"prior": [0.5, 0.5]}}, "reading needs"),
        ({"phase": {"bias": [0.0]}}, "phase needs"),
        ({"reliability": {"15m": {"predicted": [0.1], "observed": []}}}, "as many predicted"),
        ({"bands": {"15m": {}}}, "every horizon"),
        ({"human_error": 1.0}, "human_error"),
    ],
)
def test_a_calibration_that_does_not_fit_together_is_refused(plain, change, message) -> None:
    content = plain.model_dump(mode="json")
    for name, value in change.items():
        content[name] = content[name] | value if isinstance(value, dict) else value
    with pytest.raises(ValidationError, match=message):
        Calibration.model_validate(content)


def test_an_unfitted_calibration_shrinks_votes_to_the_class_frequencies(exemplars, plain) -> None:
    counts = np.bincount(exemplars.reading, minlength=len(READINGS)) + 1
    np.testing.assert_allclose(plain.reading.prior, counts / counts.sum())
    assert (plain.n, plain.fitted_on, plain.transfer) == (0, "", {})


def test_probabilities_are_a_distribution_and_nothing_is_abstained_from(seen, plain) -> None:
    found = fusion.fuse(seen, plain)
    for part, classes in ((found.reading, READINGS), (found.phase, PHASES)):
        assert part.shape == (len(seen), len(classes))
        assert (part > 0).all()
        np.testing.assert_allclose(part.sum(axis=1), 1)
    assert not found.abstain_code.any()
    half = found.take(np.arange(0, len(seen), 2))
    np.testing.assert_array_equal(half.reading, found.reading[::2])


def test_facet_logits_are_their_formula(seen, plain) -> None:
    facet = plain.reading.model_copy(update={"alpha": 1.5, "text": 3.0, "bias": [0.1] * 22})
    facet = facet.model_copy(update={"bias": np.linspace(-1, 1, len(READINGS)).tolist()})
    found = fusion.facet_logits(facet, seen, seen.reading, seen.text_reading)
    for row in range(5):
        strength = seen.weight[row] * np.exp(-facet.beta * (1 - seen.similarity[row]))
        strength[seen.rows[row] < 0] = 0
        for code in range(len(READINGS)):
            votes = strength[seen.reading[row] == code].sum()
            share = votes + facet.smoothing * facet.prior[code]
            share /= strength.sum() + facet.smoothing
            expected = 1.5 * np.log(share) + 3.0 * seen.text_reading[row, code]
            assert found[row, code] == pytest.approx(expected + facet.bias[code])


@given(
    scale=st.floats(-2, 2),
    slope=st.floats(0, 1),
    similarity=st.lists(st.floats(-1, 1), min_size=2, max_size=20),
)
def test_less_similar_charts_are_never_scaled_to_be_surer(scale, slope, similarity) -> None:
    scaling = TemperatureScaling(log_scale=scale, slope=slope, center=0.5, spread=0.2)
    ordered = np.sort(np.array(similarity))
    factor = fusion.logit_factor(scaling, ordered)
    assert (factor > 0).all()
    assert (np.diff(factor) >= -1e-12).all()
    assert factor.max() <= np.exp(scale + 3 * slope) * (1 + 1e-12)  # outliers are clipped
    assert factor.min() >= np.exp(scale - 3 * slope) * (1 - 1e-12)


def test_scaling_keeps_the_first_class_and_flattens_or_sharpens(seen, plain) -> None:
    logits = fusion.reading_logits(seen, plain)
    for log_scale in (-1.0, 1.0):
        scaling = everywhere(TemperatureScaling(log_scale=log_scale))
        scaled = fusion.scale_logits(seen, changed(plain, temperature=scaling), logits)
        np.testing.assert_array_equal(scaled.argmax(axis=1), logits.argmax(axis=1))
        np.testing.assert_allclose(scaled, logits * np.exp(log_scale))


knots = st.lists(st.floats(0, 1), min_size=2, max_size=6)


@settings(max_examples=60, deadline=None)
@given(knots=knots, weights=st.lists(st.floats(0.01, 1), min_size=22, max_size=22))
def test_a_reliability_map_keeps_distributions_and_their_first(knots, weights) -> None:
    grid = np.linspace(0, 1, len(knots)).tolist()
    reliability = ReliabilityMap(predicted=grid, observed=sorted(knots))
    p = np.array([weights]) / sum(weights)
    found = fusion.apply_reliability(p, reliability)
    assert found.sum() == pytest.approx(1)
    assert (found >= 0).all()
    first = p.argmax()
    assert found[0, first] >= found.max() - 1e-12
    others = np.delete(np.arange(p.shape[1]), first)
    ratio = found[0, others] / p[0, others]
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-9)  # the rest keeps its proportions
    calibrated = np.interp(p.max(), grid, sorted(knots))
    assert found[0, first] >= min(calibrated, 1 - 1e-9) - 1e-9


@settings(max_examples=60, deadline=None)
@given(knots=knots, tops=st.lists(st.floats(0.55, 1), min_size=2, max_size=2))
def test_a_surer_answer_is_never_mapped_below_a_less_sure_one(knots, tops) -> None:
    grid = np.linspace(0, 1, len(knots)).tolist()
    reliability = ReliabilityMap(predicted=grid, observed=sorted(knots))
    low, high = sorted(tops)
    p = np.array([[low, (1 - low) / 2, (1 - low) / 2], [high, (1 - high) / 2, (1 - high) / 2]])
    found = fusion.apply_reliability(p, reliability)
    assert found[0, 0] <= found[1, 0] + 1e-9


def test_no_knots_change_no_bit() -> None:
    p = np.array([[0.7, 0.3]])
    assert fusion.apply_reliability(p, ReliabilityMap()) is p


def test_reasons_to_abstain_are_given_in_their_order(seen, plain) -> None:
    far = everywhere(OutOfDistribution(similarity=2.0, text=2.0, tail=0.01))
    unlike = everywhere(OutOfDistribution(text=2.0, tail=0.01))
    assert set(fusion.fuse(seen, changed(plain, out_of_distribution=far)).abstain_code) == {2}
    assert set(fusion.fuse(seen, changed(plain, out_of_distribution=unlike)).abstain_code) == {3}
    few = seen.take(np.arange(len(seen)))
    few.rows[:, LEAST_NEIGHBORS:] = -1
    assert set(fusion.fuse(few, plain).abstain_code) == {0}
    few.rows[:, LEAST_NEIGHBORS - 1 :] = -1
    assert set(fusion.fuse(few, changed(plain, out_of_distribution=far)).abstain_code) == {1}


@pytest.mark.parametrize(
    ("code", "parts"),
    [
        (1, ["fewer than 5 similar charts"]),
        (2, ["99.0%", "mean similarity 0.412", "at least 0.700"]),
        (3, ["no description", "99.0%"]),
    ],
)
def test_a_reason_names_its_figures(code: int, parts: list[str]) -> None:
    threshold = OutOfDistribution(similarity=0.7, text=0.2, tail=0.01)
    text = fusion.abstain_reason(code, threshold, 0.4123)
    assert text is not None
    assert all(part in text for part in parts)
    assert fusion.abstain_reason(0, threshold, 0.4) is None
    assert len(ABSTAIN_REASONS) == 4


@pytest.mark.parametrize("name", ["temperature", "reliability", "out_of_distribution", "bands"])
def test_an_interval_without_a_fit_says_how_to_get_one(name: str, seen, plain) -> None:
    only = {Interval.H1: getattr(plain, name)[Interval.H1]}
    with pytest.raises(StaleIndexError, match="without 15m charts") as caught:
        fusion.fuse(seen, changed(plain, **{name: only}))
    assert caught.value.hint == fusion.REPAIR


def test_each_chart_gets_the_numbers_of_its_own_interval(seen, plain) -> None:
    two = {
        Interval.M15: TemperatureScaling(log_scale=1.0),
        Interval.H1: TemperatureScaling(log_scale=-1.0),
    }
    logits = np.ones((len(seen), len(READINGS)))
    scaled = fusion.scale_logits(seen, changed(plain, temperature=two), logits)
    expected = np.where(seen.interval == "15m", np.e, 1 / np.e)
    np.testing.assert_allclose(scaled[:, 0], expected)
    rows = fusion.of_interval(seen)
    assert sorted(np.concatenate([part for _, part in rows])) == list(range(len(seen)))
