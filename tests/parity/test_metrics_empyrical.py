"""The metrics beside those of empyrical-reloaded, on real returns.

Where the definitions agree the numbers do, to 1e-12; where they do not, the relation between them
is tested. `docs/api/metrics.md` has the list.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ml4t.backtest import metrics
from parity.real_returns import EXACT, NAMES, YEAR, load_returns

empyrical = pytest.importorskip("empyrical")
stats = pytest.importorskip("empyrical.stats")

RATE = 0.03
#: Of a bar, which is what empyrical takes.
BAR_RATE = (1.0 + RATE) ** (1.0 / YEAR) - 1.0
Figure = Callable[[Any], float]


def grown(figure: Callable[[Any, float], float]) -> Figure:
    """A figure of equity and years, of returns."""
    return lambda r: figure(metrics.compound(r), r.size / YEAR)


EQUAL: dict[str, tuple[Figure, Figure]] = {
    "annual_return": (
        grown(metrics.annual_return),
        lambda r: empyrical.annual_return(r, annualization=YEAR),
    ),
    "total_return": (
        lambda r: metrics.total_return(metrics.compound(r)),
        empyrical.cum_returns_final,
    ),
    "volatility": (
        lambda r: metrics.volatility(r, YEAR),
        lambda r: empyrical.annual_volatility(r, annualization=YEAR),
    ),
    "sharpe_ratio": (
        lambda r: metrics.sharpe_ratio(r, YEAR, RATE),
        lambda r: empyrical.sharpe_ratio(r, BAR_RATE, annualization=YEAR),
    ),
    "downside_deviation": (
        lambda r: metrics.downside_deviation(r, YEAR, RATE),
        lambda r: empyrical.downside_risk(r, BAR_RATE, annualization=YEAR),
    ),
    "sortino_ratio": (
        lambda r: metrics.sortino_ratio(r, YEAR, RATE),
        lambda r: empyrical.sortino_ratio(r, BAR_RATE, annualization=YEAR),
    ),
    "max_drawdown": (
        lambda r: metrics.max_drawdown(metrics.compound(r)),
        empyrical.max_drawdown,
    ),
    "calmar_ratio": (
        grown(metrics.calmar_ratio),
        lambda r: empyrical.calmar_ratio(r, annualization=YEAR),
    ),
    "value_at_risk": (metrics.value_at_risk, empyrical.value_at_risk),
    "value_at_risk of 1 %": (
        lambda r: metrics.value_at_risk(r, 0.01),
        lambda r: empyrical.value_at_risk(r, 0.01),
    ),
    "expected_shortfall": (metrics.expected_shortfall, empyrical.conditional_value_at_risk),
    "tail_ratio": (metrics.tail_ratio, empyrical.tail_ratio),
}
RELATIVE: dict[str, tuple[Callable[[Any, Any], float], Callable[[Any, Any], float]]] = {
    "beta": (metrics.beta, empyrical.beta),
    "information_ratio": (
        lambda r, b: metrics.information_ratio(r, b, YEAR),
        # theirs is of a bar
        lambda r, b: empyrical.excess_sharpe(r, b) * math.sqrt(YEAR),
    ),
    "up_capture": (lambda r, b: metrics.up_capture(r, b, YEAR), empyrical.up_capture),
    "down_capture": (lambda r, b: metrics.down_capture(r, b, YEAR), empyrical.down_capture),
}


@pytest.fixture(scope="module")
def returns() -> Any:
    return load_returns()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("figure", EQUAL)
def test_equal(figure: str, name: str, returns: Any) -> None:
    ours, theirs = EQUAL[figure]
    values = returns[name].to_numpy()
    assert ours(values) == pytest.approx(theirs(values), **EXACT)


@pytest.mark.parametrize("name", NAMES[1:])
@pytest.mark.parametrize("figure", RELATIVE)
def test_equal_beside_a_benchmark(figure: str, name: str, returns: Any) -> None:
    ours, theirs = RELATIVE[figure]
    values, benchmark = returns[name].to_numpy(), returns["equal weight"].to_numpy()
    expected = theirs(returns[name], returns["equal weight"])  # it filters labels, not arrays
    assert ours(values, benchmark) == pytest.approx(expected, **EXACT)


def test_series(returns: Any) -> None:
    values = returns["AAPL"].to_numpy()
    equity = metrics.compound(values)
    np.testing.assert_allclose(
        metrics.simple_returns(equity), empyrical.simple_returns(equity), rtol=1e-12, atol=1e-15
    )
    np.testing.assert_allclose(
        equity[1:], empyrical.cum_returns(values, starting_value=1), rtol=1e-12
    )
    np.testing.assert_allclose(
        metrics.drawdown(equity)[1:], stats.drawdown_series(values), rtol=1e-12, atol=1e-12
    )


def test_rolling(returns: Any) -> None:
    part = returns.iloc[-400:]
    own, other = part["AAPL"], part["equal weight"]
    values, benchmark = own.to_numpy(), other.to_numpy()
    for ours, theirs in (
        (
            metrics.rolling_volatility(values, 63, YEAR),
            empyrical.roll_annual_volatility(own, window=63, annualization=YEAR),
        ),
        (
            metrics.rolling_sharpe_ratio(values, 63, YEAR, RATE),
            empyrical.roll_sharpe_ratio(own, window=63, risk_free=BAR_RATE, annualization=YEAR),
        ),
        (metrics.rolling_beta(values, benchmark, 63), empyrical.roll_beta(own, other, window=63)),
    ):
        assert np.isnan(ours[:62]).all()
        # theirs leaves out the first windows, which are not whole
        np.testing.assert_allclose(ours[62:], np.asarray(theirs, float), rtol=1e-12, atol=1e-12)


def test_months_and_years(returns: Any) -> None:
    own = returns["GE"]
    equity = metrics.compound(own.to_numpy())
    found = metrics.monthly_returns(own.index.to_numpy(), equity[1:], 1.0)
    months = empyrical.aggregate_returns(own, "monthly")
    ours = found.months[~np.isnan(found.months)]
    np.testing.assert_allclose(ours, months.to_numpy(), rtol=1e-12, atol=1e-12)
    years = empyrical.aggregate_returns(own, "yearly")
    assert found.years.tolist() == years.index.to_list()
    np.testing.assert_allclose(found.totals, years.to_numpy(), rtol=1e-12, atol=1e-12)


# ---------------------------------------------------------------------- where they differ


def test_alpha_compounds_there(returns: Any) -> None:
    own, other = returns["AAPL"].to_numpy(), returns["equal weight"].to_numpy()
    ours = metrics.alpha(own, other, YEAR, RATE)
    theirs = empyrical.alpha(own, other, risk_free=BAR_RATE, annualization=YEAR)
    assert (1.0 + ours / YEAR) ** YEAR - 1.0 == pytest.approx(theirs, **EXACT)
    assert ours != pytest.approx(theirs, rel=1e-3)


def test_moments_are_not_adjusted_there(returns: Any) -> None:
    own = returns["AAPL"].to_numpy()
    n = own.size
    # those of scipy; Joanes and Gill (1998) have the two adjustments
    skewness, excess = stats.stats.skew(own), stats.stats.kurtosis(own)
    adjusted = math.sqrt(n * (n - 1)) / (n - 2) * skewness
    assert metrics.skewness(own) == pytest.approx(adjusted, **EXACT)
    adjusted = (n - 1) / ((n - 2) * (n - 3)) * ((n + 1) * excess + 6)
    assert metrics.kurtosis(own) == pytest.approx(adjusted, **EXACT)


def test_a_rate_of_a_bar_there(returns: Any) -> None:
    own = returns["AAPL"].to_numpy()
    theirs = empyrical.sharpe_ratio(own, RATE, annualization=YEAR)
    assert metrics.sharpe_ratio(own, YEAR, RATE) != pytest.approx(theirs, rel=0.1)


def test_unknown_returns_are_left_out_there(returns: Any) -> None:
    own = returns["AAPL"].to_numpy().copy()
    own[100:110] = math.nan
    assert math.isnan(metrics.sharpe_ratio(own, YEAR))
    known = own[~np.isnan(own)]
    expected = empyrical.sharpe_ratio(own, annualization=YEAR)
    assert metrics.sharpe_ratio(known, YEAR) == pytest.approx(expected, **EXACT)
    # in the drawdown an unknown return is one of 0 there, which comes to the same
    assert math.isnan(metrics.max_drawdown(metrics.compound(own)))
    expected = empyrical.max_drawdown(own)
    assert metrics.max_drawdown(metrics.compound(known)) == pytest.approx(expected, **EXACT)


def test_ties_at_the_value_at_risk() -> None:
    # 10 % of 11 returns is place 1 of the sorted ones, which is 0: theirs is the mean of the two
    # lowest, ours that of all returns at or below 0
    returns = np.array([-0.03, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0.1])
    assert empyrical.conditional_value_at_risk(returns, 0.1) == pytest.approx(-0.015)
    assert metrics.expected_shortfall(returns, 0.1) == pytest.approx(-0.003)


def test_no_variation_and_no_shortfall() -> None:
    rising = np.array([0.01, 0.02, 0.01])
    assert empyrical.sortino_ratio(rising) == math.inf
    assert math.isnan(metrics.sortino_ratio(rising, YEAR))
    flat = np.full(3, 0.01)
    assert empyrical.sharpe_ratio(flat) == math.inf
    assert math.isnan(metrics.sharpe_ratio(flat, YEAR))
