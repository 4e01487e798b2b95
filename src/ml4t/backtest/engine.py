"""The bar loop with a Python strategy."""

from __future__ import annotations

from collections.abc import Iterator
from types import MappingProxyType
from typing import Any

from ml4t.backtest.broker import Broker
from ml4t.backtest.config import BacktestConfig
from ml4t.backtest.errors import InputError, MissingExtraError
from ml4t.backtest.feed.datafeed import DataFeed, as_feed
from ml4t.backtest.feed.view import BarData
from ml4t.backtest.frames import LedgerFrames
from ml4t.backtest.result import BacktestResult
from ml4t.backtest.strategy import Strategy

_NO_CONTEXT: MappingProxyType[str, Any] = MappingProxyType({})


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
        if config is not None and not isinstance(config, BacktestConfig):
            raise InputError(
                f"config: a {type(config).__name__} is not a BacktestConfig; pass "
                "BacktestConfig(...), and a RebalanceConfig as its rebalance="
            )
        self.feed = feed
        self.strategy = strategy
        self.config = BacktestConfig() if config is None else config
        Broker(self.config, bars=feed.bars)  # raises now, not in run, for a config that cannot be

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
        bars = self.feed.bars
        broker = Broker(self.config, bars=bars)
        strategy = self.strategy
        on_data = strategy.on_data
        _call(strategy, "on_start", broker)
        numbered = enumerate(bars.timestamps)
        for bar, timestamp in _shown(numbered, self.feed.n_bars) if progress else numbered:
            broker.advance(bar)
            on_data(timestamp, BarData(bars, bar), _NO_CONTEXT, broker)
            broker.settle()
        _call(strategy, "on_end", broker)
        broker.finish()
        return BacktestResult(self.config, LedgerFrames(bars, broker.ledger))


def _call(strategy: object, name: str, broker: Broker) -> None:
    """Call a method that a strategy need not have."""
    method = getattr(strategy, name, None)
    if callable(method):
        method(broker)


def _shown(bars: Iterator[tuple[int, Any]], n_bars: int) -> Iterator[tuple[int, Any]]:
    """Pass bars on and show how far the run has come."""
    try:  # an extra, and slow to import
        from rich.console import Console  # noqa: PLC0415
        from rich.progress import track  # noqa: PLC0415
    except ImportError:
        raise MissingExtraError(
            'progress=True needs rich; run: pip install "ml4t-backtest[cli]"'
        ) from None
    console = Console(stderr=True)
    yield from track(bars, description="backtest", total=n_bars, console=console)


def run_backtest(
    prices: object,
    strategy: Strategy,
    signals: object | None = None,
    config: BacktestConfig | None = None,
) -> BacktestResult:
    """Run a strategy over prices in one call.

    Parameters
    ----------
    prices : DataFeed, polars or pandas frame
        See `DataFeed`.
    strategy : Strategy
    signals : polars or pandas frame, optional
        See `DataFeed`; not together with a `DataFeed`.
    config : BacktestConfig, optional

    Returns
    -------
    BacktestResult
    """
    return Engine(as_feed(prices, signals), strategy, config).run()
