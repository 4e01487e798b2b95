"""Three PyPortfolioOpt portfolios through 2020: maximum Sharpe ratio, Black-Litterman, HRP."""

from pypfopt import BlackLittermanModel, EfficientFrontier, HRPOpt, expected_returns, risk_models
from skfolio.datasets import load_sp500_dataset

from ml4t.backtest import DataFeed, run_provider
from ml4t.backtest.optimizers import CallableWeights


def max_sharpe(prices):
    """Largest expected return per unit of risk."""
    mean = expected_returns.mean_historical_return(prices)
    return EfficientFrontier(mean, risk_models.sample_cov(prices)).max_sharpe()


def black_litterman(prices):
    """Equal prior returns and three views of ours."""
    views = {"AAPL": 0.15, "JNJ": 0.08, "XOM": -0.05}  # a year
    model = BlackLittermanModel(risk_models.sample_cov(prices), pi="equal", absolute_views=views)
    return EfficientFrontier(model.bl_returns(), model.bl_cov()).max_sharpe()


def hrp(prices):
    """Hierarchical risk parity."""
    return HRPOpt(prices.pct_change().dropna()).optimize()


PROVIDERS = {
    f.__name__: CallableWeights(f, lookback=252, values="prices", on_failure="previous")
    for f in (max_sharpe, black_litterman, hrp)
}

if __name__ == "__main__":
    feed = DataFeed.from_wide(load_sp500_dataset().loc["2019":"2020"])
    for name, provider in PROVIDERS.items():
        result = run_provider(feed, provider, "month_end")
        print(f"{name:15} {result.metrics['total_return']:7.2%}")
