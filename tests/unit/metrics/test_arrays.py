"""What every figure refuses, whichever it is."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

import numpy as np
import pytest

from ml4t.backtest import metrics

RETURNS = np.array([0.1, -0.1, 0.1])


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.zeros((2, 2)), "returns: has the shape (2, 2); pass an array of one dimension"),
        (0.1, "returns: has the shape ()"),
        (["a", "b"], "returns: ['a', 'b'] is no array of numbers"),
        (None, "returns: has the shape ()"),
    ],
)
def test_what_is_no_array(values: object, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        metrics.volatility(values, 252.0)  # type: ignore[arg-type]


def test_lists_and_integers_are_arrays() -> None:
    assert metrics.total_return([100, 121]) == pytest.approx(0.21)  # type: ignore[arg-type]


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
