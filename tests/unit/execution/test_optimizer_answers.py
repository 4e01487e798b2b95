"""Answers of optimizers that a long-only cash account cannot hold as they are."""

from __future__ import annotations

import math
from collections import OrderedDict

import numpy as np
import pandas as pd
import pytest

from helpers import day, feed_of
from ml4t.backtest import (
    BacktestConfig,
    Engine,
    ExecutionMode,
    PortfolioSnapshot,
    RebalanceConfig,
    Strategy,
    TargetWeightExecutor,
    WeightSchedule,
    plan_rebalance,
    run_weights,
)

#: 1/6, 1/6 and 2/3, rounded to five digits as PyPortfolioOpt does: they sum to 1.00001.
CLEANED = OrderedDict(A=0.16667, B=0.16667, C=0.66667)
PRICES = {"A": 10.0, "B": 25.0, "C": 666.67}


def test_cleaned_weights_that_sum_to_more_than_one_are_scaled() -> None:
    """On 100 000.

    A: 16 666.83 / 10 = 1 666.7 and B: 16 666.83 / 25 = 666.7, as without scaling.
    C: 66 667 / 666.67 would be 100 shares to the cent, scaled 66 666.33 / 666.67 = 99.999.
    """
    plan = plan_rebalance(CLEANED, PortfolioSnapshot(cash=100_000.0, prices=PRICES))
    assert {row.asset: row.target_quantity for row in plan.rows} == {"A": 1666, "B": 666, "C": 99}
    assert [row.adjustments for row in plan.rows] == [("scaled",)] * 3
    assert [row.requested_weight for row in plan.rows] == [0.16667, 0.16667, 0.66667]
    assert sum(row.target_weight for row in plan.rows) == pytest.approx(1.0, abs=1e-15)


def test_cleaned_weights_of_pyportfolioopt() -> None:
    """Six times 1/6 is cleaned to a sum of 1.00002; no position moves by more than a share."""
    pypfopt = pytest.importorskip("pypfopt")
    names = list("ABCDEF")
    solver = pypfopt.EfficientFrontier(None, pd.DataFrame(np.eye(6), names, names))
    solver.set_weights(dict.fromkeys(names, 1 / 6))
    cleaned = solver.clean_weights()
    assert math.fsum(cleaned.values()) == pytest.approx(1.00002, abs=1e-12)
    prices = dict(zip(names, (16667.0, 1666.7, 166.67, 16.667, 7.0, 1.0), strict=True))
    plan = plan_rebalance(cleaned, PortfolioSnapshot(cash=100_000.0, prices=prices))
    for row in plan.rows:
        assert row.adjustments == ("scaled",)
        assert abs(row.target_quantity - math.floor(16_667.0 / row.price + 1e-9)) <= 1
    assert plan.cash_after >= 0


# ---------------------------------------------------------------------- long and short

#: Sum 0.8, gross 1.8: long 1.3 once the short is gone, and so scaled by 1/1.3.
LONG_SHORT = {"A": 0.9, "B": 0.4, "C": -0.5}
CONFIG = BacktestConfig(
    execution_mode=ExecutionMode.SAME_BAR, rebalance=RebalanceConfig(allow_fractional=True)
)


class Always(Strategy):
    """Sends the weights at every bar."""

    def on_data(self, timestamp: object, data: object, context: object, broker: object) -> None:
        TargetWeightExecutor().execute(LONG_SHORT, data, broker)  # type: ignore[arg-type]


@pytest.mark.parametrize("road", ["run_weights", "Engine"])
def test_a_long_short_answer_in_a_long_only_account(road: str) -> None:
    feed = feed_of({"A": [10.0, 12.0, 9.0], "B": [20.0, 19.0, 25.0], "C": [30.0, 33.0, 21.0]})
    if road == "Engine":
        result = Engine(feed, Always(), CONFIG).run()
    else:
        schedule = WeightSchedule.from_frame({day(t): LONG_SHORT for t in range(3)})
        result = run_weights(feed, schedule, CONFIG)
    assert result.equity["net_exposure"].to_list() == pytest.approx([1.0] * 3, abs=1e-9)
    assert result.equity["gross_exposure"].max() <= 1 + 1e-9  # type: ignore[operator]
    assert result.equity["cash"].min() >= -1e-6 * 1.1  # type: ignore[operator]
    rows = result.rebalances
    assert rows["asset"].to_list() == ["A", "B", "C"] * 3
    assert rows["requested_weight"].to_list() == [0.9, 0.4, -0.5] * 3
    assert rows["target_weight"].to_list() == pytest.approx([0.9 / 1.3, 0.4 / 1.3, 0.0] * 3)
    assert rows["adjustments"].to_list() == ["scaled", "scaled", "short_not_allowed"] * 3
    assert (result.positions["quantity"] > 0).all()
