"""Order, Fill, Position, Trade: light read-only objects, made when somebody looks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import isnan
from typing import Protocol, overload

import numpy as np

from ml4t.backtest.enums import OrderSide, OrderStatus, OrderType, Reason
from ml4t.backtest.formats import day, money, number, quantity
from ml4t.backtest.html_tables import html_facts
from ml4t.backtest.words import reason_in_words, status_in_words

__all__ = ["Fill", "Order", "OrderSide", "OrderStatus", "OrderType", "Position", "Trade"]


class OrderSource(Protocol):
    """Where an `Order` looks itself up."""

    def order_record(self, order_id: int) -> np.void:
        """Return the present record of an order."""

    def asset_name(self, column: int) -> str:
        """Return the name of an asset."""

    def time_of(self, bar: int) -> datetime | None:
        """Return the time of a bar, None for bar -1."""


class Order:
    """An order of the simulated broker. It shows the state of now, not of when it was made."""

    __slots__ = ("_source", "order_id")

    def __init__(self, source: OrderSource, order_id: int) -> None:
        self._source = source
        self.order_id = order_id

    @property
    def _record(self) -> np.void:
        return self._source.order_record(self.order_id)

    @property
    def asset(self) -> str:
        """Name of the asset."""
        return self._source.asset_name(int(self._record["asset"]))

    @property
    def side(self) -> OrderSide:
        """BUY or SELL."""
        return OrderSide.from_code(self._record["side"])

    @property
    def quantity(self) -> float:
        """Units ordered, positive; never changes."""
        return float(self._record["quantity"])

    @property
    def filled_quantity(self) -> float:
        """Units that have filled."""
        return float(self._record["filled"])

    @property
    def remaining_quantity(self) -> float:
        """Units that have not filled."""
        record = self._record
        return float(record["quantity"] - record["filled"])

    @property
    def order_type(self) -> OrderType:
        """How the order finds its price."""
        return OrderType.from_code(self._record["type"])

    @property
    def limit_price(self) -> float | None:
        """Worst price of a limit order; None for another type."""
        price = float(self._record["limit_price"])
        return None if isnan(price) else price

    @property
    def stop_price(self) -> float | None:
        """Trigger of a stop order; None for another type."""
        price = float(self._record["stop_price"])
        return None if isnan(price) else price

    @property
    def triggered(self) -> bool:
        """Whether a stop has been touched: what is left of it is a market order."""
        return bool(self._record["triggered_in"] >= 0)

    @property
    def reduce_only(self) -> bool:
        """Whether the order goes when the position is closed."""
        return bool(self._record["reduce_only"])

    @property
    def status(self) -> OrderStatus:
        """Where the order stands."""
        return OrderStatus.from_code(self._record["status"])

    @property
    def reason(self) -> Reason | None:
        """Why the order was cancelled or rejected; None while it works and if it filled."""
        reason = Reason.from_code(self._record["reason"])
        return None if reason is Reason.NONE else reason

    @property
    def created_at(self) -> datetime | None:
        """Time of the bar in which it was submitted; None before the first bar."""
        return self._source.time_of(int(self._record["created"]))

    @property
    def filled_at(self) -> datetime | None:
        """Time of the bar in which its last unit filled; None if it has not filled whole."""
        record = self._record
        if OrderStatus.from_code(record["status"]) is not OrderStatus.FILLED:
            return None
        return self._source.time_of(int(record["finished"]))

    @property
    def average_fill_price(self) -> float | None:
        """Quantity-weighted price of the fills after slippage; None without a fill."""
        record = self._record
        if record["filled"] <= 0.0:
            return None
        return float(record["fill_value"] / record["filled"])

    @property
    def plan_idx(self) -> int:
        """Number of the plan that sent it; -1: none did."""
        return int(self._record["plan_idx"])

    def __eq__(self, other: object) -> bool:
        """Whether both are the same order of the same broker."""
        return (
            isinstance(other, Order)
            and self._source is other._source
            and self.order_id == other.order_id
        )

    def __hash__(self) -> int:
        """Hash of the order's identity."""
        return hash((id(self._source), self.order_id))

    def __repr__(self) -> str:
        """One line."""
        return (
            f"Order({self.order_id}: {self.side} {self.quantity:g} {self.asset} "
            f"{self.order_type}, {self.status}, filled {self.filled_quantity:g})"
        )

    def _repr_html_(self) -> str:
        """Return a table for notebooks."""
        prices = {
            "limit": self.limit_price,
            "stop": self.stop_price,
            "average fill": self.average_fill_price,
        }
        facts = [
            ("order", f"{self.side} {quantity(self.quantity)} {self.asset}, {self.order_type}"),
            *((f"{name} price", number(price, 4)) for name, price in prices.items() if price),
            ("filled", f"{quantity(self.filled_quantity)} of {quantity(self.quantity)}"),
            ("status", f"{self.status}: {status_in_words(self.status)}"),
        ]
        if self.reason is not None:
            facts.append(("reason", reason_in_words(self.reason)))
        if self.created_at is not None:
            facts.append(("created", day(self.created_at)))
        return html_facts(facts, f"Order {self.order_id}")


class Orders(Sequence[Order]):
    """Orders by id, made one by one when they are looked at; equal to a list of the same orders."""

    __slots__ = ("_ids", "_source")

    def __init__(self, source: OrderSource, ids: Sequence[int]) -> None:
        self._source = source
        self._ids = ids

    @overload
    def __getitem__(self, item: int) -> Order: ...

    @overload
    def __getitem__(self, item: slice) -> Orders: ...

    def __getitem__(self, item: int | slice) -> Order | Orders:
        """Return an order, or a part of the orders."""
        if isinstance(item, slice):
            return Orders(self._source, self._ids[item])
        return Order(self._source, self._ids[item])

    def __len__(self) -> int:
        """Count the orders."""
        return len(self._ids)

    def __eq__(self, other: object) -> bool:
        """Whether the other is a sequence of the same orders."""
        return isinstance(other, (list, Orders)) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    def __add__(self, other: Iterable[Order]) -> list[Order]:
        """Return a list of these orders and others."""
        return [*self, *other]

    def __radd__(self, other: Iterable[Order]) -> list[Order]:
        """Return a list of other orders and these."""
        return [*other, *self]

    def __repr__(self) -> str:
        """Like a list's."""
        return repr(list(self))


@dataclass(frozen=True, slots=True)
class Fill:
    """One execution of (part of) an order.

    `quantity` is positive, `price` is after slippage, `slippage` is money >= 0 against the price
    before it, `commission` is money.
    """

    timestamp: datetime
    order_id: int
    plan_idx: int
    asset: str
    side: OrderSide
    quantity: float
    price: float
    commission: float
    slippage: float


@dataclass(frozen=True, slots=True)
class Position:
    """What is held of an asset, as it was when this object was made.

    `quantity` is signed. `entry_price` is the average price paid for what is held, after
    slippage; `market_price` the last close seen; the rest is currency.
    """

    asset: str
    quantity: float
    entry_price: float
    entry_time: datetime | None
    market_price: float
    market_value: float
    unrealized_pnl: float

    def _repr_html_(self) -> str:
        """Return a table for notebooks."""
        facts = [
            ("quantity", quantity(self.quantity)),
            ("entry price", number(self.entry_price, 4)),
            ("entry", "" if self.entry_time is None else day(self.entry_time)),
            ("market price", number(self.market_price, 4)),
            ("market value", money(self.market_value)),
            ("unrealized P&L", money(self.unrealized_pnl, sign=True)),
        ]
        return html_facts(facts, f"Position in {self.asset}")


@dataclass(frozen=True, slots=True)
class Trade:
    """A round trip: from flat back to flat, or open still (`exit_time` is None).

    `quantity` is all that was entered, signed; prices are averages after slippage; `pnl` is after
    commission, for an open trade that of what has been closed so far.
    """

    asset: str
    quantity: float
    entry_time: datetime
    exit_time: datetime | None
    entry_price: float
    exit_price: float | None
    pnl: float
    commission: float
    slippage: float
    n_fills: int
