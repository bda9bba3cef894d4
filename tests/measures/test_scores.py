import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vision_ai.measures import scores, significance

sklearn = pytest.importorskip("sklearn.metrics", reason="needs the evaluate extra")


def answers(seed: int, n: int = 80, classes: int = 6):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes - 1, n)
    predicted = np.where(rng.random(n) < 0.5, truth, rng.integers(0, classes - 1, n))
    return truth, predicted


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_class_table_equals_scikit_learn(seed):
    truth, predicted = answers(seed)
    table = scores.per_class(truth, predicted, 6)
    expected = sklearn.precision_recall_fscore_support(
        truth, predicted, labels=range(6), zero_division=0
    )
    for mine, theirs in zip(
        (table.precision, table.recall, table.f1, table.support), expected, strict=True
    ):
        np.testing.assert_allclose(mine, theirs)
    assert scores.macro_f1(truth, predicted, 6) == pytest.approx(
        sklearn.f1_score(truth, predicted, average="macro")
    )


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), base=st.floats(0.1, 0.9))
def test_brier_skill_equals_scikit_learn(seed, base):
    rng = np.random.default_rng(seed)
    happened = (rng.random(60) < 0.5).astype(float)
    said = rng.random(60)
    reference = sklearn.brier_score_loss(happened, np.full(60, base))
    expected = 1 - sklearn.brier_score_loss(happened, said) / reference
    assert scores.brier_skill(said, happened, base) == pytest.approx(expected)
    unknown = np.append(happened, np.nan)
    assert scores.brier_skill(np.append(said, 0.3), unknown, base) == pytest.approx(expected)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), bins=st.integers(1, 20), n=st.integers(1, 100))
def test_ece_keeps_its_definition(seed, bins, n):
    rng = np.random.default_rng(seed)
    said = rng.random(n)
    right = rng.random(n) < said
    pairs = sorted(zip(said.tolist(), right.tolist(), strict=True))
    size, extra = divmod(n, bins)
    total, start = 0.0, 0
    for number in range(bins):
        end = start + size + (number < extra)
        if end > start:
            part = pairs[start:end]
            gap = sum(s for s, _ in part) / len(part) - sum(r for _, r in part) / len(part)
            total += abs(gap) * len(part)
        start = end
    assert scores.ece(said, right, bins) == pytest.approx(total / n)


def test_honest_confidence_has_a_small_error_and_boasting_a_large_one():
    rng = np.random.default_rng(0)
    said = rng.random(50_000)
    right = rng.random(50_000) < said
    assert scores.ece(said, right) < 0.01
    assert scores.ece(said, rng.random(50_000) < said / 2) > 0.2


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), coverage=st.floats(0.01, 1))
def test_accuracy_at_coverage_keeps_its_definition(seed, coverage):
    rng = np.random.default_rng(seed)
    said, right = rng.permutation(40) / 40, rng.random(40) < 0.6
    surest = sorted(range(40), key=lambda i: -said[i])[: max(1, int(np.ceil(coverage * 40 - 1e-9)))]
    expected = np.mean([right[i] for i in surest])
    assert scores.accuracy_at(said, right, coverage) == pytest.approx(expected)


def test_equal_confidence_gains_nothing_from_row_order():
    right = np.array([True, True, False, False])
    for order in ([0, 1, 2, 3], [3, 2, 1, 0]):
        assert scores.accuracy_at(np.full(4, 0.7), right[order], 0.5) == 0.5


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_risk_coverage_ends_at_the_plain_accuracy(seed):
    rng = np.random.default_rng(seed)
    said, right = rng.integers(0, 5, 30) / 5, rng.random(30) < 0.5
    coverage, accuracy = scores.risk_coverage(said, right)
    assert coverage[-1] == 1
    assert accuracy[-1] == pytest.approx(right.mean())


def test_the_noise_of_ece_is_what_honest_confidence_shows():
    rng = np.random.default_rng(7)
    said = rng.beta(4, 1.2, 600)
    honest = [scores.ece(said, rng.random(600) < said) for _ in range(200)]
    noise = scores.ece_noise(said)
    assert noise.value == pytest.approx(np.mean(honest), abs=0.002)
    assert 0.025 < noise.low < noise.value < noise.high < 0.07
    assert noise == scores.ece_noise(said[::-1])
    assert scores.ece_noise(np.repeat(said, 12)).value < noise.value / 3
    assert scores.ece(said, rng.random(600) < said**2) > noise.high  # law broken: boasting


def test_retrieval_precision_counts_real_look_alikes_only():
    found = np.array([[1, 1, 2], [3, -1, -1]])
    assert scores.retrieval_precision(found, np.array([1, 3]), 3) == 0.75
    assert scores.retrieval_precision(found, np.array([1, 3]), 1) == 1.0


def test_blocks_are_weeks_of_a_symbol():
    week = significance.WEEK_MS
    symbol = np.array(["A", "A", "A", "B", "B"])
    block = significance.blocks(symbol, np.array([0, week - 1, week, 0, week]))
    assert block[0] == block[1]
    assert len(set(block.tolist())) == 4


def held_share(block: np.ndarray, trials: int) -> float:
    """How often an interval of a mean holds the true mean, 0, where ten rows are copies."""
    held = 0
    for trial in range(trials):
        column = np.repeat(np.random.default_rng(trial).normal(size=40), 10)
        figure = significance.bootstrap(
            lambda rows, column=column: float(column[rows].mean()),
            block,
            draws=120,
            seed=trial + 100_000,
        )
        held += figure.low <= 0 <= figure.high
    return held / trials


def test_interval_holds_the_truth_as_often_as_it_says():
    assert 0.89 < held_share(np.repeat(np.arange(40), 10), 300) < 0.98


def test_resampling_rows_instead_of_blocks_would_be_far_too_sure():
    assert held_share(np.arange(400), 100) < 0.7


def test_bootstrap_is_the_same_every_time():
    block = np.arange(50) // 5
    figures = [
        significance.bootstrap(lambda rows: float(rows.mean()), block, draws=20) for _ in "ab"
    ]
    assert figures[0] == figures[1]
    assert figures[0].value == pytest.approx(24.5)


def test_the_interval_of_a_distance_holds_the_distance_itself():
    rng = np.random.default_rng(3)
    said = rng.random(400)
    right = rng.random(400) < said

    def figures(rows):
        return [scores.ece(said[rows], right[rows])] * 2

    plain, shifted = significance.bootstrap_all(
        figures, np.arange(400) // 4, draws=60, distances={1}
    )
    assert plain.low > plain.value  # drawn twice, chance looks like error
    assert 0 <= shifted.low < shifted.value < shifted.high
    assert plain.value == shifted.value
