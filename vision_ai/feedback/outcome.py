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
"""Stands for "no widening helps", as where a band has no width."""

_H_MS = 3_600_000


@dataclass(frozen=True)
class _Verdict:
    """What was touched first and what it was read from."""

    first: Verdict | None
    success: bool | None
    reason: str
    on: Interval | None = None
    at_ms: int | None = None


@dataclass(frozen=True)
class _Figures:
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
    """Measure one horizon of one prediction, or say why it has to wait.

    Args:
        prediction: what was said.
        horizon: how long after it to look.
        klines: candles of its market, 15m or finer, from the candle before `as_of` on (from
            the history of the true range on, where targets are multiples of it).
        fine: finer candles that settle which of target and stop a candle touched first;
            without them such a candle counts as a loss and the line says so.
        config: what counts as success, and when to give up.
        now_ms: the clock; candles that were not closed then are ignored.

    Returns:
        The line for the log (`line` and `check` are set when it is written), or what it waits
        for. After `config.give_up_h` of waiting the line says `success: null` and why.
    """
    return resolve_due(PendingOutcome(prediction, horizon), klines, fine, config, now_ms)


def resolve_due(
    due: PendingOutcome, klines: Klines, fine: Klines | None, config: FeedbackConfig, now_ms: int
) -> Feedback | WaitingOutcome:
    """The same for what `pending` lists."""
    if now_ms < due.end_ms:
        return due.wait(f"its {due.horizon} are over at {iso(due.end_ms)}")
    if due.entry is None or due.entry <= 0:
        reason = "read from a bare picture: there is no price to measure from"
        return _line(due, _Figures(verdict=_Verdict(None, None, reason)), now_ms)
    lack = _lack(due, klines, config, now_ms)
    if lack is not None:
        return expire(due, lack, config, now_ms)
    return _line(due, _measure(due, klines, fine, config, now_ms), now_ms)


def expire(
    due: PendingOutcome, reason: str, config: FeedbackConfig, now_ms: int
) -> Feedback | WaitingOutcome:
    """Keep waiting, or close the case without a verdict after `config.give_up_h`."""
    if now_ms < due.end_ms + config.give_up_h * _H_MS:
        return due.wait(reason)
    verdict = _Verdict(None, None, f"gave up after {config.give_up_h:g} h: {reason}")
    return _line(due, _Figures(entry=due.entry, verdict=verdict), now_ms)


def _lack(due: PendingOutcome, klines: Klines, config: FeedbackConfig, now_ms: int) -> str | None:
    """Why the candles do not suffice, if they do not."""
    step = klines.interval.ms
    if due.as_of_ms % step or due.horizon.ms % step:
        return f"candles of {klines.interval} do not start at {due.prediction.as_of}"
    bars = _between(klines, due.as_of_ms, min(due.end_ms, now_ms - step + 1))
    expected = due.horizon.bars(klines.interval)
    if len(bars) < expected:
        return f"{expected - len(bars)} of {expected} candles of {klines.interval} are missing"
    if not bars[:, VOLUME].any():
        return "the market is halted: nothing was traded"
    before = _between(klines, due.as_of_ms - step, due.as_of_ms)
    if len(before) and due.entry and abs(before[0, CLOSE] / due.entry - 1) > _SAME_PRICE:
        return f"the candles close at {before[0, CLOSE]:g}, the prediction saw {due.entry:g}"
    if config.atr_multiple is not None and _atr(due, klines) is None:
        return "the history for the true range is missing"
    return None


def _between(klines: Klines, first_ms: int, end_ms: int) -> Floats:
    """Bars whose open time lies in [first_ms, end_ms)."""
    low, high = np.searchsorted(klines.open_ms, [first_ms, end_ms])
    return klines.bars[low:high]


def _atr(due: PendingOutcome, klines: Klines) -> float | None:
    """Mean true range of the leading chart's last candles, in price; None if some are missing."""
    lead_ms = due.prediction.lead_interval.ms
    first_ms = due.lead_end_ms - (ATR_CANDLES + 1) * lead_ms
    low, high = np.searchsorted(klines.open_ms, [first_ms, due.lead_end_ms])
    try:
        history = klines[low:high].resample(due.prediction.lead_interval)
    except IntervalError:
        return None
    return average_true_range(history.bars, ATR_CANDLES)


def _measure(
    due: PendingOutcome, klines: Klines, fine: Klines | None, config: FeedbackConfig, now_ms: int
) -> _Figures:
    entry = due.entry or 0.0
    target, stop = config.target, config.stop
    if config.atr_multiple is not None:
        target = config.atr_multiple * (_atr(due, klines) or 0.0) / entry
        stop = target * config.stop / config.target
    bars = _between(klines, due.as_of_ms, due.end_ms)
    barriers = Barriers(entry, due.prediction.direction.sign or 1, target, stop)
    _, best, worst = barriers.gains(bars)
    verdict = _mute(due.prediction) or _order(due, klines, fine, barriers, now_ms)
    return _Figures(
        entry=entry,
        move=float(bars[-1, CLOSE] / entry - 1),
        best=float(best.max()),
        worst=float(worst.min()),
        target=target,
        stop=stop,
        width_factor=_width_factor_needed(due, klines),
        verdict=verdict,
    )


def _mute(prediction: Prediction) -> _Verdict | None:
    """The verdict on a prediction that argued for nothing."""
    if prediction.abstained:
        return _Verdict(None, None, "the prediction abstained")
    if prediction.setup is Setup.NONE or not prediction.direction.sign:
        return _Verdict(None, None, f"{prediction.setup} argues for no direction")
    return None


def _order(
    due: PendingOutcome, klines: Klines, fine: Klines | None, barriers: Barriers, now_ms: int
) -> _Verdict:
    interval = klines.interval
    first, row = first_touch(_between(klines, due.as_of_ms, due.end_ms), barriers)
    if first == "neither":
        reason = f"neither target nor stop within {due.horizon}"
        return _Verdict(first, False, reason, on=interval)
    at_ms = due.as_of_ms + row * interval.ms
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
    """Order inside one candle; stays ambiguous where finer candles lack or disagree."""
    step = fine.interval.ms
    inside = _between(fine, at_ms, min(at_ms + interval.ms, now_ms - step + 1))
    if len(inside) < interval.ms // step:
        return "ambiguous", at_ms, interval
    first, row = first_touch(inside, barriers)
    if first == "neither":
        return "ambiguous", at_ms, interval
    return first, at_ms + row * step, fine.interval


def _width_factor_needed(due: PendingOutcome, klines: Klines) -> float | None:
    """How much wider the band had to be to hold the price; up to 1 where it held it.

    Counted at the time and from the close that the band was made for: those of the leading
    chart, which may end a little before `as_of`.
    """
    band = due.prediction.outcome.get(due.horizon)
    if band is None or due.lead is None or not due.lead.last_close:
        return None
    close_ms = due.lead_end_ms + due.horizon.ms
    bars = _between(klines, close_ms - klines.interval.ms, close_ms)
    if not len(bars):
        return None
    distance = float(bars[-1, CLOSE]) / due.lead.last_close - 1 - band.median
    half = band.high - band.median if distance > 0 else band.median - band.low
    return min(_MAX_WIDTH_FACTOR, abs(distance) / half) if half > 0 else _MAX_WIDTH_FACTOR


def _line(due: PendingOutcome, figures: _Figures, now_ms: int) -> Feedback:
    prediction, verdict = due.prediction, figures.verdict
    band = prediction.outcome.get(due.horizon)
    return Feedback(
        symbol=prediction.symbol,
        as_of=prediction.as_of,
        horizon=due.horizon,
        interval=prediction.lead_interval,
        setup=prediction.setup,
        direction=prediction.direction,
        phase=prediction.phase,
        confidence=prediction.confidence,
        abstained=prediction.abstained,
        model_version=prediction.model_version,
        index_version=prediction.index_version,
        move=figures.move,
        best=figures.best,
        worst=figures.worst,
        first=verdict.first,
        resolved_on=verdict.on.value if verdict.on else None,
        success=verdict.success,
        covered=None if figures.width_factor is None else figures.width_factor <= 1,
        reason=verdict.reason,
        checked_at=iso(now_ms),
        venue=prediction.venue,
        entry=figures.entry,
        target=figures.target,
        stop=figures.stop,
        first_at=None if verdict.at_ms is None else iso(verdict.at_ms),
        level=band.level if band else None,
        width_factor=figures.width_factor,
        chart=due.lead.chart if due.lead else None,
    )
