"""Context: values of a time that belong to no asset."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml4t.backtest.errors import DataError, listed
from ml4t.backtest.feed.checks import Faults
from ml4t.backtest.feed.columns import find_column, times_of, values_of
from ml4t.backtest.feed.frames import load
from ml4t.backtest.feed.signals import bar_numbers
from ml4t.backtest.feed.table import ASSET_COLUMNS, TIME_COLUMNS, Table
from ml4t.backtest.feed.text import decimal_mark
from ml4t.backtest.records import Ints

_NOTHING: Mapping[str, Any] = MappingProxyType({})


class Context:
    """Values by bar; what a bar has none of is not there.

    Parameters
    ----------
    rows : (n,) int64
        The bar of each row of values.
    columns : dict of name to (n,) array
        Floats (NaN: no value) or objects (None: no value).

    Attributes
    ----------
    rows, columns
        As they came.
    """

    def __init__(self, rows: Ints, columns: Mapping[str, NDArray[Any]]) -> None:
        self._row_of = {bar: i for i, bar in enumerate(rows.tolist())}
        self.rows = rows
        self.columns = dict(columns)

    def at(self, bar: int) -> Mapping[str, Any]:
        """Return the values of exactly that bar; empty where there are none."""
        row = self._row_of.get(bar)
        if row is None:
            return _NOTHING
        values = {name: column.item(row) for name, column in self.columns.items()}
        # NaN is not equal to itself.
        return MappingProxyType({name: v for name, v in values.items() if v is not None and v == v})


def read_context(source: object, time_column: str | None, prices: Table) -> Context:
    """Read a frame with a row per time.

    Raises
    ------
    ValueError
        Without times, with times that are there twice or are no bar of the prices, and for a
        frame that has assets.
    """
    what = "context"
    table, is_text = load(source, what)
    time_name = find_column(table.columns, TIME_COLUMNS, time_column, what, "time_column")
    names = [name for name in table.columns if name != time_name]
    of_assets = [name for name in names if name.lower() in ASSET_COLUMNS]
    if of_assets:
        raise DataError(
            f"{what}: column {of_assets[0]!r} says that values belong to assets; pass the frame as "
            "signals=, or rename the column"
        )
    if not names or table.height == 0:
        raise DataError(
            f"{what}: the frame has {table.height} rows and {len(names)} columns besides "
            f"{time_name!r}; leave context out if there is none"
        )
    faults = Faults(what)
    times, zone = times_of(table[time_name], is_text, faults)
    if (np.diff(times) < 0).any():
        faults.add_unsorted()
    faults.settle()
    unique, firsts, counts = np.unique(times, return_index=True, return_counts=True)
    twice = firsts[counts > 1]
    if twice.size:
        shown = listed([str(table[time_name][int(i)]) for i in twice[:3]])
        raise DataError(
            f"{what}: {twice.size} times appear more than once, the first: {shown}; keep one row "
            "per time"
        )
    rows = bar_numbers(unique, zone, prices, what)
    mark = decimal_mark([table[name] for name in names], what) if is_text else None
    columns = {name: values_of(table[name], mark, what)[firsts] for name in names}
    return Context(rows, columns)
