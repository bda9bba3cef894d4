"""Figures of trading: what trades earned a day, and how sure that is.

Intervals come from drawing blocks of days
with replacement, all symbols of a day together, since markets move together.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vision_ai.domain import Floats, Ints
from vision_ai.evaluation import card, trades
from vision_ai.evaluation.trades import Trade
from vision_ai.measures import significance
from vision_ai.measures.returns import max_drawdown, sharpe_ratio, sortino_ratio
from vision_ai.measures.significance import Estimate

DAY_MS = 86_400_000

BLOCK_DAYS = 3
"""Days that are drawn together: longer than any trade, and the wilder days come in runs."""

DRAWS = 1000
"""Resamples of each interval."""

DAYS_PER_YEAR = 365
"""Days that a market without weekends trades."""

FIGURES = (
    "hit_rate",
    "expectancy",
    "total_return",
    "sharpe",
    "sortino",
    "max_drawdown",
    "exposure",
    "trades_per_day",
    "fee_share",
)
"""In the order of `DailyLedger.figures`."""

_N, _WON, _NET, _COST, _GAINS, _HELD = range(6)


@dataclass(frozen=True)
class TradedPeriod:
    """Days and symbols that were traded.

    Attributes:
        first_ms: the first decision, UTC milliseconds.
        end_ms: end of the last hour.
        symbols: how many; each has an equal share of the capital.
    """

    first_ms: int
    end_ms: int
    symbols: int

    @property
    def days(self) -> int:
        """UTC days of which it holds a part, with those on which its last trades end."""
        last_ms = self.end_ms + trades.HOLD.ms - 1
        return last_ms // DAY_MS - self.first_ms // DAY_MS + 1


@dataclass(frozen=True, eq=False)
class DailyLedger:
    """Trades summed by the UTC day on which they ended.

    Attributes:
        by_day: float (days, 6): trades, trades that won after costs, net returns, costs, gross
            gains of those that gained, and milliseconds held.
        symbols: how many share the capital.
    """

    by_day: Floats
    symbols: int

    @classmethod
    def of(
        cls, trade_list: Sequence[Trade], period: TradedPeriod, *, fee: float, slippage: float
    ) -> "DailyLedger":
        """Sum trades up, at the given costs."""
        earned = trades.returns(trade_list, fee=fee, slippage=slippage)
        day = np.array(
            [t.exit_ms // DAY_MS - period.first_ms // DAY_MS for t in trade_list], np.int64
        )
        held = np.array([t.held_ms for t in trade_list], float)
        columns = (
            np.ones(len(trade_list)),
            (earned.net > 0).astype(float),
            earned.net,
            earned.cost,
            np.maximum(earned.gross, 0),
            held,
        )
        sums = [np.bincount(day, column, minlength=period.days) for column in columns]
        return cls(np.stack(sums, axis=1), period.symbols)

    @property
    def block(self) -> Ints:
        """Int64 (days,): which days are drawn together."""
        return np.arange(len(self.by_day)) // BLOCK_DAYS

    def figures(self, rows: Ints) -> list[float]:
        """Every figure of the given days, repeats allowed; NaN where it is undefined."""
        days = self.by_day[rows]
        total = days.sum(axis=0)
        daily = days[:, _NET] / self.symbols
        return [
            _ratio(total[_WON], total[_N]),
            _ratio(total[_NET], total[_N]),
            float(np.prod(1 + daily) - 1),
            *risk(daily),
            _ratio(total[_HELD], len(days) * self.symbols * DAY_MS),
            _ratio(total[_N], len(days)),
            _ratio(total[_COST], total[_GAINS]),
        ]


def risk(daily: Floats) -> tuple[float, float, float]:
    """Sharpe and Sortino ratio of a year and the greatest drawdown, from returns of days."""
    if len(daily) < 2 or not np.std(daily) > 0:
        return math.nan, math.nan, 0.0
    return (
        sharpe_ratio(daily, DAYS_PER_YEAR),
        sortino_ratio(daily, DAYS_PER_YEAR),
        max_drawdown(daily),
    )


def estimates(ledger: DailyLedger, *, seed: int = 0, draws: int = DRAWS) -> dict[str, Any]:
    """Every figure with its interval, ready for JSON."""
    figures = significance.bootstrap_all(ledger.figures, ledger.block, draws=draws, seed=seed)
    return {"trades": int(ledger.by_day[:, _N].sum()), **_named(figures)}


def difference(
    ledger: DailyLedger, other: DailyLedger, *, seed: int = 0, draws: int = DRAWS
) -> dict[str, Any]:
    """How far the figures of one lie above those of another on the same drawn days."""

    def measure(rows: Ints) -> list[float]:
        pairs = zip(ledger.figures(rows), other.figures(rows), strict=True)
        return [own - others for own, others in pairs]

    return _named(significance.bootstrap_all(measure, ledger.block, draws=draws, seed=seed))


def sweep(
    trade_list: Sequence[Trade],
    period: TradedPeriod,
    fees: Sequence[float],
    slippages: Sequence[float],
) -> list[dict[str, Any]]:
    """Expectancy with its interval and Sharpe ratio at every pair of costs."""
    rows = []
    for fee in fees:
        for slippage in slippages:
            ledger = DailyLedger.of(trade_list, period, fee=fee, slippage=slippage)
            figures = estimates(ledger, draws=DRAWS // 4)
            shown = {name: figures[name] for name in ("expectancy", "total_return", "sharpe")}
            rows.append({"fee": fee, "slippage": slippage, **shown})
    return rows


def _named(figures: Sequence[Estimate]) -> dict[str, Any]:
    return {
        name: {key: card.rounded(value, 6) for key, value in vars(estimate).items()}
        for name, estimate in zip(FIGURES, figures, strict=True)
    }


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole > 0 else math.nan
