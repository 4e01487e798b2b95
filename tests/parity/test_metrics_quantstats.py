"""The metrics beside those of quantstats, on real returns.

Where the definitions agree the numbers do, to 1e-12; where they do not, the relation between them
is tested. `docs/api/metrics.md` has the list.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest

from ml4t.backtest import metrics
from parity.real_returns import EXACT, NAMES, YEAR, load_returns

pd = pytest.importorskip("pandas")
stats = pytest.importorskip("quantstats.stats")

RATE = 0.03
Figure = Callable[[Any], float]
EQUAL: dict[str, tuple[Figure, Figure]] = {
    "annual_return": (
        lambda r: metrics.annual_return(metrics.compound(r), r.size / YEAR),
        lambda r: stats.cagr(r, periods=YEAR),
    ),
    "total_return": (lambda r: metrics.total_return(metrics.compound(r)), stats.comp),
    "volatility": (
        lambda r: metrics.volatility(r, YEAR),
        lambda r: stats.volatility(r, periods=YEAR),
    ),
    "sharpe_ratio": (
        lambda r: metrics.sharpe_ratio(r, YEAR, RATE),
        lambda r: stats.sharpe(r, rf=RATE, periods=YEAR),
    ),
    "sortino_ratio": (
        lambda r: metrics.sortino_ratio(r, YEAR, RATE),
        lambda r: stats.sortino(r, rf=RATE, periods=YEAR),
    ),
    "max_drawdown": (lambda r: metrics.max_drawdown(metrics.compound(r)), stats.max_drawdown),
    "calmar_ratio": (
        lambda r: metrics.calmar_ratio(metrics.compound(r), r.size / YEAR),
        lambda r: stats.calmar(r, periods=YEAR),
    ),
    "expected_shortfall": (
        metrics.expected_shortfall,
        lambda r: stats.conditional_value_at_risk(r, method="historical"),
    ),
    "skewness": (metrics.skewness, stats.skew),
    "kurtosis": (metrics.kurtosis, stats.kurtosis),
    "tail_ratio": (metrics.tail_ratio, stats.tail_ratio),
    "hit_rate of bars": (metrics.hit_rate, stats.win_rate),
    "profit_factor of bars": (metrics.profit_factor, stats.profit_factor),
    "probabilistic_sharpe_ratio": (
        lambda r: metrics.probabilistic_sharpe_ratio(r, YEAR, risk_free_rate=0.0),
        lambda r: stats.probabilistic_sharpe_ratio(r, periods=YEAR),
    ),
}
RELATIVE: dict[str, tuple[Callable[[Any, Any], float], Callable[[Any, Any], float]]] = {
    "beta": (metrics.beta, lambda r, b: stats.greeks(r, b, YEAR)["beta"]),
    "alpha": (
        lambda r, b: metrics.alpha(r, b, YEAR),
        lambda r, b: stats.greeks(r, b, YEAR)["alpha"],
    ),
    "correlation": (
        lambda r, b: metrics.correlation(r, b) ** 2,
        stats.r_squared,
    ),
    "information_ratio": (
        lambda r, b: metrics.information_ratio(r, b, YEAR),
        # theirs is of a bar
        lambda r, b: stats.information_ratio(r, b) * math.sqrt(YEAR),
    ),
}


@pytest.fixture(scope="module")
def returns() -> Any:
    return load_returns()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("figure", EQUAL)
def test_equal(figure: str, name: str, returns: Any) -> None:
    ours, theirs = EQUAL[figure]
    assert ours(returns[name].to_numpy()) == pytest.approx(theirs(returns[name]), **EXACT)


@pytest.mark.parametrize("name", NAMES[1:])
@pytest.mark.parametrize("figure", RELATIVE)
def test_equal_beside_a_benchmark(figure: str, name: str, returns: Any) -> None:
    ours, theirs = RELATIVE[figure]
    own, other = returns[name], returns["equal weight"]
    found = ours(own.to_numpy(), other.to_numpy())
    assert found == pytest.approx(theirs(own, other), **EXACT)


def test_rolling(returns: Any) -> None:
    own, other = returns["AAPL"], returns["equal weight"]
    values, benchmark = own.to_numpy(), other.to_numpy()
    for ours, theirs in (
        (
            metrics.rolling_volatility(values, 126, YEAR),
            stats.rolling_volatility(own, 126, YEAR),
        ),
        (
            metrics.rolling_sharpe_ratio(values, 126, YEAR),
            stats.rolling_sharpe(own, 0.0, 126, True, YEAR),
        ),
        (
            metrics.rolling_beta(values, benchmark, 126),
            stats.rolling_greeks(own, other, 126)["beta"],
        ),
    ):
        # pandas adds to a sum and takes from it, which loses a digit or two over 8 300 bars
        np.testing.assert_allclose(ours, theirs.to_numpy(), rtol=1e-10, atol=1e-10)


def test_drawdowns(returns: Any) -> None:
    own = returns["equal weight"]
    equity = metrics.compound(own.to_numpy())
    series = stats.to_drawdown_series(own)
    np.testing.assert_allclose(metrics.drawdown(equity)[1:], series.to_numpy(), atol=1e-12)
    theirs = stats.drawdown_details(series)
    found = metrics.drawdown_table(equity)
    assert found.peak.size == len(theirs) > 100
    # Place 0 of the equity is before the first return, so that place k is that of return k - 1.
    # Theirs begins with the first bar below the high, and ends with the last one.
    times = own.index
    order = np.argsort(found.peak)
    ours = [part[order] for part in (found.peak, found.valley, found.recovery, found.depth)]
    peak, valley, recovery, depth = ours
    assert [f"{times[k]:%Y-%m-%d}" for k in peak] == theirs["start"].to_list()
    assert [f"{times[k - 1]:%Y-%m-%d}" for k in valley] == theirs["valley"].to_list()
    ends = [f"{times[k - 2 if k > 0 else -1]:%Y-%m-%d}" for k in recovery]
    assert ends == theirs["end"].to_list()
    np.testing.assert_allclose(100.0 * depth, theirs["max drawdown"].to_numpy(), rtol=1e-12)


def test_months_and_years(returns: Any) -> None:
    own = returns["GE"].loc["1995-03-15":]
    equity = metrics.compound(own.to_numpy())
    found = metrics.monthly_returns(own.index.to_numpy(), equity[1:], 1.0)
    theirs = stats.monthly_returns(own)
    assert [str(year) for year in found.years] == theirs.index.to_list()
    # a month without a bar has a return of 0 there
    assert np.isnan(found.months).sum() == 2
    np.testing.assert_allclose(
        np.nan_to_num(found.months), theirs.iloc[:, :12].to_numpy(), rtol=1e-12, atol=1e-12
    )
    np.testing.assert_allclose(found.totals, theirs["EOY"].to_numpy(), rtol=1e-12, atol=1e-12)


# ---------------------------------------------------------------------- where they differ


def test_the_value_at_risk_is_that_of_a_normal_distribution_there(returns: Any) -> None:
    own = returns["AAPL"]
    theirs = stats.value_at_risk(own)
    normal = NormalDist(own.mean(), own.std())
    assert theirs == pytest.approx(normal.inv_cdf(0.05), rel=1e-9)
    assert metrics.value_at_risk(own.to_numpy()) != pytest.approx(theirs, rel=1e-2)


def test_exposure_is_the_share_of_bars_with_a_return_there(returns: Any) -> None:
    own = returns["GE"]
    share = metrics.time_in_market(own.to_numpy())  # of bars with something that is not 0
    assert share < 1.0
    assert stats.exposure(own) == math.ceil(share * 100.0) / 100.0


def test_the_rate_of_a_probabilistic_sharpe_ratio_moves_its_skewness_nowhere(returns: Any) -> None:
    own = returns["AAPL"]
    ours = metrics.probabilistic_sharpe_ratio(own.to_numpy(), YEAR, risk_free_rate=RATE)
    theirs = stats.probabilistic_sharpe_ratio(own, rf=RATE, periods=YEAR)
    assert ours == pytest.approx(theirs, **EXACT)


def test_unknown_returns_are_left_out_there(returns: Any) -> None:
    own = returns["AAPL"].copy()
    own.iloc[100:110] = math.nan
    assert math.isnan(metrics.sharpe_ratio(own.to_numpy(), YEAR))
    known = own.dropna().to_numpy()
    expected = stats.sharpe(own, periods=YEAR)
    assert metrics.sharpe_ratio(known, YEAR) == pytest.approx(expected, **EXACT)


def test_no_loss() -> None:
    rising = pd.Series([0.01, 0.02, 0.01], index=pd.date_range("2024-01-01", periods=3))
    assert stats.profit_factor(rising) == math.inf
    assert math.isnan(metrics.profit_factor(rising.to_numpy()))
    assert math.isnan(stats.sortino(rising))
    assert math.isnan(metrics.sortino_ratio(rising.to_numpy(), YEAR))
