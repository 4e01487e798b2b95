"""What is true of every run."""

from __future__ import annotations

import dataclasses
import math
from datetime import timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from differential.markets import START, Market, run, tables
from helpers import OtherMake
from ml4t.backtest import Broker, TargetWeightExecutor
from property.strategies import markets

checked = settings(deadline=None, derandomize=True, max_examples=80)

pytestmark = pytest.mark.filterwarnings("ignore::ml4t.backtest.errors.RebalanceWarning")


def state(broker: Broker) -> tuple[bytes, ...]:
    """Everything that an account is, as bytes."""
    ledger = broker.ledger
    kept = (ledger.done, ledger.fills, ledger.plans, ledger.plan_rows)
    arrays = (ledger.account, ledger.holdings, ledger.working, ledger.volume_used)
    return tuple(a.tobytes() for a in (*arrays, *(table.records() for table in kept)))


def sent_by(orders: Any) -> list[tuple[str, str, float]]:
    """Orders as (asset, side, quantity)."""
    return [(order.asset, str(order.side), order.quantity) for order in orders]


@checked
@given(case=markets)
def test_what_is_previewed_is_what_is_executed(case: Market) -> None:
    executor = TargetWeightExecutor()

    def decide(weights: dict[str, float], data: Any, broker: Broker) -> None:
        before = state(broker)
        preview = executor.preview(weights, data, broker)
        plan = executor.plan(weights, data, broker)
        again = executor.plan(weights, data, broker)
        assert state(broker) == before
        assert plan.plan_id == again.plan_id
        assert repr(preview) == repr([row.as_preview() for row in plan.rows])
        shown = {row["asset"]: row["shares"] for row in preview if row["skip_reason"] is None}
        working = [order.order_id for order in broker.pending_orders]
        orders = executor.execute(weights, data, broker)
        assert sent_by(orders) == sent_by(plan.orders)
        assert {o.asset: o.quantity if o.side == "buy" else -o.quantity for o in orders} == shown
        kept = [n for n in working if n not in plan.cancels]
        assert [o.order_id for o in broker.pending_orders] == kept + [o.order_id for o in orders]
        assert {broker.get_order(n).reason for n in plan.cancels} <= {"rebalance"}

    run(case, decide)


@checked
@given(case=markets)
def test_the_books_balance(case: Market) -> None:
    result, broker = run(case)
    config = case.settings()
    fills = broker.ledger.fills.records()
    names = broker.ledger.assets
    cash, held = config.initial_cash, dict.fromkeys(names, 0.0)
    marks: dict[str, float] = {}
    taken: dict[tuple[int, str], float] = {}
    k = 0
    for t, bar in enumerate(case.bars):
        while k < fills.size and fills[k]["bar"] == t:
            fill, asset = fills[k], names[fills[k]["asset"]]
            k += 1
            cash -= float(fill["quantity"] * fill["price"] + fill["commission"])
            held[asset] += float(fill["quantity"])
            order = broker.get_order(int(fill["order_id"]))
            if (order.status, order.reason) != ("filled", "delisted"):  # a settlement is no trade
                taken[t, asset] = taken.get((t, asset), 0.0) + abs(float(fill["quantity"]))
            assert held[asset] >= -1e-9
            assert fill["commission"] >= 0.0
            assert fill["slippage"] >= 0.0
        marks |= {a: c["close"] for a, c in bar.items() if math.isfinite(c["close"])}
        recorded = result.equity_records[t]
        assert recorded["cash"] == pytest.approx(cash, rel=1e-9, abs=1e-6)
        assert recorded["cash"] >= -1e-6 - 1e-12 * config.initial_cash
        worth = sum(held[a] * marks[a] for a in held if abs(held[a]) >= 1e-9)
        assert recorded["equity"] == pytest.approx(cash + worth, rel=1e-9, abs=1e-6)
    assert k == fills.size

    at_end = {name: position.quantity for name, position in broker.positions.items()}
    kept = {name: quantity for name, quantity in held.items() if abs(quantity) >= 1e-9}
    assert at_end == pytest.approx(kept, rel=1e-9, abs=1e-9)
    for order in broker.orders:
        done = float(np.abs(fills["quantity"][fills["order_id"] == order.order_id]).sum())
        assert order.filled_quantity == pytest.approx(done, rel=1e-9, abs=1e-9)
        assert done <= order.quantity * (1.0 + 1e-12)
        assert (order.status == "filled") == (order.quantity - done < 1e-9)
    if config.max_participation is not None:
        for (t, asset), quantity in taken.items():
            cap = config.max_participation * case.bars[t][asset]["volume"]
            assert quantity <= cap * (1.0 + 1e-9) + 1e-8


@checked
@given(case=markets, data=st.data())
def test_the_order_of_rows_and_targets_changes_nothing(case: Market, data: st.DataObject) -> None:
    frame = case.frame()
    rows = data.draw(st.permutations(range(frame.height)))
    decisions = {t: dict(reversed(list(w.items()))) for t, w in case.decisions.items()}
    turned = dataclasses.replace(case, decisions=decisions)
    found = tables(run(case)[1].ledger)
    again = tables(run(turned, frame=frame[list(rows)])[1].ledger)
    assert {name: table.tobytes() for name, table in again.items()} == {
        name: table.tobytes() for name, table in found.items()
    }


@checked
@given(case=markets, data=st.data())
def test_the_future_does_not_reach_back(case: Market, data: st.DataObject) -> None:
    """Other prices and missing bars after t leave everything up to t as it was.

    That an asset never comes back is the one thing that a run knows before its time, so the asset
    that is gone after t is not in the middle of a gap at t.
    """
    t = data.draw(st.integers(0, len(case.bars) - 2))
    factor = data.draw(st.floats(0.2, 5.0))
    is_later = pl.col("timestamp") > case.frame()["timestamp"].unique().sort()[t]
    edited = case.frame().with_columns(
        pl.when(is_later).then(pl.col("close") * factor).otherwise(pl.col("close")).alias("close")
    )
    has_bar = [{a for a, c in bar.items() if math.isfinite(c["close"])} for bar in case.bars]
    before, later = set().union(*has_bar[:t]), set().union(*has_bar[t + 1 :])
    in_gap = (before & later) - has_bar[t]
    can_go = sorted({a for bar in case.bars for a in bar} - in_gap)
    gone = data.draw(st.sampled_from([*can_go, "none of them"]))
    edited = edited.with_columns(
        pl.when(is_later & (pl.col("asset") == gone))
        .then(float("nan"))
        .otherwise(pl.col("close"))
        .alias("close")
    )

    def past(found: dict[str, np.ndarray]) -> dict[str, bytes]:
        orders = found["orders"][found["orders"]["created"] <= t]
        known = ["order_id", "quantity", "asset", "plan_idx", "created", "step", "side", "type"]
        plans = found["plans"][found["plans"]["bar"] <= t]
        rows = found["rows"][found["rows"]["plan_idx"] < plans.size]
        return {
            "equity": found["equity"][: t + 1].tobytes(),
            "fills": found["fills"][found["fills"]["bar"] <= t].tobytes(),
            "submitted": b"".join(np.ascontiguousarray(orders[n]).tobytes() for n in known),
            "ended": orders[(orders["finished"] >= 0) & (orders["finished"] <= t)].tobytes(),
            "plans": plans.tobytes(),
            "rows": rows.tobytes(),
        }

    _, broker = run(case)
    _, other = run(case, frame=edited)
    assert past(tables(other.ledger)) == past(tables(broker.ledger))


@checked
@given(case=markets)
def test_another_broker_gets_the_same_orders(case: Market) -> None:
    """The last decision goes by the other road, where costs and why it cancels are not known."""
    if not case.decisions:
        return
    config = case.config | {"commission": 0.0, "slippage": 0.0}
    case = dataclasses.replace(case, config=config)
    executor = TargetWeightExecutor(case.settings().rebalance)
    last = max(case.decisions)
    seen: list[tuple[Any, ...]] = []

    def by(road: Any) -> Any:
        def decide(weights: dict[str, float], data: Any, broker: Broker) -> None:
            is_last = data.timestamp == START + timedelta(days=last)
            orders = executor.execute(weights, data, road(broker) if is_last else broker)
            if is_last:
                all_now = [(o.order_id, o.status) for o in broker.orders]
                seen.append((sent_by(orders), all_now))

        return decide

    run(case, by(lambda broker: broker))
    run(case, by(OtherMake))
    ours, other = seen
    assert [order[:2] for order in other[0]] == [order[:2] for order in ours[0]]
    assert [order[2] for order in other[0]] == pytest.approx(
        [order[2] for order in ours[0]], rel=1e-9, abs=1e-9
    )
    assert other[1] == ours[1]
