import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vision_ai.domain import WINDOW
from vision_ai.model import tower

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
    assert torch.equal(tower.by_doublings(values), tower.highest_so_far(values))


def test_the_shipped_tower_stays_below_six_million_parameters():
    size = sum(parameter.numel() for parameter in tower.chart_tower().parameters())
    assert 1e6 < size < 6e6


def test_a_tower_gives_features_and_a_number_per_candle_and_kind():
    model = tower.chart_tower_tiny()
    features, digits = model.forward_with_digits(torch.rand(2, 3, tower.ROWS, WINDOW))
    assert features.shape == (2, model.num_features)
    assert digits.shape == (2, WINDOW, tower.DIGITS)


def test_digits_of_a_candle_depend_on_its_own_column_and_the_mean_colour_alone():
    model = tower.chart_tower_tiny()
    pixels = torch.rand(1, 3, tower.ROWS, WINDOW)
    swapped = pixels.clone()
    swapped[..., [3, 70]] = pixels[..., [70, 3]]
    left, right = model.forward_with_digits(pixels)[1], model.forward_with_digits(swapped)[1]
    others = [column for column in range(WINDOW) if column not in (3, 70)]
    assert torch.allclose(left[:, others], right[:, others], atol=1e-5)
    assert not torch.allclose(left[:, 3], right[:, 3], atol=1e-3)


def test_every_parameter_learns():
    model = tower.chart_tower_tiny()
    features, digits = model.forward_with_digits(torch.rand(4, 3, tower.ROWS, WINDOW))
    torch.autograd.backward(features.square().sum() + digits.square().sum())
    still = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert still == []
