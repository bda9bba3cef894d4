"""What the score is made of, measured on closed candles.

All features look at the side of the prevailing trend: in a falling market "support" is the
ceiling that price falls from, so that a chart and its mirror image score the same. Prices enter
as logarithms and distances in mean true ranges, volume only in ratios: the unit of neither
matters. Every value lies in [0, 1].
"""

import math

import numpy as np

from vision_ai.domain import CLOSE, HIGH, LOW, OPEN, VOLUME, WINDOW, Floats
from vision_ai.measures.indicators import average_true_range

TREND = 48
"""Candles that a trend is fitted to: half a chart."""

FULL_TREND_ATR = 6.0
"""A fitted move of this many true ranges over `TREND` candles is a full trend."""

BEST_PULLBACK, DEEPEST_PULLBACK = 0.382, 0.786
"""Share of the leg given back: the best, and the one from which on the leg has failed."""

FULL_EFFICIENCY_DEVIATIONS = 2.0
"""Standard deviations of a random walk at which a phase counts as fully directed."""


def compute(bars_15m: Floats, bars_1h: Floats | None) -> dict[str, float]:
    """All features of one chart.

    Args:
        bars_15m: float (96, 5), consecutive closed 15m candles, prices above zero.
        bars_1h: float (n, 5), consecutive closed 1h candles, `TREND` at least; None leaves
            `htf_supportive_score` out.

    Returns:
        Each feature by name, in [0, 1].
    """
    sign = trend_sign(bars_15m)
    bars, volume = _oriented(bars_15m, sign), bars_15m[:, VOLUME]
    values = {
        "trend_strength": abs(_trend(bars)),
        "pullback_quality": pullback_quality(bars, volume),
        "support_reaction": support_reaction(bars),
        "liquidity_pattern_score": liquidity_pattern_score(bars, volume),
        "psych_score": psych_score(bars),
        "market_phase_modifier": market_phase_modifier(bars),
    }
    if bars_1h is not None:
        values["htf_supportive_score"] = 0.5 + 0.5 * _trend(_oriented(bars_1h, sign))
    return {name: round(value, 6) for name, value in values.items()}


def trend_sign(bars: Floats) -> int:
    """+1 where the line through the last half of the chart rises, else -1."""
    closes = np.log(bars[-TREND:, CLOSE])
    return 1 if closes @ (np.arange(len(closes)) - (len(closes) - 1) / 2) >= 0 else -1


def _oriented(bars: Floats, sign: int) -> Floats:
    """Log prices, turned upside down where the trend falls: float (n, 4), open to close."""
    logs: Floats = np.log(bars[:, :VOLUME])
    return logs if sign > 0 else -logs[:, [OPEN, LOW, HIGH, CLOSE]]


def _unit(value: float) -> float:
    return min(1.0, max(0.0, value))


def _atr(bars: Floats) -> float:
    """Mean log true range of the newest candles, never zero."""
    return max(average_true_range(bars) or 0.0, 1e-12)


def _line(bars: Floats) -> tuple[float, float, float]:
    """The line through the last closes: slope per candle, value at the last one, correlation."""
    closes = bars[-TREND:, CLOSE]
    steps = np.arange(len(closes)) - (len(closes) - 1) / 2
    centred = closes - closes.mean()
    squares = float(steps @ steps)
    slope = float(centred @ steps) / squares
    spread = math.sqrt(squares * float(centred @ centred))
    correlation = slope * squares / spread if spread > 0 else 0.0
    return slope, float(closes.mean()) + slope * float(steps[-1]), correlation


def _trend(bars: Floats) -> float:
    """Signed strength of the trend, -1 to 1.

    Correlation of the last 48 log closes with time, times the move along their line in true
    ranges over 6, at most 1: a straight line that leads somewhere.
    """
    slope, _, correlation = _line(bars)
    travelled = abs(slope) * (TREND - 1) / _atr(bars)
    return max(-1.0, min(1.0, correlation)) * min(1.0, travelled / FULL_TREND_ATR)


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
    # A triangle over the share given back: 0 at nothing, 1 at the best, 0 at the deepest.
    rise = back / BEST_PULLBACK
    fall = (DEEPEST_PULLBACK - back) / (DEEPEST_PULLBACK - BEST_PULLBACK)
    shape = min(rise, fall)
    # Less where the pullback traded more per candle than the leg did.
    pull_volume = float(volume[peak + 1 :].mean()) if peak + 1 < len(volume) else 0.0
    leg_volume = float(volume[trough : peak + 1].mean())
    quiet_share = min(1.0, leg_volume / pull_volume) if pull_volume > 0 else 1.0
    return _unit(shape) * quiet_share


def support_reaction(bars: Floats) -> float:
    """How price met a support and came back, at the better of two supports.

    These are the floor of the 48 candles before the last 8, and the line through the last 48
    closes. Nearness of the last 8 candles' low to it (1 at it, 0 a true range away) times the
    way back from that low (full at two true ranges); 0 where the close is below it.
    """
    size = _atr(bars)
    low, close = float(bars[-8:, LOW].min()), float(bars[-1, CLOSE])
    back = _unit((close - low) / (2 * size))
    floor, line = float(bars[-56:-8, LOW].min()), _line(bars)[1]
    near = (_unit(1 - abs(low - level) / size) for level in (floor, line) if close >= level)
    return back * max(near, default=0.0)


def liquidity_pattern_score(bars: Floats, volume: Floats) -> float:
    """Whether volume or stops were taken in the trend's favour: the larger of two.

    The tilt of volume: 0 where a quarter or less of the last 24 candles' volume closed with the
    trend, 1 from three quarters on. The sweep: depth in true ranges, at most 1, to which the
    last 12 candles fell below the floor of the 36 before them, if price closed back above it.
    """
    recent, traded = bars[-24:], volume[-24:]
    total = float(traded.sum())
    body = np.sign(recent[:, CLOSE] - recent[:, OPEN])
    share = float((traded * (1 + body) / 2).sum()) / total if total > 0 else 0.5
    floor = float(bars[-48:-12, LOW].min())
    swept = (floor - float(bars[-12:, LOW].min())) / _atr(bars)
    back = bars[-1, CLOSE] > floor
    return max(_unit(2 * share - 0.5), _unit(swept) if back else 0.0)


def psych_score(bars: Floats) -> float:
    """Pressure against the trend: rejection and climax. High is bad.

    Half the mean share of the last 12 candles that is wick beyond the body on the trend's side,
    plus half the climax: the widest of the last 3 candles in true ranges, from 2 to 4.
    """
    recent = bars[-12:]
    ranges = recent[:, HIGH] - recent[:, LOW]
    wicks = recent[:, HIGH] - recent[:, [OPEN, CLOSE]].max(axis=1)
    shares = np.divide(wicks, ranges, out=np.zeros_like(ranges), where=ranges > 0)
    climax = _unit((float(ranges[-3:].max()) / _atr(bars) - 2) / 2)
    return 0.5 * _unit(float(shares.mean())) + 0.5 * climax


def market_phase_modifier(bars: Floats) -> float:
    """How directed the whole chart is, with the trend above one half, against it below.

    Efficiency ratio (Kaufman 1995: net move over the sum of moves) over the standard deviation
    that it has in a random walk; 2 of them are full.
    """
    moves = np.diff(bars[:, CLOSE])
    way = float(np.abs(moves).sum())
    if way <= 0:
        return 0.5
    deviations = float(moves.sum()) / way * math.sqrt(WINDOW - 1)
    return 0.5 + 0.5 * max(-1.0, min(1.0, deviations / FULL_EFFICIENCY_DEVIATIONS))
