"""What a plan is beside its arithmetic, which the conformance cases hold."""

from __future__ import annotations

import math
from dataclasses import FrozenInstanceError
from typing import Any

import polars as pl
import pytest

from ml4t.backtest import (
    OrderSide,
    OrderStatus,
    PortfolioSnapshot,
    RebalanceConfig,
    RebalancePlan,
    WorkingOrder,
    plan_rebalance,
)
from ml4t.backtest.costs import Costs, PercentCommission, PercentSlippage
from ml4t.backtest.execution.plan import PlanRow

NAN = float("nan")
# 400 + 30 * 10 + 15 * 20 = 1 000
ACCOUNT: dict[str, Any] = {
    "cash": 400.0,
    "positions": {"A": 30, "B": 15},
    "prices": {"A": 10.0, "B": 20.0, "C": 30.0},
}


def plan_of(targets: Any, config: RebalanceConfig | None = None, **changes: Any) -> RebalancePlan:
    return plan_rebalance(targets, PortfolioSnapshot(**(ACCOUNT | changes)), config)


def row_of(plan: RebalancePlan, asset: str) -> PlanRow:
    (found,) = [row for row in plan.rows if row.asset == asset]
    return found


# ---------------------------------------------------------------------- figures


def test_the_figures_of_a_plan() -> None:
    costs = Costs(PercentCommission(0.01), PercentSlippage(0.1))
    plan = plan_of({"A": 0.5, "C": 0.1}, costs=costs)
    # A: 0.5 * 1 000 / 10 = 50, buy 20 at 10 * 1.1 = 11: slippage 20, commission 220 * 0.01 = 2.2
    # B: not in the targets, sell 15 at 20 * 0.9 = 18: slippage 30, commission 270 * 0.01 = 2.7
    # C: 0.1 * 1 000 / 30 = 3.33, buy 3 at 33: slippage 9, commission 99 * 0.01 = 0.99
    assert [row.estimated_cost for row in plan.rows] == pytest.approx([22.2, 32.7, 9.99])
    assert [row.value for row in plan.rows] == [200.0, -300.0, 90.0]
    assert plan.equity == 1_000.0
    # 0.5 * (200 + 300 + 90) / 1 000
    assert plan.turnover == pytest.approx(0.295)
    assert plan.estimated_cost == pytest.approx(64.89)
    # 400 - 200 + 300 - 90 - 64.89
    assert plan.cash_after == pytest.approx(345.11)
    assert (
        repr(plan) == "RebalancePlan(rows=3, cancels=0, orders=3, equity=1,000.00, turnover=0.2950)"
    )


def test_the_columns_of_a_row() -> None:
    order = WorkingOrder("A", "buy", 20, filled_quantity=10)
    config = RebalanceConfig(cancel_before_rebalance=False)
    row = row_of(plan_of({"A": 0.5, "B": 0.3}, config, open_orders=(order,)), "A")
    # held 30 (0.3), 10 more are working (0.4), 50 wanted
    assert row.current_weight == pytest.approx(0.3)
    assert row.effective_weight == pytest.approx(0.4)
    assert row.weight_delta == pytest.approx(0.1)
    assert (row.requested_weight, row.target_weight) == (0.5, 0.5)
    assert (row.price, row.target_quantity, row.quantity, row.value) == (10.0, 50.0, 10.0, 100.0)
    assert (row.reason, row.adjustments) == ("ordered", ())
    with pytest.raises(FrozenInstanceError):
        row.quantity = 0.0  # type: ignore[misc]


def test_to_frame() -> None:
    targets = {"A": 0.9, "B": 0.6, "C": -0.1, "D": 0.5}
    frame = plan_of(targets, RebalanceConfig(max_single_weight=0.8)).to_frame()
    assert frame.columns == [
        "asset",
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
        "reason",
        "adjustments",
        "weight_delta",
    ]
    assert {frame.schema[name] for name in ("asset", "reason", "adjustments")} == {pl.String()}
    assert frame["asset"].to_list() == ["A", "B", "C", "D"]
    # A: 0.42105 * 1 000 / 10 = 42.1, 12 more; B: 0.31579 is 15.79 in money more than it has
    reasons = ["ordered", "trade_value_too_small", "at_target", "no_price"]
    assert frame["reason"].to_list() == reasons
    assert frame["quantity"].to_list() == [12.0, 0.0, 0.0, 0.0]
    # 0.9 is capped at 0.8; 0.8 + 0.6 + 0.5 = 1.9 is scaled by 1 / 1.9
    assert frame["adjustments"].to_list() == [
        "capped,scaled",
        "scaled",
        "short_not_allowed",
        "scaled",
    ]
    assert frame["target_weight"].to_list() == pytest.approx([0.8 / 1.9, 0.6 / 1.9, 0.0, 0.5 / 1.9])
    assert frame["weight_delta"][0] == pytest.approx(0.8 / 1.9 - 0.3)


def test_an_empty_plan() -> None:
    plan = plan_rebalance({}, PortfolioSnapshot(cash=1_000.0))
    assert (plan.rows, plan.orders, plan.cancels) == ((), (), ())
    assert plan.to_frame().height == 0
    assert "weight_delta" in plan.to_frame().columns
    assert len(plan.plan_id) == 64


# ---------------------------------------------------------------------- identity


def test_equal_facts_have_equal_ids() -> None:
    order = WorkingOrder("A", "buy", 20)
    plan = plan_of({"A": 0.5, "C": 0.1}, open_orders=(order,))
    again = plan_of(
        {"C": 0.1, "A": 0.5},
        RebalanceConfig(),
        positions={"B": 15, "A": 30},
        prices={"C": 30.0, "A": 10.0, "B": 20.0, "unrelated": 5.0},
        open_orders=[WorkingOrder("A", OrderSide.BUY, 20.0)],
    )
    assert plan.plan_id == again.plan_id
    assert plan == again
    assert len({plan, again}) == 1
    assert plan != "plan"


@pytest.mark.parametrize(
    "changes",
    [
        {"cash": 400.01},
        {"positions": {"A": 30, "B": 16}},
        {"prices": {"A": 10.0, "B": 20.0, "C": 30.01}},
        {"open_orders": (WorkingOrder("A", "buy", 20),)},
        {"costs": Costs(PercentCommission(0.001))},
        {"multipliers": {"C": 2.0}},
        # neither counted nor cancelled
        {"open_orders": (WorkingOrder("A", "sell", 5, order_type="stop", stop_price=5.0),)},
    ],
)
def test_other_facts_have_another_id(changes: dict[str, Any]) -> None:
    targets = {"A": 0.5, "C": 0.1}
    assert plan_of(targets, **changes).plan_id != plan_of(targets).plan_id


def test_other_wishes_have_another_id() -> None:
    ids = {
        plan_of({"A": 0.5, "C": 0.1}).plan_id,
        plan_of({"A": 0.5, "C": 0.11}).plan_id,
        plan_of({"A": 0.5, "C": 0.1, "B": 0.0}).plan_id,
        plan_of({"A": 0.5, "C": 0.1}, RebalanceConfig(min_trade_value=99)).plan_id,
    }
    assert len(ids) == 4


def test_nothing_that_was_passed_in_is_changed() -> None:
    targets = {"A": 1.5, "C": 0.5}
    positions = {"A": 30.0, "B": 15.0}
    plan_of(targets, positions=positions)
    assert targets == {"A": 1.5, "C": 0.5}
    assert positions == {"A": 30.0, "B": 15.0}


# ---------------------------------------------------------------------- reasons


def test_without_equity() -> None:
    # -1 000 + 30 * 10 + 15 * 20 = -400
    plan = plan_of({"A": 0.5, "C": 0.5}, cash=-1_000.0)
    assert [row.reason for row in plan.rows] == ["no_equity", "ordered", "no_equity"]
    assert [(o.asset, o.side, o.quantity) for o in plan.orders] == [("B", "sell", 15.0)]
    for row in plan.rows:
        weights = (row.target_weight, row.current_weight, row.effective_weight, row.weight_delta)
        assert all(math.isnan(weight) for weight in weights)
    assert [row.requested_weight for row in plan.rows] == [
        0.5,
        pytest.approx(NAN, nan_ok=True),
        0.5,
    ]
    assert math.isnan(plan.turnover)
    assert len(plan.plan_id) == 64


def test_held_rows() -> None:
    plan = plan_of({"C": 0.3}, RebalanceConfig(unmentioned="hold"))
    for asset in "AB":
        row = row_of(plan, asset)
        assert row.reason == "held"
        assert math.isnan(row.target_weight)
        assert math.isnan(row.requested_weight)
        assert row.current_weight == pytest.approx(0.3)
        assert row.quantity == 0.0
    assert [order.asset for order in plan.orders] == ["C"]


@pytest.mark.parametrize("price", [None, NAN, 0.0, -5.0, float("inf")])
def test_no_price(price: float | None) -> None:
    prices = {"A": 10.0, "B": price, "C": price}
    plan = plan_of({"A": 0.3, "C": 0.2}, prices=prices, marks={"B": 20.0})
    # B is valued at its mark, so equity is the same 1 000
    assert plan.equity == 1_000.0
    assert [row.reason for row in plan.rows] == ["at_target", "no_price", "no_price"]
    assert row_of(plan, "B").current_weight == pytest.approx(0.3)
    assert math.isnan(row_of(plan, "B").price)
    assert math.isnan(row_of(plan, "B").target_quantity)
    assert plan.orders == ()


@pytest.mark.parametrize(
    ("target", "config", "reason", "quantity"),
    [
        (0.3, {}, "at_target", 0.0),
        (0.309, {}, "weight_change_too_small", 0.0),
        # 0.05 * 1 000 = 50
        (0.35, {}, "trade_value_too_small", 0.0),
        (0.35, {"min_trade_value": 50.0}, "ordered", 5.0),
        # 0.305 * 1 000 / 10 = 30.5
        (0.305, {"min_weight_change": 0, "min_trade_value": 0}, "rounds_to_zero_shares", 0.0),
        # 10 bps commission on any trade
        (0.5, {"ignore_if_cost_exceeds_bps": 9.9}, "cost_too_high", 0.0),
        (0.5, {"ignore_if_cost_exceeds_bps": 10.1}, "ordered", 20.0),
        # an exit asks for no threshold
        (0.0, {"ignore_if_cost_exceeds_bps": 0, "min_trade_value": 1e6}, "ordered", -30.0),
    ],
)
def test_thresholds(target: float, config: dict[str, Any], reason: str, quantity: float) -> None:
    costs = Costs(PercentCommission(0.001))
    plan = plan_of({"A": target, "B": 0.3}, RebalanceConfig(**config), costs=costs)
    row = row_of(plan, "A")
    assert (row.reason, row.quantity) == (reason, quantity)


@pytest.mark.parametrize(
    ("cancelling", "reason"),
    # cancelling, nothing of C counts, so there is nothing to close; counting, 5 do
    [(True, "at_target"), (False, "cancelled_only")],
)
def test_a_stray_order_is_cancelled(cancelling: bool, reason: str) -> None:
    stray = WorkingOrder("C", "buy", 5, order_id="x")
    config = RebalanceConfig(cancel_before_rebalance=cancelling)
    plan = plan_of({"A": 0.3, "B": 0.3}, config, open_orders=(stray,))
    assert (plan.cancels, plan.orders) == (("x",), ())
    assert row_of(plan, "C").reason == reason


def test_never_on_both_sides() -> None:
    # 25 wanted, 30 held and 10 working: the buy is cancelled, and 5 are sold
    config = RebalanceConfig(cancel_before_rebalance=False, min_trade_value=0)
    orders = (WorkingOrder("A", "buy", 10),)
    plan = plan_of({"A": 0.25, "B": 0.3}, config, open_orders=orders)
    assert plan.cancels == (0,)
    assert [(o.side, o.quantity) for o in plan.orders] == [("sell", 5.0)]
    # 30 wanted: cancelling is enough
    plan = plan_of({"A": 0.3, "B": 0.3}, config, open_orders=orders)
    assert plan.cancels == (0,)
    assert row_of(plan, "A").reason == "cancelled_only"
    # its cancel is in flight: nothing is done
    orders = (WorkingOrder("A", "buy", 10, status=OrderStatus.PENDING_CANCEL),)
    plan = plan_of({"A": 0.25, "B": 0.3}, config, open_orders=orders)
    assert (plan.cancels, plan.orders) == ((), ())
    assert row_of(plan, "A").reason == "awaiting_cancel"


# ---------------------------------------------------------------------- min_tracking_error

BASKET = RebalanceConfig(rounding="min_tracking_error", min_trade_value=0, min_weight_change=0)


def basket(targets: dict[str, float], prices: dict[str, float], **more: Any) -> list[float]:
    snapshot = PortfolioSnapshot(cash=1_000.0, prices=prices, **more)
    return [row.quantity for row in plan_rebalance(targets, snapshot, BASKET).rows]


def test_min_tracking_error_by_hand() -> None:
    prices = {"A": 100.0, "B": 130.0, "C": 60.0}
    targets = {"A": 0.47, "B": 0.30, "C": 0.22}
    # Rounded down: 4.7 -> 4 (0.40), 2.31 -> 2 (0.26), 3.67 -> 3 (0.18): 840; 160 are left.
    # One more A: 0.07^2 - 0.03^2 = 0.0040, costs 100
    # One more B: 0.04^2 - 0.09^2 < 0
    # One more C: 0.04^2 - 0.02^2 = 0.0012, costs 60
    # A first, then the last 60 for C.
    assert basket(targets, prices) == [5.0, 2.0, 4.0]
    # With 1 % commission the basket costs 848.40; A takes 101 of 151.60, and 50.60 buy no C.
    assert basket(targets, prices, costs=Costs(PercentCommission(0.01))) == [5.0, 2.0, 3.0]


def test_min_tracking_error_ties_go_to_the_first_name() -> None:
    # 2.8 -> 2 of A and of B, 1 of C for 440: 840; the 160 left buy one more of A or B
    prices = {"B": 100.0, "A": 100.0, "C": 440.0}
    assert basket({"B": 0.28, "A": 0.28, "C": 0.44}, prices) == [3.0, 2.0, 1.0]


def test_min_tracking_error_never_overshoots_by_a_step() -> None:
    # 0.3 * 1 000 / 100 = 3 exactly: the cash that is left buys no fourth
    assert basket({"A": 0.3}, {"A": 100.0}) == [3.0]
    # 0.35: 3 (0.30) and 4 (0.40) are equally far, so nothing is gained
    assert basket({"A": 0.375}, {"A": 100.0}) == [4.0]


def test_min_tracking_error_in_lots() -> None:
    lots = RebalanceConfig(
        rounding="min_tracking_error", round_lots=True, lot_size=10, min_trade_value=0
    )
    snapshot = PortfolioSnapshot(cash=1_000.0, prices={"A": 10.0, "B": 10.0})
    # 48 -> 40 and 47 -> 40: 200 are left; a lot is 100: both gain, A more
    plan = plan_rebalance({"A": 0.48, "B": 0.47}, snapshot, lots)
    assert [(row.quantity, row.target_quantity) for row in plan.rows] == [(50.0, 50.0)] * 2
    assert {order.step for order in plan.orders} == {10}


# ---------------------------------------------------------------------- rule 1


@pytest.mark.parametrize(
    ("targets", "changes", "match"),
    [
        ({"A": NAN, "B": 0.5}, {}, "A=nan"),
        ({"A": 0.5, "B": "x"}, {}, "B='x'"),
        ({"A": True}, {}, "A=True"),
        ({7: 0.5}, {}, "7"),
        ({"A": 0.5}, {"cash": NAN}, "cash nan"),
        ({"A": 0.5}, {"cash": "400"}, "cash '400'"),
        ({"A": 0.5}, {"cash": True}, "cash True"),
        ({"A": 0.5}, {"positions": {"A": NAN}}, "position A=nan"),
        ({"A": 0.5}, {"positions": {"A": None}}, "position A=None"),
        ({"A": 0.5}, {"positions": {5: 1.0}}, "5 are not asset names"),
        ({"A": 0.5}, {"multipliers": {"A": 0.0}}, "multiplier of 'A' is not > 0"),
        ({"A": 0.5}, {"multipliers": {"A": -1.0}}, "'A' is not > 0"),
        ({"A": 0.5}, {"multipliers": {"A": NAN}}, "multiplier A=nan"),
        ({"A": 0.5}, {"prices": {"A": 10.0}}, "'B' are held but have neither a price nor a mark"),
        ({"A": 0.5}, {"prices": {"A": 10.0}, "marks": {"B": 0.0}}, "'B' are held"),
        (
            {"A": 0.5},
            {"open_orders": (WorkingOrder("C", "buy", NAN),)},
            r"open order 0 \(C\) quantity=nan",
        ),
        (
            {"A": 0.5},
            {"open_orders": (WorkingOrder("C", "buy", 5, filled_quantity=NAN),)},
            r"\(C\) filled_quantity=nan",
        ),
        ({"A": 0.5}, {"open_orders": (WorkingOrder("C", "sell", -5),)}, r"\(C\).*must be > 0"),
        ({"A": 0.5}, {"open_orders": (WorkingOrder(3, "buy", 5),)}, "3 are not asset names"),  # type: ignore[arg-type]
    ],
)
def test_what_cannot_be_planned(targets: Any, changes: dict[str, Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        plan_of(targets, **changes)


def test_every_offender_is_named() -> None:
    with pytest.raises(ValueError, match=r"'A', 'B', 'C' are held"):
        plan_of({}, positions={"A": 1, "B": 1, "C": 1}, prices={})


def test_unmentioned_error() -> None:
    config = RebalanceConfig(unmentioned="error")
    with pytest.raises(ValueError, match="'B' are held but not in the targets"):
        plan_of({"A": 0.3}, config)
    assert row_of(plan_of({"A": 0.3, "B": 0.0}, config), "B").quantity == -15.0
    # an order alone is no reason to refuse: weight 0
    plan = plan_of({"A": 0.3, "B": 0.3}, config, open_orders=(WorkingOrder("C", "buy", 5),))
    assert plan.cancels == (0,)


@pytest.mark.parametrize("side", ["hold", "BUY", None])
def test_a_side_that_is_none(side: Any) -> None:
    with pytest.raises(ValueError, match="C"):
        plan_of({"A": 0.5}, open_orders=(WorkingOrder("C", side, 5),))


def test_a_position_that_is_dust_is_none() -> None:
    plan = plan_of({"A": 0.3, "B": 0.3}, positions={"A": 30, "B": 15, "C": 1e-10})
    assert row_of(plan, "A").reason == "at_target"
    assert row_of(plan, "B").reason == "at_target"
    assert all(row.asset != "C" for row in plan.rows)
