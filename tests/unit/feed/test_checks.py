"""Faults of prices: counted by kind, shown, and raised together or warned of."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import polars as pl
import pytest

from helpers import day
from ml4t.backtest import DataFeed
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


def test_unknown_checks() -> None:
    with pytest.raises(DataError, match="checks: 'ignore' is unknown"):
        DataFeed(GOOD, checks="ignore")
