"""Signals: values by time and asset, laid out over the bars of the prices."""

from __future__ import annotations

from typing import Any, Protocol

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
    signals = read_long(source, asset_column, time_column, faults, None)
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


class Timed(Protocol):
    """What has a time for every bar."""

    @property
    def times(self) -> Ints:
        """UTC nanoseconds, increasing."""

    @property
    def time_zone(self) -> str | None:
        """None: the times are naive."""


def bar_numbers(
    times: Ints,
    time_zone: str | None,
    prices: Timed,
    what: str,
    remedy: str = "keep only rows whose time has a bar",
) -> Ints:
    """Return the bar of each time; raises for another zone, and for times that are no bar."""
    check_zone(time_zone, prices.time_zone, what)
    after = np.searchsorted(prices.times, times)
    rows = np.minimum(after, prices.times.size - 1)
    astray = prices.times[rows] != times
    if astray.any():
        first = int(np.argmax(astray))
        around = prices.times[max(after[first] - 1, 0) : after[first] + 1]
        raise DataError(
            f"{what}: {int(astray.sum())} of their times are no bar of prices, the first: "
            f"{times_series(times[first : first + 1], time_zone)[0]} (nearest bars: "
            f"{' and '.join(map(str, times_series(around, time_zone)))}); {remedy}"
        )
    return rows


def check_zone(time_zone: str | None, of_prices: str | None, what: str) -> None:
    """Raise a `DataError` if times are not in the zone of the prices, or one of them is naive."""
    if time_zone != of_prices:
        raise DataError(
            f"{what}: times are in {time_zone or 'no zone'}, those of prices in "
            f"{of_prices or 'no zone'}; make them agree"
        )
