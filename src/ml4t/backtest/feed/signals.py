"""Signals: values by time and asset, laid out over the bars of the prices."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml4t.backtest.errors import DataError, with_nearest
from ml4t.backtest.feed.bars import times_series
from ml4t.backtest.feed.checks import Faults, time_text
from ml4t.backtest.feed.long import read_long
from ml4t.backtest.feed.table import Table
from ml4t.backtest.records import Ints


def read_signals(
    source: object, asset_column: str | None, time_column: str | None, prices: Table
) -> dict[str, NDArray[Any]]:
    """Read a long frame of signals into matrices over the bars of the prices.

    Raises
    ------
    ValueError
        For what belongs to no bar, and for whatever `read_long` finds.
    """
    faults = Faults("signals")
    signals = read_long(source, asset_column, time_column, faults, is_prices=False)
    faults.settle()
    index = {name: i for i, name in enumerate(prices.assets)}
    unknown = [name for name in signals.assets if name not in index]
    if unknown:
        raise DataError(
            f"signals: {with_nearest(unknown, prices.assets)} have no prices; drop them or add "
            "their prices"
        )
    rows = bar_numbers(signals.times, signals.time_zone, prices, "signals")
    columns = np.array([index[name] for name in signals.assets])
    has_bar = np.isfinite(prices.columns["close"])
    laid_out = {}
    for name, values in signals.columns.items():
        is_number = values.dtype != object
        matrix = np.full(has_bar.shape, np.nan if is_number else None, dtype=values.dtype)
        matrix[np.ix_(rows, columns)] = values
        present = np.isfinite(matrix) if is_number else _is_something(matrix)
        barless = present & ~has_bar
        if barless.any():
            bar, asset = (int(found[0]) for found in np.nonzero(barless))
            raise DataError(
                f"signals: {int(barless.sum())} values of {name!r} are for an asset that has no "
                f"bar then, the first: {time_text(prices, bar)} {prices.assets[asset]}; drop them"
            )
        laid_out[name] = matrix
    return laid_out


def _is_something(matrix: NDArray[Any]) -> NDArray[np.bool_]:
    """Whether the objects of a matrix are something, which None is not."""
    nothing: Any = None
    found: NDArray[np.bool_] = np.not_equal(matrix, nothing).astype(np.bool_)
    return found


def bar_numbers(times: Ints, time_zone: str | None, prices: Table, what: str) -> Ints:
    """Return the bar of each time; raises for another zone, and for times that are no bar."""
    if time_zone != prices.time_zone:
        raise DataError(
            f"{what}: times are in {time_zone or 'no zone'}, those of prices in "
            f"{prices.time_zone or 'no zone'}; make them agree"
        )
    rows = np.minimum(np.searchsorted(prices.times, times), prices.times.size - 1)
    astray = prices.times[rows] != times
    if astray.any():
        first = times_series(times[astray][:1], time_zone)[0]
        raise DataError(
            f"{what}: {int(astray.sum())} of their times are no bar of prices, the first: "
            f"{first}; keep only rows whose time has a bar"
        )
    return rows
