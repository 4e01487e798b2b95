"""Random plans: `plan_rebalance` against the oracle."""

from __future__ import annotations

import dataclasses

import pytest

from differential import oracle
from differential.markets import NumpySource, PlanCase, plan_case
from ml4t.backtest import plan_rebalance

N_CASES = 120
CLOSE = {"rel": 1e-9, "abs": 1e-9, "nan_ok": True}


def reordered(case: PlanCase) -> PlanCase:
    """The same case with its mappings the other way round."""
    fields = ("targets", "positions", "prices", "marks", "multipliers")
    turned = {name: dict(reversed(list(getattr(case, name).items()))) for name in fields}
    return dataclasses.replace(case, **turned)


def planned_weight(row: oracle.Row, equity: float) -> float:
    """What the asset weighs once the order has filled, and what counts beside it."""
    if not equity > 0.0 or row.reason == "awaiting_cancel":  # which changes nothing
        return row.effective_weight
    quantity = oracle.clean(row.effective + row.quantity)
    if quantity == 0.0:
        return 0.0
    return oracle.NAN if row.mark is None else quantity * row.mark * row.multiplier / equity


def check(case: PlanCase) -> None:
    try:
        expected = case.answer()
    except ValueError:
        with pytest.raises(ValueError, match=r"weights:|snapshot:"):
            plan_rebalance(case.targets, case.snapshot(), case.rules)
        return
    plan = plan_rebalance(case.targets, case.snapshot(), case.rules)

    assert [(row.asset, row.reason) for row in plan.rows] == [
        (row.asset, row.reason) for row in expected.rows
    ]
    assert [list(row.adjustments) for row in plan.rows] == [
        row.adjustments for row in expected.rows
    ]
    ids = [k if o["order_id"] is None else o["order_id"] for k, o in enumerate(case.orders)]
    assert list(plan.cancels) == [ids[k] for k in expected.cancels]

    sent = [(o.asset, o.quantity if o.side == "buy" else -o.quantity, o.step) for o in plan.orders]
    assert [(asset, step) for asset, _, step in sent] == [
        (asset, step) for asset, _, step in expected.orders
    ]
    assert [q for _, q, _ in sent] == pytest.approx([q for _, q, _ in expected.orders], **CLOSE)

    assert plan.equity == pytest.approx(expected.equity, **CLOSE)
    total_cost, cash_after = 0.0, case.cash
    for row, wanted in zip(plan.rows, expected.rows, strict=True):
        names = ["requested_weight", "current_weight", "effective_weight", "quantity"]
        names += [] if wanted.reason == "held" else ["target_weight", "weight_delta"]
        cost = value = 0.0
        if wanted.quantity != 0.0:
            assert wanted.price is not None
            names.append("target_quantity")
            value = wanted.quantity * wanted.price * wanted.multiplier
            cost = oracle.trade_cost(wanted.quantity, wanted.price, wanted.multiplier, case.cost)
        found = [getattr(row, name) for name in names]
        assert found == pytest.approx([getattr(wanted, name) for name in names], **CLOSE), row
        assert row.planned_weight == pytest.approx(planned_weight(wanted, expected.equity), **CLOSE)
        assert [row.value, row.estimated_cost] == pytest.approx([value, cost], **CLOSE)
        total_cost += cost
        cash_after -= value + cost
    assert [plan.estimated_cost, plan.cash_after] == pytest.approx(
        [total_cost, cash_after], **CLOSE
    )

    turned = reordered(case)
    again = plan_rebalance(turned.targets, turned.snapshot(), turned.rules)
    assert again.plan_id == plan.plan_id


@pytest.mark.parametrize("seed", range(15))
def test_plans_are_those_of_the_oracle(seed: int) -> None:
    for number in range(N_CASES):
        case = plan_case(NumpySource(seed, number))
        try:
            check(case)
        except AssertionError as error:
            raise AssertionError(f"case {seed}, {number}: {case}") from error
