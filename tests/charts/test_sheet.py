import io

import numpy as np
import pytest
from PIL import Image

from vision_ai.charts.sheet import CELL, contact_sheet, refuse_other_names
from vision_ai.errors import InputError

RISING = np.stack(
    [np.linspace(a, a + 10, 96) for a in (100, 101, 99, 100.5)] + [np.ones(96)], axis=1
)


def opened(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def test_a_sheet_has_a_cell_for_every_chart():
    picture = opened(contact_sheet(np.stack([RISING] * 5), ["a"] * 5))
    assert picture.shape == (2 * CELL[1], 4 * CELL[0], 3)
    one_row = opened(contact_sheet(np.stack([RISING] * 5), ["a"] * 5, columns=5))
    assert one_row.shape == (CELL[1], 5 * CELL[0], 3)


@pytest.mark.parametrize("name", ["notes.md", "sheet", "sheet.jpg"])
def test_a_sheet_takes_no_other_files_name(name, tmp_path):
    with pytest.raises(InputError, match=r"ends in \.png"):
        refuse_other_names(tmp_path / name)
    refuse_other_names(tmp_path / "sheet.PNG")


def test_a_level_is_drawn_over_its_candles_only_and_inside_its_cell():
    plain = opened(contact_sheet(RISING[None], [""], columns=1))
    marked = opened(contact_sheet(RISING[None], [""], [[(105.0, 10.0, 200.0)]], columns=1))
    changed = np.argwhere((plain != marked).any(axis=2))
    assert len(np.unique(changed[:, 0])) == 1
    assert changed[:, 1].min() >= 8 + 10 * 4
    assert changed[:, 1].max() <= 8 + 96 * 4


def test_a_level_outside_the_picture_is_left_out():
    plain = contact_sheet(RISING[None], [""])
    assert contact_sheet(RISING[None], [""], [[(500.0, 0.0, 96.0)]]) == plain


def test_a_dotted_line_parts_what_was_known_from_what_followed():
    plain = opened(contact_sheet(RISING[None], [""], columns=1))
    parted = opened(contact_sheet(RISING[None], [""], columns=1, known=80))
    changed = np.argwhere((plain != parted).any(axis=2))
    assert set(changed[:, 1]) == {8 + 80 * 4 - 1}
    assert 30 < len(changed) < CELL[1] / 2
    for known in (96, 200, None):
        assert (opened(contact_sheet(RISING[None], [""], columns=1, known=known)) == plain).all()


def test_equal_charts_make_equal_bytes():
    assert contact_sheet(RISING[None], ["x"]) == contact_sheet(RISING[None].copy(), ["x"])


def test_no_charts_make_an_empty_page():
    assert (opened(contact_sheet(np.empty((0, 96, 5)), [])) == 255).all()
