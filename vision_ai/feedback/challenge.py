"""A challenger made of earlier outcomes, judged on later ones: only what logs can prove.

Logs hold what was predicted, which neighbors voted for it and what followed. They can prove that
calls whose neighbors have a better record reach their target more often, and that bands of another
width cover as often as they say. They prove nothing about setups: nobody labels those later.
"""

import hashlib
import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vision_ai.domain import HORIZONS, Direction, Horizon, iso, parse_time
from vision_ai.feedback.pending import key
from vision_ai.feedback.review import bin_of
from vision_ai.feedback.weights import (
    ExemplarKey,
    complete_by,
    outcome_shares,
    propose,
    spans_of,
    voters,
)
from vision_ai.measures import purge
from vision_ai.measures.significance import betting_test, compare, spend_alpha
from vision_ai.records import (
    Feedback,
    GateAttempt,
    PartName,
    PartVerdict,
    Prediction,
    UpdateProposal,
)

ALPHA = 0.05
"""Stated chance of ever promoting a challenger that is no better, over all attempts."""

DAY_MS = 86_400_000

EMBARGO_MS = purge.earliest_as_of(0)
"""The window of a 1h chart: no judged chart shows candles of a learned outcome."""

LEAST_DAYS = 14
"""With fewer days to judge on, nothing is attempted and nothing spent."""

WIDTH_FACTOR_BOUNDS = (0.5, 3.0)
"""Least and greatest factor by which one challenger changes the width of bands."""

_PARTS: tuple[PartName, ...] = ("exemplars", "bands 2h", "bands 6h")
_LEAST_CHANGE = 0.01
"""A width factor closer to 1 than this is no challenger."""


@dataclass(frozen=True)
class Fold:
    """Lines to learn from and later ones to judge on, of one champion.

    Attributes:
        champion: version that made the predictions.
        learned: their outcomes were complete at `until_ms`.
        judging: charts that came `EMBARGO_MS` after it or later.
        until_ms: end of learning.
        now_ms: the clock; later outcomes belong to the next fold.
    """

    champion: str
    learned: list[Feedback]
    judging: list[Feedback]
    until_ms: int
    now_ms: int

    @property
    def days(self) -> int:
        """UTC days of the judging lines."""
        return len({_day(line) for line in self.judging})


@dataclass(frozen=True)
class Challenge:
    """What was learned, how the gate judged it, and what of it may be applied.

    Attributes:
        proposal: of the learning fold alone.
        attempt: the gate's verdict.
        factors: exemplars whose votes change; empty unless they were found better.
        width_factor: bands that change; without those not found better.
    """

    proposal: UpdateProposal
    attempt: GateAttempt
    factors: Mapping[ExemplarKey, float]
    width_factor: Mapping[Horizon, float]


def fold(
    lines: Iterable[Feedback], champion: str, earlier: Sequence[GateAttempt], now_ms: int
) -> Fold | None:
    """Split the champion's own lines in time; None while there are none.

    Lines that were judged on are learned from in later attempts and never judge again. The first
    time, learning ends half way.
    """
    of_champion = [line for line in lines if line.model_version == champion]
    own = complete_by(of_champion, now_ms)
    if not own:
        return None
    before = [attempt.judged_until for attempt in earlier if attempt.champion == champion]
    if before:
        until_ms = max(parse_time(text) for text in before)
    else:
        times = [parse_time(line.as_of) for line in own]
        until_ms = purge.day_wall(min(times), max(times), 0.5)
    learned, judging = later_fold(own, until_ms)
    return Fold(champion, learned, judging, until_ms, now_ms)


def days_needed(number: int, *, alpha: float = ALPHA, parts: int = len(_PARTS)) -> int:
    """Days that attempt `number` waits for: twice what an unbroken run of wins would take.

    >>> days_needed(1), days_needed(10), days_needed(10, parts=1)
    (14, 28, 24)
    """
    return max(LEAST_DAYS, 2 * math.ceil(-math.log2(spend_alpha(alpha, number) / parts)))


def propose_from(
    predictions: Iterable[Prediction], split: Fold, horizon: Horizon
) -> UpdateProposal:
    """What the lines to learn from would change; those that judge are not looked at."""
    return propose(predictions, split.learned, split.until_ms, horizon=horizon)


def challenge(
    predictions: Iterable[Prediction],
    split: Fold,
    exemplars: Collection[ExemplarKey],
    *,
    number: int,
    horizon: Horizon = Horizon.H6,
    alpha: float = ALPHA,
) -> Challenge:
    """Learn from the earlier lines and judge each part on the later ones.

    Each part may spend a third of what the attempt may, so that the chance of any false one
    stays within it.

    Args:
        predictions: those that the lines are of.
        split: the champion's lines.
        exemplars: those whose weight can be changed.
        number: of this attempt, over all champions.
        horizon: whose verdicts judge exemplars.
        alpha: error rate over all attempts.
    """
    predictions = list(predictions)
    proposal = propose_from(predictions, split, horizon)
    proposed = {(e.symbol, e.interval, e.as_of): e.factor for e in proposal.exemplars}
    factors = {name: factor for name, factor in proposed.items() if name in exemplars}
    low, high = WIDTH_FACTOR_BOUNDS
    width_factor = {h: min(high, max(low, factor)) for h, factor in proposal.width_factor.items()}
    level = spend_alpha(alpha, number) / len(_PARTS)
    judged = [line for line in split.judging if line.horizon is horizon]
    parts = [judge_exemplars(predictions, judged, factors, level=level)]
    for h in HORIZONS:
        own = [line for line in split.judging if line.horizon is h]
        parts.append(judge_bands(own, h, width_factor.get(h, 1.0), level=level))
    better = {part.name for part in parts if part.better}
    attempt = GateAttempt(
        number=number,
        made_at=iso(split.now_ms),
        champion=split.champion,
        horizon=horizon,
        alpha=alpha,
        learned_until=iso(split.until_ms),
        judged_from=iso(purge.earliest_as_of(split.until_ms)),
        judged_until=iso(split.now_ms),
        learned=len(split.learned),
        judged=len(split.judging),
        days=split.days,
        parts=parts,
        promote=bool(better),
    )
    return Challenge(
        proposal,
        attempt,
        factors if "exemplars" in better else {},
        {h: factor for h, factor in width_factor.items() if f"bands {h}" in better},
    )


def judge_exemplars(
    predictions: Iterable[Prediction],
    judged: Sequence[Feedback],
    factors: Mapping[ExemplarKey, float],
    *,
    level: float,
) -> PartVerdict:
    """Whether calls whose neighbors have a better record reached their target more often.

    Calls of the same day, direction and fifth of confidence are compared: of each pair of a hit
    and a miss, did the hit have the better record? The champion, which knows no records, is right
    half the time. One call of a symbol a day counts, and ties are broken by a hash, so that
    without signal a day is won as often as lost, whatever its share of hits.
    """
    by_call = {(p.symbol, p.as_of): p for p in predictions}
    # The record of each call: the mean factor of the neighbors that voted for it.
    records = []
    for line in _first_of_day(judged):
        prediction = by_call.get((line.symbol, line.as_of))
        shares = voters(prediction) if prediction else {}
        if shares:
            record = math.fsum(share * factors.get(n, 1.0) for n, share in shares.items())
            records.append((line, record))
    # Pairs that the record put in the right order, and half of all pairs for the champion.
    won, expected, block = [], [], []
    for hits, misses in _cells(records):
        for hit in hits:
            won.append(float(sum(hit > miss for miss in misses)))
            expected.append(len(misses) / 2)
            block.append(hit[2])
    trial = compare(
        np.array(expected), np.array(won), np.array(block, np.int64), alpha=level, attempt=1
    )
    pairs = 2 * sum(expected)
    p_value = trial.p_value
    return PartVerdict(
        name="exemplars",
        cases=round(pairs),
        wins=trial.wins,
        losses=trial.losses,
        ties=trial.ties,
        p_value=p_value,
        level=level,
        better=bool(pairs) and p_value <= level,
        figures={"pairs_in_order": round(sum(won) / pairs, 6)} if pairs else {},
    )


_Ranked = tuple[float, str, int]


def _cells(
    records: Iterable[tuple[Feedback, float]],
) -> Iterable[tuple[list[_Ranked], list[_Ranked]]]:
    """Hits and misses of comparable calls, as (record, tie-breaker, day)."""
    cells: dict[tuple[int, Direction, int], tuple[list[_Ranked], list[_Ranked]]] = {}
    for line, record in records:
        cell = _day(line), line.direction, bin_of(line.confidence) // 2
        tie = hashlib.sha256(f"{line.symbol} {line.as_of}".encode()).hexdigest()
        side = cells.setdefault(cell, ([], []))[0 if line.success else 1]
        side.append((round(record, 9), tie, _day(line)))
    return cells.values()


def _first_of_day(judged: Sequence[Feedback]) -> list[Feedback]:
    """The first judged call of each symbol on each day."""
    first: dict[tuple[str, int], Feedback] = {}
    for line in sorted(judged, key=lambda line: (line.as_of, line.symbol)):
        if line.success is not None:
            first.setdefault((line.symbol, _day(line)), line)
    return list(first.values())


def judge_bands(
    judged: Sequence[Feedback], horizon: Horizon, width_factor: float, *, level: float
) -> PartVerdict:
    """Whether bands of another width cover closer to their level, by quantile (pinball) loss.

    The loss is of the width factor that each outcome needed. It is least in expectation where
    bands cover exactly as often as they say: wider ones are charged for their width.
    """
    own = [line for line in judged if line.width_factor is not None and line.level is not None]
    name: PartName = "bands 2h" if horizon is Horizon.H2 else "bands 6h"
    if abs(width_factor - 1) < _LEAST_CHANGE or not own:
        return _not_judged(name, level)
    shares = outcome_shares(own)
    gains: dict[int, list[tuple[float, float]]] = defaultdict(list)
    for line in own:
        gain = _band_gain(line.width_factor or 0.0, width_factor, line.level or 0.0)
        gains[_day(line)].append((shares[key(line)], gain))
    # The mean gain of each day, overlapping outcomes counted once; a day is one bet.
    days = [
        math.fsum(share * gain for share, gain in gains[day])
        / math.fsum(share for share, _ in gains[day])
        for day in sorted(gains)
    ]
    trial = betting_test(np.maximum(np.array(days), -1), level=level)
    return PartVerdict(
        name=name,
        cases=len(own),
        wins=trial.wins,
        losses=trial.losses,
        ties=trial.ties,
        p_value=trial.p_value,
        level=level,
        better=trial.promote,
        figures={
            "width_factor": width_factor,
            "coverage_champion": _coverage(own, 1.0),
            "coverage_challenger": _coverage(own, width_factor),
        },
    )


def _band_gain(needed: float, width_factor: float, level: float) -> float:
    """How much less a width factor loses than 1 does, over the most that it can lose more."""
    saved = _pinball(needed - 1, level) - _pinball(needed - width_factor, level)
    worst = (1 - level if width_factor > 1 else level) * abs(width_factor - 1)
    return saved / worst


def _pinball(miss: float, level: float) -> float:
    return max(level * miss, (level - 1) * miss)


def _coverage(own: Sequence[Feedback], width_factor: float) -> float:
    return round(sum((line.width_factor or 0.0) <= width_factor for line in own) / len(own), 6)


def _not_judged(name: PartName, level: float) -> PartVerdict:
    return PartVerdict(
        name=name,
        cases=0,
        wins=0,
        losses=0,
        ties=0,
        p_value=1.0,
        level=level,
        better=False,
        figures={},
    )


def _day(line: Feedback) -> int:
    return parse_time(line.as_of) // DAY_MS


def later_fold(
    lines: Sequence[Feedback], learned_until_ms: int
) -> tuple[list[Feedback], list[Feedback]]:
    """Split lines into those a challenger may learn from and those that may judge it.

    A line may be learned from if its outcome was complete at `learned_until_ms`. It may judge
    if no candle of its chart is earlier than that: if it came at least `EMBARGO_MS` later. All
    others are left out.

    Args:
        lines: intact lines.
        learned_until_ms: end of learning, UTC milliseconds.
    """
    earlier, later = purge.split_at(spans_of(lines), learned_until_ms)
    return [lines[row] for row in earlier], [lines[row] for row in later]
