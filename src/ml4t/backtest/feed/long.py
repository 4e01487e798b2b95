"""Long frames (a row per time and asset) to matrices."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ml4t.backtest.errors import DataError, listed
from ml4t.backtest.feed.checks import Faults
from ml4t.backtest.feed.columns import find_column, labels_of, prices_of, times_of, values_of
from ml4t.backtest.feed.frames import load
from ml4t.backtest.feed.table import ASSET_COLUMNS, PRICES, TIME_COLUMNS, Numbers, Table
from ml4t.backtest.feed.text import decimal_mark
from ml4t.backtest.records import Ints


def read_long(
    source: object,
    asset_column: str | None,
    time_column: str | None,
    faults: Faults,
    numbers: Numbers | None,
) -> Table:
    """Spread a long frame out into matrices.

    Parameters
    ----------
    source : dataframe or path
    asset_column, time_column : str or None
        None: the first of the known names that is there, in any case.
    faults : Faults
        Takes what is wrong with single rows; the caller settles it.
    numbers : Numbers or None
        Read these columns alone, by lower-case name, as numbers. None: all columns are read, those
        of strings and bools too.

    Raises
    ------
    ValueError
        For missing columns, no rows, and missing labels.
    """
    what = faults.what
    table, is_text = load(source, what)
    time_name = find_column(table.columns, TIME_COLUMNS, time_column, what, "time_column")
    asset_name = _asset_column(table, asset_column, what, numbers)
    if time_name == asset_name:
        raise DataError(f"{what}: column {time_name!r} cannot hold both times and assets")
    wanted = _wanted(table, (time_name, asset_name), what, numbers)
    if table.height == 0:
        raise DataError(f"{what}: the frame has no rows")
    times, zone = times_of(table[time_name], is_text, faults)
    labels = labels_of(table[asset_name], what)
    unique_times, rows = _rows_of(times)
    assets = tuple(labels.unique().sort().to_list())
    columns = labels.cast(pl.Enum(assets)).to_physical().to_numpy()
    if not _is_sorted(rows, columns):
        faults.add_unsorted()
    shape = (unique_times.size, len(assets))
    cells = rows * shape[1] + columns.astype(np.int64)

    def row_name(i: int) -> str:
        return f"{table[time_name][i]} {labels[i]}"

    if np.count_nonzero(_taken(cells, shape)) < cells.size:
        _note_duplicates(cells, row_name, faults)
    mark = decimal_mark([table[name] for name in wanted.values()], what) if is_text else None
    matrices = {}
    for key, name in wanted.items():
        values: NDArray[Any]
        if numbers is not None:
            values = prices_of(table[name], mark, faults, row_name)
        else:
            values = values_of(table[name], mark, what)
        matrices[key] = _spread(values, cells, shape)
    return Table(unique_times, zone, assets, matrices)


def _asset_column(
    table: pl.DataFrame, asset_column: str | None, what: str, numbers: Numbers | None
) -> str:
    try:
        return find_column(table.columns, ASSET_COLUMNS, asset_column, what, "asset_column")
    except DataError as error:
        if numbers is not PRICES or asset_column is not None:
            raise
        raise DataError(
            f"{error}, or use DataFeed.from_wide for a frame with a column per asset"
        ) from None


def _wanted(
    table: pl.DataFrame, labels: tuple[str, str], what: str, numbers: Numbers | None
) -> dict[str, str]:
    """Return the columns to read, by the name they will have."""
    others = [name for name in table.columns if name not in labels]
    if numbers is None:
        return {name: name for name in others}
    wanted: dict[str, str] = {}
    for name in others:
        key = name.lower()
        if key in wanted:
            raise DataError(
                f"{what}: columns {wanted[key]!r} and {name!r} are both {key}; drop one"
            )
        if key in numbers.known:
            wanted[key] = name
    if numbers.needed not in wanted:
        raise DataError(
            f"{what}: no column {numbers.needed}; columns found: {listed(table.columns, 12)}. "
            f"Rename the column that holds the {numbers.needed}s"
        )
    return wanted


def _rows_of(times: Ints) -> tuple[Ints, Ints]:
    """Return the times that occur, in order, and the number of each row's."""
    steps = np.diff(times)
    if (steps >= 0).all():
        starts = np.concatenate(([True], steps > 0))
        return times[starts], np.cumsum(starts) - 1
    # Polars hashes; np.unique would sort all the rows.
    unique = pl.Series(times).unique().sort().to_numpy().copy()
    return unique, np.searchsorted(unique, times)


def _is_sorted(rows: Ints, columns: NDArray[Any]) -> bool:
    """Whether the rows of each asset are in the order of time, one asset after the other or not."""
    steps = np.diff(rows)
    if (steps >= 0).all():
        return True
    if (columns[1:] < columns[:-1]).any():
        order = np.argsort(columns, kind="stable")
        columns = columns[order]
        steps = np.diff(rows[order])
    return bool(((steps >= 0) | (columns[1:] != columns[:-1])).all())


def _taken(cells: Ints, shape: tuple[int, int]) -> NDArray[np.bool_]:
    taken = np.zeros(shape[0] * shape[1], np.bool_)
    taken[cells] = True
    return taken


def _note_duplicates(cells: Ints, row_name: Any, faults: Faults) -> None:
    _, firsts, counts = np.unique(cells, return_index=True, return_counts=True)
    twice = np.sort(firsts[counts > 1])
    faults.add(
        "duplicate (time, asset), pairs that appear more than once",
        int(twice.size),
        [row_name(int(i)) for i in twice[:3]],
        "Drop the duplicates",
    )


def _spread(values: NDArray[Any], cells: Ints, shape: tuple[int, int]) -> NDArray[Any]:
    if values.dtype == object:
        matrix: NDArray[Any] = np.full(shape, None, dtype=object)
    else:
        matrix = np.full(shape, np.nan)
    matrix.ravel()[cells] = values
    return matrix
