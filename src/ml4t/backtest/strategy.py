"""Strategy: what decides at every bar."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ml4t.backtest.broker import Broker
from ml4t.backtest.feed.view import BarData


class Strategy:
    """Base class of a strategy; override what is needed.

    `on_data` is called once a bar, after the bar's fills and at its close. What it submits is
    matched from the next bar on, or at this close in SAME_BAR mode.

    Examples
    --------
    >>> class BuyAndHold(Strategy):
    ...     def on_data(self, timestamp, data, context, broker):
    ...         if "AAPL" in data and broker.get_position("AAPL") is None:
    ...             broker.submit_order("AAPL", 10)
    """

    def on_start(self, broker: Broker) -> None:
        """Run before the first bar."""

    def on_data(
        self, timestamp: datetime, data: BarData, context: Mapping[str, Any], broker: Broker
    ) -> None:
        """Decide at the close of a bar.

        Parameters
        ----------
        timestamp : datetime
            Time of the bar.
        data : BarData
            The bars of now by asset, and the past of all of them (`data.history`).
        context : mapping
            Values of now that belong to no asset, by name (`DataFeed(context=...)`); empty
            where there are none.
        broker : Broker
            The account.
        """

    def on_end(self, broker: Broker) -> None:
        """Run after the last bar. Orders submitted here are not matched any more."""

    def tables(self) -> Mapping[str, object]:
        """Return what the strategy itself has kept, for `BacktestResult.tables`; called at the end.

        It is called once, after `on_end`. Of a run that was stopped by an exception it is asked as
        well, at the bar in which that happened; if it raises then, the result has no tables, and
        the log says why.

        Returns
        -------
        mapping of name to a polars (eager or lazy), pandas or pyarrow frame
            They become polars frames; the index of a pandas frame becomes a column if it has a
            name or holds times, and is dropped if not. A name is a letter and then letters,
            digits or underscores, and not that of a frame of every result ("equity").

        Raises
        ------
        ValueError
            From the run, if what it returned is something else. The result of the run is then
            `Engine.result`, without tables.

        Examples
        --------
        >>> class Momentum(Strategy):
        ...     def on_start(self, broker):
        ...         self.seen = []
        ...
        ...     def on_data(self, timestamp, data, context, broker):
        ...         self.seen.append({"timestamp": timestamp, "n_assets": len(data)})
        ...
        ...     def tables(self):
        ...         return {"breadth": pl.DataFrame(self.seen)}
        """
        return {}
