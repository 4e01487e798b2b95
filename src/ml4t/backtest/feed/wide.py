"""Wide frames (a row per time, a column per asset) to matrices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ml4t.backtest.errors import DataError, listed
from ml4t.backtest.feed.checks import Faults
from ml4t.backtest.feed.columns import find_column, prices_of, times_of
from ml4t.backtest.feed.frames import load
from ml4t.backtest.feed.table import PRICE_COLUMNS, TIME_COLUMNS, Table
from ml4t.backtest.feed.text import decimal_mark
from ml4t.backtest.records import Floats

#: What a download may have beside the fields of a bar.
_OTHER_FIELDS = ("adj close", "dividends", "stock splits", "capital gains", "repaired?")
_FIELDS = (*PRICE_COLUMNS, *_OTHER_FIELDS)


def split_levels(frame: Any, close_field: str) -> tuple[dict[str, object], Any | None]:
    """Split a pandas frame with two levels of columns (field and asset, in any order).

    Returns
    -------
    frames, raw_close
        A wide frame for each field of a bar. `raw_close`: the closes that the other prices belong
        to, where `close_field` is another field than they.
    """
    level = level_of_fields(frame)
    labels = frame.columns.get_level_values(level)
    by_name: dict[str, object] = {}
    for label in labels.unique():
        name = str(label).lower()
        if name in by_name:
            raise DataError(f"prices: the field {name} is there twice, as {label!r} too; drop one")
        part = frame.xs(label, axis=1, level=level)
        by_name[name] = part
    chosen = str(close_field).lower()
    if chosen not in by_name:
        raise DataError(
            f"prices: no field {close_field!r} (close_field); fields found: {listed(by_name)}"
        )
    frames = {name: part for name, part in by_name.items() if name in PRICE_COLUMNS}
    frames["close"] = by_name[chosen]
    if chosen == "close":
        return frames, None
    return frames, by_name.get("close")


def level_of_fields(frame: Any) -> int:
    """Return which of two levels of columns holds the fields of a bar; the other holds assets."""
    if frame.columns.nlevels != 2:
        raise DataError(
            f"prices: columns have {frame.columns.nlevels} levels; two are known, field and asset"
        )
    levels = [
        [str(label).lower() for label in frame.columns.get_level_values(i).unique()]
        for i in range(2)
    ]
    # "OPEN" is a ticker too: a level of fields has nothing but fields in it.
    of_fields = [i for i in range(2) if all(label in _FIELDS for label in levels[i])]
    if len(of_fields) == 2:
        of_fields = [i for i in of_fields if "close" in levels[i] or "adj close" in levels[i]]
    if len(of_fields) != 1:
        raise DataError(
            "prices: of the two levels of columns one must hold fields such as Close and Open, "
            f"the other assets; found {listed(levels[0])} and {listed(levels[1])}"
        )
    return of_fields[0]


def read_wide_fields(
    frames: Mapping[str, object], time_column: str | None, faults: Faults, raw_close: object = None
) -> Table:
    """Read one wide frame for each of close, open, high, low, volume; all must have one shape.

    With `raw_close`, open, high and low are brought to the closes by close / raw close.
    """
    unknown = [name for name in frames if name not in PRICE_COLUMNS]
    if unknown:
        raise DataError(
            f"prices: {listed(unknown)} are not fields of a bar; use {listed(PRICE_COLUMNS)}"
        )
    if "close" not in frames:
        raise DataError(
            f"prices: no close among the fields {listed(frames) or '(there are none)'}; pass one"
        )
    base = read_wide(frames["close"], "close", time_column, faults)
    fields = dict(base.columns)
    others = {name: frame for name, frame in frames.items() if name != "close"}
    if raw_close is not None:
        others["raw close"] = raw_close
    for name, frame in others.items():
        other = read_wide(frame, name, time_column, faults)
        if other.assets != base.assets:
            differing = sorted(set(other.assets) ^ set(base.assets))
            raise DataError(
                f"{name}: columns differ from those of close: {listed(differing)} are in only one"
            )
        if other.time_zone != base.time_zone or not np.array_equal(other.times, base.times):
            raise DataError(f"{name}: times differ from those of close; align the frames first")
        fields[name] = other.columns[name]
    raw: Floats | None = fields.pop("raw close", None)
    if raw is not None:
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            factor = np.where(raw > 0.0, fields["close"] / raw, np.nan)
            for name in ("open", "high", "low"):
                if name in fields:
                    fields[name] = fields[name] * factor
    return Table(base.times, base.time_zone, base.assets, fields)


def read_wide(source: object, what: str, time_column: str | None, faults: Faults) -> Table:
    """Read a wide frame; times and assets are sorted. The matrix has the name `what`.

    Raises
    ------
    ValueError
        For a frame without times, rows or assets. `faults` takes what is wrong with single rows;
        the caller settles it.
    """
    whose = "" if what == faults.what else f" of {what}"
    faults = faults.of(what)
    table, is_text = load(source, what)
    time_name = find_column(table.columns, TIME_COLUMNS, time_column, what, "time_column")
    if table.height == 0:
        raise DataError(f"{what}: the frame has no rows")
    assets = tuple(sorted(name for name in table.columns if name != time_name))
    if not assets:
        raise DataError(f"{what}: the frame has no columns besides {time_name!r}")
    if (
        what == "close"
        and all(name.lower() in _FIELDS for name in assets)
        and "close" in {name.lower() for name in assets}
    ):
        raise DataError(
            f"prices: columns {listed(assets)} are the fields of one asset, not assets; add a "
            "column with its name and use DataFeed(frame, asset_column=...)"
        )
    times, zone = times_of(table[time_name], is_text, faults)
    order = np.argsort(times, kind="stable")
    if (np.diff(times) < 0).any():
        faults.add_unsorted()
    times = times[order]
    repeated = np.flatnonzero(np.diff(times) == 0)
    if repeated.size:
        rows = order[repeated][:3].tolist()
        faults.add(
            f"times{whose} that appear more than once",
            int(repeated.size),
            [str(table[time_name][row]) for row in rows],
            "Drop the duplicates",
        )
    mark = decimal_mark([table[name] for name in assets], what) if is_text else None
    matrix = np.empty((times.size, len(assets)))

    def row_name(i: int) -> str:
        return str(table[time_name][i])

    for i, name in enumerate(assets):
        matrix[:, i] = prices_of(table[name], mark, faults, row_name)[order]
    return Table(times, zone, assets, {what: matrix})
