"""Text as TOML: a config that is written and read back equal, or a `ConfigError`."""

from __future__ import annotations

import atheris

with atheris.instrument_imports(include=["tomllib", "ml4t.backtest.toml"]):
    from ml4t.backtest import BacktestConfig, RebalanceConfig

from common import run

from ml4t.backtest.costs import PercentSlippage, PerShareCommission
from ml4t.backtest.errors import InputError

SEEDS = [
    BacktestConfig().to_toml().encode(),
    BacktestConfig(
        execution_mode="same_bar",
        commission=PerShareCommission(0.005, 1.0, 0.01),
        slippage=PercentSlippage(0.001),
        max_participation=0.1,
        rebalance=RebalanceConfig(max_gross_exposure=1.5, ignore_if_cost_exceeds_bps=20.0),
    )
    .to_toml()
    .encode(),
    b'initial_cash = 5_000\n[commission]\nkind = "percent"\nrate = 1e-3\n[rebalance]\nlot_size = 1',
]


def one_input(content: bytes) -> None:
    """Read the bytes as the text of a config."""
    try:
        config = BacktestConfig.from_toml(content.decode("utf-8", "replace") + "\n")
    except InputError:
        return
    assert BacktestConfig.from_toml(config.to_toml()) == config


if __name__ == "__main__":
    run(one_input, SEEDS)
