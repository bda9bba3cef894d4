"""Tables and plots of reports, as text that other programs read."""

import xml.etree.ElementTree as ET
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vision_ai import reports

SVG = "{http://www.w3.org/2000/svg}"
shares = st.floats(0, 1)


def parsed(*lines: str, **options: object) -> ET.Element:
    return ET.fromstring(reports.plot("share", "hits", lines, **options))  # type: ignore[arg-type]


@given(st.lists(st.tuples(shares, shares), max_size=8))
def test_every_point_lies_inside_the_frame_the_right_way_up(points) -> None:
    plot = parsed(reports.line(points))
    frame = plot.findall(f"{SVG}rect")[1]
    left, top, width, height = (float(frame.get(k, "")) for k in ("x", "y", "width", "height"))
    dots = [(float(d.get("cx", "")), float(d.get("cy", ""))) for d in plot.iter(f"{SVG}circle")]
    assert len(dots) == len(points)
    for (x, y), (px, py) in zip(points, dots, strict=True):
        assert px == pytest.approx(left + x * width, abs=0.06)
        assert py == pytest.approx(top + (1 - y) * height, abs=0.06)


def test_a_dashed_line_has_no_dots_and_a_title_belongs_to_its_dot() -> None:
    assert "circle" not in reports.line([(0, 0), (1, 1)], dashed=True)
    plot = parsed(reports.line([(0, 0), (1, 1)], titles=["first", "last"]))
    titles = [title.text for title in plot.iter(f"{SVG}title")]
    assert titles == ["first", "last"]
    with pytest.raises(ValueError, match="shorter"):
        reports.line([(0, 0), (1, 1)], titles=["one"])


@pytest.mark.parametrize(("x_ticks", "count"), [(True, 6), (False, 3)])
def test_ticks_and_legend_are_read_off_the_axes(x_ticks: bool, count: int) -> None:
    legend = {"2h": reports.BLUE, "6h": reports.ORANGE}
    plot = parsed(legend=legend, x_ticks=x_ticks)
    texts = [(text.text, text.get("fill")) for text in plot.iter(f"{SVG}text")]
    assert [name for name in texts if name[0] in legend] == list(legend.items())
    numbers = [float(text or "") for text, _ in texts if text and text[0].isdigit() and "." in text]
    assert sorted(numbers) == sorted([0.0, 0.5, 1.0] * (count // 3))
    assert {"share", "hits"} <= {text for text, _ in texts}


@given(st.lists(st.lists(st.text("ab|\n\\", max_size=4), min_size=2, max_size=2), max_size=4))
def test_no_cell_breaks_a_table(rows) -> None:
    text = reports.table(["one", "two"], rows)
    if not rows:
        assert text == "None."
        return
    lines = text.split("\n")
    assert len(lines) == 2 + len(rows)
    for line, row in zip(lines[2:], rows, strict=True):
        cells = line.removeprefix("| ").removesuffix(" |")
        assert cells == " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in row)
    assert all(len(a.replace("\\|", "").split("|")) >= 3 for a, _ in pairwise(lines))
