"""Probabilistic and deflated Sharpe ratios, as the papers print them and by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ml4t.backtest import metrics


def test_the_example_of_the_paper_of_2012() -> None:
    # Bailey and Lopez de Prado (2012): two years of months with an annual Sharpe ratio of 1.59,
    # skewness -2.448, kurtosis 10.164: 0.913, and 0.982 if they were normal.
    monthly = 1.59 / math.sqrt(12)
    found = metrics.sharpe_probability(monthly, 24, -2.448, 10.164 - 3.0)
    assert found == pytest.approx(0.913, abs=0.001)
    assert metrics.sharpe_probability(monthly, 24) == pytest.approx(0.982, abs=0.0005)


def test_the_example_of_the_paper_of_2014() -> None:
    # Bailey and Lopez de Prado (2014): 1 250 days, 250 a year, an annual Sharpe ratio of 2.5 after
    # 100 trials of variance 1/2; skewness -3, kurtosis 10: expected maximum 0.1132 a day, deflated
    # Sharpe ratio 0.9004; after 46 trials 0.9505.
    daily = 2.5 / math.sqrt(250)
    highest = metrics.expected_max_sharpe(100, 0.5 / 250)
    assert highest == pytest.approx(0.1132, abs=0.00005)
    found = metrics.sharpe_probability(daily, 1250, -3.0, 7.0, highest)
    assert found == pytest.approx(0.9004, abs=0.00005)
    highest = metrics.expected_max_sharpe(46, 0.5 / 250)
    found = metrics.sharpe_probability(daily, 1250, -3.0, 7.0, highest)
    assert found == pytest.approx(0.9505, abs=0.00005)


def test_of_returns() -> None:
    # mean 1 and deviation 2: Sharpe 0.5 a bar; skewness 2 and kurtosis 4 (see test_tails):
    # 1 - 2 * 0.5 + (4 + 2) / 4 * 0.25 = 0.375; 0.5 * sqrt(3 / 0.375) = sqrt(2)
    returns = np.array([0.0, 0.0, 0.0, 4.0])
    found = metrics.probabilistic_sharpe_ratio(returns, 4.0)
    assert found == pytest.approx(0.9213504)  # of the normal distribution at 1.4142136
    # half a year's 0.5 is 0.25 a bar: half the distance
    found = metrics.probabilistic_sharpe_ratio(returns, 4.0, 0.5)
    assert found == pytest.approx(0.7602499)  # at 0.7071068
    # the estimate itself
    assert metrics.probabilistic_sharpe_ratio(returns, 4.0, 1.0) == pytest.approx(0.5)
    # a rate of 300 % a year, 1 a bar of half a year: nothing is earned
    assert metrics.probabilistic_sharpe_ratio(returns, 2.0, 0.0, 3.0) == pytest.approx(0.5)


def test_deflated_of_returns() -> None:
    returns = np.array([0.0, 0.0, 0.0, 4.0])
    # Of one trial there is no best. Of two: euler * Z(1 - 1 / (2 e)) = 0.5772157 * 0.9004525 times
    # 2, the root of the variance 4, is 1.0395103 a year, 0.5197551 a bar: 0.5 - 0.5197551 =
    # -0.0197551, times sqrt(3 / 0.375), is -0.0558759. So near 0 the normal distribution is
    # 0.5 + (z - z ** 3 / 6) / sqrt(2 pi).
    assert metrics.deflated_sharpe_ratio(returns, 4.0, 1, 4.0) == pytest.approx(0.9213504)
    found = metrics.deflated_sharpe_ratio(returns, 4.0, 2, 4.0)
    z = -0.0558759
    assert found == pytest.approx(0.5 + (z - z**3 / 6.0) / math.sqrt(2.0 * math.pi), abs=1e-6)


def test_the_expected_maximum_is_about_right() -> None:
    # the mean of the largest of 20 normal variates is 1.8675 (Harter 1961); the approximation
    # is good to a few per cent
    assert metrics.expected_max_sharpe(20, 1.0) == pytest.approx(1.8675, rel=0.03)
    assert metrics.expected_max_sharpe(1, 1.0) == 0.0
    assert metrics.expected_max_sharpe(20, 0.0) == 0.0


def test_more_trials_than_a_float_tells_from_one_less() -> None:
    # scipy.stats: norm.isf(p) and norm.isf(p / e) for p = 1e-16 and 1e-300
    for n, first, second in (
        (10**16, 8.222082216130435, 8.34114294690668),
        (10**300, 37.0470962993612, 37.07405954619438),
    ):
        expected = 2.0 * ((1.0 - np.euler_gamma) * first + np.euler_gamma * second)
        assert metrics.expected_max_sharpe(n, 4.0) == pytest.approx(expected, rel=1e-9)
    assert math.isnan(metrics.expected_max_sharpe(10**400, 4.0))


def test_what_is_not_known() -> None:
    assert math.isnan(metrics.probabilistic_sharpe_ratio(np.zeros(0), 252.0))
    assert math.isnan(metrics.probabilistic_sharpe_ratio(np.array([0.1, 0.2, 0.0]), 252.0))
    assert math.isnan(metrics.probabilistic_sharpe_ratio(np.zeros(9), 252.0))
    assert math.isnan(metrics.probabilistic_sharpe_ratio(np.array([0.1, 0, 0, math.nan]), 252.0))
    assert math.isnan(metrics.probabilistic_sharpe_ratio(np.array([0.1, 0, 0, 0.2]), math.nan))
    assert math.isnan(metrics.sharpe_probability(math.nan, 10))
    # 1 - 3 * 1 + 2 / 4 < 0: no distribution has this skewness and this kurtosis
    assert math.isnan(metrics.sharpe_probability(1.0, 10, 3.0, 0.0))


def test_bad_numbers() -> None:
    for call, said in (
        (lambda: metrics.sharpe_probability(0.1, 1), "n_returns=1: must be at least 2"),
        (lambda: metrics.sharpe_probability("1", 9), "sharpe='1': must be a number"),  # type: ignore[arg-type]
        (lambda: metrics.sharpe_probability(0.1, 9, None), "skewness=None: must be"),  # type: ignore[arg-type]
        (lambda: metrics.expected_max_sharpe(0, 1.0), "n_trials=0: must be at least 1"),
        (lambda: metrics.expected_max_sharpe(2.5, 1.0), "n_trials=2.5: must be a whole number"),  # type: ignore[arg-type]
        (lambda: metrics.expected_max_sharpe(5, -1.0), "sharpe_variance=-1.0"),
        (
            lambda: metrics.probabilistic_sharpe_ratio(np.zeros(3), 252.0, "1"),  # type: ignore[arg-type]
            "threshold='1'",
        ),
    ):
        with pytest.raises(ValueError, match=said):
            call()
