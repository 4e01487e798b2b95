"""Benchmark: the levels of something else at the bars of a result, aligned by time."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import polars as pl

from ml4t.backtest.errors import DataError, InputError, listed, nearest, shown
from ml4t.backtest.feed.bars import Bars, nanoseconds, times_series, zone_of
from ml4t.backtest.feed.checks import Faults, time_text
from ml4t.backtest.feed.columns import find_column
from ml4t.backtest.feed.frames import is_frame, load
from ml4t.backtest.feed.signals import check_zone
from ml4t.backtest.feed.table import TIME_COLUMNS
from ml4t.backtest.feed.wide import read_wide
from ml4t.backtest.metrics import simple_returns
from ml4t.backtest.records import Bools, Floats, Ints

_WHAT = "benchmark"


class Run(Protocol):
    """What a benchmark needs to know of a result."""

    @property
    def equity(self) -> pl.DataFrame:
        """The account at every close: timestamp, equity and more."""

    def bars(self, prices: object | None = None) -> Bars:
        """Return the bars that the run followed."""


@dataclass(frozen=True, eq=False, repr=False)
class Benchmark:
    """What a result is compared with. `as_benchmark` makes one.

    Attributes
    ----------
    name : str
        An asset, a column, or "other run"; ``dataclasses.replace(benchmark, name=...)`` gives
        another one.
    times : (n_bars,) int64
        Of the bars of the result, UTC nanoseconds.
    time_zone : str or None
        None: the times are naive.
    levels : (n_bars,) float
        Prices or equity at these bars; NaN where there is none.
    """

    name: str
    times: Ints
    time_zone: str | None
    levels: Floats

    @cached_property
    def is_common(self) -> Bools:
        """Whether there is a level, (n_bars,)."""
        return np.isfinite(self.levels)

    @cached_property
    def returns(self) -> Floats:
        """Returns between common times, (n_bars,).

        Each stands at the later of two times that follow each other among the common ones: after a
        gap it takes in the bars that were missed. NaN at the first common time, and at bars
        without a level.
        """
        found = np.full(self.levels.size, np.nan)
        found[np.flatnonzero(self.is_common)[1:]] = simple_returns(self.levels[self.is_common])
        return found

    @property
    def coverage(self) -> float:
        """The share of the bars of the result at which there is a level."""
        return float(np.mean(self.is_common))

    @property
    def first(self) -> datetime:
        """The first common time."""
        return self._time_of(0)

    @property
    def last(self) -> datetime:
        """The last common time."""
        return self._time_of(-1)

    def paired(self, equity: Floats) -> tuple[Floats, Floats]:
        """Return the returns of an account and of the benchmark between common times.

        Parameters
        ----------
        equity : (n_bars,) float
            At every close of the result.

        Returns
        -------
        returns, benchmark : (n_common - 1,) float
            Where the benchmark misses bars, both run over the gap.
        """
        return simple_returns(equity[self.is_common]), simple_returns(self.levels[self.is_common])

    def periods_per_year(self, of_bars: float) -> float:
        """Return how many of the paired returns a year has, from the bars that it has."""
        rows = np.flatnonzero(self.is_common)
        spanned = int(rows[-1] - rows[0])
        return of_bars * (rows.size - 1) / spanned if spanned else float("nan")

    def _time_of(self, place: int) -> datetime:
        row = int(np.flatnonzero(self.is_common)[place])
        found: datetime = times_series(self.times[row : row + 1], self.time_zone)[0]
        return found

    def __repr__(self) -> str:
        """One line: the name, and which part of the result it covers."""
        return (
            f"Benchmark({self.name!r}, {self.is_common.sum():,} of {self.levels.size:,} bars, "
            f"{self.first} to {self.last})"
        )


def as_benchmark(source: object, result: Run, prices: object | None = None) -> Benchmark:
    """Make a benchmark for a result, aligned by time.

    Parameters
    ----------
    source : str, dataframe, path, BacktestResult or Benchmark
        A string that names an asset of the feed: its closes. Other strings and paths: a parquet or
        csv file. A frame (polars, pandas, pyarrow; a pandas series too) has a time column (or
        index) and one column of levels: prices, not returns. Another result: its equity. A
        benchmark of the same bars comes back as it is.
    result : BacktestResult
        At whose bars it is looked at.
    prices : DataFeed, dataframe or path, optional
        Those of the run. Only a result that was loaded needs them, for the name of an asset.

    Returns
    -------
    Benchmark
        Levels at times that are no bar of the result are left out; a bar without a level has none.

    Raises
    ------
    ValueError
        For what has no level at any bar of the result, for times in another zone, for levels of
        zero or less (other than the equity of a result), for a frame that cannot be read or has
        several columns of levels, and for the name of no asset.
    """
    table = result.equity
    times, zone = nanoseconds(table["timestamp"]), zone_of(table["timestamp"])
    if times.size == 0:
        raise DataError(f"{_WHAT}: the result has no bars that anything could be compared with")
    if isinstance(source, Benchmark):
        check_zone(source.time_zone, zone, f"{_WHAT} {source.name!r}")
        if not np.array_equal(source.times, times):
            raise DataError(f"{_WHAT} {source.name!r}: made for other bars; make it for this run")
        return source
    read = _read(source, result, prices)
    check_zone(read.time_zone, zone, f"{_WHAT} {read.name!r}")
    levels = _at(read, times)
    if not np.isfinite(levels).any():
        raise _nothing_common(read, times, zone)
    levels.flags.writeable = False
    return Benchmark(read.name, times, zone, levels)


def _read(source: object, result: Run, prices: object | None) -> Benchmark:
    """Return what a source holds, at its own times."""
    equity = getattr(source, "equity", None)
    if isinstance(equity, pl.DataFrame):  # a column of a pandas frame is none
        stamps = equity["timestamp"]
        levels = equity["equity"].to_numpy()
        return Benchmark("other run", nanoseconds(stamps), zone_of(stamps), levels)
    if isinstance(source, str):
        bars = _bars_with(source, result, prices)
        if bars is not None:
            closes = bars.close[:, bars.index[source]]
            # What is not above zero is no price.
            levels = np.where(closes > 0.0, closes, np.nan)
            return Benchmark(source, bars.times, bars.time_zone, levels)
    return _read_frame(source)


def _bars_with(asset: str, result: Run, prices: object | None) -> Bars | None:
    """Return the bars that have an asset, None where the name is that of a file."""
    is_file = os.path.isfile(os.path.expanduser(asset))
    try:
        bars = result.bars(prices)
    except InputError:
        if is_file:
            return None
        raise
    if asset in bars.index:
        return bars
    if is_file:
        return None
    raise InputError(
        f"{_WHAT}: {shown(asset)} is no asset of the feed{nearest(asset, bars.assets)} and no "
        f"file; the assets are {listed(bars.assets)}"
    )


def _read_frame(source: object) -> Benchmark:
    if getattr(source, "ndim", 0) == 1 and hasattr(source, "index") and hasattr(source, "to_frame"):
        series: Any = source
        source = series.to_frame(_WHAT if series.name is None else str(series.name))
    if not isinstance(source, (str, os.PathLike)) and not is_frame(source):
        raise InputError(
            f"{_WHAT}: {shown(source)} is nothing to compare with; pass the name of an asset, a "
            "frame with a time column and one of levels, the path of one, or another result"
        )
    loaded = load(source, _WHAT)
    faults = Faults(_WHAT)
    time_column = find_column(loaded.frame.columns, TIME_COLUMNS, None, _WHAT, None)
    table = read_wide(loaded, _WHAT, time_column, faults)
    if len(table.assets) != 1:
        raise DataError(
            f"{_WHAT}: the frame has {len(table.assets)} columns of levels: "
            f"{listed(table.assets)}; select the time and one of them"
        )
    name = table.assets[0]
    levels = table.columns[_WHAT][:, 0]
    bad = np.flatnonzero(np.isinf(levels) | (levels <= 0.0))
    if bad.size:
        rows = [f"{time_text(table, row)} {levels[row]:g}" for row in bad[:3].tolist()]
        faults.add(
            f"levels of {name!r} that are not finite and above zero",
            int(bad.size),
            rows,
            "Pass prices; of returns make them with (1 + returns).cumprod()",
        )
    faults.settle()
    return Benchmark(name, table.times, table.time_zone, levels)


def _at(read: Benchmark, times: Ints) -> Floats:
    """Return the levels at times; NaN at those that are not there."""
    levels = np.full(times.size, np.nan)
    if read.times.size:
        rows = np.minimum(np.searchsorted(read.times, times), read.times.size - 1)
        there = read.times[rows] == times
        levels[there] = read.levels[rows[there]]
    return levels


def _nothing_common(read: Benchmark, times: Ints, zone: str | None) -> DataError:
    bars = f"bars from {_range(times, zone)}"
    if not np.isfinite(read.levels).any():
        return DataError(f"{_WHAT} {read.name!r}: not one level is a number; the result has {bars}")
    there = read.times[np.isfinite(read.levels)]
    return DataError(
        f"{_WHAT} {read.name!r}: no time of it is a bar of the result: its levels are from "
        f"{_range(there, read.time_zone)}, the result has {bars}; the times must be the same to "
        "the nanosecond"
    )


def _range(times: Ints, zone: str | None) -> str:
    ends = times_series(times[[0, -1]], zone)
    return f"{ends[0]} to {ends[1]}"
