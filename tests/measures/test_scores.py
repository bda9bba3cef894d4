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


def test_retrieval_precision_counts_real_neighbors_only():
    found = np.array([[1, 1, 2], [3, -1, -1]])
    assert scores.retrieval_precision(found, np.array([1, 3]), 3) == 0.75
    assert scores.retrieval_precision(found, np.array([1, 3]), 1) == 1.0


def test_the_interval_of_ece_holds_it():
    rng = np.random.default_rng(3)
    confidence = rng.random(400)
    right = rng.random(400) < confidence

    def figures(rows):
        return [scores.ece(confidence[rows], right[rows])] * 2

    blocks = np.arange(400) // 4
    plain, shifted = significance.bootstrap_all(figures, blocks, draws=60, distances={1})
    assert plain.low > plain.value  # drawn twice, chance looks like error
    assert 0 <= shifted.low < shifted.value < shifted.high
    assert plain.value == shifted.value


def test_a_class_that_is_invented_costs_and_one_that_is_nowhere_does_not():
    truth = np.array([0, 0, 1, 1])
    assert scores.macro_f1(truth, truth, 9) == 1.0
    invented = np.array([0, 0, 1, 2])
    expected = sklearn.f1_score(truth, invented, average="macro", zero_division=0)
    assert scores.macro_f1(truth, invented, 9) == pytest.approx(expected)
    assert expected == pytest.approx((1 + 2 / 3 + 0) / 3)
    assert np.isnan(scores.macro_f1(np.empty(0, int), np.empty(0, int), 3))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_quadratic_score_is_the_multiclass_brier_score_upside_down(seed):
    rng = np.random.default_rng(seed)
    p, truth = rng.dirichlet(np.ones(4), 30), rng.integers(0, 4, 30)
    hand = [-sum((p[i, c] - (c == truth[i])) ** 2 for c in range(4)) for i in range(30)]
    np.testing.assert_allclose(scores.quadratic_score(p, truth), hand)
    binary = scores.quadratic_score(np.stack([1 - p[:, 0], p[:, 0]], axis=1), truth % 2)
    expected = sklearn.brier_score_loss(truth % 2, p[:, 0])
    assert -binary.mean() / 2 == pytest.approx(expected)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_an_honest_forecast_has_the_best_quadratic_score_on_average(seed):
    rng = np.random.default_rng(seed)
    honest, other = rng.dirichlet(np.ones(3), 2)
    expected = [
        honest @ scores.quadratic_score(np.tile(p, (3, 1)), np.arange(3)) for p in (honest, other)
    ]
    assert expected[0] >= expected[1]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 60), bins=st.integers(1, 20))
def test_reliability_bins_hold_every_chart_once_from_unsure_to_sure(seed, n, bins):
    rng = np.random.default_rng(seed)
    confidence, right = rng.random(n), rng.random(n) < 0.5
    table = scores.reliability(confidence, right, bins)
    assert table.count.sum() == n
    assert table.count.max() - table.count.min() <= 1
    assert (np.diff(table.confidence) >= 0).all()
    assert table.confidence @ table.count == pytest.approx(confidence.sum())
    assert table.accuracy @ table.count == pytest.approx(right.sum())


def test_scores_of_no_charts_are_undefined():
    nothing = np.empty(0)
    for value in (
        scores.ece(nothing, nothing.astype(bool)),
        scores.accuracy_at(nothing, nothing.astype(bool)),
        scores.ece_noise(nothing).value,
        scores.brier_skill(nothing, nothing, 0.5),
        scores.retrieval_precision(np.empty((0, 3), int), np.empty(0, int), 3),
    ):
        assert np.isnan(value)


LEVEL = np.array([0.8])


def charts_in_cells(n: int = 2400, share: float = 0.8, seed: int = 0):
    """Charts in blocks of ten and six cells, whose bands hold as often as they say."""
    rng = np.random.default_rng(seed)
    hits = (rng.random((n, 1)) < share).astype(float)
    return hits, rng.integers(0, 6, n), np.arange(n) // 10


def test_the_error_is_that_of_the_worst_cell_that_is_not_too_small():
    value = np.array([0.0] * 30 + [5.0] * 29 + [np.nan])
    hits = scores.band_hits(np.full(60, -1.0), np.full(60, 1.0), value)[:, None]
    assert np.isnan(hits[-1, 0])
    cell = np.repeat([0, 1], 30)
    assert [found.share for found in scores.coverage_by_cell(hits, cell)] == [1.0, 0.0]
    assert scores.coverage_error(hits, cell, LEVEL) == pytest.approx(0.2)  # 29 known are too few
    hits[-1] = 0.0
    assert scores.coverage_error(hits, cell, LEVEL) == pytest.approx(0.8)
    assert np.isnan(scores.coverage_error(hits[:20], cell[:20], LEVEL))


def test_coverage_noise_is_the_error_that_right_bands_show():
    errors = [scores.coverage_error(*charts_in_cells(seed=seed)[:2], LEVEL) for seed in range(60)]
    noise = scores.coverage_noise(*charts_in_cells())
    assert noise.value == pytest.approx(np.mean(errors), abs=0.008)
    hits, cell, block = charts_in_cells(share=0.7)
    assert scores.coverage_error(hits, cell, LEVEL) > scores.coverage_noise(hits, cell, block).high
    few = scores.coverage_noise(*(part[:600] for part in charts_in_cells()))
    assert few.value > 1.5 * noise.value


def test_coverage_noise_grows_where_charts_of_a_block_move_together():
    rng = np.random.default_rng(1)
    block = np.arange(2400) // 40
    together = (rng.random(60) < 0.8).astype(float)[block][:, None]
    cell = np.zeros(2400, int)
    assert scores.coverage_noise(together, cell, block).value > 0.03
    assert (
        scores.coverage_noise(together, cell, np.arange(2400)).value < 0.01
    )  # rows are not blocks


def test_intervals_hold_the_shares_of_the_cells():
    hits, cell, block = charts_in_cells(600)
    found = scores.coverage_intervals(hits, cell, block)
    shares = [each.share for each in scores.coverage_by_cell(hits, cell)]
    assert [estimate.value for estimate in found] == shares
    assert all(each.low < each.value < each.high for each in found)
    assert found == scores.coverage_intervals(hits, cell, block)
    assert scores.coverage_intervals(np.full((5, 1), np.nan), cell[:5], block[:5]) == []
