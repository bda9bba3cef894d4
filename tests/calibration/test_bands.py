import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.clusters import embeddings
from vision_ai.calibration import bands
from vision_ai.domain import Interval
from vision_ai.measures.fitting import weighted_quantiles


def one_quantile(values, weight, p):
    """The definition, in loops: values at the middle of their weight, linear between."""
    pairs = sorted((v, w) for v, w in zip(values, weight, strict=True) if not np.isnan(v) and w > 0)
    if not pairs:
        return np.nan
    total = sum(w for _, w in pairs)
    places, passed = [], 0.0
    for _, w in pairs:
        places.append((passed + w / 2) / total)
        passed += w
    return float(np.interp(p, places, [v for v, _ in pairs]))


@given(seed=st.integers(0, 5000), p=st.floats(0.02, 0.98))
def test_weighted_quantiles_keep_their_definition(seed, p):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(4, 7))
    values[rng.random((4, 7)) < 0.3] = np.nan
    weight = rng.random((4, 7)) * (rng.random((4, 7)) < 0.8)
    found = weighted_quantiles(values, weight, np.array([p]))[:, 0]
    expected = [one_quantile(v, w, p) for v, w in zip(values, weight, strict=True)]
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


def fold(n, seed, spread=1.0):
    """Look-alikes that know the truth's width only up to a factor."""
    rng = np.random.default_rng(seed)
    width = rng.uniform(0.5, 2, n)
    truth = width * rng.standard_t(4, n) * spread
    moves = width[:, None] * rng.normal(size=(n, 24))
    return moves, np.ones((n, 24)), truth, rng.uniform(0.001, 0.01, n)


@pytest.mark.parametrize("level", [0.6, 0.8, 0.9])
def test_bands_cover_as_often_as_they_say(level):
    moves, weight, truth, scale = fold(4000, seed=1)
    plain = bands.plain_rule(np.random.default_rng(2).normal(size=4000), level)
    rule = bands.fit_rule(plain, moves, weight, truth, scale)
    moves, weight, truth, scale = fold(4000, seed=3)
    drawn = bands.apply(rule, moves, weight, scale, growth=1.0)
    happened = np.expm1(truth * scale)
    covered = (drawn[:, 0] <= happened) & (happened <= drawn[:, 2])
    assert abs(covered.mean() - level) < 0.02
    for group in np.array_split(np.argsort(scale), 3):
        assert abs(covered[group].mean() - level) < 0.035
    assert rule.neighbor_weight > 0.3  # the look-alikes knew the width


def test_neighbors_that_know_nothing_get_no_weight():
    rng = np.random.default_rng(4)
    truth = rng.normal(size=3000)
    plain = bands.plain_rule(rng.normal(size=3000), 0.8)
    rule = bands.fit_rule(
        plain, rng.normal(size=(3000, 12)), np.ones((3000, 12)), truth, np.full(3000, 0.01)
    )
    assert rule.neighbor_weight <= 0.1
    assert rule.neighbor_weight_up < 0.1


def test_few_known_outcomes_fall_back_to_all_charts():
    rule = bands.plain_rule(np.linspace(-1, 1, 101), 0.8).model_copy(
        update={"neighbor_weight": 1.0}
    )
    moves = np.full((1, 24), np.nan)
    moves[0, :7] = 50.0
    drawn = bands.apply(rule, moves, np.ones((1, 24)), np.array([0.01]), 1.0)
    np.testing.assert_allclose(np.log1p(drawn[0, :3]), [-0.008, 0, 0.008], atol=1e-9)


@given(seed=st.integers(0, 1000), narrow=st.floats(-3, 3))
def test_bands_never_cross(seed, narrow):
    rng = np.random.default_rng(seed)
    rule = bands.plain_rule(rng.normal(size=200), 0.8)
    rule = rule.model_copy(
        update={"widen": (narrow,) * 3, "neighbor_weight": 0.7, "neighbor_weight_up": 1.0}
    )
    drawn = bands.apply(rule, rng.normal(size=(9, 12)), np.ones((9, 12)), np.full(9, 0.01), 2.0)
    assert (drawn[:, 0] <= drawn[:, 1]).all()
    assert (drawn[:, 1] <= drawn[:, 2]).all()
    assert ((drawn[:, 3] > 0) & (drawn[:, 3] < 1)).all()


def test_more_volatile_charts_get_wider_bands():
    rule = bands.plain_rule(np.random.default_rng(0).normal(size=500), 0.8)
    drawn = bands.apply(
        rule, np.zeros((2, 12)), np.ones((2, 12)), np.array([0.001, 0.01]), growth=2.0
    )
    assert np.diff(drawn[:, [0, 2]], axis=1)[1, 0] > 5 * np.diff(drawn[:, [0, 2]], axis=1)[0, 0]


def test_a_chart_without_scale_has_no_band():
    rule = bands.plain_rule(np.linspace(-1, 1, 101), 0.8)
    drawn = bands.apply(rule, np.zeros((1, 9)), np.ones((1, 9)), np.array([np.nan]), 1.0)
    assert np.isnan(drawn[0, :3]).all()


def test_moves_are_measured_by_what_a_random_walk_would_do():
    rows = embeddings(40)
    found = bands.normalized(rows.outcomes, rows.interval)
    for row in range(40):
        candles = {"15m": (8, 24), "1h": (2, 6)}[str(rows.interval[row])]
        expected = rows.outcomes.move[row] / (rows.outcomes.scale[row] * np.sqrt(candles))
        np.testing.assert_allclose(found[row], expected)
    assert bands.units(Interval.H1).tolist() == [2**0.5, 6**0.5]


def test_a_fold_without_known_outcomes_changes_nothing():
    plain = bands.plain_rule(np.linspace(-1, 1, 101), 0.8)
    unknown = np.full(60, np.nan)
    rule = bands.fit_rule(plain, np.zeros((60, 9)), np.ones((60, 9)), unknown, np.ones(60))
    assert rule == plain
