"""Falls of an equity from its highs."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ml4t.backtest.metrics.arrays import checked_count, number, quiet, vector
from ml4t.backtest.metrics.growth import annual_return
from ml4t.backtest.records import Floats, Ints


class Drawdowns(NamedTuple):
    """Falls from a high and the ways back, one value of each array a drawdown.

    Attributes
    ----------
    peak : (n,) int
        The last value at the high, by its place in the equity.
    valley : (n,) int
        The first of the lowest values.
    recovery : (n,) int
        The first value that is at the high again; -1 for a drawdown that still lasts.
    depth : (n,) float
        From the peak to the valley, a fraction < 0; below -1 where the equity went below zero.
    """

    peak: Ints
    valley: Ints
    recovery: Ints
    depth: Floats

    @property
    def bars_down(self) -> Ints:
        """Bars from the peak to the valley."""
        return self.valley - self.peak

    @property
    def bars_up(self) -> Ints:
        """Bars from the valley to the recovery; -1 for a drawdown that still lasts."""
        return np.where(self.recovery < 0, -1, self.recovery - self.valley)


@quiet
def drawdown(equity: Floats) -> Floats:
    """Return how far equity stands below its highest value so far.

    Parameters
    ----------
    equity : (n,) float

    Returns
    -------
    (n,) float
        Fractions <= 0; -1 where all is lost. NaN before there is a value above zero, and from a
        NaN on.
    """
    levels = vector(equity, "equity")
    high = np.maximum.accumulate(levels)
    found: Floats = levels / np.where(high > 0.0, high, np.nan) - 1.0
    return np.where(np.isfinite(found), found, np.nan)


def max_drawdown(equity: Floats) -> float:
    """Return the largest fall from an earlier high.

    Parameters
    ----------
    equity : (n,) float

    Returns
    -------
    float
        A fraction <= 0: 0 for a single value and for an equity that never falls, -1 where all is
        lost. NaN for no values, for one that begins at zero or less, and if one is NaN.
    """
    depths = drawdown(equity)
    return float(np.min(depths)) if depths.size else math.nan


def drawdown_table(equity: Floats, n: int | None = None) -> Drawdowns:
    """Return the falls from a high, the deepest first.

    Parameters
    ----------
    equity : (n,) float
    n : int, optional
        How many; all of them if it is left out.

    Returns
    -------
    Drawdowns
        Of equal depth the earlier first. Without rows where there is none, and for an empty
        equity; nothing is known from a NaN on.
    """
    depths = drawdown(equity)
    is_below = depths < 0.0
    steps = np.diff(is_below.astype(np.int8), prepend=0, append=0)
    begins, ends = np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)
    valleys = np.array(
        [begin + np.argmin(depths[begin:end]) for begin, end in zip(begins, ends, strict=True)],
        dtype=np.int64,
    )
    order = np.argsort(depths[valleys], kind="stable")
    if n is not None:
        order = order[: checked_count(n, "n", 0)]
    is_back = np.append(~np.isnan(depths), False)[ends]
    recoveries = np.where(is_back, ends, -1)
    return Drawdowns(begins[order] - 1, valleys[order], recoveries[order], depths[valleys[order]])


def calmar_ratio(equity: Floats, n_years: float) -> float:
    """Return the annual return over the size of the largest drawdown.

    Parameters
    ----------
    equity : (n,) float
    n_years : float
        From the first value to the last.

    Returns
    -------
    float
        NaN where one of the two is, and for an equity that never falls.

    Notes
    -----
    Young (1991), Calmar Ratio: A Smoother Tool, Futures 20 (1), has 36 months; here it is the
    whole equity.
    """
    depth = max_drawdown(equity)
    return number(annual_return(equity, n_years) / -depth) if depth < 0.0 else math.nan
