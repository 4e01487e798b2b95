"""Figures of every window of returns, with work that does not grow with the window.

Sums that a window adds to and takes from lose digits: what a large return leaves behind stays. So
returns are cut into blocks of one window each, and a window is the end of one block and the
beginning of the next. The moments of every beginning and every end are built up by additions alone
(Welford 1962) and put together in pairs (Chan, Golub and LeVeque 1983). A NaN reaches only the
windows that it is in.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ml4t.backtest.metrics.arrays import (
    checked_count,
    checked_periods,
    per_bar,
    quiet,
    rounding_of,
    same_length,
    vector,
)
from ml4t.backtest.records import Floats, Ints


class _Moments(NamedTuple):
    """Of runs of pairs of values, one run an element.

    Means, the sums of squares and of products about them, and the largest size of a y.
    """

    mean_x: Floats
    mean_y: Floats
    squares_y: Floats
    products: Floats
    largest: Floats


@quiet
def rolling_volatility(returns: Floats, window: int, periods_per_year: float) -> Floats:
    """Return the volatility of every window.

    Parameters
    ----------
    returns : (n,) float
        Simple, a bar.
    window : int
        Returns in a window, at least 2.
    periods_per_year : float
        Bars a year.

    Returns
    -------
    (n,) float
        `volatility` of the window that ends there. NaN before the first whole window, and for
        windows with a NaN.
    """
    values, periods = vector(returns, "returns"), checked_periods(periods_per_year)
    found = _windows(values, values, window)
    return _known(_deviation(found, window) * np.sqrt(periods))


@quiet
def rolling_sharpe_ratio(
    returns: Floats, window: int, periods_per_year: float, risk_free_rate: float = 0.0
) -> Floats:
    """Return the Sharpe ratio of every window.

    Parameters
    ----------
    returns : (n,) float
        Simple, a bar.
    window : int
        Returns in a window, at least 2.
    periods_per_year : float
        Bars a year.
    risk_free_rate : float
        Of a year.

    Returns
    -------
    (n,) float
        `sharpe_ratio` of the window that ends there. NaN before the first whole window, and for
        windows with a NaN or without variation.
    """
    values, periods = vector(returns, "returns"), checked_periods(periods_per_year)
    excess = values - per_bar(risk_free_rate, periods)
    found = _windows(excess, excess, window)
    deviation = _deviation(found, window)
    deviation[~(deviation > rounding_of(found.largest))] = np.nan
    return _known(found.mean_y / deviation * np.sqrt(periods))


@quiet
def rolling_beta(returns: Floats, benchmark: Floats, window: int) -> Floats:
    """Return the beta of every window.

    Parameters
    ----------
    returns, benchmark : (n,) float
        Simple, of the same bars.
    window : int
        Returns in a window, at least 2.

    Returns
    -------
    (n,) float
        `beta` of the window that ends there. NaN before the first whole window, and for windows
        with a NaN or in which the benchmark does not vary.
    """
    own, other = vector(returns, "returns"), vector(benchmark, "benchmark")
    same_length(returns=own, benchmark=other)
    found = _windows(own, other, window)
    squares = _known(found.squares_y)
    squares[~(np.sqrt(squares / window) > rounding_of(found.largest))] = np.nan
    return _known(found.products / squares)


def _deviation(found: _Moments, window: int) -> Floats:
    return _known(np.sqrt(found.squares_y / (window - 1)))


def _known(values: Floats) -> Floats:
    return np.where(np.isfinite(values), values, np.nan)


def _windows(x: Floats, y: Floats, window: int) -> _Moments:
    """Return the moments of the window that ends at each value, NaN where there is none."""
    width = checked_count(window, "window", 2)
    n = x.size
    n_blocks = -(-n // width)
    # A window ends with a value that is there, so it never takes in what fills the last block.
    filler = np.zeros(n_blocks * width - n)
    x_blocks, y_blocks = (
        np.ascontiguousarray(np.append(values, filler).reshape(-1, width).T) for values in (x, y)
    )
    stop = np.arange(width - 1, n)
    start = stop - width + 1
    beginnings = _beginnings(x_blocks, y_blocks)
    ends = _beginnings(x_blocks[::-1], y_blocks[::-1])
    first = _Moments(*(part[width - 1 - start % width, start // width] for part in ends))
    second = _Moments(*(part[stop % width, stop // width] for part in beginnings))
    together = _Moments(*(np.full(n, np.nan) for _ in first))
    for whole, part in zip(together, _joined(first, second, start % width, width), strict=True):
        whole[stop] = part
    return together


def _beginnings(x: Floats, y: Floats) -> _Moments:
    """Return the moments of every beginning of every column, (width, n_blocks) each."""
    found = _Moments(*(np.empty(x.shape) for _ in _Moments._fields))
    now = _Moments(*(np.zeros(x.shape[1]) for _ in _Moments._fields))
    for j in range(x.shape[0]):
        off_x, off_y = x[j] - now.mean_x, y[j] - now.mean_y
        mean_y = now.mean_y + off_y / (j + 1)
        beyond = y[j] - mean_y
        now = _Moments(
            mean_x=now.mean_x + off_x / (j + 1),
            mean_y=mean_y,
            squares_y=now.squares_y + off_y * beyond,
            products=now.products + off_x * beyond,
            largest=np.maximum(now.largest, np.abs(y[j])),
        )
        for kept, part in zip(found, now, strict=True):
            kept[j] = part
    return found


def _joined(first: _Moments, second: _Moments, n_second: Ints, n: int) -> _Moments:
    """Return the moments of two runs together, of which the second may be empty."""
    share = n_second / n
    weight = (n - n_second) * share
    apart_x, apart_y = second.mean_x - first.mean_x, second.mean_y - first.mean_y
    both = _Moments(
        mean_x=first.mean_x + apart_x * share,
        mean_y=first.mean_y + apart_y * share,
        squares_y=first.squares_y + second.squares_y + apart_y * apart_y * weight,
        products=first.products + second.products + apart_x * apart_y * weight,
        largest=np.maximum(first.largest, second.largest),
    )
    alone = n_second == 0
    return _Moments(*(np.where(alone, a, b) for a, b in zip(first, both, strict=True)))
