"""Intervals and tests against scipy, and error rates as stated, by simulation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vision_ai.errors import InputError
from vision_ai.measures import significance
from vision_ai.measures.significance import (
    betting_test,
    blocks,
    bootstrap,
    bootstrap_all,
    compare,
    sign_test,
    spend_alpha,
    wilson_interval,
)

stats = pytest.importorskip("scipy.stats")

ALPHA = 0.05

quick = settings(max_examples=50, deadline=None)


# ---- Wilson's interval and the sign test


@quick
@given(st.integers(1, 10_000), st.floats(0, 1))
def test_wilson_interval_equals_scipy(n, share):
    hits = round(share * n)
    expected = stats.binomtest(hits, n).proportion_ci(0.95, method="wilson")
    assert wilson_interval(hits, n) == pytest.approx((expected.low, expected.high), abs=1e-12)


@quick
@given(st.integers(0, 300), st.integers(0, 300))
def test_sign_test_equals_scipy(wins, losses):
    expected = 1.0
    if wins + losses:
        expected = stats.binomtest(wins, wins + losses, 0.5, alternative="greater").pvalue
    assert sign_test(wins, losses) == pytest.approx(expected)


def test_a_large_trial_is_still_exact():
    assert sign_test(5000, 5000) == pytest.approx(stats.binom.sf(4999, 10_000, 0.5))


# ---- paired comparison in blocks


def promotions(edge: float, *, runs: int = 1000, n: int = 60, attempts: int = 1) -> float:
    """Share of runs with a promotion; scores share a shock within a block and have fat tails."""
    rng = np.random.default_rng(11)
    block = np.repeat(np.arange(n), 4)
    promoted = 0
    for _ in range(runs):
        trials = (
            compare(
                np.zeros(len(block)),
                edge + np.repeat(rng.standard_t(3, n), 4) + rng.standard_t(3, len(block)),
                block,
                alpha=ALPHA,
                attempt=attempt,
            )
            for attempt in range(1, attempts + 1)
        )
        promoted += any(trial.promote for trial in trials)
    return promoted / runs


def test_outcomes_without_signal_promote_no_more_often_than_stated():
    assert promotions(0.0) <= ALPHA


def test_many_attempts_without_signal_stay_within_the_same_rate():
    assert promotions(0.0, runs=300, attempts=12) <= ALPHA + 0.01  # its own sampling error


def test_a_real_improvement_is_promoted():
    assert promotions(1.0, runs=200) > 0.9


def test_like_hours_are_one_piece_of_evidence():
    better = np.ones(100)
    assert not compare(np.zeros(100), better, np.zeros(100, int)).promote
    assert compare(np.zeros(100), better, np.arange(100)).promote


@quick
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(-3, 3)), max_size=40))
def test_blocks_are_won_by_the_sum_of_their_cases(cases):
    block, gain = np.array(cases, int).reshape(-1, 2).T
    found = compare(np.zeros(len(gain)), gain.astype(float), block)
    sums = [gain[block == number].sum() for number in set(block.tolist())]
    expected = [sum(s > 0 for s in sums), sum(s < 0 for s in sums), sum(s == 0 for s in sums)]
    assert [found.wins, found.losses, found.ties] == expected
    assert found.p_value == sign_test(found.wins, found.losses)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((np.zeros(2), np.zeros(3), np.zeros(2, int)), "equal lengths, were 2, 3 and 2"),
        ((np.array([np.nan]), np.zeros(1), np.zeros(1, int)), "finite"),
    ],
)
def test_scores_that_cannot_be_compared_are_refused(arguments, text):
    with pytest.raises(InputError, match=text):
        compare(*arguments)


def test_numbers_out_of_range_are_refused():
    with pytest.raises(InputError, match=r"error rate must lie between 0 and 1, was 1\.0"):
        compare(np.zeros(1), np.zeros(1), np.zeros(1, int), alpha=1.0)
    with pytest.raises(InputError, match="count from 1, was 0"):
        spend_alpha(0.05, 0)
    for gain in (-1.5, np.inf):
        with pytest.raises(InputError, match="finite and at least -1"):
            betting_test(np.array([gain]), level=0.05)


@quick
@given(st.floats(0.001, 0.2), st.integers(1, 400))
def test_all_attempts_together_spend_no_more_than_alpha(alpha, attempts):
    shares = [spend_alpha(alpha, number) for number in range(1, attempts + 1)]
    assert sum(shares) < alpha
    assert shares == sorted(shares, reverse=True)


# ---- betting test


def capital_by_hand(gains: list[float]) -> list[float]:
    """Capital after each bet; the stake is the mean over the second moment, from 0 to 3/4."""
    capital, path = 1.0, [1.0]
    for number, gain in enumerate(gains):
        before = [0.0, *gains[:number]]  # as if one block without gain had been seen
        moment = (1.0 + sum(g * g for g in before)) / len(before)
        stake = min(0.75, max(0.0, sum(before) / len(before) / moment))
        capital *= 1 + stake * gain
        path.append(capital)
    return path


@quick
@given(st.lists(st.floats(-1, 1), max_size=40))
def test_the_p_value_is_one_over_the_highest_capital(gains):
    found = betting_test(np.array(gains, float), level=0.05)
    assert found.p_value == pytest.approx(1 / max(capital_by_hand(gains)))
    assert found.promote == (found.p_value <= 0.05)


def test_bets_on_gains_that_average_zero_win_no_more_often_than_stated():
    rng = np.random.default_rng(5)  # three small wins for each loss three times as large
    games = np.where(rng.random((1500, 100)) < 0.75, 1 / 3, -1.0)
    assert np.mean([betting_test(gains, level=ALPHA).promote for gains in games]) <= ALPHA


def test_gains_that_are_real_are_found():
    rng = np.random.default_rng(6)
    games = rng.normal(0.3, 0.3, (50, 100)).clip(-1)
    assert all(betting_test(gains, level=ALPHA).promote for gains in games)


# ---- bootstrap


def test_blocks_are_weeks_of_a_symbol():
    week = significance.WEEK_MS
    symbol = np.array(["A", "A", "A", "B", "B"])
    block = blocks(symbol, np.array([0, week - 1, week, 0, week]))
    assert block[0] == block[1]
    assert len(set(block.tolist())) == 4


def coverage_of_intervals(block: np.ndarray, trials: int) -> float:
    """How often an interval of a mean holds the true mean, 0, where ten rows are copies."""
    held = 0
    for trial in range(trials):
        column = np.repeat(np.random.default_rng(trial).normal(size=40), 10)
        estimate = bootstrap(
            lambda rows, column=column: float(column[rows].mean()),
            block,
            draws=120,
            seed=trial + 100_000,
        )
        held += estimate.low <= 0 <= estimate.high
    return held / trials


def test_interval_holds_the_truth_as_often_as_it_says():
    assert 0.89 < coverage_of_intervals(np.repeat(np.arange(40), 10), 200) < 0.98


def test_resampling_rows_instead_of_blocks_would_be_far_too_sure():
    assert coverage_of_intervals(np.arange(400), 60) < 0.7


def test_single_rows_as_blocks_equal_the_percentile_bootstrap_of_scipy():
    column = np.random.default_rng(2).exponential(size=80)
    found = bootstrap(lambda rows: float(column[rows].mean()), np.arange(80), draws=4000)
    expected = stats.bootstrap(
        (column,), np.mean, n_resamples=4000, method="percentile", random_state=0
    ).confidence_interval
    assert found.value == column.mean()
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=0.02)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=30), st.integers(0, 99))
def test_a_block_is_drawn_whole(block, seed):
    block = np.array(block)
    drawn = []
    bootstrap(lambda rows: drawn.append(rows) or 0.0, block, draws=5, seed=seed)
    *draws, every = drawn
    assert every.tolist() == list(range(len(block)))
    for rows in draws:
        times = np.bincount(rows, minlength=len(block))
        assert all(len(set(times[block == number].tolist())) == 1 for number in set(block))


def test_bootstrap_is_the_same_every_time():
    block = np.arange(50) // 5
    figures = [bootstrap(lambda rows: float(rows.mean()), block, draws=20) for _ in "ab"]
    assert figures[0] == figures[1]
    assert figures[0].value == pytest.approx(24.5)


def test_a_figure_that_is_undefined_in_a_draw_leaves_it_out():
    def share(rows):
        return float("nan") if (rows < 5).sum() < 3 else 0.25

    found = bootstrap(share, np.arange(40), draws=60)
    assert (found.value, found.low, found.high) == (0.25, 0.25, 0.25)
    never = bootstrap(lambda _: float("nan"), np.arange(4), draws=5)
    assert np.isnan([never.value, never.low, never.high]).all()


def test_the_interval_of_a_distance_holds_the_distance_itself():
    rng = np.random.default_rng(3)
    error = rng.normal(0, 1, 400)

    def distance(rows):
        return [abs(error[rows].mean())] * 2

    plain, shifted = bootstrap_all(distance, np.arange(400) // 4, draws=200, distances={1})
    assert plain.value == shifted.value
    assert 0 <= shifted.low <= shifted.value <= shifted.high
    middle = shifted.high - plain.high  # both ends moved by the same step
    assert shifted.low == pytest.approx(max(plain.low + middle, 0.0))
