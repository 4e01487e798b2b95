"""The planner: target weights, an account and its working orders in; cancels and orders out.

The numbers in the comments are the rules of part 3 of the semantics (docs/rebalancing.md).
Every array is indexed by asset, in alphabetical order, unless it says "orders".
"""

from __future__ import annotations

import math

import numpy as np

from ml4t.backtest.enums import Adjustment, OrderSide, OrderStatus, OrderType, Reason
from ml4t.backtest.enums import Rounding, Unmentioned
from ml4t.backtest.kernel.costs import estimated_cost
from ml4t.backtest.kernel.jit import kernel
from ml4t.backtest.kernel.quantities import ZERO_QUANTITY, reduces, rounded_down, without_dust
from ml4t.backtest.records import CostParams, Floats, Ints, PlanParams, Records

BUY = OrderSide.BUY.code
STOP = OrderType.STOP.code
STOP_LIMIT = OrderType.STOP_LIMIT.code
TRAILING_STOP = OrderType.TRAILING_STOP.code
PENDING_CANCEL = OrderStatus.PENDING_CANCEL.code
CLOSE = Unmentioned.CLOSE.code
HOLD = Unmentioned.HOLD.code
ROUND_TRADE = Rounding.TRADE.code
ROUND_BASKET = Rounding.MIN_TRACKING_ERROR.code

UNDECIDED = Reason.NONE.code
ORDERED = Reason.ORDERED.code
AT_TARGET = Reason.AT_TARGET.code
WEIGHT_CHANGE_TOO_SMALL = Reason.WEIGHT_CHANGE_TOO_SMALL.code
TRADE_VALUE_TOO_SMALL = Reason.TRADE_VALUE_TOO_SMALL.code
ROUNDS_TO_ZERO_SHARES = Reason.ROUNDS_TO_ZERO_SHARES.code
COST_TOO_HIGH = Reason.COST_TOO_HIGH.code
AWAITING_CANCEL = Reason.AWAITING_CANCEL.code
CANCELLED_ONLY = Reason.CANCELLED_ONLY.code
NO_PRICE = Reason.NO_PRICE.code
NO_EQUITY = Reason.NO_EQUITY.code
HELD = Reason.HELD.code

SHORT_NOT_ALLOWED_BIT = Adjustment.SHORT_NOT_ALLOWED.bit
CAPPED_BIT = Adjustment.CAPPED.bit
SCALED_BIT = Adjustment.SCALED.bit

# Two weights nearer to each other than this are the same weight.
WEIGHT_TOLERANCE = 1e-12
# Money below which two trade values are the same.
MONEY_TOLERANCE = 1e-9
# How far a sum of weights may exceed its limit before all are scaled: optimizers round.
EXPOSURE_TOLERANCE = 1e-6

# What a plan intends with a working order.
LEAVE = 0
COUNT = 1
CANCEL = 2


@kernel
def equity_of(cash: float, quantity: Floats, mark: Floats, multiplier: Floats) -> float:
    """Cash plus the marked value of what is held, summed in the order of the assets."""
    equity = cash
    for i in range(quantity.size):
        if quantity[i] != 0.0:
            equity += quantity[i] * mark[i] * multiplier[i]
    return equity


@kernel
def is_protective(order: Records) -> bool:
    """Whether an order only ever protects a position: it is then not counted as pending."""
    kind = order["type"]
    is_stop = kind == STOP or kind == STOP_LIMIT or kind == TRAILING_STOP
    return order["reduce_only"] or (is_stop and not order["triggered"])


@kernel
def signed_remaining(order: Records) -> float:
    """What a working order has still to trade, positive for a buy."""
    remaining = order["quantity"] - order["filled"]
    return remaining if order["side"] == BUY else -remaining


@kernel
def adjust_weights(weight: Floats, adjustments: Ints, held: Ints, params: PlanParams) -> None:
    """Apply rule 3 to `weight` in place and note in `adjustments` what was done to which."""
    n = weight.size
    for i in range(n):
        if held[i] or weight[i] == 0.0:
            continue
        if weight[i] < 0.0 and not params.allow_short:
            weight[i] = 0.0
            adjustments[i] |= SHORT_NOT_ALLOWED_BIT
        elif abs(weight[i]) > params.max_single_weight:
            cap = params.max_single_weight
            weight[i] = cap if weight[i] > 0.0 else -cap
            adjustments[i] |= CAPPED_BIT
    net = 0.0
    for i in range(n):
        if not held[i]:
            net += weight[i]
    scale_weights(weight, adjustments, held, abs(net), params.max_net_exposure)
    gross = 0.0
    for i in range(n):
        if not held[i]:
            gross += abs(weight[i])
    scale_weights(weight, adjustments, held, gross, params.max_gross_exposure)


@kernel
def scale_weights(
    weight: Floats, adjustments: Ints, held: Ints, exposure: float, limit: float
) -> None:
    """Scale all weights by one factor if their exposure exceeds its limit; changes both arrays."""
    if exposure <= limit + EXPOSURE_TOLERANCE:
        return
    factor = limit / exposure
    for i in range(weight.size):
        if not held[i] and weight[i] != 0.0:
            weight[i] *= factor
            adjustments[i] |= SCALED_BIT


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
    """The signed quantity from the effective quantity to the target (rule 8)."""
    if weight == 0.0:
        return without_dust(-effective)
    return without_dust(rounded_down(target - effective, step))


@kernel
def awaits_cancel(
    orders: Records, intent: Ints, following: Ints, k: int, effective: float
) -> bool:
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
def spend_leftover(
    trade: Floats,
    effective: Floats,
    reason: Ints,
    weight: Floats,
    cash: float,
    equity: float,
    quantity: Floats,
    mark: Floats,
    multiplier: Floats,
    step: float,
    costs: CostParams,
) -> None:
    """Rule 10: buy single steps with the cash that rounding left, where they help most.

    Changes `trade` of the rows whose reason is still open.
    """
    n = trade.size
    leftover = cash
    for i in range(n):
        change = effective[i] - quantity[i] + trade[i]
        if change != 0.0 and mark[i] > 0.0:
            leftover -= change * mark[i] * multiplier[i]
            if trade[i] != 0.0:
                leftover -= estimated_cost(trade[i], mark[i], multiplier[i], costs)
    while True:
        best = -1
        best_gain = 0.0
        best_cost = 0.0
        for i in range(n):
            if reason[i] != UNDECIDED or weight[i] == 0.0:
                continue
            unit = mark[i] * multiplier[i]
            one = step if weight[i] > 0.0 else -step
            now = effective[i] + trade[i]
            goal = weight[i] * equity / unit
            overshoot = abs(now + one) - abs(goal)
            if overshoot >= step - ZERO_QUANTITY:
                continue
            gain = ((now - goal) * unit / equity) ** 2 - ((now + one - goal) * unit / equity) ** 2
            if gain <= best_gain:
                continue
            cost = one * unit + estimated_cost(trade[i] + one, mark[i], multiplier[i], costs)
            if trade[i] != 0.0:
                cost -= estimated_cost(trade[i], mark[i], multiplier[i], costs)
            if cost > leftover + MONEY_TOLERANCE:
                continue
            best, best_gain, best_cost = i, gain, cost
        if best < 0:
            return
        trade[best] = without_dust(trade[best] + (step if weight[best] > 0.0 else -step))
        leftover -= best_cost


@kernel
def plan(
    cash: float,
    quantity: Floats,
    price: Floats,
    mark: Floats,
    multiplier: Floats,
    requested: Floats,
    orders: Records,
    params: PlanParams,
    costs: CostParams,
    rows: Records,
    planned: Records,
    cancels: Ints,
    totals: Records,
) -> None:
    """Answer what a rebalance to `requested` would do now.

    Parameters
    ----------
    cash : float
        Currency.
    quantity, price, mark, multiplier : (n_assets,) arrays
        What is held; today's close (NaN or <= 0: none); the price that values a position; units
        of the asset in one contract.
    requested : (n_assets,) array
        Requested weights; NaN where the asset is not in the targets.
    orders : (n_orders,) records of `ORDER`
        Working orders in the order of their submission.
    rows, planned : (n_assets,) records of `PLAN_ROW` and `PLANNED_ORDER`; written.
    cancels : (n_orders,) array; written: indices of orders.
    totals : (1,) records of `PLAN_TOTALS`; written, with the used lengths of the three above.

    Nothing else is changed. Inputs are assumed to be valid (rule 1 is checked before).
    """
    n = quantity.size
    first, following = link_orders(orders, n)
    intent = np.zeros(orders.size, np.int64)
    weight = np.zeros(n)
    held = np.zeros(n, np.int64)
    adjustments = np.zeros(n, np.int64)
    reason = np.full(n, AT_TARGET, np.int64)
    effective = np.zeros(n)
    target = np.full(n, np.nan)
    trade = np.zeros(n)
    step = float(params.step)
    equity = equity_of(cash, quantity, mark, multiplier)

    # 2 and 3. What is wanted.
    for i in range(n):
        if not math.isnan(requested[i]):
            weight[i] = requested[i]
        elif params.unmentioned == HOLD and (quantity[i] != 0.0 or first[i] >= 0):
            held[i] = 1
    adjust_weights(weight, adjustments, held, params)

    # 4 to 8. What each asset would trade, and what keeps it from trading.
    for i in range(n):
        has_price = math.isfinite(price[i]) and price[i] > 0.0
        if first[i] >= 0:
            intend(
                orders, intent, following, first[i], weight[i], quantity[i],
                held[i] == 1, has_price, params,
            )  # fmt: skip
            pending = counted(orders, intent, following, first[i])
            effective[i] = without_dust(quantity[i] + pending)
        else:
            effective[i] = quantity[i]
        if held[i]:
            reason[i] = HELD
            continue
        if not has_price:
            if not math.isnan(requested[i]) or quantity[i] != 0.0 or first[i] >= 0:
                reason[i] = NO_PRICE
            continue
        if weight[i] == 0.0:
            target[i] = 0.0
            trade[i] = trade_quantity(0.0, 0.0, effective[i], step)
            if trade[i] != 0.0:
                reason[i] = ORDERED
            elif awaits_cancel(orders, intent, following, first[i], effective[i]):
                reason[i] = AWAITING_CANCEL
            continue
        if equity <= 0.0:
            reason[i] = NO_EQUITY
            continue
        unit = price[i] * multiplier[i]
        target[i] = weight[i] * equity / unit
        if params.rounding != ROUND_TRADE:
            target[i] = rounded_down(target[i], step)
        trade[i] = trade_quantity(weight[i], target[i], effective[i], step)
        change = weight[i] - effective[i] * unit / equity
        if abs(change) <= WEIGHT_TOLERANCE:
            trade[i] = 0.0
        elif abs(change) < params.min_weight_change - WEIGHT_TOLERANCE:
            reason[i] = WEIGHT_CHANGE_TOO_SMALL
        elif abs(change) * equity < params.min_trade_value - MONEY_TOLERANCE:
            reason[i] = TRADE_VALUE_TOO_SMALL
        else:
            reason[i] = UNDECIDED

    # What the thresholds keep from being bought must be heard of (rule 12).
    skipped = 0.0
    skipped_by = 0
    for i in range(n):
        if reason[i] == WEIGHT_CHANGE_TOO_SMALL or reason[i] == TRADE_VALUE_TOO_SMALL:
            if trade[i] != 0.0 and not reduces(trade[i], effective[i]):
                skipped += abs(weight[i] - effective[i] * price[i] * multiplier[i] / equity)
                skipped_by |= 1 << reason[i]
            trade[i] = 0.0

    if params.rounding == ROUND_BASKET and equity > 0.0:
        spend_leftover(
            trade, effective, reason, weight, cash, equity, quantity, mark, multiplier, step, costs
        )
        for i in range(n):
            if reason[i] == UNDECIDED:
                target[i] = effective[i] + trade[i]

    for i in range(n):
        if reason[i] != UNDECIDED:
            continue
        reason[i] = ORDERED
        if trade[i] == 0.0:
            reason[i] = ROUNDS_TO_ZERO_SHARES
            continue
        value = abs(trade[i]) * price[i] * multiplier[i]
        cost = estimated_cost(trade[i], price[i], multiplier[i], costs)
        if cost / value * 1e4 > params.max_cost_bps:
            reason[i] = COST_TOO_HIGH
            if not reduces(trade[i], effective[i]):
                skipped += abs(weight[i] - effective[i] * price[i] * multiplier[i] / equity)
                skipped_by |= 1 << COST_TOO_HIGH
            trade[i] = 0.0

    # 9. Never both sides; and the protective orders that an exit or a flip takes along (rule 4).
    settled = effective.copy()
    for i in range(n):
        if first[i] < 0:
            continue
        if reason[i] == ORDERED:
            trade[i], goes_on = never_both_sides(
                orders, intent, following, first[i], weight[i], quantity[i], target[i], trade[i],
                step,
            )  # fmt: skip
            if not goes_on:
                reason[i] = AWAITING_CANCEL
            elif trade[i] == 0.0:
                reason[i] = CANCELLED_ONLY
            settled[i] = without_dust(
                quantity[i] + counted(orders, intent, following, first[i])
            )
        k = first[i]
        while k >= 0:
            if reason[i] == AWAITING_CANCEL:
                if intent[k] == CANCEL:
                    intent[k] = LEAVE
            elif reason[i] == ORDERED and weight[i] * quantity[i] < 0.0:
                if is_protective(orders[k]) and orders[k]["status"] != PENDING_CANCEL:
                    intent[k] = CANCEL
            k = following[k]

    # 11. The answer: a row an asset, cancels, and orders with the reductions first.
    n_cancels = 0
    for k in range(orders.size):
        if intent[k] == CANCEL:
            cancels[n_cancels] = k
            n_cancels += 1
    n_orders = 0
    for increasing in range(2):
        for i in range(n):
            if trade[i] == 0.0 or reduces(trade[i], settled[i]) == (increasing == 1):
                continue
            on_grid = abs(rounded_down(trade[i], step) - trade[i]) < ZERO_QUANTITY
            planned[n_orders]["asset"] = i
            planned[n_orders]["quantity"] = trade[i]
            planned[n_orders]["step"] = params.step if on_grid else 0
            n_orders += 1

    n_rows = 0
    total_cost = 0.0
    total_value = 0.0
    cash_after = cash
    for i in range(n):
        in_universe = not math.isnan(requested[i]) or quantity[i] != 0.0 or first[i] >= 0
        if not in_universe:
            continue
        row = rows[n_rows]
        n_rows += 1
        value = 0.0
        cost = 0.0
        if trade[i] != 0.0:
            value = trade[i] * price[i] * multiplier[i]
            cost = estimated_cost(trade[i], price[i], multiplier[i], costs)
        total_cost += cost
        total_value += abs(value)
        cash_after -= value
        row["asset"] = i
        row["plan_idx"] = -1
        row["requested_weight"] = requested[i]
        if math.isnan(requested[i]) and not held[i]:
            row["requested_weight"] = 0.0
        row["price"] = price[i]
        row["target_quantity"] = target[i]
        row["quantity"] = trade[i]
        row["value"] = value
        row["estimated_cost"] = cost
        row["reason"] = reason[i]
        row["adjustments"] = adjustments[i]
        row["target_weight"] = np.nan
        row["current_weight"] = np.nan
        row["effective_weight"] = np.nan
        if equity > 0.0:
            if not held[i]:
                row["target_weight"] = weight[i]
            # An asset that is not held weighs nothing, with a mark or without.
            row["current_weight"] = 0.0
            row["effective_weight"] = 0.0
            if quantity[i] != 0.0:
                row["current_weight"] = quantity[i] * mark[i] * multiplier[i] / equity
            if effective[i] != 0.0:
                row["effective_weight"] = effective[i] * mark[i] * multiplier[i] / equity
    answer = totals[0]
    answer["equity"] = equity
    answer["turnover"] = 0.5 * total_value / equity if equity > 0.0 else np.nan
    answer["cash_after"] = cash_after - total_cost
    answer["estimated_cost"] = total_cost
    answer["skipped"] = skipped
    answer["skipped_by"] = skipped_by
    answer["n_rows"] = n_rows
    answer["n_orders"] = n_orders
    answer["n_cancels"] = n_cancels
