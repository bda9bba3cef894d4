"""Colours of the human view: those that the reader must tell apart are far apart."""

import dataclasses
import itertools

import numpy as np
import pytest

from vision_ai.charts.theme import THEMES, Theme

both = pytest.mark.parametrize("theme", list(THEMES.values()), ids=list(THEMES))


def distance(one: tuple[int, ...], other: tuple[int, ...]) -> int:
    return int(np.abs(np.subtract(one, other)).sum())


def luminance(colour: tuple[int, int, int]) -> float:
    """Relative luminance of WCAG 2."""
    share = np.array(colour) / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def test_themes_are_found_by_their_names() -> None:
    assert {name: theme.name for name, theme in THEMES.items()} == {
        "dark": "dark",
        "light": "light",
    }


@both
def test_every_colour_is_one_of_eight_bits(theme: Theme) -> None:
    for name, colour in dataclasses.asdict(theme).items():
        if name != "name":
            assert len(colour) == 3
            assert all(isinstance(part, int) and 0 <= part <= 255 for part in colour)


@both
def test_candles_and_volume_are_told_apart_and_from_the_grid(theme: Theme) -> None:
    grid = distance(theme.grid, theme.ground)
    for kinds in (
        (theme.up, theme.down, theme.still),
        (theme.volume_up, theme.volume_down, theme.volume_still),
    ):
        assert min(distance(a, b) for a, b in itertools.combinations(kinds, 2)) >= 60
        # the reader takes for background what differs less than twice as far as the grid does
        assert min(distance(kind, theme.ground) for kind in kinds) > 2 * grid


@both
def test_text_is_readable_on_the_background(theme: Theme) -> None:
    """Contrast ratios of WCAG 2: 4.5 for text, 3 for large or secondary text."""
    for colour, least in ((theme.text, 4.5), (theme.faint, 3.0)):
        light, dark = sorted((luminance(colour), luminance(theme.ground)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) > least
