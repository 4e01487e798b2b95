"""Cost models that a user wrote in Python: what they cost, and what they may not answer."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from helpers import Script, bars_of, buy, day, feed_of, state_of
from ml4t.backtest import (
    BacktestConfig,
    BacktestResult,
    Broker,
    Engine,
    PortfolioSnapshot,
    RebalanceConfig,
    plan_rebalance,
    run_weights,
)
from ml4t.backtest.costs import (
    CommissionModel,
    Costs,
    FixedCommission,
    NoCommission,
    NoSlippage,
    PercentCommission,
    PercentSlippage,
    SlippageModel,
)
from ml4t.backtest.errors import ConfigError, CostModelError
from ml4t.backtest.execution.plan import RebalancePlan


@dataclass(frozen=True)
class Spread:
    """Half a spread by asset, a fraction of the price."""

    half: dict[str, float]

    def fill_price(self, asset: str, quantity: float, price: float) -> float:
        return price * (1.0 + math.copysign(self.half[asset], quantity))


@dataclass(frozen=True)
class StampDuty:
    """Half a percent of what is bought; sales are free."""

    rate: float = 0.005

    def commission(self, asset: str, quantity: float, notional: float) -> float:
        return self.rate * notional if quantity > 0.0 else 0.0


@dataclass
class Ticket:
    """1 % of an order and 3 at least; remembers what it was asked."""

    asked: list[tuple[str, float, float]] = field(default_factory=list)

    def commission(self, asset: str, quantity: float, notional: float) -> float:
        assert (type(quantity), type(notional)) == (float, float)
        self.asked.append((asset, quantity, notional))
        return max(3.0, 0.01 * notional)


@dataclass
class Answers:
    """Both models at once: answers what it is told to, for one asset, and is free elsewhere."""

    asset: str
    commissions: Callable[[float, float], Any] | None = None
    prices: Callable[[float, float], Any] | None = None

    def commission(self, asset: str, quantity: float, notional: float) -> Any:
        if asset != self.asset or self.commissions is None:
            return 0.0
        return self.commissions(quantity, notional)

    def fill_price(self, asset: str, quantity: float, price: float) -> Any:
        return price if asset != self.asset or self.prices is None else self.prices(quantity, price)


def broker_at(close: dict[str, float], cash: float, **config: Any) -> Broker:
    """A broker after its first bar."""
    broker = Broker(BacktestConfig(initial_cash=cash, **config))
    broker.step(day(0), bars_of(**close))
    return broker


# ---------------------------------------------------------------- what they cost


def test_a_spread_by_asset() -> None:
    broker = broker_at({"A": 10.0, "B": 20.0}, 1_000.0, slippage=Spread({"A": 0.01, "B": 0.02}))
    broker.submit_order("A", 10)
    broker.submit_order("B", 5)
    broker.step(day(1), bars_of(A=10.0, B=20.0))
    # 10 at 10.10 and 5 at 20.40: 101 and 102
    assert [(f.price, f.slippage) for f in broker.fills] == [
        (pytest.approx(10.1), pytest.approx(1.0)),
        (pytest.approx(20.4), pytest.approx(2.0)),
    ]
    assert broker.cash == pytest.approx(797.0)
    broker.submit_order("A", -10)
    broker.submit_order("B", -5, order_type="limit", limit_price=20.0)
    broker.step(day(2), bars_of(A=10.0, B=20.0))
    # 10 at 9.90; a limit does not slip
    assert [f.price for f in broker.fills[2:]] == [pytest.approx(9.9), 20.0]
    assert broker.cash == pytest.approx(797.0 + 99.0 + 100.0)


def test_a_stamp_duty_on_purchases() -> None:
    broker = broker_at({"A": 10.0}, 1_000.0, commission=StampDuty())
    broker.submit_order("A", 100)
    broker.step(day(1), bars_of(A=10.0))
    # 100 cost 1 005; 1 000 / 1 005 of 100 is 99.5, and 99 cost 990 and 4.95
    assert [(f.quantity, f.commission) for f in broker.fills] == [(99.0, pytest.approx(4.95))]
    assert broker.cash == pytest.approx(5.05)
    broker.close_position("A")
    broker.step(day(2), bars_of(A=11.0))
    assert broker.fills[1].commission == 0.0
    assert broker.cash == pytest.approx(5.05 + 99 * 11.0)


def test_a_fee_is_due_for_an_order_and_not_for_a_fill() -> None:
    ticket = Ticket()
    broker = broker_at({"A": 10.0}, 1_000.0, commission=ticket, max_participation=0.5)
    broker.submit_order("A", 40)
    broker.step(day(1), bars_of(volume=20.0, A=10.0))
    broker.step(day(2), bars_of(volume=20.0, A=10.0))
    broker.step(day(3), bars_of(A=10.0))
    # 10 for 100: 3 at least. 20 for 200: still 3. 40 for 400: 4, of which 3 are paid
    assert [(f.quantity, f.commission) for f in broker.fills] == [(10, 3.0), (10, 0.0), (20, 1.0)]
    assert set(ticket.asked) == {("A", 10.0, 100.0), ("A", 20.0, 200.0), ("A", 40.0, 400.0)}
    broker.submit_order("A", -40)
    broker.step(day(4), bars_of(A=10.0))
    assert broker.fills[3].commission == 4.0
    assert ticket.asked[-1] == ("A", -40.0, 400.0)


def test_an_impact_that_grows_with_the_order_cuts_it() -> None:
    impact = Answers("A", prices=lambda quantity, price: price + 0.01 * quantity)
    broker = broker_at({"A": 10.0}, 500.0, slippage=impact, insufficient_cash="trim")
    broker.submit_order("A", 50)
    broker.step(day(1), bars_of(A=10.0))
    # 48 cost 480 + 0.01 * 48 ** 2 = 503.04; 47 cost 470 + 22.09
    assert [f.quantity for f in broker.fills] == [47.0]
    assert broker.cash == pytest.approx(7.91)


def test_a_sale_that_costs_more_than_there_is() -> None:
    dear = Answers("A", commissions=lambda quantity, notional: 0.0 if quantity > 0.0 else 200.0)
    broker = broker_at({"A": 10.0}, 100.0, commission=dear)
    broker.submit_order("A", 10)
    broker.step(day(1), bars_of(A=10.0))
    sale = broker.submit_order("A", -10)
    broker.step(day(2), bars_of(A=10.0))
    assert (sale.status, sale.reason) == ("rejected", "insufficient_cash")


def test_an_own_model_beside_a_built_in_one() -> None:
    for own, commission, price in (
        # 10 units at 10.10, 1 % of 101; the duty of 0.5 % on 10 at 10.20
        ({"slippage": Spread({"A": 0.01}), "commission": PercentCommission(0.01)}, 1.01, 10.1),
        ({"slippage": PercentSlippage(0.02), "commission": StampDuty()}, 0.51, 10.2),
        ({"slippage": NoSlippage(), "commission": StampDuty()}, 0.5, 10.0),
        ({"slippage": Spread({"A": 0.01}), "commission": FixedCommission(2.0)}, 2.0, 10.1),
    ):
        broker = broker_at({"A": 10.0}, 1_000.0, **own)
        broker.submit_order("A", 10)
        broker.step(day(1), bars_of(A=10.0))
        (fill,) = broker.fills
        assert (fill.price, fill.commission) == (pytest.approx(price), pytest.approx(commission))


def test_float_noise_is_no_fault() -> None:
    # 30.3 / 3 * 3 and the like: a hair on the wrong side is the price itself
    noisy = Answers(
        "A",
        commissions=lambda quantity, notional: 5.0 - 1e-13 * abs(quantity),
        prices=lambda quantity, price: price - math.copysign(1e-13, quantity),
    )
    broker = broker_at({"A": 10.0}, 1_000.0, commission=noisy, slippage=noisy, max_participation=1)
    broker.submit_order("A", 10)
    broker.step(day(1), bars_of(volume=4.0, A=10.0))
    broker.step(day(2), bars_of(A=10.0))
    broker.submit_order("A", -10)
    broker.step(day(3), bars_of(A=10.0))
    assert [f.price for f in broker.fills] == [10.0] * 3
    assert [f.commission for f in broker.fills] == [pytest.approx(5.0), 0.0, pytest.approx(5.0)]


# ---------------------------------------------------------------- what is planned with them


def snapshot(cash: float, costs: Costs, **prices: float) -> PortfolioSnapshot:
    return PortfolioSnapshot(cash=cash, prices=prices, costs=costs)


def test_a_plan_estimates_with_them() -> None:
    costs = Costs(StampDuty(), Spread({"A": 0.01, "B": 0.1}))
    plan = plan_rebalance({"A": 0.5, "B": 0.2}, snapshot(1_000.0, costs, A=10.0, B=20.0))
    # A: 50 * 0.10 and 0.5 % of 505. B: 10 * 2.00 and 0.5 % of 220
    assert [row.estimated_cost for row in plan.rows] == [
        pytest.approx(5.0 + 2.525),
        pytest.approx(20.0 + 1.1),
    ]


def test_a_trade_that_costs_too_much_by_them_is_skipped() -> None:
    costs = Costs(StampDuty(), Spread({"A": 0.01, "B": 0.1}))
    rules = RebalanceConfig(ignore_if_cost_exceeds_bps=200.0)
    account = snapshot(1_000.0, costs, A=10.0, B=20.0)
    # the costs above: 7.525 of 500 are 150.5 basis points, 21.1 of 200 are 1 055
    plan = plan_rebalance({"A": 0.5, "B": 0.2}, account, rules)
    assert [row.reason for row in plan.rows] == ["ordered", "cost_too_high"]


def test_the_basket_knows_which_asset_costs_what() -> None:
    fees = Answers("A", commissions=lambda quantity, notional: 3.0 * abs(quantity))
    rules = RebalanceConfig(rounding="min_tracking_error", min_trade_value=0, min_weight_change=0)
    account = snapshot(57.0, Costs(commission=fees), A=10.0, B=10.0)
    plan = plan_rebalance({"A": 0.49, "B": 0.49}, account, rules)
    # 2.79 units each, so 2 and 2 for 40 and 6: of 11 left a third A would take 13, a third B 10
    assert [(o.asset, o.quantity) for o in plan.orders] == [("A", 2.0), ("B", 3.0)]


def test_a_step_back_to_no_trade_is_not_asked_about() -> None:
    @dataclass
    class Strict:
        def commission(self, asset: str, quantity: float, notional: float) -> float:
            return 1.0 / abs(quantity)

    # 0.26 * 100 / 10 = 2.6: rounded down 2 of the 3, of which the one sold is taken back
    rules = RebalanceConfig(rounding="min_tracking_error", min_trade_value=0, min_weight_change=0)
    account = PortfolioSnapshot(70.0, {"A": 3}, {"A": 10.0}, costs=Costs(commission=Strict()))
    plan = plan_rebalance({"A": 0.26}, account, rules)
    assert [row.reason for row in plan.rows] == ["rounds_to_zero_shares"]


def plan_with(**models: Any) -> RebalancePlan:
    return plan_rebalance({"A": 0.5}, snapshot(1_000.0, Costs(**models), A=10.0))


def test_a_plan_is_known_by_its_models() -> None:
    duty = plan_with(commission=StampDuty())
    assert duty.plan_id == plan_with(commission=StampDuty()).plan_id
    others = [
        plan_with(commission=StampDuty(0.006)),
        plan_with(commission=NoCommission()),
        plan_with(commission=PercentCommission(0.005)),
        plan_with(slippage=Spread({"A": 0.0})),
    ]
    assert len({duty.plan_id, *(plan.plan_id for plan in others)}) == 5


# ---------------------------------------------------------------- what they may not answer

NO_NUMBERS = [math.nan, math.inf, -math.inf, "1", None, True, 1j, 10**5000]


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        *(
            ({"commissions": lambda q, n, given=given: given}, "must return a finite number")
            for given in NO_NUMBERS
        ),
        *(
            ({"prices": lambda q, p, given=given: given}, "must return a finite number")
            for given in NO_NUMBERS
        ),
        (
            {"commissions": lambda q, n: -0.01},
            "commission(asset='B', quantity=5.0, notional=100.0) returned -0.01; it must return "
            "0 or more",
        ),
        (
            {"prices": lambda q, p: p - 0.01},
            "fill_price(asset='B', quantity=5.0, price=20.0) returned 19.99; it must return at "
            "least 20.0 for a purchase",
        ),
    ],
)
def test_an_answer_that_is_no_cost_changes_nothing(answers: dict[str, Any], message: str) -> None:
    model = Answers("B", **answers)
    broker = broker_at({"A": 10.0, "B": 20.0}, 1_000.0, commission=model, slippage=model)
    broker.submit_order("A", 10)
    broker.step(day(1), bars_of(A=10.0, B=20.0))
    # The sale of A has filled, and that of C was refused, when B is asked about.
    broker.submit_order("C", -1)
    broker.submit_order("A", -10)
    order = broker.submit_order("B", 5)
    before = state_of(broker), *bytes_of(broker)
    with pytest.raises(CostModelError) as caught:
        broker.step(day(2), bars_of(A=10.0, B=20.0, C=1.0))
    text = str(caught.value)
    assert text.startswith("cost model: Answers(asset='B'")
    assert "(asset='B', quantity=5.0, " in text
    assert message in text
    assert (state_of(broker), *bytes_of(broker)) == before
    # The bar has come: its closes are the marks, and the orders wait for the next one.
    model.asset = "none"
    broker.step(day(3), bars_of(A=11.0, B=20.0, C=1.0))
    assert order.filled_at == day(3)
    assert broker.cash == 1_000.0 - 100.0 + 110.0 - 100.0


def bytes_of(broker: Broker) -> list[bytes]:
    ledger = broker.ledger
    state = (ledger.account, ledger.holdings, ledger.book, ledger.volume_used)
    return [array.tobytes() for array in state]


@pytest.mark.parametrize("price", [20.01, -0.01])
def test_a_price_that_a_sale_cannot_have(price: float) -> None:
    model = Answers("B", prices=lambda q, p: p if q > 0.0 else price)
    broker = broker_at({"B": 20.0}, 1_000.0, slippage=model)
    broker.submit_order("B", 5)
    broker.step(day(1), bars_of(B=20.0))
    broker.submit_order("B", -5)
    with pytest.raises(CostModelError, match=r"must return between 0 and 20\.0 for a sale"):
        broker.step(day(2), bars_of(B=20.0))
    assert broker.cash == 900.0


def test_a_commission_that_falls_while_an_order_fills() -> None:
    rebate = Answers("B", commissions=lambda q, n: 10.0 if q < 10.0 else 9.0)
    broker = broker_at({"B": 20.0}, 1_000.0, commission=rebate, max_participation=1.0)
    broker.submit_order("B", 10)
    broker.step(day(1), bars_of(volume=4.0, B=20.0))
    assert broker.cash == 910.0  # 4 for 80 and 10
    message = (
        r"quantity=10\.0, notional=200\.0\) returned 9\.0; it must return not less than the "
        r"10\.0 that the order owed at quantity=4\.0, notional=80\.0"
    )
    with pytest.raises(CostModelError, match=message):
        broker.step(day(2), bars_of(volume=100.0, B=20.0))
    assert broker.cash == 910.0


def test_what_a_model_raises_says_for_which_trade() -> None:
    broker = broker_at({"A": 10.0, "B": 20.0}, 1_000.0, slippage=Spread({"A": 0.01}))
    broker.submit_order("A", 10)
    broker.submit_order("B", 5)
    before = state_of(broker), *bytes_of(broker)
    with pytest.raises(KeyError) as caught:
        broker.step(day(1), bars_of(A=10.0, B=20.0))
    assert caught.value.__notes__ == [
        "ml4t.backtest: raised by Spread(half={'A': 0.01}).fill_price(asset='B', quantity=5.0, "
        "price=20.0)"
    ]
    assert (state_of(broker), *bytes_of(broker)) == before


def test_a_pass_at_the_close_can_be_repeated() -> None:
    model = Answers("B", commissions=lambda q, n: -1.0)
    rules = {"execution_mode": "same_bar", "max_participation": 5e-6}  # of 1e6: 5 units
    broker = broker_at({"B": 20.0}, 1_000.0, commission=model, **rules)
    broker.submit_order("B", 5)
    with pytest.raises(CostModelError):
        broker.settle()
    assert (broker.cash, len(broker.pending_orders)) == (1_000.0, 1)
    # The volume that was granted before the error was given back with all else.
    model.asset = "none"
    broker.settle()
    assert (broker.cash, len(broker.pending_orders)) == (900.0, 0)


def test_a_model_that_fails_while_planning_cancels_nothing() -> None:
    model = Answers("B", commissions=lambda q, n: -1.0)
    broker = broker_at({"A": 10.0, "B": 20.0}, 1_000.0, commission=model)
    resting = broker.submit_order("B", 1, order_type="limit", limit_price=1.0)
    with pytest.raises(CostModelError):
        broker.order_target_percent("B", 0.5)
    assert resting.status == "pending"
    assert len(broker.orders) == 1


def test_a_run_that_a_model_stops_has_a_result() -> None:
    model = Answers("A", commissions=lambda q, n: 0.0 if n < 115.0 else math.nan)
    feed = feed_of({"A": [10.0, 11.0, 12.0, 13.0]})
    engine = Engine(
        feed, Script({0: buy("A", 10), 1: buy("A", 10)}), BacktestConfig(commission=model)
    )
    with pytest.raises(CostModelError) as caught:
        engine.run()
    assert "bar 2" in caught.value.__notes__[0]
    result = engine.result
    assert isinstance(result, BacktestResult)
    # 10 at the close of 11 that stands in for the open
    assert result.equity["cash"].to_list() == [100_000.0, 99_890.0]
    assert result.audit() == []


# ---------------------------------------------------------------- what is taken for a model


@pytest.mark.parametrize("make", [BacktestConfig, Costs])
@pytest.mark.parametrize(
    ("field", "model", "message"),
    [
        ("commission", 0.001, "or an object with a method commission(asset, quantity, notional)"),
        ("slippage", None, "or an object with a method fill_price(asset, quantity, price)"),
        ("commission", Spread({}), "or an object with a method commission("),
        ("slippage", StampDuty(), "or an object with a method fill_price("),
        ("slippage", PercentCommission(0.001), "slippage=PercentCommission(rate=0.001)"),
        ("commission", StampDuty, "is a class; pass an instance of it, made by StampDuty(...)"),
        ("slippage", NoSlippage, "is a class; pass an instance of it, made by NoSlippage(...)"),
        # A config has a field of this name, which is no method.
        ("commission", BacktestConfig(), "or an object with a method commission("),
    ],
)
def test_what_is_no_model_is_refused(make: Any, field: str, model: Any, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make(**{field: model})
    text = str(caught.value)
    assert text.removeprefix("BacktestConfig: ").startswith(f"{field}=")
    assert message in text


def test_what_a_model_is() -> None:
    assert isinstance(StampDuty(), CommissionModel)
    assert isinstance(Spread({}), SlippageModel)
    assert not isinstance(PercentCommission(0.0), CommissionModel)
    assert not isinstance(PercentSlippage(0.0), SlippageModel)


def test_which_costs_are_compiled() -> None:
    duty = StampDuty()
    assert Costs().is_compiled
    assert Costs(PercentCommission(0.01), PercentSlippage(0.01)).own_models == {}
    mixed = BacktestConfig(commission=duty, slippage=PercentSlippage(0.01)).costs
    assert not mixed.is_compiled
    assert mixed.own_models == {"commission": duty}


@pytest.mark.parametrize(
    ("name", "model"), [("commission", StampDuty()), ("slippage", Spread({"A": 0.01}))]
)
def test_compiled_code_refuses_a_model_in_python(name: str, model: Any) -> None:
    config = BacktestConfig(**{name: model})
    with pytest.raises(ConfigError) as caught:
        run_weights(feed_of({"A": [10.0, 11.0]}), {day(0): {"A": 0.5}}, config)
    assert str(caught.value).startswith(f"{name}={model!r} is written in Python, which compiled")


def test_a_built_in_model_that_was_given_a_method_is_an_own_one() -> None:
    class Doubled(PercentCommission):
        def commission(self, asset: str, quantity: float, notional: float) -> float:
            return 2.0 * self.rate * notional

    broker = broker_at({"A": 10.0}, 1_000.0, commission=Doubled(0.01))
    broker.submit_order("A", 10)
    broker.step(day(1), bars_of(A=10.0))
    assert broker.cash == 898.0
