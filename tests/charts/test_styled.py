"""Each effect of a random style, alone: what it changes, by how much, and what it leaves."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.charts.candles import windows
from vision_ai.charts import geometry, raster, style, styled
from vision_ai.charts.geometry import HEIGHT, PRICE_ROWS, VOLUME_TOP, WIDTH
from vision_ai.errors import InputError

RED, GREEN, BLUE = range(3)
laws = settings(max_examples=15, deadline=None)
seeds = st.integers(0, 9999)


def full(n: int, *values: float):
    return np.tile(np.array(values, np.float32), (n, 1))


def paint(bars, **changes: object):
    """Draw in the canonical style with some attributes changed, as whole numbers."""
    return styled.paint(bars, replace(style.plain(len(bars)), **changes)).astype(int)


def price(pictures):
    return pictures[:, :PRICE_ROWS]


@laws
@given(seeds)
def test_a_plain_style_is_the_canonical_picture_to_the_byte(seed):
    bars = windows(9, seed)  # one more than is drawn at once
    assert (styled.paint(bars, style.plain(9)) == raster.render(bars)).all()


def test_the_number_of_styles_must_fit():
    with pytest.raises(InputError, match="expected 3, was 2"):
        styled.paint(windows(3, 1), style.plain(2))


def test_margins_move_the_chart_inside_the_panel():
    bars = windows(1, 2)
    picture = price(paint(bars, margins=full(1, 0.1, 0.2)))[0]
    rows = np.flatnonzero(picture.max(axis=(1, 2)))
    assert rows.min() == pytest.approx(0.2 * PRICE_ROWS, abs=1)
    assert rows.max() == pytest.approx(0.9 * PRICE_ROWS - 1, abs=1)


def test_bodies_have_the_colours_of_the_style():
    bars = windows(1, 3)
    up, down = (10.0, 120.0, 230.0), (240.0, 200.0, 20.0)
    picture = price(paint(bars, up=full(1, *up), down=full(1, *down)))[0]
    brightest = picture.max(axis=0)
    rising = bars[0, :, 3] > bars[0, :, 0]
    tall = np.abs(np.log(bars[0, :, 3] / bars[0, :, 0])) > 0.004
    assert (brightest[rising & tall] == up).all()
    assert (brightest[~rising & tall] == down).all()


def test_without_wicks_only_bodies_are_left():
    bars = windows(1, 4)
    shown = price(paint(bars, wick=np.zeros(1, np.float32)))[0].max(axis=2) > 0
    strokes = geometry.strokes(bars)
    bodies = geometry.fills(PRICE_ROWS, geometry.SUB)
    expected = bodies[strokes.body_hi[0]] - bodies[strokes.body_lo[0]] > 0
    assert (shown == expected.T).all()


def test_hollow_bodies_keep_a_row_of_outline_and_their_ends():
    bars = windows(1, 5)
    solid, hollow = (price(paint(bars, hollow=np.array([flag]))) for flag in (False, True))
    strokes = geometry.strokes(bars)
    rising = strokes.up[0]
    assert (hollow[0][:, ~rising] == solid[0][:, ~rising]).all()
    assert (hollow <= solid).all()
    removed = (solid - hollow)[0, ..., GREEN].sum(axis=0) / 255
    body = (strokes.body_hi - strokes.body_lo)[0] / geometry.SUB
    assert removed[rising] == pytest.approx(np.maximum(body[rising] - 2, 0), abs=0.02)


@pytest.mark.parametrize("scale", [0.0, 0.5, 2.0])
def test_volume_is_scaled_and_cut_off_at_the_panels_top(scale):
    bars = windows(1, 6)
    bars[0, :, 4] = np.arange(1, 97)
    picture = paint(bars, volume_scale=np.array([scale], np.float32))
    rows = picture[0, VOLUME_TOP:, :, BLUE].sum(axis=0) / 255
    expected = np.minimum(np.arange(1, 97) / 96 * scale, 1) * (HEIGHT - VOLUME_TOP)
    assert rows == pytest.approx(expected, abs=0.1)
    assert (price(picture) == price(raster.render(bars))).all()


def test_a_background_lies_behind_and_never_in_front():
    bars = windows(1, 7)
    plain, tinted = paint(bars), paint(bars, ground=full(1, 20, 30, 40))
    assert (tinted == np.maximum(plain, [20, 30, 40])).all()


def test_grid_lines_lie_at_their_steps_behind_the_candles():
    bars = windows(1, 8)
    options = {
        "grid": np.array([50], np.float32),
        "grid_step": np.array([[30, 24]]),
        "grid_start": np.array([[7, 5]]),
    }
    plain, lined = paint(bars), paint(bars, **options)
    line = np.zeros((HEIGHT, WIDTH), int)
    line[7:PRICE_ROWS:30] += 50
    line[:, 5::24] += 50
    assert (lined[0] == np.maximum(plain[0], line[..., None])).all()


@laws
@given(seeds, st.integers(2, 50))
def test_a_moving_average_follows_the_mean_of_the_last_closes(seed, span):
    bars = windows(1, seed)
    colour = full(1, 200, 180, 160)[:, None].repeat(2, axis=1)
    spans = np.array([[span, 0]])
    picture = paint(bars, average_span=spans, average_ink=colour)[0, :PRICE_ROWS]
    closes = geometry.price_subs(geometry.log_units(bars))[0, :, 3]
    for candle in range(WIDTH):
        mean = closes[max(candle + 1 - span, 0) : candle + 1].mean()
        row = min(max(int((geometry.PRICE_SUBS - mean) // geometry.SUB), 0), PRICE_ROWS - 1)
        near = picture[max(row - 1, 0) : row + 2, candle]
        assert (near.min(axis=1) >= 75).any()  # in all three channels: no candle is


def test_gain_darkens_everything_alike():
    bars = windows(2, 9)
    dark = paint(bars, gain=np.full(2, 0.8, np.float32))
    assert np.abs(dark - raster.render(bars) * 0.8).max() <= 0.51


@pytest.mark.parametrize("axis", [0, 1])
def test_blur_spreads_a_share_to_both_neighbours_along_one_axis(axis):
    bars = windows(1, 10)
    share = np.zeros((1, 2), np.float32)
    share[0, axis] = 0.2
    along = 1 - axis  # time runs along the picture's columns
    sharp = np.moveaxis(paint(bars)[0], along, 0)
    soft = np.moveaxis(paint(bars, blur=share)[0], along, 0)
    before, after = np.roll(sharp, 1, axis=0), np.roll(sharp, -1, axis=0)
    before[0], after[-1] = sharp[0], sharp[-1]  # edges keep what would fall off
    assert np.abs(soft - (0.6 * sharp + 0.2 * before + 0.2 * after)).max() <= 0.51


@laws
@given(seeds, st.floats(1, 14))
def test_noise_has_the_asked_strength_and_depends_on_the_seed_alone(seed, strength):
    bars = windows(1, 11)
    options = {
        "ground": full(1, 128, 128, 128),
        "noise": np.array([strength], np.float32),
        "up": full(1, 0, 0, 0),
        "down": full(1, 0, 0, 0),
        "volume_scale": np.zeros(1, np.float32),
    }
    one, again, other = (paint(bars, seed=np.array([s]), **options) for s in (seed, seed, seed + 1))
    assert (one == again).all()
    assert (one != other).any()
    assert one.mean() == pytest.approx(128, abs=0.4)
    assert one.std() == pytest.approx(np.sqrt(strength**2 + 1 / 12), rel=0.03)


def test_misread_ends_move_candles_by_the_asked_rows():
    bars = windows(1, 12)
    true = geometry.price_subs(geometry.log_units(bars))
    styles = replace(style.plain(1), jitter=np.ones(1, np.float32), seed=np.array([1 << 40]))
    moved = styled._jitter(styles)
    assert moved.shape == true.shape
    assert moved.std() == pytest.approx(geometry.SUB, rel=0.15)
    assert not styled._jitter(style.plain(1)).any()
    picture = paint(bars, jitter=styles.jitter, seed=styles.seed)
    assert (picture != raster.render(bars)).any()
    assert (picture[:, VOLUME_TOP:] == raster.render(bars)[:, VOLUME_TOP:]).all()
