"""Solver dust: what a solver returns for none of an asset becomes an exit."""

from __future__ import annotations

import numpy as np
import pytest

from ml4t.backtest import PortfolioSnapshot, plan_rebalance
from ml4t.backtest.optimizers.solver_dust import without_solver_dust


def test_what_is_nearer_to_zero_than_the_limit_is_zero() -> None:
    given = {"B": 0.5, "A": 9.999e-6, "D": -9.999e-6, "C": 1e-5, "E": -1e-5, "F": 0.0}
    found = without_solver_dust(given, 1e-5)
    assert list(found.items()) == [
        ("B", 0.5), ("A", 0.0), ("D", 0.0), ("C", 1e-5), ("E", -1e-5), ("F", 0.0),
    ]  # fmt: skip
    assert given["A"] == 9.999e-6
    assert without_solver_dust({}, 1e-5) == {}


def test_nothing_is_changed_unasked() -> None:
    given = {"A": 1e-300, "B": -0.5, "C": 0.0}
    assert without_solver_dust(given, 0.0) == given


def test_the_assets_stay_in_the_targets() -> None:
    """So that they are closed under ``unmentioned="hold"`` too."""
    assert without_solver_dust({"A": 1.0, "B": 1e-8}, 1e-5) == {"A": 1.0, "B": 0.0}


def test_dust_keeps_a_holding_and_zero_does_not() -> None:
    """9 shares of B are 0.9 % of 100 000: below min_weight_change, 1 %."""
    account = PortfolioSnapshot(
        cash=100.0, positions={"A": 990, "B": 9}, prices={"A": 100.0, "B": 100.0}
    )
    answer = {"A": 1.0 - 2.5e-7, "B": 2.5e-7}
    kept, sold = (
        {row.asset: (row.reason, row.quantity) for row in plan_rebalance(weights, account).rows}
        for weights in (answer, without_solver_dust(answer, 1e-5))
    )
    assert kept["B"] == ("weight_change_too_small", 0.0)
    assert sold["B"] == ("ordered", -9.0)


def test_the_zeros_of_a_real_solver_are_dust() -> None:
    """The least variance of three assets, of which it holds two.

    A and B are uncorrelated with variances 1 and 4, so they are held as 4 to 1: a variance of 0.8.
    C is 3 A and more, with a covariance of 0.8 * 3 = 2.4 with that portfolio: above 0.8, so that
    any of C would add risk.
    """
    optimization = pytest.importorskip("skfolio.optimization")
    pd = pytest.importorskip("pandas")
    a, b = np.array([1.0, -1] * 60), np.array([1.0, 1, -1, -1] * 30)
    own = np.array([1.0, 1, 1, 1, -1, -1, -1, -1] * 15)
    frame = pd.DataFrame({"A": a, "B": 2 * b, "C": 3 * a + own}) * 0.01
    frame.index = pd.date_range("2024-01-01", periods=len(frame))
    weights = dict(zip("ABC", optimization.MeanRisk().fit(frame).weights_.tolist(), strict=True))
    assert 0.0 < abs(weights["C"]) < 1e-6
    assert without_solver_dust(weights, 1e-5) == pytest.approx(
        {"A": 0.8, "B": 0.2, "C": 0.0}, rel=0, abs=1e-3
    )
    assert without_solver_dust(weights, 1e-5)["C"] == 0.0
