"""What simple returns of equal periods were worth: Sharpe and Sortino ratio, greatest drawdown.

The definitions are those of the library empyrical; its published values are in the tests.
"""

import math

import numpy as np

from vision_ai.domain import Floats


def sharpe_ratio(returns: Floats, periods_per_year: int) -> float:
    """Mean over sample standard deviation, times the root of the periods in a year.

    NaN where there are fewer than two returns or all are equal.

    >>> round(sharpe_ratio(np.array([0.01, -0.01, 0.02]), 365), 3)
    8.338
    """
    if len(returns) < 2 or not np.ptp(returns) > 0:
        return math.nan
    deviation = float(returns.std(ddof=1))
    ratio = float(returns.mean()) / deviation if deviation > 0 else math.nan
    return ratio * math.sqrt(periods_per_year)


def sortino_ratio(returns: Floats, periods_per_year: int) -> float:
    """Mean return of a year over its downside deviation: the root mean square of the losses.

    Returns without loss count as zero in that mean. NaN where there are fewer than two returns
    or no loss.

    >>> round(sortino_ratio(np.array([0.01, -0.01, 0.02]), 365), 3)
    22.061
    """
    losses = np.minimum(returns, 0.0)
    if len(returns) < 2:
        return math.nan
    downside = math.sqrt(float((losses * losses).mean())) * math.sqrt(periods_per_year)
    return float(returns.mean()) * periods_per_year / downside if downside > 0 else math.nan


def max_drawdown(returns: Floats) -> float:
    """The deepest fall of the compounded capital below its earlier peak, as a negative share.

    The capital before the first return counts as a peak; 0 where it never fell, NaN without
    returns.

    >>> round(max_drawdown(np.array([0.1, -0.2, 0.1])), 3)
    -0.2
    """
    if not len(returns):
        return math.nan
    capital = np.concatenate([[1.0], np.cumprod(1 + returns)])
    peak = np.maximum.accumulate(capital)
    return float(((capital - peak) / peak).min())
