"""Weights as other libraries give them: read by label, in whatever order they come."""

from __future__ import annotations

import itertools
import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from ml4t.backtest import as_weights
from ml4t.backtest.errors import WeightsError

NAN = float("nan")
WEIGHTS = {"A": 0.5, "B": 0.3, "C": -0.1}
ORDERS = list(itertools.permutations(WEIGHTS))
DAY = datetime(2024, 1, 31)


def asset_frame(names: Sequence[str], **columns: list[Any]) -> pd.DataFrame:
    return pd.DataFrame({"asset": list(names), "weight": values(names), **columns})


def values(names: Sequence[str]) -> list[float]:
    return [WEIGHTS[name] for name in names]


#: Each makes an object that says `WEIGHTS`, with the assets in the order given.
MAKERS: dict[str, Callable[[Sequence[str]], Any]] = {
    "dict": lambda names: {name: WEIGHTS[name] for name in names},
    "OrderedDict": lambda names: OrderedDict((name, WEIGHTS[name]) for name in names),
    "pandas Series": lambda names: pd.Series(values(names), index=list(names)),
    "column": lambda names: pd.DataFrame({"weights": values(names)}, index=list(names)),
    "column without a name": lambda names: pd.DataFrame(values(names), index=list(names)),
    "row": lambda names: pd.DataFrame([values(names)], columns=list(names)),
    "row of a column": lambda names: pd.DataFrame({"weights": values(names)}, index=list(names)).T,
    "row of a time": lambda names: pd.DataFrame([values(names)], [DAY], columns=list(names)),
    "row, pandas, with a column date": lambda names: pd.DataFrame(
        [[DAY, *values(names)]], columns=["date", *names]
    ),
    "row, polars": lambda names: pl.DataFrame([values(names)], schema=list(names), orient="row"),
    "row, polars, with its time": lambda names: pl.DataFrame(
        [[*values(names), DAY]], schema=[*names, "timestamp"], orient="row"
    ),
    "row, pyarrow": lambda names: pa.table({name: [WEIGHTS[name]] for name in names}),
    "long, pandas": asset_frame,
    "long, pandas, of one time": lambda names: asset_frame(names, date=[DAY] * 3),
    "long, polars": lambda names: pl.from_pandas(asset_frame(names)),
    "long, polars, lazy": lambda names: pl.from_pandas(asset_frame(names)).lazy(),
    "long, polars, categories": lambda names: pl.from_pandas(asset_frame(names)).cast(
        {"asset": pl.Categorical}
    ),
    "long, polars, other names": lambda names: pl.from_pandas(asset_frame(names)).rename(
        {"asset": "Ticker", "weight": "Weights"}
    ),
    "long, pyarrow": lambda names: pa.Table.from_pandas(asset_frame(names)),
}
#: The same without labels.
UNLABELLED: dict[str, Callable[[list[float]], Any]] = {
    "list": list,
    "tuple": tuple,
    "numpy": np.array,
    "numpy objects": lambda found: np.array(found, dtype=object),
    "polars Series": pl.Series,
}


@pytest.mark.parametrize("order", ORDERS, ids="".join)
@pytest.mark.parametrize("kind", MAKERS)
def test_labels_alone_count(kind: str, order: tuple[str, ...]) -> None:
    found = as_weights(MAKERS[kind](order))
    assert found == WEIGHTS
    assert tuple(found) == order
    assert {type(weight) for weight in found.values()} == {float}
    assert as_weights(MAKERS[kind](order), assets=["C", "A", "D", "B"]) == WEIGHTS


@pytest.mark.parametrize("order", ORDERS, ids="".join)
@pytest.mark.parametrize("kind", UNLABELLED)
def test_without_labels_assets_are_the_labels(kind: str, order: tuple[str, ...]) -> None:
    made = UNLABELLED[kind](values(order))
    assert as_weights(made, assets=order) == WEIGHTS
    assert as_weights(made, pd.Index(order)) == WEIGHTS
    with pytest.raises(WeightsError, match=r"has no labels.*assets="):
        as_weights(made)


@pytest.mark.parametrize("kind", [kind for kind in MAKERS if kind not in ("dict", "OrderedDict")])
def test_twice_and_not_a_number(kind: str) -> None:
    """A label that is twice, and a weight that is NaN, in every kind that can hold them."""
    with pytest.raises(WeightsError, match=r"B=nan' are not finite|B=None' are not numbers"):
        as_weights(_with_nan(MAKERS[kind](("A", "B", "C"))))
    if not kind.startswith("row, p"):  # whose columns have one name each
        with pytest.raises(WeightsError, match="'A' appear more than once"):
            as_weights(MAKERS[kind](("A", "B", "A")))


def _with_nan(made: Any) -> Any:
    """Replace the weight of B, 0.3."""
    if isinstance(made, pa.Table):
        return pa.Table.from_pandas(_with_nan(made.to_pandas()))
    if isinstance(made, (pl.DataFrame, pl.LazyFrame)):
        return made.with_columns(pl.col(pl.Float64).replace(0.3, NAN))
    return made.replace(0.3, NAN)


def test_one_asset() -> None:
    assert as_weights(pd.DataFrame({"weights": [0.5]}, index=["A"])) == {"A": 0.5}
    assert as_weights(pd.DataFrame({"A": [0.5]}, index=["weights"])) == {"A": 0.5}
    assert as_weights(pd.DataFrame([0.5], index=["A"])) == {"A": 0.5}
    assert as_weights(pd.DataFrame({"A": [0.5]})) == {"A": 0.5}
    with pytest.raises(WeightsError, match="1 rows and columns 'A' is not understood"):
        as_weights(pd.DataFrame({"A": [0.5]}, index=["B"]))


def test_an_asset_may_be_called_date() -> None:
    assert as_weights(pl.DataFrame({"DATE": [0.5], "A": [0.25]})) == {"DATE": 0.5, "A": 0.25}


def test_labels_that_are_attributes_of_other_objects() -> None:
    names = ["weights", "tickers", "observations", "portfolios", "fit", "get_params"]
    expected = dict.fromkeys(names, 0.125)
    assert as_weights(pd.Series(expected)) == expected
    assert as_weights(pd.DataFrame([expected])) == expected


@pytest.mark.parametrize(
    ("weights", "match"),
    [
        (pd.DataFrame({"A": [0.5, 0.6], "B": [0.5, 0.4]}), "2 rows and columns 'A', 'B'"),
        (pd.DataFrame({"weights": [0.5, 0.5]}), "2 rows and columns 'weights'.*indexed by asset"),
        (pl.DataFrame({"weight": [0.5, 0.5]}), "columns asset and weight"),
        (pd.DataFrame(), "0 rows"),
        (
            pl.DataFrame({"date": [DAY, datetime(2024, 2, 29)], "asset": "A", "weight": 0.5}),
            "2 times, '2024-01-31 00:00:00' and others.*WeightSchedule.from_frame",
        ),
        (pl.DataFrame({"asset": ["A", None], "weight": [0.5, 0.5]}), "None are not asset names"),
        (pd.DataFrame({"asset": ["A"], "weight": [True]}), "A=True' are not numbers"),
        (pd.DataFrame([[True, 0.5]], columns=["A", "B"]), "A=True' are not numbers"),
    ],
)
def test_frames_that_are_no_answer(weights: Any, match: str) -> None:
    with pytest.raises(WeightsError, match=match):
        as_weights(weights)


@pytest.mark.parametrize(
    ("weights", "assets", "match"),
    [
        ([0.5, 0.5], ["A"], "2 weights and 1 assets"),
        ([0.5, 0.5], ["A", "A"], "'A' appear more than once"),
        ([0.5], "A", "must be a sequence of names"),
        ([0.5], [1], "1 are not asset names"),
        ([0.5, 0.5], {"A", "B"}, "assets= is a set, which has no order.*pass a list or a tuple"),
        ([0.5, 0.5], frozenset("AB"), "assets= is a frozenset, which has no order"),
        ({"A": 0.5}, {"A", "B"}, "assets= is a set, which has no order"),
        ([0.5, NAN], ["A", "B"], "B=nan' are not finite"),
        ([0.5, None], ["A", "B"], "B=None' are not numbers"),
        (np.array([[0.5], [0.5]]), ["A", "B"], r"shape \(2, 1\).*one dimension"),
        (np.array(0.5), ["A"], r"shape \(\)"),
        (pd.Series([0.5, 0.5]), ["A", "B"], "0, 1 are not asset names"),
        ({"APPL": 0.5}, ["AAPL", "MSFT"], "'APPL' .nearest: 'AAPL'. are not among the 2"),
        (None, ["A"], "None is no answer"),
    ],
)
def test_names_that_do_not_fit(weights: Any, assets: Any, match: str) -> None:
    with pytest.raises(WeightsError, match=match):
        as_weights(weights, assets)


def test_names_that_have_an_order() -> None:
    expected = {"C": 0.5, "A": 0.25}
    by_name = dict.fromkeys(expected)
    for names in (list(expected), np.array(["C", "A"]), pd.Index(["C", "A"]), by_name.keys()):
        assert as_weights([0.5, 0.25], assets=names) == expected


# ---------------------------------------------------------------------- skfolio


def returns(names: Sequence[str]) -> pd.DataFrame:
    """Uncorrelated returns of A, B, C with mean 0 and volatilities as 1 to 2 to 4."""
    signs = {"A": [1, -1] * 8, "B": [1, 1, -1, -1] * 4, "C": [1, 1, 1, 1, -1, -1, -1, -1] * 2}
    size = {"A": 0.01, "B": 0.02, "C": 0.04}
    days = pd.date_range("2024-01-01", periods=16)
    return pd.DataFrame({name: np.array(signs[name]) * size[name] for name in names}, index=days)


#: Inverse volatilities 4 : 2 : 1 of these.
INVERSE = {"A": 4 / 7, "B": 2 / 7, "C": 1 / 7}


@pytest.mark.parametrize("order", ORDERS, ids="".join)
def test_skfolio(order: tuple[str, ...]) -> None:
    optimization = pytest.importorskip("skfolio.optimization")
    pipeline = pytest.importorskip("sklearn.pipeline")
    selection = pytest.importorskip("sklearn.model_selection")
    frame = returns(order)
    model = optimization.InverseVolatility()
    with pytest.raises(WeightsError, match=r"InverseVolatility has no weights_; fit it first"):
        as_weights(model)
    model.fit(frame)
    search = selection.GridSearchCV(model, {"raise_on_failure": [True]}, cv=2).fit(frame)
    steps = pipeline.make_pipeline("passthrough", model).fit(frame)
    for found in (model, model.predict(frame), search, steps):
        assert as_weights(found) == pytest.approx(INVERSE, rel=1e-12)
        assert tuple(as_weights(found)) == order
    bare = optimization.InverseVolatility().fit(frame.to_numpy())
    for found in (bare, bare.predict(frame.to_numpy()), bare.weights_):
        assert as_weights(found, assets=order) == pytest.approx(INVERSE, rel=1e-12)
        with pytest.raises(WeightsError, match="has no labels"):
            as_weights(found)


@pytest.mark.parametrize("order", ORDERS, ids="".join)
def test_a_skfolio_pipeline_that_drops_assets(order: tuple[str, ...]) -> None:
    """Without C: 1/s of A and B are as 2 to 1. The step in between hands on a bare array."""
    optimization = pytest.importorskip("skfolio.optimization")
    pipeline = pytest.importorskip("sklearn.pipeline")
    features = pytest.importorskip("sklearn.feature_selection")

    def quiet(frame: Any, _: Any) -> Any:
        return -np.asarray(frame).std(axis=0)

    model = pipeline.make_pipeline(
        features.SelectKBest(quiet, k=2), optimization.InverseVolatility()
    )
    model.fit(returns(order), np.zeros(16))
    assert as_weights(model) == pytest.approx({"A": 2 / 3, "B": 1 / 3}, rel=1e-12)


@pytest.mark.filterwarnings("ignore")
def test_a_skfolio_fit_that_failed() -> None:
    optimization = pytest.importorskip("skfolio.optimization")
    frame = returns("ABC")
    model = optimization.MeanRisk(min_return=10.0, raise_on_failure=False).fit(frame)
    with pytest.raises(WeightsError, match=r"the fit of the MeanRisk failed: \S"):
        as_weights(model)
    with pytest.raises(WeightsError, match=r"FailedPortfolio holds no weights.*failed: \S"):
        as_weights(model.predict(frame))


def test_many_skfolio_portfolios() -> None:
    optimization = pytest.importorskip("skfolio.optimization")
    skfolio = pytest.importorskip("skfolio")
    frame = returns("ABC")
    one = optimization.InverseVolatility().fit(frame).predict(frame)
    with pytest.raises(WeightsError, match=r"MultiPeriodPortfolio.*from_cross_val_predict"):
        as_weights(skfolio.MultiPeriodPortfolio([one]))
    with pytest.raises(WeightsError, match="Population holds 2 portfolios; pass one"):
        as_weights(skfolio.Population([one, one]))


# ---------------------------------------------------------------------- PyPortfolioOpt


def test_the_attributes_of_pyportfolioopt() -> None:
    """Runs without the library: what its optimizers document, `tickers` and `weights`."""
    solver = SimpleNamespace(tickers=["B", "A"], weights=None)
    with pytest.raises(WeightsError, match="has no weights yet; call"):
        as_weights(solver)
    solver.weights = np.array([0.75, 0.25])
    assert as_weights(solver) == {"B": 0.75, "A": 0.25}
    solver.tickers = [0, 1]
    with pytest.raises(WeightsError, match="has no labels"):
        as_weights(solver)
    assert as_weights(solver, assets=["B", "A"]) == {"B": 0.75, "A": 0.25}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("order", ORDERS, ids="".join)
def test_pyportfolioopt(order: tuple[str, ...]) -> None:
    """Uncorrelated assets: the minimum variance is at 1/variance, 16 : 4 : 1."""
    pypfopt = pytest.importorskip("pypfopt")
    variances = pd.Series({"A": 1.0, "B": 4.0, "C": 16.0})[list(order)]
    covariance = pd.DataFrame(np.diag(variances), index=list(order), columns=list(order)) * 1e-4
    expected = {"A": 16 / 21, "B": 4 / 21, "C": 1 / 21}
    solver = pypfopt.EfficientFrontier(None, covariance)
    with pytest.raises(WeightsError, match="EfficientFrontier has no weights yet"):
        as_weights(solver)
    raw = solver.min_volatility()
    for found in (solver, raw, solver.clean_weights(rounding=None)):
        assert as_weights(found) == pytest.approx(expected, abs=1e-4)
        assert tuple(as_weights(found)) == order
    solver.set_weights(WEIGHTS)
    assert as_weights(solver) == WEIGHTS
    bare = pypfopt.EfficientFrontier(None, covariance.to_numpy())
    bare.min_volatility()
    assert as_weights(bare, assets=order) == pytest.approx(expected, abs=1e-4)
    with pytest.raises(WeightsError, match="has no labels"):
        as_weights(bare)


# ---------------------------------------------------------------------- Riskfolio-Lib, cvxpy


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("order", ORDERS[:2], ids="".join)
def test_riskfolio(order: tuple[str, ...]) -> None:
    riskfolio = pytest.importorskip("riskfolio")
    draws = np.random.default_rng(7).standard_normal((60, 3))
    # Columns made uncorrelated, with volatilities of 1, 2 and 4 %: the answer is known.
    whitened, _ = np.linalg.qr(draws - draws.mean(axis=0))
    frame = pd.DataFrame(whitened * [0.01, 0.02, 0.04], columns=list("ABC"))[list(order)]
    portfolio = riskfolio.Portfolio(returns=frame)
    portfolio.assets_stats(method_mu="hist", method_cov="hist")
    found = portfolio.optimization(model="Classic", rm="MV", obj="MinRisk", hist=True)
    expected = {"A": 16 / 21, "B": 4 / 21, "C": 1 / 21}
    assert as_weights(found) == pytest.approx(expected, abs=1e-4)
    assert as_weights(found.T) == as_weights(found)
    assert tuple(as_weights(found)) == order


@pytest.mark.parametrize("order", ORDERS[:2], ids="".join)
def test_cvxpy(order: tuple[str, ...]) -> None:
    cvxpy = pytest.importorskip("cvxpy")
    variances = np.array([{"A": 1.0, "B": 4.0, "C": 16.0}[name] for name in order])
    weights = cvxpy.Variable(3)
    problem = cvxpy.Problem(
        cvxpy.Minimize(variances @ cvxpy.square(weights)), [cvxpy.sum(weights) == 1]
    )
    with pytest.raises(WeightsError, match="None is no answer"):
        as_weights(weights.value, assets=order)
    problem.solve(solver="CLARABEL")
    expected = {"A": 16 / 21, "B": 4 / 21, "C": 1 / 21}
    assert as_weights(weights.value, assets=order) == pytest.approx(expected, abs=1e-6)
    assert math.isclose(sum(as_weights(weights.value, assets=order).values()), 1.0)
