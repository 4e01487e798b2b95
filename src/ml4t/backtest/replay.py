"""run_weights: a whole weight schedule, with the bar loop inside the kernel."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import polars as pl

from ml4t.backtest.config import BacktestConfig, as_config
from ml4t.backtest.costs import Costs
from ml4t.backtest.enums import CashPolicy, Delisting, ExecutionMode
from ml4t.backtest.errors import DataWarning
from ml4t.backtest.execution.alignment import AlignedSchedule
from ml4t.backtest.execution.inputs import check_mentioned
from ml4t.backtest.execution.roads import running_road
from ml4t.backtest.execution.schedule import as_schedule
from ml4t.backtest.execution.skipped import warn_of_run
from ml4t.backtest.feed.bars import Bars
from ml4t.backtest.feed.datafeed import as_feed
from ml4t.backtest.feed.market import check_columns, market_prices, volumes
from ml4t.backtest.frames import LedgerFrames
from ml4t.backtest.kernel import loop
from ml4t.backtest.ledger.ledger import Ledger
from ml4t.backtest.records import PlanParams
from ml4t.backtest.result import BacktestResult
from ml4t.backtest.run_log import RunLog

_log = logging.getLogger(__name__)

# Rows of a table that are asked for at once at most; memory that is not written costs nothing.
_LARGEST_RESERVE = 2**24
# A row of weights beyond that is no wish of anybody whose account is a hundred percent.
_PERCENT = 10.0
# Bars times assets between two chances for Ctrl-C: half a second, if every bar rebalances.
_CELLS_AT_ONCE = 5_000_000


def run_weights(
    prices: object,
    weights: object,
    config: BacktestConfig | None = None,
    align: str = "exact",
) -> BacktestResult:
    """Trade a weight schedule over prices, with the whole bar loop compiled.

    Fill by fill and bit by bit the same as an event-driven strategy that calls
    `TargetWeightExecutor.execute` with each row at its bar, under ``config.rebalance``.

    Parameters
    ----------
    prices : DataFeed, dataframe or path
        See `DataFeed`.
    weights : WeightSchedule, dataframe, path, or dict of time to weights
        A row is decided at the close of the bar of its time and traded as
        ``config.execution_mode`` says. See `WeightSchedule.from_frame`.
    config : BacktestConfig, optional
        None: the defaults.
    align : {"exact", "next"}
        "exact": a time that is no bar raises. "next": it moves to the next bar.

    Returns
    -------
    BacktestResult

    Raises
    ------
    ValueError
        For prices, weights or times that cannot be used, with the first offender; for a held
        asset without a weight under ``unmentioned="error"``; for a cost model that is written in
        Python, which compiled code cannot call.

    Warns
    -----
    DataWarning
        Where the weights of a row sum to more than 10 in absolute value: they may be percent.
    RebalanceWarning
        Once, if thresholds keep rebalances from increasing positions by more than 5 % of equity.

    Notes
    -----
    Ctrl-C ends the run without a result. It is heard within a second or so: the compiled loop
    returns to Python after so many bars.

    Examples
    --------
    >>> from datetime import date
    >>> import polars as pl
    >>> from ml4t.backtest import DataFeed
    >>> days = [date(2024, 1, day) for day in (2, 3, 4)]
    >>> prices = {"date": days, "AAPL": [150.0, 151.0, 153.0], "MSFT": [200.0, 198.0, 202.0]}
    >>> feed = DataFeed.from_wide(pl.DataFrame(prices))
    >>> result = run_weights(feed, {days[0]: {"AAPL": 0.3, "MSFT": 0.6}})
    >>> result.fills["quantity"].to_list()
    [200.0, 300.0]
    """
    settings = as_config(config)
    bars = as_feed(prices).bars
    check_columns(bars, settings)
    schedule = as_schedule(weights).aligned(bars, align)
    _warn_of_percent(schedule, bars)
    return traded(bars, schedule, settings, {}, stacklevel=2)


def _warn_of_percent(schedule: AlignedSchedule, bars: Bars) -> None:
    """Say where weights are so large that somebody may have meant percent."""
    gross = np.nansum(np.abs(schedule.weights), axis=1)
    large = np.flatnonzero(gross > _PERCENT)
    if large.size:
        bar = int(np.flatnonzero(schedule.row_of_bar == large[0])[0])
        warnings.warn(
            f"weights: those of {bars.timestamps[bar]} sum to {gross[large[0]]:,.4g} in absolute "
            f"value ({large.size} of {gross.size} rows to more than {_PERCENT:g}), and are capped "
            "and scaled; if they are percent, divide them by 100",
            DataWarning,
            stacklevel=3,
        )


def traded(
    bars: Bars,
    schedule: AlignedSchedule,
    config: BacktestConfig,
    tables: Mapping[str, pl.DataFrame],
    stacklevel: int,
) -> BacktestResult:
    """Run a schedule, log it, warn of what was skipped, and return the result.

    Parameters
    ----------
    bars, schedule, config
        As in `replay_schedule`.
    tables : mapping of name to frame
        Those of what made the schedule, for `BacktestResult.tables`.
    stacklevel : int
        As in `warnings.warn`, for the caller of this function.
    """
    run_log = RunLog(_log, bars)
    ledger = replay_schedule(bars, schedule, config)
    run_log.end(len(bars.times), ledger)
    totals = ledger.plans.records()
    warn_of_run(totals, config.rebalance, bars.timestamps, stacklevel=stacklevel + 1)
    return BacktestResult(config, LedgerFrames(bars, ledger), tables)


class RunRules(NamedTuple):
    """All settings of a run, most of them as the kernel reads them.

    `initial_cash` is currency, `fill_price` the field of a bar at which market orders fill. Plans
    reckon with the costs in `estimate`, fills are charged those in `costs`: the same, unless
    somebody asks what would have been.
    """

    initial_cash: float
    fill_price: str
    run: loop.RunParams
    plan: PlanParams
    estimate: Costs
    costs: Costs

    @classmethod
    def of(cls, config: BacktestConfig) -> RunRules:
        """Return the rules of a config."""
        run = loop.RunParams(
            is_same_bar=config.execution_mode is ExecutionMode.SAME_BAR,
            must_mention=config.rebalance.unmentioned == "error",
            max_participation=config.participation,
            cash_policy=CashPolicy(config.insufficient_cash).code,
            delisting=Delisting(config.delisting).code,
        )
        plan, costs = config.rebalance.params, config.costs
        return cls(float(config.initial_cash), config.fill_price, run, plan, costs, costs)


def replay_schedule(bars: Bars, schedule: AlignedSchedule, config: BacktestConfig) -> Ledger:
    """Run a schedule on a fresh account; returns its ledger, complete.

    Parameters
    ----------
    bars : Bars
        With every column that the config needs.
    schedule : AlignedSchedule
        On these bars.
    config : BacktestConfig
        One with a cost model in Python raises a `ValueError`.
    """
    config.costs.check_compiled()
    return replay(bars, schedule, RunRules.of(config))


def replay(bars: Bars, schedule: AlignedSchedule, rules: RunRules) -> Ledger:
    """Run a schedule under rules that need not be those of a config; otherwise the same.

    With a cost model in Python the same loop is run uncompiled, which is slow.
    """
    n_bars, n_assets = bars.close.shape
    ledger = Ledger(bars.assets, rules.initial_cash, list(bars.timestamps), n_bars)
    bar_arrays = loop.BarArrays(
        market=market_prices(bars, rules.fill_price),
        open=bars.open,
        high=bars.high,
        low=bars.low,
        close=bars.close,
        volume=volumes(bars),
        mark=bars.mark,
        gone_from=bars.gone_from,
        some_end=bars.some_end,
    )
    decisions = loop.Decisions(schedule.row_of_bar, schedule.weights)
    run_bars, estimate, costs = running_road(rules.estimate, rules.costs, bars.assets)
    _reserve(ledger, n_assets, len(schedule.weights))
    at_once = max(_CELLS_AT_ONCE // n_assets, 1)
    bar = 0
    while bar < n_bars:
        stop = min(bar + at_once, n_bars)
        state, log = _with_room(ledger, n_assets)
        bar, why = run_bars(
            bar, stop, bar_arrays, decisions, rules.run, rules.plan, estimate, costs, state, log
        )
        if why == loop.UNMENTIONED:
            requested = schedule.weights[schedule.row_of_bar[bar]]
            check_mentioned(
                bars.assets, ledger.holdings["quantity"], requested, bars.timestamps[bar]
            )
    ledger.record_equity(n_bars, bars.mark)
    return ledger


def _reserve(ledger: Ledger, n_assets: int, n_decisions: int) -> None:
    """Make one block of each table for all that is expected: rows of one block are not copied."""
    expected = min((n_decisions + 3) * n_assets, _LARGEST_RESERVE)
    for table in (ledger.done, ledger.fills, ledger.plan_rows):
        table.room(expected)
    ledger.plans.room(min(n_decisions, _LARGEST_RESERVE))


def _with_room(ledger: Ledger, n_assets: int) -> tuple[loop.AccountArrays, loop.LogArrays]:
    """Return the arrays of a ledger with room for one bar at least."""
    most = loop.room_needed(ledger.n_working, n_assets)
    state = loop.AccountArrays(
        account=ledger.account,
        book=ledger.book_with_room(most - ledger.n_working),
        holdings=ledger.holdings,
        volume_used=ledger.volume_used,
        multiplier=ledger.multiplier,
        equity=ledger.equity,
    )
    log = loop.LogArrays(
        done=ledger.done.room(most),
        n_done=ledger.done.used,
        fills=ledger.fills.room(most),
        n_fills=ledger.fills.used,
        ends=ledger.ends.room(n_assets),
        n_ends=ledger.ends.used,
        plans=ledger.plans.room(1),
        n_plans=ledger.plans.used,
        plan_rows=ledger.plan_rows.room(n_assets),
        n_plan_rows=ledger.plan_rows.used,
    )
    return state, log
