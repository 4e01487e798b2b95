"""The five workloads that everything is measured on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ml4t.backtest import DataFeed

#: Cash at the start, in currency.
CASH = 10_000_000.0
#: Commission, a fraction of the traded notional: 10 basis points.
RATE = 0.001
#: What the weights of a decision sum to; the rest pays the commission.
INVESTED = 0.98


class Scenario(NamedTuple):
    """A size, and how often it rebalances: every `every` bars, from the first on."""

    name: str
    n_assets: int
    n_bars: int
    every: int


SCENARIOS = (
    Scenario("S1", 20, 8313, 21),
    Scenario("S2", 250, 5040, 21),
    Scenario("S3", 250, 5040, 1),
    Scenario("S4", 1000, 2520, 1),
    Scenario("S5", 3000, 5040, 21),
)


@dataclass(frozen=True)
class Workload:
    """Prices and target weights of a scenario.

    Weights are traded in fractions at the close of the bar that decides, at `RATE`, without
    thresholds, in an account with `CASH`.

    Attributes
    ----------
    scenario : Scenario
    assets : list of str
        In the order of the columns, sorted.
    times : polars.Series
        Datetimes, one a bar.
    closes : array (n_bars, n_assets)
    bars : array (n_decisions,)
        The bar of each decision.
    weights : array (n_decisions, n_assets)
        Positive; each row sums to `INVESTED`.
    full_bars : bool
        Whether the feed has opens, highs, lows and volumes of its own.
    """

    scenario: Scenario
    assets: list[str]
    times: pl.Series
    closes: NDArray[np.float64]
    bars: NDArray[np.int64]
    weights: NDArray[np.float64]
    full_bars: bool = False

    @cached_property
    def feed(self) -> DataFeed:
        """The prices as a feed."""
        fields = {"close": self.closes}
        if self.full_bars:
            volume = np.full_like(self.closes, 1e6)
            high, low = self.closes * 1.01, self.closes * 0.99
            fields |= {"open": self.closes * 1.005, "high": high, "low": low, "volume": volume}
        return DataFeed.from_wide(
            {
                name: pl.DataFrame(values, schema=self.assets).with_columns(timestamp=self.times)
                for name, values in fields.items()
            }
        )

    @cached_property
    def row_of_bar(self) -> NDArray[np.int64]:
        """The row of `weights` that is decided at each bar, (n_bars,); -1: none."""
        rows = np.full(self.scenario.n_bars, -1)
        rows[self.bars] = np.arange(len(self.bars))
        return rows

    @property
    def n_orders(self) -> int:
        """How many orders there are at most: one an asset and decision."""
        return int(self.weights.size)


def make_workload(scenario: Scenario, full_bars: bool = False) -> Workload:
    """Draw geometric random walks and Dirichlet weights, the same ones at every call."""
    name, n_assets, n_bars, every = scenario
    rng = np.random.default_rng(7)
    steps = rng.normal(0.0003, 0.015, (n_bars, n_assets))
    bars = np.arange(0, n_bars, every)
    times = pl.datetime_range(pl.datetime(1990, 1, 1), pl.datetime(2090, 1, 1), "1d", eager=True)
    if n_bars > len(times):
        raise ValueError(f"scenario {name}: {n_bars} bars; there are days for {len(times)}")
    return Workload(
        scenario=scenario,
        assets=[f"A{i:04d}" for i in range(n_assets)],
        times=times.head(n_bars).alias("timestamp"),
        closes=100.0 * np.exp(np.cumsum(steps, axis=0)),
        bars=bars,
        weights=rng.dirichlet(np.ones(n_assets), len(bars)) * INVESTED,
        full_bars=full_bars,
    )
