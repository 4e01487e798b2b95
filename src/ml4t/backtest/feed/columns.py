"""Columns of a loaded frame: found by name, and turned into arrays."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ml4t.backtest.errors import DataError, listed
from ml4t.backtest.feed.bars import zone_of
from ml4t.backtest.feed.checks import Faults
from ml4t.backtest.feed.table import INDEX_COLUMNS, TIME_COLUMNS
from ml4t.backtest.feed.text import is_missing, parse_numbers, parse_times
from ml4t.backtest.numeric import is_real
from ml4t.backtest.records import Floats, Ints

# 64-bit nanoseconds reach a little further on both sides.
_FIRST_YEAR, _LAST_YEAR = 1678, 2261
_EPOCH = datetime(1970, 1, 1)
_TIMES = "Bring all times to one zone first"


def find_column(
    columns: Iterable[str],
    candidates: tuple[str, ...],
    given: str | None,
    what: str,
    option: str | None,
) -> str:
    """Return the column that was named, or the first that has one of the known names.

    Raises
    ------
    ValueError
        Listing the columns there are and the option that names one, where there is an option.
    """
    present = list(columns)
    if given is not None:
        if given in present:
            return given
        # `read_file` has named it; the caller may know it by what the file calls it.
        named = candidates is TIME_COLUMNS and str(given).lower() in INDEX_COLUMNS
        if named and TIME_COLUMNS[0] in present:
            return TIME_COLUMNS[0]
        raise DataError(f"{what}: no column {given!r} ({option}); columns found: {_found(present)}")
    by_name = {column.lower(): column for column in reversed(present)}
    for candidate in candidates:
        if candidate in by_name:
            return by_name[candidate]
    raise DataError(
        f"{what}: no column {' or '.join(candidates)}; columns found: {_found(present)}. "
        + ("Give it one of these names" if option is None else f"Name it with {option}=...")
    )


def _found(columns: list[str]) -> str:
    return listed(columns, 12) or "none"


def times_of(column: pl.Series, is_text: bool, faults: Faults) -> tuple[Ints, str | None]:
    """Return a time column as UTC nanoseconds, and its zone (None for naive times).

    Notes mixed zones as a fault; the times are then UTC.
    """
    what = f"{faults.what}: time column {column.name!r}"
    empty = is_missing(column) if is_text else column.is_null()
    if empty.any():
        raise DataError(f"{what} is empty in {int(empty.sum())} rows; drop them")
    if is_text:
        return _times_of_text(column, what, faults)
    if column.dtype == pl.Object and all(isinstance(value, datetime) for value in column):
        column = _in_one_zone(column, faults)
    if not isinstance(column.dtype, (pl.Date, pl.Datetime)):
        raise DataError(f"{what} has type {column.dtype}; convert it to dates or datetimes")
    ends = pl.Series([column.min(), column.max()], dtype=column.dtype)
    beyond = (ends.dt.year() < _FIRST_YEAR) | (ends.dt.year() > _LAST_YEAR)
    if beyond.any():
        raise _beyond(what, ends.filter(beyond)[0])
    zone = zone_of(column)
    column = column.cast(pl.Datetime("ns", zone))
    return column.to_physical().to_numpy().astype(np.int64, copy=True), zone


def _beyond(what: str, time: object) -> DataError:
    return DataError(
        f"{what} holds {time}; times must lie in the years {_FIRST_YEAR} to {_LAST_YEAR}, which "
        "nanoseconds can count"
    )


def _in_one_zone(column: pl.Series, faults: Faults) -> pl.Series:
    """Bring datetimes of several zones to UTC; says so among the faults."""
    values: list[datetime] = column.to_list()
    zones = list(dict.fromkeys(str(value.tzinfo) for value in values))
    firsts = [next(str(v) for v in values if str(v.tzinfo) == zone) for zone in zones]
    faults.add(f"mixed time zones in {column.name!r}", len(zones), firsts[:3], _TIMES)
    utc = [
        value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value for value in values
    ]
    plain = [
        _EPOCH + timedelta(microseconds=(v - _EPOCH) // timedelta(microseconds=1)) for v in utc
    ]
    return pl.Series(column.name, plain, dtype=pl.Datetime("us")).dt.replace_time_zone("UTC")


def _times_of_text(column: pl.Series, what: str, faults: Faults) -> tuple[Ints, str | None]:
    # A long frame repeats each time once an asset: every text is parsed once.
    texts = column.unique(maintain_order=True)
    moments, offsets = parse_times(texts.to_list(), what)
    for text, moment in zip(texts, moments, strict=True):
        if not 1970 + moment // (366 * 86_400 * 10**9) >= _FIRST_YEAR or abs(moment) >= 2**63:
            raise _beyond(what, text)
    known = {offset for offset in offsets if offset is not None}
    # One zone with summer time has two offsets, an hour apart.
    if (known and None in offsets) or (known and max(known) - min(known) > 3600):
        firsts = [texts[offsets.index(offset)] for offset in dict.fromkeys(offsets)]
        faults.add(f"mixed time zones in {column.name!r}", len(firsts), firsts[:3], _TIMES)
    parsed = pl.DataFrame({"text": texts, "ns": pl.Series(moments, dtype=pl.Int64)})
    times = pl.DataFrame({"text": column}).join(
        parsed, on="text", how="left", maintain_order="left"
    )
    return times["ns"].to_numpy().astype(np.int64, copy=True), "UTC" if known else None


def labels_of(column: pl.Series, what: str) -> pl.Series:
    """Return an asset column as strings."""
    if not isinstance(column.dtype, (pl.String, pl.Categorical, pl.Enum)):
        raise DataError(
            f"{what}: asset column {column.name!r} has type {column.dtype}; names must be strings"
        )
    if column.null_count():
        raise DataError(
            f"{what}: asset column {column.name!r} is empty in {column.null_count()} rows; "
            "drop them"
        )
    return column.cast(pl.String)


def numbers_of(column: pl.Series) -> Floats:
    """Return a numeric column as float64, null as NaN."""
    return column.cast(pl.Float64, strict=False).fill_null(float("nan")).to_numpy()


def is_number(column: pl.Series) -> bool:
    """Whether a column holds numbers, or nothing at all."""
    return column.dtype.is_numeric() or column.dtype == pl.Null


def prices_of(column: pl.Series, mark: str | None, faults: Faults, row_name: Any) -> Floats:
    """Return a column that must hold numbers; notes what are none, and makes them NaN.

    `mark` is the decimal mark of text, None: the column is not to be parsed. `row_name(i)`
    names a row.
    """
    if mark is None and is_number(column):
        return numbers_of(column)
    strings = isinstance(column.dtype, (pl.String, pl.Categorical, pl.Enum))
    numbers = pl.Series(column.name, [None] * len(column), dtype=pl.Float64)
    bad = column.is_not_null()
    if strings:
        text = column.cast(pl.String)
        numbers = parse_numbers(text, mark or ".")
        unreadable = numbers.is_null() & ~is_missing(text)
        # Numbers kept as strings are a fault of a frame; a csv has nothing else.
        if mark is not None or unreadable.any():
            bad = unreadable
    if column.dtype == pl.Object:
        wrong = pl.Series([value is not None and not is_real(value) for value in column])
        bad = wrong if wrong.any() else bad
    if bad.any():
        rows = bad.arg_true().head(3).to_list()
        kind = f"strings in number column {column.name!r}"
        if mark is None:
            kind = f"column {column.name!r} has type {column.dtype}, not numbers"
        shown = [f"{row_name(i)} {column[i]!r}" for i in rows]
        faults.add(kind, int(bad.sum()), shown, "Convert the column to numbers")
    return numbers_of(numbers)


def values_of(column: pl.Series, mark: str | None, what: str) -> NDArray[Any]:
    """Return a column of signals or context: numbers as float64, strings and bools as objects.

    A text column is one of strings if it holds anything that is no number.
    """
    if mark is not None:
        numbers = parse_numbers(column, mark)
        if (numbers.is_null() & ~is_missing(column)).any():
            return column.to_numpy().astype(object)
        return numbers_of(numbers)
    if is_number(column):
        return numbers_of(column)
    if isinstance(column.dtype, (pl.Categorical, pl.Enum)):
        column = column.cast(pl.String)
    if column.dtype in (pl.String, pl.Boolean):
        values = np.empty(len(column), dtype=object)
        values[:] = column.to_list()
        return values
    raise DataError(
        f"{what}: column {column.name!r} has type {column.dtype}, not numbers, strings or bools; "
        "convert it"
    )
