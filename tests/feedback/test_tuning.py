"""Three folds of resolved charts, and the gate that judges who reads them better."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.feedback.examples import H_MS, line
from vision_ai import feedback_loop_cv as feedback
from vision_ai.domain import Horizon, parse_time
from vision_ai.feedback import tuning
from vision_ai.feedback.challenge import DAY_MS, EMBARGO_MS
from vision_ai.feedback_loop_cv import Tuned
from vision_ai.measures.scores import quadratic_score

START = 20_000 * DAY_MS


def lines(days: int, *, step_h: int = 6):
    return [
        line(as_of_ms=START + hour * H_MS, horizon=horizon)
        for hour in range(0, 24 * days, step_h)
        for horizon in Horizon
    ]


def tuned(gain: np.ndarray, day: np.ndarray) -> Tuned:
    return Tuned(0.5, np.zeros(len(gain)), gain, day, {}, lambda _: "m2")


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 90), st.integers(1, 24))
def test_no_chart_shows_candles_of_two_folds(days: int, step_h: int) -> None:
    parted = feedback.stages(lines(days, step_h=step_h), "m1", [], START + days * DAY_MS)
    if parted is None:
        assert days == 0
        return
    for early, late in ((parted.learned, parted.choosing), (parted.choosing, parted.judging)):
        if early and late:
            known = max(parse_time(one.as_of) + one.horizon.ms for one in early)
            assert min(parse_time(one.as_of) for one in late) - EMBARGO_MS >= known
    assert all(one.horizon is Horizon.H6 for one in parted.learned + parted.judging)


def test_what_judged_once_is_learned_from_and_never_judges_again() -> None:
    every, first_now = lines(160), START + 70 * DAY_MS
    first = feedback.stages(every, "m1", [], first_now)
    assert first is not None
    assert first.days >= 14
    noise = np.random.default_rng(0).normal(size=len(first.judging))
    made = tuning.attempt(tuned(noise, np.arange(len(noise))), first, alpha=0.05)
    later = feedback.stages(every, "m1", [made], START + 160 * DAY_MS, number=2)
    assert later is not None
    judged = {one.as_of for one in first.judging + first.choosing}
    assert judged <= {one.as_of for one in later.learned}
    assert not judged & {one.as_of for one in later.judging}
    other = made.model_copy(update={"mode": "reweight"})
    assert feedback.stages(every, "m1", [other], first_now) == first


def test_outcomes_that_are_not_known_are_not_learned_from() -> None:
    unknown = [one.model_copy(update={"move": None}) for one in lines(20)]
    assert feedback.stages(unknown, "m1", [], START + 20 * DAY_MS) is None


@pytest.mark.parametrize("skew", [False, True])
def test_a_challenger_that_reads_no_better_is_seldom_found_better(skew: bool) -> None:
    """Charts of a day share half of their luck; a skewed challenger wins much, but seldom."""
    rng, level, runs, false = np.random.default_rng(1), 0.03, 2000, 0
    day = np.repeat(np.arange(20), 12)
    for _ in range(runs):
        gain = rng.normal(size=len(day)) + rng.normal(size=20)[day]
        if skew:
            gain = np.where(rng.random(20)[day] < 0.2, 1.0, -0.1)
        false += tuning.judge_readings(tuned(gain, day), level=level).better
    assert false / runs <= level * 1.3


def test_most_days_a_little_better_is_not_enough_if_the_rest_are_much_worse() -> None:
    day = np.arange(20)
    part = tuning.judge_readings(tuned(np.where(day < 17, 0.1, -1.0), day), level=0.03)
    assert part.p_value < 0.03
    assert not part.better


def test_a_challenger_that_reads_better_is_found() -> None:
    rng = np.random.default_rng(2)
    day = np.repeat(np.arange(20), 12)
    part = tuning.judge_readings(tuned(rng.normal(0.6, 1, len(day)), day), level=0.03)
    assert part.better
    assert part.figures["gain"] > 0.4


@settings(deadline=None)
@given(st.lists(st.floats(0.01, 1), min_size=3, max_size=3), st.integers(0, 2))
def test_honest_probabilities_score_best(weights: list[float], other: int) -> None:
    honest = np.array(weights) / sum(weights)
    told = np.roll(honest, other)
    score = [honest @ quadratic_score(np.tile(p, (3, 1)), np.arange(3)) for p in (honest, told)]
    assert score[0] >= score[1] - 1e-12
