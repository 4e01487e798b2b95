"""Frames of any kind to arrays. Data changes form here once and does not turn back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import narwhals as nw
import numpy as np
import polars as pl

from ml4t.backtest.errors import DataError, listed
from ml4t.backtest.records import Floats, Ints

TIME_COLUMNS = ("timestamp", "date", "datetime")
ASSET_COLUMNS = ("symbol", "asset", "ticker")
# 64-bit nanoseconds reach a little further on both sides.
_FIRST_YEAR, _LAST_YEAR = 1678, 2261
PRICE_COLUMNS = ("open", "high", "low", "close", "volume", "vwap")


class Table(NamedTuple):
    """Matrices (n_bars, n_assets) by column name, with their labels."""

    times: Ints
    time_zone: str | None
    assets: tuple[str, ...]
    columns: dict[str, Floats]


def to_polars(frame: object, what: str) -> pl.DataFrame:
    """Return any dataframe that narwhals knows as a polars one, a pandas index as columns."""
    if isinstance(frame, pl.DataFrame):
        return frame
    native: Any = frame
    labels = [str(column) for column in getattr(native, "columns", ())]
    repeated = sorted({label for label in labels if labels.count(label) > 1})
    if repeated:
        raise DataError(f"{what}: columns {listed(repeated)} appear more than once; rename them")
    names = getattr(getattr(native, "index", None), "names", None)
    if names is not None and hasattr(native, "reset_index"):
        if any(name is not None for name in names):
            native = native.reset_index()
        elif hasattr(native.index, "tz") or hasattr(native.index, "year"):
            native = native.rename_axis(index="timestamp").reset_index()
    try:
        known = nw.from_native(native, eager_only=True)
    except TypeError:
        raise DataError(
            f"{what}: a {type(frame).__name__} is not a dataframe; pass a polars or pandas frame"
        ) from None
    strange = [column for column in known.columns if not isinstance(column, str)]
    if strange:
        raise DataError(f"{what}: column names {listed(strange)} are not strings; rename them")
    converted: pl.DataFrame = known.to_polars()
    return converted


def find_column(
    columns: Iterable[str], candidates: tuple[str, ...], given: str | None, what: str, option: str
) -> str:
    """Return the column that was named, or the first that has one of the known names.

    Raises
    ------
    ValueError
        Listing the columns there are and the option that names one.
    """
    present = list(columns)
    if given is not None:
        if given in present:
            return given
        raise DataError(f"{what}: no column {given!r} ({option}); columns found: {listed(present)}")
    by_name = {column.lower(): column for column in reversed(present)}
    for candidate in candidates:
        if candidate in by_name:
            return by_name[candidate]
    raise DataError(
        f"{what}: no column {' or '.join(candidates)}; columns found: {listed(present, 12)}. "
        f"Name it with {option}=..."
    )


def utc_nanoseconds(column: pl.Series, what: str) -> tuple[Ints, str | None]:
    """Return a time column as UTC nanoseconds, and its zone (None for naive times)."""
    if not isinstance(column.dtype, (pl.Date, pl.Datetime)):
        raise DataError(
            f"{what}: time column {column.name!r} has type {column.dtype}; "
            "convert it to dates or datetimes"
        )
    if column.null_count():
        raise DataError(
            f"{what}: time column {column.name!r} is empty in {column.null_count()} rows; drop them"
        )
    zone = column.dtype.time_zone if isinstance(column.dtype, pl.Datetime) else None
    beyond = (column.dt.year() < _FIRST_YEAR) | (column.dt.year() > _LAST_YEAR)
    if beyond.any():
        raise DataError(
            f"{what}: time column {column.name!r} holds {column.filter(beyond)[0]}; times must lie "
            f"in the years {_FIRST_YEAR} to {_LAST_YEAR}, which nanoseconds can count"
        )
    column = column.cast(pl.Datetime("ns", zone))
    return column.to_physical().to_numpy().astype(np.int64, copy=True), zone


def numbers_of(column: pl.Series, what: str) -> Floats:
    """Return a numeric column as float64, null as NaN."""
    if not column.dtype.is_numeric() and column.dtype != pl.Null:
        raise DataError(
            f"{what}: column {column.name!r} has type {column.dtype}, not numbers; convert it"
        )
    return column.cast(pl.Float64).fill_null(float("nan")).to_numpy()


def read_long(
    frame: object,
    what: str,
    asset_column: str | None,
    time_column: str | None,
    only: tuple[str, ...] | None,
) -> Table:
    """Spread a long frame (one row per time and asset) out into matrices.

    Parameters
    ----------
    frame : dataframe
    what : str
        What the frame is, for messages.
    asset_column, time_column : str or None
        None: the first of the known names that is there, in any case.
    only : tuple of str or None
        Which columns to read, by lower-case name; None: all others.

    Raises
    ------
    ValueError
        For missing columns, no rows, missing labels, and a (time, asset) that is there twice.
    """
    table = to_polars(frame, what)
    time_name = find_column(table.columns, TIME_COLUMNS, time_column, what, "time_column")
    asset_name = find_column(table.columns, ASSET_COLUMNS, asset_column, what, "asset_column")
    if table.height == 0:
        raise DataError(f"{what}: the frame has no rows")
    times, zone = utc_nanoseconds(table[time_name], what)
    labels = table[asset_name]
    if not isinstance(labels.dtype, (pl.String, pl.Categorical, pl.Enum)):
        raise DataError(
            f"{what}: asset column {asset_name!r} has type {labels.dtype}; names must be strings"
        )
    if labels.null_count():
        raise DataError(
            f"{what}: asset column {asset_name!r} is empty in {labels.null_count()} rows; drop them"
        )
    labels = labels.cast(pl.String)
    assets = tuple(labels.unique().sort().to_list())
    columns_of = labels.cast(pl.Enum(assets)).to_physical().to_numpy().astype(np.int64)
    unique_times, rows_of = np.unique(times, return_inverse=True)
    shape = (unique_times.size, len(assets))
    cells = rows_of * len(assets) + columns_of
    taken = np.zeros(shape[0] * shape[1], np.bool_)
    taken[cells] = True
    if int(taken.sum()) < cells.size:
        _raise_duplicates(table.select(time_name, asset_name), what)
    others = [name for name in table.columns if name not in (time_name, asset_name)]
    wanted = {name: name for name in others}
    if only is not None:
        wanted = {}
        for name in others:
            key = name.lower()
            if key in wanted:
                raise DataError(
                    f"{what}: columns {wanted[key]!r} and {name!r} are both {key}; drop one"
                )
            if key in only:
                wanted[key] = name
    matrices = {}
    for key, name in wanted.items():
        matrix = np.full(shape, np.nan)
        matrix.ravel()[cells] = numbers_of(table[name], what)
        matrices[key] = matrix
    return Table(unique_times, zone, assets, matrices)


def _raise_duplicates(labels: pl.DataFrame, what: str) -> None:
    twice = labels.filter(labels.is_duplicated()).unique(maintain_order=True)
    shown = "; ".join(f"{time} {asset}" for time, asset in twice.head(3).iter_rows())
    raise DataError(
        f"{what}: {twice.height} pairs of time and asset appear more than once, the first: "
        f"{shown}. Drop the duplicates"
    )


def read_wide(frame: object, what: str, time_column: str | None) -> Table:
    """Read a wide frame (a row per time, a column per asset); times and assets are sorted."""
    table = to_polars(frame, what)
    time_name = find_column(table.columns, TIME_COLUMNS, time_column, what, "time_column")
    if table.height == 0:
        raise DataError(f"{what}: the frame has no rows")
    assets = tuple(sorted(name for name in table.columns if name != time_name))
    if not assets:
        raise DataError(f"{what}: the frame has no columns besides {time_name!r}")
    times, zone = utc_nanoseconds(table[time_name], what)
    order = np.argsort(times, kind="stable")
    times = times[order]
    if (np.diff(times) == 0).any():
        _raise_duplicates(table.select(pl.col(time_name), pl.lit("(the row)").alias("row")), what)
    matrix = np.empty((times.size, len(assets)))
    for i, name in enumerate(assets):
        matrix[:, i] = numbers_of(table[name], what)[order]
    return Table(times, zone, assets, {"close": matrix})


def read_wide_fields(frames: Mapping[str, object], time_column: str | None) -> Table:
    """Read one wide frame for each of close, open, high, low, volume; all must have one shape."""
    unknown = [name for name in frames if name not in PRICE_COLUMNS]
    if unknown:
        raise DataError(
            f"prices: {listed(unknown)} are not fields of a bar; use {listed(PRICE_COLUMNS)}"
        )
    if "close" not in frames:
        raise DataError(f"prices: no close among the fields {listed(frames)}")
    base = read_wide(frames["close"], "close", time_column)
    fields = dict(base.columns)
    for name, frame in frames.items():
        if name == "close":
            continue
        other = read_wide(frame, name, time_column)
        if other.assets != base.assets:
            differing = sorted(set(other.assets) ^ set(base.assets))
            raise DataError(
                f"{name}: columns differ from those of close: {listed(differing)} are in only one"
            )
        if other.time_zone != base.time_zone or not np.array_equal(other.times, base.times):
            raise DataError(f"{name}: times differ from those of close; align the frames first")
        fields[name] = other.columns["close"]
    return Table(base.times, base.time_zone, base.assets, fields)
