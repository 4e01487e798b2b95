"""Copies of prices whose future is another one, in the form in which the prices came."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ml4t.backtest.errors import DataError
from ml4t.backtest.feed.bars import Bars
from ml4t.backtest.feed.checks import Faults
from ml4t.backtest.feed.columns import find_column, times_of
from ml4t.backtest.feed.context import Context
from ml4t.backtest.feed.datafeed import DataFeed
from ml4t.backtest.feed.frames import column_of, has_levels, load
from ml4t.backtest.feed.table import ASSET_COLUMNS, TIME_COLUMNS
from ml4t.backtest.feed.wide import level_of_fields
from ml4t.backtest.optimizers.future import Future, missing_rows, other_values, same_future
from ml4t.backtest.optimizers.makes import make_of
from ml4t.backtest.records import Floats, Ints

_WHAT = "prices"
_PRICES = ("open", "high", "low", "close", "vwap", "adj close", "adj_close")


class Original(ABC):
    """Prices as the user passed them.

    Attributes
    ----------
    bars : Bars
        What they are to a feed.
    fields : tuple of str
        Which prices there are of a bar, in lower case.
    """

    bars: Bars
    fields: tuple[str, ...]

    def copy(self) -> Any:
        """Return a copy in the same form, laid out in memory as those with another future."""
        return self._made(same_future(self.bars))

    def with_values(self, time: int, rng: np.random.Generator) -> Any:
        """Return a copy in which every value after a time (UTC nanoseconds) is another one."""
        return self._made(other_values(self.bars, self.fields, time, rng))

    def without_rows(self, time: int, rng: np.random.Generator) -> Any:
        """Return a copy in which bars of single assets after a time are missing."""
        return self._made(missing_rows(self.bars, time, rng))

    @abstractmethod
    def _made(self, future: Future) -> Any:
        """Return a copy in the same form, with another future."""

    @abstractmethod
    def feed_of(self, copied: Any, signals: pl.DataFrame | None) -> DataFeed:
        """Return a copy as a feed."""


def original(prices: object) -> Original:
    """Return what makes copies of a feed or a frame.

    Raises
    ------
    ValueError
        For a path, and for whatever `DataFeed` does not take.
    """
    if isinstance(prices, DataFeed):
        return _OfFeed(prices)
    if isinstance(prices, (str, os.PathLike)):
        raise DataError(
            f"{_WHAT}: {str(prices)!r} is a path, of which no copy can be made; read the file and "
            "pass the frame, which build then gets"
        )
    return _OfFrame(prices)


class _OfFeed(Original):
    def __init__(self, feed: DataFeed) -> None:
        self._feed = feed
        self.bars = feed.bars
        bars = feed.bars
        given = {"open": bars.open, "high": bars.high, "low": bars.low, "vwap": bars.vwap}
        # Where there was no such column, the close itself stands in for it.
        found = (
            name for name, prices in given.items() if not (prices is None or prices is bars.close)
        )
        self.fields = ("close", *found)

    def _made(self, future: Future) -> DataFeed:
        bars = self.bars
        n_bars, n_assets = bars.close.shape
        old: dict[str, Floats] = {name: getattr(bars, name) for name in self.fields}
        fields = future.prices(old, np.arange(n_bars)[:, None], np.arange(n_assets))
        fields["close"][future.dropped] = np.nan
        every = np.arange(n_bars)
        if bars.volume is not None:
            fields["volume"] = bars.volume[future.rows(every)]
        has_bar = np.isfinite(fields["close"])
        signals = {}
        for name, values in bars.signals.items():
            signals[name] = values[future.rows(every)]
            signals[name][~has_bar] = None if values.dtype == object else np.nan
        made = Bars.from_fields(bars.assets, bars.times, bars.time_zone, fields, signals)
        return DataFeed.from_bars(made, self._context(future))

    def _context(self, future: Future) -> Context | None:
        context = self._feed.context
        if context is None:
            return None
        columns: dict[str, NDArray[Any]] = {
            name: values[future.rows(context.rows)] for name, values in context.columns.items()
        }
        return Context(context.rows, columns)

    def feed_of(self, copied: DataFeed, signals: pl.DataFrame | None) -> DataFeed:
        if signals is not None:
            raise DataError(
                "signals: prices is a DataFeed already, so build cannot give signals; pass prices "
                "as a frame"
            )
        return copied


class _Column(NamedTuple):
    """A column of a frame: its place, its field, and whose it is (-1: the row's)."""

    place: int
    field: str
    asset: int


class _OfFrame(Original):
    def __init__(self, prices: Any) -> None:
        self._is_lazy = isinstance(prices, pl.LazyFrame)
        self._is_arrow = hasattr(prices, "column_names")
        levels = has_levels(prices)
        table = None if levels else load(prices, _WHAT).frame
        #: Polars, or pandas as it is: build gets the frame in the form that its user knows.
        frame: Any = prices if hasattr(prices, "iloc") else table
        self._make = make_of(frame)
        names = [] if table is None else [name.lower() for name in table.columns]
        self._is_long = any(name in ASSET_COLUMNS for name in names)
        self.bars = self.feed_of(prices, None).bars
        if table is None:
            moments = column_of(prices.index, "timestamp", _WHAT)
        else:
            moments = table[find_column(table.columns, TIME_COLUMNS, None, _WHAT, "time_column")]
        times, _ = times_of(moments, False, Faults(_WHAT))
        self._bar: Ints = np.searchsorted(self.bars.times, times)
        self._asset: Ints | None = None
        labels: tuple[str, ...] = (moments.name,)
        if self._is_long and table is not None:
            name = find_column(table.columns, ASSET_COLUMNS, None, _WHAT, "asset_column")
            owners = table[name].cast(pl.String).to_list()
            self._asset = np.array([self.bars.index[owner] for owner in owners])
            labels = (moments.name, name)
        #: Places of the prices by field, of each asset; and all other columns that hold values.
        self._prices: dict[int, dict[str, int]] = defaultdict(dict)
        self._others: list[_Column] = []
        for column in self._described(frame, labels):
            if column.field in _PRICES:
                self._prices[column.asset][column.field] = column.place
            else:
                self._others.append(column)
        self.fields = tuple({field for places in self._prices.values() for field in places})

    def _described(self, frame: Any, labels: tuple[str, ...]) -> Iterator[_Column]:
        """Say of each column what it holds; columns of times and assets are left out."""
        level = level_of_fields(frame) if has_levels(frame) else None
        for place, name in enumerate(frame.columns):
            if level is not None:
                yield _Column(place, str(name[level]).lower(), self.bars.index[name[1 - level]])
            elif name in labels:
                continue
            elif self._is_long:
                yield _Column(place, name.lower(), -1)
            else:
                yield _Column(place, "close", self.bars.index[name])

    def _made(self, future: Future) -> Any:
        make = self._make
        columns = [make.column(place) for place in range(make.n_columns)]
        for asset, places in self._prices.items():
            # Prices are floats, so that they can be other ones.
            for place in places.values():
                if not make.is_float(columns[place]):
                    columns[place] = make.as_floats(columns[place])
            old = {field: make.numbers(columns[place]) for field, place in places.items()}
            new = future.prices(old, self._bar, self._owner(asset))
            for field, place in places.items():
                at = np.isfinite(old[field]) & (new[field] != old[field])
                columns[place] = make.replaced(columns[place], at, new[field])
                columns[place] = self._with_gaps(columns[place], future, asset)
        for place, _, asset in self._others:
            columns[place] = make.taken(columns[place], future.rows(self._bar))
            columns[place] = self._with_gaps(columns[place], future, asset)
        kept = None if self._asset is None else ~future.dropped[self._bar, self._asset]
        frame = make.frame(columns, kept)
        if self._is_arrow:
            return frame.to_arrow()
        return frame.lazy() if self._is_lazy else frame

    def _owner(self, asset: int) -> Ints | int:
        return asset if self._asset is None else self._asset

    def _with_gaps(self, column: Any, future: Future, asset: int) -> Any:
        """Return a column without the bars that are missing; of a long frame, rows go instead."""
        if self._asset is not None:
            return column
        gone = future.dropped[self._bar, asset]
        return self._make.without(column, gone) if gone.any() else column

    def feed_of(self, copied: Any, signals: pl.DataFrame | None) -> DataFeed:
        if self._is_long:
            return DataFeed(copied, signals)
        return DataFeed.from_wide(copied, signals=signals)
