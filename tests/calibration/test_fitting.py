"""A calibration fitted on a fold of known truth."""

import numpy as np
import pytest

from tests.calibration.folds import charts, evidence
from vision_ai.calibration import fitting, fusion
from vision_ai.calibration.fitting import LEAST_CHARTS, fit
from vision_ai.domain import CHART_INTERVALS, Interval
from vision_ai.errors import KlinesError
from vision_ai.measures.fitting import log_loss

FOLD_H, LATER_H = 5000, 10_000


@pytest.fixture(scope="module")
def exemplars():
    return charts(600, 1)


@pytest.fixture(scope="module")
def fold(exemplars):
    rows = charts(700, 2, start_h=FOLD_H)
    return rows, evidence(rows, exemplars)


@pytest.fixture(scope="module")
def fitted(exemplars, fold):
    rows, seen = fold
    return fit(seen, rows, exemplars, level=0.8, tail=0.05)


def scored(calibration, rows, seen) -> float:
    p = fusion.fuse(seen, calibration).reading
    return float(-np.log(p[np.arange(len(rows)), rows.reading]).mean())


def test_fitting_lowers_the_log_loss_of_later_charts_too(exemplars, fitted) -> None:
    later = charts(500, 3, start_h=LATER_H)
    seen = evidence(later, exemplars)
    plain = fusion.plain(exemplars, level=0.8)
    assert scored(fitted, later, seen) < scored(plain, later, seen) - 0.1


def test_the_share_of_known_charts_abstained_from_is_the_stated_tail(fitted, fold) -> None:
    seen = fold[1]
    for interval in CHART_INTERVALS:
        threshold = fitted.out_of_distribution[interval]
        own = seen.interval == interval.value
        below = seen.mean_similarity[own] < threshold.similarity
        assert below.mean() == pytest.approx(0.05, abs=0.01)
        assert threshold.tail == 0.05
    codes = fusion.fuse(seen, fitted).abstain_code
    assert 0.04 < (codes > 0).mean() < 0.12  # either threshold, on their own charts


def test_reliability_increases_and_follows_the_share_that_was_right(fitted, fold) -> None:
    rows, seen = fold
    for interval in CHART_INTERVALS:
        fitted_map = fitted.reliability[interval]
        assert fitted_map.predicted == sorted(fitted_map.predicted)
        assert fitted_map.observed == sorted(fitted_map.observed)
    p = fusion.fuse(seen, fitted).reading
    right = p.argmax(axis=1) == rows.reading
    assert p.max(axis=1).mean() == pytest.approx(right.mean(), abs=0.02)


def test_provenance_is_that_of_the_fold(fitted, fold, exemplars) -> None:
    rows, _ = fold
    assert (fitted.fitted_on, fitted.n) == (rows.data, len(rows))
    assert (fitted.model, fitted.style) == (exemplars.model, exemplars.style)


def test_bands_of_each_interval_are_fitted_on_its_own_charts(exemplars, fold) -> None:
    rows, seen = (part.take(np.arange(250)) for part in fold)
    own = np.flatnonzero(rows.interval == "15m")
    half = fit(seen.take(own), rows.take(own), exemplars, level=0.8)
    both = fit(seen, rows, exemplars, level=0.8)
    plain = fusion.plain(exemplars, level=0.8)
    # votes are shared by the intervals, so only rules that ignore votes are equal to the digit
    assert half.bands[Interval.H1] == plain.bands[Interval.H1]
    for horizon, rule in half.bands[Interval.M15].items():
        assert rule.edges == both.bands[Interval.M15][horizon].edges
        assert rule.base_up == both.bands[Interval.M15][horizon].base_up


def test_votes_that_know_nothing_are_left_to_the_prior(exemplars) -> None:
    rows = charts(400, 5, wrong=1.0, start_h=FOLD_H)
    seen = evidence(rows, exemplars, with_prompts=False)
    calibration = fit(seen, rows, exemplars, level=0.8)
    assert calibration.reading.text == 0.0
    p = fusion.fuse(seen, calibration).reading
    frequency = np.bincount(rows.reading, minlength=p.shape[1]) / len(rows)
    blind = -(frequency[frequency > 0] * np.log(frequency[frequency > 0])).sum()
    assert scored(calibration, rows, seen) > 0.9 * blind
    assert p.max() < 0.5


def test_without_prompts_no_threshold_asks_for_them(exemplars) -> None:
    rows = charts(200, 6, start_h=FOLD_H)
    seen = evidence(rows, exemplars, with_prompts=False)
    calibration = fit(seen, rows, exemplars, level=0.8)
    assert {t.text for t in calibration.out_of_distribution.values()} == {-1.0}


@pytest.mark.parametrize("count", [0, LEAST_CHARTS - 1])
def test_too_few_charts_are_refused_with_a_cure(count: int, exemplars, fold) -> None:
    rows, seen = fold
    few = np.arange(count)
    with pytest.raises(KlinesError, match=f"at least {LEAST_CHARTS}") as caught:
        fit(seen.take(few), rows.take(few), exemplars, level=0.8)
    assert caught.value.hint == "Give it more candles."


def test_evidence_of_other_charts_is_refused(exemplars, fold) -> None:
    rows, seen = fold
    with pytest.raises(KlinesError, match="was 699 charts with evidence of 700"):
        fit(seen, rows.take(np.arange(699)), exemplars, level=0.8)


def test_the_temperature_is_no_worse_than_any_on_a_finer_grid(fold, fitted) -> None:
    rows, seen = fold
    own = np.flatnonzero(seen.interval == "15m")
    part, truth = seen.take(own), rows.reading[own].astype(np.int64)
    logits = fusion.reading_logits(part, fitted)
    best = fitting._fit_temperature(part, logits, truth)

    def loss(log_scale: float, slope: float) -> float:
        one = best.model_copy(update={"log_scale": log_scale, "slope": slope})
        factor = fusion.logit_factor(one, part.mean_similarity)
        return log_loss(logits * factor[:, None], truth)

    grid = [loss(a, b) for a in np.linspace(-1, 1, 21) for b in np.linspace(-0.3, 0.3, 13)]
    assert loss(best.log_scale, best.slope) <= min(grid) + 1e-6
