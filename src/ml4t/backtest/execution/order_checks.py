"""What an order must be before it is accepted."""

from __future__ import annotations

import math
import numbers

import numpy as np

from ml4t.backtest.enums import OrderSide, OrderType
from ml4t.backtest.errors import OrderError
from ml4t.backtest.execution.weights import is_finite
from ml4t.backtest.kernel.quantities import ZERO_QUANTITY

_PRICES = {OrderType.LIMIT: "limit_price", OrderType.STOP: "stop_price"}
_BUILT = (OrderType.MARKET, OrderType.MARKET_ON_CLOSE, OrderType.LIMIT, OrderType.STOP)


def signed_quantity(asset: object, quantity: object, side: OrderSide | str | None) -> float:
    """Return the quantity with the sign of its side; raises for one that cannot be ordered."""
    where = f"order for {asset!r}: quantity={quantity!r}"
    if isinstance(quantity, (bool, np.bool_)) or not isinstance(quantity, numbers.Real):
        raise OrderError(f"{where} is not a number")
    value = float(quantity) if is_finite(quantity) else math.nan
    if not math.isfinite(value) or abs(value) < ZERO_QUANTITY:
        raise OrderError(f"{where} must be finite and not 0")
    if side is None:
        return value
    try:
        known = OrderSide(side)
    except ValueError:
        raise OrderError(f"{where}: side={side!r} is not 'buy' or 'sell'") from None
    if value < 0.0:
        raise OrderError(
            f"{where} is negative and side={known.value!r} is given; pass a positive quantity with "
            "a side, or a signed one without"
        )
    return value if known is OrderSide.BUY else -value


def checked_type(
    asset: object, order_type: OrderType | str, limit_price: object, stop_price: object
) -> tuple[OrderType, float, float]:
    """Return the type and its prices, NaN for none; raises for prices that do not fit the type."""
    where = f"order for {asset!r}"
    built = {str(known): known for known in _BUILT}
    kind = built.get(order_type) if isinstance(order_type, str) else None
    if kind is None:
        raise OrderError(
            f"{where}: order_type={order_type!r} is not one that the simulated broker fills; use "
            + ", ".join(map(repr, built))
        )
    found = []
    for name, price in (("limit_price", limit_price), ("stop_price", stop_price)):
        if _PRICES.get(kind) != name:
            if price is not None:
                raise OrderError(f"{where}: a {kind} order takes no {name}; it has {price!r}")
            found.append(math.nan)
            continue
        if isinstance(price, bool) or not isinstance(price, numbers.Real):
            raise OrderError(f"{where}: a {kind} order needs a {name}; it has {price!r}")
        value = float(price) if is_finite(price) else math.nan
        if not value > 0.0:
            raise OrderError(f"{where}: {name}={price!r} must be finite and > 0")
        found.append(value)
    return kind, found[0], found[1]
