"""The event-driven engine against a bare numpy loop, side by side in one run.

Weights that sum to 0.98 are traded at the close of the decision bar, in fractions, at 10 basis
points, without thresholds. The floor is a loop over the bars that does nothing but weights ->
shares -> cash -> equity. The final equity of both must agree to 1e-9 before a time is printed.

Run: ``make bench``, or ``python benchmarks/engine_against_floor.py [repetitions]``.
"""

from __future__ import annotations

import platform
import resource
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from ml4t.backtest import (
    BacktestConfig,
    DataFeed,
    Engine,
    ExecutionMode,
    RebalanceConfig,
    Strategy,
    TargetWeightExecutor,
)
from ml4t.backtest.costs import PercentCommission

CASH = 10_000_000.0
RATE = 0.001


class Scenario(NamedTuple):
    """A workload: assets, bars, and how often it rebalances."""

    name: str
    n_assets: int
    n_bars: int
    every: int


SCENARIOS = (
    Scenario("S1", 20, 8313, 21),
    Scenario("S2", 250, 5040, 21),
    Scenario("S3", 250, 5040, 1),
)


class Schedule(Strategy):
    """Calls `execute` with a row of weights at every decision bar."""

    def __init__(self, rows: list[dict[str, float] | None]) -> None:
        self.rows = rows
        self.executor = TargetWeightExecutor(
            RebalanceConfig(allow_fractional=True, min_trade_value=0.0, min_weight_change=0.0)
        )

    def on_start(self, broker: Any) -> None:
        """Begin with the first row."""
        self.bar = 0

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:
        """Trade the row of this bar, if there is one."""
        row = self.rows[self.bar]
        self.bar += 1
        if row is not None:
            self.executor.execute(row, data, broker)


def floor(closes: np.ndarray, weights: np.ndarray, every: int) -> float:
    """Weights -> shares -> cash -> equity, and nothing else; returns the final equity."""
    cash = CASH
    shares = np.zeros(closes.shape[1])
    equity = np.empty(closes.shape[0])
    decision = 0
    for bar in range(closes.shape[0]):
        price = closes[bar]
        if bar % every == 0:
            value = cash + shares @ price
            wanted = weights[decision] * value / price
            traded = (wanted - shares) * price
            cash -= traded.sum() + RATE * np.abs(traded).sum()
            shares = wanted
            decision += 1
        equity[bar] = cash + shares @ price
    return float(equity[-1])


def timed(function: Callable[[], Any], repetitions: int) -> list[float]:
    """Seconds of each run, after one that is not counted."""
    function()
    found = []
    for _ in range(repetitions):
        start = time.perf_counter()
        function()
        found.append(time.perf_counter() - start)
    return found


def run(scenario: Scenario, repetitions: int) -> str:
    """Measure one scenario; returns its row of the table."""
    rng = np.random.default_rng(7)
    steps = rng.normal(0.0003, 0.015, (scenario.n_bars, scenario.n_assets))
    closes = 100.0 * np.exp(np.cumsum(steps, axis=0))
    n_decisions = -(-scenario.n_bars // scenario.every)
    weights = rng.dirichlet(np.ones(scenario.n_assets), n_decisions) * 0.98
    assets = [f"A{i:04d}" for i in range(scenario.n_assets)]
    times = pl.datetime_range(
        pl.datetime(1990, 1, 1), pl.datetime(2030, 1, 1), "1d", eager=True
    ).head(scenario.n_bars)
    frame = pl.DataFrame(closes, schema=assets).with_columns(timestamp=times)
    feed = DataFeed.from_wide(frame)
    rows: list[dict[str, float] | None] = [None] * scenario.n_bars
    for k in range(n_decisions):
        rows[k * scenario.every] = dict(zip(assets, weights[k].tolist(), strict=True))
    config = BacktestConfig(
        initial_cash=CASH,
        execution_mode=ExecutionMode.SAME_BAR,
        commission=PercentCommission(RATE),
    )
    engine = Engine(feed, Schedule(rows), config)
    expected = floor(closes, weights, scenario.every)
    found = float(engine.run().equity_records["equity"][-1])
    if abs(found / expected - 1.0) > 1e-9:
        raise SystemExit(f"{scenario.name}: final equity {found!r}, the floor has {expected!r}")
    base, ours = [], []
    for _ in range(repetitions):  # in turn, so that a drift of the machine hits both
        base += timed(lambda: floor(closes, weights, scenario.every), 1)
        ours += timed(engine.run, 1)
    below, above = float(np.median(base)), float(np.median(ours))
    orders = len(engine.run().orders)
    return (
        f"| {scenario.name} | {scenario.n_assets} x {scenario.n_bars} | {scenario.every} "
        f"| {orders:,} | {below * 1e3:.0f} | {above * 1e3:.0f} | {above / below:.1f} "
        f"| {above / orders * 1e6:.2f} |"
    )


def main() -> None:
    """Print the table."""
    repetitions = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    print(f"Python {platform.python_version()}, {platform.machine()}; medians of {repetitions}\n")
    print("| | assets x bars | every | orders | floor, ms | engine, ms | ratio | us an order |")
    print("|---|---|---|---|---|---|---|---|")
    for scenario in SCENARIOS:
        print(run(scenario, repetitions), flush=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"\nPeak memory of the whole process: {peak:,.0f} MiB.")


if __name__ == "__main__":
    main()
