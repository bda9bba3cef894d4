import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.model import making
from vision_ai.charts import raster
from vision_ai.domain import WINDOW
from vision_ai.model.training import anchors, batches, stem, tower
from vision_ai.model.training.segments import PROPOSALS

pytestmark = pytest.mark.train


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 3), st.integers(1, 4))
def test_running_maxima_equal_a_plain_loop(seed, n, channels):
    values = torch.randn(n, WINDOW, channels, generator=torch.Generator().manual_seed(seed))
    so_far, since = tower.highest_so_far(values), tower.highest_since(values)
    for column in range(WINDOW):
        assert torch.equal(so_far[:, column], values[:, : column + 1].amax(1))
        assert torch.equal(since[:, column], values[:, column:].amax(1))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31))
def test_doublings_for_onnx_equal_the_running_maximum(seed):
    values = torch.randn(2, WINDOW, 3, generator=torch.Generator().manual_seed(seed))
    assert torch.equal(tower.cumulative_max_for_onnx(values), tower.highest_so_far(values))


def test_the_shipped_tower_stays_below_six_million_parameters():
    size = sum(parameter.numel() for parameter in tower.chart_tower().parameters())
    assert 1e6 < size < 6e6


def test_a_tower_gives_features_numbers_and_marks():
    model = tower.chart_tower_tiny()
    seen = model.analyze(torch.rand(2, 3, stem.PIXEL_ROWS, WINDOW))
    assert seen.features.shape == (2, model.num_features)
    assert seen.ohlcv.shape == (2, WINDOW, stem.OHLCV)
    assert seen.proposal_logits.shape == (2, 2, len(anchors.SEGMENT_ANCHORS))
    assert seen.proposals.shape == (2, 2, PROPOSALS)
    assert seen.segment_logits.shape == (2, 2, PROPOSALS, anchors.SEGMENT_CLASSES)
    assert seen.swing_logits.shape == (2, 2, anchors.SWING_BARS, anchors.SWING_CLASSES)
    first = seen.take(slice(1))
    assert torch.equal(first.swing_logits, seen.swing_logits[:, :1])
    assert torch.equal(first.features, seen.features[:1])


def test_a_chart_that_is_told_is_one_that_was_read_perfectly():
    model = tower.chart_tower_tiny()
    pixels = torch.rand(3, 3, stem.PIXEL_ROWS, WINDOW)
    shown = model.analyze(pixels)
    mixed = model.analyze(pixels[2:], shown.ohlcv[:2])
    assert torch.equal(mixed.ohlcv, shown.ohlcv)
    assert torch.allclose(mixed.features, shown.features, atol=1e-5)
    other = model.analyze(pixels[2:], shown.ohlcv[1:])
    assert not torch.allclose(other.features[:1], shown.features[:1], atol=1e-3)


def test_digits_of_a_candle_depend_on_its_own_column_alone():
    model = tower.chart_tower_tiny()
    pixels = torch.rand(1, 3, stem.PIXEL_ROWS, WINDOW)
    swapped = pixels.clone()
    swapped[..., [3, 70]] = pixels[..., [70, 3]]
    left, right = model.analyze(pixels).ohlcv, model.analyze(swapped).ohlcv
    others = [column for column in range(WINDOW) if column not in (3, 70)]
    assert torch.allclose(left[:, others], right[:, others], atol=1e-5)
    assert not torch.allclose(left[:, 3], right[:, 3], atol=1e-3)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000))
def test_a_tower_starts_as_the_inverse_of_the_canonical_drawing(seed):
    table = making.klines(seed=seed)
    bars = table.windows(table.window_ends()[::60])
    pictures = torch.from_numpy(np.ascontiguousarray(raster.render(bars)))
    torch.manual_seed(seed)
    digits = tower.chart_tower().analyze(pictures.permute(0, 3, 1, 2).float() / 255).ohlcv
    prices = digits.detach().numpy()[..., :4]
    assert np.abs(prices - batches.scale_ohlcv(bars)[..., :4]).mean() < 0.08
    # law broken: another chart's numbers
    assert np.abs(prices - batches.scale_ohlcv(bars[::-1])[..., :4]).mean() > 0.1


def test_every_parameter_learns():
    model = tower.chart_tower_tiny()
    seen = model.analyze(torch.rand(4, 3, stem.PIXEL_ROWS, WINDOW))
    told = (part for part in seen if part.is_floating_point())
    torch.autograd.backward(sum(part.square().sum() for part in told))
    still = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert still == []
