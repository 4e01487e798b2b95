"""The stationary bootstrap: what it draws, how long its blocks are, and the intervals."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ml4t.backtest import metrics
from ml4t.backtest.metrics.bootstrap import stationary_resample


def dependent(n: int, weight: float) -> np.ndarray:
    """Values each of which takes over a part of the one before, without chance."""
    noise = np.sin(np.arange(1, n + 1) ** 2.0)
    found = np.empty(n)
    before = 0.0
    for t in range(n):
        before = found[t] = weight * before + noise[t]
    return found


def test_blocks_of_a_resample() -> None:
    n, length = 1000, 8.0
    rng = np.random.default_rng(3)
    drawn = np.array([stationary_resample(n, length, rng) for _ in range(200)])
    assert drawn.min() >= 0
    assert drawn.max() < n
    # all but 1 in 8 places go on with the next bar (or, 1 in 1 000, begin with it by chance):
    # 199 800 places, so that the share is known to some 0.0007
    goes_on = (np.diff(drawn, axis=1) % n) == 1
    assert goes_on.mean() == pytest.approx(7 / 8 + 1 / 8 / n, abs=0.003)
    # every bar is drawn as often: 200 times, give or take some 40
    counts = np.bincount(drawn.ravel(), minlength=n)
    assert counts.min() > 50
    assert counts.max() < 400


def test_blocks_of_one_bar_are_independent() -> None:
    drawn = stationary_resample(10_000, 1.0, np.random.default_rng(1))
    assert ((np.diff(drawn) % 10_000) == 1).mean() < 0.001


def test_the_variance_of_the_mean_is_that_of_the_paper() -> None:
    # Politis and Romano (1994), lemma 1: n times the variance of the mean of a resample is the
    # sum of the circular autocovariances, weighted by (1 - lag / n) * (1 - p) ** lag.
    n, length = 40, 5.0
    values = dependent(n, 0.6)
    centred = values - values.mean()
    lags = np.arange(1, n)
    circular = np.array([centred @ np.roll(centred, -lag) / n for lag in lags])
    weights = (1.0 - lags / n) * (1.0 - 1.0 / length) ** lags
    expected = centred @ centred / n + 2.0 * weights @ circular
    rng = np.random.default_rng(7)
    means = [values[stationary_resample(n, length, rng)].mean() for _ in range(20_000)]
    # 20 000 draws know a variance to 1 %
    assert n * np.var(means) == pytest.approx(expected, rel=0.04)


def test_block_length_by_hand() -> None:
    # Ten values 1, -1, ...: autocovariances about 0 are (-1) ** lag * (10 - lag) / 10. All
    # correlations are beyond 2 * sqrt(log10(10) / 10) = 0.63 up to lag 3, but only lags 4 to 8 are
    # five in a row: width 2 * 4 = 8, tapered by 1 up to lag 4, then by 3/4, 1/2, 1/4, 0.
    # slope 2 * (-0.9 + 2 * 0.8 - 3 * 0.7 + 4 * 0.6 - 5 * 0.375 + 6 * 0.2 - 7 * 0.075) = -0.4
    # spectrum 1 + 2 * (-0.9 + 0.8 - 0.7 + 0.6 - 0.375 + 0.2 - 0.075) = 0.1
    # (0.4 / 0.1) ** 2 * 10 = 160, whose cube root is 5.43; but no more than 10 / 3, rounded up
    values = np.tile([1.0, -1.0], 5)
    assert metrics.optimal_block_length(values) == 4.0
    # Two pairs: autocovariances about 0 are 0.4, 0.2, 0, 0, 0, 0 ...; 0.5 is within the band, so
    # that the first five in a row begin at lag 1: width 2, taper 1 and 0.
    # slope 2 * 0.2, spectrum 0.4 + 2 * 0.2: (0.4 / 0.8) ** 2 * 10 = 2.5
    values = np.array([1.0, 1, 0, 0, 0, 0, 0, 0, -1, -1])
    assert metrics.optimal_block_length(values) == pytest.approx(2.5 ** (1 / 3))


@pytest.mark.parametrize(
    ("weight", "expected"),
    # what optimal_block_length of arch 8.0.0 says of these values, for the stationary bootstrap
    [(0.9, 57.907870984891915), (0.5, 14.227863692376154), (0.0, 2.357259808917897)],
)
def test_block_length_of_another_program(weight: float, expected: float) -> None:
    found = metrics.optimal_block_length(dependent(2000, weight))
    assert found == pytest.approx(expected, rel=1e-9)


def test_block_length_of_nothing() -> None:
    assert math.isnan(metrics.optimal_block_length(np.zeros(0)))
    assert math.isnan(metrics.optimal_block_length(np.array([0.1])))
    assert math.isnan(metrics.optimal_block_length(np.array([0.1, math.nan, 0.2])))
    assert metrics.optimal_block_length(np.full(10, 0.01)) == 1.0
    assert metrics.optimal_block_length(np.array([0.0, 1.0])) == 1.0


def test_interval_of_a_mean() -> None:
    # independent values: 1.96 standard errors on either side, known to some per cent
    values = np.random.default_rng(5).normal(0.001, 0.02, 500)
    found = metrics.bootstrap_interval(values, np.mean, n_resamples=4000, block_length=1.0)
    half = 1.96 * values.std() / math.sqrt(500)
    assert found.estimate == values.mean()
    assert found.low == pytest.approx(values.mean() - half, abs=0.05 * half)
    assert found.high == pytest.approx(values.mean() + half, abs=0.05 * half)
    assert found.block_length == 1.0
    narrow = metrics.bootstrap_interval(values, np.mean, 0.5, 4000, 1.0)
    # 0.6745 of them for one half
    assert narrow.high - narrow.low == pytest.approx(2 * 0.6745 / 1.96 * half, rel=0.06)


def test_dependence_widens_an_interval() -> None:
    values = dependent(500, 0.8)
    alone = metrics.bootstrap_interval(values, np.mean, block_length=1.0)
    blocks = metrics.bootstrap_interval(values, np.mean)
    assert blocks.block_length == metrics.optimal_block_length(values)
    assert blocks.high - blocks.low > 1.5 * (alone.high - alone.low)


def test_a_seed_is_an_interval() -> None:
    values = dependent(100, 0.3)
    first = metrics.bootstrap_interval(values, np.mean, seed=1)
    assert metrics.bootstrap_interval(values, np.mean, seed=1) == first
    assert metrics.bootstrap_interval(values, np.mean, seed=2) != first


def test_what_is_not_known() -> None:
    for values in (np.zeros(0), np.array([0.1]), np.array([0.1, math.nan, 0.2])):
        assert all(math.isnan(v) for v in metrics.bootstrap_interval(values, np.mean))
    # some resamples of two values are of one of them, which has no Sharpe ratio
    found = metrics.bootstrap_interval(
        np.array([0.1, 0.2]), lambda r: metrics.sharpe_ratio(r, 252.0)
    )
    assert math.isfinite(found.estimate)
    assert math.isnan(found.low)
    assert math.isnan(found.high)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("confidence", 1.0),
        ("confidence", "0.9"),
        ("n_resamples", 0),
        ("block_length", 0.5),
        ("block_length", math.inf),
        ("seed", -1),
        ("seed", 1.5),
    ],
)
def test_bad_settings(setting: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"{setting}="):
        metrics.bootstrap_interval(np.array([0.1, 0.2]), np.mean, **{setting: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("figure", [None, "volatility", 0.5])
def test_a_figure_is_a_function(figure: object) -> None:
    with pytest.raises(ValueError, match=r"figure=.*: must be a function of returns"):
        metrics.bootstrap_interval(np.array([0.1, 0.2]), figure)  # type: ignore[arg-type]
