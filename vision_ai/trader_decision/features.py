"""What the score is made of, measured on closed candles.

All features look at the side of the prevailing trend: in a falling market "support" is the
ceiling that price falls from, so that a chart and its mirror image score the same. Prices enter
as logarithms and distances in mean true ranges, volume only in ratios: the unit of neither
matters. Every value lies in [0, 1].
"""

import math

import numpy as np

from vision_ai.domain import CLOSE, HIGH, LOW, OPEN, VOLUME, WINDOW, Floats

TREND = 48
"""Candles that a trend is fitted to: half a chart."""

FULL_TREND_ATR = 8.0
"""A fitted move of this many true ranges over `TREND` candles is a full trend."""

BEST_PULLBACK, DEEPEST_PULLBACK = 0.382, 0.786
"""Share of the leg given back: the best, and the one from which on the leg has failed."""

ER_LIMIT = 3.0
"""Standard deviations of a random walk at which a phase counts as fully directed."""


def compute(quarters: Floats, hours: Floats | None) -> dict[str, float]:
    """All features of one chart.

    Args:
        quarters: float (96, 5), consecutive closed 15m candles, prices above zero.
        hours: float (n, 5), consecutive closed 1h candles, `TREND` at least; None leaves
            `htf_supportive_score` out.

    Returns:
        Each feature by name, in [0, 1].
    """
    sign = trend_sign(quarters)
    bars, volume = _oriented(quarters, sign), quarters[:, VOLUME]
    found = {
        "trend_strength": abs(_trend(bars)),
        "pullback_quality": pullback_quality(bars, volume),
        "support_reaction": support_reaction(bars),
        "liquidity_pattern_score": liquidity_pattern_score(bars, volume),
        "psych_score": psych_score(bars),
        "market_phase_modifier": market_phase_modifier(bars),
    }
    if hours is not None:
        found["htf_supportive_score"] = 0.5 + 0.5 * _trend(_oriented(hours, sign))
    return {name: round(value, 6) for name, value in found.items()}


def trend_sign(quarters: Floats) -> int:
    """+1 where the line through the last half of the chart rises, else -1."""
    closes = np.log(quarters[-TREND:, CLOSE])
    return 1 if closes @ (np.arange(len(closes)) - (len(closes) - 1) / 2) >= 0 else -1


def _oriented(bars: Floats, sign: int) -> Floats:
    """Log prices, turned upside down where the trend falls: float (n, 4), open to close."""
    logs: Floats = np.log(bars[:, :VOLUME])
    return logs if sign > 0 else -logs[:, [OPEN, LOW, HIGH, CLOSE]]


def _unit(value: float) -> float:
    return min(1.0, max(0.0, value))


def _true_range(bars: Floats, candles: int = 14) -> float:
    """Mean log true range of the newest candles, never zero."""
    newest, before = bars[-candles:], bars[-candles - 1 : -1, CLOSE]
    ranges = np.maximum(newest[:, HIGH], before) - np.minimum(newest[:, LOW], before)
    return max(float(ranges.mean()), 1e-12)


def _trend(bars: Floats) -> float:
    """Signed strength of the trend, -1 to 1.

    R² of the line through the last 48 log closes, times the move along it in true ranges over
    8, at most 1: a straight line that leads somewhere.
    """
    closes = bars[-TREND:, CLOSE]
    steps = np.arange(len(closes)) - (len(closes) - 1) / 2
    centred = closes - closes.mean()
    total = float(centred @ centred)
    if total <= 0:
        return 0.0
    product = float(centred @ steps)
    squares = float(steps @ steps)
    r_squared = product * product / (squares * total)
    travelled = product / squares * (len(closes) - 1) / _true_range(bars)
    return _unit(r_squared) * max(-1.0, min(1.0, travelled / FULL_TREND_ATR))


def pullback_quality(bars: Floats, volume: Floats) -> float:
    """How well the last leg was given back: 1 at 38.2 %, 0 at nothing and from 78.6 % on.

    The leg runs from the chart's lowest low before its highest high to that high. The value is
    cut by leg volume over pullback volume where the pullback traded more per candle.
    """
    peak = int(bars[:, HIGH].argmax())
    trough = int(bars[: peak + 1, LOW].argmin())
    leg = bars[peak, HIGH] - bars[trough, LOW]
    if leg <= 0:
        return 0.0
    back = float((bars[peak, HIGH] - bars[-1, CLOSE]) / leg)
    rising, falling = back / BEST_PULLBACK, (DEEPEST_PULLBACK - back)
    shape = min(rising, falling / (DEEPEST_PULLBACK - BEST_PULLBACK))
    pull_volume = float(volume[peak + 1 :].mean()) if peak + 1 < len(volume) else 0.0
    leg_volume = float(volume[trough : peak + 1].mean())
    calm = min(1.0, leg_volume / pull_volume) if pull_volume > 0 else 1.0
    return _unit(shape) * calm


def support_reaction(bars: Floats) -> float:
    """How price met the floor of the 48 candles before the last 8 and came back.

    Nearness of the last 8 candles' low to that floor (1 at it, 0 a true range away) times the
    way back from that low (full at two true ranges); 0 once the close is through the floor.
    """
    size = _true_range(bars)
    floor = float(bars[-56:-8, LOW].min())
    low = float(bars[-8:, LOW].min())
    close = float(bars[-1, CLOSE])
    if close < floor:
        return 0.0
    return _unit(1 - abs(low - floor) / size) * _unit((close - low) / (2 * size))


def liquidity_pattern_score(bars: Floats, volume: Floats) -> float:
    """Whether volume and stops were taken in the trend's favour.

    0.6 times the share of the last 24 candles' volume that closed with the trend (one half
    where nothing traded), plus 0.4 times the depth, in true ranges, at most 1, to which the
    last 12 candles swept below the floor of the 36 before them and closed back above it.
    """
    recent, traded = bars[-24:], volume[-24:]
    total = float(traded.sum())
    body = np.sign(recent[:, CLOSE] - recent[:, OPEN])
    share = float((traded * (1 + body) / 2).sum()) / total if total > 0 else 0.5
    floor = float(bars[-48:-12, LOW].min())
    swept = floor - float(bars[-12:, LOW].min())
    back = bars[-1, CLOSE] > floor
    return 0.6 * share + 0.4 * (_unit(swept / _true_range(bars)) if back else 0.0)


def psych_score(bars: Floats) -> float:
    """Pressure against the trend: rejection and climax. High is bad.

    Half the mean share of the last 12 candles that is wick beyond the body on the trend's side,
    plus half the climax: the widest of the last 3 candles in true ranges, from 2 to 4.
    """
    recent = bars[-12:]
    ranges = recent[:, HIGH] - recent[:, LOW]
    wicks = recent[:, HIGH] - recent[:, [OPEN, CLOSE]].max(axis=1)
    shares = np.divide(wicks, ranges, out=np.zeros_like(ranges), where=ranges > 0)
    climax = _unit((float(ranges[-3:].max()) / _true_range(bars) - 2) / 2)
    return 0.5 * _unit(float(shares.mean())) + 0.5 * climax


def market_phase_modifier(bars: Floats) -> float:
    """How directed the whole chart is, with the trend above one half, against it below.

    Efficiency ratio (Kaufman 1995: net move over the sum of moves) over the standard deviation
    that it has in a random walk; 3 of them are full.
    """
    moves = np.diff(bars[:, CLOSE])
    way = float(np.abs(moves).sum())
    if way <= 0:
        return 0.5
    deviations = float(moves.sum()) / way * math.sqrt(WINDOW - 1)
    return 0.5 + 0.5 * max(-1.0, min(1.0, deviations / ER_LIMIT))
