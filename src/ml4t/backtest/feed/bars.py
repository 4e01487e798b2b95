"""Bars as arrays: (n_bars, n_assets) matrices, assets sorted by name."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ml4t.backtest.records import Floats, Ints

#: The bar of what does not happen.
NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True, eq=False)
class Bars:
    """Open, high, low, close and volume of every asset at every time.

    Attributes
    ----------
    assets : tuple of str
        Sorted by name.
    times : (n_bars,) int64
        Nanoseconds since 1970-01-01 UTC, increasing.
    time_zone : str or None
        None: times were naive and stay so.
    open, high, low, close : (n_bars, n_assets) float64, C-contiguous, read-only
        NaN: the asset has no bar then. Where only an open, high or low was missing, the close
        stands in for it. Without a column of opens all of them are the close.
    volume : the same or None
        None: there was no such column. A missing volume is 0.
    vwap : the same or None
        None: there was no such column. The close stands in for a missing one.
    mark : (n_bars, n_assets) float64
        The last close seen that is a price (> 0); NaN before the first. The closes themselves,
        without a copy, where every asset has a bar at every time.
    signals : mapping of name to such a matrix
        NaN where there is no value. Of strings and bools: a matrix of objects, None likewise.
    """

    assets: tuple[str, ...]
    times: Ints
    time_zone: str | None
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats | None
    vwap: Floats | None
    mark: Floats
    signals: Mapping[str, NDArray[Any]]

    def __post_init__(self) -> None:
        """Lock the arrays: a strategy gets views of them."""
        arrays = [self.times, self.open, self.high, self.low, self.close]
        arrays += [self.mark, *self.signals.values()]
        arrays += [matrix for matrix in (self.volume, self.vwap) if matrix is not None]
        for array in arrays:
            array.flags.writeable = False

    @classmethod
    def from_fields(
        cls,
        assets: tuple[str, ...],
        times: Ints,
        time_zone: str | None,
        fields: Mapping[str, Floats],
        signals: Mapping[str, NDArray[Any]],
        mark_before: Floats | None = None,
    ) -> Bars:
        """Complete the fields: what is missing is taken from the close; no close, no bar.

        `fields` is changed. `mark_before` (n_assets,) are marks from before the first bar.
        """
        close = fields["close"]
        absent = ~np.isfinite(close)
        if absent.any():
            close[absent] = np.nan

        # Without opens nobody knows the way from close to close: the bar is its close.
        has_open = "open" in fields

        def price(name: str) -> Floats:
            values = fields.get(name) if has_open or name == "vwap" else None
            if values is None or values is close:
                return close
            missing = ~np.isfinite(values) | absent
            if missing.any():
                values[missing] = close[missing]
            return values

        volume = fields.get("volume")
        if volume is not None:
            volume[~np.isfinite(volume) | absent] = 0.0
        return cls(
            assets=assets,
            times=times,
            time_zone=time_zone,
            open=price("open"),
            high=price("high"),
            low=price("low"),
            close=close,
            volume=volume,
            vwap=price("vwap") if "vwap" in fields else None,
            mark=_marks_of(close, mark_before),
            signals=signals,
        )

    @cached_property
    def index(self) -> dict[str, int]:
        """The column of each asset."""
        return {name: i for i, name in enumerate(self.assets)}

    @cached_property
    def hl2(self) -> Floats:
        """The middle of high and low, (n_bars, n_assets)."""
        middle: Floats = 0.5 * (self.high + self.low)
        middle.flags.writeable = False
        return middle

    @cached_property
    def first_bars(self) -> Ints:
        """The number of each asset's first bar, (n_assets,); -1 for one without any."""
        has_bar = np.isfinite(self.close)
        return np.where(has_bar.any(axis=0), has_bar.argmax(axis=0), -1)

    @cached_property
    def last_bars(self) -> Ints:
        """The number of each asset's last bar, (n_assets,); -1 for one without any."""
        has_bar = np.isfinite(self.close)
        last = self.close.shape[0] - 1 - has_bar[::-1].argmax(axis=0)
        return np.where(has_bar.any(axis=0), last, -1)

    @cached_property
    def gone_from(self) -> Ints:
        """The number of the bar at which an asset is known to have ended, (n_assets,).

        That is the one after its last bar, if the feed goes on; `NEVER` for all others.
        """
        last = self.last_bars
        return np.where((last >= 0) & (last < len(self.times) - 1), last + 1, NEVER)

    @cached_property
    def some_end(self) -> NDArray[np.bool_]:
        """Whether this is the bar at which an asset is known to have ended, (n_bars,)."""
        found = np.zeros(len(self.times), np.bool_)
        found[self.gone_from[self.gone_from != NEVER]] = True
        found.flags.writeable = False
        return found

    @cached_property
    def timestamps(self) -> tuple[datetime, ...]:
        """The times as datetimes, naive if they came so, else in their own zone."""
        return tuple(times_series(self.times, self.time_zone).to_list())

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of assets, times, time zone, prices, volumes and signals, as a hex string.

        Equal for equal input on every machine; any number that is another one changes it.
        """
        fields: dict[str, NDArray[Any] | None] = {
            name: getattr(self, name) for name in ("open", "high", "low", "close", "volume", "vwap")
        }
        fields |= {f"signal {name}": self.signals[name] for name in sorted(self.signals)}
        present = {name: values for name, values in fields.items() if values is not None}
        labels = [self.assets, len(self.times), self.time_zone, list(present)]
        found = hashlib.sha256(json.dumps(labels).encode())
        found.update(np.asarray(self.times, "<i8").tobytes())
        for values in present.values():
            if values.dtype == object:
                found.update(json.dumps(values.tolist()).encode())
                continue
            # A NaN has many bit patterns, which mean the same.
            found.update(np.where(np.isnan(values), np.nan, values).astype("<f8").tobytes())
        return found.hexdigest()


def bars_until(bars: Bars, stop: int, gone_from: Ints) -> Bars:
    """Return the first bars alone: views, not copies.

    Parameters
    ----------
    bars : Bars
    stop : int
        How many.
    gone_from : (n_assets,) array
        As `Bars.gone_from`: which assets are known to have ended by then. It cannot be seen in
        what is left: an asset without a bar at the end of it may come back.
    """
    names = ("times", "open", "high", "low", "close", "volume", "vwap", "mark")
    fields = {name: getattr(bars, name) for name in names}
    cut: dict[str, Any] = {
        name: None if field is None else field[:stop] for name, field in fields.items()
    }
    signals = {name: values[:stop] for name, values in bars.signals.items()}
    found = dataclasses.replace(bars, **cut, signals=signals)
    found.__dict__["gone_from"] = gone_from  # in the place of what would be worked out
    return found


def _marks_of(close: Floats, before: Floats | None) -> Floats:
    """Carry every close that is a price (> 0) forward to the next one."""
    good = close > 0.0  # False for NaN
    if good.all():
        return close
    n_bars, n_assets = close.shape
    last = np.where(good, np.arange(n_bars, dtype=np.int32)[:, None], -1)
    np.maximum.accumulate(last, axis=0, out=last)
    columns = np.arange(n_assets)
    unseen = np.full(n_assets, np.nan) if before is None else before
    carried = np.where(last < 0, unseen, close[np.maximum(last, 0), columns])
    return np.ascontiguousarray(carried)


def nanoseconds(times: pl.Series) -> Ints:
    """Return times as nanoseconds since 1970-01-01 UTC, the inverse of `times_series`."""
    return times.to_physical().to_numpy()


def zone_of(times: pl.Series) -> str | None:
    """Return the zone of times; None: they are naive."""
    return times.dtype.time_zone if isinstance(times.dtype, pl.Datetime) else None


def times_series(times: Ints, time_zone: str | None) -> pl.Series:
    """Return UTC nanoseconds as a polars series of ``Datetime("ns")`` in a zone, or naive."""
    naive = pl.Series("timestamp", np.asarray(times, np.int64)).cast(pl.Datetime("ns"))
    if time_zone is None:
        return naive
    return naive.dt.replace_time_zone("UTC").dt.convert_time_zone(time_zone)
