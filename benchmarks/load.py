"""How long it takes to turn a long frame of 1.26 million rows into a feed.

Run: ``python benchmarks/load.py [repetitions]``. The arrays are checked before a time is printed.
"""

from __future__ import annotations

import sys
import time
from datetime import datetime, timedelta

import numpy as np
import polars as pl

from ml4t.backtest import DataFeed

N_ASSETS, N_BARS = 250, 5040


def long_frame() -> tuple[pl.DataFrame, np.ndarray]:
    """Rows by time, then asset; returns the closes as a matrix too."""
    rng = np.random.default_rng(7)
    steps = rng.normal(0.0, 0.01, (N_BARS, N_ASSETS))
    close = 100.0 * np.exp(np.cumsum(steps, axis=0))
    times = pl.datetime_range(
        datetime(2000, 1, 1), datetime(2000, 1, 1) + timedelta(days=N_BARS - 1), "1d", eager=True
    )
    names = pl.Series([f"A{i:03d}" for i in range(N_ASSETS)])
    frame = pl.DataFrame(
        {
            "timestamp": times.gather(np.repeat(np.arange(N_BARS), N_ASSETS)),
            "asset": names.gather(np.tile(np.arange(N_ASSETS), N_BARS)),
            "open": close.ravel(),
            "high": close.ravel() * 1.01,
            "low": close.ravel() * 0.99,
            "close": close.ravel(),
            "volume": np.full(close.size, 1e6),
        }
    )
    return frame, close


def main() -> None:
    """Print the best of some repetitions for rows by time and rows by asset."""
    repetitions = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    by_time, close = long_frame()
    for name, frame in {"by time": by_time, "by asset": by_time.sort("asset", "timestamp")}.items():
        seconds = []
        for _ in range(repetitions):
            start = time.perf_counter()
            feed = DataFeed(frame)
            seconds.append(time.perf_counter() - start)
            np.testing.assert_array_equal(feed.bars.close, close)
        print(f"{frame.height:,} rows, sorted {name}: {min(seconds):.3f} s")


if __name__ == "__main__":
    main()
