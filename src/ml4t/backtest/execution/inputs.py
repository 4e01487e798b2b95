"""The arguments of a plan as arrays: the one form in which the planner takes an account."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from types import NoneType
from typing import Any

import numpy as np

from ml4t.backtest.config import RebalanceConfig
from ml4t.backtest.costs import Costs
from ml4t.backtest.enums import Coded, OrderSide, OrderStatus, OrderType
from ml4t.backtest.errors import InputError, listed, shown
from ml4t.backtest.execution.weights import weights_vector
from ml4t.backtest.kernel.accounting import equity_of
from ml4t.backtest.kernel.quantities import without_dust
from ml4t.backtest.ledger.snapshot import PortfolioSnapshot, WorkingOrder
from ml4t.backtest.numeric import finite_or_nan, is_finite, is_real
from ml4t.backtest.records import ORDER, Floats, Records


@dataclass(frozen=True, eq=False)
class PlanInputs:
    """An account, the weights wanted of it and the rules, by asset in alphabetical order.

    `mark` is the price that values a position: today's close, else the last one. `requested` is
    NaN where an asset is not in the targets. `order_ids` holds None for an order without an id.
    The arrays belong to the plan and are not changed.
    """

    assets: tuple[str, ...]
    cash: float
    equity: float
    quantity: Floats
    price: Floats
    mark: Floats
    multiplier: Floats
    requested: Floats
    orders: Records
    order_ids: tuple[Hashable | None, ...]
    config: RebalanceConfig
    costs: Costs

    def __post_init__(self) -> None:
        """Refuse a held asset that is not mentioned, where the config asks for that."""
        if self.config.unmentioned == "error":
            check_mentioned(self.assets, self.quantity, self.requested)

    @classmethod
    def from_snapshot(
        cls,
        weights: dict[str, float],
        snapshot: PortfolioSnapshot,
        config: RebalanceConfig,
        equity: float | None = None,
    ) -> PlanInputs:
        """Check a snapshot and lay it out (rule 1).

        `equity` is what a broker says; None: cash plus the marked positions.

        Raises
        ------
        ValueError
            Naming every asset at fault and what is wrong with it.
        """
        if not isinstance(snapshot, PortfolioSnapshot):
            raise InputError(
                f"snapshot: a {type(snapshot).__name__} is not a PortfolioSnapshot; pass "
                "PortfolioSnapshot(cash=...) or broker.snapshot()"
            )
        for field in ("positions", "prices", "marks", "multipliers"):
            if not isinstance(getattr(snapshot, field), Mapping):
                raise InputError(
                    f"snapshot: {field}={shown(getattr(snapshot, field))} is not a mapping; pass "
                    "{asset: number}"
                )
        if not isinstance(snapshot.costs, (Costs, NoneType)):
            raise InputError(f"snapshot: costs={shown(snapshot.costs)} is not a Costs; pass one")
        orders = _working_orders(snapshot.open_orders)
        names = [*weights, *snapshot.positions, *(order.asset for order in orders)]
        _check_names(names)
        assets = tuple(sorted(set(names)))
        index = {name: i for i, name in enumerate(assets)}
        cash = _finite("cash", {"": snapshot.cash})[""]
        positions = _finite("position", snapshot.positions)
        multipliers = _finite("multiplier", snapshot.multipliers)
        not_positive = [name for name, value in multipliers.items() if value <= 0.0]
        if not_positive:
            raise InputError(f"snapshot: multiplier of {listed(not_positive)} is not > 0")
        price, last = (
            np.array([usable_price(name, found.get(name)) for name in assets])
            for found in (snapshot.prices, snapshot.marks)
        )
        mark = np.where(np.isnan(price), last, price)
        unvalued = [name for name in assets if positions.get(name) and np.isnan(mark[index[name]])]
        if unvalued:
            raise InputError(
                f"snapshot: {listed(unvalued)} are held but have neither a price nor a mark; "
                "pass their last close in marks"
            )
        quantity = np.array([without_dust(positions.get(name, 0.0)) for name in assets])
        multiplier = np.array([multipliers.get(name, 1.0) for name in assets])
        if equity is None:
            equity = equity_of(cash, quantity, mark, multiplier)
        return cls(
            assets=assets,
            cash=cash,
            equity=equity,
            quantity=quantity,
            price=price,
            mark=mark,
            multiplier=multiplier,
            requested=weights_vector(weights, assets, index),
            orders=_order_records(orders, index),
            order_ids=tuple(order.order_id for order in orders),
            config=config,
            costs=Costs() if snapshot.costs is None else snapshot.costs,
        )


def check_mentioned(
    assets: tuple[str, ...], quantity: Floats, requested: Floats, when: object = None
) -> None:
    """Raise `ValueError` if an asset is held that is not in the targets (at a time, if given)."""
    unmentioned = np.flatnonzero((quantity != 0.0) & np.isnan(requested))
    if unmentioned.size:
        raise InputError(
            f"weights{'' if when is None else f' at {when}'}: "
            f"{listed(assets[i] for i in unmentioned)} are held but not in the targets, and "
            "unmentioned='error'; give each a weight (0.0 closes it)"
        )


def usable_price(asset: str, price: Any) -> float:
    """Return a price as a float, NaN if it is none: None, not finite or <= 0.

    Raises
    ------
    ValueError
        For what is not a number.
    """
    if price is None:
        return math.nan
    if not is_real(price):
        raise InputError(f"price of {asset!r} is {shown(price)}, not a number; pass a float")
    value = finite_or_nan(price)
    return value if value > 0.0 else math.nan


def closes_of(data: Any) -> dict[str, float]:
    """Return today's close of every asset in `data`, NaN where there is none.

    Raises
    ------
    ValueError
        If `data` is not a mapping of assets to mappings with "close".
    """
    if not isinstance(data, Mapping):
        raise InputError(
            f"data: a {type(data).__name__} is not understood; pass what on_data got, or "
            '{asset: {"close": price}}'
        )
    wrong = [asset for asset, bar in data.items() if not isinstance(bar, Mapping)]
    if wrong:
        raise InputError(f'data: {listed(wrong)} have no bar; pass {{asset: {{"close": price}}}}')
    return {asset: usable_price(asset, bar.get("close")) for asset, bar in data.items()}


def _check_names(names: Iterable[object]) -> None:
    strange = [name for name in names if not isinstance(name, str)]
    if strange:
        raise InputError(f"snapshot: {listed(strange)} are not asset names; names must be strings")


def _working_orders(orders: object) -> tuple[WorkingOrder, ...]:
    found = tuple(orders) if isinstance(orders, Iterable) else (orders,)
    for order in found:
        if not isinstance(order, WorkingOrder):
            raise InputError(
                f"snapshot: open_orders holds {shown(order)}, which is not a WorkingOrder; pass a "
                "tuple of them"
            )
    return found


def _finite(what: str, values: Mapping[str, object]) -> dict[str, float]:
    """Return the values as floats; raises if one is not a finite real number."""
    wrong = [
        f"{name}={shown(value)}" if name else shown(value)
        for name, value in values.items()
        if not is_real(value) or not is_finite(value)
    ]
    if wrong:
        raise InputError(
            f"snapshot: {what} {', '.join(wrong[:5])} is not a finite number; pass a float"
        )
    return {name: float(value) for name, value in values.items()}  # type: ignore[arg-type]


def _order_records(orders: tuple[WorkingOrder, ...], index: Mapping[str, int]) -> Records:
    """Lay working orders out as records of `ORDER`, checked."""
    records = np.zeros(len(orders), ORDER)
    for k, order in enumerate(orders):
        where = f"open order {k} ({order.asset})"
        numbers_of_it = {"quantity": order.quantity, "filled_quantity": order.filled_quantity}
        amounts = _finite(where, numbers_of_it)
        if amounts["quantity"] <= 0.0 or amounts["filled_quantity"] < 0.0:
            raise InputError(
                f"snapshot: {where}: quantity {order.quantity!r} must be > 0 and filled_quantity "
                f"{order.filled_quantity!r} >= 0; the side says which way it trades"
            )
        record = records[k]
        record["order_id"] = k
        record["quantity"] = amounts["quantity"]
        record["filled"] = min(amounts["filled_quantity"], amounts["quantity"])
        record["limit_price"] = usable_price(order.asset, order.limit_price)
        record["stop_price"] = usable_price(order.asset, order.stop_price)
        record["asset"] = index[order.asset]
        record["side"] = _code(OrderSide, order.side, f"{where}: side")
        record["type"] = _code(OrderType, order.order_type, f"{where}: order_type")
        record["status"] = _code(OrderStatus, order.status, f"{where}: status")
        record["triggered_in"] = 0 if order.triggered else -1
        record["reduce_only"] = bool(order.reduce_only)
    return records


def _code(kind: type[Coded], value: object, where: str) -> int:
    """Return the code of a member or its string; raises for what is neither."""
    members = {str(member): member.code for member in kind}
    if not isinstance(value, str) or value not in members:
        raise InputError(f"snapshot: {where} is {value!r}; use one of {listed(members, 9)}")
    return members[value]
