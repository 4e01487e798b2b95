"""What ``ml4t-backtest demo`` runs: a real optimizer's weights on real prices.

Needs the extras ``skfolio`` (the optimizer, and 20 stocks of the S&P 500 that come with it) and
``cli`` (tables and a progress bar).
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

import polars as pl

from ml4t.backtest.broker import Broker
from ml4t.backtest.config import BacktestConfig, RebalanceConfig
from ml4t.backtest.costs import PercentCommission
from ml4t.backtest.engine import Engine
from ml4t.backtest.enums import ExecutionMode
from ml4t.backtest.execution.plan import RebalancePlan
from ml4t.backtest.execution.rebalancer import TargetWeightExecutor, WeightProvider
from ml4t.backtest.feed.datafeed import DataFeed
from ml4t.backtest.feed.view import BarData
from ml4t.backtest.metrics import performance
from ml4t.backtest.result import BacktestResult
from ml4t.backtest.strategy import Strategy

try:
    import pandas as pd
    from rich.console import Console
    from rich.table import Table
    from skfolio import RiskMeasure
    from skfolio.datasets import load_sp500_dataset
    from skfolio.optimization import MeanRisk
except ImportError as missing:
    _MISSING: str | None = missing.name
else:
    _MISSING = None

_LOOKBACK = 252
_FIRST_YEAR = 2010
_CASH = 100_000.0
_EXIT_MISSING = 2


class MinimumVariance:
    """A `WeightProvider`: skfolio's minimum-variance portfolio of the last 252 returns."""

    def get_weights(self, data: BarData, broker: Broker) -> dict[str, float]:
        """Fit on the closes up to now."""
        closes = data.history("close", _LOOKBACK + 1)
        returns = pd.DataFrame(closes[1:] / closes[:-1] - 1.0, columns=list(data.assets))
        model = MeanRisk(risk_measure=RiskMeasure.VARIANCE).fit(returns)
        return dict(zip(data.assets, model.weights_.tolist(), strict=True))


class MonthEnd(Strategy):
    """Rebalances to a provider's weights at the last bar of every month.

    `asked` keeps the weights by time, `last_plan` the last plan that was executed.
    """

    def __init__(self, provider: WeightProvider, timestamps: Sequence[datetime]) -> None:
        following = pairwise(timestamps)
        self._decides = {
            now
            for now, then in following
            if now.month != then.month and (now.year, now.month) >= (_FIRST_YEAR - 1, 12)
        }
        self._provider = provider
        self._executor = TargetWeightExecutor()
        self.asked: dict[datetime, dict[str, float]] = {}
        self.last_plan: RebalancePlan | None = None

    def on_data(
        self, timestamp: datetime, data: BarData, context: Mapping[str, Any], broker: Broker
    ) -> None:
        """Ask the provider at a month end and trade what it says."""
        if timestamp not in self._decides:
            return
        weights = self._provider.get_weights(data, broker)
        self.asked[timestamp] = weights
        self.last_plan = self._executor.plan(weights, data, broker)
        broker.submit_plan(self.last_plan)


class Recorded:
    """A `WeightProvider` that repeats weights of an earlier run."""

    def __init__(self, weights: dict[datetime, dict[str, float]]) -> None:
        self._weights = weights

    def get_weights(self, data: BarData, broker: Broker) -> dict[str, float]:
        """Return the weights of now."""
        return self._weights[data.timestamp]


def main() -> int:
    """Run the demo; returns the exit code."""
    if _MISSING is not None:
        sys.stderr.write(
            f"the demo needs {_MISSING}, which is not installed; run:\n"
            '    pip install "ml4t-backtest[skfolio,cli]"\n'
        )
        return _EXIT_MISSING
    console = Console()
    prices = load_sp500_dataset()
    feed = DataFeed.from_wide(prices.loc[f"{_FIRST_YEAR - 2}-12-01" :])
    console.print(
        f"{feed.n_assets} stocks of the S&P 500, {feed.timestamps[0]:%Y-%m-%d} to "
        f"{feed.timestamps[-1]:%Y-%m-%d}, adjusted closes (the data has no opens: "
        "an order fills at the close of the bar after its decision).\n"
        f"Minimum variance over {_LOOKBACK} days at every month end from {_FIRST_YEAR}, "
        f"{_CASH:,.0f} in cash, whole shares, 10 bps commission.\n"
    )
    account = MonthEnd(MinimumVariance(), feed.timestamps)
    traded = Engine(
        feed, account, BacktestConfig(initial_cash=_CASH, commission=PercentCommission(0.001))
    ).run(progress=True)
    no_friction = BacktestConfig(
        initial_cash=_CASH,
        execution_mode=ExecutionMode.SAME_BAR,
        rebalance=RebalanceConfig(allow_fractional=True, min_trade_value=0, min_weight_change=0),
    )
    paper = Engine(feed, MonthEnd(Recorded(account.asked), feed.timestamps), no_friction).run()
    console.print(_comparison(traded, paper, min(account.asked)))
    console.print("* the same weights in fractions, at the close of the decision, free of cost\n")
    if account.last_plan is not None:
        console.print(_plan_table(account.last_plan, max(account.asked)))
    return 0


def _figures(result: BacktestResult, since: datetime) -> dict[str, float]:
    """Return the metrics of a run, those of return and risk from the first decision on."""
    table = result.equity.filter(pl.col("timestamp") >= since)
    equity = table["equity"].to_numpy()
    times = table["timestamp"].to_physical().to_numpy()
    return result.metrics | {
        "total_return": performance.total_return(equity),
        "annual_return": performance.annual_return(equity, times),
        "volatility": performance.volatility(equity, times),
        "sharpe_ratio": performance.sharpe_ratio(equity, times),
        "max_drawdown": performance.max_drawdown(equity),
        "annual_turnover": result.metrics["turnover"] / performance.years(times),
    }


def _comparison(traded: BacktestResult, paper: BacktestResult, since: datetime) -> Table:
    table = Table(
        title=f"The account beside the same weights without friction, from {since:%Y-%m-%d}"
    )
    table.add_column("")
    table.add_column("account", justify="right")
    table.add_column("no friction*", justify="right")
    account, frictionless = _figures(traded, since), _figures(paper, since)
    for label, name, form in (
        ("Final equity", "final_equity", ",.0f"),
        ("Total return", "total_return", ".2%"),
        ("Annual return", "annual_return", ".2%"),
        ("Volatility a year", "volatility", ".2%"),
        ("Sharpe ratio", "sharpe_ratio", ".3f"),
        ("Max drawdown", "max_drawdown", ".2%"),
        ("Turnover a year", "annual_turnover", ".2%"),
        ("Commission", "commission", ",.2f"),
        ("Orders", "orders", ",.0f"),
        ("Rebalances requested", "rebalances_requested", ".0f"),
        ("Rebalances executed", "rebalances_executed", ".0f"),
    ):
        table.add_row(label, format(account[name], form), format(frictionless[name], form))
    return table


def _plan_table(plan: RebalancePlan, timestamp: datetime) -> Table:
    table = Table(title=f"The last plan, {timestamp:%Y-%m-%d}: {len(plan.orders)} orders")
    table.add_column("asset")
    for label in ("current", "target", "shares", "value"):
        table.add_column(label, justify="right")
    table.add_column("reason")
    for row in plan.rows:
        table.add_row(
            row.asset,
            f"{row.current_weight:.2%}",
            f"{row.target_weight:.2%}",
            f"{row.quantity:+,.0f}" if row.quantity else "",
            f"{row.value:+,.2f}" if row.value else "",
            ", ".join([row.reason, *row.adjustments]),
        )
    return table
