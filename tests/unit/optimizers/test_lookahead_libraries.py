"""Clean pipelines of the optimizers' libraries pass the tripwire, and would not with the future."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

from ml4t.backtest.optimizers import CallableWeights, SkfolioWeights, check_lookahead

pd = pytest.importorskip("pandas")
datasets = pytest.importorskip("skfolio.datasets")

N_BARS = 126  # half a year, of which each fit sees the last 60
LOOKBACK = 60


def prices() -> Any:
    """Return six of the S&P 500 stocks of skfolio."""
    return datasets.load_sp500_dataset().loc["2018":].iloc[:N_BARS, :6].rename_axis("date")


def by_skfolio(returns: Any) -> Any:
    return import_module("skfolio.optimization").HierarchicalRiskParity().fit(returns)


def by_pypfopt(returns: Any) -> Any:
    return import_module("pypfopt").EfficientFrontier(None, returns.cov() * 252).min_volatility()


def by_riskfolio(returns: Any) -> Any:
    portfolio = import_module("riskfolio").Portfolio(returns=returns)
    portfolio.assets_stats(method_mu="hist", method_cov="hist")
    return portfolio.optimization(model="Classic", rm="MV", obj="MinRisk")["weights"]


def by_cvxpy(returns: Any) -> Any:
    cp: Any = import_module("cvxpy")
    weights = cp.Variable(returns.shape[1], nonneg=True)
    risk = cp.quad_form(weights, returns.cov().to_numpy() * 252, assume_PSD=True)
    cp.Problem(cp.Minimize(risk), [cp.sum(weights) == 1]).solve(solver="CLARABEL")
    return pd.Series(weights.value, index=returns.columns)


def by_sklearn(returns: Any) -> Any:
    ridge = import_module("sklearn.linear_model").Ridge(alpha=0.01)
    today, tomorrow = returns.iloc[:-1].to_numpy(), returns.iloc[1:].to_numpy()
    scores = ridge.fit(today, tomorrow).predict(returns.iloc[-1:].to_numpy())[0]
    return pd.Series(np.exp(scores) / np.exp(scores).sum(), index=returns.columns)


LIBRARIES = {
    "skfolio": by_skfolio,
    "pypfopt": by_pypfopt,
    "riskfolio": by_riskfolio,
    "cvxpy": by_cvxpy,
    "sklearn": by_sklearn,
}


def fitted(library: str) -> Callable[[Any], Any]:
    if find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    return LIBRARIES[library]


def weight_frame(fit: Callable[[Any], Any], ahead: int = 0) -> Callable[[Any], Any]:
    """A pipeline that fits every 20 bars, on the bars up to `ahead` bars later."""

    def build(prices: Any) -> Any:
        returns = prices.pct_change(fill_method=None)
        rows = {}
        for bar in range(LOOKBACK + 5, len(prices) - ahead, 20):
            known = returns.iloc[bar + ahead - LOOKBACK + 1 : bar + ahead + 1].dropna(axis=1)
            answer = fit(known)
            if hasattr(answer, "weights_"):
                answer = dict(zip(answer.feature_names_in_, answer.weights_, strict=True))
            rows[prices.index[bar]] = dict(answer)
        # An asset with a gap is not held.
        frame = pd.DataFrame.from_dict(rows, orient="index").reindex(columns=prices.columns)
        return frame.fillna(0.0)

    return build


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_weight_frame(library: str) -> None:
    fit = fitted(library)
    report = check_lookahead(weight_frame(fit), prices(), samples=3)
    # Bars 65, 85, 105 and 125; nothing comes after the last one.
    assert report.n_decision_times == 3
    assert report.failures.is_empty()
    assert report.leaks.is_empty()
    assert check_lookahead(weight_frame(fit, ahead=1), prices(), samples=3).leaks.height > 0


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_provider(library: str) -> None:
    fit = fitted(library)

    def build(prices: Any) -> Any:
        if library == "skfolio":
            estimator = import_module("skfolio.optimization").HierarchicalRiskParity()
            return SkfolioWeights(estimator, lookback=LOOKBACK)
        return CallableWeights(fit, lookback=LOOKBACK)

    report = check_lookahead(build, prices(), samples=4)
    # There are 60 returns from March 29 on, and the last bar is one of July.
    assert [str(time.date()) for time in report.tried] == [
        "2018-03-29",
        "2018-04-30",
        "2018-05-31",
        "2018-06-29",
    ]
    assert report.failures.is_empty()
    assert report.leaks.is_empty()


def by_row_sum(prices: Any) -> Any:
    past = prices.shift(1)
    return past.div(past.sum(axis=1), axis=0)


def by_share_of_gains(prices: Any) -> Any:
    gains = prices.pct_change(21).clip(0.0)
    return gains.div(gains.sum(axis=1), axis=0)


def without_mean(prices: Any) -> Any:
    returns = prices.pct_change(5)
    return returns.sub(returns.mean(axis=1), axis=0)


@pytest.mark.parametrize("build", [by_row_sum, by_share_of_gains, without_mean])
def test_sums_over_real_rows(build: Callable[[Any], Any]) -> None:
    stocks = datasets.load_sp500_dataset().loc["2018":"2019"]
    report = check_lookahead(build, stocks)
    assert report.leaks.is_empty()
    assert report.n_rounded == 0
    assert len(report.tried) == 20
