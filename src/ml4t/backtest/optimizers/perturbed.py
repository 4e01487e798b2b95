"""Copies of prices whose future is another one, in the form in which the prices came."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
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
from ml4t.backtest.records import Floats, Ints

_WHAT = "prices"
_PRICES = ("open", "high", "low", "close", "vwap", "adj close", "adj_close")
# Logarithms: an asset's level from then on, and each bar by itself. Large enough to change signs
# and ranks, small enough for prices to stay prices.
_LEVEL, _NOISE = 0.3, 0.1
# Of the assets, and of the later bars of such an asset.
_DROPPED = 0.5

Mask = NDArray[np.bool_]


class Future(NamedTuple):
    """What is another in a copy.

    Attributes
    ----------
    after : (n_bars,) bool
        The bars that are later than the decision.
    factor : (n_bars, n_assets) float64
        Prices are multiplied by it, the four of a bar by the same number. 1 until the decision.
    dropped : (n_bars, n_assets) bool
        The bars that are taken out.
    rng : Generator
        Draws what values that are no prices become: other values of their column.
    """

    after: Mask
    factor: Floats
    dropped: Mask
    rng: np.random.Generator


class Original(ABC):
    """Prices as the user passed them.

    Attributes
    ----------
    bars : Bars
        What they are to a feed.
    """

    bars: Bars

    @abstractmethod
    def copy(self, future: Future | None = None) -> Any:
        """Return a copy in the same form; None: with the same future."""

    @abstractmethod
    def feed_of(self, copied: Any, signals: pl.DataFrame | None) -> DataFeed:
        """Return a copy as a feed."""

    def with_values(self, time: int, rng: np.random.Generator) -> Any:
        """Return a copy in which every value after a time (UTC nanoseconds) is another one."""
        shape = self.bars.close.shape
        after = self.bars.times > time
        level, noise = rng.normal(0.0, _LEVEL, shape[1]), rng.normal(0.0, _NOISE, shape)
        factor = np.where(after[:, None], np.exp(level + noise), 1.0)
        return self.copy(Future(after, factor, np.zeros(shape, np.bool_), rng))

    def without_rows(self, time: int, rng: np.random.Generator) -> Any:
        """Return a copy in which bars of single assets after a time are missing.

        Every time keeps a bar, and every asset its last one: when the feed knows an asset to have
        ended is a matter of the feed, not of the pipeline.
        """
        has_bar = np.isfinite(self.bars.close)
        n_bars, n_assets = has_bar.shape
        after = self.bars.times > time
        chosen = np.asarray(rng.random(n_assets) < _DROPPED)
        chosen[rng.integers(n_assets)] = True
        dropped = has_bar & after[:, None] & chosen & (rng.random(has_bar.shape) < _DROPPED)
        known = np.flatnonzero(self.bars.last_bars >= 0)
        dropped[self.bars.last_bars[known], known] = False
        emptied = (has_bar.sum(axis=1) == dropped.sum(axis=1)) & dropped.any(axis=1)
        dropped[emptied, dropped[emptied].argmax(axis=1)] = False
        nothing = np.zeros(n_bars, np.bool_)
        return self.copy(Future(nothing, np.ones(has_bar.shape), dropped, rng))


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


def _drawn(values: NDArray[Any], at: Any, rng: np.random.Generator) -> NDArray[Any]:
    """Return a copy with other values of the same column (axis 0) where `at` is true."""
    made = values.copy()
    made[at] = values[rng.integers(0, len(values), int(np.count_nonzero(at)))]
    return made


class _OfFeed(Original):
    def __init__(self, feed: DataFeed) -> None:
        self._feed = feed
        self.bars = feed.bars

    def copy(self, future: Future | None = None) -> DataFeed:
        if future is None:
            return DataFeed.from_bars(self.bars, self._feed.context)
        bars, (after, factor, dropped, rng) = self.bars, future
        names = ["close"]
        if bars.open is not bars.close:
            names += ["open", "high", "low"]
        if bars.vwap is not None:
            names.append("vwap")
        fields = {name: getattr(bars, name) * factor for name in names}
        fields["close"][dropped] = np.nan
        if bars.volume is not None:
            fields["volume"] = _drawn(bars.volume, after, rng)
        has_bar = np.isfinite(fields["close"])
        signals = {}
        for name, values in bars.signals.items():
            signals[name] = _drawn(values, after, rng)
            signals[name][~has_bar] = None if values.dtype == object else np.nan
        made = Bars.from_fields(bars.assets, bars.times, bars.time_zone, fields, signals)
        return DataFeed.from_bars(made, self._context(future))

    def _context(self, future: Future) -> Context | None:
        context = self._feed.context
        if context is None:
            return None
        at = future.after[context.rows]
        columns = {name: _drawn(values, at, future.rng) for name, values in context.columns.items()}
        return Context(context.rows, columns)

    def feed_of(self, copied: DataFeed, signals: pl.DataFrame | None) -> DataFeed:
        if signals is not None:
            raise DataError(
                "signals: prices is a DataFeed already, so build cannot give signals; pass prices "
                "as a frame"
            )
        return copied


class _Column(NamedTuple):
    """A column of a frame: its place, whether it holds prices, and whose it is (-1: the row's)."""

    place: int
    is_price: bool
    asset: int


class _OfFrame(Original):
    def __init__(self, prices: Any) -> None:
        self._is_lazy = isinstance(prices, pl.LazyFrame)
        self._is_arrow = hasattr(prices, "column_names")
        levels = has_levels(prices)
        table = None if levels else load(prices, _WHAT).frame
        #: Polars, or pandas as it is: build gets the frame in the form that its user knows.
        self._is_pandas = hasattr(prices, "iloc")
        self._frame: Any = prices if self._is_pandas else table
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
        self._columns = list(self._described(labels))
        self._frame = self._with_float_prices()

    def _described(self, labels: tuple[str, ...]) -> list[_Column]:
        """Say of each column what it holds; columns of times and assets are left out."""
        names = list(self._frame.columns)
        if has_levels(self._frame):
            level = level_of_fields(self._frame)
            return [
                _Column(i, str(name[level]).lower() in _PRICES, self.bars.index[name[1 - level]])
                for i, name in enumerate(names)
            ]
        columns = [(i, name) for i, name in enumerate(names) if name not in labels]
        if self._is_long:
            return [_Column(i, name.lower() in _PRICES, -1) for i, name in columns]
        return [_Column(i, True, self.bars.index[name]) for i, name in columns]

    def _with_float_prices(self) -> Any:
        """Return a frame whose prices are floats, so that they can be multiplied."""
        frame = self._frame.copy() if self._is_pandas else self._frame
        for column in self._columns:
            if not column.is_price:
                continue
            if self._is_pandas:
                values = frame.iloc[:, column.place]
                if values.dtype.kind != "f":
                    frame.isetitem(column.place, values.astype("float64"))
            elif not frame.to_series(column.place).dtype.is_float():
                values = frame.to_series(column.place).cast(pl.Float64)
                frame = frame.with_columns(values)
        return frame

    def copy(self, future: Future | None = None) -> Any:
        frame = self._frame.copy() if self._is_pandas else self._frame
        if future is not None:
            for column in self._columns:
                frame = self._changed(frame, column, future)
            if self._asset is not None:
                kept = ~future.dropped[self._bar, self._asset]
                frame = frame.loc[kept] if self._is_pandas else frame.filter(kept)
        if self._is_arrow:
            return frame.to_arrow()
        return frame.lazy() if self._is_lazy else frame

    def _changed(self, frame: Any, column: _Column, future: Future) -> Any:
        """Return the frame with one column changed; a pandas frame is changed itself."""
        after = future.after[self._bar]
        asset = column.asset if self._asset is None else self._asset
        rows = np.arange(self._bar.size)
        if not column.is_price:
            rows = _drawn(rows, after, future.rng)
        gone = np.zeros(rows.size, np.bool_)
        if self._asset is None:
            gone = future.dropped[self._bar, asset]
        factor = future.factor[self._bar, asset]
        if self._is_pandas:
            values = frame.iloc[rows, column.place].set_axis(frame.index)
            if column.is_price:
                values = values.mask(after, values * factor)
            if gone.any():
                values = values.mask(gone)
            frame.isetitem(column.place, values.array)
            return frame
        values = frame.to_series(column.place)[rows]
        if column.is_price:
            values = (values * pl.Series(factor)).zip_with(pl.Series(after), values)
        if gone.any():
            # As the frame itself says that there is no price.
            nothing = float("nan") if values.is_nan().any() else None
            nothings = pl.repeat(nothing, values.len(), dtype=values.dtype, eager=True)
            values = nothings.zip_with(pl.Series(gone), values)
        return frame.with_columns(values.alias(frame.columns[column.place]))

    def feed_of(self, copied: Any, signals: pl.DataFrame | None) -> DataFeed:
        if self._is_long:
            return DataFeed(copied, signals)
        return DataFeed.from_wide(copied, signals=signals)
