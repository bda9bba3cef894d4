"""Laws of the model view."""

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.charts.candles import klines, mirrored, walk, windows
from vision_ai.charts import raster
from vision_ai.charts.geometry import PRICE_ROWS, VOLUME_TOP
from vision_ai.errors import KlinesError

GOLDEN = "c781a5bc1e93156adfab5692f44978e6d698de6f985047f2c64b2ea48402e35e"

seeds = st.integers(0, 10_000)
laws = settings(max_examples=40, deadline=None)


def test_pictures_have_the_promised_form():
    pictures = raster.render(windows(3, 1))
    assert pictures.shape == (3, raster.HEIGHT, raster.WIDTH, raster.CHANNELS)
    assert pictures.dtype == np.uint8


def test_a_rising_candle_is_green_and_a_falling_one_red():
    bars = windows(1, 2)
    panel = raster.render(bars)[0, :PRICE_ROWS]
    rising = bars[0, :, 3] > bars[0, :, 0]
    assert (panel[..., 1].max(axis=0) > 0).tolist() == rising.tolist()
    assert (panel[..., 0].max(axis=0) > 0).tolist() == (~rising).tolist()


def test_the_window_fills_the_price_panel():
    panel = raster.render(windows(5, 3))[:, :PRICE_ROWS].max(axis=(2, 3))
    assert (panel[:, 0] > 0).all()
    assert (panel[:, -1] > 0).all()


def test_volume_is_linear_and_its_largest_bar_fills_the_panel():
    bars = windows(1, 4)
    bars[0, :, 4] = np.arange(1, 97)
    volume = raster.render(bars)[0, VOLUME_TOP:, :, 2].astype(int).sum(axis=0) / 255
    assert volume == pytest.approx(np.arange(1, 97) / 96 * 40, abs=1 / 15)


def test_a_candle_that_closed_where_it_opened_has_both_colours_and_a_row_of_body():
    bars = windows(1, 5)
    bars[0, 40, 3] = bars[0, 40, 0]
    column = raster.render(bars)[0, :PRICE_ROWS, 40].astype(int)
    assert (column[:, 0] == column[:, 1]).all()
    assert column[:, 0].max() >= 150


@laws
@given(seed=seeds, exponent=st.floats(-8, 8))
def test_scaling_prices_changes_no_picture(seed, exponent):
    bars = windows(1, seed)
    scaled = bars.copy()
    scaled[..., :4] *= 10**exponent
    assert (raster.render(bars) == raster.render(scaled)).all()


@laws
@given(seed=seeds, still=st.sets(st.integers(0, 95), max_size=5))
def test_a_mirrored_window_is_a_flipped_picture_with_colours_swapped(seed, still):
    bars = windows(1, seed)
    rows = sorted(still)
    bars[0, rows, 3] = bars[0, rows, 0]
    picture = raster.render(bars)
    reflection = raster.render(mirrored(bars))
    panel = picture[:, :PRICE_ROWS][:, ::-1][..., [1, 0, 2]]
    assert (reflection[:, :PRICE_ROWS] == panel).all()
    assert (reflection[:, PRICE_ROWS:] == picture[:, PRICE_ROWS:]).all()


@laws
@given(seed=seeds, later=st.integers(1, 60))
def test_later_candles_repaint_no_earlier_picture(seed, later):
    whole = klines(n=130 + later, seed=seed)
    known = whole[:130]
    ends = known.window_ends()
    assert (raster.render(known.windows(ends)) == raster.render(whole.windows(ends))).all()


def test_a_chart_looks_the_same_alone_and_in_a_batch():
    bars = windows(70, 6)
    together = raster.render(bars)
    assert (together[67] == raster.render(bars[67:68])[0]).all()


def test_drawing_twice_gives_the_same_bytes():
    bars = windows(4, 7)
    assert raster.render(bars).tobytes() == raster.render(bars.copy()).tobytes()


def test_golden_pictures_of_this_raster_version():
    shapes = [windows(4, 8), windows(1, 9, price=1e-8), windows(1, 10, price=1e8, step=1e-5)]
    pictures = raster.render(np.concatenate(shapes))
    digest = hashlib.sha256(np.ascontiguousarray(pictures).tobytes()).hexdigest()
    assert digest == GOLDEN, "drawing changed: raise RASTER_VERSION and renew the golden hash"


def test_flat_prices_without_volume_draw_a_line_in_the_middle():
    bars = np.ones((1, 96, 5))
    bars[..., 4] = 0
    picture = raster.render(bars)[0]
    rows = np.flatnonzero(picture.max(axis=(1, 2)))
    assert rows.min() >= 73
    assert rows.max() <= 76
    assert (picture[..., 2] == 0).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, 0.0, -1.0])
def test_a_price_that_is_no_price_is_refused(bad):
    bars = windows(1, 11)
    bars[0, 5, 1] = bad
    with pytest.raises(KlinesError):
        raster.render(bars)


def test_windows_of_another_length_are_refused():
    with pytest.raises(KlinesError, match="expected"):
        raster.render(walk(95, 1)[None])


def test_no_charts_are_no_pictures():
    assert raster.render(np.empty((0, 96, 5))).shape == (0, 192, 96, 3)
