"""Colours of the human view. The reader of our own pictures knows them too."""

from dataclasses import dataclass
from typing import Literal

Rgb = tuple[int, int, int]


@dataclass(frozen=True)
class Theme:
    """Colours of one theme, RGB 0 to 255."""

    name: Literal["light", "dark"]
    ground: Rgb
    grid: Rgb
    text: Rgb
    faint: Rgb
    up: Rgb
    down: Rgb
    still: Rgb
    volume_up: Rgb
    volume_down: Rgb
    volume_still: Rgb


DARK = Theme(
    name="dark",
    ground=(19, 23, 34),
    grid=(34, 39, 53),
    text=(209, 212, 220),
    faint=(120, 126, 143),
    up=(38, 166, 154),
    down=(239, 83, 80),
    still=(178, 181, 190),
    volume_up=(27, 92, 91),
    volume_down=(125, 52, 58),
    volume_still=(84, 88, 101),
)
LIGHT = Theme(
    name="light",
    ground=(255, 255, 255),
    grid=(236, 239, 244),
    text=(30, 34, 45),
    faint=(120, 126, 143),
    up=(8, 153, 129),
    down=(229, 57, 53),
    still=(93, 99, 115),
    volume_up=(146, 210, 200),
    volume_down=(245, 168, 166),
    volume_still=(186, 190, 200),
)
THEMES = {theme.name: theme for theme in (DARK, LIGHT)}
