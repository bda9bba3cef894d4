"""Charts to measure on: drawn from candles that the model has not seen, and proven to be so.

A chart is left out where its time, from its first candle to its last outcome, touches a time that
the model learned from or was calibrated on, widened by an embargo: markets move together, so that
holds for every symbol. What is left is checked again by `purge.check_clear`.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from vision_ai.domain import HIGH, LOW, VOLUME, Bools, Ints, Klines, Labels, Outcomes
from vision_ai.errors import KlinesError, LeakError
from vision_ai.labels import rules
from vision_ai.measures import purge, targets
from vision_ai.measures.purge import Extent, Spans, SplitRule


@dataclass(frozen=True)
class VenueCandles:
    """Candles of one symbol and interval, and where they traded."""

    venue: str
    klines: Klines


@dataclass(frozen=True, eq=False)
class ChartSample:
    """n charts with what they show and what followed.

    Attributes:
        bars: float64 (n, 96, 5).
        spans: the time that each occupies.
        venue: str (n,).
        labels: what the rule book says of each.
        outcomes: what followed each.
        considered: how many windows the candles hold.
        leaking: how many of those were left out, as they share time with training.
        data: SHA-256 over the digests of the candles.
    """

    bars: NDArray[np.float64]
    spans: Spans
    venue: NDArray[np.str_]
    labels: Labels
    outcomes: Outcomes
    considered: int
    leaking: int
    data: str

    def __len__(self) -> int:
        return len(self.bars)

    @classmethod
    def of(
        cls,
        markets: Sequence[VenueCandles],
        seen: Sequence[Extent],
        rule: SplitRule,
        *,
        limit: int,
        seed: int = 0,
    ) -> Self:
        """Draw up to `limit` charts at random, as many of each market; equal seeds draw equally.

        Args:
            markets: candles of 15m or 1h.
            seen: what the model has learned from, and what its calibration was fitted on.
            rule: how far a chart must lie from those.
            limit: how many charts in all.
            seed: which charts.

        Raises:
            KlinesError: the candles hold no chart.
            LeakError: every chart leaks.
        """
        share, left = divmod(limit, len(markets))
        parts = [
            _draw(market, seen, rule, share + (number < left), seed)
            for number, market in enumerate(markets)
        ]
        considered = sum(part.considered for part in parts)
        leaking = sum(part.leaking for part in parts)
        parts = [part for part in parts if len(part.ends)]
        if not parts:
            _refuse(considered, leaking, seen)
        spans = Spans.concatenate([part.spans for part in parts])
        purge.check_clear(seen, spans, rule)
        bars = np.concatenate([part.market.klines.windows(part.ends) for part in parts])
        return cls(
            bars=bars,
            spans=spans,
            venue=np.repeat([p.market.venue for p in parts], [len(p.ends) for p in parts]),
            labels=rules.label(bars),
            outcomes=Outcomes.concatenate(
                [targets.forward_outcomes(p.market.klines, p.ends) for p in parts]
            ),
            considered=considered,
            leaking=leaking,
            data=_digest(markets),
        )


@dataclass(frozen=True, eq=False)
class _MarketDraw:
    market: VenueCandles
    ends: Ints
    spans: Spans
    considered: int
    leaking: int


def _draw(
    market: VenueCandles, seen: Sequence[Extent], rule: SplitRule, quota: int, seed: int
) -> _MarketDraw:
    klines = market.klines
    ends = klines.window_ends()
    is_clear = purge.is_clear(seen, _spans(klines, ends), rule)
    # seeded by the market's name, so that other markets change no draw
    name = f"{seed}|{market.venue}|{klines.symbol}|{klines.interval}"
    rng = np.random.default_rng(int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big"))
    clear = ends[is_clear]
    drawn = np.sort(rng.choice(clear, min(quota, len(clear)), replace=False))
    drawn = drawn[_is_traded(klines, drawn)]
    return _MarketDraw(market, drawn, _spans(klines, drawn), len(ends), int((~is_clear).sum()))


def _spans(klines: Klines, ends: Ints) -> Spans:
    n = len(ends)
    close_ms = klines.close_ms[ends]
    return Spans.at([klines.symbol] * n, [klines.interval.value] * n, close_ms)


def _is_traded(klines: Klines, ends: Ints) -> Bools:
    """Which windows a live market could show: a price that moves and at least one trade."""
    bars = klines.windows(ends)
    range_ = bars[:, :, HIGH].max(axis=1) > bars[:, :, LOW].min(axis=1)
    moving: Bools = range_ & (bars[:, :, VOLUME].max(axis=1) > 0)
    return moving


def _refuse(considered: int, leaking: int, seen: Sequence[Extent]) -> None:
    if leaking < considered or not considered:
        raise KlinesError(
            "The candles hold no chart: expected 96 candles of 1h or finer without a gap, "
            "and a price that moves.",
            hint="Give longer histories, or other symbols.",
        )
    named = "; ".join(extent.described for extent in seen)
    raise LeakError(
        f"All {considered} charts share time with what the model has seen: {named}.",
        hint="Give candles of another time; other symbols at the same time leak as well.",
    )


def _digest(markets: Sequence[VenueCandles]) -> str:
    digests = sorted(f"{market.venue}|{market.klines.digest}" for market in markets)
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()
