"""The market as an account meets it: the present bar, from a feed or brought by hand."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import numpy as np

from ml4t.backtest.config import BacktestConfig
from ml4t.backtest.errors import DataError, StateError, shown
from ml4t.backtest.feed.bars import Bars
from ml4t.backtest.feed.stepping import checked_bar, next_bars, no_bars, widened
from ml4t.backtest.feed.view import BarData
from ml4t.backtest.records import Floats


class Market:
    """The present bar and what is known of it.

    Parameters
    ----------
    bars : Bars or None
        The bars of a feed, of which `advance` makes the next one present. None: bars come by
        `step`, and assets by `add_assets`.
    config : BacktestConfig
        What of a bar is a market order's price, and whether volume is read.

    Raises
    ------
    ValueError
        If the feed lacks a column that the config needs.
    """

    def __init__(self, bars: Bars | None, config: BacktestConfig) -> None:
        if bars is not None:
            check_columns(bars, config)
        self._config = config
        self.follows_feed = bars is not None
        self.bars = no_bars() if bars is None else bars
        #: Number of the present bar, -1 before the first.
        self.bar = -1
        #: Times of the bars by number; those that are known.
        self.timestamps: list[datetime] = [] if bars is None else list(bars.timestamps)

    @property
    def row(self) -> int:
        """The row of the present bar in the matrices; brought by hand there is only one."""
        return self.bar if self.follows_feed else 0

    def advance(self, bar: int) -> None:
        """Make bar number `bar` of the feed the present one.

        Raises
        ------
        StateError
            If that is not the next bar: an engine drives the market, a strategy does not.
        """
        if not self.follows_feed or bar != self.bar + 1 or bar >= len(self.bars.times):
            raise StateError(
                f"broker: bar {bar} does not follow bar {self.bar} of a feed; leave advance to "
                "the engine, and use step on a broker that was made alone"
            )
        self.bar = bar

    def checked_step(
        self, timestamp: datetime, bars: Mapping[str, Mapping[str, float]]
    ) -> dict[str, dict[str, float]]:
        """Return bars that were brought by hand as floats, or raise and change nothing.

        `needed` is as in `checked_bar`.

        Raises
        ------
        ValueError
            For a time that is not later than the last and for a bar that cannot be used.
        """
        if self.follows_feed:
            raise StateError("step: this broker follows a feed; only one made alone is stepped")
        if not isinstance(timestamp, datetime):
            raise DataError(f"step: timestamp={shown(timestamp)} is not a datetime")
        if not isinstance(bars, Mapping):
            raise DataError(
                f'step: bars={shown(bars)} is not a mapping; pass {{asset: {{"close": price}}}}'
            )
        if self.timestamps:
            before = self.timestamps[-1]
            if (before.tzinfo is None) != (timestamp.tzinfo is None):
                raise DataError(
                    f"step: {timestamp} and {before} must both have a time zone, or neither"
                )
            if not timestamp > before:
                raise DataError(f"step: {timestamp} is not later than {before}")
        needed = self._config.needed_fields
        return {name: checked_bar(name, bar, needed) for name, bar in bars.items()}

    def step(self, timestamp: datetime, values: dict[str, dict[str, float]]) -> None:
        """Make bars that were brought by hand, and checked, the present ones."""
        self.bars = next_bars(self.bars, timestamp, values)
        self.timestamps.append(timestamp)
        self.bar += 1

    def add_assets(self, assets: tuple[str, ...]) -> None:
        """Make room for assets that have no bar yet; `assets` are all there are, sorted."""
        self.bars = widened(self.bars, assets)

    @property
    def data(self) -> BarData:
        """The present bar as a strategy sees it; there is none before the first."""
        if self.bar < 0:
            raise StateError("broker: there is no bar yet, so there is no data; wait for the first")
        return BarData(self.bars, self.row)

    @property
    def assets_end(self) -> bool:
        """Whether this is the first bar without an asset that has ended; only a feed knows."""
        return self.follows_feed and self.bars.some_end.item(self.bar)

    def is_present(self, data: object) -> bool:
        """Whether `data` is the present bar of this market."""
        return isinstance(data, BarData) and data.is_of(self.bars, self.row)

    def marks(self) -> Floats:
        """Return the last closes seen, (n_assets,); NaN where there is none."""
        if self.bar < 0:
            return np.full(len(self.bars.assets), np.nan)
        marks: Floats = self.bars.mark[self.row]
        return marks

    @property
    def market_price(self) -> Floats:
        """The price of market orders in the present bar, (n_assets,)."""
        prices: Floats = market_prices(self.bars, self._config.fill_price)[self.row]
        return prices

    @property
    def volume(self) -> Floats:
        """The volume that orders share in the present bar, (n_assets,)."""
        volume: Floats = volumes(self.bars)[self.row]
        return volume


def check_columns(bars: Bars, config: BacktestConfig) -> None:
    """Raise `ValueError` if the feed lacks a column that the config needs."""
    for field, setting in config.needed_fields.items():
        if getattr(bars, field) is None:
            raise DataError(
                f"config: {setting} needs a {field} column, which the feed does not have; "
                "add it or change the setting"
            )


def market_prices(bars: Bars, fill_price: str) -> Floats:
    """Return the prices of market orders, (n_bars, n_assets); see `BacktestConfig`."""
    matrix: Floats = getattr(bars, fill_price)
    return matrix


def volumes(bars: Bars) -> Floats:
    """Return the volumes, (n_bars, n_assets).

    Without such a column there is no cap that would read them, and the closes stand in.
    """
    return bars.close if bars.volume is None else bars.volume
