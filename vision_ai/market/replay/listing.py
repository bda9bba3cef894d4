"""Stored candles as an exchange would show them at a given time: nothing later than that time.

Every answer is computed from candles that were closed by then, plus the open of the candle that
trades at that moment, which is known. So the newest candle of a reply is unfinished, as Bybit's is.
"""

import hashlib
import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from vision_ai.domain import CLOSE, HIGH, LOW, OPEN, VOLUME, Interval, Klines
from vision_ai.errors import KlinesError, VisionError
from vision_ai.market import files, wire

logger = logging.getLogger(__name__)

DAY_MS = 86_400_000
MINUTE_MS = 60_000

MINUTES = {
    "1": 1, "3": 3, "5": 5, "15": 15, "30": 30, "60": 60, "120": 120, "240": 240, "360": 360,
    "720": 720, "D": 1440,
}  # fmt: skip
INTERVALS = (*MINUTES, "W", "M")
"""Bybit's names of candle lengths."""


@dataclass(frozen=True, eq=False)
class Candles:
    """Candles as a reply holds them, oldest first.

    Attributes:
        open_ms: int64 (n,).
        bars: float64 (n, 5).
        turnover: float64 (n,), volume in quote currency.
    """

    open_ms: NDArray[np.int64]
    bars: NDArray[np.float64]
    turnover: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.open_ms)

    def take(self, rows: slice) -> "Candles":
        """Some of the candles."""
        return Candles(self.open_ms[rows], self.bars[rows], self.turnover[rows])


@dataclass(eq=False)
class Market:
    """One symbol of one category; its candles are read from disk when first asked for."""

    symbol: str
    category: str
    read: Callable[[], Klines]
    _klines: Klines | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def klines(self) -> Klines:
        """The finest candles that are stored."""
        with self._lock:
            if self._klines is None:
                self._klines = self.read()
            return self._klines

    def is_open(self, now_ms: int) -> bool:
        """Whether it was listed by then and has not been silent for a day."""
        k = self.klines
        return len(k) > 0 and k.open_ms[0] <= now_ms < k.close_ms[-1] + DAY_MS

    def known(self, now_ms: int) -> Candles:
        """The finest candles at that time; the last is the open price alone if it still trades."""
        k = self.klines
        closed = int(np.searchsorted(k.close_ms, now_ms, side="right"))
        bars = k.bars[: closed + 1].copy()
        if len(bars) > closed and k.open_ms[closed] <= now_ms:
            bars[closed] = [*[bars[closed, OPEN]] * 4, 0.0]
            closed += 1
        bars = bars[:closed]
        # Volume times the mean price: files of candles do not hold the turnover.
        turnover = np.round(bars[:, VOLUME] * bars[:, :VOLUME].mean(axis=1), 4)
        return Candles(k.open_ms[:closed], bars, turnover)

    def candles(self, interval: str, now_ms: int) -> Candles:
        """Candles of one of `INTERVALS` at that time, the last one unfinished.

        A finished candle with a missing part is left out, as `Klines.resample` leaves it out.
        Empty where the stored candles are coarser than the interval.
        """
        known = self.known(now_ms)
        step_ms = self.klines.interval.ms
        start, end = _bucket(known.open_ms, interval)
        if not len(known) or ((end - start) % step_ms).any():
            return known.take(slice(0, 0))
        firsts = np.flatnonzero(np.r_[True, start[1:] != start[:-1]])
        counts = np.diff(np.r_[firsts, len(known)])
        whole = counts * step_ms == (end - start)[firsts]
        whole[-1] |= end[-1] > now_ms
        lasts = firsts + counts - 1
        bars = np.column_stack(
            [
                known.bars[firsts, OPEN],
                np.maximum.reduceat(known.bars[:, HIGH], firsts),
                np.minimum.reduceat(known.bars[:, LOW], firsts),
                known.bars[lasts, CLOSE],
                np.round(np.add.reduceat(known.bars[:, VOLUME], firsts), 8),
            ]
        )
        turnover = np.round(np.add.reduceat(known.turnover, firsts), 4)
        return Candles(start[firsts][whole], bars[whole], turnover[whole])

    def tick(self, now_ms: int) -> float:
        """The smallest price step that the last thousand closes before that time show."""
        closes = self.known(now_ms).bars[-1000:, CLOSE]
        return 10.0 ** -wire.decimals(closes.tolist())


@dataclass(frozen=True)
class Listing:
    """The markets that a replay shows.

    Attributes:
        source: name of the candles' origin, part of the venue of what is fetched from it.
        markets: by (category, symbol).
    """

    source: str
    markets: dict[tuple[str, str], Market]

    @classmethod
    def from_klines(cls, source: str, klines: Iterable[Klines], category: str = "linear") -> Self:
        """A listing of candles in memory."""
        markets = [Market(k.symbol, category, partial(_same, k)) for k in klines]
        return cls(source, {(category, market.symbol): market for market in markets})

    @classmethod
    def from_folder(cls, folder: Path) -> Self:
        """A listing of the candle files of a folder, the finest file of each symbol.

        A venue that ends in `spot` goes to Bybit's category spot, any other to linear.

        Raises:
            KlinesError: no such folder, or no candle file in it.
        """
        paths = files.candle_files(folder)
        paths.sort(key=_coarse_first)
        markets: dict[tuple[str, str], Market] = {}
        for path in paths:  # later, finer files replace earlier ones
            name = files.parse_name(path)
            markets[name.category, name.symbol] = Market(
                name.symbol, name.category, partial(files.read_file, path)
            )
        identity = "|".join(f"{path.name}:{path.stat().st_size}" for path in sorted(paths))
        digest = hashlib.sha256(identity.encode()).hexdigest()[:8]
        return cls(f"replay-{digest}", dict(sorted(markets.items())))

    def market(self, category: str, symbol: str, now_ms: int) -> Market | None:
        """One market, or None where it is not listed by then."""
        market_listing = self.markets.get((category, symbol))
        listed = (
            market_listing is not None
            and len(market_listing.klines)
            and market_listing.klines.open_ms[0] <= now_ms
        )
        return market_listing if listed else None

    def open_markets(self, category: str, now_ms: int) -> list[Market]:
        """The markets of a category that trade at that time, in order of symbol.

        A market whose file is damaged is left out, so that it takes no other down with it.
        """
        return [
            market
            for market in self._readable()
            if market.category == category and market.is_open(now_ms)
        ]

    def first_open_ms(self) -> int:
        """When the oldest candle of all opens; there is one where `last_close_ms` finds one."""
        return min(int(m.klines.open_ms[0]) for m in self._readable() if len(m.klines))

    def last_close_ms(self) -> int:
        """When the newest candle of all closes.

        Raises:
            KlinesError: there is no candle at all.
        """
        closes = [int(m.klines.close_ms[-1]) for m in self._readable() if len(m.klines)]
        if not closes:
            raise KlinesError("There is nothing to replay: no file holds a candle.")
        return max(closes)

    def _readable(self) -> Iterator[Market]:
        for _, market in sorted(self.markets.items()):
            try:
                _ = market.klines
            except VisionError as error:
                logger.warning("event=damaged symbol=%s reason=%s", market.symbol, error.message)
            else:
                yield market


def ticker(market: Market, now_ms: int) -> dict[str, str]:
    """The figures of the last 24 hours, in Bybit's words."""
    known = market.known(now_ms)
    day = known.take(slice(int(np.searchsorted(known.open_ms, now_ms - DAY_MS)), None))
    hour = known.take(slice(int(np.searchsorted(known.open_ms, now_ms - 3_600_000)), None))
    last, tick = float(known.bars[-1, CLOSE]), market.tick(now_ms)
    day_open = float(day.bars[0, OPEN]) if len(day) else last
    row = {
        "symbol": market.symbol,
        "lastPrice": wire.number(last),
        "prevPrice24h": wire.number(day_open),
        "price24hPcnt": wire.number(round(last / day_open - 1, 6)),
        "highPrice24h": wire.number(day.bars[:, HIGH].max(initial=last)),
        "lowPrice24h": wire.number(day.bars[:, LOW].min(initial=last)),
        "turnover24h": wire.number(round(float(day.turnover.sum()), 4)),
        "volume24h": wire.number(round(float(day.bars[:, VOLUME].sum()), 8)),
        "bid1Price": wire.number(round(max(last - tick, tick), 12)),
        "bid1Size": "1",
        "ask1Price": wire.number(round(last + tick, 12)),
        "ask1Size": "1",
    }
    if market.category == "spot":
        return row | {"usdIndexPrice": wire.number(last)}
    hour_open = float(hour.bars[0, OPEN]) if len(hour) else last
    return row | {
        "indexPrice": wire.number(last),
        "markPrice": wire.number(last),
        "prevPrice1h": wire.number(hour_open),
        "openInterest": "0",
        "openInterestValue": "0",
        "fundingRate": "0.0001",
        "nextFundingTime": str((now_ms // 28_800_000 + 1) * 28_800_000),
        "predictedDeliveryPrice": "",
        "basisRate": "",
        "basis": "",
        "deliveryFeeRate": "",
        "deliveryTime": "0",
    }


def instrument(market: Market, now_ms: int) -> dict[str, Any]:
    """The contract's terms, in Bybit's words."""
    quote = next((q for q in ("USDT", "USDC", "USD") if market.symbol.endswith(q)), "")
    base = market.symbol.removesuffix(quote)
    row: dict[str, Any] = {
        "symbol": market.symbol,
        "baseCoin": base,
        "quoteCoin": quote,
        "status": "Trading" if market.is_open(now_ms) else "Closed",
        "priceFilter": {"tickSize": wire.number(market.tick(now_ms))},
        "lotSizeFilter": {"minOrderQty": "0.001", "maxOrderQty": "1000000"},
    }
    if market.category == "spot":
        return row
    return row | {
        "contractType": "LinearPerpetual",
        "settleCoin": quote,
        "launchTime": str(market.klines.open_ms[0]),
        "deliveryTime": "0",
        "deliveryFeeRate": "",
        "isPreListing": False,
    }


def _bucket(
    open_ms: NDArray[np.int64], interval: str
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Start and end of the candle of `interval` that each time lies in."""
    if interval == "M":
        month = open_ms.astype("datetime64[ms]").astype("datetime64[M]")
        edges = (month, month + np.timedelta64(1, "M"))
        start, end = (edge.astype("datetime64[ms]").astype(np.int64) for edge in edges)
        return start, end
    # 1970-01-01 was a Thursday, and weeks begin on Monday
    length, shift = (
        (7 * DAY_MS, 3 * DAY_MS) if interval == "W" else (MINUTES[interval] * MINUTE_MS, 0)
    )
    start = (open_ms + shift) // length * length - shift
    return start, start + length


def _same(klines: Klines) -> Klines:
    return klines


def _coarse_first(path: Path) -> tuple[int, bool, str]:
    name = files.parse_name(path)
    interval = name.interval or Interval.H1
    # of equally fine files, Bybit's own are preferred
    return -interval.ms, name.venue.startswith("bybit"), name.venue
