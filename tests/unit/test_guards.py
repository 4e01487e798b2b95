"""What a careless or clever caller must not be able to do to an account or a plan."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from helpers import OtherMake, bars_of, buy, day, feed_of, run_script
from ml4t.backtest import (
    BacktestConfig,
    Broker,
    Engine,
    PortfolioSnapshot,
    RebalanceConfig,
    Strategy,
    TargetWeightExecutor,
    WorkingOrder,
    plan_rebalance,
)
from ml4t.backtest.costs import Costs, PercentCommission, PercentSlippage
from ml4t.backtest.errors import OrderError, StateError

CLOSE = {"A": [10.0, 10.0, 12.0, 12.0]}
SAME_BAR = BacktestConfig(initial_cash=1_000.0, execution_mode="same_bar")


@pytest.mark.parametrize(
    "call",
    [
        lambda broker: broker.settle(),
        lambda broker: broker.end_bar(1),  # the engine finds that it has ended
        lambda broker: broker.end_bar(0),
        lambda broker: broker.finish(),
    ],
)
def test_a_strategy_cannot_end_a_bar_or_the_run(call: Callable[[Broker], None]) -> None:
    with pytest.raises(StateError):
        run_script({1: lambda data, broker: call(broker)}, CLOSE, SAME_BAR)


def test_a_strategy_cannot_skip_a_bar() -> None:
    with pytest.raises(StateError, match="leave advance to the engine"):
        run_script({1: lambda data, broker: broker.advance(3)}, CLOSE, SAME_BAR)


def test_a_finished_run_takes_no_orders() -> None:
    kept: list[Broker] = []
    result = run_script({0: lambda data, broker: kept.append(broker)}, CLOSE, SAME_BAR)
    for ask in (
        lambda: kept[0].submit_order("A", 1),
        lambda: kept[0].cancel_order(0),
        lambda: kept[0].close_position("A"),
    ):
        with pytest.raises(StateError, match="the run is over"):
            ask()
    assert result.orders.height == 0


def test_orders_of_on_end_are_in_the_result() -> None:
    class Late(Strategy):
        def on_end(self, broker: Broker) -> None:
            broker.submit_order("A", 1)

    result = Engine(feed_of(CLOSE), Late(), SAME_BAR).run()
    assert result.orders["status"].to_list() == ["pending"]


def test_cash_within_a_tolerance_is_no_division_by_zero() -> None:
    # the first purchase takes cash to -1.5e-6, which its tolerance of 1e-6 + 1e-12 * 1e6 allows
    broker = Broker(initial_cash=1e6)
    broker.step(day(0), bars_of(A=1.0))
    broker.submit_order("A", 1e6 + 1.5e-6)
    broker.step(day(1), bars_of(A=1.0))
    order = broker.submit_order("A", 1)
    broker.step(day(2), bars_of(A=1.0))
    assert (order.status, order.reason) == ("rejected", "insufficient_cash")


def test_a_copy_of_a_broker_is_an_account_of_its_own() -> None:
    broker = Broker(initial_cash=1_000.0)
    broker.step(day(0), bars_of(A=10.0))
    other = copy.deepcopy(broker)
    order = other.submit_order("A", 10)
    other.step(day(1), bars_of(A=10.0))
    assert order.status == "filled"
    assert (other.cash, broker.cash) == (900.0, 1_000.0)
    assert len(broker.orders) == 0


def test_a_copied_config_has_the_rules_of_the_copy() -> None:
    config = RebalanceConfig()
    assert config.params.step == 1
    assert config.model_copy(update={"allow_fractional": True}).params.step == 0
    costly = BacktestConfig()
    assert costly.costs.params.commission_rate == 0.0
    dearer = costly.model_copy(update={"commission": PercentCommission(0.01)})
    assert dearer.costs.params.commission_rate == 0.01


def test_a_quantity_beyond_64_bit_integers() -> None:
    # 0.5 * 1e20 / 1
    plan = plan_rebalance({"A": 0.5}, PortfolioSnapshot(cash=1e20, prices={"A": 1.0}))
    assert plan.orders[0].side == "buy"
    assert plan.orders[0].quantity == pytest.approx(5e19, rel=1e-11)


def test_a_plan_cannot_be_changed() -> None:
    plan = plan_rebalance({"A": 0.5}, PortfolioSnapshot(cash=1_000.0, prices={"A": 1.0}))
    with pytest.raises(ValueError, match="read-only"):
        plan.order_records["quantity"] = 999.0
    with pytest.raises(ValueError, match="read-only"):
        plan.row_records["quantity"] = 999.0


def test_an_order_without_an_id_is_not_cancelled_by_its_index() -> None:
    account = PortfolioSnapshot(
        cash=1_000.0,
        prices={"A": 10.0},
        open_orders=(WorkingOrder("A", "buy", 5),),
    )
    plan = plan_rebalance({"A": 0.5}, account)
    assert plan.cancels == (0,)
    broker = Broker(initial_cash=1_000.0)
    mine = broker.submit_order("B", 1)
    with pytest.raises(OrderError, match="no order_id"):
        broker.submit_plan(plan)
    assert mine.status == "pending"
    assert len(broker.orders) == 1


def test_only_a_plan_is_submitted() -> None:
    with pytest.raises(OrderError, match="a dict is not a RebalancePlan"):
        Broker().submit_plan({"A": 1.0})  # type: ignore[arg-type]


@pytest.mark.parametrize("data", [None, {"A": 10.0}, {"A": {"close": "10"}}])
def test_prices_that_are_none(data: Any) -> None:
    broker = OtherMake(Broker(initial_cash=1_000.0))
    with pytest.raises(ValueError, match=r"data|price of 'A'"):
        TargetWeightExecutor().plan({"A": 0.5}, data, broker)


def test_both_roads_agree_to_the_last_bit() -> None:
    rng = np.random.default_rng(3)
    config = RebalanceConfig(allow_fractional=True, min_trade_value=0, min_weight_change=0)
    executor = TargetWeightExecutor(config)
    for _ in range(100):
        broker = Broker(initial_cash=float(rng.uniform(1e3, 1e7)))
        prices = dict(zip("ABCDE", rng.uniform(1.0, 300.0, 5).tolist(), strict=True))
        broker.step(day(0), bars_of(**prices))
        for asset in "ABC":
            broker.submit_order(asset, float(rng.uniform(0.1, 20.0)))
        later = bars_of(**{a: p * float(rng.uniform(0.8, 1.2)) for a, p in prices.items()})
        broker.step(day(1), later)
        weights = dict(zip("ABCDE", rng.dirichlet(np.ones(5)).tolist(), strict=True))
        ours = executor.plan(weights, later, broker)
        theirs = executor.plan(weights, later, OtherMake(broker))
        assert ours.orders == theirs.orders


def test_the_first_bar_counts_in_return_and_drawdown() -> None:
    # SAME_BAR: 10 units at 10 cost 100 and 10 % of it; the price then stays
    config = SAME_BAR.model_copy(update={"commission": PercentCommission(0.1)})
    result = run_script({0: buy("A", 10)}, {"A": [10.0, 10.0, 10.0]}, config)
    assert result.metrics["total_return"] == pytest.approx(-0.01)
    assert result.metrics["max_drawdown"] == pytest.approx(-0.01)
    # two days: 0.99 ** (365.25 / 2) - 1
    assert result.metrics["annual_return"] == pytest.approx(0.99 ** (365.25 / 2) - 1)


def test_dust_that_remains_of_an_order_is_no_order() -> None:
    # 1.1 less (0.3 + 0.8 - 2e-16) is 2e-16 units in float; 0.45 * 100 000 / 50 = 900
    left = WorkingOrder("D", "sell", 1.1, 0.3 + 0.8 - 2e-16, status="pending_cancel")
    account = PortfolioSnapshot(
        cash=90_000.0, positions={"D": 200}, prices={"D": 50.0}, open_orders=(left,)
    )
    (order,) = plan_rebalance({"D": 0.45}, account).orders
    assert (order.side, order.quantity) == ("buy", 700)


@pytest.mark.parametrize("price", [176.15, 3.07, 41.93])
def test_a_cost_of_exactly_the_limit_is_not_too_high(price: float) -> None:
    account = PortfolioSnapshot(
        cash=100_000.0, prices={"A": price}, costs=Costs(slippage=PercentSlippage(0.0005))
    )
    plan = plan_rebalance({"A": 0.5}, account, RebalanceConfig(ignore_if_cost_exceeds_bps=5.0))
    assert plan.rows[0].reason == "ordered"


@pytest.mark.parametrize(("weight", "quantity"), [(0.45, 49), (0.55, 60)])
def test_half_a_step_is_not_taken(weight: float, quantity: int) -> None:
    # 0.45 * 11 000 / 100 = 49.5 and 0.55 * 110 = 60.5: a step more is as far away
    config = RebalanceConfig(rounding="min_tracking_error")
    account = PortfolioSnapshot(cash=11_000.0, prices={"A": 100.0})
    assert plan_rebalance({"A": weight}, account, config).orders[0].quantity == quantity
