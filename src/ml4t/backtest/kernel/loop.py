"""The bar loop of a weight schedule: what an event-driven run does at each bar, compiled whole.

The phases of a bar are the functions that the broker calls; nothing is sized, matched or paid for
here.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ml4t.backtest.enums import CashPolicy, Reason
from ml4t.backtest.kernel.accounting import equity_of, record_equity
from ml4t.backtest.kernel.book import accept_orders, cancel_orders, record_plan
from ml4t.backtest.kernel.credit import keep_to_credit
from ml4t.backtest.kernel.ends import end_assets
from ml4t.backtest.kernel.jit import kernel
from ml4t.backtest.kernel.matching import match_orders
from ml4t.backtest.kernel.planning import plan
from ml4t.backtest.records import (
    PLAN_TOTALS,
    PLANNED_ORDER,
    Bools,
    CostParams,
    Floats,
    Ints,
    PlanParams,
    Records,
)

REBALANCE = Reason.REBALANCE.code
UNLIMITED = CashPolicy.UNLIMITED.code

# Why the loop returned.
ALL_DONE = 0
NEEDS_ROOM = 1
UNMENTIONED = 2


class BarArrays(NamedTuple):
    """The bars of a feed, (n_bars, n_assets) each, and when assets end.

    `gone_from` (n_assets,) is the bar at which an asset is known to have ended, `some_end`
    (n_bars,) says at which bars one does.
    """

    market: Floats
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    mark: Floats
    gone_from: Ints
    some_end: Bools


class Decisions(NamedTuple):
    """A weight schedule: the row of `weights` that is decided at each bar, -1 for none."""

    row_of_bar: Ints
    weights: Floats


class RunParams(NamedTuple):
    """The settings of a run that are neither the planner's nor the costs'."""

    is_same_bar: bool
    must_mention: bool
    max_participation: float
    cash_policy: int
    delisting: int


class AccountArrays(NamedTuple):
    """The state of an account; changed."""

    account: Records
    book: Records
    holdings: Records
    volume_used: Records
    multiplier: Floats
    equity: Records


class LogArrays(NamedTuple):
    """The open block of each table of the ledger, with the rows used in it; changed."""

    done: Records
    n_done: Ints
    fills: Records
    n_fills: Ints
    ends: Records
    n_ends: Ints
    plans: Records
    n_plans: Ints
    plan_rows: Records
    n_plan_rows: Ints


@kernel
def room_needed(n_working: int, n_assets: int) -> int:
    """Return how many rows one bar can add to a table at most.

    Every working order may fill at the open, every asset end, and every new order fill.
    """
    return n_working + 2 * n_assets


@kernel
def has_room(state: AccountArrays, log: LogArrays) -> bool:
    """Whether one more bar fits into the book and every table, whatever happens in it."""
    n_working = state.account[0]["n_working"]
    n_assets = state.holdings.size
    most = room_needed(n_working, n_assets)
    return (
        state.book.size >= most
        and log.done.size - log.n_done[0] >= most
        and log.fills.size - log.n_fills[0] >= most
        and log.ends.size - log.n_ends[0] >= n_assets
        and log.plans.size - log.n_plans[0] >= 1
        and log.plan_rows.size - log.n_plan_rows[0] >= n_assets
    )


@kernel
def rebalance(
    bar: int,
    requested: Floats,
    bars: BarArrays,
    is_on_credit: bool,
    params: PlanParams,
    estimate: CostParams,
    state: AccountArrays,
    log: LogArrays,
    planned: Records,
    totals: Records,
) -> None:
    """Plan and apply one row of weights; changes `state`, `log` and the scratch at the end."""
    account, book, mark = state.account, state.book, bars.mark[bar]
    n_assets = state.holdings.size
    quantity = np.empty(n_assets)
    for i in range(n_assets):
        quantity[i] = state.holdings[i]["quantity"]
    cash = account[0]["cash"]
    equity = equity_of(cash, quantity, mark, state.multiplier)
    n_working = account[0]["n_working"]
    cancels = np.empty(n_working, np.int64)
    rows = log.plan_rows[log.n_plan_rows[0] :]
    plan(
        cash, equity, quantity, bars.close[bar], mark, state.multiplier, requested,
        book[:n_working], params, estimate, rows, planned, cancels, totals,
    )  # fmt: skip
    answer = totals[0]
    cancel_orders(
        cancels[: answer["n_cancels"]], REBALANCE, bar, book, account, log.done, log.n_done
    )
    n_orders = answer["n_orders"]
    if is_on_credit:
        n_orders = keep_to_credit(
            planned, n_orders, rows[: answer["n_rows"]], cash, equity, bars.close[bar]
        )
    accept_orders(planned[:n_orders], account[0]["n_plans"], bar, book, account)
    record_plan(rows[: answer["n_rows"]], totals, bar, account, log.plans, log.n_plans)
    log.n_plan_rows[0] += answer["n_rows"]


@kernel
def leaves_unmentioned(requested: Floats, holdings: Records) -> bool:
    """Whether an asset is held that is not in the targets."""
    for i in range(holdings.size):
        if holdings[i]["quantity"] != 0.0 and math.isnan(requested[i]):
            return True
    return False


@kernel
def run_bars(
    start: int,
    stop: int,
    bars: BarArrays,
    decisions: Decisions,
    run: RunParams,
    params: PlanParams,
    estimate: CostParams,
    costs: CostParams,
    state: AccountArrays,
    log: LogArrays,
) -> tuple[int, int]:
    """Run the bars from `start` to `stop` (exclusive).

    `estimate` is what plans reckon that trading costs, `costs` what fills are charged.
    Returns the bar that comes next and why: ALL_DONE; NEEDS_ROOM, before that bar, in which
    nothing has happened yet; or UNMENTIONED, at the decision of that bar, which the config
    forbids. Changes `state` and `log`.
    """
    account, book, holdings, used = state.account, state.book, state.holdings, state.volume_used
    planned = np.empty(holdings.size, PLANNED_ORDER)
    totals = np.zeros(1, PLAN_TOTALS)
    # A plain -1 has a type of its own, for which all of the matching would be compiled once more.
    ever = int(np.int64(-1))
    for bar in range(start, stop):
        row = decisions.row_of_bar[bar]
        if row < 0 and account[0]["n_working"] == 0 and not bars.some_end[bar]:
            continue
        if not has_room(state, log):
            return bar, NEEDS_ROOM
        close = bars.close[bar]
        if bars.some_end[bar]:
            record_equity(bar, bars.mark, account, holdings, state.equity)
            end_assets(
                bar, bars.gone_from, bars.mark[bar], run.delisting, book, account, holdings,
                log.done, log.n_done, log.fills, log.n_fills, log.ends, log.n_ends,
            )  # fmt: skip
        if account[0]["n_working"] > 0:
            record_equity(bar, bars.mark, account, holdings, state.equity)
            match_orders(
                bar, ever, bars.market[bar], bars.open[bar], bars.high[bar], bars.low[bar], close,
                bars.volume[bar], bars.gone_from, book, account, holdings, used,
                run.max_participation, run.cash_policy, costs,
                log.done, log.n_done, log.fills, log.n_fills,
            )  # fmt: skip
        if row < 0:
            continue
        requested = decisions.weights[row]
        if run.must_mention and leaves_unmentioned(requested, holdings):
            return bar, UNMENTIONED
        rebalance(
            bar, requested, bars, run.cash_policy == UNLIMITED, params, estimate, state, log,
            planned, totals,
        )  # fmt: skip
        if run.is_same_bar and account[0]["n_working"] > 0:
            record_equity(bar, bars.mark, account, holdings, state.equity)
            match_orders(
                bar, bar, close, close, close, close, close,
                bars.volume[bar], bars.gone_from, book, account, holdings, used,
                run.max_participation, run.cash_policy, costs,
                log.done, log.n_done, log.fills, log.n_fills,
            )  # fmt: skip
    return stop, ALL_DONE
