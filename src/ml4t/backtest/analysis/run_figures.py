"""The figures of a run: its tables as arrays, and the metrics of them by name."""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np
import polars as pl

from ml4t.backtest import metrics
from ml4t.backtest.analysis.benchmark import Benchmark
from ml4t.backtest.feed.bars import nanoseconds, zone_of
from ml4t.backtest.frames import RunFrames
from ml4t.backtest.metrics.arrays import checked_periods
from ml4t.backtest.records import Floats, Ints

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


class RunFigures:
    """What the figures of a run are made of.

    Parameters
    ----------
    frames : RunFrames
    initial_cash : float
        In currency.
    periods_per_year : float, optional
        Bars a year; from the times of the bars if it is left out.
    """

    def __init__(
        self, frames: RunFrames, initial_cash: float, periods_per_year: float | None = None
    ) -> None:
        self._frames = frames
        self.initial_cash = float(initial_cash)
        self.equity: Floats = frames.equity["equity"].to_numpy()
        self.times: Ints = nanoseconds(frames.equity["timestamp"])
        if periods_per_year is None:
            self.periods_per_year = metrics.periods_per_year(self.times)
            self.n_years = metrics.years(self.times)
        else:
            self.periods_per_year = checked_periods(periods_per_year)
            self.n_years = max(self.times.size - 1, 0) / self.periods_per_year

    @cached_property
    def from_cash(self) -> Floats:
        """The initial cash, and equity at every close.

        A first bar that trades has a return already, against the cash that was put in.
        """
        return np.concatenate([[self.initial_cash], self.equity])

    @cached_property
    def returns(self) -> Floats:
        """Returns between closes."""
        return metrics.simple_returns(self.equity)

    def basic(self, risk_free_rate: float = 0.0) -> dict[str, float]:
        """Return the figures of `BacktestResult.metrics`."""
        frames, fills = self._frames, self._frames.fills
        periods = self.periods_per_year
        traded = (fills["quantity"] * fills["price"]).to_numpy()
        turnover = metrics.turnover(traded, self._at_fills)
        executed = fills["plan_idx"].filter(fills["plan_idx"] >= 0).n_unique()
        return {
            "initial_cash": self.initial_cash,
            "final_equity": float(self.from_cash[-1]),
            "total_return": metrics.total_return(self.from_cash),
            "annual_return": metrics.annual_return(self.from_cash, self.n_years),
            "volatility": metrics.volatility(self.returns, periods),
            "sharpe_ratio": metrics.sharpe_ratio(self.returns, periods, risk_free_rate),
            "max_drawdown": metrics.max_drawdown(self.from_cash),
            "turnover": turnover,
            "annual_turnover": turnover / self.n_years if self.n_years > 0.0 else math.nan,
            "commission": float(np.sum(fills["commission"].to_numpy())),
            "slippage": float(np.sum(fills["slippage"].to_numpy())),
            "orders": float(frames.orders.height),
            "fills": float(fills.height),
            "rebalances_requested": float(frames.n_plans),
            "rebalances_executed": float(executed),
            "ends_inferred": float(frames.ends.height),
        }

    def all(self, benchmark: Benchmark | None, risk_free_rate: float) -> dict[str, float]:
        """Return every figure by name; see `BacktestResult.statistics`."""
        found = self.basic(risk_free_rate) | self._of_returns(risk_free_rate) | self._of_trading()
        if benchmark is not None:
            found |= self._beside(benchmark, risk_free_rate)
        return found

    def _of_returns(self, risk_free_rate: float) -> dict[str, float]:
        returns, periods = self.returns, self.periods_per_year
        return {
            "years": self.n_years,
            "periods_per_year": periods,
            "downside_deviation": metrics.downside_deviation(returns, periods, risk_free_rate),
            "sortino_ratio": metrics.sortino_ratio(returns, periods, risk_free_rate),
            "calmar_ratio": metrics.calmar_ratio(self.from_cash, self.n_years),
            "max_drawdown_bars": self._bars_of_deepest(),
            "value_at_risk": metrics.value_at_risk(returns),
            "expected_shortfall": metrics.expected_shortfall(returns),
            "skewness": metrics.skewness(returns),
            "kurtosis": metrics.kurtosis(returns),
            "tail_ratio": metrics.tail_ratio(returns),
            "probabilistic_sharpe_ratio": metrics.probabilistic_sharpe_ratio(
                returns, periods, risk_free_rate=risk_free_rate
            ),
        }

    def _of_trading(self) -> dict[str, float]:
        fills = self._frames.fills
        closed = self._frames.trades.filter(pl.col("exit_time").is_not_null())
        pnl = closed["pnl"].to_numpy()
        gross = self._frames.equity["gross_exposure"].to_numpy()
        costs = (fills["commission"] + fills["slippage"]).to_numpy()
        return {
            "trades": float(closed.height),
            "hit_rate": metrics.hit_rate(pnl),
            "profit_factor": metrics.profit_factor(pnl),
            "holding_days": metrics.holding_period(
                nanoseconds(closed["entry_time"]), nanoseconds(closed["exit_time"])
            ),
            "exposure": metrics.exposure(gross),
            "time_in_market": metrics.time_in_market(gross),
            "cost_bps": metrics.cost_bps(costs, self._at_fills, self.n_years),
        }

    def _beside(self, benchmark: Benchmark, risk_free_rate: float) -> dict[str, float]:
        own, other = benchmark.paired(self.equity)
        periods = benchmark.periods_per_year(self.periods_per_year)
        levels = benchmark.levels[benchmark.is_common]
        n_years = other.size / periods
        return {
            "beta": metrics.beta(own, other),
            "alpha": metrics.alpha(own, other, periods, risk_free_rate),
            "correlation": metrics.correlation(own, other),
            "tracking_error": metrics.tracking_error(own, other, periods),
            "information_ratio": metrics.information_ratio(own, other, periods),
            "up_capture": metrics.up_capture(own, other, periods),
            "down_capture": metrics.down_capture(own, other, periods),
            "benchmark_coverage": benchmark.coverage,
            "benchmark_total_return": metrics.total_return(levels),
            "benchmark_annual_return": metrics.annual_return(levels, n_years),
            "benchmark_volatility": metrics.volatility(other, periods),
            "benchmark_sharpe_ratio": metrics.sharpe_ratio(other, periods, risk_free_rate),
            "benchmark_max_drawdown": metrics.max_drawdown(levels),
        }

    @cached_property
    def _at_fills(self) -> Floats:
        """Equity at the close of the bar of every fill."""
        found: Floats = self.equity[
            np.searchsorted(self.times, nanoseconds(self._frames.fills["timestamp"]))
        ]
        return found

    def _bars_of_deepest(self) -> float:
        """Return the bars from the peak of the deepest drawdown to its recovery, or to the end."""
        depth = metrics.max_drawdown(self.from_cash)
        found = metrics.drawdown_table(self.from_cash, 1)
        if math.isnan(depth) or found.peak.size == 0:
            return 0.0 if depth == 0.0 else math.nan
        last = self.from_cash.size - 1
        return float((last if found.recovery[0] < 0 else found.recovery[0]) - found.peak[0])

    def drawdowns(self, n: int) -> pl.DataFrame:
        """Return the deepest drawdowns; see `BacktestResult.drawdowns`."""
        found = metrics.drawdown_table(self.from_cash, n)

        def times(places: Ints, name: str) -> pl.Series:
            # Place 0 is the initial cash, which was there before the first bar.
            rows = pl.Series(np.where(places > 0, places - 1, -1))
            stamps = self._frames.equity["timestamp"]
            return stamps.gather(rows.set(rows < 0, None)).alias(name)

        return pl.DataFrame(
            [
                times(found.peak, "peak"),
                times(found.valley, "valley"),
                times(found.recovery, "recovery"),
                pl.Series("depth", found.depth),
                pl.Series("bars_down", found.bars_down),
                pl.Series("bars_up", found.bars_up).set(pl.Series(found.bars_up < 0), None),
            ]
        )

    def monthly_returns(self) -> pl.DataFrame:
        """Return the returns of months and years; see `BacktestResult.monthly_returns`."""
        zone = zone_of(self._frames.equity["timestamp"])
        found = metrics.monthly_returns(self.times, self.equity, self.initial_cash, zone)
        return pl.DataFrame(
            {
                "year": pl.Series(found.years, dtype=pl.Int32),
                **{name: found.months[:, i] for i, name in enumerate(_MONTHS)},
                "total": found.totals,
            }
        ).with_columns(pl.col("total", *_MONTHS).fill_nan(None))
