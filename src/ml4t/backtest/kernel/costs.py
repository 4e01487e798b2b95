"""Commission and slippage of one fill. Matching charges them, planning estimates with them.

`terms_of_trade` is the one way from a trade to what it costs: both use it, and `plain.py` puts a
user's own models in its place.
"""

from __future__ import annotations

from ml4t.backtest.enums import CostKind
from ml4t.backtest.kernel.jit import inlined_kernel, kernel
from ml4t.backtest.records import CostParams, Floats

NO_COST = CostKind.NONE.code
PERCENT = CostKind.PERCENT.code
PER_SHARE = CostKind.PER_SHARE.code
FIXED = CostKind.FIXED.code


@inlined_kernel
def price_after_slippage(quantity: float, price: float, costs: CostParams) -> float:
    """Return the price at which a market order fills: worse than `price` either way.

    `quantity` is signed; only its sign matters to the models there are. A sale gets 0 at worst.
    """
    if costs.slippage_kind == PERCENT:
        if quantity > 0.0:
            return price * (1.0 + costs.slippage_rate)
        return price * (1.0 - costs.slippage_rate)
    if costs.slippage_kind == PER_SHARE:
        if quantity > 0.0:
            return price + costs.slippage_rate
        return max(price - costs.slippage_rate, 0.0)
    return price


@kernel
def commission_due(units: float, notional: float, costs: CostParams) -> float:
    """Return what an order owes in all once `units` of it have traded for `notional`."""
    if units <= 0.0 or costs.commission_kind == NO_COST:
        return 0.0
    if costs.commission_kind == PERCENT:
        return notional * costs.commission_rate
    if costs.commission_kind == FIXED:
        return costs.commission_rate
    due = max(units * costs.commission_rate, costs.commission_minimum)
    return min(due, notional * costs.commission_maximum_rate)


@inlined_kernel
def commission_of(
    units: float, notional: float, units_before: float, notional_before: float, costs: CostParams
) -> float:
    """Return the commission of a fill, in currency; notionals are at the price after slippage.

    What earlier fills of the order have paid counts: a minimum or a fee per order is charged
    once.
    """
    if costs.commission_kind == PERCENT:
        return notional * costs.commission_rate
    paid = commission_due(units_before, notional_before, costs)
    due = commission_due(units_before + units, notional_before + notional, costs)
    return max(due - paid, 0.0)


@inlined_kernel
def terms_of_trade(
    asset: int,
    quantity: float,
    price: float,
    slips: bool,
    multiplier: float,
    units_before: float,
    notional_before: float,
    costs: CostParams,
) -> tuple[float, float, float]:
    """Return fill price, notional and commission of trading `quantity` (signed) at `price`.

    `slips` says whether slippage applies; what the order has traded before is in `units_before`
    and `notional_before`. The models here treat every asset alike; a user's own need not.
    """
    fill_price = price_after_slippage(quantity, price, costs) if slips else price
    units = abs(quantity)
    notional = units * multiplier * fill_price
    commission = commission_of(units, notional, units_before, notional_before, costs)
    return fill_price, notional, commission


@kernel
def estimated_cost(
    asset: int, quantity: float, price: float, multiplier: float, costs: CostParams
) -> float:
    """Return commission and slippage together, if `quantity` (signed) filled at `price`."""
    fill_price, _, commission = terms_of_trade(
        asset, quantity, price, True, multiplier, 0.0, 0.0, costs
    )
    return abs(quantity) * multiplier * abs(fill_price - price) + commission


@kernel
def estimate_costs(quantity: Floats, price: Floats, costs: CostParams, estimate: Floats) -> None:
    """Write what each of several orders is estimated to cost; `quantity` is signed."""
    for k in range(quantity.size):
        estimate[k] = estimated_cost(0, quantity[k], price[k], 1.0, costs)
