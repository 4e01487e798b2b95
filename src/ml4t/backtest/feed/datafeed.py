"""DataFeed: prices, signals and context of a backtest, checked and laid out as arrays."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import numpy as np

from ml4t.backtest.errors import DataError
from ml4t.backtest.feed.bars import Bars
from ml4t.backtest.feed.checks import Faults, check_prices
from ml4t.backtest.feed.context import Context, read_context
from ml4t.backtest.feed.frames import has_levels
from ml4t.backtest.feed.long import read_long
from ml4t.backtest.feed.signals import read_signals
from ml4t.backtest.feed.table import PRICES, Table
from ml4t.backtest.feed.wide import read_wide_fields, split_levels


class DataFeed:
    """Prices (and signals, and context) of a backtest.

    Parameters
    ----------
    prices : dataframe, str or Path
        A polars (eager or lazy), pandas or pyarrow frame, or the path of a parquet or csv file.
        Long: one row per time and asset. Columns ``timestamp`` (or ``date``, ``datetime``),
        ``symbol`` (or ``asset``, ``ticker``), and ``open``, ``high``, ``low``, ``close``,
        ``volume``, in any case; only close is obligatory. A bar exists where close is finite.
        Rows of an asset that are not in the order of time are sorted, with a `DataWarning`.
    signals : the same, optional
        Long: time, asset, and columns of numbers, strings or bools; reach the strategy as
        ``data[asset]["signals"]`` at the bar of their time.
    context : the same, optional
        A row per time and no assets; reaches `Strategy.on_data` as `context` at exactly the bar
        of its time. NaN and null: no value.
    asset_column, time_column : str, optional
        Names of the columns where they are others.
    checks : {"raise", "warn"}
        "raise": infinities, prices that are zero or negative, high < low, open or close outside
        of [low, high] and negative volumes raise. "warn": they pass, with a `DataWarning`; a price
        <= 0 is then no price, an infinity is missing, a negative volume is 0. Faults that leave no
        bar to read, such as a (time, asset) that is there twice, always raise.

    Attributes
    ----------
    bars : Bars
    context : Context or None

    Raises
    ------
    ValueError
        For missing columns, an empty frame, faults in rows (one error that counts each kind and
        shows its first three rows), and signals or context that belong to no bar.

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

    bars: Bars
    context: Context | None

    def __init__(
        self,
        prices: object,
        signals: object | None = None,
        context: object | None = None,
        asset_column: str | None = None,
        time_column: str | None = None,
        checks: str = "raise",
    ) -> None:
        faults = Faults("prices", checks)
        table = read_long(prices, asset_column, time_column, faults, PRICES)
        self._lay_out(table, faults, signals, context, asset_column, time_column)

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
        context: object | None = None,
        close_field: str = "Close",
        checks: str = "raise",
    ) -> DataFeed:
        """Make a feed from wide frames: a row per time, a column per asset.

        Parameters
        ----------
        close : dataframe, path, or dict of such
            A pandas frame has its times in the index, others in a column. A dict holds the frames
            under "close", "open", "high", "low", "volume". A pandas frame with two levels of
            columns, field and asset in any order (a yfinance download), holds all of them.
        open, high, low, volume : frames or paths, optional
            With the times and columns of `close`.
        signals, context, time_column, checks
            As in `DataFeed`.
        close_field : str
            Of a frame with two levels: which field is the close. With "Adj Close", open, high and
            low are multiplied by adjusted close / close, so that the bars stay whole.
        """
        faults = Faults("prices", checks)
        raw_close = None
        given: dict[str, object] = {"close": close}
        if isinstance(close, Mapping):
            given = {str(field).lower(): frame for field, frame in close.items()}
        elif has_levels(close):
            given, raw_close = split_levels(close, close_field)
        others = {"open": open, "high": high, "low": low, "volume": volume}
        frames = given | {name: frame for name, frame in others.items() if frame is not None}
        table = read_wide_fields(frames, time_column, faults, raw_close)
        feed = cls.__new__(cls)
        feed._lay_out(table, faults, signals, context, None, time_column)
        return feed

    @classmethod
    def from_bars(cls, bars: Bars, context: Context | None = None) -> DataFeed:
        """Make a feed of bars that are laid out already; nothing is checked."""
        feed = cls.__new__(cls)
        feed.bars, feed.context = bars, context
        return feed

    def _lay_out(
        self,
        table: Table,
        faults: Faults,
        signals: object | None,
        context: object | None,
        asset_column: str | None,
        time_column: str | None,
    ) -> None:
        check_prices(table, faults)
        faults.settle()
        if not np.isfinite(table.columns["close"]).any():
            raise DataError("prices: not one close is a finite number, so there is no bar")
        found = {}
        if signals is not None:
            found = read_signals(signals, asset_column, time_column, table)
        self.context = None if context is None else read_context(context, time_column, table)
        self.bars = Bars.from_fields(
            table.assets, table.times, table.time_zone, table.columns, found
        )

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

    @property
    def ends_inferred(self) -> dict[str, datetime]:
        """Assets whose bars end before the feed does, with the time of their last bar.

        That they ended is inferred from the whole feed: no trader could have known.
        """
        bars = self.bars
        return {
            asset: bars.timestamps[last]
            for asset, last in zip(bars.assets, bars.last_bars.tolist(), strict=True)
            if 0 <= last < self.n_bars - 1
        }

    def __repr__(self) -> str:
        """One line: size, range, and how many assets begin late or end early."""
        text = (
            f"DataFeed(n_bars={self.n_bars}, n_assets={self.n_assets}, "
            f"{self.timestamps[0]} to {self.timestamps[-1]}"
        )
        late = int(np.count_nonzero(self.bars.first_bars > 0))
        early = len(self.ends_inferred)
        return (
            text
            + (f", {late} begin late" * bool(late))
            + (f", {early} end early" * bool(early))
            + ")"
        )


def as_feed(prices: object, signals: object | None = None) -> DataFeed:
    """Return a feed as it is, or make one of a long frame or a path."""
    if isinstance(prices, DataFeed):
        if signals is not None:
            raise DataError("signals: prices is a DataFeed already; pass the signals to DataFeed")
        return prices
    return DataFeed(prices, signals)
