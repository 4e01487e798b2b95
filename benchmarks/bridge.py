"""What a bridge takes, in runs of the schedule that it explains.

Run: ``python -m benchmarks.bridge [repetitions]``. All frictions are on, so that every one of its
runs is made; the terms are compared with the difference before anything is timed.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any

from benchmarks.scenarios import CASH, RATE, SCENARIOS, make_workload
from benchmarks.tables import machine, markdown
from ml4t.backtest import BacktestConfig, WeightSchedule, run_weights
from ml4t.backtest.costs import PercentCommission, PercentSlippage

#: The others take longer and say the same.
NAMES = ("S1", "S2", "S3")


def seconds_of(call: Callable[[], Any]) -> float:
    """Return how long a call takes."""
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def main(repetitions: int = 5) -> None:
    """Print a table: milliseconds of a run and of its bridge, and their ratio pair by pair."""
    config = BacktestConfig(
        initial_cash=CASH,
        commission=PercentCommission(RATE),
        slippage=PercentSlippage(RATE / 2),
        max_participation=0.1,
    )
    rows = []
    for scenario in (one for one in SCENARIOS if one.name in NAMES):
        workload = make_workload(scenario, full_bars=True)
        times = workload.times.gather(workload.bars)
        schedule = WeightSchedule(times, workload.assets, workload.weights)
        run = partial(run_weights, workload.feed, schedule, config)

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = run()
            bridge = result.bridge()
            found = sum(bridge.total[name] for name in bridge.terms)
            if abs(found - bridge.total["difference"]) > 1e-9 * CASH:
                raise RuntimeError(f"{scenario.name}: the terms do not sum to the difference")
            pairs = [(seconds_of(run), seconds_of(result.bridge)) for _ in range(repetitions)]
        once, all_of_it = (median(pair[i] for pair in pairs) for i in range(2))
        ratio = median(b / a for a, b in pairs)
        rows.append(
            [scenario.name, f"{once * 1e3:,.3g}", f"{all_of_it * 1e3:,.3g}", f"{ratio:.1f}"]
        )
    print(f"{machine()}. Medians of {repetitions}; milliseconds.\n")
    print(markdown(["", "`run_weights`", "`bridge()`", "ratio"], rows))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
