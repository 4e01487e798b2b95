"""The shape of returns, and their ends."""

from __future__ import annotations

import math

import numpy as np

from ml4t.backtest.metrics.arrays import checked_share, is_known, number, quiet, varies, vector
from ml4t.backtest.records import Floats


@quiet
def value_at_risk(returns: Floats, level: float = 0.05) -> float:
    """Return the return of a bar that is undercut in a share `level` of all bars.

    Parameters
    ----------
    returns : (n,) float
        Simple, a bar.
    level : float
        Share of bars, between 0 and 1.

    Returns
    -------
    float
        The quantile of the returns as they were (historical), linear between two of them: a
        return, so that a loss is negative. NaN for none, and if one is NaN.
    """
    values, share = vector(returns, "returns"), checked_share(level, "level")
    return number(np.quantile(values, share)) if is_known(values, 1) else math.nan


@quiet
def expected_shortfall(returns: Floats, level: float = 0.05) -> float:
    """Return the mean of the returns that are not above the value at risk (CVaR).

    Parameters
    ----------
    returns : (n,) float
        Simple, a bar.
    level : float
        Share of bars, between 0 and 1.

    Returns
    -------
    float
        A return: a loss is negative. NaN for none, and if one is NaN.
    """
    values = vector(returns, "returns")
    found = values[values <= value_at_risk(values, level)]
    return number(np.mean(found)) if found.size else math.nan


@quiet
def skewness(returns: Floats) -> float:
    """Return how lopsided returns are: 0 for a symmetric distribution, negative for a tail of loss.

    Parameters
    ----------
    returns : (n,) float

    Returns
    -------
    float
        The third standardised moment, adjusted for the bias of a sample (G1 of Joanes and Gill
        1998, that of pandas). NaN for fewer than three returns, if one is NaN, and where they do
        not vary.
    """
    score = _scores(returns, 3)
    if score is None:
        return math.nan
    n = score.size
    return number(n / ((n - 1.0) * (n - 2.0)) * np.sum(score**3))


@quiet
def kurtosis(returns: Floats) -> float:
    """Return how heavy the tails of returns are, in excess of 3: 0 for a normal distribution.

    Parameters
    ----------
    returns : (n,) float

    Returns
    -------
    float
        The fourth standardised moment less 3, adjusted for the bias of a sample (G2 of Joanes and
        Gill 1998, that of pandas). NaN for fewer than four returns, if one is NaN, and where they
        do not vary.
    """
    score = _scores(returns, 4)
    if score is None:
        return math.nan
    n = score.size
    weight = n * (n + 1.0) / ((n - 1.0) * (n - 2.0) * (n - 3.0))
    return number(weight * np.sum(score**4) - 3.0 * (n - 1.0) * (n - 1.0) / ((n - 2.0) * (n - 3.0)))


@quiet
def tail_ratio(returns: Floats, level: float = 0.05) -> float:
    """Return the size of the upper quantile over that of the lower one: above 1, gains are larger.

    Parameters
    ----------
    returns : (n,) float
        Simple, a bar.
    level : float
        Share of bars in each tail.

    Returns
    -------
    float
        NaN for no returns, if one is NaN, and where the lower quantile is 0.
    """
    lower = value_at_risk(returns, level)
    upper = value_at_risk(returns, 1.0 - level)
    return number(abs(upper) / abs(lower)) if lower != 0.0 else math.nan


def _scores(returns: Floats, least: int) -> Floats | None:
    """Return standardised returns, None where there are too few or they do not vary."""
    values = vector(returns, "returns")
    if not is_known(values, least):
        return None
    deviation = float(np.std(values, ddof=1))
    if not varies(values, deviation):
        return None
    found: Floats = (values - np.mean(values)) / deviation
    return found
