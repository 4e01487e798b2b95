"""Faults of prices: counted by kind, shown, and raised together or warned of."""

from __future__ import annotations

import math
import warnings
from datetime import datetime, timedelta, timezone
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from helpers import day
from ml4t.backtest import DataFeed, Strategy, run_backtest
from ml4t.backtest.errors import DataError, DataWarning

N = 5
GOOD = pl.DataFrame(
    {
        "date": [day(t) for t in range(N)],
        "asset": ["A"] * N,
        "open": [10.0] * N,
        "high": [12.0] * N,
        "low": [9.0] * N,
        "close": [11.0] * N,
        "volume": [100.0] * N,
    }
)
INF = math.inf


def changed(column: str, values: list[Any]) -> pl.DataFrame:
    """The good frame with other values in the first rows of a column."""
    rest = GOOD[column].to_list()[len(values) :]
    return GOOD.with_columns(pl.Series(column, values + rest))


ODD = {
    "zero or negative prices": (changed("low", [0.0, -1.0, 0.0, 0.0]), "low=0", 4),
    "high < low": (changed("high", [8.0]), "high=8 low=9", 1),
    "open or close outside": (changed("open", [13.0, 8.0]), "open=13", 2),
    "negative volume": (changed("volume", [-1.0]), "volume=-1", 1),
    "infinities": (changed("high", [INF, INF]), "high=inf", 2),
}


@pytest.mark.parametrize("kind", ODD)
def test_odd_prices_raise_or_warn(kind: str) -> None:
    frame, shown, count = ODD[kind]
    with pytest.raises(ValueError, match=kind) as caught:
        DataFeed(frame)
    message = str(caught.value)
    assert f": {count}, the first: 2024-01-01 00:00:00 A " in message
    assert shown in message
    assert message.count("2024-01-0") == min(count, 3)
    assert 'checks="warn"' in message
    with pytest.warns(DataWarning, match=kind):
        assert DataFeed(frame, checks="warn").n_bars == N


TWO_ZONES = pd.DataFrame(
    {
        "date": pd.Series(
            [datetime(2024, 1, 2, tzinfo=timezone(timedelta(hours=h))) for h in (0, 5)],
            dtype=object,
        ),
        "asset": ["A", "A"],
        "close": [1.0, 2.0],
    }
)
STRUCTURAL = {
    "duplicate": (pl.concat([GOOD, GOOD.head(2)]), r"duplicate .*: 2, the first: 2024-01-01"),
    "strings": (GOOD.with_columns(close=pl.lit("x")), "'close' has type String.*: 5, the first"),
    "some strings": (
        pd.DataFrame({"date": [day(0), day(1)], "asset": "A", "close": [1.0, "x"]}),
        "'close' has type String.*: 1, the first: 2024-01-02 00:00:00 A 'x'",
    ),
    "zones": (TWO_ZONES, "mixed time zones in 'date': 2, the first: 2024-01-0"),
}


@pytest.mark.parametrize("checks", ["raise", "warn"])
@pytest.mark.parametrize("name", STRUCTURAL)
def test_structural_faults_always_raise(name: str, checks: str) -> None:
    frame, match = STRUCTURAL[name]
    with pytest.raises(DataError, match=match):
        DataFeed(frame, checks=checks)


def test_one_error_for_all_kinds() -> None:
    frame = pl.concat([changed("close", [-1.0]), GOOD.head(1)]).with_columns(
        high=pl.lit(1.0), volume=pl.lit(-5.0), open=pl.lit("x")
    )
    with pytest.raises(DataError) as caught:
        DataFeed(frame)
    lines = str(caught.value).splitlines()
    kinds = ["duplicate", "column 'open'", "high < low", "negative volume"]
    for kind in kinds:
        assert sum(line.startswith(f"- {kind}") for line in lines) == 1, kind


@pytest.mark.parametrize("column", ["open", "high", "low", "close", "volume"])
def test_missing_values_are_no_fault(column: str) -> None:
    assert DataFeed(changed(column, [None, math.nan])).n_bars == N


def test_rounding_is_no_fault() -> None:
    assert DataFeed(changed("high", [11.0 * (1 - 1e-8)])).n_bars == N
    single = GOOD.with_columns(close=pl.lit(0.1, pl.Float32), high=pl.lit(0.1), low=pl.lit(0.1))
    assert DataFeed(single.drop("open")).n_bars == N


def test_what_passes_with_a_warning() -> None:
    with pytest.warns(DataWarning, match="negative volume"):
        bars = DataFeed(changed("volume", [-1.0]), checks="warn").bars
    assert bars.volume is not None
    np.testing.assert_array_equal(bars.volume[:, 0], [0.0, 100.0, 100.0, 100.0, 100.0])


def test_good_prices_give_no_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        DataFeed(GOOD)
        DataFeed(pl.concat([GOOD.with_columns(asset=pl.lit("B")), GOOD]))  # one after the other


def test_unsorted_rows_are_sorted_with_a_warning() -> None:
    prices = GOOD.with_columns(close=pl.Series([9.5, 10.0, 10.5, 11.0, 11.5]))
    with pytest.warns(DataWarning, match="prices: rows were not in the order of time"):
        feed = DataFeed(prices.reverse())
    np.testing.assert_array_equal(feed.bars.close, DataFeed(prices).bars.close)


def test_unknown_checks() -> None:
    with pytest.raises(DataError, match="checks: 'ignore' is unknown"):
        DataFeed(GOOD, checks="ignore")


def test_one_bar_and_no_trade_is_a_valid_result() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for frame in (GOOD, GOOD.head(1)):
            result = run_backtest(frame, Strategy())
            assert result.fills.height == 0
            assert result.equity["equity"].to_list() == [100_000.0] * frame.height
            assert "total_return" in result.metrics
            assert result.metrics["total_return"] == 0.0
            assert result.summary()


@pytest.mark.parametrize("frame", [GOOD.head(0), pl.DataFrame(), pd.DataFrame()])
def test_an_empty_frame(frame: object) -> None:
    with pytest.raises(DataError, match=r"no rows|no column timestamp"):
        DataFeed(frame)
