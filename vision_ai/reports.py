"""Markdown tables and SVG line plots as text, for reports: no drawing library is needed.

Plots show the unit square: both axes run from 0 to 1.
"""

from collections.abc import Iterable, Mapping, Sequence

_WIDTH_PX, _HEIGHT_PX, _MARGIN_PX = 480, 320, 44
_INNER_WIDTH_PX, _INNER_HEIGHT_PX = _WIDTH_PX - 2 * _MARGIN_PX, _HEIGHT_PX - 2 * _MARGIN_PX
_TICKS = (0.0, 0.5, 1.0)

BLUE, ORANGE, GRAY = "#2563eb", "#d97706", "#9ca3af"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; "None." without rows.

    >>> print(table(["name", "share"], [["2h", "0.5"]]))
    | name | share |
    |---|---|
    | 2h | 0.5 |
    """
    body = ["| " + " | ".join(_cell(cell) for cell in row) + " |" for row in rows]
    if not body:
        return "None."
    return "\n".join(["| " + " | ".join(head) + " |", "|" + "---|" * len(head), *body])


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def line(
    points: Sequence[tuple[float, float]],
    color: str = BLUE,
    *,
    dashed: bool = False,
    titles: Sequence[str] = (),
) -> str:
    """A line of a plot, with a dot at each point unless it is dashed.

    Args:
        points: x and y, from 0 to 1.
        color: of line and dots.
        dashed: draw a reference line, without dots.
        titles: what is shown when a pointer rests on each dot; none by default.
    """
    pixels = [
        (_MARGIN_PX + x * _INNER_WIDTH_PX, _HEIGHT_PX - _MARGIN_PX - y * _INNER_HEIGHT_PX)
        for x, y in points
    ]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in pixels)
    dashes = ' stroke-dasharray="5 4"' if dashed else ""
    drawn = f'<polyline points="{path}" fill="none" stroke-width="2" stroke="{color}"{dashes}/>'
    if dashed:
        return drawn
    dots = (
        _dot(x, y, color, title)
        for (x, y), title in zip(pixels, titles or [""] * len(pixels), strict=True)
    )
    return drawn + "".join(dots)


def _dot(x: float, y: float, color: str, title: str) -> str:
    dot = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{color}"'
    return f"{dot}><title>{title}</title></circle>" if title else f"{dot}/>"


def plot(
    x_label: str,
    y_label: str,
    lines: Sequence[str],
    *,
    legend: Mapping[str, str] | None = None,
    x_ticks: bool = True,
) -> str:
    """A plot as SVG text.

    Args:
        x_label: below the frame.
        y_label: above the frame's left corner.
        lines: see `line`.
        legend: color of each name that is written above the frame's right corner.
        x_ticks: whether x is a number to be read off; y always is.
    """
    foot = _HEIGHT_PX - _MARGIN_PX
    names = (
        f'<text x="{_WIDTH_PX - _MARGIN_PX - 70 + 36 * number}" y="{_MARGIN_PX - 12}" '
        f'fill="{color}">{name}</text>'
        for number, (name, color) in enumerate((legend or {}).items())
    )
    ticks = []
    for at in _TICKS:
        tick = f'<text x="10" y="{foot - at * _INNER_HEIGHT_PX + 4:.0f}">{at:.1f}</text>'
        if x_ticks:
            left = f"{_MARGIN_PX + at * _INNER_WIDTH_PX - 8:.0f}"
            tick += f'<text x="{left}" y="{foot + 16}">{at:.1f}</text>'
        ticks.append(tick)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH_PX} {_HEIGHT_PX}" '
            'font-family="sans-serif" font-size="12">',
            '<rect width="100%" height="100%" fill="white"/>',
            f'<rect x="{_MARGIN_PX}" y="{_MARGIN_PX}" width="{_INNER_WIDTH_PX}" '
            f'height="{_INNER_HEIGHT_PX}" fill="none" stroke="#d1d5db"/>',
            f'<text x="{_WIDTH_PX / 2:.0f}" y="{_HEIGHT_PX - 8}" text-anchor="middle">'
            f"{x_label}</text>",
            f'<text x="{_MARGIN_PX}" y="{_MARGIN_PX - 12}">{y_label}</text>',
            *names,
            *ticks,
            *lines,
            "</svg>",
            "",
        ]
    )
