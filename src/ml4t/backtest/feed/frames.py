"""From what a caller has (a dataframe of any make, a path) to a polars frame."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import narwhals as nw
import numpy as np
import polars as pl

from ml4t.backtest.errors import DataError, listed
from ml4t.backtest.feed.files import read_file


class Loaded(NamedTuple):
    """A frame, and whether its columns are text that is still to be parsed (a csv's are)."""

    frame: pl.DataFrame
    is_text: bool


def load(source: object, what: str) -> Loaded:
    """Return a dataframe or the content of a file as a polars frame.

    Parameters
    ----------
    source : polars (eager or lazy), pandas or pyarrow frame, str or Path, or Loaded
        A path is that of a parquet or csv file. What is loaded already comes back as it is.
    what : str
        What the input is, for messages.

    Raises
    ------
    ValueError
        For anything that is no dataframe, and for files that cannot be read.
    """
    if isinstance(source, Loaded):
        return source
    if isinstance(source, (str, os.PathLike)):
        try:
            path = Path(source).expanduser()
        except RuntimeError as error:
            raise DataError(
                f"{what}: cannot read the file {str(source)!r}: {error} Pass the whole path"
            ) from None
        return Loaded(*read_file(path, what))
    return Loaded(to_polars(source, what), False)


def is_frame(source: object) -> bool:
    """Whether `load` takes it as a dataframe; a path is none."""
    known = nw.from_native(source, pass_through=True)
    return isinstance(known, (nw.DataFrame, nw.LazyFrame))


def has_levels(frame: object) -> bool:
    """Whether the columns of a frame have several levels, as pandas frames can."""
    if isinstance(frame, pl.LazyFrame):  # whose columns are dear to ask for
        return False
    return int(getattr(getattr(frame, "columns", None), "nlevels", 1)) > 1


def to_polars(frame: object, what: str) -> pl.DataFrame:
    """Return any dataframe that narwhals knows as a polars one, a pandas index as columns."""
    if isinstance(frame, pl.DataFrame):
        return frame
    if isinstance(frame, pl.LazyFrame):
        try:
            return frame.collect()
        except (pl.exceptions.PolarsError, OSError) as error:
            raise DataError(f"{what}: the lazy frame cannot be collected: {error}") from error
    native: Any = frame
    if has_levels(native):
        raise DataError(
            f"{what}: columns have {native.columns.nlevels} levels; make a long frame, or for "
            "prices with two levels (field and asset) use DataFeed.from_wide"
        )
    _refuse_repeated(native, what)
    native = _with_index_as_columns(native, what)
    try:
        known: Any = nw.from_native(native)
    except TypeError:
        raise DataError(
            f"{what}: what has the type {type(frame).__name__} is not a dataframe; pass a polars, "
            "pandas or pyarrow frame, or the path of a parquet or csv file"
        ) from None
    if isinstance(known, nw.LazyFrame):
        known = known.collect()
    strange = [column for column in known.columns if not isinstance(column, str)]
    if strange:
        raise DataError(f"{what}: column names {listed(strange)} are not strings; rename them")
    return pl.DataFrame([_series_of(known[name]) for name in known.columns])


def column_of(values: Any, name: str, what: str) -> pl.Series:
    """Return a sequence of any make (list, array, index, series) as a polars column.

    Raises
    ------
    ValueError
        For what is no sequence of one dimension.
    """
    if isinstance(values, pl.Series):
        return values.alias(name)
    if hasattr(values, "to_series"):  # a pandas index
        values = values.to_series()
    known: Any = nw.from_native(values, series_only=True, pass_through=True)
    if isinstance(known, nw.Series):
        return _series_of(known).alias(name)
    if isinstance(values, (str, bytes)) or getattr(values, "ndim", 1) != 1:
        raise DataError(f"{what}: {name} must be a sequence of one dimension")
    try:
        items = list(values)
    except TypeError:
        raise DataError(f"{what}: {name}={values!r} is no sequence; pass a list") from None
    if items and all(isinstance(item, np.datetime64) for item in items):
        moments = np.asarray(values if isinstance(values, np.ndarray) else items)
        if np.datetime_data(moments.dtype)[0] in ("Y", "M", "W", "h", "m", "s"):
            moments = moments.astype("datetime64[ms]")  # polars has no coarser clock
        try:
            return pl.Series(name, moments)
        except ValueError:
            raise DataError(
                f"{what}: {name} has type {moments.dtype}; convert it to datetime64[ns]"
            ) from None
    return _series_of_objects(name, items)


def _refuse_repeated(native: Any, what: str) -> None:
    names = getattr(native, "column_names", None)  # pyarrow's columns are the values
    if names is None:
        names = getattr(native, "columns", ())
    try:
        labels = [str(column) for column in (() if names is None else names)]
    except TypeError:
        return  # no dataframe; narwhals says so
    repeated = sorted({label for label in labels if labels.count(label) > 1})
    if repeated:
        raise DataError(f"{what}: columns {listed(repeated)} appear more than once; rename them")


def _with_index_as_columns(native: Any, what: str) -> Any:
    index = getattr(native, "index", None)
    names = getattr(index, "names", None)
    if names is None or not hasattr(native, "reset_index"):
        return native
    if all(name is None for name in names):
        if not (hasattr(index, "tz") or hasattr(index, "year")):
            return native
        if not hasattr(native, "rename_axis"):
            return native
        native = native.rename_axis(index="timestamp")
    try:
        return native.reset_index()
    except ValueError as error:
        raise DataError(
            f"{what}: the index and a column have the same name ({error}); drop one of them"
        ) from error


def _series_of(column: Any) -> pl.Series:
    """Convert a column; one that polars has no type for is kept as Python objects."""
    if column.dtype != nw.Object:
        try:
            converted: pl.Series = column.to_polars()
        except Exception:  # each make of frame has errors of its own
            return pl.Series(column.name, column.to_list(), dtype=pl.Object)
        return converted
    return _series_of_objects(column.name, column.to_list())


def _series_of_objects(name: str, objects: list[Any]) -> pl.Series:
    values = [None if _is_missing(value) else value for value in objects]
    present = [value for value in values if value is not None]
    times = [value for value in present if isinstance(value, datetime)]
    if len({str(value.tzinfo) for value in times}) > 1:
        # Polars would bring them to one zone without a word.
        return pl.Series(name, values, dtype=pl.Object)
    if len({isinstance(value, (bool, np.bool_)) for value in present}) > 1:
        # Polars would make True a number.
        return pl.Series(name, values, dtype=pl.Object)
    try:
        return pl.Series(name, values, strict=False)
    except Exception:
        return pl.Series(name, values, dtype=pl.Object)


def _is_missing(value: Any) -> bool:
    """Whether a value is None, NaN or NaT (which are not equal to themselves)."""
    try:
        return value is None or bool(value != value)
    except Exception:  # arrays and others that compare to no bool
        return False
