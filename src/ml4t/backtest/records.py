"""The schema: numpy record types of every table, in one place.

Assets are indices into the sorted list of names, times are bar numbers, enums are their codes.
Quantities are units of the asset, money is in the account's currency, weights are fractions of
equity. NaN in a price column means "none".
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

# One of them; its fields have no static types.
Record = Any
Records = NDArray[Any]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
# What `np.dtype` gives back for a record type.
RecordType = np.dtype[Any]

#: One order. `quantity` is positive and never changes; `side` is the code of `OrderSide`.
#: `fill_value` is the sum of price * quantity over the fills. `step` is the granularity in which
#: the order may be cut, 0 if it is continuous. `finished` is -1 while the order works.
#: `triggered_in` is the bar in which a stop was touched first, -1 before; 0 for an order of another
#: broker, of which nobody knows the bar.
ORDER = np.dtype(
    [
        ("order_id", np.int64),
        ("quantity", np.float64),
        ("filled", np.float64),
        ("fill_value", np.float64),
        ("limit_price", np.float64),
        ("stop_price", np.float64),
        ("asset", np.int32),
        ("plan_idx", np.int32),
        ("created", np.int32),
        ("finished", np.int32),
        ("triggered_in", np.int32),
        ("step", np.int32),
        ("side", np.int8),
        ("type", np.int8),
        ("status", np.int8),
        ("reason", np.int8),
        ("reduce_only", np.bool_),
    ]
)

#: One execution of (part of) an order. `quantity` is signed, `price` is after slippage,
#: `slippage` is money against the price before it.
FILL = np.dtype(
    [
        ("order_id", np.int64),
        ("quantity", np.float64),
        ("price", np.float64),
        ("commission", np.float64),
        ("slippage", np.float64),
        ("asset", np.int32),
        ("plan_idx", np.int32),
        ("bar", np.int32),
    ]
)

#: One asset's line in a plan. `adjustments` holds the bits of `Adjustment`. NaN: a requested weight
#: that nobody asked for, a target weight of an asset that is held back, and every other weight
#: where there is no equity. `planned_weight` is the weight once all orders have filled whole.
PLAN_ROW = np.dtype(
    [
        ("requested_weight", np.float64),
        ("target_weight", np.float64),
        ("current_weight", np.float64),
        ("effective_weight", np.float64),
        ("planned_weight", np.float64),
        ("price", np.float64),
        ("target_quantity", np.float64),
        ("quantity", np.float64),
        ("value", np.float64),
        ("estimated_cost", np.float64),
        ("asset", np.int32),
        ("plan_idx", np.int32),
        ("reason", np.int8),
        ("adjustments", np.int8),
    ]
)

#: One order that a plan wants sent. `quantity` is signed.
PLANNED_ORDER = np.dtype(
    [("quantity", np.float64), ("asset", np.int32), ("step", np.int32)],
)

#: The figures of a plan that belong to no single asset. `skipped` is the sum of the changes that
#: thresholds kept from increasing a position, as a fraction of equity; `skipped_by` has one bit
#: for each threshold that did so.
PLAN_TOTALS = np.dtype(
    [
        ("equity", np.float64),
        ("turnover", np.float64),
        ("cash_after", np.float64),
        ("estimated_cost", np.float64),
        ("skipped", np.float64),
        ("skipped_by", np.int64),
        ("n_rows", np.int64),
        ("n_orders", np.int64),
        ("n_cancels", np.int64),
    ]
)

#: One applied plan. `skipped` and `skipped_by` as in `PLAN_TOTALS`.
PLAN = np.dtype(
    [
        ("equity", np.float64),
        ("turnover", np.float64),
        ("estimated_cost", np.float64),
        ("skipped", np.float64),
        ("skipped_by", np.int64),
        ("plan_idx", np.int32),
        ("bar", np.int32),
        ("n_rows", np.int32),
        ("n_orders", np.int32),
        ("n_cancels", np.int32),
    ]
)

#: The account at the close of one bar.
EQUITY = np.dtype(
    [
        ("equity", np.float64),
        ("cash", np.float64),
        ("gross_exposure", np.float64),
        ("net_exposure", np.float64),
    ]
)

#: The scalars of an account: one row, changed by the kernel. `n_working` counts the orders in
#: the book, `n_plans` the plans applied, `n_recorded` the bars whose close is in the equity table.
ACCOUNT = np.dtype(
    [
        ("cash", np.float64),
        ("n_working", np.int64),
        ("next_order_id", np.int64),
        ("n_plans", np.int64),
        ("n_recorded", np.int64),
    ]
)

#: An asset that has ended: what was held then and what that was worth at its last mark. `bar` is
#: the first bar at which it is known to be gone.
END = np.dtype(
    [
        ("quantity", np.float64),
        ("value", np.float64),
        ("asset", np.int32),
        ("bar", np.int32),
    ]
)

#: How much of an asset's volume was used up, in the bar of that number; -1: in none yet.
VOLUME_USE = np.dtype([("quantity", np.float64), ("bar", np.int64)])

#: What is held of one asset. `entry` is the bar in which the position was opened.
HOLDING = np.dtype(
    [
        ("quantity", np.float64),
        ("entry_price", np.float64),
        ("entry", np.int64),
    ]
)

#: A round trip: from flat (or a flip) back to flat, at average cost. `exit` is -1 while open.
#: `quantity` is what was entered in all, signed: positive for long.
TRADE = np.dtype(
    [
        ("quantity", np.float64),
        ("entry_price", np.float64),
        ("exit_price", np.float64),
        ("pnl", np.float64),
        ("commission", np.float64),
        ("slippage", np.float64),
        ("asset", np.int32),
        ("entry", np.int32),
        ("exit", np.int32),
        ("n_fills", np.int32),
    ]
)

#: Where a fill leaves its asset: what is held after it and at which average cost, and the number of
#: the round trip that this belongs to. Nothing is held: `quantity` is 0 and `cost` has no meaning.
TRIP_STATE = np.dtype([("quantity", np.float64), ("cost", np.float64), ("trade", np.int64)])

#: Units that one fill opened and a later one closed, first in, first out: the numbers of the two
#: fills, -1 for the second while they are held. `quantity` is signed: positive for long.
LOT = np.dtype([("quantity", np.float64), ("entry_fill", np.int64), ("exit_fill", np.int64)])


class PlanParams(NamedTuple):
    """The numbers of a `RebalanceConfig` as the kernel reads them.

    None is infinity, enums are codes. `step` is the granularity of a position: the lot size, 1
    for whole units, 0 for fractions.
    """

    min_trade_value: float
    min_weight_change: float
    max_single_weight: float
    max_net_exposure: float
    max_gross_exposure: float
    max_cost_bps: float
    step: int
    rounding: int
    unmentioned: int
    allow_short: bool
    cancel_before_rebalance: bool
    account_for_pending: bool
    keep_protective_orders: bool


class CostParams(NamedTuple):
    """Commission and slippage as the kernel reads them: a kind code and its numbers each.

    A rate is a fraction of the notional, or currency per share or per order, as the kind says.
    """

    commission_kind: int
    commission_rate: float
    commission_minimum: float
    commission_maximum_rate: float
    slippage_kind: int
    slippage_rate: float
