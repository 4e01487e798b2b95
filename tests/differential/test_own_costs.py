"""Models in Python that compute what the built-in ones do: the same runs on the plain road."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest

from differential.markets import CostSpec, Market, NumpySource, market, run, tables
from ml4t.backtest import BacktestConfig

N_MARKETS = 48

pytestmark = pytest.mark.filterwarnings("ignore::ml4t.backtest.errors.RebalanceWarning")


@dataclass(frozen=True)
class TwinCommission:
    """A commission as the documentation words it."""

    spec: CostSpec

    def commission(self, asset: str, quantity: float, notional: float) -> float:
        if not isinstance(self.spec, tuple):
            return notional * self.spec
        if self.spec[0] == "fixed":
            return float(self.spec[1])
        _, per_share, least, most = self.spec
        due = max(abs(quantity) * per_share, least)
        return due if most is None else min(due, notional * most)


@dataclass(frozen=True)
class TwinSlippage:
    """A slippage as the documentation words it."""

    spec: CostSpec

    def fill_price(self, asset: str, quantity: float, price: float) -> float:
        sign = math.copysign(1.0, quantity)
        if isinstance(self.spec, tuple):
            return max(price + sign * self.spec[1], 0.0)
        return price * (1.0 + sign * self.spec)


@dataclass(frozen=True)
class TwinMarket(Market):
    """A market whose costs, or one of them, are written in Python."""

    own: tuple[str, ...] = ("commission", "slippage")

    def settings(self) -> BacktestConfig:
        twins = {"commission": TwinCommission, "slippage": TwinSlippage}
        fields = {name: twins[name](self.config[name]) for name in self.own}
        return BacktestConfig(**dict(super().settings()) | fields)


OWN = (("commission", "slippage"), ("commission",), ("slippage",))


@pytest.mark.parametrize("own", OWN, ids="+".join)
def test_the_plain_road_leaves_what_the_compiled_one_does(own: tuple[str, ...]) -> None:
    n_fills = 0
    for number in range(N_MARKETS):
        case = market(NumpySource(3, number))
        twin = TwinMarket(**vars(case), own=own)
        compiled, plain = (tables(run(one)[1].ledger) for one in (case, twin))
        n_fills += compiled["fills"].size
        # A percentage of a fill is not to the last bit that of its order less what was paid.
        exact = "commission" not in own or isinstance(case.config["commission"], tuple)
        for name, table in compiled.items():
            if exact:
                assert plain[name].tobytes() == table.tobytes(), (number, name, case)
                continue
            assert plain[name].size == table.size, (number, name, case)
            for field in table.dtype.names or ():
                wanted = pytest.approx(table[field].tolist(), rel=1e-12, abs=1e-12, nan_ok=True)
                assert plain[name][field].tolist() == wanted, (number, name, field, case)
    assert n_fills > 100
