import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.feedback.examples import walk
from vision_ai.domain import CLOSE, HIGH, LOW, OPEN, VOLUME, Floats
from vision_ai.trader_decision import WEIGHTS, features

charts = st.builds(
    lambda seed, step: walk(96, 0, seed, step=step).bars,
    st.integers(0, 100_000),
    st.sampled_from([1e-4, 0.003, 0.03]),
)
hours = st.builds(lambda seed: walk(60, 0, seed).bars, st.integers(0, 100_000))


def path(closes: list[float], volume: list[float] | None = None) -> Floats:
    """Candles without wicks that pass through the given closes, held flat before them."""
    closes = [closes[0]] * (96 - len(closes)) + closes
    opens = [closes[0], *closes[:-1]]
    pairs = np.array([opens, closes])
    volumes = volume if volume is not None else [1.0] * 96
    return np.stack([opens, pairs.max(0), pairs.min(0), closes, volumes], axis=1)


@settings(max_examples=50, deadline=None)
@given(charts, hours)
def test_every_feature_lies_between_0_and_1(bars: Floats, hourly: Floats) -> None:
    found = features.compute(bars, hourly)
    assert set(found) == set(WEIGHTS)
    assert all(0 <= value <= 1 for value in found.values())


@settings(max_examples=50, deadline=None)
@given(charts, hours, st.sampled_from([1e-8, 0.3, 1e8]), st.sampled_from([1e-6, 1e6]))
def test_the_units_of_price_and_volume_change_nothing(bars, hourly, price, volume) -> None:
    scale = np.array([price] * VOLUME + [volume])
    first, second = features.compute(bars, hourly), features.compute(bars * scale, hourly * scale)
    assert second == pytest.approx(first, abs=2e-5)


@settings(max_examples=50, deadline=None)
@given(charts, hours)
def test_a_chart_and_its_mirror_image_score_the_same(bars: Floats, hourly: Floats) -> None:
    def mirror(part: Floats) -> Floats:
        return np.c_[1 / part[:, [OPEN, LOW, HIGH, CLOSE]], part[:, VOLUME]]

    first = features.compute(bars, hourly)
    assert features.compute(mirror(bars), mirror(hourly)) == pytest.approx(first, abs=2e-5)


def test_a_flat_chart_scores_no_trend_and_no_reaction() -> None:
    found = features.compute(path([100.0]), None)
    assert found == {
        "trend_strength": 0,
        "pullback_quality": 0,
        "support_reaction": 0,
        "liquidity_pattern_score": 0.5,
        "psych_score": 0,
        "market_phase_modifier": 0.5,
    }


def test_a_straight_climb_is_a_full_trend_in_a_directed_phase() -> None:
    found = features.compute(path(list(100 * 1.002 ** np.arange(96))), None)
    assert found["trend_strength"] == pytest.approx(1)
    assert found["market_phase_modifier"] == 1
    assert found["liquidity_pattern_score"] == 1


def climb_and_give_back(share: float) -> Floats:
    top = np.log(1.2)
    logs = [*np.linspace(0, top, 60), *np.linspace(top, top * (1 - share), 13)[1:]]
    return path([float(100 * np.exp(x)) for x in logs])


@pytest.mark.parametrize(
    ("share", "quality"), [(0.0, 0.0), (0.191, 0.5), (0.382, 1.0), (0.584, 0.5), (0.79, 0.0)]
)
def test_a_pullback_is_best_at_three_eighths(share: float, quality: float) -> None:
    found = features.compute(climb_and_give_back(share), None)
    assert found["pullback_quality"] == pytest.approx(quality, abs=0.01)


def test_a_pullback_that_trades_more_than_the_leg_is_worse() -> None:
    bars = climb_and_give_back(0.382)
    bars[-12:, VOLUME] = 4.0
    assert features.compute(bars, None)["pullback_quality"] == pytest.approx(0.25, abs=0.01)


def test_a_bounce_from_the_floor_is_a_reaction_and_a_break_is_none() -> None:
    base = [100.0 + 2 * (i % 4) for i in range(80)]
    bounce = features.compute(path([*base, 100.0, 102.0, 106.0]), None)
    broken = features.compute(path([*base, 100.0, 98.0, 95.0]), None)
    assert bounce["support_reaction"] > 0.5
    assert broken["support_reaction"] == 0 or features.trend_sign(path([*base, 95.0])) < 0


def test_a_climax_and_long_wicks_press_against_the_trend() -> None:
    calm = path(list(100 * 1.002 ** np.arange(96)))
    wild = calm.copy()
    wild[-12:, HIGH] *= 1.01
    assert features.compute(calm, None)["psych_score"] == pytest.approx(0)
    assert features.compute(wild, None)["psych_score"] > 0.3


def test_hours_against_the_trend_do_not_support_it() -> None:
    up = path(list(100 * 1.002 ** np.arange(96)))
    down = path(list(100 * 0.998 ** np.arange(96)))[-60:]
    assert features.compute(up, up[-60:])["htf_supportive_score"] == pytest.approx(1)
    assert features.compute(up, down)["htf_supportive_score"] == pytest.approx(0, abs=1e-6)
    assert "htf_supportive_score" not in features.compute(up, None)
    assert CLOSE == 3
