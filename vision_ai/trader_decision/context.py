"""The context dict that callers hand over: checked first, then completed from candles."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

from vision_ai.domain import Interval, Klines, iso, parse_symbol
from vision_ai.errors import InputError, KlinesError, TransientError
from vision_ai.trader_decision import features
from vision_ai.trader_decision.rules import SIGNED, WEIGHTS

Loader = Callable[[str, Interval], Klines]
"""Fetches the newest candles of a symbol; may raise errors of `vision_ai.errors`."""

_HIGHER_TIMEFRAME = "htf_supportive_score"


@dataclass
class Context:
    """What a decision starts from.

    Attributes:
        symbol: checked symbol.
        values: features by name; those that are neither given nor computed are absent.
        reasons: what was computed, and what could not be and why.
    """

    symbol: str
    values: dict[str, float]
    reasons: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class CandleSource:
    """Where candles come from, and which of them count.

    Attributes:
        given: candles in the context, by interval.
        loader: fetches what is not given; None fetches nothing.
        now_ms: the clock; later candles are ignored.
        stale_after_h: candles older than this are not used.
    """

    given: Mapping[Interval, Klines]
    loader: Loader | None
    now_ms: int
    stale_after_h: float

    def closed(self, symbol: str, interval: Interval) -> Klines:
        """The candles of an interval that are closed.

        Raises:
            KlinesError: there are none, or the newest is too old.
            InputError, TransientError: the loader's own.
        """
        klines = self.given.get(interval)
        if klines is None and self.loader is not None:
            klines = self.loader(symbol, interval)
        if klines is None:
            raise KlinesError(f"no {interval} candles were given.")
        past = klines.until(self.now_ms)
        last_ms = int(past.close_ms[-1]) if len(past) else 0
        if self.now_ms - last_ms > self.stale_after_h * 3_600_000:
            raise KlinesError(f"the {interval} candles end at {iso(last_ms)}, too old to judge by.")
        return past


def read(ctx: object, loader: Loader | None, now_ms: int, stale_after_h: float) -> Context:
    """Check a context dict and compute the features that it lacks; it is not changed.

    Raises:
        InputError: no dict, no valid symbol, a feature that is no number in its range, or
            candles that are no `Klines` of that symbol and interval.
    """
    if not isinstance(ctx, dict):
        raise InputError(
            f"The context must be a dict, was {type(ctx).__name__}.",
            hint='Pass at least {"symbol": "BTCUSDT"}.',
        )
    symbol = _symbol(ctx)
    values = {name: value for name in WEIGHTS if (value := _feature(ctx, name)) is not None}
    source = CandleSource(_given_klines(ctx, symbol), loader, now_ms, stale_after_h)
    context = Context(symbol, values)
    if len(values) < len(WEIGHTS):
        _add_computed(context, source)
    return context


def _symbol(ctx: Mapping[str, Any]) -> str:
    symbol = ctx.get("symbol")
    if not isinstance(symbol, str):
        raise InputError(
            f"The context needs a symbol: expected text, was {symbol!r:.40}.",
            hint='Pass {"symbol": "BTCUSDT", ...}.',
        )
    return parse_symbol(symbol)


def _feature(ctx: Mapping[str, Any], name: str) -> float | None:
    value = ctx.get(name)
    if value is None:
        return None
    low = -1.0 if name in SIGNED else 0.0
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not (is_number and low <= value <= 1):
        raise InputError(
            f"{name} must be a number from {low:g} to 1, was {_formatted(value)}.",
            hint="Leave it out to have it computed from candles.",
        )
    return float(value)


def _formatted(value: object) -> str:
    if isinstance(value, int) and abs(value) > 10**30:
        return "a huge integer"  # Python refuses to print some
    return f"{value!r:.40}"


def _given_klines(ctx: Mapping[str, Any], symbol: str) -> dict[Interval, Klines]:
    given = ctx.get("klines")
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise InputError(
            f"klines must map 15m and 1h to candles, was {type(given).__name__}.",
            hint='Pass {"klines": {"15m": Klines, "1h": Klines}}.',
        )
    by_interval: dict[Interval, Klines] = {}
    for name, klines in given.items():
        if name not in list(Interval) or not isinstance(klines, Klines):
            raise InputError(
                f"klines[{name!r:.20}] must be Klines of a known interval, "
                f"was {type(klines).__name__}."
            )
        if klines.symbol != symbol or klines.interval != name:
            raise InputError(
                f"klines[{name!r:.20}] are of {klines.symbol} {klines.interval}: "
                f"expected {symbol} {name}."
            )
        by_interval[Interval(name)] = klines
    return by_interval


def _add_computed(context: Context, source: CandleSource) -> None:
    """Add the features that candles give, and a reason for each that they do not."""
    lacking = [name for name in WEIGHTS if name not in context.values]
    try:
        bars_15m = source.closed(context.symbol, Interval.M15)
        window = bars_15m.last_window(source.now_ms)
    except (InputError, TransientError) as error:
        context.reasons.append(f"Counted as 0: {', '.join(lacking)}, because {error.message}")
        return
    bars_1h = _bars_1h(context, source, bars_15m) if _HIGHER_TIMEFRAME in lacking else None
    computed = features.compute(window.bars, None if bars_1h is None else bars_1h.bars)
    context.values |= {name: computed[name] for name in lacking if name in computed}
    is_up = features.trend_sign(window.bars) > 0
    side = "up: joining means long" if is_up else "down: joining means short"
    context.reasons.append(f"The trend points {side}")
    listed = ", ".join(f"{name} {computed[name]:.2f}" for name in lacking if name in computed)
    if listed:
        context.reasons.append(
            f"Computed from candles until {iso(int(window.close_ms[-1]))}: {listed}"
        )


def _bars_1h(context: Context, source: CandleSource, bars_15m: Klines) -> Klines | None:
    """The last 48 hourly candles, made of 15m candles where no 1h candles are available."""
    try:
        hourly = source.closed(context.symbol, Interval.H1)
    except (InputError, TransientError):
        hourly = bars_15m.resample(Interval.H1)
    newest = hourly[max(0, len(hourly) - features.TREND) :]
    if len(newest) < features.TREND or newest.gaps():
        context.reasons.append(
            f"Counted as 0: {_HIGHER_TIMEFRAME}, "
            f"because {features.TREND} hours without a gap are needed"
        )
        return None
    return newest
