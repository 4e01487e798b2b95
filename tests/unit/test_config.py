"""Settings are checked when they are made."""

from __future__ import annotations

import math
from typing import Any

import pytest

from ml4t.backtest import BacktestConfig, ExecutionMode, RebalanceConfig
from ml4t.backtest.costs import Costs, NoCommission, NoSlippage, PercentCommission, PercentSlippage

NAN, INFINITY = float("nan"), float("inf")


def test_defaults_of_a_rebalance() -> None:
    assert RebalanceConfig().model_dump() == {
        "min_trade_value": 100.0,
        "min_weight_change": 0.01,
        "allow_fractional": False,
        "round_lots": False,
        "lot_size": 100,
        "rounding": "position",
        "allow_short": False,
        "max_single_weight": 1.0,
        "max_net_exposure": 1.0,
        "max_gross_exposure": None,
        "unmentioned": "close",
        "cancel_before_rebalance": True,
        "account_for_pending": True,
        "keep_protective_orders": True,
        "ignore_if_cost_exceeds_bps": None,
    }


def test_defaults_of_a_backtest() -> None:
    config = BacktestConfig()
    assert config.initial_cash == 100_000.0
    assert config.execution_mode is ExecutionMode.NEXT_BAR
    assert (config.commission, config.slippage) == (NoCommission(), NoSlippage())
    assert config.insufficient_cash == "scale"
    assert config.max_participation is None
    assert config.rebalance == RebalanceConfig()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("min_trade_value", -1.0),
        ("min_trade_value", NAN),
        ("min_trade_value", INFINITY),
        ("min_trade_value", "100"),
        ("min_trade_value", True),
        ("min_trade_value", None),
        ("min_weight_change", -1e-9),
        ("allow_fractional", 1),
        ("allow_short", "yes"),
        ("lot_size", 0),
        ("lot_size", 10.5),
        ("lot_size", True),
        ("lot_size", 2**31),
        ("rounding", "nearest"),
        ("max_single_weight", 0.0),
        ("max_single_weight", NAN),
        ("max_net_exposure", -1.0),
        ("max_gross_exposure", 0),
        ("unmentioned", "keep"),
        ("ignore_if_cost_exceeds_bps", -1),
        ("min_trade_vaule", 100.0),
    ],
)
def test_what_a_rebalance_refuses(field: str, value: Any) -> None:
    with pytest.raises(ValueError, match=field):
        RebalanceConfig(**{field: value})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("initial_cash", 0.0),
        ("initial_cash", -1.0),
        ("initial_cash", NAN),
        ("initial_cash", "1000"),
        ("execution_mode", "next_open"),
        ("commission", 0.001),
        ("slippage", PercentCommission(0.001)),
        ("insufficient_cash", "ignore"),
        ("max_participation", 0.0),
        ("max_participation", INFINITY),
        ("cash", 1.0),
    ],
)
def test_what_a_backtest_refuses(field: str, value: Any) -> None:
    with pytest.raises(ValueError, match=field):
        BacktestConfig(**{field: value})


def test_a_basket_needs_steps() -> None:
    with pytest.raises(ValueError, match="needs whole units or lots"):
        RebalanceConfig(rounding="min_tracking_error", allow_fractional=True)
    RebalanceConfig(rounding="min_tracking_error", allow_fractional=True, round_lots=True)


@pytest.mark.parametrize("config", [RebalanceConfig(), BacktestConfig()])
def test_configs_are_frozen(config: Any) -> None:
    name = next(iter(type(config).model_fields))
    with pytest.raises(ValueError, match="frozen"):
        setattr(config, name, 1.0)


def test_configs_are_values() -> None:
    used = RebalanceConfig(lot_size=10)
    assert used.params.step == 1  # made on first use, and no part of what the config is
    assert used == RebalanceConfig(lot_size=10)
    assert hash(used) == hash(RebalanceConfig(lot_size=10))
    assert used != RebalanceConfig(lot_size=20)
    assert "params" not in repr(used)


@pytest.mark.parametrize(
    ("config", "step"),
    [
        (RebalanceConfig(), 1),
        (RebalanceConfig(allow_fractional=True), 0),
        (RebalanceConfig(round_lots=True), 100),
        (RebalanceConfig(round_lots=True, lot_size=10, allow_fractional=True), 10),
    ],
)
def test_the_step_that_the_kernel_reads(config: RebalanceConfig, step: int) -> None:
    assert config.params.step == step


def test_none_is_no_limit() -> None:
    assert RebalanceConfig().params.max_gross_exposure == INFINITY
    assert RebalanceConfig().params.max_cost_bps == INFINITY
    assert RebalanceConfig(max_gross_exposure=2).params.max_gross_exposure == 2.0
    assert BacktestConfig().participation == INFINITY
    assert BacktestConfig(max_participation=0.1).participation == 0.1


def test_execution_mode_takes_its_string() -> None:
    assert BacktestConfig(execution_mode="same_bar").execution_mode is ExecutionMode.SAME_BAR
    same = BacktestConfig(execution_mode=ExecutionMode.SAME_BAR)
    assert same == BacktestConfig(execution_mode="same_bar")


def test_costs_of_a_config() -> None:
    config = BacktestConfig(commission=PercentCommission(0.001), slippage=PercentSlippage(0.002))
    assert config.costs == Costs(PercentCommission(0.001), PercentSlippage(0.002))
    assert math.isclose(config.costs.params.commission_rate, 0.001)
    assert math.isclose(config.costs.params.slippage_rate, 0.002)


@pytest.mark.parametrize("model", [PercentCommission, PercentSlippage])
@pytest.mark.parametrize("rate", [-0.001, 1.0, NAN, INFINITY, True, "0.1", None])
def test_rates_are_fractions(model: Any, rate: Any) -> None:
    with pytest.raises(ValueError, match=f"{model.__name__}: rate="):
        model(rate)
