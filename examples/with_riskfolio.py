"""Two Riskfolio-Lib portfolios through 2020: least variance and least CVaR."""

import riskfolio as rp
from skfolio.datasets import load_sp500_dataset

from ml4t.backtest import DataFeed, run_provider
from ml4t.backtest.optimizers import CallableWeights


def least(risk_measure, returns):
    """Least risk by a measure of Riskfolio-Lib."""
    portfolio = rp.Portfolio(returns=returns)
    portfolio.assets_stats(method_mu="hist", method_cov="hist")
    return portfolio.optimization(model="Classic", rm=risk_measure, obj="MinRisk")


def least_variance(returns):
    """Least variance."""
    return least("MV", returns)


def least_cvar(returns):
    """Least mean loss of the worst 5 % of the days."""
    return least("CVaR", returns)


# Where Riskfolio-Lib finds no solution it returns None, which counts as a failed fit.
PROVIDERS = {
    f.__name__: CallableWeights(f, lookback=252, on_failure="previous")
    for f in (least_variance, least_cvar)
}

if __name__ == "__main__":
    feed = DataFeed.from_wide(load_sp500_dataset().loc["2019":"2020"])
    for name, provider in PROVIDERS.items():
        result = run_provider(feed, provider, "month_end")
        print(f"{name:15} {result.metrics['total_return']:7.2%}")
