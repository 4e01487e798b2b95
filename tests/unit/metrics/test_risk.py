"""Volatility and the ratios of return to risk, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ml4t.backtest import metrics

# mean 1/30; deviations 1/15, -2/15, 1/15: 6/225 in squares, over 2 is 1/75
RETURNS = np.array([0.1, -0.1, 0.1])
DEVIATION = math.sqrt(1 / 75)
FIGURES = (
    metrics.volatility,
    metrics.sharpe_ratio,
    metrics.downside_deviation,
    metrics.sortino_ratio,
)


def test_volatility() -> None:
    assert metrics.volatility(RETURNS, 1.0) == pytest.approx(DEVIATION)
    # twice the root of 4
    assert metrics.volatility(RETURNS, 4.0) == pytest.approx(2.0 * DEVIATION)


def test_sharpe_ratio() -> None:
    # (1/30) * sqrt(75) = 0.28868, times sqrt(365.25)
    assert metrics.sharpe_ratio(RETURNS, 365.25) == pytest.approx(5.5170, abs=1e-4)
    # 21 % a year is 10 % a half: 0, -0.2, 0 in excess, mean -0.2 / 3, over sqrt(1/75), by sqrt(2)
    assert metrics.sharpe_ratio(RETURNS, 2.0, 0.21) == pytest.approx(-0.8164966)


def test_downside_deviation() -> None:
    # 0, -0.1, 0: squares 0.01 / 3; the root of 4 is 2
    assert metrics.downside_deviation(RETURNS, 4.0) == pytest.approx(2.0 * math.sqrt(0.01 / 3.0))
    # below 10 % a half: 0, -0.2, 0
    found = metrics.downside_deviation(RETURNS, 2.0, 0.21)
    assert found == pytest.approx(math.sqrt(2.0 * 0.04 / 3.0))
    assert metrics.downside_deviation(np.array([0.1, 0.2]), 4.0) == 0.0
    assert metrics.downside_deviation(np.array([-0.1]), 4.0) == pytest.approx(0.2)


def test_sortino_ratio() -> None:
    # (1/30) / sqrt(1/300) = 0.5773503, times 2
    assert metrics.sortino_ratio(RETURNS, 4.0) == pytest.approx(1.1547005)
    # (-0.2 / 3) / sqrt(0.04 / 3), times sqrt(2)
    assert metrics.sortino_ratio(RETURNS, 2.0, 0.21) == pytest.approx(-0.8164966)
    # nothing falls short
    assert math.isnan(metrics.sortino_ratio(np.array([0.1, 0.2]), 4.0))


def test_no_variation_is_no_ratio() -> None:
    flat = np.zeros(4)
    assert metrics.volatility(flat, 252.0) == 0.0
    assert math.isnan(metrics.sharpe_ratio(flat, 252.0))
    assert math.isnan(metrics.sortino_ratio(flat, 252.0))
    # these vary by rounding alone
    growing = metrics.simple_returns(100.0 * 1.01 ** np.arange(40))
    assert np.std(growing) > 0.0
    assert math.isnan(metrics.sharpe_ratio(growing, 252.0))
    # what is earned is the risk-free rate, but for rounding
    assert math.isnan(metrics.sortino_ratio(growing, 1.0, 0.01))


@pytest.mark.parametrize("figure", FIGURES)
def test_what_is_not_known(figure: object) -> None:
    assert callable(figure)
    assert math.isnan(figure(RETURNS[:0], 252.0))
    assert math.isnan(figure(np.array([0.1, math.nan, 0.2]), 252.0))
    assert math.isnan(figure(np.array([0.1, math.inf, -0.2]), 252.0))
    assert math.isnan(figure(RETURNS, math.nan))
    # the squares are beyond all floats
    assert math.isnan(figure(np.array([1e200, -1e200, 1e200]), 252.0))
    # one bar has a shortfall, and nothing else
    if figure is not metrics.downside_deviation:
        assert math.isnan(figure(RETURNS[:1], 252.0))
