"""One fill and the ends of an order: the only place where cash and holdings move."""

from __future__ import annotations

import numpy as np

from ml4t.backtest.enums import OrderStatus, Reason
from ml4t.backtest.kernel.costs import terms_of_trade
from ml4t.backtest.kernel.jit import inlined_kernel, kernel
from ml4t.backtest.kernel.prices import slips
from ml4t.backtest.kernel.quantities import ZERO_QUANTITY, without_dust
from ml4t.backtest.records import CostParams, Record, Records

PENDING = OrderStatus.PENDING.code
PARTIALLY_FILLED = OrderStatus.PARTIALLY_FILLED.code
FILLED = OrderStatus.FILLED.code
CANCELLED = OrderStatus.CANCELLED.code
REJECTED = OrderStatus.REJECTED.code
NO_REASON = Reason.NONE.code


@inlined_kernel
def is_working(order: Record) -> bool:
    """Whether an order may still fill."""
    return bool(order["status"] == PENDING or order["status"] == PARTIALLY_FILLED)


@inlined_kernel
def finish(order: Record, status: int, reason: int, bar: int) -> None:
    """End an order; changes it."""
    order["status"] = status
    order["reason"] = reason
    order["finished"] = bar


@inlined_kernel
def refuse(order: Record, reason: int, bar: int) -> None:
    """End an order that cannot go on: cancelled if something of it filled, else rejected."""
    ended = CANCELLED if order["filled"] > 0.0 else REJECTED
    finish(order, ended, reason, bar)


@inlined_kernel
def terms_of(
    order: Record, quantity: float, price: float, costs: CostParams
) -> tuple[float, float, float]:
    """Return fill price, notional and commission of trading `quantity` (signed) of an order."""
    return terms_of_trade(
        order["asset"], quantity, price, slips(order), 1.0, order["filled"], order["fill_value"],
        costs,
    )  # fmt: skip


@inlined_kernel
def move_holding(holding: Record, quantity: float, price: float, notional: float, bar: int) -> None:
    """Add a signed quantity to what is held of an asset: at average cost; changes the holding."""
    before = holding["quantity"]
    after = without_dust(before + quantity)
    if before == 0.0 or before * after < 0.0:
        holding["entry_price"] = price
        holding["entry"] = bar
    elif before * quantity > 0.0:
        spent = abs(before) * holding["entry_price"] + notional
        holding["entry_price"] = spent / (abs(before) + abs(quantity))
    if after == 0.0:
        holding["entry_price"] = np.nan
        holding["entry"] = -1
    holding["quantity"] = after


@inlined_kernel
def fill(
    order: Record,
    quantity: float,
    price: float,
    bar: int,
    account: Record,
    holding: Record,
    record: Record,
    costs: CostParams,
) -> None:
    """Execute `quantity` (signed) of an order at `price` before slippage.

    Changes the order, cash in `account`, what is held of the order's asset; writes the fill into
    `record`. Records are passed, and no arrays: to count the references of an array costs more
    than all that is done here.
    """
    fill_price, notional, commission = terms_of(order, quantity, price, costs)
    units = abs(quantity)
    if quantity > 0.0:
        account["cash"] -= notional + commission
    else:
        account["cash"] += notional - commission

    move_holding(holding, quantity, fill_price, notional, bar)

    order["filled"] += units
    order["fill_value"] += notional
    if order["quantity"] - order["filled"] < ZERO_QUANTITY:
        finish(order, FILLED, NO_REASON, bar)
    else:
        order["status"] = PARTIALLY_FILLED

    record["order_id"] = order["order_id"]
    record["quantity"] = quantity
    record["price"] = fill_price
    record["commission"] = commission
    record["slippage"] = units * abs(fill_price - price)
    record["asset"] = order["asset"]
    record["plan_idx"] = order["plan_idx"]
    record["bar"] = bar


@kernel
def replay_holdings(fills: Records, holdings: Records) -> None:
    """Apply fills in sequence to holdings that are empty, which are changed."""
    for k in range(fills.size):
        record = fills[k]
        quantity = record["quantity"]
        notional = abs(quantity) * record["price"]
        move_holding(holdings[record["asset"]], quantity, record["price"], notional, record["bar"])
