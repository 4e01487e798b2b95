"""The simulated broker alone, stepped by hand."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from helpers import bars_of, day, feed_of, state_of
from ml4t.backtest import (
    BacktestConfig,
    Broker,
    Fill,
    OrderSide,
    OrderStatus,
    PortfolioSnapshot,
    RebalanceConfig,
    TargetWeightExecutor,
    plan_rebalance,
)
from ml4t.backtest.costs import PercentCommission, PercentSlippage
from ml4t.backtest.errors import StateError

NAN = float("nan")


def invested(config: BacktestConfig | None = None) -> Broker:
    """1 000 in cash, of which 50 A were bought at 10: 500 left."""
    broker = Broker(config, initial_cash=1_000.0)
    broker.submit_order("A", 50)
    broker.step(day(0), bars_of(A=10.0))
    return broker


# ---------------------------------------------------------------------- stepping


def test_an_order_from_before_the_first_step_fills_in_it() -> None:
    broker = Broker(initial_cash=1_000.0)
    order = broker.submit_order("A", 5)
    assert order.created_at is None
    assert broker.get_account_value() == 1_000.0
    broker.step(day(0), {"A": {"open": 100.0, "high": 105.0, "low": 99.0, "close": 104.0}})
    # at the open: 1 000 - 5 * 100; marked to the close: 500 + 5 * 104
    assert order.filled_at == day(0)
    assert (broker.cash, broker.get_account_value()) == (500.0, 1_020.0)


def test_next_bar_orders_wait_for_the_next_step() -> None:
    broker = Broker(initial_cash=1_000.0)
    broker.step(day(0), bars_of(A=10.0))
    order = broker.submit_order("A", 5)
    broker.settle()
    assert order.status == "pending"
    assert order.created_at == day(0)
    broker.step(day(1), {"A": {"open": 11.0, "close": 12.0}})
    assert order.average_fill_price == 11.0


def test_same_bar_orders_fill_when_the_bar_is_settled() -> None:
    broker = Broker(BacktestConfig(initial_cash=1_000.0, execution_mode="same_bar"))
    broker.step(day(0), {"A": {"open": 9.0, "close": 10.0}})
    order = broker.submit_order("A", 5)
    assert order.status is OrderStatus.PENDING
    broker.settle()
    assert (order.average_fill_price, order.filled_at) == (10.0, day(0))
    broker.settle()  # nothing is left to match
    assert broker.cash == 950.0


def test_an_asset_without_a_bar_rests_and_keeps_its_mark() -> None:
    broker = invested()
    order = broker.submit_order("A", 10, "sell")
    broker.step(day(1), bars_of(B=7.0))
    assert order.status == "pending"
    assert "A" not in broker.data
    # 500 + 50 * 10, the last close
    assert broker.get_account_value() == 1_000.0
    broker.step(day(2), {"A": {"close": NAN}})  # no close, no bar
    assert order.status == "pending"
    broker.step(day(3), bars_of(A=11.0))
    assert (order.status, broker.cash) == ("filled", 610.0)


@pytest.mark.parametrize(
    ("timestamp", "bars", "match"),
    [
        (day(0), bars_of(A=1.0), "2024-01-01 00:00:00 is not later than 2024-01-01"),
        (day(-1), bars_of(A=1.0), "is not later"),
        (
            day(1),
            {"B": {"open": 1.0, "volume": 5.0}},
            "'B' has no 'close'; it has 'open', 'volume'",
        ),
        (day(1), {"A": {"close": 1.0}, "B": {"close": "1"}}, "close of 'B' is '1', not a number"),
        (day(1), {"B": {"close": None}}, "close of 'B' is None"),
        (day(1), {"B": {"close": 1.0, "open": True}}, "open of 'B' is True"),
    ],
)
def test_a_bad_step_changes_nothing(timestamp: datetime, bars: Any, match: str) -> None:
    broker = invested()
    broker.submit_order("A", 10)
    before = state_of(broker)
    with pytest.raises(ValueError, match=match):
        broker.step(timestamp, bars)
    assert state_of(broker) == before
    broker.step(day(1), bars_of(A=10.0))
    assert broker.cash == 400.0


def test_a_broker_on_a_feed_is_not_stepped() -> None:
    broker = Broker(bars=feed_of({"A": [10.0]}).bars)
    with pytest.raises(StateError, match="follows a feed"):
        broker.step(day(0), bars_of(A=10.0))


def test_aware_times() -> None:
    broker = Broker()
    order = broker.submit_order("A", 1)
    broker.step(datetime(2024, 1, 1, tzinfo=UTC), bars_of(A=10.0))
    assert order.filled_at == datetime(2024, 1, 1, tzinfo=UTC)


def test_naive_and_aware_times_do_not_mix() -> None:
    broker = invested()
    with pytest.raises(ValueError, match="zone"):
        broker.step(datetime(2024, 1, 2, tzinfo=UTC), bars_of(A=10.0))


def test_initial_cash_overrides_the_config() -> None:
    config = BacktestConfig(initial_cash=500.0, commission=PercentCommission(0.01))
    assert Broker(config).cash == 500.0
    broker = Broker(config, initial_cash=2_000.0)
    assert broker.cash == 2_000.0
    assert broker.config == config.model_copy(update={"initial_cash": 2_000.0})
    assert config.initial_cash == 500.0
    assert Broker().cash == 100_000.0
    with pytest.raises(ValueError, match="initial_cash"):
        Broker(initial_cash=0.0)


def test_costs() -> None:
    config = BacktestConfig(
        initial_cash=1_000.0, commission=PercentCommission(0.01), slippage=PercentSlippage(0.02)
    )
    broker = Broker(config)
    broker.submit_order("A", 10)
    broker.step(day(0), bars_of(A=10.0))
    # 10 * 1.02 = 10.2 a share, 102; commission 1.02; slippage 10 * 0.2 = 2
    assert broker.cash == pytest.approx(1_000 - 102 - 1.02)
    (fill,) = broker.fills
    assert isinstance(fill, Fill)
    assert fill.price == pytest.approx(10.2)
    assert fill.commission == pytest.approx(1.02)
    assert fill.slippage == pytest.approx(2.0)
    assert (fill.timestamp, fill.order_id, fill.plan_idx) == (day(0), 0, -1)
    assert (fill.asset, fill.side, fill.quantity) == ("A", OrderSide.BUY, 10.0)


# ---------------------------------------------------------------------- new assets


def test_assets_may_come_in_any_order() -> None:
    """Each new name moves the indices of those behind it; records stay with their names."""
    broker = Broker(initial_cash=1_000.0)
    first = broker.submit_order("M", 5)
    broker.step(day(0), bars_of(M=10.0))  # 1 000 - 50 = 950
    z_order = broker.submit_order("Z", 3)
    a_order = broker.submit_order("A", 2)
    broker.step(day(1), bars_of(Z=20.0, M=11.0, A=30.0))  # 950 - 60 - 60 = 830
    assert [order.asset for order in (first, z_order, a_order)] == ["M", "Z", "A"]
    assert [(fill.asset, fill.price) for fill in broker.fills] == [
        ("M", 10.0),
        ("Z", 20.0),
        ("A", 30.0),
    ]
    assert {a: p.quantity for a, p in broker.positions.items()} == {"A": 2.0, "M": 5.0, "Z": 3.0}
    # 830 + 2 * 30 + 5 * 11 + 3 * 20
    assert broker.get_account_value() == 1_005.0
    broker.step(day(2), bars_of(C=1.0))  # a name in between, and nobody else has a bar
    assert broker.get_account_value() == 1_005.0
    assert broker.get_position("M").entry_price == 10.0
    assert broker.get_position("M").entry_time == day(0)
    assert broker.get_position("M").market_price == 11.0


def test_a_working_order_keeps_its_name_when_assets_come() -> None:
    broker = Broker(initial_cash=1_000.0)
    order = broker.submit_order("M", 5)
    broker.step(day(0), bars_of(A=1.0, B=2.0))
    assert (order.asset, order.status) == ("M", "pending")
    broker.step(day(1), bars_of(A=1.0, M=10.0))
    assert (broker.cash, broker.get_position("M").quantity) == (950.0, 5.0)


def test_used_volume_keeps_its_name_when_assets_come() -> None:
    config = BacktestConfig(execution_mode="same_bar", max_participation=0.1)
    broker = Broker(config, initial_cash=1_000.0)
    broker.submit_order("M", 6)
    broker.step(day(0), bars_of(volume=100.0, M=10.0))  # 6 of the bar's 10
    late = broker.submit_order("M", 8)
    broker.submit_order("A", 1)  # moves M's index
    broker.settle()
    assert late.filled_quantity == 4.0


def test_rows_of_old_plans_keep_their_names() -> None:
    broker = Broker(initial_cash=1_000.0)
    broker.step(day(0), bars_of(M=10.0))
    TargetWeightExecutor().execute({"M": 0.5}, broker.data, broker)
    broker.step(day(1), bars_of(A=1.0, M=10.0))
    rows = broker.ledger.plan_rows.records()
    assert [broker.ledger.assets[row["asset"]] for row in rows] == ["M"]


# ---------------------------------------------------------------------- orders


@pytest.mark.parametrize(
    ("arguments", "side", "quantity"),
    [
        (("A", 5), "buy", 5.0),
        (("A", -5), "sell", 5.0),
        (("A", 5, "sell"), "sell", 5.0),
        (("A", 2.5, OrderSide.BUY), "buy", 2.5),
        (("A", np.int64(5)), "buy", 5.0),
        (("A", np.float32(-0.5)), "sell", 0.5),
    ],
)
def test_sides(arguments: tuple[Any, ...], side: str, quantity: float) -> None:
    order = invested().submit_order(*arguments)
    assert (order.side, order.quantity) == (side, quantity)
    assert (order.order_type, order.plan_idx) == ("market", -1)


def test_an_order_shows_the_state_of_now() -> None:
    broker = Broker(BacktestConfig(max_participation=0.1), initial_cash=1_000.0)
    order = broker.submit_order("A", 10)
    assert (order.status, order.filled_quantity, order.remaining_quantity) == ("pending", 0.0, 10.0)
    assert order.average_fill_price is None
    assert order.reason is None
    broker.step(day(0), bars_of(volume=60.0, A=10.0))  # 6 may trade
    assert order.status is OrderStatus.PARTIALLY_FILLED
    assert (order.filled_quantity, order.remaining_quantity) == (6.0, 4.0)
    assert order.quantity == 10.0
    assert order.filled_at is None
    assert broker.pending_orders == [order]
    broker.step(day(1), bars_of(volume=60.0, A=15.0))
    assert (order.status, order.filled_at, order.remaining_quantity) == ("filled", day(1), 0.0)
    # (6 * 10 + 4 * 15) / 10
    assert order.average_fill_price == 12.0
    assert broker.pending_orders == []
    assert repr(order) == "Order(0: buy 10 A market, filled, filled 10)"


def test_order_identity() -> None:
    broker, other = invested(), invested()
    assert broker.get_order(0) == broker.orders[0]
    assert len({broker.get_order(0), broker.orders[0]}) == 1
    assert broker.get_order(0) != other.get_order(0)
    assert broker.get_order(0) != 0


def test_cancel() -> None:
    broker = invested()
    order = broker.submit_order("A", 5)
    assert broker.cancel_order(order.order_id) is True
    assert (order.status, order.reason) == ("cancelled", "cancelled")
    assert broker.cancel_order(order.order_id) is False
    assert broker.cancel_order(0) is False  # filled
    broker.step(day(1), bars_of(A=10.0))
    assert broker.cash == 500.0


@pytest.mark.parametrize("unknown", [99, -1, "0", None, 0.5, True, [1]])
def test_cancel_of_what_is_no_order(unknown: Any) -> None:
    broker = invested()
    broker.submit_order("A", 1)
    broker.submit_order("A", 2)
    before = state_of(broker)
    assert broker.cancel_order(unknown) is False
    assert state_of(broker) == before


@pytest.mark.parametrize("unknown", [99, -1, "0", "x"])
def test_an_unknown_order(unknown: Any) -> None:
    with pytest.raises(ValueError, match=f"order {unknown!r} is unknown; 1 orders"):
        invested().get_order(unknown)


@pytest.mark.parametrize("unknown", [None, [1], 0.0, False])
def test_an_order_id_of_another_type(unknown: Any) -> None:
    with pytest.raises(ValueError, match="is unknown"):
        invested().get_order(unknown)


def test_pending_orders_are_in_the_order_of_submission() -> None:
    broker = Broker(initial_cash=1_000.0)
    orders = [broker.submit_order(asset, 1) for asset in "CABCA"]
    assert broker.pending_orders == orders
    broker.cancel_order(orders[1].order_id)
    assert broker.pending_orders == [orders[0], *orders[2:]]
    broker.step(day(0), bars_of(C=1.0))
    last = broker.submit_order("A", 1)
    assert broker.pending_orders == [orders[2], orders[4], last]
    assert broker.orders == [*orders, last]
    assert [order.order_id for order in broker.orders] == [0, 1, 2, 3, 4, 5]


def test_many_orders() -> None:
    """More than the tables first have room for."""
    broker = Broker(initial_cash=1_000_000.0)
    orders = [broker.submit_order("A", k) for k in range(1, 201)]
    for order in orders[::2]:
        broker.cancel_order(order.order_id)
    broker.step(day(0), bars_of(A=1.0))
    # what is left: 2 + 4 + ... + 200 = 2 * (1 + ... + 100) = 10 100
    assert broker.get_position("A").quantity == 10_100.0
    assert [order.status for order in orders[:4]] == ["cancelled", "filled"] * 2
    assert [order.quantity for order in broker.orders] == [float(k) for k in range(1, 201)]


def test_a_sale_of_nothing_is_rejected() -> None:
    broker = invested()
    order = broker.submit_order("B", 5, "sell")
    broker.step(day(1), bars_of(A=10.0, B=10.0))
    assert (order.status, order.reason) == ("rejected", "short_not_allowed")


def test_orders_are_like_a_list() -> None:
    broker = Broker()
    made = [broker.submit_order("A", k) for k in (1, 2, 3)]
    orders = broker.orders
    assert len(orders) == 3
    assert (orders[0], orders[-1]) == (made[0], made[2])
    assert orders[1:] == made[1:]
    assert made[1] in orders
    assert orders != made[:2]
    assert orders == broker.pending_orders
    assert repr(orders[:1]) == "[Order(0: buy 1 A market, pending, filled 0)]"
    broker.cancel_order(0)
    pending = broker.pending_orders
    broker.cancel_order(1)
    assert [order.order_id for order in pending] == [1, 2]  # as it was asked for
    with pytest.raises(IndexError):
        orders[3]


# ---------------------------------------------------------------------- positions


def test_a_position_is_what_it_was() -> None:
    broker = invested()
    position = broker.get_position("A")
    assert position == broker.positions["A"]
    broker.submit_order("A", 50)
    broker.step(day(1), bars_of(A=20.0))  # 500 buy 25 of 50 at 20: cash has cut the order
    assert (position.quantity, position.entry_price, position.market_price) == (50.0, 10.0, 10.0)
    now = broker.positions["A"]
    # (50 * 10 + 25 * 20) / 75 = 13.333; 75 * (20 - 13.333) = 500
    assert now.quantity == 75.0
    assert now.entry_price == pytest.approx(40 / 3)
    assert now.entry_time == day(0)
    assert (now.market_price, now.market_value) == (20.0, 1_500.0)
    assert now.unrealized_pnl == pytest.approx(500.0)
    with pytest.raises(FrozenInstanceError):
        now.quantity = 1.0  # type: ignore[misc]


def test_positions_are_a_live_mapping() -> None:
    broker = Broker(initial_cash=1_000.0)
    positions = broker.positions
    assert (len(positions), dict(positions)) == (0, {})
    broker.submit_order("B", 1)
    broker.submit_order("A", 2)
    broker.step(day(0), bars_of(A=1.0, B=2.0, C=3.0))
    assert list(positions) == ["A", "B"]
    assert "C" not in positions
    assert positions.get("C") is None
    assert broker.get_position("C") is None
    assert broker.get_position("unknown") is None
    with pytest.raises(KeyError, match="C"):
        positions["C"]
    broker.submit_order("A", 2, "sell")
    broker.step(day(1), bars_of(A=1.0))
    assert list(positions) == ["B"]


def test_close_position() -> None:
    broker = invested()
    order = broker.close_position("A")
    assert order is not None
    assert (order.side, order.quantity) == ("sell", 50.0)
    assert broker.close_position("A") is None  # one is working already
    broker.step(day(1), bars_of(A=12.0))
    assert (broker.cash, dict(broker.positions)) == (1_100.0, {})
    assert broker.close_position("A") is None


def test_close_position_counts_what_is_working() -> None:
    broker = invested()
    partial = broker.submit_order("A", 20, "sell")
    order = broker.close_position("A")
    assert order is not None
    assert order.quantity == 30.0
    assert partial.status == "pending"


def test_close_position_does_not_read_the_rules_of_rebalances() -> None:
    rules = RebalanceConfig(account_for_pending=False, unmentioned="error")
    broker = invested(BacktestConfig(rebalance=rules))
    broker.submit_order("B", 10)
    broker.step(day(1), bars_of(A=10.0, B=10.0))
    TargetWeightExecutor().preview({"A": 0.5, "B": 0.1}, broker.data, broker)
    assert broker.close_position("A") is not None
    assert broker.close_position("A") is None
    assert broker.get_position("B").quantity == 10.0


def test_close_position_takes_fractions_and_odd_lots() -> None:
    broker = invested(BacktestConfig(rebalance=RebalanceConfig(round_lots=True)))
    broker.submit_order("A", 0.25)
    broker.step(day(1), bars_of(A=10.0))
    order = broker.close_position("A")
    assert order is not None
    assert order.quantity == 50.25


def test_close_position_without_a_bar_sends_nothing() -> None:
    broker = invested()
    broker.step(day(1), bars_of(B=1.0))
    assert broker.close_position("A") is None
    assert broker.close_position("unknown") is None


# ---------------------------------------------------------------------- plans


def test_a_stale_plan_changes_nothing() -> None:
    broker = invested()
    order = broker.submit_order("A", 10)
    plan = TargetWeightExecutor().plan({"A": 0.8}, broker.data, broker)
    assert plan.cancels == (order.order_id,)
    broker.cancel_order(order.order_id)
    before = state_of(broker)
    with pytest.raises(ValueError, match="orders 1 that it cancels do not work any more"):
        broker.submit_plan(plan)
    assert state_of(broker) == before


def test_a_plan_is_applied_by_name() -> None:
    """It knows A, B, Y; the account knows A, M, Z."""
    broker = Broker(initial_cash=1_000.0)
    broker.submit_order("M", 10)
    broker.step(day(0), bars_of(A=10.0, M=10.0, Z=10.0))
    prices = {"A": 10.0, "B": 5.0, "Y": 20.0}
    snapshot = PortfolioSnapshot(cash=1_000.0, prices=prices)
    # 0.2 * 1 000 = 200: 20 A, 40 B, 10 Y
    plan = plan_rebalance({"Y": 0.2, "B": 0.2, "A": 0.2}, snapshot)
    orders = broker.submit_plan(plan)
    assert [(o.asset, o.quantity, o.plan_idx) for o in orders] == [
        ("A", 20.0, 0),
        ("B", 40.0, 0),
        ("Y", 10.0, 0),
    ]
    rows = broker.ledger.plan_rows.records()
    assert [broker.ledger.assets[row["asset"]] for row in rows] == ["A", "B", "Y"]
    broker.step(day(1), bars_of(**prices))
    held = {asset: position.quantity for asset, position in broker.positions.items()}
    assert held == {"A": 20.0, "B": 40.0, "M": 10.0, "Y": 10.0}


def test_a_plan_from_before_other_assets_came_is_applied_by_name() -> None:
    broker = Broker(initial_cash=1_000.0)
    broker.step(day(0), bars_of(M=10.0, Z=20.0))
    plan = TargetWeightExecutor().plan({"M": 0.5, "Z": 0.4}, broker.data, broker)
    broker.step(day(1), bars_of(A=1.0, M=10.0, P=3.0))
    assert [(o.asset, o.quantity) for o in broker.submit_plan(plan)] == [("M", 50.0), ("Z", 20.0)]
    assert [order.asset for order in plan.orders] == ["M", "Z"]  # the plan is what it was
    assert [row.asset for row in plan.rows] == ["M", "Z"]
    broker.step(day(2), bars_of(M=10.0, Z=20.0))
    assert {a: p.quantity for a, p in broker.positions.items()} == {"M": 50.0, "Z": 20.0}


def test_a_plan_is_not_changed_by_being_applied() -> None:
    broker = invested()
    plan = TargetWeightExecutor().plan({"A": 0.8}, broker.data, broker)
    plan_id, rows = plan.plan_id, plan.row_records.tobytes()
    broker.submit_plan(plan)
    broker.submit_order("B", 1)  # moves no index of the plan
    assert plan.row_records.tobytes() == rows
    again = plan_rebalance({"A": 0.8}, PortfolioSnapshot(500.0, {"A": 50}, {"A": 10.0}))
    assert plan_id == again.plan_id


def test_a_plan_of_the_snapshot_is_the_plan_of_the_executor() -> None:
    broker = invested()
    broker.submit_order("A", 10)
    broker.step(day(1), bars_of(B=7.0, A=12.0))
    targets = {"A": 0.5, "B": 0.3, "C": 0.1}
    rules = RebalanceConfig(cancel_before_rebalance=False)
    by_executor = TargetWeightExecutor(rules).plan(targets, broker.data, broker)
    by_hand = plan_rebalance(targets, broker.snapshot(), rules)
    assert by_executor == by_hand
    assert by_executor.plan_id == by_hand.plan_id


def test_plan_orders_carry_their_number_and_reason() -> None:
    broker = invested()
    executor = TargetWeightExecutor()
    (first,) = executor.execute({"A": 0.8}, broker.data, broker)  # 80 - 50
    (second,) = executor.execute({"A": 0.7}, broker.data, broker)  # 70 - 50
    assert (first.quantity, first.status, first.reason) == (30.0, "cancelled", "rebalance")
    assert (second.quantity, second.status) == (20.0, "pending")
    assert [first.plan_idx, second.plan_idx] == [0, 1]
    broker.step(day(1), bars_of(A=10.0))
    assert [fill.plan_idx for fill in broker.fills] == [-1, 1]


def test_snapshot_takes_other_prices() -> None:
    broker = invested()
    snapshot = broker.snapshot({"A": {"close": 11.0}, "B": {"close": None}})
    assert snapshot.cash == 500.0
    assert snapshot.positions == {"A": 50.0}
    assert snapshot.prices["A"] == 11.0
    assert snapshot.prices["B"] != snapshot.prices["B"]  # NaN: no price
    assert snapshot.marks == {"A": 10.0}


def test_repr() -> None:
    broker = invested()
    broker.submit_order("A", 1)
    assert repr(broker) == "Broker(cash=500.00, positions=1, working_orders=1)"
    assert repr(broker.positions).startswith("{'A': Position(asset='A', quantity=50.0")


@pytest.mark.parametrize("policy", ["scale", "trim"])
@pytest.mark.parametrize("quantity", [9.3e18, 1e19, 1e300])
def test_a_purchase_beyond_all_integers_is_cut_like_any_other(policy: str, quantity: float) -> None:
    broker = Broker(BacktestConfig(initial_cash=1_000.0, insufficient_cash=policy))
    order = broker.submit_order("A", quantity, "buy", "limit", 10.0)
    broker.step(datetime(2024, 1, 1), bars_of(A=10.0))
    assert order.filled_quantity == 100.0  # 1,000 / 10
