"""How long the first run of a process takes: with nothing compiled yet, and from the cache.

Run: ``python -m benchmarks.first_run``. Each run has an interpreter of its own, each road a cache;
the import is not counted. What was bought is checked before a time is printed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

# Half of 100 000 at 10 each: 5 000 shares.
CODE = """
import sys, time
from datetime import datetime
import polars as pl
from ml4t.backtest import Engine, DataFeed, Strategy, TargetWeightExecutor, run_weights

days = [datetime(2024, 1, day) for day in range(1, 5)]
feed = DataFeed(pl.DataFrame({"timestamp": days, "asset": ["A"] * 4, "close": [10.0] * 4}))

class Once(Strategy):
    def on_data(self, timestamp, data, context, broker):
        if timestamp == days[0]:
            TargetWeightExecutor().execute({"A": 0.5}, data, broker)

begun = time.perf_counter()
if sys.argv[1] == "run_weights":
    result = run_weights(feed, {days[0]: {"A": 0.5}})
else:
    result = Engine(feed, Once()).run()
seconds = time.perf_counter() - begun
assert result.fills["quantity"].to_list() == [5_000.0]
print(seconds)
"""


def seconds(road: str, cache: str) -> float:
    """Run once on a road, in an interpreter of its own."""
    done = subprocess.run(
        [sys.executable, "-c", CODE, road],
        env=os.environ | {"NUMBA_CACHE_DIR": cache},
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout)


def main() -> None:
    """Print both roads, compiling and from the cache."""
    for road in ("Engine.run", "run_weights"):
        with tempfile.TemporaryDirectory() as cache:
            compiling, cached = seconds(road, cache), seconds(road, cache)
        print(f"first {road}: {compiling:.1f} s with an empty cache, {cached:.2f} s from the cache")


if __name__ == "__main__":
    main()
