"""Commission and slippage of one fill. Matching charges them, planning estimates with them."""

from __future__ import annotations

from ml4t.backtest.enums import CostKind
from ml4t.backtest.kernel.jit import kernel
from ml4t.backtest.records import CostParams

PERCENT = CostKind.PERCENT.code


@kernel
def price_after_slippage(quantity: float, price: float, costs: CostParams) -> float:
    """Return the price at which a market order fills: worse than `price` either way.

    `quantity` is signed; only its sign matters to the models there are.
    """
    if costs.slippage_kind == PERCENT:
        if quantity > 0.0:
            return price * (1.0 + costs.slippage_rate)
        return price * (1.0 - costs.slippage_rate)
    return price


@kernel
def commission_of(notional: float, costs: CostParams) -> float:
    """Return the commission of a fill, in currency; `notional` is at the price after slippage."""
    if costs.commission_kind == PERCENT:
        return notional * costs.commission_rate
    return 0.0


@kernel
def estimated_cost(quantity: float, price: float, multiplier: float, costs: CostParams) -> float:
    """Commission and slippage together, if `quantity` (signed) filled at `price`, in currency."""
    fill_price = price_after_slippage(quantity, price, costs)
    units = abs(quantity) * multiplier
    return units * abs(fill_price - price) + commission_of(units * fill_price, costs)
