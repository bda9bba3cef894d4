"""How long to wait, and how fast to ask."""

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vision_ai.market.retry import LONGEST_WAIT_S, Backoff, Pace, Refusal


@given(st.floats(0.001, 10), st.integers(0, 40), st.integers(0, 9999), st.floats(0, 1e6))
def test_waits_double_with_jitter_and_end_at_the_longest(first, attempt, seed, asked) -> None:
    wait = Backoff(first, np.random.default_rng(seed)).wait_s(attempt, asked)
    own = min(first * 2.0**attempt, LONGEST_WAIT_S)
    assert 0.5 * own <= wait <= LONGEST_WAIT_S
    assert wait >= min(asked, LONGEST_WAIT_S)
    if asked <= 0.5 * own:
        assert wait <= own


def test_equal_clients_do_not_come_back_together() -> None:
    waits = {Backoff(1.0, np.random.default_rng(seed)).wait_s(3) for seed in range(50)}
    assert len(waits) == 50


class Clock:
    """Seconds that pass only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def test_requests_are_spaced_evenly() -> None:
    clock = Clock()
    pace = Pace(clock, clock.sleep, per_s=10)
    for _ in range(5):
        pace.wait()
    assert clock.slept == pytest.approx([0.1] * 4)


def test_after_a_pause_the_next_request_goes_at_once() -> None:
    clock = Clock()
    pace = Pace(clock, clock.sleep, per_s=10)
    pace.wait()
    clock.now += 60
    pace.wait()
    assert clock.slept == []


def test_a_clock_that_was_set_back_does_not_stop_the_program() -> None:
    clock = Clock()
    pace = Pace(clock, clock.sleep, per_s=10)
    pace.wait()
    clock.now -= 3600
    pace.wait()
    assert max(clock.slept) <= LONGEST_WAIT_S


def test_threads_share_the_pace() -> None:
    starts: list[float] = []
    lock = threading.Lock()

    def sleep(seconds: float) -> None:
        with lock:
            starts.append(seconds)

    pace = Pace(lambda: 5.0, sleep, per_s=100)
    threads = [threading.Thread(target=pace.wait) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(starts) == pytest.approx([0.01 * n for n in range(1, 20)])


def test_a_refusal_says_only_what_is_known() -> None:
    refusal = Refusal("timeout")
    assert refusal == Refusal("timeout", False, False, False, False, 0.0)
