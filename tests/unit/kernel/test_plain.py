"""The kernel as plain Python, with functions of it exchanged."""

from __future__ import annotations

from collections.abc import Iterator
from types import FunctionType, ModuleType
from typing import Any

from ml4t.backtest.costs import Costs, PercentCommission, PercentSlippage
from ml4t.backtest.kernel import costs, matching, planning, quantities
from ml4t.backtest.kernel.plain import plain


def terms(*given: object) -> tuple[float, float, float]:
    """2 units for 11 each, at a commission of 5."""
    return 11.0, 22.0, 5.0


def reached(function: Any, seen: set[int]) -> Iterator[tuple[str, Any]]:
    """Every global of a function, and of those that it can call, at any depth."""
    if id(function.__globals__) in seen:
        return
    seen.add(id(function.__globals__))
    for name, value in function.__globals__.items():
        yield name, value
        if isinstance(value, FunctionType) and value.__module__.startswith("ml4t.backtest.kernel"):
            yield from reached(value, seen)


def test_a_function_alone() -> None:
    rounded_down = plain(quantities.rounded_down)
    assert isinstance(rounded_down, FunctionType)
    assert rounded_down(-7.5, 2.0) == -6.0


def test_what_is_called_is_exchanged() -> None:
    estimated = plain(costs.estimated_cost, {costs.terms_of_trade: terms})
    # 2 units of 3 each, 11 where 10 was asked: 6, and 5
    assert estimated(0, 2.0, 10.0, 3.0, None) == 11.0


def test_the_original_is_left_as_it_was() -> None:
    plain(costs.estimated_cost, {costs.terms_of_trade: terms})
    params = Costs(PercentCommission(0.01), PercentSlippage(0.1)).params
    # 2 units at 10 for 11 each: 2, and 1 % of 22
    assert round(costs.estimated_cost(0, 2.0, 10.0, 1.0, params), 12) == 2.22


def test_nothing_compiled_and_no_original_is_left_in_reach() -> None:
    for function in (matching.match_orders, planning.plan):
        names: dict[str, Any] = {}
        for name, value in reached(plain(function, {costs.terms_of_trade: terms}), set()):
            assert not hasattr(value, "py_func"), name
            # The functions of a module that is called by its name would stay compiled.
            is_module = isinstance(value, ModuleType)
            assert not (is_module and value.__name__.startswith("ml4t")), name
            if name == "terms_of_trade":
                names[name] = value
        assert names == {"terms_of_trade": terms}
