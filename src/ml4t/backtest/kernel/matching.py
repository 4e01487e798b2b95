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
    has_triggered,
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
UNLIMITED = CashPolicy.UNLIMITED.code
REJECT = CashPolicy.REJECT.code

# The order of an order in its group: sales first, and among them those of what was held when the
# pass began; one bar touches stop and target: the stop is assumed.
NOT_NOW = -1
HELD_STOP = 0
HELD_SALE = 1
OTHER_SALE = 2
PURCHASE = 3
N_RANKS = 4
N_PLACES = N_GROUPS * N_RANKS


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
    bar: int,
    volume: float,
    max_participation: float,
    used: Record,
) -> float:
    """Give an order its share of the bar's volume; what is granted is used up (`used` changes).

    `used` holds what earlier orders of the asset took. A `max_participation` of infinity means
    that there is no cap.
    """
    if max_participation == math.inf:
        return demand
    if used["bar"] != bar:
        used["bar"] = bar
        used["quantity"] = 0.0
    left = max(max_participation * volume - used["quantity"], 0.0)
    granted = demand if demand <= left else rounded_down(left, step)
    used["quantity"] += granted
    return granted if granted >= ZERO_QUANTITY else 0.0


@kernel
def sell_in_turn(
    turn: Ints,
    price: Floats,
    bar: int,
    volume: Floats,
    policy: int,
    book: Records,
    account: Records,
    holdings: Records,
    used: Records,
    max_participation: float,
    costs: CostParams,
    fills: Records,
    n_fills: Ints,
) -> None:
    """Fill sales as far as holding and volume allow.

    `turn` holds their places in the book, in sequence; `price` is by order, `volume` by asset.
    Changes orders, the account, holdings, `used`, `fills`.
    """
    n_working = account[0]["n_working"]
    ends = 0
    for k in range(n_working):
        ends += ends_with_position(book[k])
    for at in range(turn.size):
        k = turn[at]
        order = book[k]
        if not is_working(order):
            continue
        i = order["asset"]
        held = holdings[i]["quantity"]
        demand = order["quantity"] - order["filled"]
        if policy != UNLIMITED:
            if held <= 0.0:
                refuse(order, SHORT_NOT_ALLOWED, bar)
                continue
            demand = min(demand, held)
        quantity = grant(demand, order["step"], bar, volume[i], max_participation, used[i])
        if quantity == 0.0:
            continue
        if (
            costs.commission_kind != PERCENT and policy != UNLIMITED
        ):  # a percentage never exceeds what it is of
            _, notional, commission = terms_of(order, -quantity, price[k], costs)
            if commission > account[0]["cash"] + notional:
                refuse(order, INSUFFICIENT_CASH, bar)
                continue
        fill(order, -quantity, price[k], bar, account[0], holdings[i], fills[n_fills[0]], costs)
        n_fills[0] += 1
        ends += ends_with_position(order)
        if ends > 0 and holdings[i]["quantity"] == 0.0:
            close_out(book, n_working, i, bar)


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
def buy_in_turn(
    turn: Ints,
    price: Floats,
    bar: int,
    volume: Floats,
    is_resting: bool,
    policy: int,
    tolerance: float,
    book: Records,
    account: Records,
    holdings: Records,
    used: Records,
    max_participation: float,
    costs: CostParams,
    fills: Records,
    n_fills: Ints,
) -> None:
    """Fill purchases as far as volume and cash allow; what cash has cut is over.

    `turn` holds their places in the book, in sequence; `price` is by order, `volume` by asset.
    Changes orders, the account, holdings, `used`, `fills`.
    """
    granted = np.zeros(turn.size)
    for at in range(turn.size):
        order = book[turn[at]]
        if is_working(order):
            i = order["asset"]
            demand = order["quantity"] - order["filled"]
            granted[at] = grant(demand, order["step"], bar, volume[i], max_participation, used[i])
    cash = account[0]["cash"]
    factor = 1.0
    all_fit = policy == UNLIMITED
    if not all_fit:
        all_fit = total_cost(book, turn, granted, price, 1.0, costs) <= cash + tolerance
    one_by_one = not all_fit and (policy != SCALE or is_resting)
    if not all_fit and not one_by_one:
        factor = affordable_factor(book, turn, granted, price, cash, tolerance, costs)
    for at in range(turn.size):
        if granted[at] == 0.0:
            continue
        k = turn[at]
        order = book[k]
        quantity = scaled(granted[at], factor, order["step"])
        if one_by_one:
            cash = account[0]["cash"]
            if policy == REJECT:
                fits = is_affordable(order, granted[at], price[k], cash, tolerance, costs)
                quantity = granted[at] if fits else 0.0
            else:
                quantity = largest_affordable(order, granted[at], price[k], cash, tolerance, costs)
        if quantity >= ZERO_QUANTITY:
            i = order["asset"]
            fill(order, quantity, price[k], bar, account[0], holdings[i], fills[n_fills[0]], costs)
            n_fills[0] += 1
        else:
            quantity = 0.0
        if quantity < granted[at] and is_working(order):
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
    used: Records,
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
    book, account, holdings, used
        The state of the account; changed. Finished orders leave the book.
    policy : int
        Code of `CashPolicy`.
    done, fills : records with room for one row per working order; appended to.
    n_done, n_fills : (1,) arrays: rows used in the two tables; changed.
    """
    n = account[0]["n_working"]
    price = np.empty(n)
    place = np.empty(n, np.int64)
    # Where the orders of each place begin in the sequence; counted first, then summed.
    begin = np.zeros(N_PLACES + 1, np.int64)
    for k in range(n):
        order = book[k]
        place[k] = NOT_NOW
        if order["created"] < since:
            continue
        i = order["asset"]
        if gone_from[i] <= bar:
            finish(order, CANCELLED, DELISTED, bar)
            continue
        group = group_of(order)
        price[k] = price_before_slippage(
            order, group, market[i], open_[i], high[i], low[i], close[i]
        )
        if not price[k] > 0.0:
            continue
        if order["type"] == STOP and not has_triggered(order):
            order["triggered_in"] = bar
        place[k] = group * N_RANKS + rank_of(order, group, holdings[i]["quantity"])
        begin[place[k] + 1] += 1
    for at in range(N_PLACES):
        begin[at + 1] += begin[at]
    sequence = np.empty(begin[N_PLACES], np.int64)
    following = begin.copy()
    for k in range(n):
        if place[k] != NOT_NOW:
            sequence[following[place[k]]] = k
            following[place[k]] += 1

    for group in range(N_GROUPS):
        tolerance = cash_tolerance(account[0]["cash"])
        for rank in range(N_RANKS):
            at = group * N_RANKS + rank
            turn = sequence[begin[at] : begin[at + 1]]
            if turn.size == 0:
                continue
            if rank == PURCHASE:
                buy_in_turn(
                    turn, price, bar, volume, group == RESTING, policy, tolerance, book, account,
                    holdings, used, max_participation, costs, fills, n_fills,
                )  # fmt: skip
            else:
                sell_in_turn(
                    turn, price, bar, volume, policy, book, account, holdings, used,
                    max_participation, costs, fills, n_fills,
                )  # fmt: skip
    clear_finished(book, account, done, n_done)
