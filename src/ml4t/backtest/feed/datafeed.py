"""DataFeed: prices and signals of a backtest, checked and laid out as arrays."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import numpy as np

from ml4t.backtest.errors import DataError, listed, nearest
from ml4t.backtest.feed.bars import Bars, times_series
from ml4t.backtest.feed.frames import PRICE_COLUMNS, Table, read_long, read_wide_fields
from ml4t.backtest.records import Floats


class DataFeed:
    """Prices (and signals) of a backtest.

    Parameters
    ----------
    prices : polars or pandas frame
        Long: one row per time and asset. Columns ``timestamp`` (or ``date``, ``datetime``),
        ``symbol`` (or ``asset``, ``ticker``), and ``open``, ``high``, ``low``, ``close``,
        ``volume``, in any case; only close is obligatory. Rows may come in any order. A bar
        exists where close is finite.
    signals : polars or pandas frame, optional
        Long: time, asset, and numeric columns; reach the strategy as ``data[asset]["signals"]``
        at the bar of their time.
    asset_column, time_column : str, optional
        Names of the columns where they are others.

    Raises
    ------
    ValueError
        For missing columns, an empty frame, a (time, asset) that is there twice, signals that
        belong to no bar.

    Examples
    --------
    >>> import polars as pl
    >>> from datetime import datetime
    >>> frame = pl.DataFrame(
    ...     {"date": [datetime(2024, 1, 2)] * 2, "asset": ["B", "A"], "close": [10.0, 20.0]}
    ... )
    >>> DataFeed(frame).assets
    ('A', 'B')
    """

    def __init__(
        self,
        prices: object,
        signals: object | None = None,
        asset_column: str | None = None,
        time_column: str | None = None,
    ) -> None:
        table = read_long(prices, "prices", asset_column, time_column, PRICE_COLUMNS)
        if "close" not in table.columns:
            raise DataError(
                f"prices: no column close; columns found: {listed(table.columns, 12)}. "
                "Rename the column that holds the closes"
            )
        self.bars = _bars_of(table, signals, asset_column, time_column)

    @classmethod
    def from_wide(
        cls,
        close: object,
        open: object | None = None,
        high: object | None = None,
        low: object | None = None,
        volume: object | None = None,
        signals: object | None = None,
        time_column: str | None = None,
    ) -> DataFeed:
        """Make a feed from wide frames: a row per time, a column per asset.

        Parameters
        ----------
        close : polars or pandas frame, or dict of such
            A pandas frame has its times in the index, a polars frame in a column. A dict holds
            the frames under "close", "open", "high", "low", "volume".
        open, high, low, volume : frames, optional
            With the times and columns of `close`.
        signals, time_column
            As in `DataFeed`.
        """
        given = {"close": close}
        if isinstance(close, Mapping):
            given = {str(field).lower(): frame for field, frame in close.items()}
        others = {"open": open, "high": high, "low": low, "volume": volume}
        frames = given | {name: frame for name, frame in others.items() if frame is not None}
        feed = cls.__new__(cls)
        feed.bars = _bars_of(read_wide_fields(frames, time_column), signals, None, time_column)
        return feed

    @property
    def assets(self) -> tuple[str, ...]:
        """Names of the assets, sorted."""
        return self.bars.assets

    @property
    def timestamps(self) -> list[datetime]:
        """Times of the bars, in order."""
        return list(self.bars.timestamps)

    @property
    def n_bars(self) -> int:
        """How many times there are."""
        return int(self.bars.close.shape[0])

    @property
    def n_assets(self) -> int:
        """How many assets there are."""
        return int(self.bars.close.shape[1])

    def __repr__(self) -> str:
        """One line: size and range."""
        return (
            f"DataFeed(n_bars={self.n_bars}, n_assets={self.n_assets}, "
            f"{self.timestamps[0]} to {self.timestamps[-1]})"
        )


def as_feed(prices: object, signals: object | None = None) -> DataFeed:
    """Return a feed as it is, or make one of a long frame."""
    if isinstance(prices, DataFeed):
        if signals is not None:
            raise DataError("signals: prices is a DataFeed already; pass the signals to DataFeed")
        return prices
    return DataFeed(prices, signals)


def _bars_of(
    table: Table, signals: object | None, asset_column: str | None, time_column: str | None
) -> Bars:
    laid_out = {}
    if signals is not None:
        found = read_long(signals, "signals", asset_column, time_column, None)
        laid_out = _align(found, table)
    if not np.isfinite(table.columns["close"]).any():
        raise DataError("prices: not one close is a finite number, so there is no bar")
    return Bars.from_fields(table.assets, table.times, table.time_zone, table.columns, laid_out)


def _align(signals: Table, prices: Table) -> dict[str, Floats]:
    """Lay signals out over the bars of the prices; raises for what belongs to no bar."""
    if signals.time_zone != prices.time_zone:
        raise DataError(
            f"signals: times are in {signals.time_zone or 'no zone'}, those of prices in "
            f"{prices.time_zone or 'no zone'}; make them agree"
        )
    index = {name: i for i, name in enumerate(prices.assets)}
    unknown = [name for name in signals.assets if name not in index]
    if unknown:
        raise DataError(
            f"signals: {listed(unknown)} have no prices{nearest(unknown[0], prices.assets)}; "
            "drop them or add their prices"
        )
    rows = np.minimum(np.searchsorted(prices.times, signals.times), prices.times.size - 1)
    astray = prices.times[rows] != signals.times
    if astray.any():
        first = times_series(signals.times[astray][:1], signals.time_zone)[0]
        raise DataError(
            f"signals: {int(astray.sum())} of their times are no bar of prices, the first: "
            f"{first}; keep only rows whose time has a bar"
        )
    columns = np.array([index[name] for name in signals.assets])
    laid_out = {}
    for name, values in signals.columns.items():
        matrix = np.full((prices.times.size, len(prices.assets)), np.nan)
        matrix[np.ix_(rows, columns)] = values
        barless = np.isfinite(matrix) & ~np.isfinite(prices.columns["close"])
        if barless.any():
            bar, asset = (int(found[0]) for found in np.nonzero(barless))
            time = times_series(prices.times[bar : bar + 1], prices.time_zone)[0]
            raise DataError(
                f"signals: {int(barless.sum())} values of {name!r} are for an asset that has no "
                f"bar then, the first: {time} {prices.assets[asset]}; drop them"
            )
        laid_out[name] = matrix
    return laid_out
