"""Equity, its returns, and what it grows by."""

from __future__ import annotations

import math

import numpy as np

from ml4t.backtest.metrics.arrays import (
    Times,
    checked_years,
    increasing,
    number,
    quiet,
    vector,
)
from ml4t.backtest.records import Floats

_NANOSECONDS_A_YEAR = 365.25 * 86_400 * 1e9
# A little below that of the largest float.
_LARGEST_LOGARITHM = 709.0


@quiet
def simple_returns(equity: Floats) -> Floats:
    """Return what each bar added: ``equity[t] / equity[t - 1] - 1``.

    Parameters
    ----------
    equity : (n,) float
        Or any level, such as a price.

    Returns
    -------
    (n - 1,) float
        Fractions; of a single value and of none, none. NaN after an equity that is zero or less,
        beside a NaN, and where the ratio is beyond all floats.
    """
    levels = vector(equity, "equity")
    before = np.where(levels[:-1] > 0.0, levels[:-1], np.nan)
    found = levels[1:] / before - 1.0
    return np.where(np.isfinite(found), found, np.nan)


@quiet
def compound(returns: Floats) -> Floats:
    """Return the equity that returns make of 1: the inverse of `simple_returns`.

    Parameters
    ----------
    returns : (n,) float
        Fractions a bar.

    Returns
    -------
    (n + 1,) float
        1 first. NaN from a NaN on.
    """
    grown = np.cumprod(1.0 + vector(returns, "returns"))
    return np.concatenate([[1.0], np.where(np.isfinite(grown), grown, np.nan)])


def years(times: Times) -> float:
    """Return the years between the first and the last time.

    Parameters
    ----------
    times : (n,) datetime64 or int
        UTC, increasing; integers are nanoseconds since 1970.

    Returns
    -------
    float
        A year has 365.25 days. 0 for fewer than two times.
    """
    found = increasing(times, "times")
    return float(found[-1] - found[0]) / _NANOSECONDS_A_YEAR if found.size else 0.0


def periods_per_year(times: Times) -> float:
    """Return how many bars a year has, by the times themselves.

    Parameters
    ----------
    times : (n,) datetime64 or int
        UTC, increasing; integers are nanoseconds since 1970.

    Returns
    -------
    float
        About 252 for daily bars of stocks. NaN for fewer than two times.
    """
    span = years(times)
    return (len(times) - 1) / span if span > 0.0 else math.nan


def total_return(equity: Floats) -> float:
    """Return the growth from the first value to the last.

    Parameters
    ----------
    equity : (n,) float

    Returns
    -------
    float
        A fraction; 0 for one value. NaN for none, and where the first is zero or less.
    """
    return number(_growth(equity) - 1.0)


def annual_return(equity: Floats, n_years: float) -> float:
    """Return the compound annual growth rate (CAGR).

    Parameters
    ----------
    equity : (n,) float
    n_years : float
        From the first value to the last: `years` of its times, or bars over bars a year.

    Returns
    -------
    float
        ``(last / first) ** (1 / n_years) - 1``; -1 when all is lost, or more than all. NaN without
        a span of time, for an empty equity or one that begins at zero or less, and where the rate
        is beyond all floats: a gain of seconds, compounded for a year.
    """
    growth, span = number(_growth(equity)), checked_years(n_years)
    if not span > 0.0 or math.isnan(growth):
        return math.nan
    if not growth > 0.0:
        return -1.0
    # Python raises where the power is too large.
    logarithm = math.log(growth) / span
    return growth ** (1.0 / span) - 1.0 if logarithm < _LARGEST_LOGARITHM else math.nan


@quiet
def _growth(equity: Floats) -> float:
    """Return the last value over the first, NaN where that says nothing."""
    levels = vector(equity, "equity")
    if levels.size == 0 or not levels[0] > 0.0:
        return math.nan
    return float(levels[-1] / levels[0])
