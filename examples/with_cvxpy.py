"""A cvxpy problem that is set up once, with parameters, and solved again every week of 2020."""

import cvxpy as cp
import numpy as np
from skfolio.datasets import load_sp500_dataset

from ml4t.backtest import DataFeed, run_provider
from ml4t.backtest.optimizers import CallableWeights


def least_variance(n_assets):
    """Least variance plus the cost of trading away from what is held."""
    weights, root = cp.Variable(n_assets, nonneg=True), cp.Parameter((n_assets, n_assets))
    held = cp.Parameter(n_assets)
    risk, trades = cp.sum_squares(root @ weights), cp.norm1(weights - held)
    problem = cp.Problem(cp.Minimize(risk + 0.001 * trades), [cp.sum(weights) == 1])

    def solve(returns, current_weights):
        root.value = np.linalg.cholesky(returns.cov() * 252).T
        held.value = np.array([current_weights.get(asset, 0.0) for asset in returns.columns])
        problem.solve(solver="CLARABEL")
        return weights.value  # None if there is no solution: a failed fit

    return CallableWeights(solve, lookback=252, on_failure="hold")


PROVIDERS = {"least variance": least_variance(n_assets=20)}

if __name__ == "__main__":
    feed = DataFeed.from_wide(load_sp500_dataset().loc["2019":"2020"])
    result = run_provider(feed, PROVIDERS["least variance"], "week_end")
    ms = result.optimizations.filter(status="ok")["seconds"] * 1000
    print(f"{result.metrics['total_return']:.2%}; fits: {ms[0]:.0f} ms, then {ms.median():.1f} ms")
