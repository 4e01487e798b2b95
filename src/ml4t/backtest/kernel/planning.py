"""The planner: target weights, an account and its working orders in; cancels and orders out.

The numbers in the comments are the rules of a plan (docs/rebalancing.md). Arrays are indexed by
asset, in alphabetical order, unless it says "orders".
"""

from __future__ import annotations

import math

import numpy as np

from ml4t.backtest.enums import Reason, Rounding, Unmentioned
from ml4t.backtest.kernel.basket import spend_leftover
from ml4t.backtest.kernel.costs import estimated_cost
from ml4t.backtest.kernel.jit import kernel
from ml4t.backtest.kernel.limits import adjust_weights
from ml4t.backtest.kernel.pending import (
    CANCEL,
    awaits_cancel,
    counted,
    intend,
    link_orders,
    never_both_sides,
    settle_protective,
    trade_quantity,
)
from ml4t.backtest.kernel.quantities import (
    MONEY_TOLERANCE,
    ZERO_QUANTITY,
    reduces,
    rounded_down,
    without_dust,
)
from ml4t.backtest.records import CostParams, Floats, Ints, PlanParams, Records

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

# Two weights nearer to each other than this are the same weight.
WEIGHT_TOLERANCE = 1e-12
# A cost of exactly the limit, in basis points, is not above it.
BPS_TOLERANCE = 1e-9


@kernel
def size_trade(
    weight: float,
    effective: float,
    unit: float,
    equity: float,
    step: float,
    params: PlanParams,
) -> tuple[float, float, int]:
    """Size the trade to a weight that is not 0, and judge it by the thresholds (rules 7 and 8).

    `unit` is the value of one unit of the asset. Returns the target quantity, the signed trade
    (also of a row that a threshold skips) and the reason, UNDECIDED if no threshold applies.
    """
    target = weight * equity / unit
    if params.rounding != ROUND_TRADE:
        target = rounded_down(target, step)
    trade = trade_quantity(weight, target, effective, step)
    change = weight - effective * unit / equity
    reason = UNDECIDED
    if abs(change) <= WEIGHT_TOLERANCE:
        trade, reason = 0.0, AT_TARGET
    elif abs(change) < params.min_weight_change - WEIGHT_TOLERANCE:
        reason = WEIGHT_CHANGE_TOO_SMALL
    elif abs(change) * equity < params.min_trade_value - MONEY_TOLERANCE:
        reason = TRADE_VALUE_TOO_SMALL
    return target, trade, reason


@kernel
def order_sequence(trade: Floats, effective: Floats, params: PlanParams, planned: Records) -> int:
    """Write the orders, what reduces first (rule 11), with their steps; returns their number."""
    n_orders = 0
    for reducing in (True, False):
        for i in range(trade.size):
            if trade[i] == 0.0 or reduces(trade[i], effective[i]) != reducing:
                continue
            # An exit of an odd lot or a fraction may be cut anywhere.
            off_grid = abs(rounded_down(trade[i], params.step) - trade[i])
            planned[n_orders]["asset"] = i
            planned[n_orders]["quantity"] = trade[i]
            planned[n_orders]["step"] = params.step if off_grid < ZERO_QUANTITY else 0
            n_orders += 1
    return n_orders


@kernel
def plan(
    cash: float,
    equity: float,
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
    cash, equity : float
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
        target[i], trade[i], reason[i] = size_trade(
            weight[i], effective[i], price[i] * multiplier[i], equity, step, params
        )

    if params.rounding == ROUND_BASKET and equity > 0.0:
        # What a threshold skips stays as it is, so that it takes no part in the basket.
        chosen = np.zeros(n, np.int64)
        basket = trade.copy()
        for i in range(n):
            chosen[i] = 1 if reason[i] == UNDECIDED else 0
            if reason[i] == WEIGHT_CHANGE_TOO_SMALL or reason[i] == TRADE_VALUE_TOO_SMALL:
                basket[i] = 0.0
        spend_leftover(
            basket, effective, chosen, weight, cash, equity, quantity, mark, multiplier, step, costs
        )
        for i in range(n):
            if chosen[i]:
                trade[i] = basket[i]
                target[i] = effective[i] + trade[i]

    # The last of rule 8, and what thresholds keep from being bought, which must be heard (12).
    skipped = 0.0
    skipped_by = 0
    for i in range(n):
        if reason[i] == UNDECIDED:
            reason[i] = ORDERED if trade[i] != 0.0 else ROUNDS_TO_ZERO_SHARES
            if reason[i] == ORDERED and params.max_cost_bps < math.inf:
                value = abs(trade[i]) * price[i] * multiplier[i]
                cost = estimated_cost(i, trade[i], price[i], multiplier[i], costs)
                if cost / value * 1e4 > params.max_cost_bps + BPS_TOLERANCE:
                    reason[i] = COST_TOO_HIGH
        by_threshold = (
            reason[i] == WEIGHT_CHANGE_TOO_SMALL
            or reason[i] == TRADE_VALUE_TOO_SMALL
            or reason[i] == COST_TOO_HIGH
        )
        if by_threshold:
            if trade[i] != 0.0 and not reduces(trade[i], effective[i]):
                skipped += abs(weight[i] - effective[i] * price[i] * multiplier[i] / equity)
                skipped_by |= 1 << reason[i]
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
            if goes_on:
                pending = counted(orders, intent, following, first[i])
                settled[i] = without_dust(quantity[i] + pending)
                if trade[i] == 0.0:
                    reason[i] = CANCELLED_ONLY
            else:
                reason[i] = AWAITING_CANCEL
        flips = reason[i] == ORDERED and weight[i] * quantity[i] < 0.0
        settle_protective(orders, intent, following, first[i], reason[i] == AWAITING_CANCEL, flips)

    # 11. The answer: a row an asset, cancels, and orders with the reductions first.
    n_cancels = 0
    for k in range(orders.size):
        if intent[k] == CANCEL:
            cancels[n_cancels] = k
            n_cancels += 1
    n_orders = order_sequence(trade, settled, params, planned)

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
            cost = estimated_cost(i, trade[i], price[i], multiplier[i], costs)
        total_cost += cost
        total_value += abs(value)
        cash_after -= value
        row["asset"] = i
        row["plan_idx"] = -1
        row["requested_weight"] = requested[i]
        row["price"] = price[i] if price[i] > 0.0 else np.nan
        row["target_quantity"] = target[i]
        row["quantity"] = trade[i]
        row["value"] = value
        row["estimated_cost"] = cost
        row["reason"] = reason[i]
        row["adjustments"] = adjustments[i]
        row["target_weight"] = np.nan
        row["current_weight"] = np.nan
        row["effective_weight"] = np.nan
        row["planned_weight"] = np.nan
        if equity > 0.0:
            if not held[i]:
                row["target_weight"] = weight[i]
            # An asset that is not held weighs nothing, with a mark or without.
            row["current_weight"] = 0.0
            row["effective_weight"] = 0.0
            row["planned_weight"] = 0.0
            if quantity[i] != 0.0:
                row["current_weight"] = quantity[i] * mark[i] * multiplier[i] / equity
            if effective[i] != 0.0:
                row["effective_weight"] = effective[i] * mark[i] * multiplier[i] / equity
            planned_quantity = without_dust(settled[i] + trade[i])
            if planned_quantity != 0.0:
                row["planned_weight"] = planned_quantity * mark[i] * multiplier[i] / equity
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
