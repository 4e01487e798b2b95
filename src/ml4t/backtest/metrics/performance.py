"""Return and risk of an equity curve.

Conventions: simple returns per bar; a year has 365.25 days; figures that are not defined (one
bar, no variation) are NaN, without a warning.
"""

from __future__ import annotations

import math

import numpy as np

from ml4t.backtest.records import Floats, Ints

_NANOSECONDS_A_YEAR = 365.25 * 86_400 * 1e9
# A little below that of the largest float.
_LARGEST_LOGARITHM = 709.0


def returns(equity: Floats) -> Floats:
    """Return per bar, (n_bars - 1,): ``equity[t] / equity[t - 1] - 1``; NaN after equity <= 0."""
    before = np.where(equity[:-1] > 0.0, equity[:-1], np.nan)
    result: Floats = equity[1:] / before - 1.0
    return result


def years(times: Ints) -> float:
    """Years between the first and the last time (UTC nanoseconds)."""
    if times.size < 2:
        return 0.0
    return float(times[-1] - times[0]) / _NANOSECONDS_A_YEAR


def periods_per_year(times: Ints) -> float:
    """Bars a year, from the times themselves: about 252 for daily bars; NaN for fewer than two."""
    span = years(times)
    return (times.size - 1) / span if span > 0.0 else math.nan


def total_return(equity: Floats) -> float:
    """Growth from the first to the last close, as a fraction."""
    if equity.size == 0 or equity[0] <= 0.0:
        return math.nan
    return float(equity[-1] / equity[0] - 1.0)


def annual_return(equity: Floats, times: Ints) -> float:
    """Compound annual growth rate; -1 when all is lost.

    NaN without a span of time, and where the rate is beyond all floats: a gain of seconds,
    compounded for a year.
    """
    span = years(times)
    growth = total_return(equity) + 1.0
    if not span > 0.0 or math.isnan(growth):
        return math.nan
    if not growth > 0.0:
        return -1.0
    # Python raises where the power is too large.
    logarithm = math.log(growth) / span
    return growth ** (1.0 / span) - 1.0 if logarithm < _LARGEST_LOGARITHM else math.nan


def volatility(equity: Floats, times: Ints) -> float:
    """Annualised standard deviation of returns (n - 1 in the denominator).

    NaN for fewer than two returns, and where equity was zero or less before the last bar.
    """
    change = returns(equity)
    if change.size < 2:
        return math.nan
    return float(np.std(change, ddof=1) * math.sqrt(periods_per_year(times)))


def sharpe_ratio(equity: Floats, times: Ints) -> float:
    """Annualised mean over standard deviation of returns, risk-free rate 0 (Sharpe 1994).

    NaN for fewer than two returns, without variation, and where equity was zero or less before the
    last bar.
    """
    change = returns(equity)
    if change.size < 2:
        return math.nan
    deviation = float(np.std(change, ddof=1))
    # A constant return has a standard deviation of rounding noise, not of risk.
    if not deviation > 1e-15:
        return math.nan
    return float(np.mean(change)) / deviation * math.sqrt(periods_per_year(times))


def max_drawdown(equity: Floats) -> float:
    """Largest fall from an earlier high, as a fraction <= 0."""
    if equity.size == 0:
        return math.nan
    high = np.maximum.accumulate(equity)
    return float(np.min(equity / np.where(high > 0.0, high, np.nan) - 1.0))
