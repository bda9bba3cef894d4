"""The facts that come with every label: what was measured, in columns."""

import math
import textwrap

import numpy as np

from vision_ai.domain import WINDOW, Label
from vision_ai.labels.leg_forms import trends
from vision_ai.labels.measure import AGES, Array, Charts, Mask
from vision_ai.labels.scene import Form, Scene
from vision_ai.labels.thresholds import Thresholds

FACTS = {
    "atr": "what one ATR is on this chart, as a log distance",
    "chart_atr": "height of the chart in ATR",
    "trend": "rise of the later half of the closes, in parts of the chart's height",
    "earlier_trend": "rise of the earlier half, in parts of the chart's height",
    "place": "where the later half trades, from -0.5 (chart's low) to 0.5 (chart's high)",
    "level": "the price that matters, as a log distance from the last close",
    "box_top": "top of the box, as a log distance from the last close",
    "box_bottom": "bottom of the box, as a log distance from the last close",
    "box_bars": "length of the box in bars",
    "box_ended": "bars since the box ended",
    "touches_top": "separate touches of the top of the box, or of the ceiling",
    "touches_bottom": "separate touches of the bottom of the box, or of the floor",
    "furthest_atr": "how far beyond the level price had been, in ATR",
    "bars_since": "bars since the event: the break, the touch, the end of the leg",
    "volume_ratio": "highest volume since the event, in parts of the usual volume",
    "leg_atr": "size of the leg before the event, in ATR",
    "leg_bars": "length of that leg in bars",
    "retraced": "part of the leg that has been taken back",
}
"""Every fact, and what it is. A fact is 0 where it says nothing about the reading."""

FLIPPED = {
    "level": ("level", -1.0),
    "box_top": ("box_bottom", -1.0),
    "box_bottom": ("box_top", -1.0),
    "touches_top": ("touches_bottom", 1.0),
    "touches_bottom": ("touches_top", 1.0),
}
"""Facts that turn over with the chart: what each becomes upright, and its sign."""

APART = 4
"""Bars from one counted touch to the next."""

UNTOLD = ("atr", "chart_atr", "level", "box_top", "box_bottom", "box_ended")
"""Facts that a contact sheet draws instead of telling."""

LINE = 64
"""Letters in a line of a caption."""

TAIL = 12
"""Bars over which the level that matters is drawn."""


def chart_facts(scene: Scene) -> dict[str, Array]:
    """Facts of the whole chart; all others are 0 until they are written."""
    later, earlier, place = trends(scene)
    facts = {name: np.zeros(len(later)) for name in FACTS}
    facts["atr"] = scene.unit
    facts["chart_atr"] = scene.charts.height / scene.unit
    facts["trend"], facts["earlier_trend"], facts["place"] = later, earlier, place
    return facts


def write(facts: dict[str, Array], form: Form, rows: Mask, *, mirrored: bool = False) -> None:
    """Write a form's facts into the rows that it names, turned upright if it was mirrored."""
    facts["bars_since"][rows] = form.age[rows]
    for name, values in form.facts.items():
        target, sign = FLIPPED.get(name, (name, 1.0)) if mirrored else (name, 1.0)
        facts[target][rows] = values[rows] * sign


def count_touches(charts: Charts, facts: dict[str, Array], t: Thresholds) -> None:
    """Write how often price came near the edges of the boxes that were named."""
    boxed = facts["box_bars"] > 0
    top, bottom, bars, ended = (
        facts[name][boxed][:, None] for name in ("box_top", "box_bottom", "box_bars", "box_ended")
    )
    near = t.touch_part * (top - bottom)
    inside = (ended <= AGES) & (ended + bars > AGES)
    facts["touches_top"][boxed] = _separate(inside & (charts.h[boxed] >= top - near))
    facts["touches_bottom"][boxed] = _separate(inside & (charts.l[boxed] <= bottom + near))


def caption(label: Label) -> str:
    """Three short lines for a contact sheet: the label, then its facts."""
    sure = "clear" if label.clear else "borderline"
    told = " ".join(f"{k}={v:.2g}" for k, v in label.facts.items() if v and k not in UNTOLD)
    lines = [f"{label.reading.name} | {label.phase} | {sure}", *textwrap.wrap(told, LINE)]
    return "\n".join(lines[:3])


def marks(label: Label, last_close: float) -> list[tuple[float, float, float]]:
    """Prices to draw on a chart of the label, each with the first and last column it spans."""
    facts = label.facts
    spans = []
    if facts.get("box_bars"):
        stop = WINDOW - facts["box_ended"]
        spans = [
            (facts[edge], stop - facts["box_bars"], stop) for edge in ("box_top", "box_bottom")
        ]
    if facts.get("level"):
        spans.append((facts["level"], WINDOW - TAIL, WINDOW))
    return [(last_close * math.exp(price), start, stop) for price, start, stop in spans]


def _separate(touched: Mask) -> Array:
    """Count touches, each at least `APART` bars after the last one counted (n,)."""
    count, last = np.zeros(len(touched)), np.full(len(touched), -APART)
    for column in range(touched.shape[1]):
        counts = touched[:, column] & (column - last >= APART)
        count += counts
        last = np.where(counts, column, last)
    return count
