"""The worked cases of a rebalance plan: answers by hand, in plan_cases.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ml4t.backtest.config import RebalanceConfig
from ml4t.backtest.execution.plan import plan_rebalance
from ml4t.backtest.ledger.snapshot import PortfolioSnapshot, WorkingOrder

CASES = json.loads(Path(__file__).with_name("plan_cases.json").read_text())


def snapshot_of(given: dict[str, Any]) -> PortfolioSnapshot:
    orders = tuple(
        WorkingOrder(
            asset=order["asset"],
            side=order["side"],
            quantity=order["quantity"],
            filled_quantity=order.get("filled", 0.0),
            order_type=order["type"],
            limit_price=order.get("limit"),
            stop_price=order.get("stop"),
            status=order.get("status", "pending"),
        )
        for order in given.get("open_orders", [])
    )
    return PortfolioSnapshot(
        cash=given["cash"],
        positions=given.get("positions", {}),
        prices=given["prices"],
        marks=given.get("marks", {}),
        multipliers=given.get("multipliers", {}),
        open_orders=orders,
    )


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_case(case: dict[str, Any]) -> None:
    given, expect = case["given"], case["expect"]
    config = RebalanceConfig(**given.get("config", {}))
    if "error" in expect:
        with pytest.raises(ValueError, match="A"):
            plan_rebalance(given["targets"], snapshot_of(given), config)
        return
    plan = plan_rebalance(given["targets"], snapshot_of(given), config)
    orders = [[order.asset, order.side, order.quantity] for order in plan.orders]
    assert [order[:2] for order in orders] == [order[:2] for order in expect["orders"]]
    assert [order[2] for order in orders] == pytest.approx(
        [order[2] for order in expect["orders"]], rel=1e-12
    )
    if "cancels" in expect:
        assert list(plan.cancels) == expect["cancels"]
    rows = {row.asset: row for row in plan.rows}
    for asset, reason in expect.get("reasons", {}).items():
        assert rows[asset].reason == reason
    for asset, adjustments in expect.get("adjustments", {}).items():
        assert list(rows[asset].adjustments) == adjustments


def test_there_are_forty_cases() -> None:
    assert len(CASES) == 40
