"""The bridge of random runs: it sums, and what a run does not have is exactly zero."""

from __future__ import annotations

import math

import numpy as np
import pytest

from differential.markets import Market, NumpySource, market, run
from differential.test_two_roads import schedule_of, with_schedule_alone
from ml4t.backtest import BacktestResult, run_weights
from ml4t.backtest.costs import NoCommission, NoSlippage
from ml4t.backtest.enums import ExecutionMode

pytestmark = pytest.mark.filterwarnings("ignore::ml4t.backtest.errors.RebalanceWarning")


def check(result: BacktestResult, is_pure: bool) -> bool:
    """Hold a bridge to its sums; whether something is in it."""
    config, bridge = result.config, result.bridge()
    total = bridge.total
    size = max(1.0, *np.abs(bridge.paper["equity"].to_numpy()), *result.equity["equity"].abs())
    assert math.isclose(
        sum(total[name] for name in bridge.terms), total["difference"], abs_tol=1e-9 * size
    )
    assert total["account"] == result.metrics["final_equity"]
    for frame in (bridge.by_period, bridge.by_asset):
        if frame is bridge.by_period and not frame.height:
            continue
        for name, value in total.items():
            expected = value - (config.initial_cash if name in ("paper", "account") else 0.0)
            assert math.isclose(frame[name].sum(), expected, abs_tol=3e-9 * size), name
    rules = config.rebalance
    off = {
        "delay": config.execution_mode is ExecutionMode.SAME_BAR,
        "rounding": rules.allow_fractional and not rules.round_lots,
        "unfilled": config.max_participation is None,
        "commission": isinstance(config.commission, NoCommission),
        "slippage": isinstance(config.slippage, NoSlippage),
        "thresholds": not (
            rules.min_trade_value
            or rules.min_weight_change
            or rules.ignore_if_cost_exceeds_bps is not None
        ),
        "other": is_pure,
    }
    for name, is_off in off.items():
        assert total[name] == 0.0 or not is_off, name
    return total["difference"] != 0.0


def of_schedule(case: Market) -> BacktestResult | None:
    case = with_schedule_alone(case)
    if not case.decisions:
        return None
    try:
        return run_weights(case.feed(), schedule_of(case), case.settings())
    except ValueError:  # unmentioned="error"
        return None


def test_500_random_schedules() -> None:
    n_found = n_different = 0
    for number in range(900):
        result = of_schedule(market(NumpySource(11, number)))
        if result is None:
            continue
        try:
            n_different += check(result, is_pure=True)
        except AssertionError as error:
            raise AssertionError(f"market 11, {number}") from error
        n_found += 1
    assert n_found >= 500
    assert n_different > 250


def test_random_runs_with_orders_beside_the_plans() -> None:
    n_found = 0
    for number in range(200):
        try:
            result, _ = run(market(NumpySource(12, number)))
        except ValueError:
            continue
        check(result, is_pure=False)
        n_found += 1
    assert n_found > 100
