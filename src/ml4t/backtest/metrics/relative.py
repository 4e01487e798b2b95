"""Returns beside those of a benchmark, bar by bar.

Both arrays belong to the same bars: pair them by time first (`Benchmark.paired` does).
"""

from __future__ import annotations

import math

import numpy as np

from ml4t.backtest.metrics.arrays import (
    checked_periods,
    is_known,
    number,
    per_bar,
    quiet,
    same_length,
    varies,
    vector,
)
from ml4t.backtest.metrics.growth import annual_return, compound
from ml4t.backtest.metrics.risk import sharpe_ratio, volatility
from ml4t.backtest.records import Bools, Floats


@quiet
def beta(returns: Floats, benchmark: Floats) -> float:
    """Return the slope of returns on those of a benchmark.

    Parameters
    ----------
    returns, benchmark : (n,) float
        Simple, of the same bars.

    Returns
    -------
    float
        Covariance over the variance of the benchmark. NaN for fewer than two returns, if one is
        NaN, and where the benchmark does not vary.
    """
    moments = _moments(returns, benchmark)
    return number(moments[0] / moments[2]) if moments is not None else math.nan


@quiet
def correlation(returns: Floats, benchmark: Floats) -> float:
    """Return the correlation of returns with those of a benchmark.

    Parameters
    ----------
    returns, benchmark : (n,) float
        Simple, of the same bars.

    Returns
    -------
    float
        Between -1 and 1. NaN for fewer than two returns, if one is NaN, and where one of the two
        does not vary.
    """
    moments = _moments(returns, benchmark)
    if moments is None or not varies(vector(returns, "returns"), math.sqrt(moments[1])):
        return math.nan
    covariance, variance, of_benchmark = moments
    return number(np.clip(covariance / math.sqrt(variance) / math.sqrt(of_benchmark), -1.0, 1.0))


@quiet
def alpha(
    returns: Floats, benchmark: Floats, periods_per_year: float, risk_free_rate: float = 0.0
) -> float:
    """Return what is earned a year beyond what beta explains (Jensen 1968).

    Parameters
    ----------
    returns, benchmark : (n,) float
        Simple, of the same bars.
    periods_per_year : float
        Bars a year.
    risk_free_rate : float
        Of a year.

    Returns
    -------
    float
        ``mean(excess - beta * excess of the benchmark) * periods_per_year``: annualised without
        compounding. NaN where beta is.
    """
    periods = checked_periods(periods_per_year)
    rate = per_bar(risk_free_rate, periods)
    slope = beta(returns, benchmark)
    own, other = vector(returns, "returns") - rate, vector(benchmark, "benchmark") - rate
    return math.nan if math.isnan(slope) else number(np.mean(own - slope * other) * periods)


def tracking_error(returns: Floats, benchmark: Floats, periods_per_year: float) -> float:
    """Return the annualised standard deviation of the difference of returns.

    Parameters
    ----------
    returns, benchmark : (n,) float
        Simple, of the same bars.
    periods_per_year : float
        Bars a year.

    Returns
    -------
    float
        NaN for fewer than two returns, and if one is NaN.
    """
    return volatility(_active(returns, benchmark), periods_per_year)


def information_ratio(returns: Floats, benchmark: Floats, periods_per_year: float) -> float:
    """Return the annualised mean of the difference of returns over the tracking error.

    Parameters
    ----------
    returns, benchmark : (n,) float
        Simple, of the same bars.
    periods_per_year : float
        Bars a year.

    Returns
    -------
    float
        NaN for fewer than two returns, if one is NaN, and where the difference does not vary.
    """
    return sharpe_ratio(_active(returns, benchmark), periods_per_year)


def up_capture(returns: Floats, benchmark: Floats, periods_per_year: float) -> float:
    """Return the annual return over that of the benchmark, both of the bars in which it rose.

    Parameters
    ----------
    returns, benchmark : (n,) float
        Simple, of the same bars.
    periods_per_year : float
        Bars a year.

    Returns
    -------
    float
        The bars compound as if there were no others: above 1, more than the benchmark was earned
        while it rose. NaN if one return is NaN, without such a bar, and where an annual return is
        beyond all floats.
    """
    other = vector(benchmark, "benchmark")
    return _capture(returns, other, other > 0.0, periods_per_year)


def down_capture(returns: Floats, benchmark: Floats, periods_per_year: float) -> float:
    """Return the annual return over that of the benchmark, both of the bars in which it fell.

    Parameters
    ----------
    returns, benchmark : (n,) float
        Simple, of the same bars.
    periods_per_year : float
        Bars a year.

    Returns
    -------
    float
        As `up_capture`: below 1, less than the benchmark was lost while it fell.
    """
    other = vector(benchmark, "benchmark")
    return _capture(returns, other, other < 0.0, periods_per_year)


@quiet
def _capture(returns: Floats, benchmark: Floats, chosen: Bools, periods_per_year: float) -> float:
    own, periods = vector(returns, "returns"), checked_periods(periods_per_year)
    same_length(returns=own, benchmark=benchmark)
    if not is_known(own, 1) or not is_known(benchmark, 1):
        return math.nan
    n_years = np.count_nonzero(chosen) / periods
    of_own = annual_return(compound(own[chosen]), n_years)
    of_benchmark = annual_return(compound(benchmark[chosen]), n_years)
    return number(of_own / of_benchmark) if of_benchmark != 0.0 else math.nan


@quiet
def _active(returns: Floats, benchmark: Floats) -> Floats:
    own, other = vector(returns, "returns"), vector(benchmark, "benchmark")
    same_length(returns=own, benchmark=other)
    found: Floats = own - other
    return found


def _moments(returns: Floats, benchmark: Floats) -> tuple[float, float, float] | None:
    """Return covariance and both variances, None where the benchmark does not vary."""
    own, other = vector(returns, "returns"), vector(benchmark, "benchmark")
    same_length(returns=own, benchmark=other)
    if not is_known(own, 2) or not is_known(other, 2):
        return None
    own_part, other_part = own - np.mean(own), other - np.mean(other)
    variance = float(np.mean(other_part * other_part))
    if not varies(other, math.sqrt(variance)):
        return None
    return float(np.mean(own_part * other_part)), float(np.mean(own_part * own_part)), variance
