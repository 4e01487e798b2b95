"""Bars that are brought by hand, one at a time: matrices of a single row."""

from __future__ import annotations

import numbers
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import numpy as np

from ml4t.backtest.errors import DataError, listed
from ml4t.backtest.feed.bars import Bars
from ml4t.backtest.records import Floats

_FIELDS = ("open", "high", "low", "close", "volume", "vwap")


def checked_bar(asset: str, bar: Mapping[str, float], needs_volume: bool) -> dict[str, float]:
    """Return the fields of an asset's bar as floats.

    Raises
    ------
    ValueError
        Without a close, without a volume that is needed, and for a value that is no number.
    """
    if not isinstance(asset, str):
        raise DataError(f"step: {asset!r} is not an asset name; names must be strings")
    if not isinstance(bar, Mapping):
        raise DataError(f'step: the bar of {asset!r} is {bar!r}; pass a mapping with "close"')
    if "close" not in bar:
        raise DataError(f"step: the bar of {asset!r} has no 'close'; it has {listed(bar)}")
    if needs_volume and "volume" not in bar:
        raise DataError(f"step: the bar of {asset!r} has no 'volume'; max_participation needs it")
    for field, value in bar.items():
        if field in _FIELDS and (isinstance(value, bool) or not isinstance(value, numbers.Real)):
            raise DataError(f"step: {field} of {asset!r} is {value!r}, not a number")
    return {field: float(bar[field]) for field in _FIELDS if field in bar}


def no_bars() -> Bars:
    """Return what there is before the first step: a row without assets."""
    empty = np.zeros((1, 0))
    return Bars.from_fields((), np.zeros(1, np.int64), None, {"close": empty}, {})


def widened(bars: Bars, assets: tuple[str, ...]) -> Bars:
    """Return a row with room for more assets, which have no bar in it."""
    columns = [assets.index(name) for name in bars.assets]

    def wider(matrix: Floats) -> Floats:
        row = np.full((1, len(assets)), np.nan)
        row[:, columns] = matrix
        return row

    fields = {name: wider(getattr(bars, name)) for name in ("open", "high", "low", "close")}
    for name, matrix in (("volume", bars.volume), ("vwap", bars.vwap)):
        if matrix is not None:
            fields[name] = wider(matrix)
    return Bars.from_fields(assets, bars.times, None, fields, {}, wider(bars.mark)[0])


def next_bars(before: Bars, timestamp: datetime, values: dict[str, dict[str, float]]) -> Bars:
    """Return the row of the next time; an asset without a new close keeps its mark."""
    shape = (1, len(before.assets))
    fields = {name: np.full(shape, np.nan) for name in _FIELDS}
    for asset, bar in values.items():
        for field, value in bar.items():
            fields[field][0, before.index[asset]] = value
    moment = timestamp if timestamp.tzinfo is not None else timestamp.replace(tzinfo=UTC)
    microseconds = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    times = np.array([microseconds * 1000], np.int64)
    bars = Bars.from_fields(before.assets, times, None, fields, {}, before.mark[0])
    # The time as it was given: not every zone has a name to find it by again.
    bars.__dict__["timestamps"] = (timestamp,)
    return bars
