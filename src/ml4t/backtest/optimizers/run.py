"""run_provider: from prices and an optimizer to a result."""

from __future__ import annotations

from ml4t.backtest.config import BacktestConfig, as_config
from ml4t.backtest.engine import Engine
from ml4t.backtest.execution.decision_times import Schedule
from ml4t.backtest.execution.rebalancer import WeightProvider
from ml4t.backtest.execution.triggers import DriftTrigger
from ml4t.backtest.feed.datafeed import as_feed
from ml4t.backtest.feed.market import check_columns
from ml4t.backtest.optimizers.ahead import check_can_be_parallel, decided_ahead, n_processes
from ml4t.backtest.optimizers.asking import uses_account
from ml4t.backtest.optimizers.fit_log import FitLog
from ml4t.backtest.optimizers.weight_strategy import WeightStrategy
from ml4t.backtest.replay import traded
from ml4t.backtest.result import BacktestResult


def run_provider(
    prices: object,
    provider: WeightProvider,
    schedule: Schedule = "month_end",
    config: BacktestConfig | None = None,
    trigger: DriftTrigger | None = None,
    progress: bool = False,
    n_jobs: int = 1,
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
    n_jobs : int
        Fits at a time, each in a worker process; -1: as many as there are cores. For
        `SkfolioWeights` and `CallableWeights` that do not look at the account, and can be sent to
        a process: functions are defined at the top of a module, and a script runs its own part
        under ``if __name__ == "__main__":``. The result is the same, but for the seconds of
        `optimizations`. See the notes.

    Returns
    -------
    BacktestResult
        With `optimizations`, a row for each answer, and ``tables["excluded_assets"]``.

    Raises
    ------
    ValueError
        For prices, schedules and configs that cannot be used, a provider without `get_weights`, and
        weights of an asset that the feed does not have. With `n_jobs` for a provider whose fits
        cannot be done side by side: it, or the `trigger`, looks at the account, a cost model of
        your own is in the way, its `get_weights` is not ours, or it cannot be sent to a process.

    Warns
    -----
    OptimizationWarning
        For an answer without a weight: everything is sold.
    RebalanceWarning
        If thresholds keep rebalances from increasing positions by more than 5 % of equity: for
        each of them in an `Engine`, else once.

    Notes
    -----
    With `n_jobs` failures are dealt with in order of time after the fits: a policy such as
    "previous", or another provider that is asked instead, sees what it would have seen. A function
    must give the same answer whatever it was asked before. An object that has changed with a call
    raises; what a function keeps in global variables, and a random generator without a seed,
    cannot be seen: each process has its own. A `time_limit` holds for each fit. Workers are ended
    with the run, also by Ctrl-C.

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
    n_workers = n_processes(n_jobs)
    decides_first = trigger is None and not uses_account(provider) and settings.costs.is_compiled
    if n_jobs != 1:
        check_can_be_parallel(provider, trigger, settings)
    if not decides_first:
        return Engine(feed, strategy, settings).run(progress)
    check_columns(feed.bars, settings)
    log = FitLog()
    aligned = decided_ahead(provider, schedule, feed.bars, log, progress, n_workers)
    return traded(feed.bars, aligned, settings, log.tables(), stacklevel=2)
