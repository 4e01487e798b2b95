"""What every figure refuses, whichever it is."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import datetime

import numpy as np
import pandas as pd
import polars as pl
import pytest

from ml4t.backtest import metrics

RETURNS = np.array([0.1, -0.1, 0.1])


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.zeros((2, 2)), "returns: has the shape (2, 2); pass an array of one dimension"),
        (0.1, "returns: has the shape ()"),
        (["a", "b"], "returns: ['a', 'b'] is no array of real numbers"),
        ([[0.1], [0.1, 0.2]], "returns: [[0.1], [0.1, 0.2]] is no array of numbers"),
        (RETURNS + 1j, "is no array of real numbers"),
        (np.array(["2024-01-01"], "M8[D]"), "is no array of real numbers"),
        (np.ma.masked_greater(RETURNS, 0.0), "returns: is a masked array; pass .compressed()"),
        (None, "returns: has the shape ()"),
    ],
)
def test_what_is_no_array(values: object, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        metrics.volatility(values, 252.0)  # type: ignore[arg-type]


def test_lists_and_integers_are_arrays() -> None:
    assert metrics.total_return([100, 121]) == pytest.approx(0.21)  # type: ignore[arg-type]


@pytest.mark.parametrize("n_years", ["x", None, True])
def test_bad_years(n_years: object) -> None:
    for figure in (
        lambda: metrics.annual_return(np.array([1.0, 0.5]), n_years),  # type: ignore[arg-type]
        lambda: metrics.calmar_ratio(np.array([1.0, 0.5]), n_years),  # type: ignore[arg-type]
        lambda: metrics.cost_bps(RETURNS, RETURNS, n_years),  # type: ignore[arg-type]
    ):
        with pytest.raises(ValueError, match="n_years="):
            figure()


def test_years_beyond_all_floats_are_not_known() -> None:
    assert math.isnan(metrics.annual_return(np.array([1.0, 2.0]), 10**400))


#: Two days, a year of 365.25 days apart: of them, 2000 has a 29 February.
TIMES = np.array(["2000-01-01T00", "2000-12-31T06"], "datetime64[h]")


@pytest.mark.parametrize("unit", ["h", "s", "ms", "us", "ns"])
def test_times_of_any_unit(unit: str) -> None:
    times = TIMES.astype(f"datetime64[{unit}]")
    assert metrics.years(times) == 1.0
    assert metrics.periods_per_year(times) == 1.0
    assert metrics.holding_period(times[:1], times[1:]) == 365.25
    assert metrics.monthly_returns(times, np.ones(2)).years.tolist() == [2000]
    count = times.astype("datetime64[ns]").astype(np.int64)
    assert metrics.years(count) == 1.0
    assert metrics.monthly_returns(count, np.ones(2)).years.tolist() == [2000]


def test_times_of_frames() -> None:
    for times in (pd.DatetimeIndex(TIMES.astype("M8[s]")), pl.Series(TIMES.astype("M8[us]"))):
        assert metrics.years(times) == 1.0  # type: ignore[arg-type]
    assert metrics.years([]) == 0.0  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("times", "said"),
    [
        ([datetime(2024, 1, 1)], "is no array of times; pass datetime64 in UTC"),
        (["2024-01-01"], "is no array of times"),
        ([1.0, 2.0], "is no array of times"),
        (np.array([1, 2], "m8[D]"), "is no array of times"),
        (None, "has the shape ()"),
        (np.array([TIMES]), "has the shape (1, 2); pass an array of one dimension"),
        (np.array([*TIMES, "NaT"], "M8[h]"), "holds NaT; leave out what has no time"),
        (np.array(["9999-12-31"], "M8[D]"), "nanoseconds count the years 1678 to 2261 only"),
        (np.ma.masked_array([1, 2], [0, 1]), "is a masked array"),
    ],
)
def test_what_is_no_time(times: object, said: str) -> None:
    for figure in (
        lambda: metrics.years(times),  # type: ignore[arg-type]
        lambda: metrics.periods_per_year(times),  # type: ignore[arg-type]
        lambda: metrics.monthly_returns(times, RETURNS),  # type: ignore[arg-type]
    ):
        with pytest.raises(ValueError, match=re.escape(said)):
            figure()
    with pytest.raises(ValueError, match=re.escape(said)) as caught:
        metrics.holding_period(TIMES, times)  # type: ignore[arg-type]
    assert str(caught.value).startswith("exit_times: ")


def test_times_increase() -> None:
    for times in (TIMES[::-1], TIMES[[0, 0]]):
        for figure in (metrics.years, metrics.periods_per_year):
            with pytest.raises(ValueError, match="times: they do not increase"):
                figure(times)


@pytest.mark.parametrize("periods", [0.0, -252.0, math.inf, "252", None, True])
def test_bad_periods(periods: object) -> None:
    with pytest.raises(ValueError, match="periods_per_year="):
        metrics.sharpe_ratio(RETURNS, periods)  # type: ignore[arg-type]


@pytest.mark.parametrize("rate", [-1.0, math.nan, math.inf, "0.02", None, 10**400])
def test_bad_rates(rate: object) -> None:
    with pytest.raises(ValueError, match="risk_free_rate="):
        metrics.sharpe_ratio(RETURNS, 252.0, rate)  # type: ignore[arg-type]


@pytest.mark.parametrize("figure", [metrics.value_at_risk, metrics.expected_shortfall])
@pytest.mark.parametrize("level", [0.0, 1.0, 5, math.nan, "5 %"])
def test_bad_levels(figure: Callable[..., float], level: object) -> None:
    with pytest.raises(ValueError, match="level="):
        figure(RETURNS, level)


def test_a_rate_beyond_all_floats_makes_a_figure_unknown() -> None:
    # 5 to the thousandth
    assert math.isnan(metrics.sharpe_ratio(RETURNS, 0.001, 4.0))
