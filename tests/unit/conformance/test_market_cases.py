"""Market cases worked by hand: answers and their arithmetic are in market_cases.json."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ml4t.backtest import BacktestConfig, DataFeed, Engine, Order, Strategy
from ml4t.backtest.costs import PercentCommission, PercentSlippage

CASES = json.loads(Path(__file__).with_name("market_cases.json").read_text())
START = datetime(2024, 1, 1)
TOLERANCE = 1e-6


class Script(Strategy):
    """Submits and cancels what the case says."""

    def __init__(self, case: dict[str, Any]) -> None:
        self.case = case
        self.orders: list[Order | None] = [None] * len(case["orders"])
        self.bar = -1

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:
        self.bar += 1
        for k, (bar, asset, side, quantity) in enumerate(self.case["orders"]):
            if bar == self.bar:
                self.orders[k] = broker.submit_order(asset, quantity, side)
        for bar, k in self.case.get("cancels", []):
            if bar == self.bar:
                order = self.orders[k]
                assert order is not None
                assert broker.cancel_order(order.order_id)


def frame_of(bars: list[dict[str, dict[str, float]]]) -> pl.DataFrame:
    rows = [
        {"timestamp": START + timedelta(days=t), "asset": asset, **values}
        for t, now in enumerate(bars)
        for asset, values in now.items()
    ]
    return pl.DataFrame(rows, infer_schema_length=None).with_columns(
        pl.col("open", "high", "low", "close", "volume").cast(pl.Float64)
    )


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_case(case: dict[str, Any]) -> None:
    given, expect = case["config"], case["expect"]
    config = BacktestConfig(
        initial_cash=given["initial_cash"],
        execution_mode=given["execution_mode"],
        commission=PercentCommission(given["commission_rate"]),
        slippage=PercentSlippage(given["slippage_rate"]),
        max_participation=given["max_participation"],
    )
    script = Script(case)
    result = Engine(DataFeed(frame_of(case["bars"])), script, config).run()
    orders = [order for order in script.orders if order is not None]
    index = {order.order_id: k for k, order in enumerate(script.orders) if order is not None}
    fills = [
        [
            (row["timestamp"] - START).days,
            index[row["order_id"]],
            *(row[name] for name in ("quantity", "price", "commission", "slippage")),
        ]
        for row in result.fills.iter_rows(named=True)
    ]
    assert len(fills) == len(expect["fills"])
    for found, wanted in zip(fills, expect["fills"], strict=True):
        assert found == pytest.approx(wanted, abs=TOLERANCE, rel=1e-9)
    close = {"abs": TOLERANCE, "rel": 1e-9}
    assert result.equity["cash"].to_list() == pytest.approx(expect["cash"], **close)
    assert result.equity["equity"].to_list() == pytest.approx(expect["equity"], **close)
    assert [[order.status, order.reason] for order in orders] == expect["orders"]
    last = result.positions.filter(pl.col("timestamp") == result.equity["timestamp"][-1])
    held = dict(zip(last["asset"], last["quantity"], strict=True))
    assert held == pytest.approx({a: p[0] for a, p in expect["positions"].items()}, **close)
