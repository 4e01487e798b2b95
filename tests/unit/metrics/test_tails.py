"""Quantiles and moments, by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist

import numpy as np
import pytest

from ml4t.backtest import metrics

RETURNS = np.array([0.01, -0.04, 0.05, 0.0, -0.02])
FIGURES = (
    metrics.value_at_risk,
    metrics.expected_shortfall,
    metrics.skewness,
    metrics.kurtosis,
    metrics.tail_ratio,
)


def test_value_at_risk() -> None:
    # place 0.05 * 4 = 0.2 between -0.04 and -0.02
    assert metrics.value_at_risk(RETURNS) == pytest.approx(-0.036)
    # place 1: -0.02 itself
    assert metrics.value_at_risk(RETURNS, 0.25) == -0.02
    assert metrics.value_at_risk(RETURNS[:1]) == 0.01


def test_expected_shortfall() -> None:
    # at or below -0.036: -0.04 alone
    assert metrics.expected_shortfall(RETURNS) == -0.04
    # at or below -0.02: -0.04 and -0.02
    assert metrics.expected_shortfall(RETURNS, 0.25) == pytest.approx(-0.03)
    # one that is there twice counts twice: at or below 0 are -0.03, 0, 0
    found = metrics.expected_shortfall(np.array([-0.03, 0.0, 0.0, 0.1, 0.2]), 0.25)
    assert found == pytest.approx(-0.01)
    assert metrics.expected_shortfall(RETURNS[:1]) == 0.01


def test_moments() -> None:
    # mean 1, deviations -1, -1, -1, 3: their squares over 3 are 4, so scores -1/2 (three) and 3/2
    values = np.array([0.0, 0.0, 0.0, 4.0])
    # cubes: (27 - 3) / 8 = 3; times 4 / (3 * 2)
    assert metrics.skewness(values) == pytest.approx(2.0)
    assert metrics.skewness(-values) == pytest.approx(-2.0)
    # fourth powers: (81 + 3) / 16 = 5.25; times 4 * 5 / (3 * 2 * 1) = 17.5; less 3 * 9 / (2 * 1)
    assert metrics.kurtosis(values) == pytest.approx(4.0)
    assert metrics.skewness(np.array([-1.0, 0.0, 1.0])) == pytest.approx(0.0)


def test_a_normal_distribution_has_neither() -> None:
    # the quantiles of one, in the middle of 20 001 equal parts
    values = np.array([NormalDist().inv_cdf((k + 0.5) / 20_001) for k in range(20_001)])
    assert metrics.skewness(values) == pytest.approx(0.0, abs=1e-9)
    assert metrics.kurtosis(values) == pytest.approx(0.0, abs=0.01)


def test_tail_ratio() -> None:
    # 0.01 at place 3 over 0.02 at place 1
    assert metrics.tail_ratio(RETURNS, 0.25) == pytest.approx(0.5)
    # places 3.8 and 0.2: 0.01 + 0.8 * 0.04 = 0.042 over 0.036
    assert metrics.tail_ratio(RETURNS) == pytest.approx(0.042 / 0.036)
    assert math.isnan(metrics.tail_ratio(np.zeros(5)))


@pytest.mark.parametrize("figure", FIGURES)
def test_what_is_not_known(figure: Callable[..., float]) -> None:
    assert math.isnan(figure(RETURNS[:0]))
    assert math.isnan(figure(np.append(RETURNS, math.nan)))
    assert math.isnan(figure(np.append(RETURNS, math.inf)))


def test_too_few_or_equal_returns_have_no_shape() -> None:
    assert math.isnan(metrics.skewness(RETURNS[:2]))
    assert math.isfinite(metrics.skewness(RETURNS[:3]))
    assert math.isnan(metrics.kurtosis(RETURNS[:3]))
    assert math.isfinite(metrics.kurtosis(RETURNS[:4]))
    growing = metrics.simple_returns(100.0 * 1.01 ** np.arange(40))
    assert math.isnan(metrics.skewness(growing))
    assert math.isnan(metrics.kurtosis(growing))
    assert math.isnan(metrics.kurtosis(np.array([1e200, -1e200, 1e200, 0.0])))
