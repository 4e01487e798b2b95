"""The roads of this library that can run a weight schedule."""

from __future__ import annotations

from typing import Any

from benchmarks.contender import Contender, Run
from benchmarks.scenarios import CASH, RATE, Workload
from ml4t.backtest import (
    BacktestConfig,
    BacktestResult,
    Engine,
    ExecutionMode,
    RebalanceConfig,
    Strategy,
    TargetWeightExecutor,
    WeightSchedule,
    run_weights,
)
from ml4t.backtest.costs import PercentCommission

CONFIG = BacktestConfig(
    initial_cash=CASH,
    execution_mode=ExecutionMode.SAME_BAR,
    commission=PercentCommission(RATE),
    rebalance=RebalanceConfig(allow_fractional=True, min_trade_value=0.0, min_weight_change=0.0),
)


class Schedule(Strategy):
    """Calls `execute` with a row of weights at every bar that has one."""

    def __init__(self, rows: list[dict[str, float] | None]) -> None:
        self.rows = rows
        self.executor = TargetWeightExecutor()

    def on_start(self, broker: Any) -> None:
        """Begin with the first row."""
        self.bar = 0

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:
        """Trade the row of this bar, if there is one."""
        row = self.rows[self.bar]
        self.bar += 1
        if row is not None:
            self.executor.execute(row, data, broker)


def engine(workload: Workload) -> Run:
    """Run the bar loop with a Python strategy that has a dict of weights for every decision."""
    rows: list[dict[str, float] | None] = [None] * workload.scenario.n_bars
    for bar, weights in zip(workload.bars.tolist(), workload.weights, strict=True):
        rows[bar] = dict(zip(workload.assets, weights.tolist(), strict=True))
    return Engine(workload.feed, Schedule(rows), CONFIG).run


def final_equity(result: BacktestResult) -> float:
    """Return the equity at the last close."""
    return float(result.equity["equity"][-1])


def compiled(workload: Workload) -> Run:
    """Run the bar loop inside the kernel."""
    feed = workload.feed
    times = workload.times.gather(workload.bars)
    schedule = WeightSchedule(times, workload.assets, workload.weights)
    return lambda: run_weights(feed, schedule, CONFIG)


OURS = (
    Contender("Engine", "ml4t-backtest", engine, final_equity),
    Contender("run_weights", "ml4t-backtest", compiled, final_equity),
)
