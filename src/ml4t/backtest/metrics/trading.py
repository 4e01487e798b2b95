"""What trading came to: trades, exposure, turnover and cost."""

from __future__ import annotations

import math

import numpy as np

from ml4t.backtest.metrics.arrays import (
    Times,
    checked_years,
    is_known,
    moments,
    number,
    quiet,
    same_length,
    vector,
)
from ml4t.backtest.records import Floats

_NANOSECONDS_A_DAY = 86_400 * 1e9


def hit_rate(pnl: Floats) -> float:
    """Return the share of gains among gains and losses.

    Parameters
    ----------
    pnl : (n,) float
        Profit and loss of trades after costs, in any unit; or returns.

    Returns
    -------
    float
        What is exactly 0 is neither. NaN without a gain or loss, and if one value is NaN.
    """
    values = vector(pnl, "pnl")
    counted = np.count_nonzero(values)
    if not is_known(values, 1) or counted == 0:
        return math.nan
    return float(np.count_nonzero(values > 0.0) / counted)


@quiet
def profit_factor(pnl: Floats) -> float:
    """Return the sum of all gains over that of all losses.

    Parameters
    ----------
    pnl : (n,) float
        Profit and loss of trades after costs, in any unit; or returns.

    Returns
    -------
    float
        0 without a gain. NaN without a loss, and if one value is NaN.
    """
    values = vector(pnl, "pnl")
    lost = -float(np.sum(values[values < 0.0]))
    if not is_known(values, 1) or lost == 0.0:
        return math.nan
    return number(np.sum(values[values > 0.0]) / lost)


def holding_period(entry_times: Times, exit_times: Times) -> float:
    """Return the mean time from entry to exit.

    Parameters
    ----------
    entry_times, exit_times : (n,) datetime64 or int
        UTC, one of each a trade that is closed; integers are nanoseconds since 1970.

    Returns
    -------
    float
        Days of 24 hours. NaN for no trades.
    """
    entries, exits = moments(entry_times, "entry_times"), moments(exit_times, "exit_times")
    same_length(entry_times=entries, exit_times=exits)
    return float(np.mean((exits - entries) / _NANOSECONDS_A_DAY)) if entries.size else math.nan


@quiet
def exposure(gross_exposure: Floats) -> float:
    """Return the mean gross exposure.

    Parameters
    ----------
    gross_exposure : (n,) float
        At every close, a fraction of equity.

    Returns
    -------
    float
        NaN for none, and if one is NaN (there was no equity).
    """
    values = vector(gross_exposure, "gross_exposure")
    return number(np.mean(values)) if is_known(values, 1) else math.nan


def time_in_market(gross_exposure: Floats) -> float:
    """Return the share of bars at whose close something was held.

    Parameters
    ----------
    gross_exposure : (n,) float
        At every close, a fraction of equity.

    Returns
    -------
    float
        NaN for none, and if one is NaN (there was no equity).
    """
    values = vector(gross_exposure, "gross_exposure")
    return float(np.mean(values != 0.0)) if is_known(values, 1) else math.nan


def turnover(traded: Floats, equity: Floats) -> float:
    """Return half of what was traded, over equity.

    Parameters
    ----------
    traded : (n,) float
        Traded value of each fill (or bar), in currency, >= 0.
    equity : (n,) float
        At the close of its bar. What was traded in bars without equity (<= 0) is left out.

    Returns
    -------
    float
        A sum of fractions: 1 is the whole account once, sold and bought. 0 where nothing was
        traded. Over years, it is that of a year.
    """
    return 0.5 * _over_equity(vector(traded, "traded"), equity, "traded")


def cost_bps(costs: Floats, equity: Floats, n_years: float) -> float:
    """Return what costs took of equity in a year.

    Parameters
    ----------
    costs : (n,) float
        Of each fill (or bar), in currency; a gain is negative.
    equity : (n,) float
        At the close of its bar. Costs in bars without equity (<= 0) are left out.
    n_years : float

    Returns
    -------
    float
        Basis points of equity a year. NaN without a span of time.
    """
    span = checked_years(n_years)
    if not span > 0.0:
        return math.nan
    return number(1e4 * _over_equity(vector(costs, "costs"), equity, "costs") / span)


@quiet
def _over_equity(values: Floats, equity: Floats, name: str) -> float:
    levels = vector(equity, "equity")
    same_length(**{name: values, "equity": levels})
    there = ~(levels <= 0.0)
    return number(np.sum(values[there] / levels[there]))
