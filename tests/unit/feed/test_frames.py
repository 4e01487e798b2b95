"""The border: what frames need of other libraries, and a real panel where there is one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import polars as pl

from helpers import real_panel
from ml4t.backtest import DataFeed

WITHOUT = """
import sys
sys.modules.update({"pandas": None, "pyarrow": None})
from datetime import datetime
from pathlib import Path
import polars as pl
from ml4t.backtest import DataFeed, Strategy, WeightSchedule, run_backtest
frame = pl.DataFrame({"date": [datetime(2024, 1, 2)], "asset": ["A"], "close": [1.0]})
folder = Path(sys.argv[1])
frame.write_parquet(folder / "prices.parquet")
frame.write_csv(folder / "prices.csv")
wide = pl.DataFrame({"date": [datetime(2024, 1, 2)], "A": [1.0]})
context = pl.DataFrame({"date": [datetime(2024, 1, 2)], "label": ["x"]})
for prices in (frame, frame.lazy(), folder / "prices.parquet", folder / "prices.csv"):
    feed = DataFeed(prices, signals=frame.rename({"close": "score"}), context=context)
    assert run_backtest(feed, Strategy()).equity.height == 1
assert DataFeed.from_wide(wide).assets == ("A",)
assert WeightSchedule.from_frame(wide) == WeightSchedule([datetime(2024, 1, 2)], ["A"], [[1.0]])
"""


def test_pandas_and_pyarrow_are_not_needed(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_real_panel() -> None:
    path = real_panel()
    feed = DataFeed(path)
    frame = pl.read_parquet(path)
    assert feed.n_assets == 40
    assert feed.n_bars == frame["date"].n_unique()
    assert int((feed.bars.first_bars > 0).sum()) == 10
    one = frame.filter(pl.col("ticker") == feed.assets[0]).sort("date")
    assert feed.bars.close[feed.bars.last_bars[0], 0] == one["close"][-1]
