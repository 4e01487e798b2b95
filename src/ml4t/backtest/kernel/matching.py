"""A matching pass: working orders against one bar, in a cash account.

The book holds the working orders in the order of their submission. A pass goes through three
groups in the order of the day, and sales come before purchases in each, so that nothing is paid
for with money that comes later.
"""

from __future__ import annotations

import math

import numpy as np

from ml4t.backtest.enums import CashPolicy, CostKind, OrderSide, OrderStatus, OrderType, Reason
from ml4t.backtest.kernel.book import clear_finished
from ml4t.backtest.kernel.fills import fill, finish, is_working, refuse, terms_of
from ml4t.backtest.kernel.funding import (
    affordable_factor,
    cash_tolerance,
    is_affordable,
    largest_affordable,
    scaled,
    total_cost,
)
from ml4t.backtest.kernel.jit import inlined_kernel, kernel
from ml4t.backtest.kernel.prices import (
    N_GROUPS,
    RESTING,
    group_of,
    price_before_slippage,
)
from ml4t.backtest.kernel.quantities import ZERO_QUANTITY, rounded_down
from ml4t.backtest.records import CostParams, Floats, Ints, Record, Records

BUY = OrderSide.BUY.code
SELL = OrderSide.SELL.code
STOP = OrderType.STOP.code
PARTIALLY_FILLED = OrderStatus.PARTIALLY_FILLED.code
CANCELLED = OrderStatus.CANCELLED.code
INSUFFICIENT_CASH = Reason.INSUFFICIENT_CASH.code
SHORT_NOT_ALLOWED = Reason.SHORT_NOT_ALLOWED.code
POSITION_CLOSED = Reason.POSITION_CLOSED.code
DELISTED = Reason.DELISTED.code
PERCENT = CostKind.PERCENT.code
SCALE = CashPolicy.SCALE.code
REJECT = CashPolicy.REJECT.code

# The order of an order in its group: sales first, and among them those of what was held when the
# pass began; one bar touches stop and target: the stop is assumed.
NOT_NOW = -1
HELD_STOP = 0
HELD_SALE = 1
OTHER_SALE = 2
PURCHASE = 3


@kernel
def rank_of(order: Record, group: int, held: float) -> int:
    """Return the place of an order in the sequence of its group."""
    if order["side"] == BUY:
        return PURCHASE
    if held <= 0.0:
        return OTHER_SALE
    return HELD_STOP if group == RESTING and order["type"] == STOP else HELD_SALE


@inlined_kernel
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
    return granted if granted >= ZERO_QUANTITY else 0.0


@kernel
def sell_in_turn(
    chosen: Ints,
    price: Floats,
    bar: int,
    volume: Floats,
    book: Records,
    account: Records,
    holdings: Records,
    used: Floats,
    used_in: Ints,
    max_participation: float,
    costs: CostParams,
    fills: Records,
    n_fills: Ints,
) -> None:
    """Fill the chosen sales (1 in `chosen`, by order) as far as holding and volume allow.

    `price` is by order, `volume` by asset. Changes orders, the account, holdings, `used`, `fills`.
    """
    n = chosen.size
    ends = 0
    for k in range(n):
        ends += ends_with_position(book[k])
    for k in range(n):
        order = book[k]
        if chosen[k] == 0 or not is_working(order):
            continue
        i = order["asset"]
        held = holdings[i]["quantity"]
        if held <= 0.0:
            refuse(order, SHORT_NOT_ALLOWED, bar)
            continue
        demand = min(order["quantity"] - order["filled"], held)
        quantity = grant(demand, order["step"], i, bar, volume[i], max_participation, used, used_in)
        if quantity == 0.0:
            continue
        if costs.commission_kind != PERCENT:  # a percentage never exceeds what it is of
            _, notional, commission = terms_of(order, -quantity, price[k], costs)
            if commission > account[0]["cash"] + notional:
                refuse(order, INSUFFICIENT_CASH, bar)
                continue
        fill(order, -quantity, price[k], bar, account, holdings, fills, n_fills, costs)
        ends += ends_with_position(order)
        if ends > 0 and holdings[i]["quantity"] == 0.0:
            close_out(book, n, i, bar)


@inlined_kernel
def ends_with_position(order: Record) -> int:
    """Return 1 for an order that a closed position would cancel, else 0.

    These are reduce-only orders, and sales that have begun. A sale that has not begun is refused
    when its turn comes.
    """
    begun = order["side"] == SELL and order["status"] == PARTIALLY_FILLED
    return 1 if is_working(order) and (order["reduce_only"] or begun) else 0


@kernel
def close_out(book: Records, n: int, asset: int, bar: int) -> None:
    """Cancel what a closed position leaves without purpose among the first `n` orders."""
    for k in range(n):
        order = book[k]
        if order["asset"] == asset and ends_with_position(order) == 1:
            reason = POSITION_CLOSED if order["reduce_only"] else SHORT_NOT_ALLOWED
            finish(order, CANCELLED, reason, bar)


@kernel
def grant_buys(
    chosen: Ints,
    bar: int,
    volume: Floats,
    book: Records,
    used: Floats,
    used_in: Ints,
    max_participation: float,
) -> Floats:
    """Return what volume allows of the chosen purchases, by order; `used` changes."""
    granted = np.zeros(chosen.size)
    for k in range(chosen.size):
        order = book[k]
        if chosen[k] == 1 and is_working(order):
            i = order["asset"]
            demand = order["quantity"] - order["filled"]
            granted[k] = grant(
                demand, order["step"], i, bar, volume[i], max_participation, used, used_in
            )
    return granted


@kernel
def buy_granted(
    book: Records,
    granted: Floats,
    price: Floats,
    group: int,
    policy: int,
    bar: int,
    tolerance: float,
    account: Records,
    holdings: Records,
    costs: CostParams,
    fills: Records,
    n_fills: Ints,
) -> None:
    """Fill purchases as far as cash allows; what cash has cut is over.

    Changes orders, the account, the holdings and `fills`.
    """
    cash = account[0]["cash"]
    factor = 1.0
    all_fit = total_cost(book, granted, price, 1.0, costs) <= cash + tolerance
    if not all_fit and policy == SCALE and group != RESTING:
        factor = affordable_factor(book, granted, price, cash, tolerance, costs)
    one_by_one = not all_fit and (policy != SCALE or group == RESTING)
    for k in range(granted.size):
        if granted[k] == 0.0:
            continue
        order = book[k]
        quantity = scaled(granted[k], factor, order["step"])
        if one_by_one:
            cash = account[0]["cash"]
            if policy == REJECT:
                fits = is_affordable(order, granted[k], price[k], cash, tolerance, costs)
                quantity = granted[k] if fits else 0.0
            else:
                quantity = largest_affordable(order, granted[k], price[k], cash, tolerance, costs)
        if quantity >= ZERO_QUANTITY:
            fill(order, quantity, price[k], bar, account, holdings, fills, n_fills, costs)
        else:
            quantity = 0.0
        if quantity < granted[k] and is_working(order):
            refuse(order, INSUFFICIENT_CASH, bar)


@kernel
def match_orders(
    bar: int,
    since: int,
    market: Floats,
    open_: Floats,
    high: Floats,
    low: Floats,
    close: Floats,
    volume: Floats,
    gone_from: Ints,
    book: Records,
    account: Records,
    holdings: Records,
    used: Floats,
    used_in: Ints,
    max_participation: float,
    policy: int,
    costs: CostParams,
    done: Records,
    n_done: Ints,
    fills: Records,
    n_fills: Ints,
) -> None:
    """Match the working orders against one bar.

    Parameters
    ----------
    bar : int
        Number of the bar, written to fills and finished orders.
    since : int
        Only orders that were submitted in this bar or later are matched.
    market, open_, high, low, close, volume : (n_assets,) arrays
        The price of market orders, the bar (NaN or <= 0: the asset has none, its orders rest),
        and the volume that the participation cap is a part of (not read without a cap).
    gone_from : (n_assets,) array
        The first bar at which an asset is known to have ended; its orders are cancelled.
    book, account, holdings, used, used_in
        The state of the account; changed. Finished orders leave the book.
    policy : int
        Code of `CashPolicy`.
    done, fills : records with room for one row per working order; appended to.
    n_done, n_fills : (1,) arrays: rows used in the two tables; changed.
    """
    n = account[0]["n_working"]
    group = np.full(n, NOT_NOW, np.int64)
    rank = np.empty(n, np.int64)
    price = np.empty(n)
    waiting = np.zeros((N_GROUPS, PURCHASE + 1), np.int64)
    for k in range(n):
        order = book[k]
        if order["created"] < since:
            continue
        i = order["asset"]
        if gone_from[i] <= bar:
            finish(order, CANCELLED, DELISTED, bar)
            continue
        which = group_of(order)
        price[k] = price_before_slippage(
            order, which, market[i], open_[i], high[i], low[i], close[i]
        )
        if not price[k] > 0.0:
            continue
        if order["type"] == STOP:
            order["triggered"] = True
        group[k] = which
        rank[k] = rank_of(order, which, holdings[i]["quantity"])
        waiting[which, rank[k]] += 1

    for now in range(N_GROUPS):
        tolerance = cash_tolerance(account[0]["cash"])
        for turn in range(PURCHASE):
            if waiting[now, turn] > 0:
                sell_in_turn(
                    in_turn(group, rank, now, turn), price, bar, volume, book, account, holdings,
                    used, used_in, max_participation, costs, fills, n_fills,
                )  # fmt: skip
        if waiting[now, PURCHASE] > 0:
            granted = grant_buys(
                in_turn(group, rank, now, PURCHASE), bar, volume, book, used, used_in,
                max_participation,
            )  # fmt: skip
            buy_granted(
                book, granted, price, now, policy, bar, tolerance, account, holdings, costs, fills,
                n_fills,
            )  # fmt: skip
    clear_finished(book, account, done, n_done)


@kernel
def in_turn(group: Ints, rank: Ints, now: int, turn: int) -> Ints:
    """Mark the orders of one group and rank with 1, by order."""
    chosen = np.zeros(group.size, np.int64)
    for k in range(group.size):
        if group[k] == now and rank[k] == turn:
            chosen[k] = 1
    return chosen
