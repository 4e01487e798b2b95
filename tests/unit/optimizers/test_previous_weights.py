"""What is held is told to every part of an estimator that asks: searches and pipelines too."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest
from scipy.stats import uniform
from skfolio.datasets import load_sp500_dataset
from skfolio.model_selection import WalkForward
from skfolio.optimization import EqualWeighted, InverseVolatility, MeanRisk
from skfolio.pre_selection import DropCorrelated, SelectKExtremes
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.pipeline import Pipeline

from ml4t.backtest import BacktestConfig, DataFeed, run_provider
from ml4t.backtest.optimizers import EqualWeights, SkfolioWeights, every
from ml4t.backtest.optimizers.previous_weights import asking_parts, label_steps, tell

START = 1 / 20
FOLDS = WalkForward(train_size=100, test_size=50)
CONFIG = BacktestConfig(
    execution_mode="same_bar",
    rebalance={"allow_fractional": True, "min_trade_value": 0.0, "min_weight_change": 0.0},
)


@pytest.fixture(scope="module")
def feed() -> DataFeed:
    return DataFeed.from_wide(load_sp500_dataset().loc["2019-06":"2020"])


def grid(estimator: Any, **tried: Any) -> GridSearchCV:
    return GridSearchCV(estimator, tried, cv=FOLDS)


def pipe(last: Any) -> Pipeline:
    return Pipeline([("select", SelectKExtremes(k=5)), ("o", last)])


COSTLY = MeanRisk(transaction_costs=1e-4)
AN_ESTIMATOR = "estimator__previous_weights"
A_STEP = "estimator__o__previous_weights"


@pytest.mark.parametrize(
    ("estimator", "expected"),
    [
        (MeanRisk(), ()),
        (COSTLY, ("previous_weights",)),
        (pipe(COSTLY), ("o__previous_weights",)),
        (grid(COSTLY, l2_coef=[0.0, 0.1]), (AN_ESTIMATOR,)),
        # A candidate asks, the estimator itself does not.
        (grid(MeanRisk(), max_turnover=[0.02]), (AN_ESTIMATOR,)),
        (grid(MeanRisk(), max_turnover=[None, 0.02], l2_coef=[0.0, 0.1]), (AN_ESTIMATOR,)),
        (grid(MeanRisk(), transaction_costs=np.array([0.0, 1e-4])), (AN_ESTIMATOR,)),
        (GridSearchCV(MeanRisk(), [{"l2_coef": [0.1]}, {"max_turnover": [0.1]}]), (AN_ESTIMATOR,)),
        (RandomizedSearchCV(MeanRisk(), {"max_turnover": uniform(0.01, 0.1)}), (AN_ESTIMATOR,)),
        (grid(MeanRisk(), fallback=["previous_weights"]), (AN_ESTIMATOR,)),
        (grid(pipe(MeanRisk()), o__max_turnover=[0.02]), (A_STEP,)),
        (grid(pipe("passthrough"), o=[InverseVolatility(), COSTLY]), (A_STEP,)),
        (pipe(grid(MeanRisk(), max_turnover=[0.02])), (f"o__{AN_ESTIMATOR}",)),
        # None of them does.
        (grid(MeanRisk(), l2_coef=[0.0, 0.1], max_turnover=[None]), ()),
        (grid(MeanRisk(), l2_coef=[]), ()),
        (grid(MeanRisk(), no_such_thing=[0.1]), ()),
        (grid(pipe(MeanRisk()), select__k=[3, 5]), ()),
    ],
)
def test_who_asks(estimator: Any, expected: tuple[str, ...]) -> None:
    assert asking_parts(estimator) == expected
    assert SkfolioWeights(estimator, 200).uses_account == bool(expected)


def test_all_candidates_are_told() -> None:
    held = {"A": 0.75, "B": 0.25}
    search = grid(pipe("passthrough"), o=[EqualWeighted(), clone(COSTLY)], select__k=[1])
    tell(search, asking_parts(search), held)
    assert [one.previous_weights for one in search.param_grid["o"]] == [held, held]
    search = grid(pipe(MeanRisk()), o__max_turnover=[None, 0.02])
    tell(search, asking_parts(search), held)
    assert search.estimator.steps[-1][1].previous_weights == held


def test_the_steps_that_a_search_tries_have_names_too() -> None:
    search = grid(pipe(MeanRisk()), select=[DropCorrelated(), pipe(MeanRisk())])
    label_steps(search)
    alone, nested = search.param_grid["select"]
    columns = load_sp500_dataset().iloc[:50, :6].pct_change().dropna()
    for step in (alone, nested.steps[0][1], search.estimator.steps[0][1]):
        assert list(step.fit_transform(columns).columns)


def changes(result: Any) -> np.ndarray:
    """Of each asset at each plan but the first, which starts from nothing."""
    later = result.rebalances.filter(result.rebalances["plan_idx"] > 0)
    return (later["target_weight"] - later["current_weight"]).abs().to_numpy()


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_limit_that_a_search_tries_is_one_of_the_account(feed: DataFeed) -> None:
    """In skfolio it is a bound of each asset's change."""
    search = grid(MeanRisk(previous_weights=START), max_turnover=[0.02])
    provider = SkfolioWeights(search, 252, on_failure=EqualWeights())
    result = run_provider(feed, provider, every(20), CONFIG)
    assert result.optimizations["status"].to_list().count("ok") >= 5
    assert 0.015 < changes(result).max() <= 0.02 + 1e-4
    assert search.estimator.previous_weights == START


@pytest.mark.parametrize(
    "estimator",
    [
        pipe(MeanRisk(transaction_costs=1e-4)),
        Pipeline([("drop", DropCorrelated(threshold=0.8)), ("o", MeanRisk(max_turnover=0.5))]),
        Pipeline([("outer", pipe("passthrough")), ("o", MeanRisk(transaction_costs=1e-4))]),
        grid(pipe(MeanRisk()), o__transaction_costs=[1e-4]),
        grid(pipe(EqualWeighted()), o=[MeanRisk(transaction_costs=1e-4)]),
    ],
)
def test_pipelines_that_ask_trade(feed: DataFeed, estimator: Any) -> None:
    """Once something is held, the last step must know the names of its assets."""
    result = run_provider(feed, SkfolioWeights(estimator, 200), every(60), CONFIG)
    assert result.optimizations["status"].to_list().count("ok") >= 3
    assert "failed" not in result.optimizations["status"].to_list()
    assert not hasattr(getattr(estimator, "steps", [("", None)])[0][1], "_sklearn_output_config")


class Told(MeanRisk):  # type: ignore[misc]
    """Says what it was told, and fails at its third and fourth fit."""

    seen: ClassVar[list[Any]] = []

    def fit(self, X: Any, y: Any = None, **others: Any) -> Any:  # noqa: N803
        Told.seen.append(self.previous_weights)
        if len(Told.seen) in (3, 4):
            raise ValueError("no solution")
        return super().fit(X, y, **others)


@pytest.mark.parametrize("is_fallback", [False, True])
def test_an_account_that_was_emptied_holds_zeros(feed: DataFeed, is_fallback: bool) -> None:
    """Not the weights to start from, which are for before anything was held."""
    Told.seen = []
    told = SkfolioWeights(Told(max_turnover=0.9, previous_weights=START), 200, on_failure="cash")
    provider = SkfolioWeights(MeanRisk(min_weights=0.5), 200, on_failure=told)
    if not is_fallback:
        provider = told
    run_provider(feed, provider, every(40), CONFIG)
    first, held, before_cash, emptied, after, *_ = Told.seen
    assert first == START
    assert sum(held.values()) == pytest.approx(1.0, abs=0.05)
    assert sum(before_cash.values()) == pytest.approx(1.0, abs=0.05)
    assert emptied == after == dict.fromkeys(feed.assets, 0.0)
