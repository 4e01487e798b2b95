"""Falls from a high, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ml4t.backtest import metrics

EQUITY = np.array([100.0, 110.0, 99.0, 88.0, 110.0, 120.0, 90.0, 96.0])


def table(*equity: float) -> list[tuple[int, int, int, float]]:
    found = metrics.drawdown_table(np.array(equity))
    rows = zip(found.peak, found.valley, found.recovery, found.depth, strict=True)
    return [(int(p), int(v), int(r), float(d)) for p, v, r, d in rows]


def test_drawdown() -> None:
    # 99 and 88 under 110, 90 and 96 under 120
    assert metrics.drawdown(EQUITY) == pytest.approx([0, 0, -0.1, -0.2, 0, 0, -0.25, -0.2])
    assert metrics.drawdown(EQUITY[:0]).size == 0
    # before there is a high above zero, and from a NaN on, there is none
    found = metrics.drawdown(np.array([-1.0, 0.0, 5.0, 4.0, math.nan, 5.0]))
    np.testing.assert_allclose(found, [math.nan, math.nan, 0.0, -0.2, math.nan, math.nan])


def test_max_drawdown() -> None:
    assert metrics.max_drawdown(EQUITY) == pytest.approx(-0.25)
    assert metrics.max_drawdown(np.array([1.0, 2.0, 3.0])) == 0.0
    # 3 under 12
    assert metrics.max_drawdown(np.array([10.0, 8.0, 12.0, 3.0, 13.0])) == pytest.approx(-0.75)
    assert metrics.max_drawdown(np.array([10.0, 0.0])) == -1.0
    assert metrics.max_drawdown(np.array([10.0, -5.0])) == -1.5
    assert metrics.max_drawdown(EQUITY[:1]) == 0.0
    assert math.isnan(metrics.max_drawdown(EQUITY[:0]))
    assert math.isnan(metrics.max_drawdown(np.array([0.0, 1.0])))
    assert math.isnan(metrics.max_drawdown(np.array([1.0, math.nan, 0.5])))


def test_table() -> None:
    found = metrics.drawdown_table(EQUITY)
    # the deepest first: 120 to 90, which lasts; 110 to 88, back at 110
    assert found.peak.tolist() == [5, 1]
    assert found.valley.tolist() == [6, 3]
    assert found.recovery.tolist() == [-1, 4]
    assert found.depth == pytest.approx([-0.25, -0.2])
    assert found.bars_down.tolist() == [1, 2]
    assert found.bars_up.tolist() == [-1, 1]
    assert metrics.drawdown_table(EQUITY, 1).peak.tolist() == [5]
    assert metrics.drawdown_table(EQUITY, 0).peak.size == 0


def test_ends_of_a_drawdown() -> None:
    # the peak is the last bar of a plateau, the valley the first of the lowest
    assert table(10, 10, 5, 5, 10) == [(1, 2, 4, -0.5)]
    # of equal depth the earlier first
    assert table(10, 5, 10, 5, 10) == [(0, 1, 2, -0.5), (2, 3, 4, -0.5)]
    # a new high of one bar parts two drawdowns
    assert table(10, 9, 11, 5.5) == [(2, 3, -1, -0.5), (0, 1, 2, pytest.approx(-0.1))]
    # below zero, and back
    assert table(10, -10, 10) == [(0, 1, 2, -2.0)]
    # nobody knows whether it recovers in a NaN
    assert table(10, 5, math.nan, 10) == [(0, 1, -1, -0.5)]


def test_no_drawdown() -> None:
    assert table(1, 2, 3) == table(1) == table() == table(0, 0) == []


def test_calmar_ratio() -> None:
    # 121 of 100 in two years: 10 %; half was lost meanwhile
    assert metrics.calmar_ratio(np.array([100.0, 50.0, 121.0]), 2.0) == pytest.approx(0.2)
    # all is lost: -100 % a year over 100 %
    assert metrics.calmar_ratio(np.array([100.0, 0.0]), 2.0) == -1.0
    assert math.isnan(metrics.calmar_ratio(np.array([1.0, 2.0]), 2.0))
    assert math.isnan(metrics.calmar_ratio(EQUITY, 0.0))
    assert math.isnan(metrics.calmar_ratio(EQUITY[:0], 1.0))
