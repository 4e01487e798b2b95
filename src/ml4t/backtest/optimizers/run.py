"""run_provider: from prices and an optimizer to a result."""

from __future__ import annotations

import numpy as np

from ml4t.backtest.config import BacktestConfig, as_config
from ml4t.backtest.engine import Engine
from ml4t.backtest.errors import WeightsError
from ml4t.backtest.execution.alignment import AlignedSchedule
from ml4t.backtest.execution.decision_times import Schedule, decision_bars
from ml4t.backtest.execution.rebalancer import WeightProvider
from ml4t.backtest.execution.triggers import DriftTrigger
from ml4t.backtest.execution.weights import weights_vector
from ml4t.backtest.feed.bars import Bars
from ml4t.backtest.feed.datafeed import as_feed
from ml4t.backtest.feed.market import check_columns
from ml4t.backtest.feed.view import BarData
from ml4t.backtest.optimizers.asking import decide, name_of, reset, uses_account
from ml4t.backtest.optimizers.fit_log import FitLog
from ml4t.backtest.optimizers.weight_strategy import WeightStrategy
from ml4t.backtest.progress import tracked
from ml4t.backtest.records import Floats
from ml4t.backtest.replay import traded
from ml4t.backtest.result import BacktestResult


def run_provider(
    prices: object,
    provider: WeightProvider,
    schedule: Schedule = "month_end",
    config: BacktestConfig | None = None,
    trigger: DriftTrigger | None = None,
    progress: bool = False,
) -> BacktestResult:
    """Ask a weight provider over the whole feed, and trade what it says.

    A provider whose attribute `uses_account` is False decides for all bars first, without a
    broker, and its weights are traded as `run_weights` does. All others, and all under a cost model
    of your own, are asked in an `Engine`, as a `WeightStrategy`. Both give the same fills.

    Parameters
    ----------
    prices : DataFeed, dataframe or path
        See `DataFeed`.
    provider : WeightProvider
        `SkfolioWeights`, `CallableWeights`, or anything with ``get_weights(data, broker)``.
    schedule : str, Every, OnDates or callable
        When it is asked, at the close of the bar; see `decision_bars`.
    config : BacktestConfig, optional
        None: the defaults.
    trigger : DriftTrigger, optional
        As in `WeightStrategy`. It looks at the account, so the run is an `Engine`'s.
    progress : bool
        Show how many bars, or decisions, are done on the standard error stream; needs the extra
        ``cli``.

    Returns
    -------
    BacktestResult
        With `optimizations`, a row for each answer, and ``tables["excluded_assets"]``.

    Raises
    ------
    ValueError
        For prices, schedules and configs that cannot be used, a provider without `get_weights`, and
        weights of an asset that the feed does not have.

    Warns
    -----
    OptimizationWarning
        For an answer without a weight: everything is sold.
    RebalanceWarning
        If thresholds keep rebalances from increasing positions by more than 5 % of equity: for
        each of them in an `Engine`, else once.

    Examples
    --------
    >>> import polars as pl
    >>> from datetime import date
    >>> from ml4t.backtest.optimizers import EqualWeights
    >>> days = [date(2024, 1, 30), date(2024, 1, 31), date(2024, 2, 1)]
    >>> prices = pl.DataFrame({"date": days, "asset": "A", "close": [10.0, 10.0, 10.0]})
    >>> run_provider(prices, EqualWeights()).fills.select("asset", "side", "quantity").rows()
    [('A', 'buy', 10000.0)]
    """
    settings = as_config(config)
    feed = as_feed(prices)
    strategy = WeightStrategy(provider, schedule, trigger=trigger)
    if trigger is not None or uses_account(provider) or not settings.costs.is_compiled:
        return Engine(feed, strategy, settings).run(progress)
    check_columns(feed.bars, settings)
    log = FitLog()
    aligned = _decided(provider, schedule, feed.bars, log, progress)
    return traded(feed.bars, aligned, settings, log.tables(), stacklevel=2)


def _decided(
    provider: WeightProvider, schedule: Schedule, bars: Bars, log: FitLog, progress: bool
) -> AlignedSchedule:
    """Ask a provider that does not look at the account at every bar of the schedule."""
    row_of_bar = np.full(bars.times.size, -1, np.int64)
    rows: list[Floats] = []
    at = np.flatnonzero(decision_bars(schedule, bars)).tolist()
    reset(provider)
    try:
        with tracked(at, len(at), "decisions", progress) as shown:
            for bar in shown:
                weights = decide(provider, BarData(bars, bar), None, log)
                if weights is None:
                    continue
                row_of_bar[bar] = len(rows)
                try:
                    rows.append(weights_vector(weights, bars.assets, bars.index))
                except WeightsError as error:
                    error.add_note(f"ml4t.backtest: {name_of(provider)} at {bars.timestamps[bar]}")
                    raise
    finally:
        reset(provider)
    matrix = np.array(rows, np.float64).reshape(len(rows), len(bars.assets))
    matrix.flags.writeable = row_of_bar.flags.writeable = False
    return AlignedSchedule(row_of_bar, matrix)
