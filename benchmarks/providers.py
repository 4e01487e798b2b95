"""What weight providers cost beside their fits, and what worker processes gain.

Three tables: the time of 24 monthly fits of skfolio and of all the rest of the run; equal weights
through `run_provider` and the same schedule through `run_weights`; slow fits with `n_jobs`.

Run: ``python -m benchmarks.providers [repetitions]``. Needs skfolio.
"""

from __future__ import annotations

import os
import sys
import time
import warnings
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
from skfolio import RiskMeasure
from skfolio.datasets import load_sp500_dataset
from skfolio.model_selection import WalkForward
from skfolio.optimization import MeanRisk
from sklearn.model_selection import GridSearchCV

from benchmarks.ours import CONFIG, final_equity
from benchmarks.scenarios import SCENARIOS, make_workload
from benchmarks.tables import machine, markdown
from benchmarks.timing import TOLERANCE, timed
from ml4t.backtest import (
    BacktestConfig,
    BacktestResult,
    DataFeed,
    WeightSchedule,
    run_provider,
    run_weights,
)
from ml4t.backtest.errors import RebalanceWarning
from ml4t.backtest.optimizers import EqualWeights, SkfolioWeights, decision_bars

Clock = Callable[[], float]
N_FITS = 24


class Timed(MeanRisk):  # type: ignore[misc]
    """Minimum variance; notes how long its `fit` takes, and nothing else."""

    clock: Clock = time.perf_counter
    seconds: list[float] = []  # noqa: RUF012 - a parameter would be cloned

    def fit(self, *arguments: Any, **named: Any) -> Any:
        """Fit, and note the seconds."""
        begun = Timed.clock()
        fitted = super().fit(*arguments, **named)
        Timed.seconds.append(Timed.clock() - begun)
        return fitted


def main(repetitions: int = 5) -> None:
    """Print the tables."""
    # What thresholds skip is not the question here.
    warnings.simplefilter("ignore", RebalanceWarning)
    print(f"{machine()}. Medians of {repetitions}, after a run that is not counted.\n")
    print(beside_the_fit(repetitions), equal_weights(repetitions), side_by_side(), sep="\n\n")


def beside_the_fit(repetitions: int) -> str:
    """Return the table of 24 fits: `MeanRisk.fit` itself, and everything else in the run."""
    # 2019 is the look-back of the first month end; the last one of a feed is not known as such.
    feed = DataFeed.from_wide(load_sp500_dataset().loc["2019-01-02":"2022-01-03"])
    provider = SkfolioWeights(Timed(), lookback=252)
    rows = []
    for what, clock in (("wall", time.perf_counter), ("CPU of the thread", time.thread_time)):
        Timed.clock = clock
        taken = []
        for _ in range(repetitions + 1):
            Timed.seconds.clear()
            begun = clock()
            result = run_provider(feed, provider, "month_end")
            taken.append((clock() - begun, sum(Timed.seconds)))
            n_fits = result.optimizations.filter(status="ok").height
            if n_fits != N_FITS or len(Timed.seconds) != N_FITS:
                raise RuntimeError(f"{n_fits} fits, not {N_FITS}")
        totals, fits = map(np.array, zip(*taken[1:], strict=True))
        own = totals - fits
        cells = [f"{1e3 * median(each):,.1f}" for each in (totals, fits, own)]
        rows.append([what, *cells, f"{median(own / totals):.1%}"])
    head = [f"{N_FITS} fits of 20 assets", "run, ms", "`fit`, ms", "the rest, ms", "the rest"]
    return markdown(head, rows)


def equal_weights(repetitions: int) -> str:
    """Return the table of equal weights monthly over S2, on both ways, in turn."""
    feed = make_workload(next(one for one in SCENARIOS if one.name == "S2")).feed
    at = np.flatnonzero(decision_bars("month_end", feed.bars))
    n_assets = len(feed.assets)
    times = [feed.timestamps[bar] for bar in at]
    schedule = WeightSchedule(times, feed.assets, np.full((len(at), n_assets), 1 / n_assets))
    provider = EqualWeights()
    rows = []
    for rules, config in (("no thresholds", CONFIG), ("the defaults", BacktestConfig())):
        ways: tuple[Callable[[], BacktestResult], ...] = (
            lambda config=config: run_provider(feed, provider, config=config),
            lambda config=config: run_weights(feed, schedule, config),
        )
        check_same([way() for way in ways])
        taken = [[timed(way)[0] for way in ways] for _ in range(repetitions)]
        ours, theirs = (median(each) for each in zip(*taken, strict=True))
        n_fills = ways[0]().fills.height
        cells = [f"{1e3 * seconds:.2f}" for seconds in (ours, theirs)]
        rows.append([rules, f"{n_fills:,}", *cells, f"{ours / theirs:.2f}"])
    head = [f"S2, {len(at)} decisions", "fills", "run_provider, ms", "run_weights, ms", "ratio"]
    return markdown(head, rows)


def side_by_side() -> str:
    """Return the table of `n_jobs`: fast, middling and slow fits, one run each."""
    feed = DataFeed.from_wide(load_sp500_dataset().loc["2010":"2019"])
    cvar = MeanRisk(risk_measure=RiskMeasure.CVAR)
    search = GridSearchCV(
        cvar, {"l2_coef": [0.0, 0.01, 0.1]}, cv=WalkForward(train_size=252, test_size=63)
    )
    models = {
        "minimum variance": SkfolioWeights(MeanRisk(), lookback=252),
        "minimum CVaR": SkfolioWeights(cvar, lookback=756),
        "a search over CVaR": SkfolioWeights(search, lookback=756),
    }
    counts = sorted({1, 2, os.cpu_count() or 1})
    rows = []
    for name, provider in models.items():
        seconds, results = [], []
        for n_jobs in counts:
            begun = time.perf_counter()
            results.append(run_provider(feed, provider, "month_end", n_jobs=n_jobs))
            seconds.append(time.perf_counter() - begun)
        check_same(results)
        asked = results[0].optimizations.filter(status="ok")
        fit = f"{1e3 * float(asked['seconds'].median()):.0f}"  # type: ignore[arg-type]
        rows.append([name, f"{asked.height}", fit, *(f"{each:.1f}" for each in seconds)])
    head = ["", "fits", "ms a fit", *(f"n_jobs={n}, s" for n in counts)]
    return markdown(head, rows)


def check_same(results: list[BacktestResult]) -> None:
    """Raise if results do not have the same fills and equity."""
    first = results[0]
    for other in results[1:]:
        apart = abs(final_equity(other) / final_equity(first) - 1.0)
        if apart > TOLERANCE or not other.fills.equals(first.fills):
            raise RuntimeError("the results are not the same, so no time is told")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
