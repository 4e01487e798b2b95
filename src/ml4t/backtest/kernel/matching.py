"""A matching pass: working orders against one bar, in a cash account.

The book holds the working orders in the order of their submission. Sales come before purchases,
so that a purchase is never paid for with money that comes later.
"""

from __future__ import annotations

import math

import numpy as np

from ml4t.backtest.enums import OrderSide, OrderStatus, OrderType, Reason
from ml4t.backtest.kernel.costs import commission_of, price_after_slippage
from ml4t.backtest.kernel.jit import kernel
from ml4t.backtest.kernel.quantities import ZERO_QUANTITY, rounded_down, without_dust
from ml4t.backtest.records import CostParams, Floats, Ints, Records

MARKET = OrderType.MARKET.code
BUY = OrderSide.BUY.code
SELL = OrderSide.SELL.code
PENDING = OrderStatus.PENDING.code
PARTIALLY_FILLED = OrderStatus.PARTIALLY_FILLED.code
FILLED = OrderStatus.FILLED.code
CANCELLED = OrderStatus.CANCELLED.code
REJECTED = OrderStatus.REJECTED.code
NO_REASON = Reason.NONE.code
INSUFFICIENT_CASH = Reason.INSUFFICIENT_CASH.code
SHORT_NOT_ALLOWED = Reason.SHORT_NOT_ALLOWED.code

# How often the common factor of purchases is lowered before they are given up.
MOST_ROUNDS = 50


@kernel
def is_working(order: Records) -> bool:
    """Whether an order may still fill."""
    return order["status"] == PENDING or order["status"] == PARTIALLY_FILLED


@kernel
def finish(order: Records, status: int, reason: int, bar: int) -> None:
    """End an order; changes it."""
    order["status"] = status
    order["reason"] = reason
    order["finished"] = bar


@kernel
def refuse(order: Records, reason: int, bar: int) -> None:
    """End an order that cannot go on: cancelled if something of it filled, else rejected."""
    ended = CANCELLED if order["filled"] > 0.0 else REJECTED
    finish(order, ended, reason, bar)


@kernel
def grant(
    demand: float,
    step: int,
    asset: int,
    bar: int,
    volume: float,
    max_participation: float,
    used: Floats,
    used_in: Ints,
) -> float:
    """Give an order its share of the bar's volume; what is granted is used up (`used` changes).

    `used` holds what earlier orders of the asset took of bar `used_in`. A `max_participation` of
    infinity means that there is no cap.
    """
    if math.isinf(max_participation):
        return demand
    if used_in[asset] != bar:
        used_in[asset] = bar
        used[asset] = 0.0
    left = max(max_participation * volume - used[asset], 0.0)
    granted = demand if demand <= left else rounded_down(left, step)
    used[asset] += granted
    return granted


@kernel
def cash_tolerance(cash: float) -> float:
    """Return by how much cash may fall below zero, given cash at the start of the sales."""
    return 1e-6 + 1e-12 * max(cash, 0.0)


@kernel
def cost_of_buy(quantity: float, price: float, costs: CostParams) -> float:
    """Return what a purchase takes out of cash, slippage and commission included."""
    notional = quantity * price_after_slippage(quantity, price, costs)
    return notional + commission_of(notional, costs)


@kernel
def fill(
    order: Records,
    quantity: float,
    price: float,
    bar: int,
    account: Records,
    holdings: Records,
    fills: Records,
    n_fills: Ints,
    costs: CostParams,
) -> None:
    """Execute `quantity` (signed) of an order at `price` before slippage.

    Changes the order, cash, the holding, and appends to `fills`.
    """
    fill_price = price_after_slippage(quantity, price, costs)
    units = abs(quantity)
    notional = units * fill_price
    commission = commission_of(notional, costs)
    if quantity > 0.0:
        account[0]["cash"] -= notional + commission
    else:
        account[0]["cash"] += notional - commission

    holding = holdings[order["asset"]]
    before = holding["quantity"]
    after = without_dust(before + quantity)
    if before == 0.0:
        holding["entry_price"] = fill_price
        holding["entry"] = bar
    elif quantity > 0.0:
        holding["entry_price"] = (before * holding["entry_price"] + notional) / (before + quantity)
    if after == 0.0:
        holding["entry_price"] = np.nan
        holding["entry"] = -1
    holding["quantity"] = after

    order["filled"] += units
    order["fill_value"] += notional
    if order["quantity"] - order["filled"] < ZERO_QUANTITY:
        finish(order, FILLED, NO_REASON, bar)
    else:
        order["status"] = PARTIALLY_FILLED

    record = fills[n_fills[0]]
    record["order_id"] = order["order_id"]
    record["quantity"] = quantity
    record["price"] = fill_price
    record["commission"] = commission
    record["slippage"] = units * abs(fill_price - price)
    record["asset"] = order["asset"]
    record["plan_idx"] = order["plan_idx"]
    record["bar"] = bar
    n_fills[0] += 1


@kernel
def affordable_factor(
    book: Records, granted: Floats, price: Floats, cash: float, tolerance: float, costs: CostParams
) -> float:
    """Find the common factor by which purchases are scaled so that cash pays for them.

    `granted` is by order (0: no purchase). 1 means the granted quantities themselves.
    """
    factor = 1.0
    for _ in range(MOST_ROUNDS + 1):
        total = 0.0
        for k in range(granted.size):
            if granted[k] > 0.0:
                quantity = scaled(granted[k], factor, book[k]["step"])
                if quantity > 0.0:
                    total += cost_of_buy(quantity, price[book[k]["asset"]], costs)
        if total <= cash + tolerance:
            return factor
        if total <= 0.0:
            break
        factor *= min(max(cash, 0.0) / total, 1.0 - 2e-9)
    return 0.0


@kernel
def scaled(granted: float, factor: float, step: int) -> float:
    """Return a granted quantity under the common factor, rounded down unless that is 1."""
    if factor == 1.0:
        return granted
    return rounded_down(factor * granted, step)


@kernel
def match_market_orders(
    bar: int,
    since: int,
    price: Floats,
    volume: Floats,
    book: Records,
    account: Records,
    holdings: Records,
    used: Floats,
    used_in: Ints,
    max_participation: float,
    costs: CostParams,
    done: Records,
    n_done: Ints,
    fills: Records,
    n_fills: Ints,
) -> None:
    """Match every working market order against one bar.

    Parameters
    ----------
    bar : int
        Number of the bar, written to fills and finished orders.
    since : int
        Only orders that were submitted in this bar or later are matched.
    price, volume : (n_assets,) arrays
        The price before slippage (NaN or <= 0: the asset has no bar, its orders rest), and the
        volume that the participation cap is a part of (not read without a cap).
    book, account, holdings, used, used_in
        The state of the account; changed. Finished orders leave the book.
    done, fills : records with room for one row per working order; appended to.
    n_done, n_fills : (1,) arrays: rows used in the two tables; changed.
    """
    n = account[0]["n_working"]
    tolerance = cash_tolerance(account[0]["cash"])
    granted = np.zeros(n)
    n_buys = 0
    went_flat = False
    for k in range(n):
        order = book[k]
        i = order["asset"]
        if order["created"] < since or not price[i] > 0.0:
            continue
        if order["side"] == BUY:
            n_buys += 1
            continue
        held = holdings[i]["quantity"]
        if held <= 0.0:
            refuse(order, SHORT_NOT_ALLOWED, bar)
            continue
        demand = min(order["quantity"] - order["filled"], held)
        quantity = grant(demand, order["step"], i, bar, volume[i], max_participation, used, used_in)
        if quantity < ZERO_QUANTITY:
            continue
        fill(order, -quantity, price[i], bar, account, holdings, fills, n_fills, costs)
        went_flat = went_flat or holdings[i]["quantity"] == 0.0
    if went_flat:
        # A sale that has begun cannot go on with nothing to sell. One that has not begun is
        # refused when its turn comes.
        for k in range(n):
            order = book[k]
            begun = order["side"] == SELL and order["status"] == PARTIALLY_FILLED
            if begun and holdings[order["asset"]]["quantity"] == 0.0:
                finish(order, CANCELLED, SHORT_NOT_ALLOWED, bar)
    if n_buys > 0:
        for k in range(n):
            order = book[k]
            i = order["asset"]
            if order["side"] == BUY and order["created"] >= since and price[i] > 0.0:
                demand = order["quantity"] - order["filled"]
                quantity = grant(
                    demand, order["step"], i, bar, volume[i], max_participation, used, used_in
                )
                granted[k] = quantity if quantity >= ZERO_QUANTITY else 0.0
        factor = affordable_factor(book, granted, price, account[0]["cash"], tolerance, costs)
        for k in range(n):
            if granted[k] == 0.0:
                continue
            order = book[k]
            quantity = scaled(granted[k], factor, order["step"])
            if quantity >= ZERO_QUANTITY:
                fill(
                    order, quantity, price[order["asset"]], bar, account, holdings, fills,
                    n_fills, costs,
                )  # fmt: skip
            if factor < 1.0 and is_working(order):
                refuse(order, INSUFFICIENT_CASH, bar)
    clear_finished(book, account, done, n_done)


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


@kernel
def accept_orders(
    planned: Records, plan_idx: int, bar: int, book: Records, account: Records
) -> None:
    """Append orders (market, with their steps) to the book, which has room; changes both last."""
    n = account[0]["n_working"]
    order_id = account[0]["next_order_id"]
    for k in range(planned.size):
        order = book[n + k]
        quantity = planned[k]["quantity"]
        order["order_id"] = order_id + k
        order["quantity"] = abs(quantity)
        order["filled"] = 0.0
        order["fill_value"] = 0.0
        order["limit_price"] = np.nan
        order["stop_price"] = np.nan
        order["asset"] = planned[k]["asset"]
        order["plan_idx"] = plan_idx
        order["created"] = bar
        order["finished"] = -1
        order["step"] = planned[k]["step"]
        order["side"] = BUY if quantity > 0.0 else SELL
        order["type"] = MARKET
        order["status"] = PENDING
        order["reason"] = NO_REASON
        order["triggered"] = False
        order["reduce_only"] = False
    account[0]["n_working"] = n + planned.size
    account[0]["next_order_id"] = order_id + planned.size
