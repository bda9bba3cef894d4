"""The segment detector against plain loops over candles."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.model import making
from vision_ai.domain import WINDOW
from vision_ai.model.training import anchors, batches, segments, tower
from vision_ai.model.training.anchors import HIGH, NEG_CLOSE, NEG_LOW, SEGMENT_ANCHORS
from vision_ai.model.training.segments import PROPOSALS, PooledSegments, SegmentDetector

pytestmark = pytest.mark.train

SEEDS = st.integers(0, 2**31)
SOME = [0, 3, 24, 30, 110, 174, 175, 190, len(SEGMENT_ANCHORS) - 1]
"""Anchors that loops are compared on: boxes and floors, ended long ago and just now."""


def bars_of(seed, count=2):
    table = making.klines(seed=seed % 1000)
    ends = table.window_ends()
    rows = np.random.default_rng(seed).integers(0, len(ends), count)
    ohlcv = batches.scale_ohlcv(table.windows(ends[rows]))
    return anchors.BarFeatures()(torch.from_numpy(ohlcv))


def caught(detector, bars):
    """What the detector pools from bars, seen by its proposal head."""
    seen = []
    handle = detector.proposal_head.register_forward_pre_hook(
        lambda _, arguments: seen.append(arguments[0])
    )
    output = detector(bars, tower.highest_since(bars))
    handle.remove()
    return seen, output


@settings(max_examples=8, deadline=None)
@given(SEEDS)
def test_pooling_equals_slices_of_the_chart(seed):
    bars = bars_of(seed)
    (upright, _), _ = caught(SegmentDetector(8, 2), bars)
    for anchor in SOME:
        length, ended = SEGMENT_ANCHORS[anchor]
        stop = WINDOW - ended
        part = bars[:, stop - length : stop]
        quarters = part.reshape(len(bars), 4, length // 4, 8).amax(2)
        assert torch.equal(upright.quarters[:, anchor], quarters)
        halves = part.reshape(len(bars), 2, length // 2, 8).mean(2)[..., [2, 6]]
        assert torch.allclose(upright.half_means[:, anchor], halves, atol=1e-4)
        since = bars[:, min(stop, WINDOW - 1) :].amax(1)
        assert torch.equal(upright.after[:, anchor], since)
    assert torch.equal(upright.recent[:, 0], bars[:, -anchors.RETEST_BARS :].amax(1))
    assert torch.equal(upright.recent[:, 1], bars[:, -anchors.BARS_AFTER - 1 :].amax(1))


@settings(max_examples=5, deadline=None)
@given(SEEDS)
def test_the_mirror_is_pooled_from_mirrored_bars_and_twice_is_the_chart(seed):
    bars = bars_of(seed)
    detector = SegmentDetector(8, 2)
    (upright, mirrored), _ = caught(detector, bars)
    (expected, _), _ = caught(detector, anchors.mirror_channels(bars))
    again = upright.mirrored().mirrored()
    for name in ("quarters", "half_means", "after", "recent", "rebounds"):
        assert torch.allclose(getattr(mirrored, name), getattr(expected, name), atol=1e-4), name
        assert torch.equal(getattr(again, name), getattr(upright, name)), name


@settings(max_examples=5, deadline=None)
@given(SEEDS)
def test_the_most_promising_anchors_are_proposed(seed):
    _, output = caught(SegmentDetector(8, 2), bars_of(seed))
    for side, chart in np.ndindex(2, 2):
        logits = output.proposal_logits[side, chart].detach().numpy()
        rows = output.proposals[side, chart].numpy()
        assert len(set(rows.tolist())) == PROPOSALS
        assert np.allclose(logits[rows], np.sort(logits)[::-1][:PROPOSALS])


@settings(max_examples=8, deadline=None)
@given(SEEDS)
def test_taking_proposals_equals_indexing(seed):
    rng = torch.Generator().manual_seed(seed)
    count = len(SEGMENT_ANCHORS)
    pooled = random_pooled(rng, count)
    chosen = torch.stack([torch.randperm(count, generator=rng)[:PROPOSALS] for _ in range(2)])
    part = pooled.take(chosen)
    for name in ("quarters", "half_means", "after"):
        for chart in range(2):
            expected = getattr(pooled, name)[chart, chosen[chart]]
            assert torch.equal(getattr(part, name)[chart], expected)
    assert part.recent is pooled.recent


def random_pooled(rng, count=PROPOSALS):
    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=rng)

    return PooledSegments(
        normal(2, count, 4, 8), normal(2, count, 2, 2), normal(2, count, 8), normal(2, 2, 8),
        normal(2, 2),
    )  # fmt: skip


@settings(max_examples=20, deadline=None)
@given(SEEDS)
def test_edges_are_the_second_highest_and_the_second_lowest_quarter(seed):
    pooled = random_pooled(torch.Generator().manual_seed(seed), 5)
    top, bottom = pooled.edges
    for chart, anchor in np.ndindex(2, 5):
        quarters = pooled.quarters[chart, anchor]
        assert top[chart, anchor] == quarters[:, HIGH].sort().values[-2]
        assert bottom[chart, anchor] == quarters[:, NEG_LOW].sort().values[-2]
        edges = pooled.channel_edges[chart, anchor].tolist()
        high, low = top[chart, anchor].item(), bottom[chart, anchor].item()
        assert edges == [high, low, high, low, high, low, 0, 0]


@settings(max_examples=20, deadline=None)
@given(SEEDS)
def test_features_are_distances_from_the_edges(seed):
    pooled = random_pooled(torch.Generator().manual_seed(seed), 4)
    features = pooled.features()
    for chart, anchor in np.ndindex(2, 4):
        top, bottom = (edge[chart, anchor].item() for edge in pooled.edges)
        height = max(top + bottom, 1.0)
        high = pooled.quarters[chart, anchor, :, HIGH].tolist()
        row = features[chart, anchor].tolist()
        half = (len(row) - 2 - 2 - 1 - 2 - 2 - 1) // 2
        # the four quarters' highs: every eighth of the first 32 features, then the same scaled
        for quarter in range(4):
            distance = high[quarter] - top
            clipped = min(max(distance, -anchors.NEAR_ATR), anchors.NEAR_ATR)
            assert row[8 * quarter] == pytest.approx(clipped, abs=1e-5)
            assert row[half + 8 * quarter] == pytest.approx(distance / height, abs=1e-5)
            ranked = sorted(high, reverse=True)[quarter] - top
            assert row[half + 32 + 8 * quarter] == pytest.approx(ranked / height, abs=1e-5)
        volume = pooled.half_means[chart, anchor, :, 1].mean().abs().clamp(min=0.1).item()
        ratio = min(pooled.after[chart, anchor, anchors.VOLUME].item() / volume, 4.0)
        assert row[-1] == pytest.approx(ratio, abs=1e-4)


@settings(max_examples=20, deadline=None)
@given(SEEDS)
def test_proposal_features_say_how_much_one_quarter_sticks_out(seed):
    pooled = random_pooled(torch.Generator().manual_seed(seed), 4)
    features = pooled.proposal_features()
    assert features.shape == (2, 4, 20)
    for chart, anchor in np.ndindex(2, 4):
        top, bottom = (edge[chart, anchor].item() for edge in pooled.edges)
        part = max(top + bottom, 1.0)
        for column, (channel, edge) in enumerate(((HIGH, top), (NEG_LOW, bottom))):
            spike = pooled.quarters[chart, anchor, :, channel].max().item() - edge
            scaled = min(max(spike / part, -0.5), 0.5) * 4
            assert features[chart, anchor, column].item() == pytest.approx(scaled, abs=1e-5)
        now = pooled.recent[chart, 0, NEG_CLOSE].item() - bottom
        assert features[chart, anchor, 7].item() == pytest.approx(min(max(now, -2), 2), abs=1e-5)


def test_a_crossing_that_never_happens_is_no_distance():
    pooled = random_pooled(torch.Generator().manual_seed(1))
    none = pooled.crossing_features(torch.zeros(2, PROPOSALS, 3, 18))
    assert none.shape == (2, PROPOSALS, 3, 35)
    assert none.abs().max() == 0


def test_a_certain_crossing_is_the_distance_of_its_bar():
    pooled = random_pooled(torch.Generator().manual_seed(2))
    state = torch.zeros(2, PROPOSALS, 1, 18)
    state[..., 16] = 1  # it happened, here
    state[..., anchors.CLOSE] = pooled.edges[0][..., None] + 1.5
    found = pooled.crossing_features(state)
    assert torch.allclose(found[..., anchors.CLOSE], torch.full((2, PROPOSALS, 1), 1.5), atol=1e-5)


def test_only_bars_after_a_segment_can_cross_its_levels():
    tables = segments._index_tables(sorted({bars // 4 for bars, _ in SEGMENT_ANCHORS}))
    for anchor in SOME:
        _, ended = SEGMENT_ANCHORS[anchor]
        expected = [float(bar >= WINDOW - ended) for bar in range(WINDOW - 24, WINDOW)]
        assert tables["is_after"][anchor, 0].tolist() == expected


def test_an_untrained_detector_looks_for_closes_past_the_edges():
    torch.manual_seed(0)
    detector = SegmentDetector(8, 4)
    weight = detector.crossing_weight.detach()
    strongest = weight.argmax(dim=1).tolist()
    assert strongest == [0, 1, 0, 1, 2, 3, 2, 3]  # close up, close down; wick up, wick down
    bias = detector.level_offset.bias.detach()
    assert (bias[:4] <= 0).all()
    assert (bias[4:] <= -0.3).all()


def test_nothing_is_learned_through_the_choice_of_proposals():
    detector = SegmentDetector(8, 2)
    output = detector(bars_of(3), tower.highest_since(bars_of(3)))
    torch.autograd.backward(output.logits.sum())
    assert all(p.grad is None for p in detector.proposal_head.parameters())
    assert detector.encoder.weight.grad is not None


def test_before_training_nearly_every_anchor_is_negative():
    torch.manual_seed(0)
    output = SegmentDetector(16, 2)(bars_of(5), tower.highest_since(bars_of(5)))
    assert output.logits.sigmoid().mean() < 0.1
    assert output.proposal_logits.sigmoid().mean() < 0.1
