"""One call for many jobs at once: every result, or the error of each."""

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vision_ai.errors import InputError, VisionError
from vision_ai.market.gather import gather


def half(number: int) -> int:
    if number % 2:
        raise InputError(f"{number} is odd")
    return number // 2


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 20), max_size=12), st.integers(1, 4))
def test_every_job_has_its_own_result_or_error_in_order(jobs: list[int], workers: int) -> None:
    outcomes = gather(jobs, half, workers=workers)
    assert list(outcomes) == list(dict.fromkeys(jobs))
    for job, outcome in outcomes.items():
        if job % 2:
            assert isinstance(outcome, VisionError)
            assert outcome.message == f"{job} is odd"
        else:
            assert outcome == job // 2


def test_a_job_that_is_given_twice_is_done_once() -> None:
    done: list[str] = []
    gather(["a", "b", "a"], done.append, workers=1)
    assert done == ["a", "b"]


def test_as_many_jobs_run_at_once_as_there_are_workers() -> None:
    together = threading.Barrier(3, timeout=5)  # breaks unless three wait for each other
    outcomes = gather([1, 2, 3], lambda job: together.wait() >= 0 and job, workers=3)
    assert outcomes == {1: 1, 2: 2, 3: 3}


def test_a_bug_is_raised_and_jobs_that_have_not_begun_are_dropped() -> None:
    begun: list[int] = []

    def call(number: int) -> float:
        begun.append(number)
        return 1 / number

    with pytest.raises(ZeroDivisionError):
        gather([0, *range(1, 500)], call, workers=1)
    assert len(begun) < 500


def test_no_jobs_give_no_outcomes() -> None:
    assert gather([], half, workers=2) == {}
