"""Without friction the account earns what skfolio says a walk-forward earns, on real prices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ml4t.backtest import (
    BacktestConfig,
    BacktestResult,
    DataFeed,
    Engine,
    ExecutionMode,
    RebalanceConfig,
    Strategy,
    TargetWeightExecutor,
    WeightSchedule,
    run_provider,
    run_weights,
)
from ml4t.backtest.optimizers import SkfolioWeights, from_cross_val_predict, on_dates

datasets = pytest.importorskip("skfolio.datasets")
selection = pytest.importorskip("skfolio.model_selection")
optimization = pytest.importorskip("skfolio.optimization")
preprocessing = pytest.importorskip("skfolio.preprocessing")

#: Of the returns of a day, as fractions.
TOLERANCE = 1e-10
FRICTIONLESS = BacktestConfig(
    initial_cash=1_000_000.0,
    execution_mode=ExecutionMode.SAME_BAR,
    rebalance=RebalanceConfig(allow_fractional=True, min_trade_value=0.0, min_weight_change=0.0),
)
MODELS: dict[str, Callable[[], Any]] = {
    "equal weight": optimization.EqualWeighted,
    "inverse volatility": optimization.InverseVolatility,
    "minimum variance": optimization.MeanRisk,
}
Road = Callable[[DataFeed, WeightSchedule], BacktestResult]


class Rows(Strategy):
    """Sends the row of the schedule at its time, through the executor."""

    def __init__(self, schedule: WeightSchedule) -> None:
        self._rows = dict(schedule.rows())

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:
        if timestamp in self._rows:
            TargetWeightExecutor().execute(self._rows[timestamp], data, broker)


ROADS: dict[str, Road] = {
    "run_weights": lambda feed, schedule: run_weights(feed, schedule, FRICTIONLESS),
    "Engine": lambda feed, schedule: Engine(feed, Rows(schedule), FRICTIONLESS).run(),
}


@pytest.fixture(scope="module")
def prices() -> Any:
    """20 stocks, some 1000 days."""
    return datasets.load_sp500_dataset().loc["2017":"2020"]


def test_purged_weights_are_traded_when_they_are_known(prices: Any) -> None:
    """Three bars before skfolio has them, which is not what skfolio earns."""
    returns = preprocessing.prices_to_returns(prices)
    cv = selection.WalkForward(train_size=252, test_size=21, purged_size=3)
    study = selection.cross_val_predict(
        optimization.MeanRisk(),
        returns,
        cv=cv,
        portfolio_params={"weight_drift": True, "compounded": True},
    )
    feed = DataFeed.from_wide(prices.loc[: study.observations[-1]])
    schedule = from_cross_val_predict(study, returns, cv)
    equity = ROADS["run_weights"](feed, schedule).equity["equity"].to_numpy()
    earned = equity[1:] / equity[:-1] - 1
    assert (earned != 0).argmax() == 252
    apart = np.abs(earned[255:] - study.returns)
    # Between two decisions other weights for three days, and then the same that have drifted.
    assert 1e-3 < apart.max() < 2e-2
    assert np.median(apart) < 1e-3


@pytest.mark.parametrize("purged", [0, 3])
@pytest.mark.parametrize("road", ROADS)
@pytest.mark.parametrize("name", MODELS)
def test_returns_of_a_walk_forward(name: str, road: str, purged: int, prices: Any) -> None:
    """Skfolio holds weights from the last purged bar on: `purged` bars after they were known."""
    returns = preprocessing.prices_to_returns(prices)
    cv = selection.WalkForward(train_size=252, test_size=21, purged_size=purged)
    study = selection.cross_val_predict(
        MODELS[name](),
        returns,
        cv=cv,
        portfolio_params={"weight_drift": True, "compounded": True},
    )
    assert len(study) > 30
    schedule = from_cross_val_predict(study, returns, cv)
    feed = DataFeed.from_wide(prices.loc[: study.observations[-1]])
    schedule = schedule.shift(purged, feed.timestamps)
    equity = ROADS[road](feed, schedule).equity["equity"].to_numpy()
    earned = equity[1:] / equity[:-1] - 1
    # The account is idle until the first decision; then it holds what skfolio holds.
    idle = earned.size - study.returns.size
    assert idle == 252 + purged
    assert (earned[:idle] == 0).all()
    assert np.abs(study.returns).max() > 0.05
    np.testing.assert_allclose(earned[idle:], study.returns, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("name", MODELS)
def test_a_provider_decides_and_earns_what_the_study_does(name: str, prices: Any) -> None:
    """The same estimator, fitted by us on the bars up to the same times."""
    returns = preprocessing.prices_to_returns(prices)
    cv = selection.WalkForward(train_size=252, test_size=21)
    study = selection.cross_val_predict(
        MODELS[name](),
        returns,
        cv=cv,
        portfolio_params={"weight_drift": True, "compounded": True},
    )
    times = from_cross_val_predict(study, returns, cv).timestamps
    feed = DataFeed.from_wide(prices.loc[: study.observations[-1]])
    provider = SkfolioWeights(MODELS[name](), lookback=252)
    result = run_provider(feed, provider, on_dates(times), FRICTIONLESS)
    asked = result.weights("requested")
    assert asked["timestamp"].to_list() == list(times)
    expected = [dict(zip(each.assets, each.weights, strict=True)) for each in study]
    for row, weights in zip(asked.drop("timestamp").iter_rows(named=True), expected, strict=True):
        assert row == pytest.approx(weights, rel=0, abs=1e-12)
    equity = result.equity["equity"].to_numpy()
    earned = equity[1:] / equity[:-1] - 1
    np.testing.assert_allclose(earned[252:], study.returns, rtol=0, atol=TOLERANCE)
