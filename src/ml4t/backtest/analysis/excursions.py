"""How far prices went while something was held."""

from __future__ import annotations

import numpy as np

from ml4t.backtest.records import Floats, Ints


def extremes(
    low: Floats, high: Floats, column: Ints, start: Ints, stop: Ints
) -> tuple[Floats, Floats]:
    """Return the lowest low and the highest high of ranges of bars.

    Parameters
    ----------
    low, high : (n_bars, n_assets) arrays
        NaN: no bar.
    column, start, stop : (n_ranges,) arrays
        The asset of a range, its first bar, and the bar after its last.

    Returns
    -------
    lowest, highest : (n_ranges,) arrays
        NaN for a range without a bar.

    Notes
    -----
    Every range is the union of two, which may overlap, whose length is the largest power of two
    that is not longer. Extremes of all ranges of one such length follow from those of half of it,
    so that a range of any length costs the same (sparse table: Bender and Farach-Colton, The LCA
    problem revisited, 2000).
    """
    lowest, highest = np.full(column.size, np.nan), np.full(column.size, np.nan)
    length = stop - start
    _, exponent = np.frexp(length.astype(np.float64))
    level = np.where(length > 0, exponent - 1, -1)
    deepest = level.max(initial=-1)
    for k in range(deepest + 1):
        chosen = np.flatnonzero(level == k)
        at, first, second = column[chosen], start[chosen], stop[chosen] - (1 << k)
        lowest[chosen] = np.fmin(low[first, at], low[second, at])
        highest[chosen] = np.fmax(high[first, at], high[second, at])
        if k < deepest:
            half = 1 << k
            low = np.fmin(low[:-half], low[half:])
            high = np.fmax(high[:-half], high[half:])
    return lowest, highest
