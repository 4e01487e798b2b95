"""What a portfolio on paper may buy on credit: no more than its weights ask for."""

from __future__ import annotations

import math

from ml4t.backtest.kernel.funding import cash_tolerance
from ml4t.backtest.kernel.jit import kernel
from ml4t.backtest.kernel.quantities import ZERO_QUANTITY, rounded_down
from ml4t.backtest.records import Floats, Records


@kernel
def keep_to_credit(
    planned: Records, n_orders: int, rows: Records, cash: float, equity: float, price: Floats
) -> int:
    """Scale the purchases of a plan so that it borrows no more than its target weights do.

    What cannot be sold now (it has no price, it is held back) takes the place of what would have
    been bought: a sum of weights of 1 is no wish for credit.

    Parameters
    ----------
    planned : records of `PLANNED_ORDER`
        The orders of the plan, the first `n_orders`; changed.
    n_orders : int
    rows : records of `PLAN_ROW`
        All rows of the plan.
    cash, equity : float
        Currency, before the plan.
    price : (n_assets,) array
        At which the plan was made.

    Returns
    -------
    int
        How many orders are left; those that were scaled to nothing are gone.
    """
    if equity <= 0.0:
        return n_orders
    wanted = 0.0
    for k in range(rows.size):
        if not math.isnan(rows[k]["target_weight"]):
            wanted += rows[k]["target_weight"]
    bought = 0.0
    sold = 0.0
    for k in range(n_orders):
        value = planned[k]["quantity"] * price[planned[k]["asset"]]
        if value > 0.0:
            bought += value
        else:
            sold -= value
    least_cash = min((1.0 - wanted) * equity, 0.0)
    if bought == 0.0 or cash + sold - bought >= least_cash - cash_tolerance(cash) - 1e-9 * equity:
        return n_orders
    factor = max(cash + sold - least_cash, 0.0) / bought
    n_left = 0
    for k in range(n_orders):
        quantity = planned[k]["quantity"]
        if quantity > 0.0:
            quantity = rounded_down(factor * quantity, planned[k]["step"])
            if quantity < ZERO_QUANTITY:
                continue
        planned[n_left]["asset"] = planned[k]["asset"]
        planned[n_left]["step"] = planned[k]["step"]
        planned[n_left]["quantity"] = quantity
        n_left += 1
    return n_left
