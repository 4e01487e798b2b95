"""What is true of every weight that a drift trigger sends to the edge of its bands."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from helpers import bars_of, day
from ml4t.backtest import (
    BacktestConfig,
    Broker,
    ExecutionMode,
    PortfolioSnapshot,
    RebalanceConfig,
    TargetWeightExecutor,
    plan_rebalance,
)
from ml4t.backtest.execution.triggers import DriftTrigger
from ml4t.backtest.execution.weights import adjusted_weights

checked = settings(deadline=None, derandomize=True, max_examples=200)
NAMES = "ABCDE"
#: Of sums of five weights.
TOLERANCE = 1e-12


class Case(NamedTuple):
    """Targets, as the rules leave them too, and where the account is."""

    trigger: DriftTrigger
    rules: RebalanceConfig
    targets: dict[str, float]
    aims: dict[str, float]
    effective: dict[str, float]

    def ask(self, effective: dict[str, float]) -> dict[str, float] | None:
        return self.trigger.weights_to_send(self.targets, effective, rules=self.rules)

    def sent(self) -> dict[str, float]:
        found = self.ask(self.effective)
        assume(found is not None)
        assert found is not None
        return found

    def band(self, weight: float) -> float:
        """How far it may be from its target; as it is documented, not as it is coded."""
        bands = [1e9 if self.trigger.absolute is None else self.trigger.absolute]
        if self.trigger.relative is not None:
            bands.append(self.trigger.relative * abs(weight))
        return min(bands)


def frictionless(**rules: Any) -> RebalanceConfig:
    return RebalanceConfig(
        allow_fractional=True, min_trade_value=0.0, min_weight_change=0.0, **rules
    )


@st.composite
def cases(draw: st.DrawFn, is_long: bool = False) -> Case:
    least = 0 if is_long or draw(st.booleans()) else -20
    rules = frictionless(
        allow_short=least < 0,
        max_single_weight=draw(st.sampled_from([1.0, 0.3, 2.0])),
        max_net_exposure=1.0 if is_long else draw(st.sampled_from([1.0, 0.8, 1.5])),
        max_gross_exposure=draw(st.sampled_from([None, 1.0, 1.4])),
    )
    parts = st.integers(least, 20)
    targets = {name: float(draw(parts)) for name in NAMES}
    effective = {name: float(draw(parts)) for name in NAMES}
    total = sum(targets.values())
    if draw(st.booleans()) and total > 0.0:  # all invested
        targets = {name: part / total for name, part in targets.items()}
    else:
        targets = {name: part / 64 for name, part in targets.items()}
    total = sum(effective.values())
    invested = draw(st.sampled_from([0.5, 0.9, 1.0]))
    if total > 0.0:
        effective = {name: invested * part / total for name, part in effective.items()}
    else:
        effective = {name: part / 100 for name, part in effective.items()}
    some = st.one_of(st.none(), st.sampled_from([0.001, 0.01, 0.03, 0.05, 0.1, 0.25]))
    bands = {name: draw(some) for name in ("absolute", "relative", "distance")}
    assume(any(bands.values()))
    trigger = DriftTrigger(**bands, trade_to="edge")
    return Case(trigger, rules, targets, adjusted_weights(targets, rules), effective)


@checked
@given(case=cases())
def test_adjusted_weights_are_those_of_a_plan(case: Case) -> None:
    prices = dict.fromkeys(NAMES, 10.0)
    account = PortfolioSnapshot(cash=500.0, positions={"A": 30, "F": 20}, prices={**prices, "F": 1})
    plan = plan_rebalance(case.targets, account, case.rules)
    found = {row.asset: row.target_weight for row in plan.rows if row.asset != "F"}
    assert case.aims == found  # to the last bit


@checked
@given(case=cases())
def test_each_weight_ends_inside_its_band_between_what_it_was_and_its_target(case: Case) -> None:
    for asset, weight in case.sent().items():
        aim, was = case.aims[asset], case.effective[asset]
        assert min(aim, was) - TOLERANCE <= weight <= max(aim, was) + TOLERANCE
        assert abs(weight - aim) <= case.band(aim) + TOLERANCE
        assert aim != 0.0 or weight == 0.0


@checked
@given(case=cases())
def test_cash_ends_between_what_it_was_and_its_target(case: Case) -> None:
    """So weights of an account without planned cash keep their sum."""
    aim, was, ends = (
        1.0 - sum(weights.values()) for weights in (case.aims, case.effective, case.sent())
    )
    assert min(aim, was) - TOLERANCE <= ends <= max(aim, was) + TOLERANCE
    assert abs(ends - aim) <= min(case.band(aim), abs(aim)) + TOLERANCE


@checked
@given(case=cases())
def test_the_plan_leaves_them_as_they_are(case: Case) -> None:
    sent = case.sent()
    assert adjusted_weights(sent, case.rules) == pytest.approx(sent, rel=0, abs=2e-6)


@checked
@given(case=cases())
def test_it_does_not_fire_again(case: Case) -> None:
    assert case.ask(case.sent()) is None


@checked
@given(case=cases())
def test_nothing_trades_less(case: Case) -> None:
    """Against a linear program: the least turnover to weights inside all bands, cash included."""
    optimize = pytest.importorskip("scipy.optimize")
    assume(case.trigger.distance is None)
    assume(case.rules.max_gross_exposure is None)
    sent = case.sent()
    drift = np.array([case.effective[name] - case.aims[name] for name in NAMES])
    drift = np.append(drift, -drift.sum())
    cash = 1.0 - sum(case.aims.values())
    rooms = []
    for aim in case.aims.values():
        room = case.band(aim) if aim else 0.0
        cap = case.rules.max_single_weight
        low = -cap if case.rules.allow_short else 0.0
        rooms.append((max(-room, low - aim), min(room, cap - aim)))
    room = min(case.band(cash), abs(cash))
    net = case.rules.max_net_exposure
    rooms.append((max(-room, 1.0 - cash - net), min(room, 1.0 - cash + net)))
    rooms = [(min(low, 0.0), max(high, 0.0)) for low, high in rooms]
    # Drifts that stay, x, and what is traded of each, t >= abs(drift - x).
    n = len(drift)
    unit, nothing = np.eye(n), np.zeros(n)
    answer = optimize.linprog(
        c=np.append(nothing, np.ones(n)),
        A_ub=np.block([[-unit, -unit], [unit, -unit]]),
        b_ub=np.concatenate([-drift, drift]),
        A_eq=[np.append(np.ones(n), nothing)],
        b_eq=[0.0],
        bounds=[*rooms, *[(0.0, None)] * n],
    )
    assert answer.success
    traded = [case.effective[name] - sent[name] for name in NAMES]
    turnover = sum(map(abs, traded)) + abs(sum(traded))
    assert turnover == pytest.approx(answer.fun, abs=1e-9)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(
    case=cases(is_long=True),
    moves=st.lists(st.sampled_from([0.5, 0.8, 0.9, 1.0, 1.1, 1.3, 2.0]), min_size=5, max_size=5),
)
def test_one_firing_is_enough_in_an_account_without_friction(
    case: Case, moves: list[float]
) -> None:
    broker = Broker(
        BacktestConfig(execution_mode=ExecutionMode.SAME_BAR, rebalance=case.rules),
        initial_cash=100_000.0,
    )
    executor = TargetWeightExecutor()
    before = bars_of(**dict.fromkeys(NAMES, 64.0))
    broker.step(day(0), before)
    executor.execute(case.targets, before, broker)
    broker.settle()
    now = bars_of(**{name: 64.0 * move for name, move in zip(NAMES, moves, strict=True)})
    broker.step(day(1), now)
    sent = case.ask(executor.effective_weights(now, broker))
    assume(sent is not None)
    assert sent is not None
    executor.execute(sent, now, broker)
    broker.settle()
    assert broker.pending_orders == []
    held = executor.current_weights(now, broker)
    assert held == pytest.approx({name: w for name, w in sent.items() if w}, rel=0, abs=1e-9)
    assert case.ask(executor.effective_weights(now, broker)) is None
