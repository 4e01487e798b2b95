"""Files that a command is given, read as the library reads them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ml4t.backtest.errors import InputError, MissingExtraError, WeightsError
from ml4t.backtest.execution.decision_times import Schedule, check_schedule, every, on_dates
from ml4t.backtest.feed.bars import times_series
from ml4t.backtest.feed.checks import Faults
from ml4t.backtest.feed.columns import find_column, is_number, times_of, values_of
from ml4t.backtest.feed.datafeed import DataFeed
from ml4t.backtest.feed.frames import Loaded, load
from ml4t.backtest.feed.table import ASSET_COLUMNS, TIME_COLUMNS
from ml4t.backtest.feed.text import decimal_mark
from ml4t.backtest.records import Floats

# Ten times the equity is hardly meant; percents of an account that is invested by a tenth are it.
_MOST_EXPOSURE = 10.0


def find_name(frame: pl.DataFrame, known: tuple[str, ...]) -> str | None:
    """Return the first column that has one of the known names, in any case; None without one."""
    by_name = {name.lower(): name for name in reversed(frame.columns)}
    return next((by_name[name] for name in known if name in by_name), None)


def is_long(frame: pl.DataFrame) -> bool:
    """Whether a frame of prices has a row per time and asset, and not a column per asset."""
    name = find_name(frame, ASSET_COLUMNS)
    # A column of numbers is one of prices, also of an asset that is called SYMBOL.
    return find_name(frame, ("close",)) is not None or (
        name is not None and not is_number(frame[name])
    )


def typed(loaded: Loaded, what: str) -> pl.DataFrame:
    """Return a file as a frame whose columns have the types that the feed would read in them.

    Raises
    ------
    ValueError
        For times and numbers that cannot be read.
    """
    frame, is_text = loaded
    if not is_text:
        return frame
    time, asset = find_name(frame, TIME_COLUMNS), find_name(frame, ASSET_COLUMNS)
    others = [frame[name] for name in frame.columns if name not in (time, asset)]
    mark = decimal_mark(others, what)
    columns = []
    for column in frame.iter_columns():
        if column.name == time:
            faults = Faults(what)
            times, zone = times_of(column, True, faults)
            faults.settle()
            columns.append(times_series(times, zone).alias(column.name))
        elif column.name == asset:
            columns.append(column)
        else:
            columns.append(_typed(column, values_of(column, mark, what)))
    return pl.DataFrame(columns)


def _typed(column: pl.Series, values: Any) -> pl.Series:
    if values.dtype == object:
        return column
    return pl.Series(column.name, values).fill_nan(None)


def read_feed(source: Path | Loaded, checks: str = "raise") -> DataFeed:
    """Return a file of prices, long or wide, as a feed.

    Raises
    ------
    ValueError
        For a file that cannot be read, and for whatever `DataFeed` does not take.
    """
    loaded = load(source, "prices")
    if is_long(loaded.frame):
        return DataFeed(loaded, checks=checks)
    return DataFeed.from_wide(loaded, checks=checks)


def price_frame(path: Path, for_pandas: bool) -> Any:
    """Return a file of prices as a frame, long or wide as it is.

    Parameters
    ----------
    path : Path
    for_pandas : bool
        A pandas frame; a wide one has its times in the index.

    Raises
    ------
    ValueError
        For a file that cannot be read.
    ImportError
        Without pandas, where it is asked for.
    """
    frame = typed(load(path, "prices"), "prices")
    if not for_pandas:
        return frame
    try:
        made = frame.to_pandas()
    except ImportError:
        raise MissingExtraError(
            'pandas frames need pandas and pyarrow; run: pip install "ml4t-backtest[pandas]"'
        ) from None
    if is_long(frame):
        return made
    return made.set_index(find_column(frame.columns, TIME_COLUMNS, None, "prices", "time_column"))


def refuse_percents(matrix: Floats, path: Path, moments: Sequence[datetime | None]) -> None:
    """Raise for weights that can hardly be fractions of equity.

    Each would be cut to the whole account and all of them scaled, to equal weights, without a word.

    Parameters
    ----------
    matrix : ndarray (n_decisions, n_assets)
        Weights, NaN where there is none.
    path : Path
        The file that they are from.
    moments : sequence of datetime or None
        Of the decisions; None: the file does not say.

    Raises
    ------
    ValueError
        If the absolute weights of a decision sum to more than 10.
    """
    with np.errstate(over="ignore"):
        sums = np.nansum(np.abs(matrix), axis=1)
    beyond = np.flatnonzero(sums > _MOST_EXPOSURE)
    if beyond.size:
        moment = moments[int(beyond[0])]
        at = "" if moment is None else f" at {moment}"
        raise WeightsError(
            f"{path}{at}: weights sum to {sums[beyond[0]]:.6g}: are they percent? divide them by "
            "100"
        )


def schedule_of(value: object) -> Schedule:
    """Return when to decide, from what a person has written.

    Parameters
    ----------
    value : str, int or list of dates
        A name that `decision_bars` knows, n for every n-th bar, or dates, which move to the next
        bar.

    Raises
    ------
    ValueError
        For what is none of these.
    """
    if isinstance(value, str) and value.isdecimal():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return every(value)
    if isinstance(value, list):
        return on_dates(value)
    check_schedule(value)
    if not isinstance(value, str):
        raise InputError(f"schedule: {value!r} is none; write a name, a number of bars or dates")
    return value
