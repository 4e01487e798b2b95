"""What holds for the figures of all returns and all equity."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from ml4t.backtest import metrics

#: Returns as markets have them, and series without any.
RETURN = st.floats(-0.5, 0.5, allow_nan=False).map(lambda value: round(value, 6))
RETURNS = arrays.arrays(np.float64, st.integers(0, 60), elements=RETURN)
#: Anything at all.
ANY = arrays.arrays(np.float64, st.integers(0, 12), elements=st.floats())
OF_RETURNS: dict[str, Callable[[Any], float]] = {
    "volatility": lambda r: metrics.volatility(r, 252.0),
    "sharpe_ratio": lambda r: metrics.sharpe_ratio(r, 252.0, 0.02),
    "downside_deviation": lambda r: metrics.downside_deviation(r, 252.0, 0.02),
    "sortino_ratio": lambda r: metrics.sortino_ratio(r, 252.0, 0.02),
    "value_at_risk": metrics.value_at_risk,
    "expected_shortfall": metrics.expected_shortfall,
    "skewness": metrics.skewness,
    "kurtosis": metrics.kurtosis,
    "tail_ratio": metrics.tail_ratio,
    "hit_rate": metrics.hit_rate,
    "profit_factor": metrics.profit_factor,
    "exposure": metrics.exposure,
    "time_in_market": metrics.time_in_market,
    "optimal_block_length": metrics.optimal_block_length,
    "probabilistic_sharpe_ratio": lambda r: metrics.probabilistic_sharpe_ratio(r, 252.0, 0.5),
    "deflated_sharpe_ratio": lambda r: metrics.deflated_sharpe_ratio(r, 252.0, 20, 0.5),
}
OF_EQUITY: dict[str, Callable[[Any], float]] = {
    "total_return": metrics.total_return,
    "annual_return": lambda e: metrics.annual_return(e, 2.0),
    "max_drawdown": metrics.max_drawdown,
    "calmar_ratio": lambda e: metrics.calmar_ratio(e, 2.0),
    "turnover": lambda e: metrics.turnover(np.ones(e.size), e),
    "cost_bps": lambda e: metrics.cost_bps(np.ones(e.size), e, 2.0),
}
OF_TWO: dict[str, Callable[[Any, Any], float]] = {
    "beta": metrics.beta,
    "correlation": metrics.correlation,
    "alpha": lambda r, b: metrics.alpha(r, b, 252.0, 0.02),
    "tracking_error": lambda r, b: metrics.tracking_error(r, b, 252.0),
    "information_ratio": lambda r, b: metrics.information_ratio(r, b, 252.0),
    "up_capture": lambda r, b: metrics.up_capture(r, b, 252.0),
    "down_capture": lambda r, b: metrics.down_capture(r, b, 252.0),
}


@pytest.mark.parametrize("name", [*OF_RETURNS, *OF_EQUITY])
@given(values=ANY)
def test_a_figure_is_a_number_or_nan_whatever_it_gets(name: str, values: Any) -> None:
    found = (OF_RETURNS | OF_EQUITY)[name](values)
    assert type(found) is float
    assert not math.isinf(found)


@pytest.mark.parametrize("name", OF_TWO)
@given(values=ANY)
def test_a_relative_figure_is_a_number_or_nan_whatever_it_gets(name: str, values: Any) -> None:
    for found in (OF_TWO[name](values, values[::-1]), OF_TWO[name](values, values)):
        assert type(found) is float
        assert not math.isinf(found)


@given(values=ANY)
def test_series_are_numbers_or_nan_whatever_they_get(values: Any) -> None:
    for found in (
        metrics.simple_returns(values),
        metrics.compound(values),
        metrics.drawdown(values),
        metrics.rolling_volatility(values, 3, 252.0),
        metrics.rolling_sharpe_ratio(values, 3, 252.0),
        metrics.rolling_beta(values, values[::-1], 3),
        metrics.drawdown_table(values).depth,
        metrics.monthly_returns(
            np.arange(values.size).astype("datetime64[M]"), values
        ).months.ravel(),
    ):
        assert not np.isinf(found).any()


@pytest.mark.parametrize("name", [*OF_RETURNS, *OF_TWO])
@given(values=RETURNS.filter(len), place=st.integers(0, 59))
def test_one_unknown_return_makes_a_figure_unknown(name: str, values: Any, place: int) -> None:
    gap = values.copy()
    gap[place % gap.size] = math.nan
    if name in OF_RETURNS:
        assert math.isnan(OF_RETURNS[name](gap))
    else:
        assert math.isnan(OF_TWO[name](gap, values))
        assert math.isnan(OF_TWO[name](values, gap))


@given(returns=RETURNS, other=RETURNS, window=st.integers(2, 25))
def test_a_rolling_figure_is_the_plain_one_of_every_window(
    returns: Any, other: Any, window: int
) -> None:
    n = min(returns.size, other.size)
    returns, other = returns[:n], other[:n]
    rolling: list[tuple[Any, Callable[[Any, Any], float]]] = [
        (
            metrics.rolling_volatility(returns, window, 252.0),
            lambda r, b: metrics.volatility(r, 252.0),
        ),
        (
            metrics.rolling_sharpe_ratio(returns, window, 252.0, 0.03),
            lambda r, b: metrics.sharpe_ratio(r, 252.0, 0.03),
        ),
        (metrics.rolling_beta(returns, other, window), metrics.beta),
    ]
    for found, plain in rolling:
        assert found.shape == (n,)
        expected = [
            plain(returns[t - window + 1 : t + 1], other[t - window + 1 : t + 1])
            if t >= window - 1
            else math.nan
            for t in range(n)
        ]
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


@given(returns=RETURNS)
def test_compound_and_simple_returns_are_inverse(returns: Any) -> None:
    equity = metrics.compound(returns)
    np.testing.assert_allclose(metrics.simple_returns(equity), returns, atol=1e-12)
    assert metrics.total_return(equity) == pytest.approx(np.prod(1.0 + returns) - 1.0)


@given(returns=RETURNS, scale=st.floats(0.01, 1e6))
def test_drawdowns(returns: Any, scale: float) -> None:
    equity = scale * metrics.compound(returns)
    found = metrics.drawdown_table(equity)
    # one after the other, each from a high to the next value that reaches it
    deepest = 0.0 if found.depth.size == 0 else found.depth[0]
    assert metrics.max_drawdown(equity) == deepest
    assert (np.diff(found.depth) >= 0.0).all()
    below = np.zeros(equity.size, bool)
    for k in range(found.peak.size):
        peak, valley, recovery = (int(part[k]) for part in found[:3])
        stop = equity.size if recovery < 0 else recovery
        assert equity[peak] == equity[:stop].max()
        assert equity[valley] == equity[peak:stop].min()
        assert (equity[peak + 1 : stop] < equity[peak]).all()
        assert recovery < 0 or equity[recovery] >= equity[peak]
        assert not below[peak + 1 : stop].any()
        below[peak + 1 : stop] = True
    np.testing.assert_array_equal(below, metrics.drawdown(equity) < 0.0)


@given(returns=RETURNS, scale=st.floats(0.1, 3.0))
def test_what_is_the_same_at_every_scale(returns: Any, scale: float) -> None:
    for name in ("skewness", "kurtosis", "hit_rate", "profit_factor", "tail_ratio"):
        plain, scaled = OF_RETURNS[name](returns), OF_RETURNS[name](scale * returns)
        assert scaled == pytest.approx(plain, rel=1e-6, abs=1e-6, nan_ok=True)
    assert metrics.beta(scale * returns, returns) == pytest.approx(
        scale * metrics.beta(returns, returns), nan_ok=True
    )
    assert metrics.sharpe_ratio(scale * returns, 252.0) == pytest.approx(
        metrics.sharpe_ratio(returns, 252.0), rel=1e-6, nan_ok=True
    )


@given(returns=RETURNS, level=st.floats(0.01, 0.99))
def test_the_shortfall_is_no_better_than_the_value_at_risk(returns: Any, level: float) -> None:
    limit = metrics.value_at_risk(returns, level)
    shortfall = metrics.expected_shortfall(returns, level)
    assert math.isnan(limit) == math.isnan(shortfall) == (returns.size == 0)
    assert not shortfall > limit + 1e-15
    if returns.size:
        assert np.mean(returns <= limit) >= level * (1.0 - 1.0 / returns.size) - 1e-12


@given(
    returns=RETURNS.filter(len),
    gaps=arrays.arrays(np.int64, 60, elements=st.integers(1, 70)),
    first=st.integers(-1000, 20_000),
)
def test_months_compound_to_years_and_years_to_the_whole(
    returns: Any, gaps: Any, first: int
) -> None:
    equity = metrics.compound(returns)
    days = first + np.cumsum(gaps[: returns.size])
    found = metrics.monthly_returns(days.astype("datetime64[D]"), equity[1:], equity[0])
    whole = np.nanprod(1.0 + found.months, axis=1) - 1.0
    with_bars = ~np.isnan(found.totals)
    np.testing.assert_array_equal(with_bars, (~np.isnan(found.months)).any(axis=1))
    np.testing.assert_allclose(whole[with_bars], found.totals[with_bars], atol=1e-12)
    total = np.nanprod(1.0 + found.totals)
    assert total == pytest.approx(equity[-1] / equity[0])


@settings(max_examples=25)
@given(half=RETURNS.filter(lambda r: np.count_nonzero(r) > 3), seed=st.integers(0, 1000))
def test_an_interval_of_a_symmetric_mean_holds_it(half: Any, seed: int) -> None:
    both = np.concatenate([half, -half])
    found = metrics.bootstrap_interval(both, np.mean, 0.95, 200, block_length=1.0, seed=seed)
    assert found.low <= found.estimate <= found.high
    assert found.low < 0.0 < found.high


@given(returns=RETURNS, threshold=st.floats(-3, 3), more=st.floats(0, 3))
def test_a_higher_threshold_is_less_likely(returns: Any, threshold: float, more: float) -> None:
    low = metrics.probabilistic_sharpe_ratio(returns, 252.0, threshold)
    high = metrics.probabilistic_sharpe_ratio(returns, 252.0, threshold + more)
    assert math.isnan(low) == math.isnan(high)
    if not math.isnan(low):
        assert 0.0 <= high <= low <= 1.0
    one = metrics.deflated_sharpe_ratio(returns, 252.0, 1, 1.0)
    many = metrics.deflated_sharpe_ratio(returns, 252.0, 50, 1.0)
    assert not many > one
