"""What ``ml4t-backtest demo`` runs: a real optimizer's weights on real prices.

Needs the extras ``skfolio`` (the optimizer, and 20 stocks of the S&P 500 that come with it),
``cli`` (tables and a progress bar) and ``report`` (the page at the end).
"""

from __future__ import annotations

import dataclasses
import sys
from datetime import datetime

import polars as pl

from ml4t.backtest import metrics
from ml4t.backtest.analysis.benchmark import Benchmark, as_benchmark
from ml4t.backtest.attribution import Bridge
from ml4t.backtest.config import BacktestConfig, RebalanceConfig
from ml4t.backtest.costs import PercentCommission
from ml4t.backtest.enums import ExecutionMode
from ml4t.backtest.execution.decision_times import on_dates
from ml4t.backtest.feed.bars import nanoseconds
from ml4t.backtest.feed.datafeed import DataFeed
from ml4t.backtest.optimizers.providers import EqualWeights
from ml4t.backtest.optimizers.run import run_provider
from ml4t.backtest.optimizers.skfolio_weights import SkfolioWeights
from ml4t.backtest.result import BacktestResult

try:
    import jinja2  # noqa: F401
    import plotly  # noqa: F401
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
_REPORT = "ml4t-backtest-demo.html"
_CUTOFF = 1e-4
_EXIT_MISSING = 2


def main(progress: bool = True) -> int:
    """Run the demo, and show how far it is if that is wanted; returns the exit code.

    Writes its report into the current folder.
    """
    if _MISSING is not None:
        sys.stderr.write(
            f"the demo needs {_MISSING}, which is not installed; run:\n"
            '    pip install "ml4t-backtest[skfolio,cli,report]"\n'
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
    traded = run_provider(feed, provider, "month_end", config, progress=progress)
    console.print(_fits(traded) + "\n")
    console.print(_last_plan(traded.rebalances))
    since = traded.rebalances["timestamp"][0]
    bridge = traded.bridge()
    console.print(_comparison(traded.equity, bridge.paper, since))
    console.print("* the same weights in fractions, at the close of the decision, free of cost\n")
    console.print(_bridge_table(bridge))
    title = "Minimum variance of 20 stocks, monthly"
    path = traded.report(_REPORT, benchmark=_equal_weights(feed, traded), title=title)
    console.print("\nThe report, to be opened in a browser; it needs no network:")
    console.print(f"{path.resolve()}", soft_wrap=True, highlight=False)
    return 0


def _equal_weights(feed: DataFeed, traded: BacktestResult) -> Benchmark:
    """Return the same stocks in equal weights without friction, for the report to compare with."""
    rules = RebalanceConfig(allow_fractional=True, min_trade_value=0, min_weight_change=0)
    free = BacktestConfig(
        initial_cash=_CASH, execution_mode=ExecutionMode.SAME_BAR, rebalance=rules
    )
    times = traded.rebalances["timestamp"].unique().sort().to_list()
    equal = run_provider(feed, EqualWeights(), on_dates(times), free)
    return dataclasses.replace(as_benchmark(equal, traded), name="Equal weights, no friction")


def _fits(result: BacktestResult) -> str:
    asked = result.optimizations
    fits = asked.filter(pl.col("status") != "no_decision")
    failed = fits.filter(pl.col("status") != "ok")
    return (
        f"{fits.height} fits in {fits['seconds'].sum():.1f} s, {failed.height} failed; at "
        f"{asked.height - fits.height} month ends before them there were too few bars."
    )


def _figures(equity: pl.DataFrame, since: datetime) -> dict[str, float]:
    """Return the figures of an equity curve from the first decision on."""
    table = equity.filter(pl.col("timestamp") >= since)
    values = table["equity"].to_numpy()
    times = nanoseconds(table["timestamp"])
    returns, a_year = metrics.simple_returns(values), metrics.periods_per_year(times)
    return {
        "final_equity": values[-1],
        "total_return": metrics.total_return(values),
        "annual_return": metrics.annual_return(values, metrics.years(times)),
        "volatility": metrics.volatility(returns, a_year),
        "sharpe_ratio": metrics.sharpe_ratio(returns, a_year),
        "max_drawdown": metrics.max_drawdown(values),
    }


def _comparison(account: pl.DataFrame, paper: pl.DataFrame, since: datetime) -> Table:
    table = Table(
        title=f"The account beside the same weights without friction, from {since:%Y-%m-%d}"
    )
    table.add_column("")
    table.add_column("account", justify="right")
    table.add_column("no friction*", justify="right")
    traded, frictionless = _figures(account, since), _figures(paper, since)
    for label, name, form in (
        ("Final equity", "final_equity", ",.0f"),
        ("Total return", "total_return", ".2%"),
        ("Annual return", "annual_return", ".2%"),
        ("Volatility a year", "volatility", ".2%"),
        ("Sharpe ratio", "sharpe_ratio", ".3f"),
        ("Max drawdown", "max_drawdown", ".2%"),
    ):
        table.add_row(label, format(traded[name], form), format(frictionless[name], form))
    return table


def _bridge_table(bridge: Bridge) -> Table:
    table = Table(title="The bridge: what trading did to the promise of the weights")
    table.add_column("")
    for label in ("currency", "bps a year"):
        table.add_column(label, justify="right")
    table.add_column("")
    for name, currency, bps, meaning in bridge.to_frame().iter_rows():
        is_total = name not in bridge.terms
        table.add_row(
            name.replace("_", " "),
            f"{currency:z,.2f}",
            f"{bps:z,.1f}",
            meaning,
            style="bold" if is_total else None,
        )
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
