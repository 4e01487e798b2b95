"""What a planner has to know of an account at one moment."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field

from ml4t.backtest.costs import Costs
from ml4t.backtest.enums import OrderSide, OrderStatus, OrderType


@dataclass(frozen=True)
class WorkingOrder:
    """An order that was accepted and is not done.

    Parameters
    ----------
    asset : str
    side : OrderSide or {"buy", "sell"}
    quantity : float
        Units ordered, positive.
    filled_quantity : float
        Units of it that have filled.
    order_type : OrderType or its string
    limit_price, stop_price : float or None
    triggered : bool
        Whether a stop has been touched and is now a market order.
    reduce_only : bool
        Whether the order may only ever reduce the position.
    status : OrderStatus or its string
        PENDING_CANCEL: a cancel was requested and is not acknowledged.
    order_id : hashable or None
        None: the plan knows the order by its index in `open_orders`.
    """

    asset: str
    side: OrderSide | str
    quantity: float
    filled_quantity: float = 0.0
    order_type: OrderType | str = OrderType.MARKET
    limit_price: float | None = None
    stop_price: float | None = None
    triggered: bool = False
    reduce_only: bool = False
    status: OrderStatus | str = OrderStatus.PENDING
    order_id: Hashable | None = None


@dataclass(frozen=True)
class PortfolioSnapshot:
    """An account at one moment: all that `plan_rebalance` reads.

    Parameters
    ----------
    cash : float
        Currency.
    positions : mapping of asset to signed quantity
    prices : mapping of asset to today's close
        An asset without a price now (absent, None, NaN or <= 0) is not traded.
    marks : mapping of asset to its last known close
        Values a held asset that has no price now.
    open_orders : sequence of WorkingOrder
        In the order of submission.
    multipliers : mapping of asset to units per contract
        1 where absent.
    costs : Costs or None
        For the estimated cost of the plan; None: trading is free.
    """

    cash: float
    positions: Mapping[str, float] = field(default_factory=dict)
    prices: Mapping[str, float | None] = field(default_factory=dict)
    marks: Mapping[str, float | None] = field(default_factory=dict)
    open_orders: tuple[WorkingOrder, ...] = ()
    multipliers: Mapping[str, float] = field(default_factory=dict)
    costs: Costs | None = None
