"""The tables that a strategy itself has kept: checked, and brought to polars."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping

import narwhals as nw
import polars as pl

from ml4t.backtest.errors import InputError
from ml4t.backtest.feed.frames import to_polars
from ml4t.backtest.frames import FRAMES

_MOST_LETTERS = 64
_NAME = re.compile(rf"[A-Za-z][A-Za-z0-9_]{{0,{_MOST_LETTERS - 1}}}")
_NAME_RULE = (
    f"a name is a letter and then letters, digits or underscores (ASCII), {_MOST_LETTERS} at most, "
    "since it becomes the name of a file"
)


def checked_tables(given: object) -> dict[str, pl.DataFrame]:
    """Return what `Strategy.tables` gave as polars frames.

    Parameters
    ----------
    given : mapping of name to a polars (eager or lazy), pandas or pyarrow frame

    Raises
    ------
    ValueError
        For anything else, a name that cannot be that of a file or is that of a frame of every
        result, and a column that a parquet file cannot hold; the message names the table.
    """
    if not isinstance(given, Mapping):
        raise InputError(
            f"tables: {_kind(given)} is not a dict of frames by name; return {{}} where there is "
            "nothing"
        )
    tables: dict[str, pl.DataFrame] = {}
    for name, frame in given.items():
        _check_name(name, tables)
        tables[name] = _checked_frame(name, frame)
    return tables


def is_table_name(name: object) -> bool:
    """Whether a table may have this name, as far as the name alone says."""
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def _check_name(name: object, before: Mapping[str, pl.DataFrame]) -> None:
    if not is_table_name(name):
        raise InputError(f"tables: {name!r} cannot be the name of a table; {_NAME_RULE}")
    # Some systems take files whose names differ in case alone for one.
    lowered = str(name).lower()
    if lowered in FRAMES:
        raise InputError(
            f"tables: {name!r} is the name of a frame that every result has, in any case of its "
            "letters; choose another one"
        )
    twins = [other for other in before if other.lower() == lowered]
    if twins:
        raise InputError(
            f"tables: {twins[0]!r} and {name!r} differ in the case of letters alone, and some "
            "systems would keep them in one file; rename one of them"
        )


def _checked_frame(name: str, frame: object) -> pl.DataFrame:
    what = f"tables: {name!r}"
    if not isinstance(frame, pl.LazyFrame) and not nw.dependencies.is_into_dataframe(frame):
        raise InputError(f"{what}: {_kind(frame)} is not a polars, pandas or pyarrow frame")
    found = to_polars(frame, what)
    for column in found.iter_columns():
        try:
            column.clear().to_frame().write_parquet(io.BytesIO())
        except pl.exceptions.PolarsError:
            raise InputError(
                f"{what}: column {column.name!r} has type {column.dtype}, which a parquet file "
                "cannot hold; convert it to numbers, strings or times"
            ) from None
    return found


def _kind(value: object) -> str:
    return "None" if value is None else f"a {type(value).__name__}"
