"""The rule book again, in plain loops over one chart, written from docs/setups.md: an oracle."""

from dataclasses import dataclass

import numpy as np

from vision_ai.domain import WINDOW, Direction, Phase, Reading, Setup
from vision_ai.labels import examples
from vision_ai.labels.boxes import FLOOR_SEGMENTS, Boxes
from vision_ai.labels.normalized_bars import NormalizedBars
from vision_ai.labels.thresholds import Thresholds

BOX_RULES = ("breakout", "continuation", "retest_of_break", "fakeout", "trap", "inside")
LEG_RULES = ("pullback", "exhaustion", "reversal")
PRIORITY = (
    (Setup.TRAP, ("trap",)),
    (Setup.FAKEOUT, ("fakeout",)),
    (Setup.BREAKOUT, ("breakout",)),
    (Setup.SUPPORT_RETEST, ("retest_of_break", "retest_of_floor")),
    (Setup.BREAKOUT_CONTINUATION, ("continuation",)),
    (Setup.EXHAUSTION, ("exhaustion",)),
    (Setup.REVERSAL, ("reversal",)),
    (Setup.PULLBACK, ("pullback",)),
)


def jittered_examples(copies: int, seed: int = 0, size: float = 0.3) -> np.ndarray:
    """The drawn charts with every candle moved a little: near every threshold, on both sides."""
    rng = np.random.default_rng(seed)
    drawn = [draw() for draw in (*examples.SETUP_EXAMPLES.values(), examples.retest_of_floor)]
    drawn += [examples.phase_example(phase) for phase in (Phase.MARKUP, Phase.ACCUMULATION)]
    charts = np.repeat(np.stack([*drawn, *map(examples.mirrored, drawn)]), copies, axis=0)
    charts[:, :, :4] *= np.exp(rng.normal(0, size * examples.STEP, (len(charts), WINDOW, 1)))
    charts[:, :, 4] *= rng.lognormal(0, 0.3, (len(charts), WINDOW))
    return charts


def bent_examples(count: int, seed: int = 0) -> np.ndarray:
    """The drawn charts with the move of their last bars stretched or flattened."""
    rng = np.random.default_rng(seed)
    charts = jittered_examples(-(-count // 26), seed, 0.15)[:count]
    for chart in charts:
        bars, factor = rng.integers(2, 22), rng.uniform(0.2, 2.2)
        start = chart[-bars - 1, 3]
        chart[-bars:, :4] = start * (chart[-bars:, :4] / start) ** factor
        chart[-bars:, 4] *= rng.uniform(0.5, 3)
    return charts


def faded_breaks() -> np.ndarray:
    """Breaks of a box that come back to many heights above its top."""
    paths = []
    for end in np.linspace(1.5, 5, 15):
        paths.append([1.4, 3.2, end])
        paths.append([*np.linspace(1.5, 4.2, 10), *np.linspace(4, end, 4)])
        paths.append([1, 3, 5, 6, 6.5, 6.5, 6, 5, 4.5, 4, end, end - 0.2, end + 0.3])
    loud = {11: 4.0, 10: 3.0, 1: 4.0, 0: 3.0}
    return np.stack([examples.candles(examples.after_box(path), loud) for path in paths])


@dataclass(frozen=True)
class PlainBox:
    bars: int
    ended: int
    top: float
    bottom: float
    volume: float

    @property
    def height(self) -> float:
        return self.top - self.bottom


class PlainChart:
    """One normalized chart; lists run from the oldest bar to the newest."""

    def __init__(self, charts: NormalizedBars, row: int, boxes: Boxes) -> None:
        self.h, self.l, self.c, self.v = (
            x[row].tolist() for x in (charts.h, charts.l, charts.c, charts.v)
        )
        self.spans = charts.true_range[row].tolist()
        self.soft_h = [(h + c) / 2 for h, c in zip(self.h, self.c, strict=True)]
        self.soft_l = [(low + c) / 2 for low, c in zip(self.l, self.c, strict=True)]
        self.unit = float(charts.unit[row])
        self.boxes = [
            PlainBox(
                *(
                    x[i].item()
                    for x in (boxes.bars, boxes.ended, boxes.top, boxes.bottom, boxes.volume)
                )
            )
            for i in np.flatnonzero(boxes.row == row)
        ]

    def first_exit(self, box: PlainBox, t: Thresholds, side: str) -> int | None:
        """Age of the first bar after a box that left it on one side."""
        for age in range(box.ended - 1, -1, -1):
            close, low = self.c[-1 - age], self.l[-1 - age]
            if side == "above" and close >= box.top + t.break_atr * self.unit:
                return age
            by_close = close <= box.bottom - t.fail_close_atr * self.unit
            by_wick = low <= box.bottom - t.fail_wick_atr * self.unit
            if side == "below" and (by_close or by_wick):
                return age
        return None

    def above(self, box: PlainBox, t: Thresholds, rule: str) -> bool:
        """Breakout, continuation and retest of a broken top."""
        age = self.first_exit(box, t, "above")
        if age is None or box.ended - age > t.wait_bars:
            return False
        u, closes, top = self.unit, self.c[-1 - age :], box.top
        if rule == "breakout":
            loudest = max(self.v[-1 - age :]) / max(box.volume, 1e-9)
            fresh = age <= t.break_bars and loudest >= t.break_volume
            return fresh and -top >= t.break_close_atr * u
        if age <= t.break_bars or min(closes) - top < -t.slack_atr * u:
            return False
        if rule == "continuation":
            return (
                max(closes) - top >= t.continue_best_atr * u
                and max(closes) <= t.best_close_gap_atr * u
                and -top >= t.continue_close_atr * u
            )
        return (
            (max(self.h[-1 - age :]) - top) / u >= t.retest_far_atr
            and min(self.l[-1 - int(t.retest_bars) :]) - top <= t.retest_near_atr * u
            and -top <= t.retest_leave_atr * u
        )

    def failed(self, box: PlainBox, t: Thresholds, rule: str) -> bool:
        """Fakeout and trap."""
        age = self.first_exit(box, t, "below")
        if age is None or age < 1 or box.ended - age > t.wait_bars or box.bottom > 0:
            return False
        best = max(self.c[-1 - age :])
        inside = best - box.bottom
        depth = box.bottom - min(self.l[-1 - age :])
        if depth > t.fail_depth_part * box.height or inside < t.fail_back_part * box.height:
            return False
        far = -box.bottom >= t.trap_far_part * box.height
        if rule == "fakeout":
            not_broken = best <= box.top + t.break_atr * self.unit
            return age <= t.fail_bars and not far and not_broken
        loudest = max(self.v[-1 - age :]) / max(box.volume, 1e-9)
        climax = loudest >= t.trap_volume and inside >= t.trap_back_part * box.height
        return (age <= t.trap_bars and far) or (age <= t.fail_bars and climax)

    def inside(self, box: PlainBox, t: Thresholds) -> bool:
        closes, slack = self.c[-1 - box.ended :], t.slack_atr * self.unit
        stays = max(closes) <= box.top + slack and min(closes) >= box.bottom - slack
        return box.ended <= t.range_age_bars and stays

    def holds_at(self, rule: str, box: PlainBox, t: Thresholds) -> bool:
        if rule == "inside":
            return self.inside(box, t)
        return (self.failed if rule in ("fakeout", "trap") else self.above)(box, t, rule)

    def floor_holds(self, segment: tuple[int, int], t: Thresholds) -> bool:
        """Retest of a floor in one segment."""
        bars, ended = segment
        start, u = WINDOW - ended - bars, self.unit
        lows = [min(self.l[start + bars // 4 * q : start + bars // 4 * (q + 1)]) for q in range(4)]
        floor, near = sorted(lows)[1], t.floor_touch_atr * u
        touched = [abs(low - floor) <= near for low in lows]
        apart = any(touched[a] and touched[b] for a, b in ((0, 2), (0, 3), (1, 3)))
        recent = int(t.retest_bars) + 1
        low = min(self.l[-recent:])
        age = self.l[::-1].index(low)
        return (
            apart
            and min(lows) >= floor - near
            and abs(low - floor) <= near
            and max(self.h[-25:]) - floor >= t.floor_far_atr * u
            and min(self.c[-recent:]) >= floor - t.slack_atr * u
            and max(self.c[-1 - age :]) - low >= t.retest_turn_atr * u
            and -floor <= t.retest_leave_atr * u
        )

    def leg(self, high: list[float], low: list[float]) -> tuple[int, int, float]:
        """Age of the end of a leg up, column of its start, and its size."""
        age = int(np.argmax(high[::-1][:48]))
        end = WINDOW - 1 - age
        first = max(end - 40, 0)
        start = first + int(np.argmin(low[first : end + 1]))
        return age, start, high[end] - low[start]

    def leg_holds(self, rule: str, t: Thresholds) -> bool:
        u = self.unit
        if rule == "pullback":
            age, start, leg = self.leg(self.soft_h, self.soft_l)
            end = WINDOW - 1 - age
            way = sum(abs(self.c[i + 1] - self.c[i]) for i in range(start, end))
            high = self.soft_h[end]
            deepest = (high - min(self.soft_l[end:])) / max(leg, u)
            return (
                leg >= t.pull_leg_atr * u
                and leg / max(way, u) >= t.pull_efficiency
                and t.pull_min_bars <= age <= t.pull_max_bars
                and t.pull_min_of_leg <= deepest <= t.pull_max_of_leg
                and high / max(leg, u) >= t.pull_close_of_leg
            )
        soft = rule == "reversal"
        low = self.soft_l if soft else self.l
        high = self.soft_h if soft else self.h
        age, _, run = self.leg([-x for x in low], [-x for x in high])
        bottom, best = low[-1 - age], max(self.c[-1 - age :])
        if bottom > min(low):
            return False
        if soft:
            return (
                run >= t.reversal_leg_atr * u
                and t.reversal_min_bars <= age <= t.reversal_max_bars
                and best - bottom >= t.reversal_best_of_leg * run
                and -bottom / max(run, u) >= t.reversal_close_of_leg
                and best <= t.best_close_gap_atr * u
            )
        newest = int(t.run_turn_bars) + 2
        climax = max(self.spans[-newest:]) >= t.climax_bar_atr * u
        return (
            run >= t.run_atr * u
            and age <= t.run_turn_bars
            and (climax or max(self.v[-newest:]) >= t.climax_volume)
            and best - bottom >= t.reject_atr * u
            and -bottom <= t.reject_of_run * run
        )

    def holds(self, rule: str, t: Thresholds) -> bool:
        if rule in LEG_RULES:
            return self.leg_holds(rule, t)
        if rule == "retest_of_floor":
            return any(self.floor_holds(segment, t) for segment in FLOOR_SEGMENTS)
        return any(self.holds_at(rule, box, t) for box in self.boxes)

    def phase(self, t: Thresholds) -> Phase:
        height = max(max(self.h) - min(self.l), self.unit)
        earlier, later = (
            np.polyfit(np.arange(48), half, 1)[0] * 47 / height
            for half in (self.c[:48], self.c[48:])
        )
        middle = (max(self.h) + min(self.l)) / 2
        low = sum(self.c[48:]) / 48 < middle
        came, still = t.earlier_trend_of_chart, t.later_trend_of_chart
        if later >= t.trend_of_chart or (later >= still and earlier >= came):
            return Phase.MARKUP
        if later <= -t.trend_of_chart or (later <= -still and earlier <= -came):
            return Phase.MARKDOWN
        if earlier <= -came and low:
            return Phase.ACCUMULATION
        if earlier >= came and not low:
            return Phase.DISTRIBUTION
        return Phase.RANGE


def plain_charts(bars: np.ndarray, t: Thresholds) -> tuple[list[PlainChart], list[PlainChart]]:
    """Charts upright and upside down, with their boxes."""
    charts = NormalizedBars.of(bars)
    sides = []
    for side in (charts, charts.mirrored):
        boxes = Boxes.find(side, t)
        sides.append([PlainChart(side, row, boxes) for row in range(len(bars))])
    return sides[0], sides[1]


def plain_setups(up: PlainChart, down: PlainChart, t: Thresholds) -> set[Reading]:
    """What a chart may be called: the first setup that holds, on either side where both hold."""
    for setup, rules in PRIORITY:
        for rule in rules:
            long, short = up.holds(rule, t), down.holds(rule, t)
            named = set()
            if long:
                named.add(Reading(setup, Direction.LONG))
            if short:
                named.add(Reading(setup.mirror, Direction.SHORT))
            if named:
                return named
    setup = Setup.RANGE if up.holds("inside", t) else Setup.NONE
    return {Reading(setup, Direction.NEUTRAL)}
