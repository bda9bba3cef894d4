import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.feedback.examples import AS_OF, H_MS, line
from vision_ai.domain import parse_time
from vision_ai.errors import InputError
from vision_ai.feedback_loop_cv import later_fold
from vision_ai.measures.significance import compare, sign_test, spend_alpha

ALPHA = 0.05


def promotions(edge: float, *, runs: int = 1000, blocks: int = 60, attempts: int = 1) -> float:
    """Share of runs with a promotion; scores share a shock within a block and have fat tails."""
    rng = np.random.default_rng(11)
    block = np.repeat(np.arange(blocks), 4)
    promoted = 0
    for _ in range(runs):
        trials = (
            compare(
                np.zeros(len(block)),
                edge + np.repeat(rng.standard_t(3, blocks), 4) + rng.standard_t(3, len(block)),
                block,
                alpha=ALPHA,
                attempt=attempt,
            )
            for attempt in range(1, attempts + 1)
        )
        promoted += any(trial.promote for trial in trials)
    return promoted / runs


def test_outcomes_without_signal_promote_no_more_often_than_stated() -> None:
    assert promotions(0.0) <= ALPHA


def test_many_attempts_without_signal_stay_within_the_same_rate() -> None:
    assert promotions(0.0, runs=300, attempts=12) <= ALPHA + 0.01  # its own sampling error


def test_a_real_improvement_is_promoted() -> None:
    assert promotions(1.0, runs=200) > 0.9


def test_like_hours_are_one_piece_of_evidence() -> None:
    better = np.ones(100)
    assert not compare(np.zeros(100), better, np.zeros(100, int)).promote
    assert compare(np.zeros(100), better, np.arange(100)).promote


@given(st.integers(0, 60), st.integers(0, 60))
def test_chances_of_the_sign_test_add_up(wins: int, losses: int) -> None:
    more, fewer = sign_test(wins, losses), sign_test(losses + 1, wins - 1) if wins else 0.0
    assert more + fewer == pytest.approx(1.0)


def test_a_large_trial_is_still_exact() -> None:
    assert sign_test(5000, 5000) == pytest.approx(0.504, abs=0.001)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((np.zeros(2), np.zeros(3), np.zeros(2, int)), "equal lengths"),
        ((np.array([np.nan]), np.zeros(1), np.zeros(1, int)), "finite"),
    ],
)
def test_scores_that_cannot_be_compared_are_refused(arguments, text: str) -> None:
    with pytest.raises(InputError, match=text):
        compare(*arguments)


def test_numbers_out_of_range_are_refused() -> None:
    with pytest.raises(InputError, match="error rate"):
        compare(np.zeros(1), np.zeros(1), np.zeros(1, int), alpha=1.0)
    with pytest.raises(InputError, match="count from 1"):
        spend_alpha(0.05, 0)


@given(hours=st.lists(st.integers(0, 500), max_size=30))
def test_no_line_both_teaches_and_judges(hours: list[int]) -> None:
    lines = [line(as_of_ms=AS_OF + hour * H_MS) for hour in hours]
    until = AS_OF + 250 * H_MS
    learned, judging = later_fold(lines, until)
    assert all(hour <= 244 for hour in _hours(learned))
    assert all(hour >= 250 + 96 for hour in _hours(judging))


def _hours(lines) -> list[int]:
    return [(parse_time(entry.as_of) - AS_OF) // H_MS for entry in lines]
