"""Whether a Sharpe ratio is more than luck: the length of the record, its shape, and the search."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np

from ml4t.backtest.errors import InputError, shown
from ml4t.backtest.metrics.arrays import checked_count, checked_periods, number, per_bar, vector
from ml4t.backtest.metrics.risk import sharpe_ratio
from ml4t.backtest.metrics.tails import kurtosis, skewness
from ml4t.backtest.numeric import is_finite, is_real
from ml4t.backtest.records import Floats

_NORMAL = NormalDist()


def sharpe_probability(
    sharpe: float,
    n_returns: int,
    skewness: float = 0.0,
    kurtosis: float = 0.0,
    threshold: float = 0.0,
) -> float:
    """Return the probability that the true Sharpe ratio is above a threshold, from its estimate.

    Parameters
    ----------
    sharpe : float
        As estimated, of a bar: not annualised.
    n_returns : int
        How many returns the estimate is of, at least 2.
    skewness, kurtosis : float
        Of the returns; kurtosis in excess of 3, so that a normal distribution has 0 and 0.
    threshold : float
        Of a bar too.

    Returns
    -------
    float
        NaN where a number is NaN, and for a skewness and kurtosis that cannot go together.

    Notes
    -----
    Bailey and Lopez de Prado (2012), The Sharpe Ratio Efficient Frontier, Journal of Risk 15 (2),
    equation 11. Their gamma 4 is `kurtosis` + 3.
    """
    n = checked_count(n_returns, "n_returns", 2)
    given = {"sharpe": sharpe, "skewness": skewness, "kurtosis": kurtosis, "threshold": threshold}
    for name, value in given.items():
        if not is_real(value):
            raise InputError(f"{name}={shown(value)}: must be a number")
    spread = 1.0 - skewness * sharpe + (kurtosis + 2.0) / 4.0 * sharpe * sharpe
    if not 0.0 < spread < math.inf or not math.isfinite(threshold):
        return math.nan
    return _NORMAL.cdf((sharpe - threshold) * math.sqrt(n - 1.0) / math.sqrt(spread))


def probabilistic_sharpe_ratio(
    returns: Floats,
    periods_per_year: float,
    threshold: float = 0.0,
    risk_free_rate: float = 0.0,
) -> float:
    """Return the probability that the true Sharpe ratio is above a threshold.

    Parameters
    ----------
    returns : (n,) float
        Simple, a bar.
    periods_per_year : float
        Bars a year.
    threshold : float
        Annualised, as `sharpe_ratio` is.
    risk_free_rate : float
        Of a year.

    Returns
    -------
    float
        `sharpe_probability` of the Sharpe ratio, skewness and kurtosis of these returns. NaN for
        fewer than four returns, if one is NaN, and where they do not vary.
    """
    periods = checked_periods(periods_per_year)
    if not is_real(threshold):
        raise InputError(f"threshold={shown(threshold)}: must be a number, an annual Sharpe ratio")
    excess = vector(returns, "returns") - per_bar(risk_free_rate, periods)
    sharpe = sharpe_ratio(excess, 1.0)
    if math.isnan(sharpe) or math.isnan(periods):
        return math.nan
    return sharpe_probability(
        sharpe,
        excess.size,
        skewness(excess),
        kurtosis(excess),
        float(threshold) / math.sqrt(periods),
    )


def expected_max_sharpe(n_trials: int, sharpe_variance: float) -> float:
    """Return the largest Sharpe ratio that is to be expected of trials without any skill.

    Parameters
    ----------
    n_trials : int
        How many independent ones were made.
    sharpe_variance : float
        Variance of their Sharpe ratios, annualised or not: the figure is so too.

    Returns
    -------
    float
        0 for a single trial; NaN for more than a float can count.

    Notes
    -----
    Bailey and Lopez de Prado (2014), The Deflated Sharpe Ratio, Journal of Portfolio Management
    40 (5): the approximation of the expected maximum of so many normal variates around 0.
    """
    n = checked_count(n_trials, "n_trials", 1)
    if not is_real(sharpe_variance) or not is_finite(sharpe_variance) or sharpe_variance < 0.0:
        raise InputError(
            f"sharpe_variance={shown(sharpe_variance)}: must be a finite number, 0 or more"
        )
    if n == 1:
        return 0.0
    # The quantile of 1 - p is less that of p, which is exact where 1 - p is 1 as a float.
    share = 1 / n
    beyond = share / math.e
    if beyond == 0.0:
        return math.nan
    lowest = (1.0 - np.euler_gamma) * _NORMAL.inv_cdf(share)
    lowest += np.euler_gamma * _NORMAL.inv_cdf(beyond)
    return number(-math.sqrt(sharpe_variance) * lowest)


def deflated_sharpe_ratio(
    returns: Floats,
    periods_per_year: float,
    n_trials: int,
    sharpe_variance: float,
    risk_free_rate: float = 0.0,
) -> float:
    """Return the probability of skill in returns that were the best of many trials.

    Parameters
    ----------
    returns : (n,) float
        Of the trial that was chosen; simple, a bar.
    periods_per_year : float
        Bars a year.
    n_trials : int
        How many independent ones were made.
    sharpe_variance : float
        Variance of their annualised Sharpe ratios.
    risk_free_rate : float
        Of a year.

    Returns
    -------
    float
        `probabilistic_sharpe_ratio` above the threshold `expected_max_sharpe`.
    """
    threshold = expected_max_sharpe(n_trials, sharpe_variance)
    return probabilistic_sharpe_ratio(returns, periods_per_year, threshold, risk_free_rate)
