"""A cost model that is written in Python, in files: its name is kept, the model is not."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from helpers import buy, run_script
from ml4t.backtest import BacktestConfig, BacktestResult, PortfolioSnapshot, plan_rebalance
from ml4t.backtest.cost_tables import SavedModel
from ml4t.backtest.costs import PercentCommission, PercentSlippage
from ml4t.backtest.errors import ConfigError, CostModelError


@dataclass(frozen=True)
class StampDuty:
    rate: float

    def commission(self, asset: str, quantity: float, notional: float) -> float:
        return self.rate * notional if quantity > 0.0 else 0.0


@dataclass(frozen=True)
class Worse:
    rate: float

    def fill_price(self, asset: str, quantity: float, price: float) -> float:
        return price * (1.0 + self.rate) if quantity > 0.0 else price * (1.0 - self.rate)


CONFIG = BacktestConfig(initial_cash=1_000.0, commission=StampDuty(0.01))
NAME = f"{__name__}.StampDuty"
SAVED = SavedModel(NAME, "StampDuty(rate=0.01)")


def test_toml_holds_no_python() -> None:
    with pytest.raises(ConfigError) as caught:
        CONFIG.to_toml()
    assert str(caught.value).startswith(
        "BacktestConfig: commission=StampDuty(rate=0.01) is written in Python, which TOML cannot "
        "hold"
    )
    with pytest.raises(ConfigError, match=r"slippage=Worse\(rate=0\.1\) is written in Python"):
        BacktestConfig(slippage=Worse(0.1)).to_toml()
    with pytest.raises(ConfigError, match="TOML text: slippage: kind='python' is a model that no"):
        BacktestConfig.from_toml('[slippage]\nkind = "python"\nname = "a.B"\nrepr = "B()"')


def test_the_way_that_the_message_shows() -> None:
    text = CONFIG.model_copy(update={"commission": PercentCommission(0.01)}).to_toml()
    read = BacktestConfig.from_toml(text).model_copy(update={"commission": StampDuty(0.01)})
    assert read == CONFIG
    assert not read.costs.is_compiled


def test_what_a_table_says_of_it() -> None:
    table = CONFIG.to_table()
    assert table["commission"] == {"kind": "python", "name": NAME, "repr": "StampDuty(rate=0.01)"}
    assert table["slippage"] == {"kind": "none"}
    read = BacktestConfig.from_table(table)
    assert read.commission == SAVED
    assert read == CONFIG.model_copy(update={"commission": SAVED})
    assert read.to_table() == table


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"kind": "python", "name": "a.B"}, "kind='python' needs 'name', 'repr'"),
        ({"kind": "python", "rate": 1.0}, "rate is unknown"),
        ({"kind": "pythn"}, "the kinds are 'none', 'percent', 'per_share', 'fixed'"),
    ],
)
def test_a_table_that_is_none(table: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        BacktestConfig.from_table({"commission": table})


def test_a_result_is_saved_and_loaded(tmp_path: Path) -> None:
    config = BacktestConfig(**dict(CONFIG) | {"slippage": Worse(0.1)})
    result = run_script({0: buy("A", 10)}, {"A": [10.0, 10.0]}, config)
    # 10 at 11, and 1 % of 110
    assert result.equity["cash"].to_list() == [1_000.0, pytest.approx(888.9)]
    result.save(tmp_path / "run")
    facts = json.loads((tmp_path / "run" / "result.json").read_text())
    assert facts["config"]["slippage"]["name"] == f"{__name__}.Worse"

    loaded = BacktestResult.load(tmp_path / "run")
    assert loaded.config.commission == SAVED
    assert "StampDuty(rate=0.01)" in repr(loaded.config)
    assert loaded.summary() == result.summary()
    assert loaded.audit() == []
    loaded.save(tmp_path / "again")
    for path in (tmp_path / "run").iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()


@pytest.mark.parametrize("field", ["commission", "slippage"])
def test_a_name_is_no_model(field: str) -> None:
    config = BacktestConfig(initial_cash=1_000.0, **{field: SAVED})
    message = rf"StampDuty\(rate=0\.01\) of class {NAME} was written in Python"
    with pytest.raises(CostModelError, match=message):
        run_script({0: buy("A", 10)}, {"A": [10.0, 10.0]}, config)
    account = PortfolioSnapshot(cash=1_000.0, prices={"A": 10.0}, costs=config.costs)
    with pytest.raises(CostModelError, match=message):
        plan_rebalance({"A": 0.5}, account)


def test_built_in_models_are_read_as_before() -> None:
    config = BacktestConfig(commission=PercentCommission(0.001), slippage=PercentSlippage(0.002))
    table = config.to_table()
    assert table["commission"] == {"kind": "percent", "rate": 0.001}
    assert table["slippage"] == {"kind": "percent", "rate": 0.002}
    assert BacktestConfig.from_table(table) == config
