"""Returns beside those of a benchmark, by hand."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from ml4t.backtest import metrics

BENCHMARK = np.array([0.01, -0.02, 0.03, 0.02])
# Mean 0.015; 0.005, -0.025, -0.005, 0.025 about it, those of the benchmark 0, -0.03, 0.02, 0.01:
# squares 0.0013 and 0.0014, products 0.00075 - 0.0001 + 0.00025 = 0.0009.
RETURNS = np.array([0.02, -0.01, 0.01, 0.04])
FIGURES: dict[str, Callable[..., float]] = {
    "beta": metrics.beta,
    "correlation": metrics.correlation,
    "alpha": lambda r, b: metrics.alpha(r, b, 4.0),
    "tracking error": lambda r, b: metrics.tracking_error(r, b, 4.0),
    "information ratio": lambda r, b: metrics.information_ratio(r, b, 4.0),
    "up capture": lambda r, b: metrics.up_capture(r, b, 4.0),
    "down capture": lambda r, b: metrics.down_capture(r, b, 4.0),
}


def test_beta_and_correlation() -> None:
    assert metrics.beta(RETURNS, BENCHMARK) == pytest.approx(9.0 / 14.0)
    # 0.0009 / sqrt(0.0013 * 0.0014)
    assert metrics.correlation(RETURNS, BENCHMARK) == pytest.approx(0.6671244)
    assert metrics.beta(0.001 + 2.0 * BENCHMARK, BENCHMARK) == pytest.approx(2.0)
    assert metrics.correlation(0.001 - 2.0 * BENCHMARK, BENCHMARK) == pytest.approx(-1.0)


def test_alpha() -> None:
    # 0.015 - 9/14 * 0.01 = 0.12 / 14 a bar
    assert metrics.alpha(RETURNS, BENCHMARK, 4.0) == pytest.approx(0.48 / 14.0)
    # without the rate 0.01 the benchmark earns nothing, and 0.005 is left
    assert metrics.alpha(RETURNS, BENCHMARK, 1.0, 0.01) == pytest.approx(0.005)


def test_difference() -> None:
    # 0.01, 0.01, -0.02, 0.02: mean 0.005, squares about it 0.0009, over 3; the root of 4 is 2
    assert metrics.tracking_error(RETURNS, BENCHMARK, 4.0) == pytest.approx(2 * math.sqrt(0.0003))
    assert metrics.information_ratio(RETURNS, BENCHMARK, 4.0) == pytest.approx(0.5773503)
    assert metrics.tracking_error(RETURNS, RETURNS, 4.0) == 0.0
    assert math.isnan(metrics.information_ratio(RETURNS, RETURNS, 4.0))


def test_capture() -> None:
    # three bars up, which are a year: 1.02 * 1.01 * 1.04 and 1.01 * 1.03 * 1.02
    found = metrics.up_capture(RETURNS, BENCHMARK, 3.0)
    assert found == pytest.approx(0.071408 / 0.061106)
    # one bar down, a third of a year: 0.99 ** 3 - 1 over 0.98 ** 3 - 1
    found = metrics.down_capture(RETURNS, BENCHMARK, 3.0)
    assert found == pytest.approx(0.029701 / 0.058808)
    assert math.isnan(metrics.down_capture(RETURNS[2:], BENCHMARK[2:], 3.0))
    assert math.isnan(metrics.up_capture(RETURNS[1:2], BENCHMARK[1:2], 3.0))
    # 1.03 to the 100 000th is no float
    assert math.isnan(metrics.up_capture(RETURNS[2:3], BENCHMARK[2:3], 1e5))


@pytest.mark.parametrize("name", FIGURES)
def test_what_is_not_known(name: str) -> None:
    figure = FIGURES[name]
    assert math.isfinite(figure(RETURNS, BENCHMARK))
    assert math.isnan(figure(RETURNS[:0], BENCHMARK[:0]))
    gap = BENCHMARK.copy()
    gap[2] = math.nan
    assert math.isnan(figure(RETURNS, gap))
    assert math.isnan(figure(gap, BENCHMARK))
    with pytest.raises(ValueError, match=r"differ in length: returns has 4, benchmark has 3"):
        figure(RETURNS, BENCHMARK[:3])


def test_a_benchmark_that_does_not_vary() -> None:
    growing = metrics.simple_returns(100.0 * 1.01 ** np.arange(5))
    assert math.isnan(metrics.beta(RETURNS, growing))
    assert math.isnan(metrics.alpha(RETURNS, growing, 4.0))
    assert math.isnan(metrics.correlation(RETURNS, growing))
    assert math.isnan(metrics.correlation(growing, BENCHMARK))
    assert metrics.beta(growing, BENCHMARK) == pytest.approx(0.0, abs=1e-12)
    assert math.isnan(metrics.beta(RETURNS[:1], BENCHMARK[:1]))
