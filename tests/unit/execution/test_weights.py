"""Target weights as the user has them."""

from __future__ import annotations

from collections import OrderedDict
from datetime import datetime
from fractions import Fraction
from typing import Any

import numba
import numpy as np
import pandas as pd
import polars as pl
import pytest

from ml4t.backtest import WeightSchedule, as_weights
from ml4t.backtest.errors import WeightsError
from ml4t.backtest.execution.weights import weights_vector

NAN = float("nan")


@pytest.mark.parametrize(
    "weights",
    [
        {"B": 0.25, "A": 0.5},
        OrderedDict(B=0.25, A=0.5),
        {"B": np.float64(0.25), "A": np.float32(0.5)},
        {"B": Fraction(1, 4), "A": Fraction(1, 2)},
        pd.Series({"B": 0.25, "A": 0.5}),
        pd.Series({"B": 0.25, "A": 0.5}, dtype="float32"),
    ],
)
def test_what_is_understood(weights: Any) -> None:
    found = as_weights(weights)
    assert found == {"B": 0.25, "A": 0.5}
    assert list(found) == ["B", "A"]
    assert {type(weight) for weight in found.values()} == {float}


def test_integers_and_nothing() -> None:
    assert as_weights({"A": 1, "B": np.int64(0), "C": -1}) == {"A": 1.0, "B": 0.0, "C": -1.0}
    assert as_weights({}) == {}
    assert as_weights(pd.Series(dtype=float)) == {}


def test_the_answer_is_a_copy() -> None:
    weights = {"A": 0.5}
    as_weights(weights)["A"] = 1.0
    assert weights == {"A": 0.5}


@pytest.mark.parametrize(
    ("weights", "match"),
    [
        ({"A": NAN, "B": 0.5}, "A=nan' are not finite"),
        ({"A": float("inf"), "B": -float("inf")}, "A=inf', 'B=-inf"),
        ({"A": 0.5, "B": True}, "B=True' are not numbers"),
        ({"A": np.False_}, "A=.*are not numbers"),
        ({"A": "0.5"}, "are not numbers"),
        ({"A": None}, "A=None"),
        ({"A": 0.5j}, "A=0.5j"),
        ({5: 0.5}, "5 are not asset names"),
        ({("A", "B"): 0.5}, "are not asset names"),
        (pd.Series([0.5], index=[0]), "0 are not asset names"),
        (pd.Series([0.5, 0.2, 0.1], index=["A", "B", "A"]), "'A' appear more than once"),
        (pd.Series({"A": NAN}), "A=nan"),
        (pd.Series({"A": True}), "A=True"),
        ([0.5, 0.5], "a list has no labels.*assets="),
        ((0.5, 0.5), "a tuple has no labels.*assets="),
        (np.array([0.5]), "a ndarray has no labels.*assets="),
        (pl.Series([0.5]), "a Series has no labels.*assets="),
        (None, "None is no answer.*Riskfolio-Lib and cvxpy.*status"),
        ("A", "a str is not understood; pass a mapping"),
        ({"A"}, "a set is not understood"),
        (iter([0.5]), "is not understood"),
    ],
)
def test_what_is_not(weights: Any, match: str) -> None:
    with pytest.raises(ValueError, match=match) as caught:
        as_weights(weights)
    assert isinstance(caught.value, WeightsError)


def test_a_number_beyond_floats() -> None:
    with pytest.raises(ValueError, match="A"):
        as_weights({"A": 10**400})


@pytest.mark.parametrize("weights", [{"A": 0.5, "B": 0.2}, {"B": 0.2}])
def test_the_vector_has_the_type_of_a_row_of_a_schedule(weights: dict[str, float]) -> None:
    """Compiled code knows arrays by their type, which says whether they can be written to."""
    found = weights_vector(weights, ("A", "B"), {"A": 0, "B": 1})
    np.testing.assert_array_equal(found, [weights.get("A", NAN), 0.2])
    row = WeightSchedule([datetime(2024, 1, 1)], ["A", "B"], [[0.5, 0.2]]).matrix[0]
    assert numba.typeof(found) == numba.typeof(row)
