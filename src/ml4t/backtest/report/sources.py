"""What a report is made of, each worked out once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import numpy as np
import polars as pl

from ml4t.backtest.analysis.benchmark import Benchmark, as_benchmark
from ml4t.backtest.analysis.tracking import Tracking
from ml4t.backtest.attribution.bridge import Bridge
from ml4t.backtest.errors import BacktestError
from ml4t.backtest.feed.bars import Bars
from ml4t.backtest.formats import is_short
from ml4t.backtest.metrics import annual_return, total_return
from ml4t.backtest.result import BacktestResult

_NO_PROMISE = "No weights were ever requested, so there is no promise to compare the account with."


@dataclass(frozen=True)
class Beside:
    """What the account and its benchmark earned over the same span.

    `is_annual` says whether the returns are those of a year: in a short span they are not.
    `is_partial` says whether the span leaves bars of the run out, at an end or between.
    """

    account: float
    benchmark: float
    is_annual: bool
    is_partial: bool


class Sources:
    """A result, what it is compared with, and what follows from both.

    Parameters
    ----------
    result : BacktestResult
    benchmark : anything `as_benchmark` takes, optional
    prices : DataFeed, dataframe or path, optional
        As in `BacktestResult.bars`.

    Attributes
    ----------
    benchmark : Benchmark or None
    bars : Bars or None
        None: of a loaded result that was given no prices.

    Raises
    ------
    ValueError
        For prices that are not those of the run, and for a benchmark that cannot be aligned.
    """

    def __init__(
        self, result: BacktestResult, benchmark: object | None = None, prices: object | None = None
    ) -> None:
        self.result = result
        self._prices = prices
        self.bars: Bars | None = None
        try:
            self.bars = result.bars(prices)
        except BacktestError:
            if prices is not None:
                raise
        self.benchmark: Benchmark | None = (
            None if benchmark is None else as_benchmark(benchmark, result, prices)
        )

    @property
    def initial_cash(self) -> float:
        """In currency."""
        return float(self.result.config.initial_cash)

    @cached_property
    def statistics(self) -> dict[str, float]:
        """Every figure by name; see `BacktestResult.statistics`."""
        return self.result.statistics(self.benchmark)

    @cached_property
    def tracking(self) -> Tracking:
        """How near the account was to its target weights."""
        return self.result.tracking()

    @cached_property
    def round_trips(self) -> pl.DataFrame:
        """What was bought and sold again."""
        return self.result.round_trips(prices=self._prices)

    @cached_property
    def _bridge_or_reason(self) -> tuple[Bridge | None, str]:
        if not self.result.equity.height:
            return None, "The run has no complete bar, so there is nothing to compare."
        if not self.result.rebalances.height:
            return None, _NO_PROMISE
        try:
            return self.result.bridge(self._prices), ""
        except BacktestError as error:
            return None, f"There is no bridge for this run. {error}."

    @property
    def bridge(self) -> Bridge | None:
        """The bridge from paper to account; None where there can be none."""
        return self._bridge_or_reason[0]

    @property
    def no_bridge(self) -> str:
        """Why there is no bridge; empty if there is one."""
        return self._bridge_or_reason[1]

    @property
    def paper(self) -> pl.DataFrame | None:
        """The portfolio without friction: ``timestamp`` and ``equity``."""
        return None if self.bridge is None else self.bridge.paper

    @cached_property
    def benchmark_equity(self) -> pl.DataFrame | None:
        """What the account's equity at the first common bar would have become in the benchmark."""
        if self.benchmark is None:
            return None
        equity = self.result.equity
        common = np.flatnonzero(self.benchmark.is_common)
        levels = self.benchmark.levels[common]
        base = equity["equity"][int(common[0])]
        return pl.DataFrame(
            {
                "timestamp": equity["timestamp"].gather(pl.Series(common)),
                "equity": base * levels / levels[0],
            }
        )

    @cached_property
    def beside(self) -> Beside | None:
        """The account beside the benchmark, both over the bars that they share."""
        if self.benchmark is None:
            return None
        figures, levels = self.statistics, self.benchmark.levels[self.benchmark.is_common]
        is_partial = self.benchmark.coverage < 1.0
        common = np.flatnonzero(self.benchmark.is_common)
        years = float(common[-1] - common[0]) / figures["periods_per_year"]
        # Of the whole run the account counts from its cash on, as everywhere.
        own = self.result.equity["equity"].to_numpy()[common]
        if not is_partial:
            own = np.concatenate([[self.initial_cash], own])
        if is_short(years) or not np.isfinite(years):
            return Beside(total_return(own), total_return(levels), False, is_partial)
        return Beside(annual_return(own, years), annual_return(levels, years), True, is_partial)

    @cached_property
    def begin(self) -> datetime | None:
        """The time of the first decision or, without one, of the first fill; None: nothing was."""
        tables = (self.result.rebalances, self.result.fills)
        return min((table["timestamp"][0] for table in tables if table.height), default=None)

    @property
    def benchmark_name(self) -> str:
        """What the benchmark is called."""
        return "benchmark" if self.benchmark is None else self.benchmark.name
