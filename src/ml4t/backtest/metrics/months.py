"""Returns of months and years."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ml4t.backtest.errors import InputError
from ml4t.backtest.metrics.arrays import quiet, same_length, vector
from ml4t.backtest.records import Floats, Ints

#: Of the clock by which months and years are meant, without a zone.
Times = NDArray[np.datetime64]


class MonthlyReturns(NamedTuple):
    """Returns by month and year.

    Attributes
    ----------
    years : (n_years,) int
        Every year from the first to the last, also one without a value.
    months : (n_years, 12) float
        Fractions, January first; NaN where the month has no value.
    totals : (n_years,) float
        Of the year; NaN where it has no value.
    """

    years: Ints
    months: Floats
    totals: Floats


def monthly_returns(times: Times, equity: Floats, start: float | None = None) -> MonthlyReturns:
    """Return what equity gained in every month and year.

    Parameters
    ----------
    times : (n,) datetime64
        Increasing, by the clock of the place where a month begins.
    equity : (n,) float
        At these times.
    start : float, optional
        Equity before the first of them, such as the cash that was put in. If it is left out, the
        first month and year begin at the first value.

    Returns
    -------
    MonthlyReturns
        From the last value of the month (or year) before to the last one in it: a month without a
        value has no return, and the next one that has some takes in both. NaN after an equity of
        zero or less. Without rows for an empty equity.

    Raises
    ------
    ValueError
        For times that do not increase, and for another number of them than of values.
    """
    levels = vector(equity, "equity")
    moments = np.asarray(times, dtype="datetime64[ns]")
    same_length(times=moments, equity=levels)
    if np.isnat(moments).any() or (np.diff(moments) <= np.timedelta64(0, "ns")).any():
        raise InputError("times: they do not increase from each to the next; sort them")
    if levels.size == 0:
        return MonthlyReturns(np.zeros(0, np.int64), np.zeros((0, 12)), np.zeros(0))
    base = float(levels[0]) if start is None else float(start)
    month, by_month = _by_period(moments.astype("datetime64[M]").astype(np.int64), levels, base)
    year, by_year = _by_period(moments.astype("datetime64[Y]").astype(np.int64), levels, base)
    # Both count from 1970.
    first_year, n_years = int(year[0]), int(year[-1] - year[0]) + 1
    months = np.full(12 * n_years, np.nan)
    months[month - 12 * first_year] = by_month
    totals = np.full(n_years, np.nan)
    totals[year - first_year] = by_year
    return MonthlyReturns(
        np.arange(n_years) + first_year + 1970, months.reshape(n_years, 12), totals
    )


@quiet
def _by_period(numbers: Ints, levels: Floats, base: float) -> tuple[Ints, Floats]:
    """Return the periods that have values, by number, and the return of each."""
    last = np.flatnonzero(np.diff(numbers, append=numbers[-1] + 1))
    closes = levels[last]
    before = np.concatenate([[base], closes[:-1]])
    found = closes / np.where(before > 0.0, before, np.nan) - 1.0
    return numbers[last], np.where(np.isfinite(found), found, np.nan)
