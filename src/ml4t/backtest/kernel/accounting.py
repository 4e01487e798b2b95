"""What an account is worth, and the trades that its fills add up to."""

from __future__ import annotations

import math

import numpy as np

from ml4t.backtest.kernel.jit import kernel
from ml4t.backtest.kernel.quantities import without_dust
from ml4t.backtest.records import Floats, Records


@kernel
def equity_of(cash: float, quantity: Floats, mark: Floats, multiplier: Floats) -> float:
    """Add the marked value of what is held to cash, summed in the order of the assets."""
    equity = cash
    for i in range(quantity.size):
        if quantity[i] != 0.0:
            equity += quantity[i] * mark[i] * multiplier[i]
    return equity


@kernel
def record_equity(
    stop: int, marks: Floats, account: Records, holdings: Records, equity: Records
) -> None:
    """Write the account at the close of the bars before `stop` that are not written yet.

    Cash and holdings did not change during these bars. `marks` is (n_bars, n_assets), `equity`
    holds records of `EQUITY`, one a bar; exposures are fractions of equity, NaN without equity.
    """
    start = account[0]["n_recorded"]
    if start >= stop:
        return
    account[0]["n_recorded"] = stop
    cash = account[0]["cash"]
    n_held = 0
    held = np.empty(holdings.size, np.int64)
    quantity = np.empty(holdings.size)
    for i in range(holdings.size):
        if holdings[i]["quantity"] != 0.0:
            held[n_held] = i
            quantity[n_held] = holdings[i]["quantity"]
            n_held += 1
    for bar in range(start, stop):
        value = cash
        net = 0.0
        gross = 0.0
        for k in range(n_held):
            worth = quantity[k] * marks[bar, held[k]]
            value += worth
            net += worth
            gross += abs(worth)
        row = equity[bar]
        row["equity"] = value
        row["cash"] = cash
        row["gross_exposure"] = gross / value if value > 0.0 else np.nan
        row["net_exposure"] = net / value if value > 0.0 else np.nan


@kernel
def write_positions(
    bar: int,
    marks: Floats,
    equity: float,
    held: Floats,
    rows: Floats,
    n_rows: int,
) -> int:
    """Append a bar's positions to `rows` (bar, asset, quantity, value, weight); new length."""
    for i in range(held.size):
        if held[i] != 0.0:
            value = held[i] * marks[i]
            rows[n_rows, 0] = bar
            rows[n_rows, 1] = i
            rows[n_rows, 2] = held[i]
            rows[n_rows, 3] = value
            rows[n_rows, 4] = value / equity if equity > 0.0 else math.nan
            n_rows += 1
    return n_rows


@kernel
def replay_positions(
    fills: Records, marks: Floats, equity: Floats, n_bars: int, count_only: bool, rows: Floats
) -> int:
    """Rebuild what was held at every close from the fills; returns the number of rows.

    With `count_only` nothing is written, so that the caller can make `rows` of the right length.
    """
    held = np.zeros(marks.shape[1])
    n_held = 0
    n_rows = 0
    k = 0
    for bar in range(n_bars):
        while k < fills.size and fills[k]["bar"] == bar:
            i = fills[k]["asset"]
            before = held[i]
            held[i] = without_dust(before + fills[k]["quantity"])
            if before == 0.0 and held[i] != 0.0:
                n_held += 1
            elif before != 0.0 and held[i] == 0.0:
                n_held -= 1
            k += 1
        if count_only:
            n_rows += n_held
        elif n_held > 0:
            n_rows = write_positions(bar, marks[bar], equity[bar], held, rows, n_rows)
    return n_rows


@kernel
def round_trips(fills: Records, n_assets: int, trades: Records, states: Records) -> int:
    """Gather fills into round trips at average cost; returns the number of trades written.

    A fill that takes a position through zero ends one trade and begins the next; commission and
    slippage are shared by quantity, and both trades count it. `trades` has room for two records
    per fill, `states` for one `TRIP_STATE`; both are written. `pnl` is after commission, at the
    prices after slippage; for an open trade it is that of what has been closed so far, less the
    commission paid so far.
    """
    open_trade = np.full(n_assets, -1, np.int64)
    position = np.zeros(n_assets)
    average_cost = np.zeros(n_assets)
    closed = np.zeros(n_assets)
    n_trades = 0
    for k in range(fills.size):
        record = fills[k]
        i = record["asset"]
        after = without_dust(position[i] + record["quantity"])
        quantity = record["quantity"]
        beyond = 0.0
        if position[i] * after < 0.0:
            quantity = -position[i]
            beyond = after
        for part in (quantity, beyond):
            if part == 0.0:
                continue
            units = abs(part)
            if open_trade[i] < 0:
                open_trade[i] = n_trades
                n_trades += 1
                begun = trades[open_trade[i]]
                begun["asset"] = i
                begun["entry"] = record["bar"]
                begun["exit"] = -1
                begun["exit_price"] = np.nan
                average_cost[i] = 0.0
                closed[i] = 0.0
            trade = trades[open_trade[i]]
            states[k]["trade"] = open_trade[i]
            share = 1.0 if beyond == 0.0 else units / abs(record["quantity"])
            trade["commission"] += share * record["commission"]
            trade["slippage"] += share * record["slippage"]
            trade["pnl"] -= share * record["commission"]
            trade["n_fills"] += 1
            before = position[i]
            value = units * record["price"]
            if before * part >= 0.0:
                average_cost[i] = (abs(before) * average_cost[i] + value) / (abs(before) + units)
                entered = abs(trade["quantity"])
                trade["entry_price"] = (entered * trade["entry_price"] + value) / (entered + units)
                trade["quantity"] += part
                position[i] = before + part
                continue
            gain = units * (record["price"] - average_cost[i])
            trade["pnl"] += gain if before > 0.0 else -gain
            if closed[i] > 0.0:
                value += closed[i] * trade["exit_price"]
            closed[i] += units
            trade["exit_price"] = value / closed[i]
            position[i] = without_dust(before + part)
            if position[i] == 0.0:
                trade["exit"] = record["bar"]
                open_trade[i] = -1
        states[k]["quantity"] = position[i]
        states[k]["cost"] = average_cost[i]
    return n_trades
