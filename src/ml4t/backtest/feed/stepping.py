"""Bars that are brought by hand, one at a time: matrices of a single row."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import numpy as np

from ml4t.backtest.errors import DataError, listed, shown
from ml4t.backtest.feed.bars import Bars
from ml4t.backtest.numeric import is_finite, is_real
from ml4t.backtest.records import Floats

_FIELDS = ("open", "high", "low", "close", "volume", "vwap")


def checked_bar(
    asset: str, bar: Mapping[str, float], needed: Mapping[str, str]
) -> dict[str, float]:
    """Return the fields of an asset's bar as floats.

    `needed` are fields that a setting needs, each with the name of that setting.

    Raises
    ------
    ValueError
        Without a close, without a field that is needed, and for a value that is no number.
    """
    if not isinstance(asset, str):
        raise DataError(f"step: {shown(asset)} is not an asset name; names must be strings")
    if not isinstance(bar, Mapping):
        raise DataError(f'step: the bar of {asset!r} is {shown(bar)}; pass a mapping with "close"')
    if "close" not in bar:
        raise DataError(f"step: the bar of {asset!r} has no 'close'; it has {listed(bar)}")
    for field, setting in needed.items():
        if field not in bar:
            raise DataError(f"step: the bar of {asset!r} has no {field!r}; {setting} needs it")
    for field, value in bar.items():
        if field in _FIELDS and not _is_usable(value):
            raise DataError(
                f"step: {field} of {asset!r} is {shown(value)}, not a number; pass a finite one, "
                "or NaN for none"
            )
    return {field: float(bar[field]) for field in _FIELDS if field in bar}


def _is_usable(value: object) -> bool:
    """Whether a value of a bar is a finite number, or NaN, which means that there is none."""
    return is_real(value) and (is_finite(value) or value != value)


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
