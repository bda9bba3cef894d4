"""What the outcomes would change in the model: computed here, applied nowhere.

Three proposals, each close to no change on small samples: how much each exemplar's vote should
count, how far confidence lies from the share of targets reached, and how wide bands should be.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from vision_ai.domain import HORIZONS, Horizon, Interval, iso, parse_time
from vision_ai.feedback.pending import Key, key
from vision_ai.feedback.review import BINS, bin_of
from vision_ai.measures import purge
from vision_ai.measures.purge import Spans
from vision_ai.records import ConfidenceShift, ExemplarFactor, Feedback, Prediction, UpdateProposal
from vision_ai.records.feedback import BOUNDS

PRIOR_OUTCOMES = 20.0
"""Outcomes at the overall hit rate that are added to each estimate, to shrink it."""


TRACKER_GAIN = 0.05
"""Step of the width tracker: it follows a drift that doubles moves within some tens of outcomes."""


ExemplarKey = tuple[str, Interval, str]
"""Which exemplar: symbol, interval, and the time that its chart was complete."""


def spans_of(lines: Sequence[Feedback]) -> Spans:
    """The time that each line's 1h chart and its outcome occupy."""
    return Spans.at(
        [line.symbol for line in lines],
        [Interval.H1.value] * len(lines),
        np.array([parse_time(line.as_of) for line in lines], np.int64),
        np.array([line.horizon.ms for line in lines], np.int64),
    )


def complete_by(lines: Sequence[Feedback], by_ms: int) -> list[Feedback]:
    """The lines whose outcomes were known by an instant."""
    known = purge.settled(spans_of(lines), by_ms)
    return [line for line, is_known in zip(lines, known, strict=True) if is_known]


def propose(
    predictions: Iterable[Prediction],
    lines: Iterable[Feedback],
    now_ms: int,
    *,
    horizon: Horizon = Horizon.H6,
) -> UpdateProposal:
    """Work out what the outcomes known at `now_ms` would change; nothing is written."""
    known = complete_by(list(lines), now_ms)
    judged = [line for line in known if line.horizon is horizon and line.success is not None]
    shares = outcome_shares(judged)
    samples = math.fsum(shares.values())
    hits = math.fsum(shares[key(line)] for line in judged if line.success)
    return UpdateProposal(
        made_at=iso(now_ms),
        horizon=horizon,
        lines=len(judged),
        samples=round(samples, 6),
        base_rate=round(hits / samples, 6) if samples else None,
        exemplars=exemplar_weights(predictions, judged),
        recalibration=recalibration(judged),
        width_factor=_width_factors(known),
    )


def outcome_shares(judged: Sequence[Feedback]) -> dict[Key, float]:
    """How much each line counts: outcomes of one symbol that overlap share one count.

    Lines whose `as_of` falls into the same block of a horizon's length overlap.
    """
    crowd = Counter(_block(line) for line in judged)
    return {key(line): 1 / crowd[_block(line)] for line in judged}


def _block(line: Feedback) -> tuple[str, Horizon, int]:
    return line.symbol, line.horizon, parse_time(line.as_of) // line.horizon.ms


@dataclass
class _ExemplarTally:
    samples: list[float] = field(default_factory=list)
    hits: list[float] = field(default_factory=list)


def exemplar_weights(
    predictions: Iterable[Prediction],
    judged: Sequence[Feedback],
    *,
    prior: float = PRIOR_OUTCOMES,
) -> list[ExemplarFactor]:
    """Propose a factor for the vote of each exemplar that is a neighbor of some prediction.

    An exemplar that voted for the called setup and direction shares in its outcome by the
    weight of its vote. Its factor is the posterior mean hit rate under a Beta prior of `prior`
    outcomes at the overall rate, divided by that rate: 1 without evidence, bounded by `BOUNDS`.

    Args:
        predictions: the calls; only the neighbors that they list can be judged.
        judged: lines of one horizon that have a verdict.
        prior: outcomes that the overall rate counts for.
    """
    shares = outcome_shares(judged)
    by_call = {(line.symbol, line.as_of): line for line in judged}
    tally: dict[ExemplarKey, _ExemplarTally] = {}
    for prediction in predictions:
        line = by_call.get((prediction.symbol, prediction.as_of))
        if line is None:
            continue
        for exemplar, share in voters(prediction).items():
            record = tally.setdefault(exemplar, _ExemplarTally())
            record.samples.append(share * shares[key(line)])
            record.hits.append(share * shares[key(line)] * bool(line.success))
    total = math.fsum(shares.values())
    base = math.fsum(shares[key(line)] for line in judged if line.success) / total if total else 0
    return [_exemplar(name, tally[name], base, prior) for name in sorted(tally)]


def voters(prediction: Prediction) -> Mapping[ExemplarKey, float]:
    """The listed neighbors that voted for the call, with their shares of that vote."""
    listed = [
        neighbor
        for neighbor in prediction.neighbors
        if neighbor.setup is prediction.setup
        and neighbor.direction is prediction.direction
        and neighbor.weight > 0
    ]
    total = math.fsum(neighbor.weight for neighbor in listed)
    return {(n.symbol, n.interval, n.as_of): n.weight / total for n in listed}


def _exemplar(
    name: ExemplarKey, record: _ExemplarTally, base: float, prior: float
) -> ExemplarFactor:
    samples, hits = math.fsum(record.samples), math.fsum(record.hits)
    factor = (hits + prior * base) / (samples + prior) / base if base else 1.0
    symbol, interval, as_of = name
    return ExemplarFactor(
        symbol=symbol,
        interval=interval,
        as_of=as_of,
        factor=round(min(BOUNDS[1], max(BOUNDS[0], factor)), 6),
        samples=round(samples, 6),
        hits=round(hits, 6),
    )


def recalibration(
    judged: Sequence[Feedback], *, prior: float = PRIOR_OUTCOMES
) -> list[ConfidenceShift]:
    """Gap between hit rate and confidence in each bin, shrunk by `n / (n + prior)`.

    Confidence is of the setup and a hit is of the target, so applying the shift would change what
    confidence means; it is proposed for whoever wants the second meaning.
    """
    shares = outcome_shares(judged)
    bins: dict[int, list[Feedback]] = {}
    for line in judged:
        bins.setdefault(bin_of(line.confidence), []).append(line)
    return [_shift(number, bins[number], shares, prior) for number in sorted(bins)]


def _shift(
    number: int, lines: list[Feedback], shares: Mapping[Key, float], prior: float
) -> ConfidenceShift:
    samples = math.fsum(shares[key(line)] for line in lines)
    gap = math.fsum(shares[key(line)] * (bool(line.success) - line.confidence) for line in lines)
    return ConfidenceShift(
        low=number / BINS,
        high=(number + 1) / BINS,
        samples=round(samples, 6),
        delta=round(gap / (samples + prior), 6),
    )


def _width_factors(known: Sequence[Feedback]) -> dict[Horizon, float]:
    """Mean of the tracker over its last quarter: its last value swings with every volatile day."""
    factors: dict[Horizon, float] = {}
    for horizon in HORIZONS:
        own = [line for line in known if line.horizon is horizon and line.width_factor is not None]
        own.sort(key=lambda line: (line.as_of, line.symbol))
        levels = {line.level for line in own if line.level is not None}
        if len(levels) == 1:
            needed = [line.width_factor or 0.0 for line in own]
            late = track_width_factor(needed, levels.pop())[-(len(needed) // 4 + 1) :]
            factors[horizon] = round(math.fsum(late) / len(late), 6)
    return factors


def track_width_factor(
    needed: Sequence[float], level: float, *, gain: float = TRACKER_GAIN
) -> list[float]:
    """Follow the width factor with which a share `level` of the bands holds the price.

    Online quantile tracking (Angelopoulos, Candes and Tibshirani 2023): after a miss the factor
    grows by `gain * level`, after a hold it shrinks by `gain * (1 - level)`. Over any run of
    outcomes, drifting or not, the share of misses tends to `1 - level`.

    Args:
        needed: width factor that each outcome needed, in order of time.
        level: nominal coverage.
        gain: step size.

    Returns:
        The factor in force before each outcome and, last, the one for the next: n + 1 values.

    >>> track_width_factor([2.0, 0.5], 0.8)
    [1.0, 1.04, 1.03]
    """
    factors = [1.0]
    for score in needed:
        missed = score > factors[-1]
        factors.append(max(0.0, factors[-1] + gain * (missed - (1 - level))))
    return [round(factor, 12) for factor in factors]
