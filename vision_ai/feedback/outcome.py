"""What followed one prediction within one horizon, measured on closed candles only.

Candles after the horizon are never looked at, so a line does not depend on when it is made.
"""

from dataclasses import dataclass, field

import numpy as np

from vision_ai.config import FeedbackConfig
from vision_ai.domain import CLOSE, VOLUME, Floats, Horizon, Interval, Klines, Setup, Verdict, iso
from vision_ai.errors import IntervalError
from vision_ai.feedback.pending import ATR_CANDLES, PendingOutcome, WaitingOutcome
from vision_ai.measures.indicators import average_true_range
from vision_ai.measures.targets import Barriers, first_touch
from vision_ai.records import Feedback, Prediction

_SAME_PRICE = 0.005
"""Closes further apart than this come from another market, or were revised."""

_MAX_WIDTH_FACTOR = 100.0
"""Given where no widening helps, as where a band has no width."""

_H_MS = 3_600_000


@dataclass(frozen=True)
class _Verdict:
    """Which was touched first, and on which candles."""

    first: Verdict | None
    success: bool | None
    reason: str
    on: Interval | None = None
    at_ms: int | None = None


@dataclass(frozen=True)
class _Measured:
    """What was measured; None where nothing could be."""

    entry: float | None = None
    move: float | None = None
    best: float | None = None
    worst: float | None = None
    target: float | None = None
    stop: float | None = None
    width_factor: float | None = None
    verdict: _Verdict = field(default_factory=lambda: _Verdict(None, None, ""))


def resolve(
    prediction: Prediction,
    horizon: Horizon,
    klines: Klines,
    fine: Klines | None,
    config: FeedbackConfig,
    now_ms: int,
) -> Feedback | WaitingOutcome:
    """Measure one horizon of one prediction, or tell why it has to wait.

    Args:
        prediction: whose outcome it is.
        horizon: how long after it to look.
        klines: candles of its market, 15m or finer, from the candle before `as_of` on (from
            the history of the true range on, where targets are multiples of it).
        fine: finer candles that decide which of target and stop a candle touched first;
            without them such a candle counts as a loss and the line says so.
        config: what counts as success, and when outcomes expire.
        now_ms: the clock; candles that were not closed then are ignored.

    Returns:
        The line for the log (`line` and `check` are set when it is written), or what it waits
        for. After `config.give_up_h` of waiting the line says `success: null` and why.
    """
    return resolve_outcome(PendingOutcome(prediction, horizon), klines, fine, config, now_ms)


def resolve_outcome(
    outcome: PendingOutcome,
    klines: Klines,
    fine: Klines | None,
    config: FeedbackConfig,
    now_ms: int,
) -> Feedback | WaitingOutcome:
    """The same for what `find_pending` lists."""
    if now_ms < outcome.end_ms:
        return outcome.wait(f"its {outcome.horizon} are over at {iso(outcome.end_ms)}")
    if outcome.entry is None or outcome.entry <= 0:
        reason = "read from a bare picture: there is no price to measure from"
        return _line(outcome, _Measured(verdict=_Verdict(None, None, reason)), now_ms)
    problem = _problem(outcome, klines, config, now_ms)
    if problem is not None:
        return expire(outcome, problem, config, now_ms)
    return _line(outcome, _measure(outcome, klines, fine, config, now_ms), now_ms)


def expire(
    outcome: PendingOutcome, reason: str, config: FeedbackConfig, now_ms: int
) -> Feedback | WaitingOutcome:
    """Wait on, or write a line without a verdict after `config.give_up_h` hours."""
    if now_ms < outcome.end_ms + config.give_up_h * _H_MS:
        return outcome.wait(reason)
    verdict = _Verdict(None, None, f"gave up after {config.give_up_h:g} h: {reason}")
    return _line(outcome, _Measured(entry=outcome.entry, verdict=verdict), now_ms)


def _problem(
    outcome: PendingOutcome, klines: Klines, config: FeedbackConfig, now_ms: int
) -> str | None:
    """Why the candles are not enough to measure the outcome; None if they are."""
    step = klines.interval.ms
    if outcome.as_of_ms % step or outcome.horizon.ms % step:
        return f"candles of {klines.interval} do not start at {outcome.prediction.as_of}"
    bars = _between(klines, outcome.as_of_ms, min(outcome.end_ms, now_ms - step + 1))
    expected = outcome.horizon.bars(klines.interval)
    if len(bars) < expected:
        return f"{expected - len(bars)} of {expected} candles of {klines.interval} are missing"
    if not bars[:, VOLUME].any():
        return "the market is halted: nothing was traded"
    before = _between(klines, outcome.as_of_ms - step, outcome.as_of_ms)
    if len(before) and outcome.entry and abs(before[0, CLOSE] / outcome.entry - 1) > _SAME_PRICE:
        return f"the candles close at {before[0, CLOSE]:g}, the prediction saw {outcome.entry:g}"
    if config.atr_multiple is not None and _atr(outcome, klines) is None:
        return "the history for the true range is missing"
    return None


def _between(klines: Klines, first_ms: int, end_ms: int) -> Floats:
    """Bars whose open time lies in [first_ms, end_ms)."""
    low, high = np.searchsorted(klines.open_ms, [first_ms, end_ms])
    return klines.bars[low:high]


def _atr(outcome: PendingOutcome, klines: Klines) -> float | None:
    """Mean true range of the leading chart's last candles, in price; None if some are missing."""
    lead_ms = outcome.prediction.lead_interval.ms
    first_ms = outcome.lead_end_ms - (ATR_CANDLES + 1) * lead_ms
    low, high = np.searchsorted(klines.open_ms, [first_ms, outcome.lead_end_ms])
    try:
        history = klines[low:high].resample(outcome.prediction.lead_interval)
    except IntervalError:
        return None
    return average_true_range(history.bars, ATR_CANDLES)


def _measure(
    outcome: PendingOutcome,
    klines: Klines,
    fine: Klines | None,
    config: FeedbackConfig,
    now_ms: int,
) -> _Measured:
    entry = outcome.entry or 0.0
    # Target and stop as shares of the entry: fixed, or in units of the chart's volatility.
    target, stop = config.target, config.stop
    if config.atr_multiple is not None:
        target = config.atr_multiple * (_atr(outcome, klines) or 0.0) / entry
        stop = target * config.stop / config.target
    # A neutral prediction is measured as if it were long: its gains are price's own.
    bars = _between(klines, outcome.as_of_ms, outcome.end_ms)
    barriers = Barriers(entry, outcome.prediction.direction.sign or 1, target, stop)
    _, best, worst = barriers.gains(bars)
    verdict = _not_judged(outcome.prediction) or _judge(outcome, klines, fine, barriers, now_ms)
    return _Measured(
        entry=entry,
        move=float(bars[-1, CLOSE] / entry - 1),
        best=float(best.max()),
        worst=float(worst.min()),
        target=target,
        stop=stop,
        width_factor=_width_factor_needed(outcome, klines),
        verdict=verdict,
    )


def _not_judged(prediction: Prediction) -> _Verdict | None:
    """The verdict on a prediction that argued for no direction; None if it did."""
    if prediction.abstained:
        return _Verdict(None, None, "the prediction abstained")
    if prediction.setup is Setup.NONE or not prediction.direction.sign:
        return _Verdict(None, None, f"{prediction.setup} argues for no direction")
    return None


def _judge(
    outcome: PendingOutcome, klines: Klines, fine: Klines | None, barriers: Barriers, now_ms: int
) -> _Verdict:
    interval = klines.interval
    first, row = first_touch(_between(klines, outcome.as_of_ms, outcome.end_ms), barriers)
    if first == "neither":
        reason = f"neither target nor stop within {outcome.horizon}"
        return _Verdict(first, False, reason, on=interval)
    at_ms = outcome.as_of_ms + row * interval.ms
    on = interval
    if first == "ambiguous" and fine is not None and fine.interval.ms < interval.ms:
        first, at_ms, on = _finer(barriers, fine, at_ms, interval, now_ms)
    if first == "ambiguous":
        reason = f"ambiguous: one {on} candle touched target and stop, counted as a loss"
        return _Verdict(first, False, reason, on=on, at_ms=at_ms)
    gain = barriers.target if first == "target" else -barriers.stop
    return _Verdict(first, first == "target", f"{first} {gain:+.2%} came first", on=on, at_ms=at_ms)


def _finer(
    barriers: Barriers, fine: Klines, at_ms: int, interval: Interval, now_ms: int
) -> tuple[Verdict, int, Interval]:
    """Which came first inside one candle; ambiguous where finer candles are missing or disagree."""
    step = fine.interval.ms
    inside = _between(fine, at_ms, min(at_ms + interval.ms, now_ms - step + 1))
    if len(inside) < interval.ms // step:
        return "ambiguous", at_ms, interval
    first, row = first_touch(inside, barriers)
    if first == "neither":
        return "ambiguous", at_ms, interval
    return first, at_ms + row * step, fine.interval


def _width_factor_needed(outcome: PendingOutcome, klines: Klines) -> float | None:
    """The factor for the band's halves at which it just holds the price; at most 1 if it held it.

    Counted at the time and from the close that the band was made for: those of the leading
    chart, which may end a little before `as_of`.
    """
    band = outcome.prediction.outcome.get(outcome.horizon)
    if band is None or outcome.lead is None or not outcome.lead.last_close:
        return None
    close_ms = outcome.lead_end_ms + outcome.horizon.ms
    bars = _between(klines, close_ms - klines.interval.ms, close_ms)
    if not len(bars):
        return None
    # Distance of the close from the band's median, against the half on its side.
    distance = float(bars[-1, CLOSE]) / outcome.lead.last_close - 1 - band.median
    half = band.high - band.median if distance > 0 else band.median - band.low
    return min(_MAX_WIDTH_FACTOR, abs(distance) / half) if half > 0 else _MAX_WIDTH_FACTOR


def _line(outcome: PendingOutcome, measured: _Measured, now_ms: int) -> Feedback:
    prediction, verdict = outcome.prediction, measured.verdict
    band = prediction.outcome.get(outcome.horizon)
    return Feedback(
        symbol=prediction.symbol,
        as_of=prediction.as_of,
        horizon=outcome.horizon,
        interval=prediction.lead_interval,
        setup=prediction.setup,
        direction=prediction.direction,
        phase=prediction.phase,
        confidence=prediction.confidence,
        abstained=prediction.abstained,
        model_version=prediction.model_version,
        index_version=prediction.index_version,
        move=measured.move,
        best=measured.best,
        worst=measured.worst,
        first=verdict.first,
        resolved_on=verdict.on.value if verdict.on else None,
        success=verdict.success,
        covered=None if measured.width_factor is None else measured.width_factor <= 1,
        reason=verdict.reason,
        checked_at=iso(now_ms),
        venue=prediction.venue,
        entry=measured.entry,
        target=measured.target,
        stop=measured.stop,
        first_at=None if verdict.at_ms is None else iso(verdict.at_ms),
        level=band.level if band else None,
        width_factor=measured.width_factor,
        chart=outcome.lead.chart if outcome.lead else None,
    )
