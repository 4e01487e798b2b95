"""Estimators side by side; a module of its own, since a process imports what its fits are in."""

from __future__ import annotations

from typing import Any

import pytest
from numba import config as numba_config
from skfolio.datasets import load_sp500_dataset
from skfolio.optimization import MeanRisk
from sklearn import config_context, get_config

from ml4t.backtest import DataFeed, run_provider
from ml4t.backtest.optimizers import SkfolioWeights

FRAMES = ("equity", "orders", "fills", "trades", "positions", "rebalances")


class Configured(MeanRisk):  # type: ignore[misc]
    """Knows whether scikit-learn is set as the test has set it."""

    def fit(self, X: Any, y: Any = None, **others: Any) -> Any:  # noqa: N803
        assert get_config()["transform_output"] == "pandas"
        return super().fit(X, y, **others)


@pytest.mark.skipif(
    bool(numba_config.DISABLE_JIT), reason="tried once, where the kernel is compiled"
)
@pytest.mark.filterwarnings("ignore::ml4t.backtest.errors.RebalanceWarning")
def test_the_same_to_the_last_bit() -> None:
    feed = DataFeed.from_wide(load_sp500_dataset().loc["2020":"2021"])
    provider = SkfolioWeights(Configured(), 63)
    with config_context(transform_output="pandas"):
        one, two = (run_provider(feed, provider, n_jobs=n) for n in (1, 2))
    for name in FRAMES:
        assert getattr(one, name).equals(getattr(two, name)), name
    assert one.optimizations.drop("seconds").equals(two.optimizations.drop("seconds"))
    assert one.tables["excluded_assets"].equals(two.tables["excluded_assets"])
    assert one.optimizations.filter(status="ok").height == 20
    assert one.weights("requested").height == 20
