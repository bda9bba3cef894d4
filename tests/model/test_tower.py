import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from tests.model import tiny
from vision_ai.domain import WINDOW
from vision_ai.errors import CorruptFileError
from vision_ai.model import registry
from vision_ai.model.training import anchors, presets, stem, tower
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


def test_every_parameter_learns():
    model = tower.chart_tower_tiny()
    seen = model.analyze(torch.rand(4, 3, stem.PIXEL_ROWS, WINDOW))
    told = (part for part in seen if part.is_floating_point())
    torch.autograd.backward(sum(part.square().sum() for part in told))
    still = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert still == []


def softmax(values, axis):
    powers = np.exp(values - values.max(axis=axis, keepdims=True))
    return powers / powers.sum(axis=axis, keepdims=True)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 7), st.integers(1, 3))
def test_attention_pooling_equals_a_loop_over_regions(seed, regions, heads):
    torch.manual_seed(seed)
    pool = tower.AttentionPooling(5, heads)
    embeddings = torch.randn(2, 3, regions, 5)
    found = pool(embeddings).detach().numpy()
    assert found.shape == (3, pool.features)
    weight, bias = pool.attention.weight.detach().numpy(), pool.attention.bias.detach().numpy()
    values = embeddings.numpy()
    for chart in range(3):
        expected = []
        for side in range(2):
            rows = values[side, chart]
            expected += rows.max(axis=0).tolist()
            shares = softmax(rows @ weight.T + bias, axis=0)
            for head in range(heads):
                mean = sum(share * row for share, row in zip(shares[:, head], rows, strict=True))
                expected += mean.tolist()
        assert np.allclose(found[chart], expected, atol=1e-5)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**31))
def test_a_readout_is_the_last_candles_and_pooled_summaries(seed):
    torch.manual_seed(seed)
    readout = tower.Readout(6, last=3, summaries=2)
    tokens = torch.randn(2, WINDOW, 6)
    found = readout(tokens).detach().numpy()
    values = tokens.numpy()
    values = values - values.mean(-1, keepdims=True)
    values = values / np.sqrt((values**2).mean(-1, keepdims=True) + 1e-5)
    logits = values @ readout.attention.weight.detach().numpy().T
    logits = logits + readout.attention.bias.detach().numpy()
    for chart in range(2):
        shares = softmax(logits[chart], axis=0)
        pooled = [shares[:, head] @ values[chart] for head in range(2)]
        expected = np.concatenate([*values[chart, -3:], *pooled])
        assert np.allclose(found[chart], expected, atol=1e-4)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**31))
def test_a_blocks_attention_is_torchs_own(seed):
    torch.manual_seed(seed)
    block = tower.Block(8, heads=2, expansion=2, kernel=3, extremes=0)
    tokens = torch.randn(2, WINDOW, 8)
    with torch.no_grad():
        near = block.conv(block.conv_norm(tokens).transpose(1, 2)).transpose(1, 2)
        mixed = tokens + near
        query, key, value = (
            part.view(2, WINDOW, 2, 4).transpose(1, 2)
            for part in block.qkv(block.attention_norm(mixed)).chunk(3, dim=-1)
        )
        attended = torch.nn.functional.scaled_dot_product_attention(query, key, value)
        mixed = mixed + block.attention_out(attended.transpose(1, 2).reshape(2, WINDOW, 8))
        expected = mixed + block.mlp_out(block.mlp_in(block.mlp_norm(mixed)).relu())
        assert torch.allclose(block(tokens), expected, atol=1e-5)


def test_running_extremes_join_both_directions():
    module = tower.RunningExtremes(4, 3)
    tokens = torch.randn(1, WINDOW, 4)
    with torch.no_grad():
        so_far, since = module.measure(module.norm(tokens)).chunk(2, dim=-1)
        rows = []
        for bar in range(WINDOW):
            extremes = torch.cat([so_far[0, : bar + 1].amax(0), since[0, bar:].amax(0)])
            rows.append(tokens[0, bar] + module.merge(extremes))
        assert torch.allclose(module(tokens)[0], torch.stack(rows), atol=1e-5)


OLD = {new: old for old, new in tower.OLD_NAMES}


def old_name(name):
    """The name in 0.1.0 of a parameter, by the table read backwards."""
    head, separator, tail = name.rpartition("visual.trunk.")
    numbers = re.findall(r"(?<=blocks\.)\d+", tail)
    plain = re.sub(r"(?<=blocks\.)\d+", "*", tail)
    for new in sorted(OLD, key=len, reverse=True):
        if plain == new or plain.startswith(new + "."):
            plain = OLD[new] + plain.removeprefix(new)
            break
    return head + separator + (plain.replace("*", numbers[0]) if numbers else plain)


def test_every_parameter_of_the_shipped_weights_has_a_present_name():
    names = load_file(registry.SHIPPED / "model.safetensors").keys()
    present = {tower.current_name(name) for name in names}
    model = presets.create(presets.resolve("chart-clip"), pretrained=False)
    assert present == model.clip.state_dict().keys()
    assert {old_name(name) for name in present} == set(names)


def test_present_names_are_left_as_they_are():
    for name in tower.chart_tower_tiny().state_dict():
        assert tower.current_name(name) == name
        assert tower.current_name(f"now/reader.clip.visual.trunk.{name}").endswith(name)
    assert tower.current_name("text.transformer.told.weight") == "text.transformer.told.weight"


def test_weights_under_old_names_are_loaded(tmp_path):
    one, other = tiny.reader(seed=1), tiny.reader(seed=2)
    old = {old_name(name): value.contiguous() for name, value in one.clip.state_dict().items()}
    assert any("stretches.propose.place" in name for name in old)
    save_file(old, tmp_path / "model.safetensors")
    presets.load_weights(other, tmp_path / "model.safetensors", repair="")
    for name, value in one.clip.state_dict().items():
        assert torch.equal(value, other.clip.state_dict()[name]), name
    third = presets.create(one.preset, tmp_path / "model.safetensors")
    assert torch.equal(third.clip.visual.trunk.position, one.clip.visual.trunk.position)


@pytest.mark.parametrize("change", ["unknown", "missing"])
def test_names_of_neither_version_are_refused(tmp_path, change):
    weights = dict(tiny.reader().clip.state_dict())
    value = weights.pop("visual.trunk.swings.encoder.weight")
    if change == "unknown":
        weights["visual.trunk.turns.looks.weight"] = value
    save_file({k: v.contiguous() for k, v in weights.items()}, tmp_path / "w.safetensors")
    with pytest.raises(CorruptFileError, match="holds no"):
        presets.load_weights(tiny.reader(), tmp_path / "w.safetensors", repair="train again")


def test_a_checkpoint_under_old_names_is_taken_up():
    source, one, other = tiny.batches(), tiny.trainer(), tiny.trainer()
    one.train_step(source.at(0), 0)
    state = one.state()
    other.restore({old_name(name): value for name, value in state.items()})
    again = other.state()
    assert state.keys() == again.keys()
    assert all(torch.equal(state[name], again[name]) for name in state)
    left, right = (each.train_step(source.at(1), 1) for each in (one, other))
    assert left.loss == right.loss
