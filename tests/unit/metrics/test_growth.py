"""Returns of an equity curve and what it grows by, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ml4t.backtest import metrics

DAY = 86_400 * 10**9
YEAR = round(365.25 * DAY)
EQUITY = np.array([100.0, 110.0, 99.0, 108.9])
DAYS = np.arange(4) * DAY


def test_returns() -> None:
    # 110 / 100, 99 / 110, 108.9 / 99
    assert metrics.simple_returns(EQUITY) == pytest.approx([0.1, -0.1, 0.1])
    assert metrics.simple_returns(EQUITY[:1]).size == 0
    assert metrics.simple_returns(EQUITY[:0]).size == 0
    # after an equity that is not positive there is no return
    found = metrics.simple_returns(np.array([10.0, 0.0, 5.0, -5.0, 5.0]))
    np.testing.assert_array_equal(found, [-1.0, math.nan, -2.0, math.nan])
    # 1e300 / 1e-300 is beyond all floats
    assert np.isnan(metrics.simple_returns(np.array([1e-300, 1e300]))).all()


def test_compound() -> None:
    # 1, 1.1, 1.1 * 0.9, 0.99 * 1.1
    assert metrics.compound(np.array([0.1, -0.1, 0.1])) == pytest.approx([1.0, 1.1, 0.99, 1.089])
    assert metrics.compound(np.zeros(0)).tolist() == [1.0]
    found = metrics.compound(np.array([0.5, math.nan, 0.5]))
    np.testing.assert_array_equal(found, [1.0, 1.5, math.nan, math.nan])


def test_years() -> None:
    assert metrics.years(DAYS) == pytest.approx(3 / 365.25)
    assert metrics.years(DAYS[:1]) == 0.0
    assert metrics.years(DAYS[:0]) == 0.0
    # 3 bars in 3 days
    assert metrics.periods_per_year(DAYS) == pytest.approx(365.25)
    assert math.isnan(metrics.periods_per_year(DAYS[:1]))


def test_total_return() -> None:
    assert metrics.total_return(EQUITY) == pytest.approx(0.089)
    assert metrics.total_return(EQUITY[:1]) == 0.0
    assert metrics.total_return(np.array([5.0, 0.0])) == -1.0
    assert math.isnan(metrics.total_return(EQUITY[:0]))
    assert math.isnan(metrics.total_return(np.array([0.0, 1.0])))
    assert math.isnan(metrics.total_return(np.array([1.0, math.nan])))
    assert math.isnan(metrics.total_return(np.array([1e-300, 1e300])))


def test_annual_return() -> None:
    # 1.21 in two years is 1.1 in one
    assert metrics.annual_return(np.array([100.0, 121.0]), 2.0) == pytest.approx(0.1)
    assert metrics.annual_return(np.array([100.0, 0.0]), 2.0) == -1.0
    assert metrics.annual_return(np.array([100.0, -5.0]), 2.0) == -1.0
    # 1e-20 in ten years is 0.01 in one: nearly all is not all
    assert metrics.annual_return(np.array([1.0, 1e-20]), 10.0) == pytest.approx(-0.99, rel=1e-12)
    assert math.isnan(metrics.annual_return(EQUITY[:1], 0.0))
    assert math.isnan(metrics.annual_return(EQUITY, math.nan))
    assert math.isnan(metrics.annual_return(EQUITY[:0], 1.0))


def test_a_gain_of_a_second_is_no_annual_return() -> None:
    # 2 to the 31,557,600th; a year that loses half a second ends with nothing
    second = 1.0 / 31_557_600
    assert math.isnan(metrics.annual_return(np.array([100.0, 200.0]), second))
    assert metrics.annual_return(np.array([100.0, 50.0]), second) == -1.0
    # the largest that there is: 10 ** 307 a year from 10 in 1/307 of one
    found = metrics.annual_return(np.array([1.0, 10.0]), 1.0 / 307.0)
    assert found == pytest.approx(1e307, rel=1e-9)
