"""Return and risk of an equity curve, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ml4t.backtest.metrics import performance

DAY = 86_400 * 10**9
EQUITY = np.array([100.0, 110.0, 99.0, 108.9])
DAYS = np.arange(4) * DAY


def test_returns() -> None:
    # 110 / 100, 99 / 110, 108.9 / 99
    assert performance.returns(EQUITY) == pytest.approx([0.1, -0.1, 0.1])
    assert performance.returns(EQUITY[:1]).size == 0
    # after an equity that is not positive there is no return
    found = performance.returns(np.array([10.0, 0.0, 5.0, -5.0, 5.0]))
    np.testing.assert_array_equal(found, [-1.0, math.nan, -2.0, math.nan])


def test_years() -> None:
    assert performance.years(DAYS) == pytest.approx(3 / 365.25)
    assert performance.years(DAYS[:1]) == 0.0
    assert performance.years(DAYS[:0]) == 0.0
    # 3 bars in 3 days
    assert performance.periods_per_year(DAYS) == pytest.approx(365.25)
    assert math.isnan(performance.periods_per_year(DAYS[:1]))


def test_total_return() -> None:
    assert performance.total_return(EQUITY) == pytest.approx(0.089)
    assert performance.total_return(EQUITY[:1]) == 0.0
    assert math.isnan(performance.total_return(EQUITY[:0]))
    assert math.isnan(performance.total_return(np.array([0.0, 1.0])))


def test_annual_return() -> None:
    two_years = np.array([0, 2 * 365.25 * 86_400 * 1e9]).astype(np.int64)
    # 1.21 in two years is 1.1 in one
    assert performance.annual_return(np.array([100.0, 121.0]), two_years) == pytest.approx(0.1)
    assert performance.annual_return(np.array([100.0, 0.0]), two_years) == -1.0
    assert performance.annual_return(np.array([100.0, -5.0]), two_years) == -1.0
    assert math.isnan(performance.annual_return(EQUITY[:1], DAYS[:1]))


def test_a_gain_of_a_second_is_no_annual_return() -> None:
    # 2 to the 31,557,600th; a year that loses half a second ends with nothing
    second = np.array([0, 10**9])
    assert math.isnan(performance.annual_return(np.array([100.0, 200.0]), second))
    assert performance.annual_return(np.array([100.0, 50.0]), second) == -1.0
    # the largest that there is: 10 ** 307 a year from 10 in 1/307 of one
    part = np.array([0, round(365.25 * 86_400 * 1e9 / 307)])
    assert performance.annual_return(np.array([1.0, 10.0]), part) == pytest.approx(1e307, rel=1e-9)


def test_volatility_and_sharpe() -> None:
    # mean 1/30; deviations 1/15, -2/15, 1/15: 6/225 in squares, over 2 is 1/75
    volatility = math.sqrt(1 / 75) * math.sqrt(365.25)
    assert performance.volatility(EQUITY, DAYS) == pytest.approx(volatility)
    sharpe = (1 / 30) / math.sqrt(1 / 75) * math.sqrt(365.25)
    assert performance.sharpe_ratio(EQUITY, DAYS) == pytest.approx(sharpe)
    assert sharpe == pytest.approx(5.5170, abs=1e-4)  # sqrt(75 * 365.25) / 30


@pytest.mark.parametrize("n_bars", [0, 1, 2])
def test_too_few_bars_for_risk(n_bars: int) -> None:
    assert math.isnan(performance.volatility(EQUITY[:n_bars], DAYS[:n_bars]))
    assert math.isnan(performance.sharpe_ratio(EQUITY[:n_bars], DAYS[:n_bars]))


def test_no_variation_is_no_sharpe() -> None:
    flat = np.full(4, 100.0)
    assert performance.volatility(flat, DAYS) == 0.0
    assert math.isnan(performance.sharpe_ratio(flat, DAYS))
    growing = 100.0 * 1.01 ** np.arange(4)  # varies by rounding alone
    assert math.isnan(performance.sharpe_ratio(growing, DAYS))


def test_max_drawdown() -> None:
    # 99 under a high of 110
    assert performance.max_drawdown(EQUITY) == pytest.approx(-0.1)
    assert performance.max_drawdown(np.array([1.0, 2.0, 3.0])) == 0.0
    assert performance.max_drawdown(np.array([10.0, 8.0, 12.0, 3.0, 13.0])) == pytest.approx(-0.75)
    assert performance.max_drawdown(EQUITY[:1]) == 0.0
    assert math.isnan(performance.max_drawdown(EQUITY[:0]))
