"""How far a figure may be off: intervals by the stationary bootstrap."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ml4t.backtest.errors import InputError, shown
from ml4t.backtest.metrics.arrays import (
    checked_count,
    checked_share,
    is_known,
    number,
    quiet,
    varies,
    vector,
)
from ml4t.backtest.numeric import is_finite, is_real
from ml4t.backtest.records import Bools, Floats, Ints


class Interval(NamedTuple):
    """A figure, and where it may lie.

    Attributes
    ----------
    estimate : float
        The figure of the returns as they were.
    low, high : float
        The ends of the interval; NaN where the figure of a resample is not defined.
    block_length : float
        Of the bootstrap: the mean number of bars in a block.
    """

    estimate: float
    low: float
    high: float
    block_length: float


def bootstrap_interval(
    returns: Floats,
    figure: Callable[[Floats], float],
    confidence: float = 0.95,
    n_resamples: int = 1000,
    block_length: float | None = None,
    seed: int = 0,
) -> Interval:
    """Return a confidence interval for any figure of returns.

    Parameters
    ----------
    returns : (n,) float
        Simple, a bar.
    figure : callable
        Takes (n,) returns, returns a float.
    confidence : float
        Between 0 and 1.
    n_resamples : int
        How many series of the same length are drawn.
    block_length : float, optional
        Mean bars in a block, at least 1; 1 takes the bars to be independent. If it is left out:
        `optimal_block_length`.
    seed : int
        The same seed gives the same interval.

    Returns
    -------
    Interval
        From quantile (1 - confidence) / 2 to (1 + confidence) / 2 of the figures of the
        resamples. NaN for fewer than two returns, and if one is NaN.

    Notes
    -----
    Politis and Romano (1994), The Stationary Bootstrap, Journal of the American Statistical
    Association 89: blocks of random length, so that what follows what is kept. The interval says
    how far chance may have moved the figure; it does not know of a search for the best figure, and
    of what the returns have not seen.

    Examples
    --------
    >>> import numpy as np
    >>> from ml4t.backtest.metrics import bootstrap_interval, sharpe_ratio
    >>> daily = np.random.default_rng(1).normal(0.0005, 0.01, 1_000)
    >>> found = bootstrap_interval(daily, lambda r: sharpe_ratio(r, 252))
    >>> found.low < found.estimate < found.high
    True
    """
    values, share = vector(returns, "returns"), checked_share(confidence, "confidence")
    resamples = checked_count(n_resamples, "n_resamples", 1)
    if not callable(figure):
        raise InputError(
            f"figure={shown(figure)}: must be a function of returns, such as volatility"
        )
    if not is_known(values, 2):
        return Interval(math.nan, math.nan, math.nan, math.nan)
    if block_length is None:
        length = optimal_block_length(values)
    elif not is_real(block_length) or not is_finite(block_length) or block_length < 1.0:
        raise InputError(f"block_length={shown(block_length)}: must be a finite number, 1 or more")
    else:
        length = float(block_length)
    rng = np.random.default_rng(checked_count(seed, "seed", 0))
    found = np.array(
        [figure(values[stationary_resample(values.size, length, rng)]) for _ in range(resamples)]
    )
    low, high = math.nan, math.nan
    if is_known(found, 1):
        low, high = np.quantile(found, [0.5 - 0.5 * share, 0.5 + 0.5 * share]).tolist()
    return Interval(number(figure(values)), low, high, length)


def stationary_resample(n: int, block_length: float, rng: np.random.Generator) -> Ints:
    """Draw which bar stands at every place of one resample, (n,).

    With probability 1 / `block_length` a place begins a block, at any bar; else it takes the bar
    after that of the place before, the first one after the last.
    """
    place = np.arange(n)
    begins = rng.random(n) < 1.0 / block_length
    begins[0] = True
    starts = rng.integers(0, n, n)
    since = np.maximum.accumulate(np.where(begins, place, 0))
    found: Ints = (starts[since] + place - since) % n
    return found


@quiet
def optimal_block_length(returns: Floats) -> float:
    """Return the mean block length for which the stationary bootstrap of the mean errs least.

    Parameters
    ----------
    returns : (n,) float

    Returns
    -------
    float
        Bars, from 1 (no dependence) to ``min(3 * sqrt(n), n / 3)``, rounded up. 1 where the returns
        do not vary; NaN for fewer than two, and if one is NaN.

    Notes
    -----
    Politis and White (2004), Automatic Block-Length Selection for the Dependent Bootstrap,
    Econometric Reviews 23 (1), with the correction of Patton, Politis and White (2009), Econometric
    Reviews 28 (4). Autocorrelations are told from 0 by the band ``2 * sqrt(log10(n) / n)``, over
    ``max(5, int(log10(n)))`` lags in a row, the first of them no less than 1, as in the programs
    of Patton and of the package arch.
    """
    values = vector(returns, "returns")
    if not is_known(values, 2):
        return math.nan
    n = values.size
    centred = values - np.mean(values)
    if not varies(values, float(np.std(values))):
        return 1.0
    longest = float(math.ceil(min(3.0 * math.sqrt(n), n / 3.0)))
    in_a_row = max(5, int(math.log10(n)))
    most = min(math.ceil(math.sqrt(n)) + in_a_row, n - 1)
    covariance = np.array([centred[lag:] @ centred[: n - lag] / n for lag in range(most + 1)])
    band = 2.0 * math.sqrt(math.log10(n) / n)
    is_small = np.abs(covariance[1:]) < band * covariance[0]
    width = min(2 * _first_run(is_small, in_a_row), most)
    lags = np.arange(1, width + 1)
    # Flat up to half the width, then straight down to 0.
    taper = np.minimum(1.0, 2.0 * (1.0 - lags / width))
    weighted = taper * covariance[1 : width + 1]
    slope = 2.0 * float(np.sum(weighted * lags))
    spectrum = covariance[0] + 2.0 * float(np.sum(weighted))
    length = float(np.cbrt(slope * slope / (spectrum * spectrum) * n))
    return min(max(length, 1.0), longest) if math.isfinite(length) else longest


def _first_run(is_small: Bools, in_a_row: int) -> int:
    """Return the first lag from which so many are small; beyond the last where there is none."""
    for lag in range(1, is_small.size - in_a_row + 2):
        if is_small[lag - 1 : lag - 1 + in_a_row].all():
            return lag
    return int(is_small.size)
