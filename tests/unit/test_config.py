"""Settings are checked when they are made."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path
from typing import Any, get_args

import pytest

from ml4t.backtest import BacktestConfig, ExecutionMode, RebalanceConfig
from ml4t.backtest.costs import Costs, NoCommission, NoSlippage, PercentCommission, PercentSlippage
from ml4t.backtest.errors import ConfigError

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


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: RebalanceConfig(min_weight_chnge=0.1),
            "RebalanceConfig: min_weight_chnge is unknown (nearest: 'min_weight_change')",
        ),
        (
            lambda: BacktestConfig(initial_cash=-1.0),
            "BacktestConfig: initial_cash=-1.0 is not allowed; pass a finite number > 0",
        ),
        (
            lambda: BacktestConfig(max_participation=0.0),
            "BacktestConfig: max_participation=0.0 is not allowed; "
            "pass a finite number > 0 or None",
        ),
        (
            lambda: BacktestConfig(commission=0.001),
            "BacktestConfig: commission=0.001 is not allowed; "
            "pass a NoCommission or a PercentCommission or a PerShareCommission or a "
            "FixedCommission or an object with a method commission(asset, quantity, notional)",
        ),
        (
            lambda: BacktestConfig(execution_mode="now"),
            "BacktestConfig: execution_mode='now' is not allowed; pass 'next_bar' or 'same_bar'",
        ),
        (
            lambda: RebalanceConfig(lot_size=0, allow_short="yes"),
            "RebalanceConfig: lot_size=0 is not allowed; "
            "pass a whole number >= 1 and <= 2147483647\n"
            "RebalanceConfig: allow_short='yes' is not allowed; pass True or False",
        ),
        (
            lambda: RebalanceConfig(unmentioned="keep"),
            "RebalanceConfig: unmentioned='keep' is not allowed; pass 'close' or 'hold' or 'error'",
        ),
        (
            lambda: RebalanceConfig(rounding="min_tracking_error", allow_fractional=True),
            "RebalanceConfig: rounding='min_tracking_error' needs whole units or lots; "
            "set allow_fractional=False or use rounding='position'",
        ),
    ],
)
def test_a_refusal_names_field_value_and_range(make: Any, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make()
    assert str(caught.value) == message
    assert isinstance(caught.value, ValueError)


CONFIGS = [
    BacktestConfig(),
    BacktestConfig(
        initial_cash=1.0 / 3.0,
        execution_mode="same_bar",
        commission=PercentCommission(0.1 + 0.2),
        slippage=PercentSlippage(1e-17),
        max_participation=1e22,
        rebalance=RebalanceConfig(
            min_trade_value=5e-324,
            allow_fractional=True,
            lot_size=7,
            rounding="trade",
            max_gross_exposure=2,
            unmentioned="error",
            ignore_if_cost_exceeds_bps=0.0,
        ),
    ),
]


@pytest.mark.parametrize("config", CONFIGS)
def test_toml_and_back(config: BacktestConfig, tmp_path: Path) -> None:
    text = config.to_toml()
    assert BacktestConfig.from_toml(text) == config
    path = tmp_path / "config.toml"
    path.write_text(text)
    assert BacktestConfig.from_toml(path) == config
    assert BacktestConfig.from_toml(str(path)) == config
    assert BacktestConfig.from_table(config.to_table()) == config


def test_a_rate_of_another_kind_of_number_comes_back_equal() -> None:
    config = BacktestConfig(commission=PercentCommission(Fraction(1, 1000)))  # type: ignore[arg-type]
    assert BacktestConfig.from_toml(config.to_toml()) == config


def test_what_toml_looks_like() -> None:
    lines = CONFIGS[1].to_toml().splitlines()
    assert lines[1:7] == [
        'execution_mode = "same_bar"',
        'fill_price = "open"',
        'insufficient_cash = "scale"',
        "max_participation = 1e+22",
        'delisting = "hold"',
        "",
    ]
    assert lines[7:10] == ["[commission]", 'kind = "percent"', "rate = 0.30000000000000004"]
    assert "allow_fractional = true" in lines


def test_an_empty_text_is_the_defaults() -> None:
    assert BacktestConfig.from_toml("") == BacktestConfig()
    config = BacktestConfig.from_toml("initial_cash = 5_000\n[rebalance]\nlot_size = 10")
    assert config == BacktestConfig(initial_cash=5_000.0, rebalance=RebalanceConfig(lot_size=10))


@pytest.mark.parametrize("kind", [BacktestConfig, RebalanceConfig])
def test_what_can_be_none_is_none_by_default(kind: Any) -> None:
    # TOML has no None: what is left out must come back as None
    for field in kind.model_fields.values():
        if type(None) in get_args(field.annotation):
            assert field.default is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("initial_csh = 1.0", "initial_csh is unknown (nearest: 'initial_cash')"),
        ("[rebalance]\nlotsize = 1", "RebalanceConfig: lotsize is unknown (nearest: 'lot_size')"),
        ("[rebalance]\nlot_size = 0", "lot_size=0 is not allowed; pass a whole number >= 1"),
        ("initial_cash = nan", "initial_cash=nan is not allowed"),
        ("rebalance = 3", "rebalance=3 is not a table"),
        ("commission = 0.001", "commission=0.001 is not a table with a kind"),
        ("[commission]\nrate = 0.1", "is not a table with a kind; the kinds are 'none', 'percent'"),
        ('[slippage]\nkind = "percnt"', "kind='percnt' is unknown (nearest: 'percent')"),
        ("[slippage]\nkind = [1]", "kind=[1] is unknown"),
        ('[slippage]\nkind = "percent"', "slippage: kind='percent' needs 'rate'"),
        ('[slippage]\nkind = "percent"\nrte = 1', "slippage: rte is unknown (nearest: 'rate')"),
        ('[slippage]\nkind = "none"\nrate = 1', "slippage: rate is unknown; there are no fields"),
        ('[slippage]\nkind = "percent"\nrate = 1', "PercentSlippage: rate=1 is out of range"),
        ("initial_cash = ", "this is not TOML"),
        ("config.tml", "a path ends in .toml"),
    ],
)
def test_toml_that_is_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        BacktestConfig.from_toml(text)
    assert message in str(caught.value)
    assert str(caught.value).startswith("TOML text: ")


def test_a_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    with pytest.raises(ConfigError, match=r"run\.toml: the file cannot be read"):
        BacktestConfig.from_toml(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"run\.toml: the file is not UTF-8"):
        BacktestConfig.from_toml(path)
    path.write_text("initial_cash = 0\nmax_participation = 0")
    with pytest.raises(ConfigError) as caught:
        BacktestConfig.from_toml(str(path))
    assert [line.split(": ")[:2] for line in str(caught.value).splitlines()] == [
        [str(path), "BacktestConfig"]
    ] * 2
    with pytest.raises(ConfigError, match="5 is neither a path nor TOML text"):
        BacktestConfig.from_toml(5)  # type: ignore[arg-type]


def test_a_copy_with_changes_is_checked() -> None:
    config = BacktestConfig(initial_cash=5.0)
    changed = config.model_copy(update={"max_participation": 0.5})
    assert changed == BacktestConfig(initial_cash=5.0, max_participation=0.5)
    assert config.max_participation is None
    for update, message in (
        ({"comission": PercentCommission(0.1)}, "nearest: 'commission'"),
        ({"initial_cash": -5.0}, "initial_cash=-5.0 is not allowed"),
        ({"insufficient_cash": "x"}, "'scale' or 'trim' or 'reject'"),
    ):
        with pytest.raises(ConfigError, match=message):
            config.model_copy(update=update)
