"""Figures of windows, by hand; `tests/property` holds them to the plain ones."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ml4t.backtest import metrics

NAN = math.nan
RETURNS = np.array([0.01, 0.03, 0.02, 0.02, 0.06])


def test_volatility() -> None:
    # two values lie |difference| / sqrt(2) apart: 0.02, 0.01, 0, 0.04; the root of 2 goes
    found = metrics.rolling_volatility(RETURNS, 2, 2.0)
    np.testing.assert_allclose(found, [NAN, 0.02, 0.01, 0.0, 0.04], atol=1e-17)
    # 1, 3, 2 per cent: mean 2, squares 2 over 2
    assert metrics.rolling_volatility(RETURNS, 3, 1.0)[2] == pytest.approx(0.01)


def test_sharpe_ratio() -> None:
    # means 0.02, 0.025, 0.02, 0.04 over the deviations above; the third does not vary
    found = metrics.rolling_sharpe_ratio(RETURNS, 2, 2.0)
    expected = [NAN, 0.02 / 0.02 * 2, 0.025 / 0.01 * 2, NAN, 0.04 / 0.04 * 2]
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    # 2.01 % a year is 1 % a half
    found = metrics.rolling_sharpe_ratio(RETURNS, 2, 2.0, 0.0201)
    assert found[1] == pytest.approx(0.01 / 0.02 * 2)


def test_beta() -> None:
    # the slope between two points: (3 - 1) / (1 - 2), (2 - 3) / (4 - 1), none, (6 - 2) / (5 - 4)
    benchmark = np.array([0.02, 0.01, 0.04, 0.04, 0.05])
    found = metrics.rolling_beta(RETURNS, benchmark, 2)
    np.testing.assert_allclose(found, [NAN, -2.0, -1.0 / 3.0, NAN, 4.0], rtol=1e-12)


def test_what_a_window_does_not_hold_does_not_reach_it() -> None:
    returns = np.array([0.01, 0.03, NAN, 0.02, 0.06, 0.01])
    found = metrics.rolling_volatility(returns, 2, 2.0)
    np.testing.assert_allclose(found, [NAN, 0.02, NAN, NAN, 0.04, 0.05])
    # a sum that adds and takes would have lost 0.02 and 0.06 beside 1e12
    returns[2] = 1e12
    found = metrics.rolling_volatility(returns, 2, 2.0)
    assert found[4] == pytest.approx(0.04, rel=1e-12)


@pytest.mark.parametrize("n", [0, 1, 2])
def test_too_few_for_a_window(n: int) -> None:
    returns = RETURNS[:n]
    for found in (
        metrics.rolling_volatility(returns, 3, 252.0),
        metrics.rolling_sharpe_ratio(returns, 3, 252.0),
        metrics.rolling_beta(returns, returns, 3),
    ):
        assert found.size == n
        assert np.isnan(found).all()


@pytest.mark.parametrize("window", [1, 0, -2, 2.0, True, "2"])
def test_bad_windows(window: object) -> None:
    with pytest.raises(ValueError, match="window="):
        metrics.rolling_volatility(RETURNS, window, 252.0)  # type: ignore[arg-type]
