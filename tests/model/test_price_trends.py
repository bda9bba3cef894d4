"""The price-trend pictures and the net that learns from them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.charts.candles import windows
from vision_ai.domain import CLOSE, HIGH, LOW, OPEN, VOLUME
from vision_ai.model.training import price_trends

PRICE = slice(0, 76)


def drawn(bars):
    return price_trends.draw(bars) > 0


def test_a_picture_is_three_columns_a_candle_of_black_and_white():
    pictures = price_trends.draw(windows(3, seed=1))
    assert pictures.shape == (3, 96, 288)
    assert set(np.unique(pictures)) == {0, 255}


def test_bars_dots_and_volume_lie_where_the_paper_puts_them():
    bars = windows(1, seed=2)
    picture = drawn(bars)[0]
    mean = np.cumsum(bars[0, :, CLOSE]) / np.arange(1, 97)
    top, bottom = max(bars[0, :, HIGH].max(), mean.max()), min(bars[0, :, LOW].min(), mean.min())

    def row(price):
        return round((top - price) / (top - bottom) * 75)

    for i in (0, 17, 95):
        high, low = row(bars[0, i, HIGH]), row(bars[0, i, LOW])
        assert picture[high : low + 1, 3 * i + 1].all()
        assert picture[row(bars[0, i, OPEN]), 3 * i]
        assert picture[row(bars[0, i, CLOSE]), 3 * i + 2]
        assert picture[row(mean[i]), 3 * i + 1]
    assert not picture[76].any()  # price and volume are apart
    heights = picture[77:, 1::3].sum(axis=0)
    expected = np.rint(bars[0, :, VOLUME] / bars[0, :, VOLUME].max() * 19)
    assert (heights == expected).all()


@given(seed=st.integers(0, 500), factor=st.floats(1e-6, 1e6))
def test_the_unit_of_price_and_volume_changes_no_picture(seed, factor):
    bars = windows(1, seed=seed)
    scaled = bars * np.array([factor] * 4 + [1 / factor])
    assert (drawn(bars) != drawn(scaled)).mean() < 1e-3  # a price between two rows may turn


@given(seed=st.integers(0, 500))
def test_the_average_looks_at_no_later_candle(seed):
    bars = windows(1, seed=seed)
    other = bars.copy()
    other[:, 60:, [OPEN, CLOSE]] = bars[:, 60:, [LOW, HIGH]]  # same highs and lows
    same = slice(0, 3 * 59 + 2)
    top = np.abs(drawn(bars)[0, PRICE, same] ^ drawn(other)[0, PRICE, same])
    assert top.mean() < 0.03  # only the axis can move, if an average was its end


def question(count, seed):
    """Does price end above or below where it began? The second answer is never known."""
    bars = windows(count, seed=seed)
    bars[: count // 2, :, :4] *= np.exp(np.linspace(0, 0.2, 96))[None, :, None]
    bars[count // 2 :, :, :4] *= np.exp(np.linspace(0, -0.2, 96))[None, :, None]
    return bars, (np.arange(count) < count // 2).astype(np.int64)


@pytest.mark.slow
@pytest.mark.train
def test_the_net_learns_what_a_picture_shows_and_is_read_back(tmp_path):
    pytest.importorskip("torch", reason="needs the train extra")
    from vision_ai.model.training import price_trends

    bars, truth = question(80, seed=3)

    def draw(rng, count):
        rows = rng.integers(0, len(bars), count)
        answers = np.stack([truth[rows], np.full(count, price_trends.UNKNOWN)], axis=1)
        return price_trends.draw(bars[rows]), answers

    budget = price_trends.Budget(channels=2, batch=16, steps=60, rate=5e-3)
    net = price_trends.train_net(draw, (2, 3), budget)
    asked, expected = question(40, seed=4)
    said = price_trends.compute_logits(net, asked)
    assert [part.shape for part in said] == [(40, 2), (40, 3)]
    assert (said[0].argmax(axis=1) == expected).mean() > 0.9
    price_trends.save(net, tmp_path / "net.safetensors")
    again = price_trends.make_net((2, 3), budget)
    assert price_trends.restore(again, tmp_path / "net.safetensors")
    np.testing.assert_allclose(price_trends.compute_logits(again, asked)[0], said[0])
    price_trends.adjust_head(again, 0, 2.0, np.array([0.5, 0.0]))
    expected_logits = 2 * said[0] + np.array([0.5, 0.0])
    np.testing.assert_allclose(
        price_trends.compute_logits(again, asked)[0], expected_logits, atol=1e-4
    )
    (tmp_path / "net.safetensors").write_bytes(b"damaged")
    assert not price_trends.restore(again, tmp_path / "net.safetensors")
    assert not price_trends.restore(again, tmp_path / "missing.safetensors")
