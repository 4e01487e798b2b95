"""What an order must be before it is accepted."""

from __future__ import annotations

import math

import numpy as np

from ml4t.backtest.enums import OrderSide, OrderType
from ml4t.backtest.errors import OrderError, shown
from ml4t.backtest.kernel.quantities import ZERO_QUANTITY
from ml4t.backtest.numeric import finite_or_nan, is_real

_PRICES = {OrderType.LIMIT: "limit_price", OrderType.STOP: "stop_price"}
_BUILT = (OrderType.MARKET, OrderType.MARKET_ON_CLOSE, OrderType.LIMIT, OrderType.STOP)


def signed_quantity(asset: object, quantity: object, side: OrderSide | str | None) -> float:
    """Return the quantity with the sign of its side; raises for one that cannot be ordered."""
    where = f"order for {shown(asset)}: quantity={shown(quantity)}"
    if not is_real(quantity):
        raise OrderError(f"{where} is not a number; pass how many units to trade")
    value = finite_or_nan(quantity)
    if math.isnan(value) or abs(value) < ZERO_QUANTITY:
        raise OrderError(f"{where} must be finite and not 0; pass how many units to trade")
    if side is None:
        return value
    try:
        known = OrderSide(side)
    except ValueError:
        raise OrderError(
            f"{where}: side={shown(side)} is not 'buy' or 'sell'; pass one, or no side and a "
            "signed quantity"
        ) from None
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
    where = f"order for {shown(asset)}"
    built = {str(known): known for known in _BUILT}
    kind = built.get(order_type) if isinstance(order_type, str) else None
    if kind is None:
        raise OrderError(
            f"{where}: order_type={shown(order_type)} is not one that the simulated broker fills; "
            f"use {', '.join(map(repr, built))}"
        )
    found = []
    for name, price in (("limit_price", limit_price), ("stop_price", stop_price)):
        if _PRICES.get(kind) != name:
            if price is not None:
                raise OrderError(f"{where}: a {kind} order takes no {name}; it has {shown(price)}")
            found.append(math.nan)
            continue
        if not is_real(price):
            raise OrderError(
                f"{where}: a {kind} order needs a {name}, a number > 0; it has {shown(price)}"
            )
        value = finite_or_nan(price)
        if not value > 0.0:
            raise OrderError(f"{where}: {name}={shown(price)} must be finite and > 0")
        found.append(value)
    return kind, found[0], found[1]


def checked_reduce_only(asset: object, reduce_only: object, signed: float) -> bool:
    """Return whether an order may only reduce; raises for what is no bool, and for a purchase."""
    where = f"order for {shown(asset)}: reduce_only={shown(reduce_only)}"
    # Any other value would count as true, "no" as well.
    if not isinstance(reduce_only, (bool, np.bool_)):
        raise OrderError(f"{where} is not True or False")
    if reduce_only and signed > 0.0:
        raise OrderError(
            f"{where} on a purchase; a cash account holds no shorts that it could reduce"
        )
    return bool(reduce_only)
