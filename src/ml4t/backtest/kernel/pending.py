"""Working orders as a planner sees them: which count, which go, which are left alone.

"Orders" are records of `ORDER` in the order of submission. `intent` says for each of them what
the plan does with it: LEAVE, COUNT (its remaining counts as if it were held) or CANCEL.
"""

from __future__ import annotations

import numpy as np

from ml4t.backtest.enums import OrderSide, OrderStatus, OrderType
from ml4t.backtest.kernel.jit import kernel
from ml4t.backtest.kernel.prices import has_triggered
from ml4t.backtest.kernel.quantities import reduces, rounded_down, without_dust
from ml4t.backtest.records import Ints, PlanParams, Record, Records

BUY = OrderSide.BUY.code
STOP = OrderType.STOP.code
STOP_LIMIT = OrderType.STOP_LIMIT.code
TRAILING_STOP = OrderType.TRAILING_STOP.code
PENDING_CANCEL = OrderStatus.PENDING_CANCEL.code

LEAVE = 0
COUNT = 1
CANCEL = 2


@kernel
def is_protective(order: Record) -> bool:
    """Whether an order only ever protects a position: it is then not counted as pending."""
    kind = order["type"]
    is_stop = kind == STOP or kind == STOP_LIMIT or kind == TRAILING_STOP
    return bool(order["reduce_only"] or (is_stop and not has_triggered(order)))


@kernel
def signed_remaining(order: Record) -> float:
    """Return what a working order has still to trade, positive for a buy."""
    remaining = without_dust(order["quantity"] - order["filled"])
    return remaining if order["side"] == BUY else -remaining


@kernel
def link_orders(orders: Records, n_assets: int) -> tuple[Ints, Ints]:
    """Chain the working orders of each asset, oldest first.

    Returns `first` (by asset) and `following` (by order): indices of orders, -1 at the end.
    """
    first = np.full(n_assets, -1, np.int64)
    last = np.full(n_assets, -1, np.int64)
    following = np.full(orders.size, -1, np.int64)
    for k in range(orders.size):
        i = orders[k]["asset"]
        if last[i] < 0:
            first[i] = k
        else:
            following[last[i]] = k
        last[i] = k
    return first, following


@kernel
def counted(orders: Records, intent: Ints, following: Ints, k: int) -> float:
    """Sum the signed remaining of an asset's orders that count, from order `k` on."""
    pending = 0.0
    while k >= 0:
        if intent[k] == COUNT:
            pending += signed_remaining(orders[k])
        k = following[k]
    return pending


@kernel
def intend(
    orders: Records,
    intent: Ints,
    following: Ints,
    k: int,
    weight: float,
    position: float,
    is_left_alone: bool,
    has_price: bool,
    params: PlanParams,
) -> None:
    """Decide what happens to an asset's working orders (rules 2, 4 and 5); fills `intent`.

    `k` is the asset's first order. `is_left_alone` marks an asset that is held back.
    """
    while k >= 0:
        order = orders[k]
        protective = is_protective(order)
        in_flight = order["status"] == PENDING_CANCEL
        stays = COUNT if params.account_for_pending and not protective else LEAVE
        if is_left_alone:
            intent[k] = stays
        elif not has_price:
            stray = weight == 0.0 and not reduces(signed_remaining(order), position)
            intent[k] = CANCEL if stray and not in_flight else stays
        elif protective:
            unwanted = weight == 0.0 or not params.keep_protective_orders
            intent[k] = CANCEL if unwanted and not in_flight else LEAVE
        elif params.cancel_before_rebalance:
            # A cancel that is not acknowledged may still lose the race against a fill.
            intent[k] = COUNT if in_flight else CANCEL
        else:
            intent[k] = stays
        k = following[k]


@kernel
def trade_quantity(weight: float, target: float, effective: float, step: float) -> float:
    """Return the signed quantity from the effective quantity to the target (rule 8)."""
    if weight == 0.0:
        return without_dust(-effective)
    return without_dust(rounded_down(target - effective, step))


@kernel
def awaits_cancel(orders: Records, intent: Ints, following: Ints, k: int, effective: float) -> bool:
    """Whether an exit of nothing is one only because of orders whose cancel is in flight."""
    in_flight = 0.0
    while k >= 0:
        if intent[k] == COUNT and orders[k]["status"] == PENDING_CANCEL:
            in_flight += signed_remaining(orders[k])
        k = following[k]
    return without_dust(effective - in_flight) != 0.0


@kernel
def never_both_sides(
    orders: Records,
    intent: Ints,
    following: Ints,
    first: int,
    weight: float,
    position: float,
    target: float,
    trade: float,
    step: float,
) -> tuple[float, bool]:
    """Cancel counted orders against the trade, newest first, and size the trade anew (rule 9).

    Changes `intent`. Returns the new signed trade, and False where the asset has to wait because
    a cancel against the trade is in flight already.
    """
    while trade != 0.0:
        newest = -1
        k = first
        while k >= 0:
            if intent[k] == COUNT and signed_remaining(orders[k]) * trade < 0.0:
                if orders[k]["status"] == PENDING_CANCEL:
                    return 0.0, False
                newest = k
            k = following[k]
        if newest < 0:
            break
        intent[newest] = CANCEL
        effective = without_dust(position + counted(orders, intent, following, first))
        trade = trade_quantity(weight, target, effective, step)
    return trade, True


@kernel
def settle_protective(
    orders: Records,
    intent: Ints,
    following: Ints,
    k: int,
    waits: bool,
    flips: bool,
) -> None:
    """Undo the cancels of an asset that waits; cancel the protective orders of one that flips.

    Changes `intent`; `k` is the asset's first order (rules 4 and 9).
    """
    while k >= 0:
        if waits and intent[k] == CANCEL:
            intent[k] = LEAVE
        in_flight = orders[k]["status"] == PENDING_CANCEL
        if flips and is_protective(orders[k]) and not in_flight:
            intent[k] = CANCEL
        k = following[k]
