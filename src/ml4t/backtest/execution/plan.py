"""The plan of a rebalance: made by the kernel, read as rows, never changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Hashable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from ml4t.backtest.config import RebalanceConfig, as_rules
from ml4t.backtest.cost_tables import python_table
from ml4t.backtest.enums import Adjustment, OrderSide, OrderStatus, OrderType, Reason
from ml4t.backtest.errors import OrderError, listed
from ml4t.backtest.execution.inputs import PlanInputs
from ml4t.backtest.execution.plan_table import plan_table
from ml4t.backtest.execution.roads import planning_road
from ml4t.backtest.execution.skipped import warn_of_plan
from ml4t.backtest.execution.weights import as_weights
from ml4t.backtest.ledger.snapshot import PortfolioSnapshot
from ml4t.backtest.records import PLAN_ROW, PLAN_TOTALS, PLANNED_ORDER, Ints, Records


@dataclass(frozen=True, slots=True)
class PlannedOrder:
    """An order that a plan wants sent: positive `quantity`, `step` as in "granularity of a cut"."""

    asset: str
    side: OrderSide
    quantity: float
    step: int


@dataclass(frozen=True, slots=True)
class PlanRow:
    """What a plan does with one asset, and why.

    Weights are fractions of equity; `effective_weight` counts working orders as the config says;
    `weight_delta` is target less effective weight; `planned_weight` is the weight at the plan's
    prices once its orders, and those that go on working and count, have filled whole. `quantity`
    and `value` are signed, 0 where nothing is ordered. NaN: `requested_weight` of an asset that is
    not in the targets, `target_weight` where an asset is held back, every weight but the requested
    one where there is no equity, `price` and `target_quantity` where there is none.
    """

    asset: str
    requested_weight: float
    target_weight: float
    current_weight: float
    effective_weight: float
    planned_weight: float
    weight_delta: float
    price: float
    target_quantity: float
    quantity: float
    value: float
    estimated_cost: float
    reason: Reason
    adjustments: tuple[Adjustment, ...]

    def as_preview(self) -> dict[str, object]:
        """Return the row as `TargetWeightExecutor.preview` shows it."""
        return {
            "asset": self.asset,
            "current_weight": self.current_weight,
            "target_weight": self.target_weight,
            "weight_delta": self.weight_delta,
            "shares": self.quantity,
            "value": self.value,
            "skip_reason": None if self.reason is Reason.ORDERED else self.reason,
            "requested_weight": self.requested_weight,
            "effective_weight": self.effective_weight,
            "planned_weight": self.planned_weight,
            "price": self.price,
            "target_quantity": self.target_quantity,
            "estimated_cost": self.estimated_cost,
            "reason": self.reason,
            "adjustments": self.adjustments,
        }


class RebalancePlan:
    """The immutable answer to "what would a rebalance do now".

    Made by `plan_rebalance` and `TargetWeightExecutor.plan`; applied by `Broker.submit_plan`.

    Attributes
    ----------
    rows : tuple of PlanRow
        One for every asset that is in the targets, held, or has working orders; alphabetical.
    orders : tuple of PlannedOrder
        In the order in which they are to be sent: what reduces positions first.
    cancels : tuple
        Ids of the working orders to cancel first (the index of an order without an id).
    equity, turnover, cash_after, estimated_cost : float
        Equity before; half the traded value over equity (NaN without equity); cash after all
        orders filled at the plan's prices and estimated costs; currency.
    """

    def __init__(
        self, inputs: PlanInputs, rows: Records, planned: Records, cancels: Ints, totals: Records
    ) -> None:
        self.inputs = inputs
        self.row_records = rows
        self.order_records = planned
        self._cancelled = cancels
        self.totals = totals

    @cached_property
    def rows(self) -> tuple[PlanRow, ...]:
        """One row for every asset of the plan, alphabetical."""
        names = self.inputs.assets
        made = []
        for row in self.row_records:
            target = float(row["target_weight"])
            effective = float(row["effective_weight"])
            made.append(
                PlanRow(
                    asset=names[row["asset"]],
                    requested_weight=float(row["requested_weight"]),
                    target_weight=target,
                    current_weight=float(row["current_weight"]),
                    effective_weight=effective,
                    planned_weight=float(row["planned_weight"]),
                    weight_delta=target - effective,
                    price=float(row["price"]),
                    target_quantity=float(row["target_quantity"]),
                    quantity=float(row["quantity"]),
                    value=float(row["value"]),
                    estimated_cost=float(row["estimated_cost"]),
                    reason=Reason.from_code(row["reason"]),
                    adjustments=Adjustment.from_bits(int(row["adjustments"])),
                )
            )
        return tuple(made)

    @cached_property
    def orders(self) -> tuple[PlannedOrder, ...]:
        """The orders to send, in sequence."""
        names = self.inputs.assets
        return tuple(
            PlannedOrder(
                names[record["asset"]],
                OrderSide.BUY if record["quantity"] > 0.0 else OrderSide.SELL,
                abs(float(record["quantity"])),
                int(record["step"]),
            )
            for record in self.order_records
        )

    @property
    def cancels(self) -> tuple[Hashable, ...]:
        """Ids of the working orders to cancel before anything is sent."""
        if not self._cancelled.size:
            return ()
        ids = self.inputs.order_ids
        return tuple(int(k) if ids[k] is None else ids[k] for k in self._cancelled)

    def check_cancels(self) -> None:
        """Raise `ValueError` if an order to cancel has no id by which a broker would know it."""
        unnamed = [int(k) for k in self._cancelled if self.inputs.order_ids[k] is None]
        if unnamed:
            raise OrderError(
                f"plan: the orders with index {listed(unnamed)} that it cancels have no order_id, "
                "so no broker can cancel them; give every WorkingOrder its order_id"
            )

    @property
    def equity(self) -> float:
        """Equity at the plan's marks, before trading; currency."""
        return float(self.totals[0]["equity"])

    @property
    def turnover(self) -> float:
        """Half the absolute traded value over equity; NaN without equity."""
        return float(self.totals[0]["turnover"])

    @property
    def cash_after(self) -> float:
        """Cash if every order filled at the plan's prices and estimated costs."""
        return float(self.totals[0]["cash_after"])

    @property
    def estimated_cost(self) -> float:
        """Estimated commission and slippage of all orders; currency."""
        return float(self.totals[0]["estimated_cost"])

    @cached_property
    def plan_id(self) -> str:
        """SHA-256 over inputs and outputs: equal for plans that were made from the same facts.

        A cost model that is written in Python counts by its class and its `repr`: give it one
        that says its numbers (a dataclass has it), since the default says where in memory it is.
        """
        given = self.inputs
        names = given.assets
        chosen = self.row_records["asset"].tolist()
        content = {
            "equity": given.equity,
            "config": given.config.model_dump(mode="json"),
            "costs": [
                *given.costs.built_in,
                *(python_table(model) for model in given.costs.own_models.values()),
            ],
            "assets": [
                [
                    names[i],
                    float(given.price[i]) if given.price[i] > 0.0 else None,
                    *(
                        float(part[i])
                        for part in (
                            given.quantity,
                            given.mark,
                            given.multiplier,
                            given.requested,
                        )
                    ),
                ]
                for i in chosen
            ],
            "working": [
                [
                    str(order_id),
                    names[order["asset"]],
                    OrderSide.from_code(order["side"]),
                    float(order["quantity"]),
                    float(order["filled"]),
                    float(order["limit_price"]),
                    float(order["stop_price"]),
                    OrderType.from_code(order["type"]),
                    bool(order["triggered_in"] >= 0),
                    bool(order["reduce_only"]),
                    OrderStatus.from_code(order["status"]),
                ]
                for order_id, order in zip(given.order_ids, given.orders, strict=True)
            ],
            "cancels": [str(order_id) for order_id in self.cancels],
            "orders": [
                [order.asset, order.side, order.quantity, order.step] for order in self.orders
            ],
            "reasons": [[row.asset, row.reason, row.quantity] for row in self.rows],
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def __eq__(self, other: object) -> bool:
        """Whether the two plans have the same id."""
        return isinstance(other, RebalancePlan) and self.plan_id == other.plan_id

    def __hash__(self) -> int:
        """Hash of the id."""
        return hash(self.plan_id)

    def __repr__(self) -> str:
        """One line: how many rows, cancels and orders."""
        return (
            f"RebalancePlan(rows={self.row_records.size}, cancels={self._cancelled.size}, "
            f"orders={self.order_records.size}, equity={self.equity:,.2f}, "
            f"turnover={self.turnover:.4f})"
        )

    def _repr_html_(self) -> str:
        """Return a table for notebooks."""
        counts = (self.order_records.size, self._cancelled.size)
        return plan_table(self.to_frame(), *counts, self.totals[0])

    def to_frame(self) -> pl.DataFrame:
        """Return the rows as a polars frame; `reason` and `adjustments` are plain strings."""
        frame = rows_frame(self.row_records, self.inputs.assets)
        delta = (pl.col("target_weight") - pl.col("effective_weight")).alias("weight_delta")
        return frame.with_columns(delta)

    def warn_if_skipped(self, stacklevel: int = 3) -> None:
        """Emit a `RebalanceWarning` if thresholds keep much of the plan from happening."""
        warn_of_plan(self.totals, self.inputs.config, stacklevel)


def rows_frame(rows: Records, assets: tuple[str, ...]) -> pl.DataFrame:
    """Return plan rows as a frame, with names and plain strings."""
    labels = [",".join(Adjustment.from_bits(bits)) for bits in range(1 << len(Adjustment))]
    figures = {
        name: np.ascontiguousarray(rows[name])
        for name in (
            "requested_weight",
            "target_weight",
            "current_weight",
            "effective_weight",
            "planned_weight",
            "price",
            "target_quantity",
            "quantity",
            "value",
            "estimated_cost",
        )
    }
    return pl.DataFrame(
        {
            "asset": names_of(rows["asset"], assets),
            **figures,
            "reason": names_of(rows["reason"], tuple(map(str, Reason))),
            "adjustments": names_of(rows["adjustments"], tuple(labels)),
        }
    )


def names_of(codes: Any, names: tuple[str, ...]) -> pl.Series:
    """Return a string column for a column of indices into `names`."""
    table = pl.Series(names, dtype=pl.String)
    return table.gather(pl.Series(np.ascontiguousarray(codes).astype(np.int64)))


def make_plan(inputs: PlanInputs) -> RebalancePlan:
    """Run the planner kernel on prepared inputs."""
    n = len(inputs.assets)
    rows = np.empty(n, PLAN_ROW)
    planned = np.empty(n, PLANNED_ORDER)
    cancels = np.empty(inputs.orders.size, np.int64)
    totals = np.zeros(1, PLAN_TOTALS)
    plan, costs = planning_road(inputs.costs, inputs.assets)
    plan(
        inputs.cash,
        inputs.equity,
        inputs.quantity,
        inputs.price,
        inputs.mark,
        inputs.multiplier,
        inputs.requested,
        inputs.orders,
        inputs.config.params,
        costs,
        rows,
        planned,
        cancels,
        totals,
    )
    answer = totals[0]
    found = RebalancePlan(
        inputs,
        rows[: answer["n_rows"]],
        planned[: answer["n_orders"]],
        cancels[: answer["n_cancels"]],
        totals,
    )
    for records in (found.row_records, found.order_records, found.totals):
        records.flags.writeable = False
    return found


def plan_rebalance(
    target_weights: object,
    snapshot: PortfolioSnapshot,
    config: RebalanceConfig | None = None,
) -> RebalancePlan:
    """Answer what a rebalance to `target_weights` would do to an account now.

    A pure function: it reads nothing but its arguments and changes nothing.

    Parameters
    ----------
    target_weights : anything `as_weights` takes
        Fractions of equity by asset; what is not in it is cash (see `unmentioned`).
    snapshot : PortfolioSnapshot
        The account, today's closes and the working orders.
    config : RebalanceConfig, optional
        None: the defaults.

    Returns
    -------
    RebalancePlan

    Raises
    ------
    ValueError
        For weights or a snapshot that cannot be used; the message names the assets.

    Examples
    --------
    >>> account = PortfolioSnapshot(cash=100_000, prices={"AAPL": 150.0})
    >>> plan_rebalance({"AAPL": 0.1}, account).orders
    (PlannedOrder(asset='AAPL', side=<OrderSide.BUY: 'buy'>, quantity=66.0, step=1),)
    """
    rules = as_rules(config)
    return make_plan(PlanInputs.from_snapshot(as_weights(target_weights), snapshot, rules))
