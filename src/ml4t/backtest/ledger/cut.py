"""A ledger as it stood at an earlier close: what is left of a run that was stopped inside a bar."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ml4t.backtest.enums import OrderStatus, Reason
from ml4t.backtest.kernel.fills import replay_holdings
from ml4t.backtest.ledger.ledger import Ledger
from ml4t.backtest.records import Records


def ledger_until(ledger: Ledger, stop: int) -> Ledger:
    """Return the account as it stood at the close of bar ``stop - 1``; changes nothing.

    What came later is not in it: fills, orders and plans of later bars are left out, and an order
    that filled or ended later works again. The state of the market (volume used) is not kept.

    Parameters
    ----------
    ledger : Ledger
        Its equity is written up to `stop` at least.
    stop : int
        How many bars to keep, from the first. >= 0.

    Returns
    -------
    Ledger
    """
    all_fills = ledger.fills.records()
    is_kept = all_fills["bar"] < stop
    fills = all_fills[is_kept]
    cut = Ledger(ledger.assets, ledger.cash, ledger.timestamps[:stop], stop)
    cut.equity = ledger.equity[:stop].copy()
    cut.multiplier = ledger.multiplier.copy()
    cut.fills.append(fills)

    ends = ledger.ends.records()
    cut.ends.append(ends[ends["bar"] < stop])
    plans = ledger.plans.records()
    cut.plans.append(plans[plans["bar"] < stop])
    rows = ledger.plan_rows.records()
    # Plans are numbered in sequence, so those that are kept are the first.
    cut.plan_rows.append(rows[rows["plan_idx"] < len(cut.plans)])

    orders = ledger.all_orders()
    orders = orders[orders["created"] < stop]
    undone = orders["finished"] >= stop
    undone |= np.isin(orders["order_id"], all_fills["order_id"][~is_kept])
    orders = _as_they_stood(orders, undone, fills)
    orders["triggered_in"][orders["triggered_in"] >= stop] = -1
    is_working = orders["finished"] < 0
    working = orders[is_working]
    cut.book_with_room(working.size)[: working.size] = working
    cut.done.append(orders[~is_working])

    cut.account["n_working"] = working.size
    cut.account["next_order_id"] = orders.size
    cut.account["n_plans"] = len(cut.plans)
    cut.account["n_recorded"] = stop
    if stop:
        cut.account["cash"] = cut.equity["cash"][-1]
    replay_holdings(fills, cut.holdings)
    return cut


def _as_they_stood(orders: Records, undone: NDArray[np.bool_], fills: Records) -> Records:
    """Return orders, those that are `undone` working, with what the fills gave them.

    `orders` are all that were submitted until then, by id; ids count from 0.
    """
    orders = orders.copy()
    filled = np.zeros(orders.size)
    value = np.zeros(orders.size)
    np.add.at(filled, fills["order_id"], np.abs(fills["quantity"]))
    np.add.at(value, fills["order_id"], np.abs(fills["quantity"]) * fills["price"])
    is_part = filled > 0.0
    status = np.where(is_part, OrderStatus.PARTIALLY_FILLED.code, OrderStatus.PENDING.code)
    for name, values in (
        ("filled", filled),
        ("fill_value", value),
        ("status", status),
        ("reason", Reason.NONE.code),
        ("finished", -1),
    ):
        orders[name] = np.where(undone, values, orders[name])
    return orders
