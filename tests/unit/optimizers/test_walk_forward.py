"""A skfolio study as a schedule: when each weight was known, and what is refused."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ml4t.backtest import DataFeed, run_weights
from ml4t.backtest.errors import WeightsError
from ml4t.backtest.optimizers import from_cross_val_predict

skfolio = pytest.importorskip("skfolio")
selection = pytest.importorskip("skfolio.model_selection")
optimization = pytest.importorskip("skfolio.optimization")
pre_selection = pytest.importorskip("skfolio.pre_selection")
folds = pytest.importorskip("sklearn.model_selection")
pipeline = pytest.importorskip("sklearn.pipeline")

#: Monday to Friday, from Monday the 1st of January 2024.
DAYS = pd.bdate_range("2024-01-01", periods=12)
RETURNS = pd.DataFrame(
    np.random.default_rng(3).normal(0.0, 0.01, (12, 3)), index=DAYS, columns=["B", "A", "C"]
)
EQUAL = dict.fromkeys("ABC", pytest.approx(1 / 3))


def study(cv: Any, model: Any = None, returns: Any = RETURNS) -> Any:
    return selection.cross_val_predict(model or optimization.EqualWeighted(), returns, cv=cv)


@pytest.mark.parametrize(
    ("cv", "days"),
    [
        # Trains on the 1st to the 5th, tests from the 8th; then on to the 10th, tests to the 12th.
        (selection.WalkForward(train_size=5, test_size=3), (5, 10)),
        # The 1st to the 5th again, but the 8th and 9th are purged: the test begins on the 10th.
        (selection.WalkForward(train_size=5, test_size=3, purged_size=2), (5,)),
        (selection.WalkForward(train_size=5, test_size=3, reduce_test=True), (5, 10, 15)),
        (selection.WalkForward(train_size=5, test_size=3, expand_train=True), (5, 10)),
        # From Monday on, one week tested, one trained on; the 15th has no full week to come.
        (selection.WalkForward(train_size=1, test_size=1, freq="W-MON"), (5,)),
        # Three tests of three at the end: the last three days, the three before, ...
        (folds.TimeSeriesSplit(n_splits=3), (3, 8, 11)),
        (folds.TimeSeriesSplit(n_splits=3, gap=1), (2, 5, 10)),
    ],
    ids=str,
)
def test_the_stamp_is_the_last_bar_of_the_training(cv: Any, days: tuple[int, ...]) -> None:
    schedule = from_cross_val_predict(study(cv), RETURNS, cv)
    assert list(schedule.rows()) == [(datetime(2024, 1, day), EQUAL) for day in days]


def test_times_keep_their_zone() -> None:
    returns = RETURNS.tz_localize("America/New_York")
    cv = selection.WalkForward(train_size=5, test_size=3)
    schedule = from_cross_val_predict(study(cv, returns=returns), returns, cv)
    assert schedule.time_zone == "America/New_York"
    assert [time.isoformat() for time, _ in schedule.rows()] == [
        "2024-01-05T00:00:00-05:00",
        "2024-01-10T00:00:00-05:00",
    ]


def test_every_period_has_its_own_weights() -> None:
    """A, B, C are as risky as 1 to 2 to 4 in the first training, as 4 to 2 to 1 in the second."""
    signs = {"A": [1, -1, 1, -1], "B": [1, 1, -1, -1], "C": [1, -1, -1, 1]}
    sizes = {"A": (0.01, 0.04), "B": (0.02, 0.02), "C": (0.04, 0.01)}
    returns = pd.DataFrame(
        {name: np.outer((*sizes[name], 0.01), signs[name]).ravel() for name in ("C", "A", "B")},
        index=DAYS,
    )
    cv = selection.WalkForward(train_size=4, test_size=4)
    schedule = from_cross_val_predict(
        study(cv, optimization.InverseVolatility(), returns), returns, cv
    )
    first, second = (weights for _, weights in schedule.rows())
    assert first == pytest.approx({"A": 4 / 7, "B": 2 / 7, "C": 1 / 7})
    assert second == pytest.approx({"A": 1 / 7, "B": 2 / 7, "C": 4 / 7})


def test_it_is_traded_in_three_lines() -> None:
    cv = selection.WalkForward(train_size=5, test_size=3)
    feed = DataFeed.from_wide(100 * (1 + RETURNS).cumprod())
    result = run_weights(feed, from_cross_val_predict(study(cv), RETURNS, cv))
    assert result.rebalances["timestamp"].unique().to_list() == [
        datetime(2024, 1, 5),
        datetime(2024, 1, 10),
    ]


# ---------------------------------------------------------------------- what is refused

WALK = selection.WalkForward(train_size=5, test_size=3)


@pytest.mark.filterwarnings("ignore")
def test_a_period_that_failed() -> None:
    """The second training, the 4th to the 10th, has no answer."""
    model = optimization.MeanRisk(min_return=0.03, raise_on_failure=False)
    returns = RETURNS.copy()
    returns.iloc[:3] += 0.1  # so that the first has one
    with pytest.raises(
        WeightsError, match=r"period 2 \(2024-01-11 to 2024-01-15\): a FailedPortfolio .*failed: "
    ):
        from_cross_val_predict(study(WALK, model, returns), returns, WALK)


def test_bars_of_the_future() -> None:
    cv = folds.KFold(3)
    with pytest.raises(
        WeightsError, match=r"period 1 \(2024-01-01 to 2024-01-04\).*up to 2024-01-16.*WalkForward"
    ):
        from_cross_val_predict(study(cv), RETURNS, cv)


def test_paths_that_overlap() -> None:
    cv = selection.CombinatorialPurgedCV(n_folds=4, n_test_folds=2)
    paths = study(cv)
    with pytest.raises(WeightsError, match="a Population of 3 is no single path"):
        from_cross_val_predict(paths, RETURNS, cv)
    with pytest.raises(WeightsError, match="4 periods, but cv splits X into 6"):
        from_cross_val_predict(paths[0], RETURNS, cv)


def test_several_models() -> None:
    models = [(name, optimization.EqualWeighted()) for name in "ab"]
    both = selection.cross_val_predict(models, RETURNS, cv=WALK)
    with pytest.raises(WeightsError, match=r"Population of 2.*one model"):
        from_cross_val_predict(both, RETURNS, WALK)
    assert len(from_cross_val_predict(both[1], RETURNS, WALK)) == 2


def test_another_split() -> None:
    found = study(WALK)
    with pytest.raises(WeightsError, match="2 periods, but cv splits X into 6"):
        from_cross_val_predict(found, RETURNS, selection.WalkForward(train_size=6, test_size=1))
    purged = selection.WalkForward(train_size=4, test_size=3, purged_size=2)
    with pytest.raises(WeightsError, match=r"period 1 .*not the test rows of cv"):
        from_cross_val_predict(found, RETURNS, purged)
    with pytest.raises(WeightsError, match=r"period 1 .*not the test rows of cv"):
        from_cross_val_predict(found, RETURNS.shift(freq="D"), WALK)


def test_a_pipeline_that_loses_the_labels() -> None:
    """Its steps hand on arrays, so that skfolio numbers the rows and the assets."""
    steps = pipeline.make_pipeline(pre_selection.SelectKExtremes(k=1), optimization.EqualWeighted())
    with pytest.raises(WeightsError, match=r"period 1 .*lost the names.*set_output\(transform="):
        from_cross_val_predict(study(WALK, steps), RETURNS, WALK)
    steps.set_output(transform="pandas")
    assert len(from_cross_val_predict(study(WALK, steps), RETURNS, WALK)) == 2


@pytest.mark.parametrize("cv", [5, None, selection.WalkForward, list(WALK.split(RETURNS))])
def test_what_is_no_splitter(cv: Any) -> None:
    with pytest.raises(WeightsError, match=r"cv=.* cannot split X; pass .*WalkForward\("):
        from_cross_val_predict(study(WALK), RETURNS, cv)


def test_a_study_is_no_schedule() -> None:
    feed = DataFeed.from_wide(100 * (1 + RETURNS).cumprod())
    with pytest.raises(WeightsError, match=r"a MultiPeriodPortfolio .*from_cross_val_predict"):
        run_weights(feed, study(WALK))
    models = [(name, optimization.EqualWeighted()) for name in "ab"]
    both = selection.cross_val_predict(models, RETURNS, cv=WALK)
    with pytest.raises(WeightsError, match="a Population holds 2 portfolios; pass one of them"):
        run_weights(feed, both)


def test_no_times() -> None:
    bare = RETURNS.to_numpy()
    with pytest.raises(WeightsError, match="X has no times"):
        from_cross_val_predict(study(WALK, returns=bare), bare, WALK)
    numbered = RETURNS.reset_index(drop=True)
    with pytest.raises(WeightsError, match="X has no times"):
        from_cross_val_predict(study(WALK, returns=numbered), numbered, WALK)


def test_one_portfolio() -> None:
    with pytest.raises(WeightsError, match="a Portfolio has no portfolios; pass what"):
        from_cross_val_predict(study(WALK)[0], RETURNS, WALK)


def test_two_periods_of_one_training() -> None:
    """A splitter of one's own that trains once and tests twice."""

    class Once:
        def split(self, frame: Any, y: Any = None, groups: Any = None) -> Any:
            yield np.arange(5), np.arange(5, 8)
            yield np.arange(5), np.arange(8, 11)

    found = skfolio.MultiPeriodPortfolio(
        [
            skfolio.Portfolio(RETURNS.iloc[5:8], [1.0, 0.0, 0.0]),
            skfolio.Portfolio(RETURNS.iloc[8:11], [0.0, 1.0, 0.0]),
        ]
    )
    with pytest.raises(WeightsError, match=r"period 2 .*trained up to 2024-01-05 .*one decision"):
        from_cross_val_predict(found, RETURNS, Once())
