"""Four skfolio portfolios through 2020: CVaR, HRP, risk budgeting, and a turnover limit."""

from skfolio import RiskMeasure
from skfolio.datasets import load_sp500_dataset
from skfolio.optimization import HierarchicalRiskParity, MeanRisk, RiskBudgeting

from ml4t.backtest import BacktestConfig, DataFeed, RebalanceConfig, run_provider
from ml4t.backtest.costs import PercentCommission
from ml4t.backtest.optimizers import SkfolioWeights

ESTIMATORS = {
    "CVaR": MeanRisk(risk_measure=RiskMeasure.CVAR),
    "HRP": HierarchicalRiskParity(),
    "risk budgeting": RiskBudgeting(),
    # No weight moves by more than 2 % from what the account holds, which each fit is told; the
    # first fit, when nothing is held, starts from 5 % in each of the 20 stocks.
    "turnover limit": MeanRisk(max_turnover=0.02, previous_weights=0.05),
}
PROVIDERS = {name: SkfolioWeights(model, lookback=252) for name, model in ESTIMATORS.items()}

if __name__ == "__main__":
    feed = DataFeed.from_wide(load_sp500_dataset().loc["2019":"2020"])
    # Risk budgets move in small steps: with the default threshold of 1 % most would be skipped.
    rules = RebalanceConfig(min_weight_change=0.002)
    config = BacktestConfig(commission=PercentCommission(0.001), rebalance=rules)
    for name, provider in PROVIDERS.items():
        metrics = run_provider(feed, provider, "month_end", config).metrics
        print(f"{name:15} {metrics['total_return']:7.2%}, turnover {metrics['turnover']:.0%}")
