"""TargetWeightExecutor at our broker and at one of another make."""

from __future__ import annotations

import warnings
from types import SimpleNamespace
from typing import Any

import pytest

from helpers import OtherMake, StubBroker, StubOrder, bars_of, day, state_of
from ml4t.backtest import (
    BacktestConfig,
    Broker,
    RebalanceConfig,
    TargetWeightExecutor,
    WeightProvider,
)
from ml4t.backtest.errors import RebalanceWarning
from ml4t.backtest.execution import rebalancer

COUNTING = RebalanceConfig(cancel_before_rebalance=False)


def broker_with_cash(cash: float = 1_000.0, **closes: float) -> Broker:
    broker = Broker(initial_cash=cash)
    broker.step(day(0), bars_of(**closes))
    return broker


def sent(orders: list[Any]) -> list[tuple[str, str, float]]:
    return [(order.asset, str(order.side), order.quantity) for order in orders]


# ---------------------------------------------------------------------- preview and execute


def test_preview_is_what_execute_does() -> None:
    broker = broker_with_cash(A=10.0, B=30.0)
    executor = TargetWeightExecutor()
    before = state_of(broker)
    rows = executor.preview({"A": 0.5, "B": 0.005, "C": 0.2}, broker.data, broker)
    assert state_of(broker) == before
    assert [row["asset"] for row in rows] == ["A", "B", "C"]
    first_keys = ["asset", "current_weight", "target_weight", "weight_delta", "shares", "value"]
    assert list(rows[0])[:7] == [*first_keys, "skip_reason"]
    assert [row["skip_reason"] for row in rows] == [None, "weight_change_too_small", "no_price"]
    assert [row["shares"] for row in rows] == [50.0, 0.0, 0.0]
    assert [row["value"] for row in rows] == [500.0, 0.0, 0.0]
    orders = executor.execute({"A": 0.5, "B": 0.005, "C": 0.2}, broker.data, broker)
    assert sent(orders) == [("A", "buy", 50.0)]


def test_what_reduces_goes_first() -> None:
    broker = broker_with_cash(A=10.0, B=10.0)
    broker.submit_order("B", 100)
    broker.step(day(1), bars_of(A=10.0, B=10.0))
    orders = TargetWeightExecutor().execute({"A": 0.6, "B": 0.2}, broker.data, broker)
    assert sent(orders) == [("B", "sell", 80.0), ("A", "buy", 60.0)]


def test_prices_may_be_any_mapping() -> None:
    broker = broker_with_cash(A=10.0)
    orders = TargetWeightExecutor().execute({"A": 0.5}, {"A": {"close": 20.0}}, broker)
    assert sent(orders) == [("A", "buy", 25.0)]  # 0.5 * 1 000 / 20


def test_the_config_is_the_executors_else_the_brokers_else_the_default() -> None:
    no_minimum = RebalanceConfig(min_trade_value=0)
    broker = Broker(BacktestConfig(initial_cash=1_000.0, rebalance=no_minimum))
    data = bars_of(A=10.0)
    small = {"A": 0.05}  # 50, less than the default's 100

    def reason(executor: TargetWeightExecutor, account: Any) -> str:
        return executor.plan(small, data, account).rows[0].reason

    assert reason(TargetWeightExecutor(), broker) == "ordered"
    assert reason(TargetWeightExecutor(RebalanceConfig()), broker) == "trade_value_too_small"
    assert reason(TargetWeightExecutor(), StubBroker(1_000.0)) == "trade_value_too_small"
    assert reason(TargetWeightExecutor(no_minimum), StubBroker(1_000.0)) == "ordered"


def test_an_error_sends_nothing_to_another_make() -> None:
    broker = StubBroker(1_000.0, A=50.0)
    broker.pending_orders.append(StubOrder("x", "A", "buy", 10.0))
    with pytest.raises(ValueError, match="A=nan"):
        TargetWeightExecutor().execute({"A": float("nan")}, bars_of(A=10.0), broker)
    assert broker.cancelled == []
    assert [order.order_id for order in broker.pending_orders] == ["x"]


def test_current_and_effective_weights() -> None:
    broker = broker_with_cash(A=10.0, B=20.0)
    broker.submit_order("A", 30)
    broker.step(day(1), bars_of(A=10.0, B=20.0))
    broker.submit_order("A", 10, "sell")
    broker.submit_order("B", 5)
    # 700 + 30 * 10 = 1 000; then 20 A and 5 B
    for account in (broker, OtherMake(broker)):
        executor = TargetWeightExecutor(RebalanceConfig(unmentioned="error"))
        assert executor.current_weights(broker.data, account) == pytest.approx({"A": 0.3})
        weights = executor.effective_weights(broker.data, account)
        assert weights == pytest.approx({"A": 0.2, "B": 0.1})


# ---------------------------------------------------------------------- twice the same


def test_twice_in_the_counting_mode_sends_nothing_new() -> None:
    for broker in (broker_with_cash(A=10.0, B=20.0), StubBroker(1_000.0)):
        executor = TargetWeightExecutor(COUNTING)
        targets, data = {"A": 0.5, "B": 0.4}, bars_of(A=10.0, B=20.0)
        assert sent(executor.execute(targets, data, broker)) == [
            ("A", "buy", 50.0),
            ("B", "buy", 20.0),
        ]
        assert executor.execute(targets, data, broker) == []
        assert len(broker.pending_orders) == 2


def test_twice_in_the_cancelling_mode_replaces_like_for_like() -> None:
    for broker in (broker_with_cash(A=10.0, B=20.0), StubBroker(1_000.0)):
        executor = TargetWeightExecutor()
        targets, data = {"A": 0.5, "B": 0.4}, bars_of(A=10.0, B=20.0)
        first = executor.execute(targets, data, broker)
        second = executor.execute(targets, data, broker)
        assert sent(second) == sent(first) == [("A", "buy", 50.0), ("B", "buy", 20.0)]
        old, new = ({order.order_id for order in orders} for orders in (first, second))
        assert {order.order_id for order in broker.pending_orders} == new
        assert not old & new


def test_a_partial_fill() -> None:
    config = BacktestConfig(initial_cash=1_000.0, max_participation=0.1)
    counting, cancelling = Broker(config), Broker(config)
    for broker, rules in ((counting, COUNTING), (cancelling, RebalanceConfig())):
        broker.step(day(0), bars_of(A=10.0))
        executor = TargetWeightExecutor(rules)
        executor.execute({"A": 0.5}, broker.data, broker)
        broker.step(day(1), bars_of(volume=300.0, A=10.0))  # 30 of 50
        orders = executor.execute({"A": 0.5}, broker.data, broker)
        assert sent(orders) == ([] if rules is COUNTING else [("A", "buy", 20.0)])
        assert [order.remaining_quantity for order in broker.pending_orders] == [20.0]


# ---------------------------------------------------------------------- cancels that fail

# 1 000 in all: 30 A at 10, a buy of 10 A works; 50 A are wanted, and 20 of B at 20.
TARGETS = {"A": 0.5, "B": 0.4}
DATA = bars_of(A=10.0, B=20.0)


def awaiting(outcome: str) -> StubBroker:
    broker = StubBroker(1_000.0, A=30.0)
    broker.pending_orders.append(StubOrder("old", "A", "buy", 10.0))
    broker.on_cancel = {"A": outcome}
    return broker


def test_a_cancel_at_once() -> None:
    broker = awaiting("done")
    orders = TargetWeightExecutor().execute(TARGETS, DATA, broker)
    assert sent(orders) == [("A", "buy", 20.0), ("B", "buy", 20.0)]


def test_a_late_cancel() -> None:
    broker = awaiting("late")
    executor = TargetWeightExecutor()
    assert sent(executor.execute(TARGETS, DATA, broker)) == [("B", "buy", 20.0)]
    assert broker.cancelled == ["old"]
    # acknowledged now: the next rebalance sends what A lacks
    broker.pending_orders = [order for order in broker.pending_orders if order.order_id != "old"]
    assert sent(executor.execute(TARGETS, DATA, broker)) == [
        ("A", "buy", 20.0),
        ("B", "buy", 20.0),
    ]


def test_a_cancel_that_stays_late() -> None:
    broker = awaiting("late")
    executor = TargetWeightExecutor()
    executor.execute(TARGETS, DATA, broker)
    # It may still fill, so it counts: 30 held, 10 in flight, 10 more; and it is not asked again.
    assert sent(executor.execute(TARGETS, DATA, broker)) == [
        ("A", "buy", 10.0),
        ("B", "buy", 20.0),
    ]
    assert broker.cancelled == ["old", "S0"]  # S0 is the first order for B


def test_a_refused_cancel() -> None:
    broker = awaiting("refused")
    executor = TargetWeightExecutor()
    assert sent(executor.execute(TARGETS, DATA, broker)) == [("B", "buy", 20.0)]
    broker.on_cancel = {}
    assert sent(executor.execute(TARGETS, DATA, broker)) == [
        ("A", "buy", 20.0),
        ("B", "buy", 20.0),
    ]


def test_a_fill_that_wins_the_race() -> None:
    broker = awaiting("filled")
    executor = TargetWeightExecutor()
    assert sent(executor.execute(TARGETS, DATA, broker)) == [("B", "buy", 20.0)]
    # 40 are held now
    assert sent(executor.execute(TARGETS, DATA, broker)) == [
        ("A", "buy", 10.0),
        ("B", "buy", 20.0),
    ]


def test_without_cancels_nothing_is_read_again() -> None:
    broker = StubBroker(1_000.0, A=30.0)
    assert sent(TargetWeightExecutor().execute(TARGETS, DATA, broker)) == [
        ("A", "buy", 20.0),
        ("B", "buy", 20.0),
    ]
    assert broker.cancelled == []


# ---------------------------------------------------------------------- reading another make


@pytest.mark.parametrize(
    ("position", "weight"),
    [
        (SimpleNamespace(quantity=10.0, entry_price=30.0), 0.3),
        (SimpleNamespace(quantity=10.0, entry_price=30.0, market_price=None), 0.3),
        (SimpleNamespace(quantity=10.0, entry_price=30.0, market_price=25.0), 0.25),
    ],
)
def test_a_held_asset_without_a_close(position: SimpleNamespace, weight: float) -> None:
    broker = StubBroker(1_000.0, X=position)
    plan = TargetWeightExecutor().plan({"A": 0.5, "X": 0.1}, bars_of(A=10.0), broker)
    rows = {row.asset: row for row in plan.rows}
    assert plan.equity == 1_000.0
    assert rows["X"].reason == "no_price"
    assert rows["X"].current_weight == pytest.approx(weight)
    assert rows["A"].quantity == 50.0


def test_a_close_goes_before_other_prices() -> None:
    broker = StubBroker(
        1_000.0, A=SimpleNamespace(quantity=10.0, entry_price=1.0, market_price=2.0)
    )
    plan = TargetWeightExecutor().plan({"A": 0.4}, bars_of(A=20.0), broker)
    assert plan.rows[0].current_weight == pytest.approx(0.2)
    # what is not in A: 1 000 - 200, less the 10 A that are bought
    assert plan.cash_after == pytest.approx(600.0)


def test_a_held_asset_without_any_price_is_named() -> None:
    broker = StubBroker(1_000.0, X=SimpleNamespace(quantity=10.0, entry_price=None))
    with pytest.raises(ValueError, match="'X'"):
        TargetWeightExecutor().plan({"A": 0.5}, bars_of(A=10.0), broker)


def test_orders_may_say_more_of_themselves() -> None:
    broker = StubBroker(1_000.0, A=50.0)
    stop = SimpleNamespace(
        order_id=7,
        asset="A",
        side="sell",
        quantity=50.0,
        filled_quantity=None,
        order_type="stop",
        stop_price=8.0,
        status=None,
    )
    broker.pending_orders.append(stop)  # type: ignore[arg-type]
    executor = TargetWeightExecutor()
    plan = executor.plan({"A": 0.5}, bars_of(A=10.0), broker)
    assert (plan.cancels, plan.orders) == ((), ())  # protective: neither counted nor cancelled
    assert executor.plan({}, bars_of(A=10.0), broker).cancels == (7,)


def test_both_roads_send_the_same_orders() -> None:
    """One account under our own eyes, one through the members of `BrokerLike` alone."""
    config = BacktestConfig(initial_cash=10_000.0, max_participation=0.1)
    ours, others = Broker(config), Broker(config)
    closes = [
        {"A": 10.0, "B": 20.0, "C": 40.0},
        {"A": 11.0, "B": 19.0},  # C has no bar
        {"A": 12.0, "B": 18.0, "C": 44.0},
        {"A": 11.5, "B": 18.5, "C": 41.0},
    ]
    targets = [
        {"A": 0.5, "B": 0.2, "C": 0.3},
        {"A": 0.3, "B": 0.4, "C": 0.2},
        {"B": 0.6, "C": 0.1},
        {"A": 0.9, "B": 0.6},
    ]
    for rules in (RebalanceConfig(), COUNTING):
        executor = TargetWeightExecutor(rules)
        for t, (now, wanted) in enumerate(zip(closes, targets, strict=True)):
            for broker in (ours, others):
                time = day(t + (10 if rules is COUNTING else 0))
                broker.step(time, bars_of(volume=800.0, **now))
            orders = executor.execute(wanted, ours.data, ours)
            assert sent(orders) == sent(executor.execute(wanted, others.data, OtherMake(others)))
            assert orders
    assert sent(ours.orders) == sent(others.orders)
    assert [o.status for o in ours.orders] == [o.status for o in others.orders]
    assert any(0.0 < order.filled_quantity < order.quantity for order in ours.orders)
    assert dict(ours.positions) == dict(others.positions)
    assert ours.cash == others.cash


# ---------------------------------------------------------------------- warnings


def test_many_small_weights_under_a_threshold_warn() -> None:
    names = [f"N{k:03}" for k in range(200)]
    broker = broker_with_cash(1e6, **dict.fromkeys(names, 10.0))
    executor = TargetWeightExecutor()
    for ask in (executor.preview, executor.execute):
        with pytest.warns(
            RebalanceWarning, match=r"100\.0% of equity .*min_weight_change=0\.01"
        ) as w:
            answer = ask(dict.fromkeys(names, 0.005), broker.data, broker)
        assert w[0].filename == __file__  # it points at the caller
    assert answer == []
    other_make = StubBroker(1e6)
    with pytest.warns(RebalanceWarning, match="min_weight_change"):
        executor.execute(dict.fromkeys(names, 0.005), broker.data, other_make)


def test_the_warning_names_every_threshold() -> None:
    broker = broker_with_cash(A=1.0, B=1.0)
    config = RebalanceConfig(min_weight_change=0.1, min_trade_value=150.0)
    executor = TargetWeightExecutor(config)
    # 0.09 is less than 0.1; 0.14 are worth 140: 0.23 in all
    with pytest.warns(
        RebalanceWarning, match=r"23\.0%.*min_weight_change=0\.1 and min_trade_value=150"
    ):
        executor.preview({"A": 0.09, "B": 0.14}, broker.data, broker)


@pytest.mark.filterwarnings("error")
def test_what_does_not_warn() -> None:
    executor = TargetWeightExecutor()
    broker = broker_with_cash(A=10.0, B=3.0)
    targets = {"A": 0.5, "B": 0.5}
    executor.execute(targets, broker.data, broker)
    broker.step(day(1), bars_of(A=10.0, B=3.0))
    assert executor.execute(targets, broker.data, broker) == []  # at its targets
    # sales are no increases: 0.005 less of B
    executor.preview({"A": 0.5, "B": 0.49}, broker.data, broker)
    # five times 0.9 % are 4.5 %, not above 5 %
    small = broker_with_cash(**dict.fromkeys("VWXYZ", 1.0))
    executor.preview(dict.fromkeys("VWXYZ", 0.009), small.data, small)


def test_a_portfolio_of_small_weights_at_its_targets_never_warns() -> None:
    names = [f"N{k:03}" for k in range(200)]
    broker = broker_with_cash(1e6, **dict.fromkeys(names, 10.0))
    for name in names:
        broker.submit_order(name, 500)  # 0.005 * 1 000 000 / 10
    broker.step(day(1), bars_of(**dict.fromkeys(names, 10.0)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rows = TargetWeightExecutor().preview(dict.fromkeys(names, 0.005), broker.data, broker)
    assert {row["skip_reason"] for row in rows} == {"at_target"}


# ---------------------------------------------------------------------- protocols


def test_weight_provider_is_runtime_checkable() -> None:
    class Equal:
        def get_weights(self, data: Any, broker: Any) -> dict[str, float]:
            return {asset: 1 / len(data) for asset in data}

    assert isinstance(Equal(), WeightProvider)
    assert not isinstance(object(), WeightProvider)


def test_names_are_where_the_proposal_had_them() -> None:
    assert rebalancer.RebalanceConfig is RebalanceConfig
    assert rebalancer.TargetWeightExecutor is TargetWeightExecutor
    assert rebalancer.WeightProvider is WeightProvider
