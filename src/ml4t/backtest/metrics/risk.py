"""How much returns vary, and what is earned for it."""

from __future__ import annotations

import math

import numpy as np

from ml4t.backtest.metrics.arrays import (
    checked_periods,
    is_known,
    number,
    per_bar,
    quiet,
    varies,
    vector,
)
from ml4t.backtest.records import Floats


@quiet
def volatility(returns: Floats, periods_per_year: float) -> float:
    """Return the annualised standard deviation of returns.

    Parameters
    ----------
    returns : (n,) float
        Simple, a bar.
    periods_per_year : float
        Bars a year; 1 leaves the figure as it is.

    Returns
    -------
    float
        With n - 1 in the denominator. NaN for fewer than two returns, and if one is NaN.
    """
    values, periods = vector(returns, "returns"), checked_periods(periods_per_year)
    if not is_known(values, 2):
        return math.nan
    return number(np.std(values, ddof=1) * math.sqrt(periods))


@quiet
def sharpe_ratio(returns: Floats, periods_per_year: float, risk_free_rate: float = 0.0) -> float:
    """Return the annualised mean over standard deviation of excess returns.

    Parameters
    ----------
    returns : (n,) float
        Simple, a bar.
    periods_per_year : float
        Bars a year.
    risk_free_rate : float
        Of a year; every bar gives up the rate that compounds to it.

    Returns
    -------
    float
        NaN for fewer than two returns, if one is NaN, and where they do not vary.

    Notes
    -----
    Sharpe (1994), The Sharpe Ratio, Journal of Portfolio Management 21 (1): mean excess return
    over its standard deviation (n - 1), times the root of the bars a year.
    """
    values, periods = vector(returns, "returns"), checked_periods(periods_per_year)
    excess = values - per_bar(risk_free_rate, periods)
    if not is_known(excess, 2):
        return math.nan
    deviation = float(np.std(excess, ddof=1))
    # A constant return has a standard deviation of rounding noise, not of risk.
    if not varies(excess, deviation):
        return math.nan
    return number(float(np.mean(excess)) / deviation * math.sqrt(periods))


@quiet
def downside_deviation(
    returns: Floats, periods_per_year: float, risk_free_rate: float = 0.0
) -> float:
    """Return the annualised root of the mean squared shortfall.

    Parameters
    ----------
    returns : (n,) float
        Simple, a bar.
    periods_per_year : float
        Bars a year.
    risk_free_rate : float
        Of a year; what falls short of it in a bar counts.

    Returns
    -------
    float
        The mean is over all n bars; 0 where none falls short. NaN for no returns, and if one is
        NaN.
    """
    values, periods = vector(returns, "returns"), checked_periods(periods_per_year)
    excess = values - per_bar(risk_free_rate, periods)
    if not is_known(excess, 1):
        return math.nan
    shortfall = np.minimum(excess, 0.0)
    return number(math.sqrt(np.mean(shortfall * shortfall)) * math.sqrt(periods))


@quiet
def sortino_ratio(returns: Floats, periods_per_year: float, risk_free_rate: float = 0.0) -> float:
    """Return the annualised mean excess return over the downside deviation.

    Parameters
    ----------
    returns : (n,) float
        Simple, a bar.
    periods_per_year : float
        Bars a year.
    risk_free_rate : float
        Of a year; both what is earned and what falls short are against it.

    Returns
    -------
    float
        NaN for fewer than two returns, if one is NaN, and where no bar falls short.

    Notes
    -----
    Sortino and van der Meer (1991), Downside Risk, Journal of Portfolio Management 17 (4).
    """
    values, periods = vector(returns, "returns"), checked_periods(periods_per_year)
    excess = values - per_bar(risk_free_rate, periods)
    if not is_known(excess, 2):
        return math.nan
    downside = downside_deviation(excess, 1.0)
    if not varies(excess, downside):
        return math.nan
    return number(float(np.mean(excess)) / downside * math.sqrt(periods))
