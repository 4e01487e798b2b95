"""Which group of a pass an order belongs to, and the price at which a bar fills it."""

from __future__ import annotations

import numpy as np

from ml4t.backtest.enums import OrderSide, OrderType
from ml4t.backtest.kernel.jit import inlined_kernel, kernel
from ml4t.backtest.records import Record

BUY = OrderSide.BUY.code
MARKET = OrderType.MARKET.code
MARKET_ON_CLOSE = OrderType.MARKET_ON_CLOSE.code
LIMIT = OrderType.LIMIT.code
STOP = OrderType.STOP.code

# The groups of a pass, in the order of the day.
AT_OPEN = 0
RESTING = 1
ON_CLOSE = 2
N_GROUPS = 3


@inlined_kernel
def has_triggered(order: Record) -> bool:
    """Whether a stop has been touched: what is left of it is a market order."""
    return bool(order["triggered_in"] >= 0)


@kernel
def group_of(order: Record) -> int:
    """Return the group of an order. A stop that has triggered before is a market order."""
    if order["type"] == MARKET_ON_CLOSE:
        return ON_CLOSE
    if order["type"] == MARKET or has_triggered(order):
        return AT_OPEN
    return RESTING


@kernel
def price_before_slippage(
    order: Record,
    group: int,
    market: float,
    open_: float,
    high: float,
    low: float,
    close: float,
) -> float:
    """Return the price at which a bar fills an order, NaN if it does not.

    `market` is the price of market orders in this bar. All are NaN where the asset has no bar.
    """
    if group == AT_OPEN:
        return market
    if group == ON_CLOSE:
        return close
    buys = order["side"] == BUY
    if order["type"] == LIMIT:
        limit = order["limit_price"]
        if buys:
            return min(open_, limit) if low <= limit else np.nan
        return max(open_, limit) if high >= limit else np.nan
    stop = order["stop_price"]
    if buys:
        return max(open_, stop) if high >= stop else np.nan
    return min(open_, stop) if low <= stop else np.nan


@inlined_kernel
def slips(order: Record) -> bool:
    """Whether slippage applies: a limit order never fills worse than its limit."""
    return bool(order["type"] != LIMIT)
