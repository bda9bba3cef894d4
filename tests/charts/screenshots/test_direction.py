"""Which candles closed up: by colour, by the path of price, and by both."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vision_ai.charts.screenshots.direction import directions, leanings

GREEN, RED = np.array([38.0, 166, 154]), np.array([239.0, 83, 80])


def chart(seed: int, count: int = 40, gap: float = 0.0):
    """Body ends (n, 2), upper first, and which candles closed up."""
    rng = np.random.default_rng(seed)
    up = rng.random(count) < 0.5
    size = rng.uniform(2, 20, count)
    opened, ends = 0.0, []
    for rises, body in zip(up, size, strict=True):
        closed = opened + body if rises else opened - body
        ends.append((max(opened, closed), min(opened, closed)))
        opened = closed + rng.uniform(-gap, gap)
    return np.array(ends), up


def fills(up, noise: float, seed: int):
    rng = np.random.default_rng(seed)
    return np.where(up[:, None], GREEN, RED) + rng.normal(0, noise, (len(up), 3))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 9999))
def test_the_path_alone_tells_up_from_down_where_opens_meet_closes(seed: int) -> None:
    ends, up = chart(seed)
    found, cost = directions(ends, np.zeros(len(ends)))
    other, other_cost = directions(ends, np.zeros(len(ends)))
    assert (found == other).all()
    assert cost == other_cost
    opens, closes = np.where(found, ends[:, 1], ends[:, 0]), np.where(found, ends[:, 0], ends[:, 1])
    leaps = np.abs(opens[1:] - closes[:-1]).sum()
    true_opens, true_closes = (np.where(up, ends[:, i], ends[:, 1 - i]) for i in (1, 0))
    assert leaps <= np.abs(true_opens[1:] - true_closes[:-1]).sum() + 1e-6


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 9999), st.integers(2, 9))
def test_no_other_way_costs_less(seed: int, count: int) -> None:
    """Against all 2^n ways."""
    ends, up = chart(seed, count, gap=6.0)
    leaning = leanings(fills(up, 10, seed), ends[:, 0] - ends[:, 1])
    found, cost = directions(ends, leaning)
    unit = 0.5 * max(float(np.median(ends[:, 0] - ends[:, 1])), 2.0)

    def price(way: np.ndarray) -> float:
        opens, closes = np.where(way, ends[:, 1], ends[:, 0]), np.where(way, ends[:, 0], ends[:, 1])
        against = np.where(way, unit * (1 - leaning), unit * (1 + leaning)).sum()
        return float(np.abs(opens[1:] - closes[:-1]).sum() + against)

    every = [price(np.array(way, bool)) for way in itertools.product([False, True], repeat=count)]
    assert cost == pytest.approx(min(every))
    assert price(found) == pytest.approx(min(every))


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 9999), st.floats(0, 25))
def test_two_colours_are_told_apart_up_to_their_names(seed: int, noise: float) -> None:
    ends, up = chart(seed, 60)
    leaning = leanings(fills(up, noise, seed), ends[:, 0] - ends[:, 1])
    clear = np.abs(leaning) > 0.3
    same = np.sign(leaning[clear]) == np.where(up, 1, -1)[clear]
    assert same.all() or not same.any()


def test_one_colour_says_nothing() -> None:
    ends, up = chart(1)
    leaning = leanings(fills(np.ones_like(up), 3, 1), ends[:, 0] - ends[:, 1])
    assert not leaning.any()


def test_colours_that_are_nearly_one_say_nothing() -> None:
    ends, up = chart(2)
    pale = np.where(up[:, None], 100.0, 110.0) * np.ones(3)
    assert not leanings(pale, ends[:, 0] - ends[:, 1]).any()


def test_small_bodies_say_less_than_large_ones() -> None:
    _, up = chart(3)
    heights = np.full(len(up), 20.0)
    heights[0] = 1.0
    leaning = np.abs(leanings(fills(up, 0, 3), heights))
    assert leaning[0] == pytest.approx(0.2 * leaning[1:].max())


def test_a_body_without_height_has_no_say() -> None:
    _, up = chart(4)
    heights = np.full(len(up), 12.0)
    heights[5] = 0.0
    assert leanings(fills(up, 0, 4), heights)[5] == 0


def test_colour_decides_where_the_path_does_not() -> None:
    flat = np.tile([1.0, -1.0], (20, 1))  # every way leaps the same or more
    up = np.arange(20) % 3 == 0
    found, _ = directions(flat * 4, np.where(up, 1.0, -1.0) * 10)
    assert (found == up).all()
