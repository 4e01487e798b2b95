"""Market and order cases worked by hand: answers and their arithmetic are in the json files.

An order is [bar, asset, side, quantity] with optionally {type, limit, stop, reduce_only}, or
[bar, asset, method of the broker, its argument].
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ml4t.backtest import BacktestConfig, Broker, DataFeed, Engine, Order, Strategy
from ml4t.backtest.costs import (
    Commission,
    FixedCommission,
    FixedSlippage,
    PercentCommission,
    PercentSlippage,
    PerShareCommission,
    Slippage,
)

CASES = [
    case
    for name in ("market_cases.json", "order_cases.json")
    for case in json.loads(Path(__file__).with_name(name).read_text())
]
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
        for k, (bar, *request) in enumerate(self.case["orders"]):
            if bar == self.bar:
                self.orders[k] = send(broker, *request)
        for bar, k in self.case.get("cancels", []):
            if bar == self.bar:
                order = self.orders[k]
                assert order is not None
                assert broker.cancel_order(order.order_id)

    def on_end(self, broker: Broker) -> None:
        self.broker = broker


def send(
    broker: Broker, asset: str, what: str, number: Any, options: dict[str, Any] | None = None
) -> Order | None:
    if what == "close_position":
        return broker.close_position(asset)
    if what.startswith("order_target"):
        found: Order | None = getattr(broker, what)(asset, number)
        return found
    given = options or {}
    return broker.submit_order(
        asset,
        number,
        what,
        given.get("type", "market"),
        limit_price=given.get("limit"),
        stop_price=given.get("stop"),
        reduce_only=given.get("reduce_only", False),
    )


COMMISSIONS: dict[str, Callable[..., Commission]] = {
    "percent": PercentCommission,
    "per_share": PerShareCommission,
    "fixed": FixedCommission,
}
SLIPPAGES: dict[str, Callable[..., Slippage]] = {
    "percent": PercentSlippage,
    "per_share": FixedSlippage,
}


def config_of(given: dict[str, Any]) -> BacktestConfig:
    fields = dict(given)
    commission = fields.pop("commission", ["percent", fields.pop("commission_rate", 0.0)])
    slippage = fields.pop("slippage", ["percent", fields.pop("slippage_rate", 0.0)])
    return BacktestConfig(
        commission=COMMISSIONS[commission[0]](*commission[1:]),
        slippage=SLIPPAGES[slippage[0]](*slippage[1:]),
        **fields,
    )


def frame_of(bars: list[dict[str, dict[str, float]]]) -> pl.DataFrame:
    rows = [
        {"timestamp": START + timedelta(days=t), "asset": asset, **values}
        for t, now in enumerate(bars)
        for asset, values in now.items()
    ]
    frame = pl.DataFrame(rows, infer_schema_length=None)
    return frame.with_columns(pl.exclude("timestamp", "asset").cast(pl.Float64))


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_case(case: dict[str, Any]) -> None:
    expect = case["expect"]
    config = config_of(case["config"])
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
    held = {name: [p.quantity, p.entry_price] for name, p in script.broker.positions.items()}
    assert held.keys() == expect["positions"].keys()
    for name, wanted in expect["positions"].items():
        assert held[name] == pytest.approx(wanted, **close)
    last = result.positions.filter(pl.col("timestamp") == result.equity["timestamp"][-1])
    assert dict(zip(last["asset"], last["quantity"], strict=True)) == pytest.approx(
        {name: wanted[0] for name, wanted in expect["positions"].items()}, **close
    )


def test_names_are_unique() -> None:
    assert len({case["name"] for case in CASES}) == len(CASES)
