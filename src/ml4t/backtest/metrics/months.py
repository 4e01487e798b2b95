"""Returns of months and years."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ml4t.backtest.errors import InputError, shown
from ml4t.backtest.metrics.arrays import Times, increasing, quiet, same_length, vector
from ml4t.backtest.numeric import finite_or_nan, is_real
from ml4t.backtest.records import Floats, Ints


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


def monthly_returns(
    times: Times, equity: Floats, start: float | None = None, time_zone: str | None = None
) -> MonthlyReturns:
    """Return what equity gained in every month and year.

    Parameters
    ----------
    times : (n,) datetime64 or int
        UTC, increasing; integers are nanoseconds since 1970.
    equity : (n,) float
        At these times.
    start : float, optional
        Equity before the first of them, such as the cash that was put in. If it is left out, the
        first month and year begin at the first value.
    time_zone : str, optional
        Whose calendar says when a month begins, such as "Europe/Berlin". If it is left out, months
        are those of the times as they are.

    Returns
    -------
    MonthlyReturns
        From the last value of the month (or year) before to the last one in it: a month without a
        value has no return, and the next one that has some takes in both. NaN after an equity of
        zero or less. Without rows for an empty equity.

    Raises
    ------
    ValueError
        For times that do not increase, for another number of them than of values, and for a zone
        that is not known.
    """
    levels, moments = vector(equity, "equity"), increasing(times, "times")
    same_length(times=moments, equity=levels)
    if start is not None and not is_real(start):
        raise InputError(f"start={shown(start)}: must be a number, the equity before the first")
    clock = _clock(moments, time_zone)
    if levels.size == 0:
        return MonthlyReturns(np.zeros(0, np.int64), np.zeros((0, 12)), np.zeros(0))
    base = float(levels[0]) if start is None else finite_or_nan(start)
    month, by_month = _by_period(clock.astype("datetime64[M]").astype(np.int64), levels, base)
    year, by_year = _by_period(clock.astype("datetime64[Y]").astype(np.int64), levels, base)
    # Both count from 1970.
    first_year, n_years = int(year[0]), int(year[-1] - year[0]) + 1
    months = np.full(12 * n_years, np.nan)
    months[month - 12 * first_year] = by_month
    totals = np.full(n_years, np.nan)
    totals[year - first_year] = by_year
    return MonthlyReturns(
        np.arange(n_years) + first_year + 1970, months.reshape(n_years, 12), totals
    )


def _clock(moments: Ints, time_zone: str | None) -> NDArray[np.datetime64]:
    """Return what the clocks of a zone show. An hour of it comes twice where clocks go back."""
    if time_zone is None:
        return moments.view("datetime64[ns]")
    try:
        stamps = pl.Series(moments).cast(pl.Datetime("ns", "UTC")).dt.convert_time_zone(time_zone)
    except (pl.exceptions.PolarsError, TypeError):
        raise InputError(
            f'time_zone={shown(time_zone)}: is no name of a zone, such as "Europe/Berlin"'
        ) from None
    return stamps.dt.replace_time_zone(None).to_numpy()


@quiet
def _by_period(numbers: Ints, levels: Floats, base: float) -> tuple[Ints, Floats]:
    """Return the periods that have values, by number, and the return of each."""
    # Where clocks go back over midnight, a period that has begun goes on.
    numbers = np.maximum.accumulate(numbers)
    last = np.flatnonzero(np.diff(numbers, append=numbers[-1] + 1))
    closes = levels[last]
    before = np.concatenate([[base], closes[:-1]])
    found = closes / np.where(before > 0.0, before, np.nan) - 1.0
    return numbers[last], np.where(np.isfinite(found), found, np.nan)
