"""The book of working orders: what comes in and what goes out."""

from __future__ import annotations

import numpy as np

from ml4t.backtest.enums import OrderSide, OrderStatus, OrderType, Reason
from ml4t.backtest.kernel.fills import is_working
from ml4t.backtest.kernel.jit import inlined_kernel, kernel
from ml4t.backtest.records import Ints, Record, Records

MARKET = OrderType.MARKET.code
BUY = OrderSide.BUY.code
SELL = OrderSide.SELL.code
PENDING = OrderStatus.PENDING.code
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
    order["triggered"] = False
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
