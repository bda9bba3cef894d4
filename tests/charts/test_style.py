"""Random styles: what they may change and what they may not."""

import numpy as np
import pytest

from tests.charts.candles import windows
from vision_ai.charts import raster, style
from vision_ai.errors import InputError


def rng(seed=0):
    return np.random.default_rng(seed)


def test_the_plain_style_draws_the_canonical_picture():
    bars = windows(6, 1)
    assert (raster.render(bars, style.plain(6)) == raster.render(bars)).all()


def test_strength_zero_is_canonical():
    bars = windows(6, 2)
    assert (raster.render(bars, style.sample(6, rng(), 0)) == raster.render(bars)).all()


def test_styles_change_pictures_more_as_strength_grows():
    bars = windows(40, 3)
    canonical = raster.render(bars).astype(int)

    def change(strength):
        return np.abs(raster.render(bars, style.sample(40, rng(4), strength)) - canonical).mean()

    assert 0 < change(0.3) < change(1.0)


def test_equal_generators_give_equal_pictures():
    bars = windows(8, 4)
    first, second = (raster.render(bars, style.sample(8, rng(7))) for _ in range(2))
    assert (first == second).all()


def test_a_style_draws_the_same_alone_and_in_a_batch():
    bars, styles = windows(20, 5), style.sample(20, rng(8))
    together = raster.render(bars, styles)
    rows = np.array([3, 17])
    assert (raster.render(bars[rows], styles[rows]) == together[rows]).all()


def test_every_attribute_varies_at_full_strength():
    styles = style.sample(400, rng(9))
    plain = style.plain(400)
    for name in vars(styles):
        assert (getattr(styles, name) != getattr(plain, name)).any(), name


def test_fewer_styles_than_charts_are_refused():
    with pytest.raises(InputError, match="expected 3"):
        raster.render(windows(3, 6), style.plain(2))
