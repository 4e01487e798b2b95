"""Trades, exposure, turnover and cost, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ml4t.backtest import metrics

DAY = 86_400 * 10**9
PNL = np.array([10.0, -5.0, 0.0, 15.0, -10.0])
NONE = np.zeros(0)


def test_hit_rate() -> None:
    # two gains, two losses; nothing is neither
    assert metrics.hit_rate(PNL) == 0.5
    assert metrics.hit_rate(PNL[1:2]) == 0.0
    for unknown in (NONE, np.zeros(3), np.array([1.0, math.nan])):
        assert math.isnan(metrics.hit_rate(unknown))


def test_profit_factor() -> None:
    # 10 + 15 over 5 + 10
    assert metrics.profit_factor(PNL) == pytest.approx(25.0 / 15.0)
    assert metrics.profit_factor(PNL[1:2]) == 0.0
    for unknown in (NONE, np.zeros(3), PNL[:1], np.array([1.0, -1.0, math.nan])):
        assert math.isnan(metrics.profit_factor(unknown))


def test_holding_period() -> None:
    # one day and three
    found = metrics.holding_period(np.array([0, 5 * DAY]), np.array([DAY, 8 * DAY]))
    assert found == 2.0
    assert math.isnan(metrics.holding_period(np.zeros(0, np.int64), np.zeros(0, np.int64)))
    with pytest.raises(ValueError, match="entry_times has 1, exit_times has 2"):
        metrics.holding_period(np.array([0]), np.array([DAY, DAY]))


def test_exposure() -> None:
    gross = np.array([0.0, 0.5, 1.0])
    assert metrics.exposure(gross) == 0.5
    assert metrics.time_in_market(gross) == pytest.approx(2.0 / 3.0)
    # the sum is beyond all floats
    assert math.isnan(metrics.exposure(np.array([1e308] * 3)))
    for unknown in (NONE, np.array([0.5, math.nan])):
        assert math.isnan(metrics.exposure(unknown))
        assert math.isnan(metrics.time_in_market(unknown))


def test_turnover() -> None:
    # half of 50 / 1 000 and of 100 / 500; the last bar has no equity
    traded, equity = np.array([50.0, 100.0, 10.0]), np.array([1_000.0, 500.0, 0.0])
    assert metrics.turnover(traded, equity) == pytest.approx(0.125)
    assert metrics.turnover(NONE, NONE) == 0.0
    with pytest.raises(ValueError, match="traded has 3, equity has 2"):
        metrics.turnover(traded, equity[:2])


def test_cost_bps() -> None:
    # 0.1 % and 0.4 % in two years
    costs, equity = np.array([1.0, 2.0, 5.0]), np.array([1_000.0, 500.0, -1.0])
    assert metrics.cost_bps(costs, equity, 2.0) == pytest.approx(25.0)
    assert metrics.cost_bps(NONE, NONE, 2.0) == 0.0
    assert math.isnan(metrics.cost_bps(costs, equity, 0.0))
    assert math.isnan(metrics.cost_bps(costs, equity, math.nan))
    with pytest.raises(ValueError, match="costs has 3, equity has 2"):
        metrics.cost_bps(costs, equity[:2], 1.0)
