"""The figures of a result, as `BacktestResult.plot` offers them."""

from __future__ import annotations

from typing import Any

from ml4t.backtest.report.bridge import bridge_figure
from ml4t.backtest.report.contributions import contributions_figure
from ml4t.backtest.report.costs import costs_figure
from ml4t.backtest.report.drawdown import drawdown_figure
from ml4t.backtest.report.equity import equity_figure
from ml4t.backtest.report.heatmap import monthly_figure
from ml4t.backtest.report.rolling import rolling_sharpe_figure
from ml4t.backtest.report.sources import Sources
from ml4t.backtest.report.tracking import drift_figure
from ml4t.backtest.report.turnover import turnover_figure
from ml4t.backtest.report.weights import weights_figure
from ml4t.backtest.result import BacktestResult

__all__ = ["ResultPlots"]


class ResultPlots:
    """The figures of a result; `BacktestResult.plot` is one.

    Every method returns a ``plotly.graph_objects.Figure``. `benchmark` is anything that
    `BacktestResult.statistics` takes as one; `prices` are those of the run, which only a result
    that was loaded needs.

    Parameters
    ----------
    result : BacktestResult

    Examples
    --------
    >>> result.plot.equity(log=True).show()  # doctest: +SKIP
    """

    def __init__(self, result: BacktestResult) -> None:
        self._result = result

    def equity(
        self, benchmark: object | None = None, prices: object | None = None, log: bool = False
    ) -> Any:
        """Draw the account against the portfolio without friction, and a benchmark.

        Parameters
        ----------
        benchmark, prices
            See above. Without the prices of its run a loaded result has no portfolio without
            friction.
        log : bool
            A logarithmic axis.
        """
        found = Sources(self._result, benchmark, prices)
        return equity_figure(
            self._result.equity, found.paper, found.benchmark_equity, found.benchmark_name, log
        )

    def drawdown(self, benchmark: object | None = None, prices: object | None = None) -> Any:
        """Draw how far the account stands below its highest value so far."""
        found = Sources(self._result, benchmark, prices)
        return drawdown_figure(
            self._result.equity, found.initial_cash, found.benchmark_equity, found.benchmark_name
        )

    def rolling_sharpe(self, benchmark: object | None = None, prices: object | None = None) -> Any:
        """Draw the Sharpe ratio of the year that ends at each close."""
        found = Sources(self._result, benchmark, prices)
        return rolling_sharpe_figure(
            self._result.equity, found.benchmark_equity, found.benchmark_name
        )

    def monthly_returns(self) -> Any:
        """Draw the returns of months and years as a heat map."""
        return monthly_figure(self._result.monthly_returns())

    def weights(self) -> Any:
        """Draw the weights over time, requested above held."""
        result = self._result
        return weights_figure(result.weights("requested"), result.positions, result.equity)

    def turnover(self) -> Any:
        """Draw the turnover of each year, requested beside executed."""
        return turnover_figure(self._result.tracking())

    def drift(self, band: float = 0.05) -> Any:
        """Draw how far the account was from its target weights; `band` as in `tracking`."""
        return drift_figure(self._result.tracking(band))

    def costs(self) -> Any:
        """Draw commission and slippage, added up and by year."""
        return costs_figure(self._result.fills, self._result.equity)

    def contributions(self) -> Any:
        """Draw what each asset earned after costs."""
        return contributions_figure(self._result.contributions())

    def bridge(self, prices: object | None = None) -> Any:
        """Draw the way from the portfolio without friction to the account as a waterfall."""
        return bridge_figure(self._result.bridge(prices))

    def __repr__(self) -> str:
        """One line: what there is to draw."""
        names = [name for name in dir(type(self)) if not name.startswith("_")]
        return f"ResultPlots({', '.join(names)})"
