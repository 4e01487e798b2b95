"""TargetWeightExecutor: target weights to orders, at any broker."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from math import isnan, nan
from typing import Any, Protocol, runtime_checkable

import numpy as np

from ml4t.backtest.broker import Broker
from ml4t.backtest.config import RebalanceConfig, as_rules
from ml4t.backtest.enums import OrderSide, OrderStatus, OrderType
from ml4t.backtest.errors import InputError, listed
from ml4t.backtest.execution.inputs import PlanInputs, closes_of, usable_price
from ml4t.backtest.execution.plan import RebalancePlan, make_plan
from ml4t.backtest.execution.weights import as_weights
from ml4t.backtest.kernel.accounting import equity_of
from ml4t.backtest.kernel.quantities import ZERO_QUANTITY
from ml4t.backtest.ledger.snapshot import PortfolioSnapshot, WorkingOrder

__all__ = ["BrokerLike", "RebalanceConfig", "TargetWeightExecutor", "WeightProvider"]

#: What `on_data` got, or any mapping of asset to a mapping with "close".
Prices = Mapping[str, Mapping[str, Any]]


@runtime_checkable
class WeightProvider(Protocol):
    """Anything that gives target weights: an optimizer behind one method."""

    def get_weights(self, data: Any, broker: Any) -> dict[str, float]:
        """Return target weights by asset, from the bars up to now and the account."""


class BrokerLike(Protocol):
    """What the executor needs of a broker, simulated or live.

    A position has `quantity` and `entry_price`, and may have `market_price`. A pending order has
    `order_id`, `asset`, `side`, `quantity`, and may have `filled_quantity`, `order_type`,
    `limit_price`, `stop_price`, `triggered`, `reduce_only`, `status`.
    """

    @property
    def positions(self) -> Mapping[str, Any]:
        """What is held, by asset."""

    @property
    def pending_orders(self) -> Iterable[Any]:
        """The working orders, in the order of submission."""

    def get_account_value(self) -> float:
        """Equity, in currency."""

    def get_position(self, asset: str) -> Any:
        """Return what is held of an asset, None if nothing is."""

    def submit_order(self, asset: str, quantity: float, side: OrderSide) -> Any:
        """Send a market order of a positive quantity."""

    def cancel_order(self, order_id: Any) -> Any:
        """Ask for an order to be cancelled."""

    def close_position(self, asset: str) -> Any:
        """Bring an asset to zero."""


class TargetWeightExecutor:
    """Turns target weights into orders, aware of what is held and of what is working.

    It keeps no state but its config: the plan that `preview` shows is the plan that `execute`
    makes from the same account.

    Parameters
    ----------
    config : RebalanceConfig, optional
        None: the broker's ``config.rebalance``, else the defaults.

    Examples
    --------
    >>> from datetime import datetime
    >>> broker = Broker(initial_cash=100_000.0)
    >>> data = {"AAPL": {"close": 150.0}, "MSFT": {"close": 200.0}}
    >>> broker.step(datetime(2024, 1, 2), data)
    >>> [str(o.side) + f" {o.quantity:g} {o.asset}" for o in
    ...  TargetWeightExecutor().execute({"AAPL": 0.6, "MSFT": 0.35}, data, broker)]
    ['buy 400 AAPL', 'buy 175 MSFT']
    """

    def __init__(self, config: RebalanceConfig | None = None) -> None:
        self.config = None if config is None else as_rules(config)

    def plan(
        self, target_weights: object, data: Prices, broker: Broker | BrokerLike
    ) -> RebalancePlan:
        """Return the plan that `execute` would apply now; nothing changes.

        Parameters
        ----------
        target_weights : anything `as_weights` takes
        data : mapping
            What `on_data` got, or any ``{asset: {"close": price, ...}}``: the prices to plan at.
        broker : Broker or BrokerLike

        Raises
        ------
        ValueError
            For weights that cannot be used; the message names the assets.
        """
        return make_plan(self._inputs(as_weights(target_weights), data, broker))

    def preview(
        self, target_weights: object, data: Prices, broker: Broker | BrokerLike
    ) -> list[dict[str, object]]:
        """Return the rows of the plan as dicts; nothing changes.

        `shares` and `value` are signed. `skip_reason` is None for a row that trades.

        Parameters
        ----------
        target_weights, data, broker
            As in `plan`.

        Returns
        -------
        list of dict
            One for every asset of the plan.

        Warns
        -----
        RebalanceWarning
            If thresholds keep increases of more than 5 % of equity from happening.
        """
        plan = self.plan(target_weights, data, broker)
        plan.warn_if_skipped()
        return [row.as_preview() for row in plan.rows]

    def execute(
        self, target_weights: object, data: Prices, broker: Broker | BrokerLike
    ) -> Sequence[Any]:
        """Make the plan and apply it.

        Errors are those of `plan`; when it raises, nothing was cancelled and nothing was
        submitted. With the simulated broker the orders are matched from the next bar on, or at
        this close in SAME_BAR mode.

        Parameters
        ----------
        target_weights, data, broker
            As in `plan`.

        Returns
        -------
        sequence of orders
            Those that were submitted, in sequence.

        Warns
        -----
        RebalanceWarning
            If thresholds keep increases of more than 5 % of equity from happening.
        """
        plan = self.plan(target_weights, data, broker)
        plan.warn_if_skipped()
        if isinstance(broker, Broker):
            return broker.submit_plan(plan)
        return _apply(plan, broker)

    def current_weights(self, data: Prices, broker: Broker | BrokerLike) -> dict[str, float]:
        """Return what is held as fractions of equity; NaN without equity."""
        rows = make_plan(self._held_back(data, broker)).rows
        return {row.asset: row.current_weight for row in rows if row.current_weight != 0.0}

    def effective_weights(self, data: Prices, broker: Broker | BrokerLike) -> dict[str, float]:
        """Return what is held and what is still to be traded, as fractions of equity."""
        rows = make_plan(self._held_back(data, broker)).rows
        return {row.asset: row.effective_weight for row in rows if row.effective_weight != 0.0}

    def _rules(self, broker: object) -> RebalanceConfig:
        if self.config is not None:
            return self.config
        rules = getattr(getattr(broker, "config", None), "rebalance", None)
        return rules if isinstance(rules, RebalanceConfig) else RebalanceConfig()

    def _held_back(self, data: Prices, broker: Broker | BrokerLike) -> PlanInputs:
        """Prepare a plan that touches nothing and counts every order that is not protective."""
        nothing = TargetWeightExecutor(RebalanceConfig(unmentioned="hold"))
        return nothing._inputs({}, data, broker)

    def _inputs(
        self, weights: dict[str, float], data: Prices, broker: Broker | BrokerLike
    ) -> PlanInputs:
        rules = self._rules(broker)
        if isinstance(broker, Broker):
            return broker.plan_inputs(weights, rules, data)
        return PlanInputs.from_snapshot(
            weights, snapshot_of(broker, data), rules, broker.get_account_value()
        )


def snapshot_of(broker: BrokerLike, data: Prices) -> PortfolioSnapshot:
    """Read an account through the members of `BrokerLike`.

    Cash is equity less the marked positions; a held asset without a close in `data` is valued at
    its `market_price`, else at its `entry_price`.
    """
    prices = closes_of(data)
    positions: dict[str, float] = {}
    marks: dict[str, float] = {}
    for name, position in broker.positions.items():
        positions[name] = position.quantity
        candidates = (
            prices.get(name),
            usable_price(name, getattr(position, "market_price", None)),
            usable_price(name, getattr(position, "entry_price", None)),
        )
        marks[name] = next((p for p in candidates if p is not None and not isnan(p)), nan)
    unvalued = [name for name, mark in marks.items() if positions[name] and isnan(mark)]
    if unvalued:
        raise InputError(
            f"broker: {listed(unvalued)} are held but have no close in data, no market_price and "
            "no entry_price; pass their last close in data"
        )
    names = sorted(positions)
    quantity = np.array([positions[name] for name in names], np.float64)
    mark = np.array([marks[name] for name in names], np.float64)
    invested = equity_of(0.0, quantity, mark, np.ones(len(names)))
    return PortfolioSnapshot(
        cash=broker.get_account_value() - invested,
        positions=positions,
        prices=prices,
        marks=marks,
        open_orders=tuple(_working_order(order) for order in broker.pending_orders),
    )


def _working_order(order: Any) -> WorkingOrder:
    return WorkingOrder(
        asset=order.asset,
        side=order.side,
        quantity=order.quantity,
        filled_quantity=getattr(order, "filled_quantity", None) or 0.0,
        order_type=getattr(order, "order_type", None) or OrderType.MARKET,
        limit_price=getattr(order, "limit_price", None),
        stop_price=getattr(order, "stop_price", None),
        triggered=bool(getattr(order, "triggered", False)),
        reduce_only=bool(getattr(order, "reduce_only", False)),
        status=getattr(order, "status", None) or OrderStatus.PENDING,
        order_id=order.order_id,
    )


def _apply(plan: RebalancePlan, broker: BrokerLike) -> list[Any]:
    """Apply a plan at a broker that may not cancel at once.

    After the cancels its orders and positions are read again: an asset whose cancelled order is
    still there, or of which another quantity is held now, gets no order; the next rebalance
    mends it.
    """
    plan.check_cancels()
    before = dict(zip(plan.inputs.assets, plan.inputs.quantity.tolist(), strict=True))
    waiting: set[str] = set()
    if plan.cancels:
        for order_id in plan.cancels:
            broker.cancel_order(order_id)
        asked: set[Hashable] = set(plan.cancels)
        waiting = {order.asset for order in broker.pending_orders if order.order_id in asked}
        now = {name: position.quantity for name, position in broker.positions.items()}
        waiting |= {
            name for name, held in before.items() if abs(now.get(name, 0.0) - held) >= ZERO_QUANTITY
        }
    return [
        broker.submit_order(order.asset, order.quantity, order.side)
        for order in plan.orders
        if order.asset not in waiting
    ]
