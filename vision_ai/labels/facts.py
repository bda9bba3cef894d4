"""The facts that come with every label: what was measured, in columns."""

import math
import textwrap

import numpy as np

from vision_ai.domain import WINDOW, Label
from vision_ai.labels.leg_setups import half_trends
from vision_ai.labels.measured_charts import MeasuredCharts, SetupMatch
from vision_ai.labels.normalized_bars import AGES, Array, Mask, NormalizedBars
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
"""Every fact, and what it is. A fact is 0 where it does not apply to the reading.

These texts are part of the GPT prompt: another wording needs another `PROMPT_VERSION`.
"""

MIRRORED_FACTS = {
    "level": ("level", -1.0),
    "box_top": ("box_bottom", -1.0),
    "box_bottom": ("box_top", -1.0),
    "touches_top": ("touches_bottom", 1.0),
    "touches_bottom": ("touches_top", 1.0),
}
"""Facts that change when a chart is mirrored: the fact that each becomes, and its sign."""

TOUCH_GAP_BARS = 4
"""Bars from one counted touch to the next at least."""

DRAWN_FACTS = ("atr", "chart_atr", "level", "box_top", "box_bottom", "box_ended")
"""Facts that a contact sheet draws on the chart instead of listing them below."""

CAPTION_LINE_CHARS = 64

LEVEL_LINE_BARS = 12
"""Newest bars over which the level of the setup is drawn."""


def chart_facts(charts: MeasuredCharts) -> dict[str, Array]:
    """Facts of the whole chart; all others are 0 until they are written."""
    later, earlier, position = half_trends(charts)
    facts = {name: np.zeros(len(later)) for name in FACTS}
    facts["atr"] = charts.unit
    facts["chart_atr"] = charts.bars.height / charts.unit
    facts["trend"], facts["earlier_trend"], facts["place"] = later, earlier, position
    return facts


def write_facts(
    facts: dict[str, Array], match: SetupMatch, rows: Mask, *, mirrored: bool = False
) -> None:
    """Write the facts of a match into the rows that it names, upright if it was mirrored."""
    facts["bars_since"][rows] = match.age[rows]
    for name, values in match.facts.items():
        target, sign = MIRRORED_FACTS.get(name, (name, 1.0)) if mirrored else (name, 1.0)
        facts[target][rows] = values[rows] * sign


def count_touches(bars: NormalizedBars, facts: dict[str, Array], t: Thresholds) -> None:
    """Write how often price came near the edges of the boxes that setups were named for."""
    boxed = facts["box_bars"] > 0
    # one column a fact, so that it broadcasts over the bars of its chart
    top, bottom, length, ended = (
        facts[name][boxed][:, None] for name in ("box_top", "box_bottom", "box_bars", "box_ended")
    )
    near = t.touch_part * (top - bottom)
    inside = (ended <= AGES) & (ended + length > AGES)
    facts["touches_top"][boxed] = _count_separate(inside & (bars.h[boxed] >= top - near))
    facts["touches_bottom"][boxed] = _count_separate(inside & (bars.l[boxed] <= bottom + near))


def contact_sheet_caption(label: Label) -> str:
    """Three short lines for a contact sheet: the label, then its facts."""
    clearness = "clear" if label.clear else "borderline"
    listed = " ".join(f"{k}={v:.2g}" for k, v in label.facts.items() if v and k not in DRAWN_FACTS)
    title = f"{label.reading.name} | {label.phase} | {clearness}"
    lines = [title, *textwrap.wrap(listed, CAPTION_LINE_CHARS)]
    return "\n".join(lines[:3])


def level_lines(label: Label, last_close: float) -> list[tuple[float, float, float]]:
    """Prices to draw on a chart of the label, each with the first and last column it spans."""
    facts = label.facts
    spans = []
    if facts.get("box_bars"):
        stop = WINDOW - facts["box_ended"]
        spans = [
            (facts[edge], stop - facts["box_bars"], stop) for edge in ("box_top", "box_bottom")
        ]
    if facts.get("level"):
        spans.append((facts["level"], WINDOW - LEVEL_LINE_BARS, WINDOW))
    return [(last_close * math.exp(price), start, stop) for price, start, stop in spans]


def _count_separate(touched: Mask) -> Array:
    """Count touches, each at least `TOUCH_GAP_BARS` after the last one counted (n,)."""
    count, last = np.zeros(len(touched)), np.full(len(touched), -TOUCH_GAP_BARS)
    for column in range(touched.shape[1]):
        counts = touched[:, column] & (column - last >= TOUCH_GAP_BARS)
        count += counts
        last = np.where(counts, column, last)
    return count
