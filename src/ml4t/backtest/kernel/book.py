"""The book of working orders: what comes in, what goes out, and the plan that did it."""

from __future__ import annotations

import numpy as np

from ml4t.backtest.enums import OrderSide, OrderStatus, OrderType, Reason
from ml4t.backtest.kernel.fills import finish, is_working
from ml4t.backtest.kernel.jit import inlined_kernel, kernel
from ml4t.backtest.records import Ints, Record, Records

MARKET = OrderType.MARKET.code
BUY = OrderSide.BUY.code
SELL = OrderSide.SELL.code
PENDING = OrderStatus.PENDING.code
CANCELLED = OrderStatus.CANCELLED.code
NO_REASON = Reason.NONE.code


@inlined_kernel
def write_order(
    order: Record, order_id: int, asset: int, quantity: float, step: int, plan_idx: int, bar: int
) -> None:
    """Write a market order of a signed quantity that has just been accepted."""
    order["order_id"] = order_id
    order["quantity"] = abs(quantity)
    order["filled"] = 0.0
    order["fill_value"] = 0.0
    order["limit_price"] = np.nan
    order["stop_price"] = np.nan
    order["asset"] = asset
    order["plan_idx"] = plan_idx
    order["created"] = bar
    order["finished"] = -1
    order["step"] = step
    order["side"] = BUY if quantity > 0.0 else SELL
    order["type"] = MARKET
    order["status"] = PENDING
    order["reason"] = NO_REASON
    order["triggered_in"] = -1
    order["reduce_only"] = False


@kernel
def accept_orders(
    planned: Records, plan_idx: int, bar: int, book: Records, account: Records
) -> None:
    """Append orders (market, with their steps) to the book, which has room; changes both last."""
    n = account[0]["n_working"]
    order_id = account[0]["next_order_id"]
    for k in range(planned.size):
        new = planned[k]
        write_order(
            book[n + k], order_id + k, new["asset"], new["quantity"], new["step"], plan_idx, bar
        )
    account[0]["n_working"] = n + planned.size
    account[0]["next_order_id"] = order_id + planned.size


@kernel
def cancel_orders(
    rows: Ints, reason: int, bar: int, book: Records, account: Records, done: Records, n_done: Ints
) -> None:
    """End the orders in these rows of the book, which they leave; changes the last four."""
    for at in range(rows.size):
        finish(book[rows[at]], CANCELLED, reason, bar)
    if rows.size:
        clear_finished(book, account, done, n_done)


@kernel
def record_plan(
    rows: Records, totals: Records, bar: int, account: Records, plans: Records, n_plans: Ints
) -> None:
    """Write that a plan was applied, under the next number; changes all but `totals`.

    The number goes into its `rows`, and a record into `plans`, of which `n_plans` rows are used.
    """
    plan_idx = account[0]["n_plans"]
    account[0]["n_plans"] = plan_idx + 1
    for k in range(rows.size):
        rows[k]["plan_idx"] = plan_idx
    found = totals[0]
    plan = plans[n_plans[0]]
    plan["equity"] = found["equity"]
    plan["turnover"] = found["turnover"]
    plan["estimated_cost"] = found["estimated_cost"]
    plan["skipped"] = found["skipped"]
    plan["skipped_by"] = found["skipped_by"]
    plan["plan_idx"] = plan_idx
    plan["bar"] = bar
    plan["n_rows"] = found["n_rows"]
    plan["n_orders"] = found["n_orders"]
    plan["n_cancels"] = found["n_cancels"]
    n_plans[0] += 1


@kernel
def clear_finished(book: Records, account: Records, done: Records, n_done: Ints) -> None:
    """Move finished orders from the book to `done`, closing the gaps; changes all four."""
    kept = 0
    for k in range(account[0]["n_working"]):
        if is_working(book[k]):
            if kept != k:
                book[kept] = book[k]
            kept += 1
        else:
            done[n_done[0]] = book[k]
            n_done[0] += 1
    account[0]["n_working"] = kept
