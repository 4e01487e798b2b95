"""A benchmark of an asset, a frame, or another result: aligned by time, or refused."""

from __future__ import annotations

import dataclasses
import math
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from helpers import Diary, buy, day, run_script
from ml4t.backtest import BacktestConfig, BacktestResult, Broker, Strategy, run_backtest
from ml4t.backtest.analysis.benchmark import Benchmark, as_benchmark
from ml4t.backtest.errors import DataError

SAME_BAR = BacktestConfig(initial_cash=1_000.0, execution_mode="same_bar")
CLOSES = {"A": [10.0, 10.0, 12.0, 9.0, 12.0], "B": [None, 5.0, 6.0, None, 9.0]}
DAYS = [day(t) for t in range(5)]


@pytest.fixture(scope="module")
def result() -> BacktestResult:
    """Bars at days 0 to 4; equity 1000, 1000, 1100, 950, 1100."""
    return run_script({1: buy("A", 50)}, CLOSES, SAME_BAR)


def frame(times: list[datetime], levels: list[float | None], name: str = "index") -> pl.DataFrame:
    return pl.DataFrame({"date": times, name: levels}, schema_overrides={name: pl.Float64})


def test_an_asset(result: BacktestResult) -> None:
    found = as_benchmark("B", result)
    assert found.name == "B"
    np.testing.assert_array_equal(found.levels, [math.nan, 5.0, 6.0, math.nan, 9.0])
    # 6 of 5; 9 of 6 over the bar without one
    np.testing.assert_allclose(found.returns, [math.nan, math.nan, 0.2, math.nan, 0.5])
    assert found.coverage == 0.6
    assert (found.first, found.last) == (day(1), day(4))
    own, other = found.paired(result.equity["equity"].to_numpy())
    assert own == pytest.approx([0.1, 0.0])
    assert other == pytest.approx([0.2, 0.5])
    # two returns over three bars
    assert found.periods_per_year(252.0) == 168.0
    assert repr(found) == (
        "Benchmark('B', 3 of 5 bars, 2024-01-02 00:00:00 to 2024-01-05 00:00:00)"
    )
    assert dataclasses.replace(found, name="the index").name == "the index"
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.name = "C"  # type: ignore[misc]
    with pytest.raises(ValueError, match="read-only"):
        found.levels[0] = 1.0


def test_a_frame_is_aligned_by_time(result: BacktestResult) -> None:
    # of other days too, in another order of rows than by place
    times = [day(-2), day(1), day(2), day(2) + timedelta(hours=5), day(9)]
    found = as_benchmark(frame(times, [1.0, 2.0, 3.0, 4.0, 5.0]), result)
    np.testing.assert_array_equal(found.levels, [math.nan, 2.0, 3.0, math.nan, math.nan])
    assert found.name == "index"
    assert found.coverage == 0.4


LEVELS = [100.0, None, 110.0, 99.0, 120.0]
MAKES: dict[str, Any] = {
    "polars": lambda f: f,
    "lazy": lambda f: f.lazy(),
    "pandas": lambda f: f.to_pandas(),
    "pandas with an index": lambda f: f.to_pandas().set_index("date"),
    "pyarrow": lambda f: f.to_arrow(),
    "series": lambda f: f.to_pandas().set_index("date")["index"],
}


@pytest.mark.parametrize("make", MAKES)
def test_frames_of_any_make(make: str, result: BacktestResult) -> None:
    found = as_benchmark(MAKES[make](frame(DAYS, LEVELS)), result)
    np.testing.assert_array_equal(found.levels, [100.0, math.nan, 110.0, 99.0, 120.0])
    assert found.name == "index"


def test_a_series_without_a_name(result: BacktestResult) -> None:
    series = pd.Series([1.0, 2.0], index=pd.DatetimeIndex(DAYS[:2]))
    assert as_benchmark(series, result).name == "benchmark"


def test_a_frame_with_a_column_called_equity_is_a_frame(result: BacktestResult) -> None:
    pandas = frame(DAYS, LEVELS, "equity").to_pandas()
    assert as_benchmark(pandas, result).name == "equity"


def test_files(result: BacktestResult, tmp_path: Path) -> None:
    path = tmp_path / "bench.csv"
    frame(DAYS, LEVELS).write_csv(path)
    expected = [100.0, math.nan, 110.0, 99.0, 120.0]
    np.testing.assert_array_equal(as_benchmark(path, result).levels, expected)
    np.testing.assert_array_equal(as_benchmark(str(path), result).levels, expected)


def test_another_result(result: BacktestResult) -> None:
    other = run_script({0: buy("A", 10)}, {"A": CLOSES["A"][:3]}, SAME_BAR)
    found = as_benchmark(other, result)
    # 10 bought at 10, worth 12 at last
    np.testing.assert_array_equal(found.levels, [1000.0, 1000.0, 1020.0, math.nan, math.nan])
    assert found.name == "other run"
    assert as_benchmark(found, result) is found
    with pytest.raises(ValueError, match="'other run': made for other bars; make it for this run"):
        as_benchmark(found, other)


def test_a_result_that_lost_all_has_no_returns_after_it() -> None:
    config = SAME_BAR.model_copy(update={"delisting": "write_off"})
    closes = {"A": [10.0, None, None], "B": [5.0, 5.0, 6.0]}
    lost = run_script({0: buy("A", 100)}, closes, config)
    kept = run_script({}, closes, config)
    found = as_benchmark(lost, kept)
    np.testing.assert_array_equal(found.returns, [math.nan, -1.0, math.nan])
    assert math.isnan(kept.statistics(lost)["tracking_error"])


def test_a_single_common_time_has_no_returns(result: BacktestResult) -> None:
    found = as_benchmark(frame([day(3)], [7.0]), result)
    assert (found.coverage, found.first, found.last) == (0.2, day(3), day(3))
    assert np.isnan(found.returns).all()
    assert math.isnan(found.periods_per_year(252.0))
    figures = result.statistics(found)
    assert math.isnan(figures["beta"])
    assert math.isnan(figures["benchmark_annual_return"])
    assert figures["benchmark_total_return"] == 0.0


def test_times_in_a_zone() -> None:
    stamps = pl.Series(DAYS).dt.replace_time_zone("America/New_York")
    prices = pl.DataFrame({"date": stamps, "asset": "A", "close": CLOSES["A"]})
    result = run_in(prices)
    found = as_benchmark(pl.DataFrame({"date": stamps, "index": LEVELS}), result)
    assert str(found.first) == "2024-01-01 00:00:00-05:00"
    with pytest.raises(DataError) as caught:
        as_benchmark(frame(DAYS, LEVELS), result)
    assert str(caught.value) == (
        "benchmark 'index': times are in no zone, those of prices in America/New_York; make them "
        "agree"
    )
    naive = run_script({}, CLOSES, SAME_BAR)
    with pytest.raises(DataError, match="benchmark 'other run': times are in America/New_York"):
        as_benchmark(result, naive)
    with pytest.raises(DataError, match="benchmark 'index': times are in America/New_York"):
        as_benchmark(found, naive)


def run_in(prices: pl.DataFrame) -> BacktestResult:
    return run_backtest(prices, Strategy(), config=SAME_BAR)


def test_an_asset_without_a_bar_there() -> None:
    # B has bars, but the run was of A before it
    late = {"A": [10.0, 11.0, None], "B": [None, None, 5.0]}
    result = run_script({}, late, SAME_BAR)
    # an earlier part of the same bars, as a run that was stopped has
    part = _First(result, 2)
    with pytest.raises(DataError, match="benchmark 'B': no time of it is a bar of the result"):
        as_benchmark("B", part)


class _First:
    """The first bars of a result."""

    def __init__(self, result: BacktestResult, n_bars: int) -> None:
        self.equity = result.equity.head(n_bars)
        self.bars = result.bars


def test_an_empty_result_as_benchmark(result: BacktestResult) -> None:
    nothing = Diary(Broker(initial_cash=1_000.0)).result()
    with pytest.raises(DataError, match="benchmark 'other run': not one level is a number"):
        as_benchmark(nothing, result)
    assert isinstance(as_benchmark("A", result), Benchmark)
