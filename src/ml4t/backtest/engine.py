"""The bar loop with a Python strategy."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import polars as pl

from ml4t.backtest.broker import Broker
from ml4t.backtest.config import BacktestConfig, as_config
from ml4t.backtest.errors import InputError, StateError
from ml4t.backtest.feed.bars import NEVER, Bars, bars_until
from ml4t.backtest.feed.datafeed import DataFeed, as_feed
from ml4t.backtest.feed.view import BarData
from ml4t.backtest.frames import LedgerFrames
from ml4t.backtest.ledger.cut import ledger_until
from ml4t.backtest.progress import tracked
from ml4t.backtest.result import BacktestResult
from ml4t.backtest.run_log import RunLog
from ml4t.backtest.strategy import Strategy
from ml4t.backtest.strategy_tables import checked_tables

_log = logging.getLogger(__name__)
_NO_CONTEXT: Mapping[str, Any] = MappingProxyType({})


class Engine:
    """Runs a strategy over a feed, bar by bar.

    Parameters
    ----------
    feed : DataFeed
    strategy : Strategy
        Any object with an `on_data` method will do.
    config : BacktestConfig, optional
        None: the defaults.

    Raises
    ------
    ValueError
        If `max_participation` is set and the feed has no volume.
    """

    def __init__(
        self, feed: DataFeed, strategy: Strategy, config: BacktestConfig | None = None
    ) -> None:
        if not isinstance(feed, DataFeed):
            raise InputError(
                f"feed: a {type(feed).__name__} is not a DataFeed; pass DataFeed(prices) or use "
                "run_backtest(prices, strategy)"
            )
        if isinstance(strategy, type) or not callable(getattr(strategy, "on_data", None)):
            raise InputError(
                f"strategy: {strategy!r} is not an object with an on_data method; "
                "pass an instance of a Strategy"
            )
        self.feed = feed
        self.strategy = strategy
        self.config = as_config(config)
        Broker(self.config, bars=feed.bars)  # raises now, not in run, for a config that cannot be
        self._broker: Broker | None = None
        self._n_complete = 0
        self._tables: dict[str, pl.DataFrame] = {}
        self._result: BacktestResult | None = None

    @property
    def result(self) -> BacktestResult:
        """The result of the last run.

        Of a run that an exception or Ctrl-C has stopped it is what happened up to there: the
        account as it stood at the close of the last complete bar. A bar is complete when its
        decision was carried out; of a bar that is not, nothing is in the result but what the
        strategy put into tables of its own.

        Raises
        ------
        StateError
            If there was no run yet, or if it is going on.
        """
        if self._result is None:
            if self._broker is None:
                raise StateError("engine: there is no result before a run has ended; call run()")
            bars, ledger = self.feed.bars, self._broker.ledger
            if self._n_complete < self.feed.n_bars:
                ledger = ledger_until(ledger, self._n_complete)
                known = np.where(bars.gone_from < self._n_complete, bars.gone_from, NEVER)
                bars = bars_until(bars, self._n_complete, known)
            frames = LedgerFrames(bars, ledger)
            self._result = BacktestResult(self.config, frames, self._tables)
        return self._result

    def run(self, progress: bool = False) -> BacktestResult:
        """Run from the first bar to the last on a fresh account.

        Parameters
        ----------
        progress : bool
            Show a progress bar on the standard error stream; needs the extra ``cli``.

        Returns
        -------
        BacktestResult
        """
        bars, strategy = self.feed.bars, self.strategy
        self._broker = self._result = None
        self._tables = {}
        broker = Broker(self.config, bars=bars)
        on_data, context = strategy.on_data, self.feed.context
        numbered_bars = enumerate(bars.timestamps)
        shown = tracked(numbered_bars, len(bars.timestamps), "backtest", progress)
        run_log = RunLog(_log, bars)
        _log.debug("run: strategy %r, %r", strategy, self.config)
        n_complete = 0
        phase = "on_start"
        try:
            _call(strategy, "on_start", broker)
            with shown as numbered:
                for bar, timestamp in numbered:
                    phase = "matching"
                    broker.advance(bar)
                    values = _NO_CONTEXT if context is None else context.at(bar)
                    phase = "on_data"
                    on_data(timestamp, BarData(bars, bar), values, broker)
                    phase = "matching at the close"
                    broker.end_bar(bar)
                    n_complete = bar + 1
            phase = "on_end"
            _call(strategy, "on_end", broker)
            phase = "tables"
            self._tables = _tables_of(strategy)
        except BaseException as stopped:
            place = _place(bars, phase, n_complete)
            stopped.add_note(f"ml4t.backtest: {place}; engine.result has what happened before")
            _log.warning("run stopped by %s: %s", type(stopped).__name__, place)
            if phase != "tables":
                self._tables = _tables_if_possible(strategy)
            raise
        finally:
            broker.finish()
            self._broker, self._n_complete = broker, n_complete
            run_log.end(n_complete, broker.ledger)
        return self.result


def _call(strategy: object, name: str, broker: Broker) -> None:
    """Call a method that a strategy need not have."""
    method = getattr(strategy, name, None)
    if callable(method):
        method(broker)


def _tables_of(strategy: object) -> dict[str, pl.DataFrame]:
    """Return the tables of a strategy, none where it has no such method."""
    method = getattr(strategy, "tables", None)
    if method is not None and not callable(method):
        raise InputError(
            f"strategy: its attribute `tables` is a {type(method).__name__}, not a method that "
            "returns a dict of frames; give it another name"
        )
    return {} if method is None else checked_tables(method())


def _tables_if_possible(strategy: object) -> dict[str, pl.DataFrame]:
    """Return the tables of a strategy that was stopped; what it raises meanwhile is logged."""
    try:
        return _tables_of(strategy)
    except Exception as error:
        _log.warning("the result has no tables of the strategy: %s", error, exc_info=True)
        return {}


def _place(bars: Bars, phase: str, n_complete: int) -> str:
    """Say where in a run it stopped."""
    if phase == "on_start":
        return "in on_start, before the first bar"
    if n_complete == len(bars.timestamps):
        return f"in {phase}, after the last bar {_named(bars, n_complete - 1)}"
    return f"in {phase}, bar {_named(bars, n_complete)}"


def _named(bars: Bars, bar: int) -> str:
    return f"{bar} (counted from 0) at {bars.timestamps[bar]}"


def run_backtest(
    prices: object,
    strategy: Strategy,
    signals: object | None = None,
    config: BacktestConfig | None = None,
) -> BacktestResult:
    """Run a strategy over prices in one call.

    Parameters
    ----------
    prices : DataFeed, dataframe or path
        See `DataFeed`, which also takes a context.
    strategy : Strategy
    signals : dataframe or path, optional
        See `DataFeed`; not together with a `DataFeed`.
    config : BacktestConfig, optional

    Returns
    -------
    BacktestResult
    """
    return Engine(as_feed(prices, signals), strategy, config).run()
