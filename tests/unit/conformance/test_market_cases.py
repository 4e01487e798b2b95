"""Market and order cases worked by hand: answers and their arithmetic are in the json files.

An order is [bar, asset, side, quantity] with optionally {type, limit, stop, reduce_only}, or
[bar, asset, method of the broker, its argument]. Expected are

- fills: [bar, number of the order, quantity, price, commission, slippage]; the number is the place
  in the case's orders, and of a settlement at the end of an asset it is the asset's name;
- orders: [status, reason] of the case's orders, and in finished the bars of their ends;
- settlements: [asset, order id, bar, quantity, price];
- ends: [asset, bar, last bar, quantity, market value].

Every case is put to the engine and to the oracle of the differential tests.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from differential import oracle
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

Case = dict[str, Any]
CASES: list[Case] = [
    case
    for name in ("market_cases.json", "order_cases.json", "delisting_cases.json")
    for case in json.loads(Path(__file__).with_name(name).read_text())
]
START = datetime(2024, 1, 1)
CLOSE = {"abs": 1e-6, "rel": 1e-9}


@dataclass
class Outcome:
    """What a run leaves behind, times as the numbers of bars."""

    sent: list[int | None]  # ids of the case's orders, None where nothing was sent
    orders: list[dict[str, Any]]
    fills: list[list[Any]]  # bar, order id, quantity (> 0), price, commission, slippage
    ends: list[list[Any]]
    cash: list[float]
    equity: list[float]
    positions: dict[str, list[float]]


def requests_at(case: Case, bar: int) -> list[tuple[int, list[Any]]]:
    """The case's orders of a bar, each with its number."""
    return [(k, request) for k, (when, *request) in enumerate(case["orders"]) if when == bar]


def cancels_at(case: Case, bar: int) -> list[int]:
    return [k for when, k in case.get("cancels", []) if when == bar]


# ------------------------------------------------------------------ the engine


class Script(Strategy):
    """Submits and cancels what the case says."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.orders: list[Order | None] = [None] * len(case["orders"])
        self.bar = -1

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:
        self.bar += 1
        for k, request in requests_at(self.case, self.bar):
            self.orders[k] = send(broker, *request)
        for k in cancels_at(self.case, self.bar):
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


def costs_of(fields: dict[str, Any]) -> tuple[list[Any], list[Any]]:
    """Take commission and slippage out of a case's config: a kind and its numbers each."""
    commission = fields.pop("commission", ["percent", fields.pop("commission_rate", 0.0)])
    slippage = fields.pop("slippage", ["percent", fields.pop("slippage_rate", 0.0)])
    return commission, slippage


def config_of(given: dict[str, Any]) -> BacktestConfig:
    fields = dict(given)
    commission, slippage = costs_of(fields)
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


def bar_of(time: datetime | None) -> int | None:
    return None if time is None else (time - START).days


def by_engine(case: Case) -> Outcome:
    script = Script(case)
    result = Engine(DataFeed(frame_of(case["bars"])), script, config_of(case["config"])).run()
    positions = {name: [p.quantity, p.entry_price] for name, p in script.broker.positions.items()}
    last = result.positions.filter(pl.col("timestamp") == result.equity["timestamp"][-1])
    assert dict(zip(last["asset"], last["quantity"], strict=True)) == pytest.approx(
        {name: held[0] for name, held in positions.items()}, **CLOSE
    )
    names = ("order_id", "quantity", "price", "commission", "slippage")
    return Outcome(
        sent=[None if order is None else order.order_id for order in script.orders],
        orders=[
            row | {name: bar_of(row[f"{name}_at"]) for name in ("created", "finished")}
            for row in result.orders.iter_rows(named=True)
        ],
        fills=[
            [bar_of(row["timestamp"]), *(row[name] for name in names)]
            for row in result.fills.iter_rows(named=True)
        ],
        ends=[
            [asset, bar_of(time), bar_of(last_bar), quantity, value]
            for asset, time, last_bar, quantity, value in result.ends.select(
                "asset", "timestamp", "last_bar", "quantity", "market_value"
            ).iter_rows()
        ],
        cash=result.equity["cash"].to_list(),
        equity=result.equity["equity"].to_list(),
        positions=positions,
    )


# ------------------------------------------------------------------ the oracle


def by_oracle(case: Case) -> Outcome:
    columns = {name for bar in case["bars"] for values in bar.values() for name in values}
    bars = [
        {asset: dict.fromkeys(columns, math.nan) | numbers(values) for asset, values in bar.items()}
        for bar in case["bars"]
    ]
    config = dict(case["config"])
    commission, slippage = costs_of(config)
    config["commission"] = commission[1] if commission[0] == "percent" else tuple(commission)
    config["slippage"] = slippage[1] if slippage[0] == "percent" else tuple(slippage)
    config["execution_mode"] = config.get("execution_mode", "next_bar").upper()
    sent: list[int | None] = [None] * len(case["orders"])

    def act(account: oracle.Account, bar: int) -> None:
        for k, request in requests_at(case, bar):
            order = ask(account, bars[bar], *request)
            sent[k] = None if order is None else order.order_id
        for k in cancels_at(case, bar):
            order_id = sent[k]
            assert order_id is not None
            assert account.cancel(order_id, "cancelled")

    account = oracle.follow(bars, act, config)
    return Outcome(
        sent=sent,
        orders=[
            {
                name: getattr(order, name)
                for name in (
                    *("order_id", "asset", "side", "quantity", "filled_quantity", "order_type"),
                    *("status", "reason", "plan_idx", "created", "finished", "average_fill_price"),
                )
            }
            for order in account.orders
        ],
        fills=[
            [f.bar, f.order_id, abs(f.quantity), f.price, f.commission, f.slippage]
            for f in account.fills
        ],
        ends=[[e.asset, e.bar, e.last_bar, e.quantity, e.market_value] for e in account.ends],
        cash=account.cashes,
        equity=account.equities,
        positions={name: list(held) for name, held in account.positions.items()},
    )


def numbers(values: dict[str, float | None]) -> dict[str, float]:
    return {name: math.nan if value is None else float(value) for name, value in values.items()}


def ask(
    account: oracle.Account,
    bar: dict[str, dict[str, float]],
    asset: str,
    what: str,
    number: Any,
    options: dict[str, Any] | None = None,
) -> oracle.Order | None:
    """Do what `send` does, with an account of the oracle."""
    if what in ("buy", "sell"):
        given = options or {}
        level = given.get("limit", given.get("stop"))
        signed = float(number if what == "buy" else -number)
        return account.submit(
            asset, signed, given.get("type", "market"), level, given.get("reduce_only", False)
        )
    weight = {
        "close_position": lambda: 0.0,
        "order_target_percent": lambda: number,
        "order_target_value": lambda: number / account.equity(),
    }[what]()
    alone = {
        "unmentioned": "hold",
        "cancel_before_rebalance": False,
        "account_for_pending": True,
    }
    n_before = len(account.orders)
    account.apply(account.plan({asset: weight}, bar, alone), -1, "cancelled")
    return account.orders[n_before] if len(account.orders) > n_before else None


# ------------------------------------------------------------------ the cases


@pytest.mark.parametrize("run", [by_engine, by_oracle])
@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_case(case: Case, run: Callable[[Case], Outcome]) -> None:
    expect, found = case["expect"], run(case)
    orders = {order["order_id"]: order for order in found.orders}
    assert list(orders) == list(range(len(orders)))
    numbered = {order_id: k for k, order_id in enumerate(found.sent) if order_id is not None}

    for fill in found.fills:
        fill[1] = numbered.get(fill[1], orders[fill[1]]["asset"])
    assert_rows(found.fills, expect["fills"])
    assert found.cash == pytest.approx(expect["cash"], **CLOSE)
    assert found.equity == pytest.approx(expect["equity"], **CLOSE)
    by_number = [orders[order_id] for order_id in numbered]
    assert [[o["status"], o["reason"]] for o in by_number] == expect["orders"]
    if "finished" in expect:
        assert [o["finished"] for o in by_number] == expect["finished"]
    assert found.positions.keys() == expect["positions"].keys()
    for name, wanted in expect["positions"].items():
        assert found.positions[name] == pytest.approx(wanted, **CLOSE)

    settlements = [order for order_id, order in orders.items() if order_id not in numbered]
    for order in settlements:
        assert (order["side"], order["order_type"], order["plan_idx"]) == ("sell", "market", -1)
        assert (order["status"], order["reason"]) == ("filled", "delisted")
        assert order["finished"] == order["created"]
        assert order["filled_quantity"] == order["quantity"]
    names = ("asset", "order_id", "created", "quantity", "average_fill_price")
    rows = [[order[name] for name in names] for order in settlements]
    assert_rows(rows, expect.get("settlements", []))
    assert_rows(found.ends, expect.get("ends", []))


def assert_rows(found: list[list[Any]], wanted: list[list[Any]]) -> None:
    """Compare rows of numbers and names."""
    near = [[x if isinstance(x, str) else pytest.approx(x, **CLOSE) for x in row] for row in wanted]
    assert found == near


def test_names_are_unique() -> None:
    assert len({case["name"] for case in CASES}) == len(CASES)
