"""What ``ml4t-backtest demo`` runs: a real optimizer's weights on real prices.

Needs the extras ``skfolio`` (the optimizer, and 20 stocks of the S&P 500 that come with it) and
``cli`` (tables and a progress bar).
"""

from __future__ import annotations

import sys
from datetime import datetime

import polars as pl

from ml4t.backtest.config import BacktestConfig, RebalanceConfig
from ml4t.backtest.costs import PercentCommission
from ml4t.backtest.enums import ExecutionMode
from ml4t.backtest.feed.bars import nanoseconds
from ml4t.backtest.feed.datafeed import DataFeed
from ml4t.backtest.metrics import performance
from ml4t.backtest.optimizers.run import run_provider
from ml4t.backtest.optimizers.skfolio_weights import SkfolioWeights
from ml4t.backtest.replay import run_weights
from ml4t.backtest.result import BacktestResult

try:
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
_CUTOFF = 1e-4
_EXIT_MISSING = 2


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
        f"{_CASH:,.0f} in cash, whole shares, 10 bps commission. "
        f"Weights below {_CUTOFF:.2%}, which is how a solver says 0, are 0.\n"
    )
    provider = SkfolioWeights(
        MeanRisk(risk_measure=RiskMeasure.VARIANCE), lookback=_LOOKBACK, cutoff=_CUTOFF
    )
    config = BacktestConfig(initial_cash=_CASH, commission=PercentCommission(0.001))
    traded = run_provider(feed, provider, "month_end", config, progress=True)
    console.print(_fits(traded) + "\n")
    no_friction = BacktestConfig(
        initial_cash=_CASH,
        execution_mode=ExecutionMode.SAME_BAR,
        rebalance=RebalanceConfig(allow_fractional=True, min_trade_value=0, min_weight_change=0),
    )
    asked = traded.weights("requested")
    paper = run_weights(feed, asked, no_friction)
    console.print(_comparison(traded, paper, asked["timestamp"][0]))
    console.print("* the same weights in fractions, at the close of the decision, free of cost\n")
    console.print(_last_plan(traded.rebalances))
    return 0


def _fits(result: BacktestResult) -> str:
    asked = result.optimizations
    fits = asked.filter(pl.col("status") != "no_decision")
    failed = fits.filter(pl.col("status") != "ok")
    return (
        f"{fits.height} fits in {fits['seconds'].sum():.1f} s, {failed.height} failed; at "
        f"{asked.height - fits.height} month ends before them there were too few bars."
    )


def _figures(result: BacktestResult, since: datetime) -> dict[str, float]:
    """Return the metrics of a run, those of return and risk from the first decision on."""
    table = result.equity.filter(pl.col("timestamp") >= since)
    equity = table["equity"].to_numpy()
    times = nanoseconds(table["timestamp"])
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


def _last_plan(rebalances: pl.DataFrame) -> Table:
    plan = rebalances.filter(pl.col("plan_idx") == pl.col("plan_idx").max())
    n_orders = plan.filter(pl.col("quantity") != 0).height
    table = Table(title=f"The last plan, {plan['timestamp'][0]:%Y-%m-%d}: {n_orders} orders")
    table.add_column("asset")
    for label in ("current", "target", "shares", "value"):
        table.add_column(label, justify="right")
    table.add_column("reason")
    for row in plan.iter_rows(named=True):
        table.add_row(
            row["asset"],
            f"{row['current_weight']:.2%}",
            f"{row['target_weight']:.2%}",
            f"{row['quantity']:+,.0f}" if row["quantity"] else "",
            f"{row['value']:+,.2f}" if row["value"] else "",
            ", ".join(filter(None, (row["reason"], row["adjustments"]))),
        )
    return table
