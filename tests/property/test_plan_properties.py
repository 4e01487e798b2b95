"""What is true of every plan."""

from __future__ import annotations

import dataclasses
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from differential.markets import PlanCase
from ml4t.backtest import RebalancePlan, plan_rebalance
from property.strategies import plan_cases

checked = settings(deadline=None, derandomize=True, max_examples=150)


def planned(case: PlanCase) -> RebalancePlan:
    return plan_rebalance(case.targets, case.snapshot(), case.rules)


@checked
@given(case=plan_cases, data=st.data())
def test_the_order_of_the_inputs_changes_nothing(case: PlanCase, data: st.DataObject) -> None:
    fields = ("targets", "positions", "prices", "marks", "multipliers")
    shuffled: dict[str, Any] = {
        name: dict(data.draw(st.permutations(list(getattr(case, name).items())))) for name in fields
    }
    again = planned(dataclasses.replace(case, **shuffled))
    plan = planned(case)
    assert again.plan_id == plan.plan_id
    assert again.orders == plan.orders
    assert again.cancels == plan.cancels
    assert again.row_records.tobytes() == plan.row_records.tobytes()


@checked
@given(case=plan_cases)
def test_sales_are_sent_before_purchases_that_need_their_money(case: PlanCase) -> None:
    """Reductions of what is held come first, by name; then the others, by name."""
    rules = case.config | {"cancel_before_rebalance": True}
    free = dataclasses.replace(case, orders=[], config=rules)
    held = free.positions
    sent = [(o.asset, o.quantity if o.side == "buy" else -o.quantity) for o in planned(free).orders]
    keys = []
    for asset, quantity in sent:
        position = held.get(asset, 0.0)
        is_reduction = quantity * position < 0 and abs(quantity) <= abs(position) + 1e-9
        keys.append((not is_reduction, asset))
    assert keys == sorted(keys)


@checked
@given(case=plan_cases)
def test_a_plan_that_was_filled_leaves_nothing_to_do(case: PlanCase) -> None:
    """Every order filled at the plan's prices, without cost, and none left working.

    Rounding the basket hands out the cash that rounding left. It gives the same answer again only
    where no threshold takes an asset out of the hand-out, and where holdings are whole steps.
    """
    rules = dict(case.config)
    positions = dict(case.positions)
    if rules["rounding"] == "min_tracking_error":
        step = rules["lot_size"] if rules["round_lots"] else 1
        positions = {name: step * round(held / step) for name, held in positions.items()}
        rules |= {"min_trade_value": 0.0, "min_weight_change": 0.0}
    before = dataclasses.replace(
        case, orders=[], cost=(0.0, 0.0), config=rules, positions=positions
    )
    plan = planned(before)
    cash = before.cash
    for order in plan.orders:
        traded = order.quantity if order.side == "buy" else -order.quantity
        price = before.prices[order.asset]
        assert price is not None
        positions[order.asset] = positions.get(order.asset, 0.0) + traded
        cash -= traded * price * before.multipliers.get(order.asset, 1.0)
    after = planned(dataclasses.replace(before, positions=positions, cash=cash))
    assert after.orders == ()
    assert after.cancels == ()


@checked
@given(case=plan_cases)
def test_no_trade_takes_a_position_above_its_target(case: PlanCase) -> None:
    """Rule 7: what the position rounds to is within a step below its target weight."""
    assume(case.config["rounding"] == "position")
    plan = planned(dataclasses.replace(case, orders=[]))
    for row in plan.rows:
        if row.reason == "ordered" and row.quantity * row.target_weight > 0.0:
            held = case.positions.get(row.asset, 0.0) + row.quantity
            worth = held * row.price * case.multipliers.get(row.asset, 1.0)
            toward = worth if row.target_weight > 0.0 else -worth
            assert toward <= abs(row.target_weight) * plan.equity * (1.0 + 1e-8) + 1e-6
